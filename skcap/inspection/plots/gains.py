"""Gains of one method over others: every split, the mean and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from skcap.inspection.intervals import Interval
from skcap.inspection.plots._matplotlib import BLUE, GREY, import_pyplot, label_ticks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_gains"]


def plot_gains(
    gains: pd.DataFrame,
    intervals: Mapping[str, Interval],
    metric: str,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line per control, the first on top; gains are to the right of zero.

    Parameters
    ----------
    gains : pandas.DataFrame, shape (n_splits, n_controls)
        Guided less control.
    intervals : mapping of control to Interval
    metric : str
        Name of the score.
    ax : matplotlib.axes.Axes or None, default=None
        None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = import_pyplot()
    if ax is None:
        size = (6, 1.4 + 0.6 * len(gains.columns))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    ax.axvline(0, color=GREY, linewidth=1, zorder=1)
    for row, control in enumerate(gains.columns):
        mean, low, high = intervals[control]
        ax.scatter(gains[control], [row + 0.22] * len(gains), s=14, color=GREY, zorder=2)
        ax.errorbar(
            mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=BLUE, capsize=4, zorder=3
        )
    labels = [f"guided - {control}" for control in gains.columns]
    label_ticks(ax, "y", range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlabel(f"gain in {metric} (95 % interval; grey: {len(gains)} splits)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
