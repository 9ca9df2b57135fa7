"""A heat map of errors by the overlap of the true and the predicted class."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.inspection.errors import errors_by_overlap
from skcap.inspection.plots._matplotlib import SHADES, import_pyplot, label_ticks
from skcap.utils.validation import check_number, integer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["OverlapErrorsDisplay"]


class OverlapErrorsDisplay:
    """Heat map of errors: the classes with the most errors against levels of overlap.

    The label of each level gives its share of all errors and its share of all pairs of classes:
    where the first is far larger, errors go along with overlap.

    Parameters
    ----------
    pairs : pandas.DataFrame
        As :func:`skcap.inspection.errors_by_overlap` returns it.

    Attributes
    ----------
    pairs : pandas.DataFrame
    ax_, figure_ : matplotlib Axes and Figure
        After :meth:`plot`.
    counts_ : ndarray of int64, shape (n_levels, n_classes)
        The errors that :meth:`plot` drew, the lowest level first.

    Examples
    --------
    >>> from skcap.inspection import keyword_overlap
    >>> from skcap.inspection.plots import OverlapErrorsDisplay
    >>> overlap = keyword_overlap({"fee": {"card": 1, "fee": 3}, "lost": {"card": 1}, "pin": {}})
    >>> y, y_pred = ["fee", "fee", "lost", "pin"], ["lost", "fee", "fee", "pin"]
    >>> int(OverlapErrorsDisplay.from_predictions(y, y_pred, overlap).counts_.sum())
    2
    """

    def __init__(self, pairs: pd.DataFrame) -> None:
        self.pairs = pairs

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        overlap: pd.DataFrame,
        *,
        top: int = 15,
        n_levels: int = 8,
        ax: Axes | None = None,
    ) -> OverlapErrorsDisplay:
        """Draw the errors of predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of str or int, shape (n_texts,)
        overlap : pandas.DataFrame, shape (n_classes, n_classes)
            As :func:`skcap.inspection.keyword_overlap` returns it.
        top, n_levels, ax
            As for :meth:`plot`.

        Returns
        -------
        OverlapErrorsDisplay

        Raises
        ------
        ValueError
            As :func:`skcap.inspection.errors_by_overlap`, or if no prediction is wrong.
        """
        pairs = errors_by_overlap(y_true, y_pred, overlap)
        return cls(pairs).plot(top=top, n_levels=n_levels, ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        overlap: pd.DataFrame,
        *,
        top: int = 15,
        n_levels: int = 8,
        ax: Axes | None = None,
    ) -> OverlapErrorsDisplay:
        """Draw the errors of a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
        X : sequence of str, length n_texts
        y : array-like of str or int, shape (n_texts,)
        overlap, top, n_levels, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        OverlapErrorsDisplay
        """
        predicted = estimator.predict(X)
        return cls.from_predictions(y, predicted, overlap, top=top, n_levels=n_levels, ax=ax)

    def plot(
        self, *, top: int = 15, n_levels: int = 8, ax: Axes | None = None
    ) -> OverlapErrorsDisplay:
        """Draw the heat map.

        Parameters
        ----------
        top : int, default=15
            Number of true classes to show, those with the most errors. The shares in the labels of
            the levels are those of all classes.
        n_levels : int, default=8
            Approximate number of levels of overlap above zero; their limits are round numbers.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        OverlapErrorsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no errors, or `top` or `n_levels` is no integer from 1.
        """
        plt = import_pyplot()
        check_number("top", top, integer(1))
        check_number("n_levels", n_levels, integer(1))
        pairs = self.pairs
        by_class = pairs.groupby("true", sort=False)["errors"].sum()
        by_class = by_class[by_class > 0].sort_values(ascending=False, kind="stable")
        if by_class.empty:
            raise ValueError("No prediction is wrong, so there is nothing to draw.")
        classes = by_class.index[:top].tolist()
        level, names = _levels(pairs["overlap"].to_numpy(), n_levels)
        self.counts_ = np.zeros((len(names), len(classes)), dtype=np.int64)
        shown = pairs["true"].isin(classes).to_numpy() & (pairs["errors"] > 0).to_numpy()
        column = [classes.index(label) for label in pairs["true"][shown]]
        np.add.at(self.counts_, (level[shown], column), pairs["errors"][shown])
        if ax is None:
            size = (2.6 + 0.4 * max(8, len(classes)), 2.6 + 0.38 * len(names))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        image = ax.imshow(self.counts_, cmap=SHADES, origin="lower", aspect="auto")
        _write_counts(ax, self.counts_)
        n_pairs = np.bincount(level, minlength=len(names))
        errors = np.bincount(level, weights=pairs["errors"], minlength=len(names))
        rows = [
            f"{name}\n{_percent(share)} of errors, {_percent(common)} of pairs"
            for name, share, common in zip(
                names, errors / errors.sum(), n_pairs / n_pairs.sum(), strict=True
            )
        ]
        label_ticks(ax, "y", range(len(names)), rows, size=8)
        ticks = range(len(classes))
        label_ticks(
            ax, "x", ticks, classes, size=8, rotation=40, ha="right", rotation_mode="anchor"
        )
        ax.set_ylabel("overlap of true and predicted class")
        ax.set_xlabel("true class")
        self.ax_, self.figure_ = ax, ax.figure
        self.figure_.colorbar(image, ax=ax, label="errors")
        return self


def _levels(overlap: np.ndarray, n_levels: int) -> tuple[np.ndarray, list[str]]:
    """Return the level of each pair and the names of the levels; overlap 0 is its own level."""
    from matplotlib.ticker import MaxNLocator

    overlap = overlap.round(9)  # 0.1 + 0.2 is not above 0.3
    highest = max(float(overlap.max()), 1e-9)
    edges = np.asarray(MaxNLocator(n_levels, steps=[1, 2, 2.5, 5, 10]).tick_values(0, highest))
    edges = edges[edges >= 0].round(9)
    level = np.where(overlap > 0, np.searchsorted(edges, overlap, side="left"), 0)
    steps = itertools.pairwise(edges.tolist())
    return level, ["none", *(f"{low:.3g} to {high:.3g}" for low, high in steps)]


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def _write_counts(ax: Axes, counts: np.ndarray) -> None:
    middle = 0.55 * counts.max()  # darker cells are too dark for black
    for row, column in zip(*np.nonzero(counts), strict=True):
        count = counts[row, column]
        color = "white" if count > middle else "black"
        ax.text(column, row, str(count), ha="center", va="center", size=8, color=color)
