"""Errors that a second model corrects and makes, by the words that confused labels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.inspection.errors import corrected_by_lexical_overlap
from skcap.inspection.plots._matplotlib import BLUE, GREY, ORANGE, import_pyplot, label_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["CorrectionsDisplay"]

_BARS = (
    ("wrong_before", "wrong before", GREY),
    ("corrected", "of these, corrected", BLUE),
    ("newly_wrong", "newly wrong", ORANGE),
)


class CorrectionsDisplay:
    """Bar plot of the errors of a first model, corrected ones and new ones, by shared label words.

    Parameters
    ----------
    cases : pandas.DataFrame
        As :func:`skcap.inspection.corrected_by_lexical_overlap` returns it.

    Attributes
    ----------
    cases : pandas.DataFrame
    ax_, figure_ : matplotlib Axes and Figure
        After :meth:`plot`.

    Examples
    --------
    >>> from skcap.inspection.plots import CorrectionsDisplay
    >>> display = CorrectionsDisplay.from_predictions(
    ...     ["card_lost", "card_lost"], ["card_fee", "top_up"], ["card_lost", "top_up"]
    ... )
    >>> display.cases["corrected"].tolist()
    [0, 1]
    """

    def __init__(self, cases: pd.DataFrame) -> None:
        self.cases = cases

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        pred_before: ArrayLike,
        pred_after: ArrayLike,
        label_names: Mapping[Any, str] | None = None,
        *,
        by: str = "words",
        ax: Axes | None = None,
    ) -> CorrectionsDisplay:
        """Draw the corrections that one model's predictions make to another's.

        Parameters
        ----------
        y_true, pred_before, pred_after : array-like of str or int, shape (n_texts,)
        label_names, by
            As for :func:`skcap.inspection.corrected_by_lexical_overlap`.
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        CorrectionsDisplay
        """
        cases = corrected_by_lexical_overlap(y_true, pred_before, pred_after, label_names, by=by)
        return cls(cases).plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> CorrectionsDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            None makes a figure.

        Returns
        -------
        CorrectionsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot()
        from matplotlib.ticker import MaxNLocator

        levels = np.arange(len(self.cases))
        if ax is None:
            _, ax = plt.subplots(figsize=(max(5.5, 1.1 * len(levels)), 4), layout="constrained")
        for place, (column, name, color) in enumerate(_BARS):
            bars = ax.bar(
                levels + 0.28 * (place - 1), self.cases[column], 0.26, color=color, label=name
            )
            ax.bar_label(bars, size=8, padding=1)
        label_ticks(ax, "x", levels, self.cases.index)
        by_words = self.cases.index.name == "shared_words"
        ax.set_xlabel(
            "words that the true and the wrong label share"
            if by_words
            else "share of words that the true and the wrong label have in common"
        )
        ax.set_ylabel("texts")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(y=0.1)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
