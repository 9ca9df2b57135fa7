"""The pairs of classes that one or two models confuse most often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from skcap.inspection.errors import confusion_pairs
from skcap.inspection.plots._matplotlib import BLUE, GREY, ORANGE, import_pyplot, label_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ConfusionPairsDisplay"]


class ConfusionPairsDisplay:
    """Dot plot of the number of confusions of each pair of classes, of one or two models.

    Parameters
    ----------
    pairs : pandas.DataFrame
        As :func:`skcap.inspection.confusion_pairs` returns it.

    Attributes
    ----------
    pairs : pandas.DataFrame
    ax_, figure_ : matplotlib Axes and Figure
        After :meth:`plot`.

    Examples
    --------
    >>> from skcap.inspection.plots import ConfusionPairsDisplay
    >>> display = ConfusionPairsDisplay.from_predictions(
    ...     ["fee", "fee", "pin"], ["pin", "pin", "pin"], ["fee", "pin", "pin"]
    ... )
    >>> display.pairs
      first second  before  after
    0   fee    pin       2      1
    """

    def __init__(self, pairs: pd.DataFrame) -> None:
        self.pairs = pairs

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        pred_before: ArrayLike,
        pred_after: ArrayLike | None = None,
        *,
        top: int = 15,
        names: tuple[str, str] = ("before", "after"),
        ax: Axes | None = None,
    ) -> ConfusionPairsDisplay:
        """Draw the confusions of one or two models' predictions.

        Parameters
        ----------
        y_true, pred_before : array-like of str or int, shape (n_texts,)
        pred_after : array-like of str or int, shape (n_texts,), default=None
        top : int, default=15
            Number of pairs, see :func:`skcap.inspection.confusion_pairs`.
        names, ax
            As for :meth:`plot`.

        Returns
        -------
        ConfusionPairsDisplay
        """
        pairs = confusion_pairs(y_true, pred_before, pred_after, top=top)
        return cls(pairs).plot(names=names, ax=ax)

    @classmethod
    def from_estimator(
        cls,
        before: Any,
        X: Any,
        y: ArrayLike,
        after: Any = None,
        *,
        top: int = 15,
        names: tuple[str, str] = ("before", "after"),
        ax: Axes | None = None,
    ) -> ConfusionPairsDisplay:
        """Draw the confusions of one or two fitted classifiers.

        Parameters
        ----------
        before : fitted classifier
        X : sequence of str, length n_texts
        y : array-like of str or int, shape (n_texts,)
        after : fitted classifier, default=None
        top, names, ax
            As for :meth:`from_predictions`.

        Returns
        -------
        ConfusionPairsDisplay
        """
        pred_after = None if after is None else after.predict(X)
        return cls.from_predictions(y, before.predict(X), pred_after, top=top, names=names, ax=ax)

    def plot(
        self, *, names: tuple[str, str] = ("before", "after"), ax: Axes | None = None
    ) -> ConfusionPairsDisplay:
        """Draw the pairs, the hardest one on top.

        Parameters
        ----------
        names : tuple of two str, default=("before", "after")
            Names of the two models in the legend.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure that is as high as the pairs need.

        Returns
        -------
        ConfusionPairsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If no pair is confused.
        """
        plt = import_pyplot()
        from matplotlib.ticker import MaxNLocator

        pairs = self.pairs
        if pairs.empty:
            raise ValueError("No classes are confused, so there is nothing to draw.")
        if ax is None:
            _, ax = plt.subplots(figsize=(7.5, 1.2 + 0.36 * len(pairs)), layout="constrained")
        rows = range(len(pairs))
        if "after" in pairs:
            ax.hlines(rows, pairs["before"], pairs["after"], color=GREY, linewidth=2, zorder=1)
        ax.scatter(pairs["before"], rows, s=80, color=ORANGE, label=names[0], zorder=2)
        if "after" in pairs:
            # Smaller and of another shape: both stay visible where they coincide.
            ax.scatter(pairs["after"], rows, s=26, color=BLUE, marker="s", label=names[1], zorder=3)
            ax.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
        labels = [f"{a}\n{b}" for a, b in zip(pairs["first"], pairs["second"], strict=True)]
        label_ticks(ax, "y", rows, labels, size=8)
        ax.set_ylim(len(pairs) - 0.4, -0.6)
        ax.set_xlabel("texts of either class mistaken for the other")
        most = pairs.drop(columns=["first", "second"]).to_numpy().max()
        ax.set_xlim(-0.02 * most, 1.05 * most)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
        self.ax_, self.figure_ = ax, ax.figure
        return self
