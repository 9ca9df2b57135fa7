"""An audit as a page and as a plot."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcap.shortcuts.wording import describe
from skcap.utils.glyphs import drawable
from skcap.utils.html import html_table, page
from skcap.utils.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["audit_page", "plot_audit"]

_HEADER = {
    "word": "word",
    "kind": "kind",
    "label": "class",
    "n_texts": "texts",
    "purity": "of that class",
    "z": "z",
    "log_odds": "log odds",
    "flips": "flips",
    "loss": "loss",
    "explained": "model",
    "prior": "prior",
    "q": "q",
}


def audit_page(words: pd.DataFrame, summary: str, most: int) -> str:
    """Show an audit as one standalone page.

    Parameters
    ----------
    words : pandas.DataFrame
        ``ShortcutAudit.words_``.
    summary : str
    most : int
        Candidates in the table of all of them.

    Returns
    -------
    str
        A complete HTML document.
    """
    tested = words[words["tested"]]
    items = "".join(
        f"<li>{escape(describe(row))}</li>" for row in words[words["shortcut"]].to_dict("records")
    )
    left_out = len(tested) - most
    note = f"<p><small>{left_out} more are not shown.</small></p>" if left_out > 0 else ""
    return page(
        "Shortcuts",
        ("", f"<p>{escape(summary)}</p>"),
        *([("What was found", f"<ul>{items}</ul>")] if items else []),
        ("All candidates that were tested", _table(tested.head(most)) + note + _legend()),
    )


def _table(rows: pd.DataFrame) -> str:
    columns = [name for name in _HEADER if name in rows]
    cells = map(_cells, rows[columns].itertuples(index=False))
    return html_table([_HEADER[name] for name in columns], cells)


def _cells(row: Iterable[Any]) -> list[str]:
    return [
        ("" if np.isnan(cell) else f"{cell:.2g}") if isinstance(cell, float) else str(cell)
        for cell in row
    ]


def _legend() -> str:
    said = [
        "z: statistic of the association (Gardner et al., 2021).",
        "Log odds, flips: what the word does where it is put into texts of other classes; loss: "
        "what the probability of the class falls by where it is taken away.",
        "Prior: the word's share of all that the prior attributes in its texts.",
        "q: the share of false findings to expect if all up to this one are flagged.",
    ]
    return "".join(f"<p><small>{escape(line)}</small></p>" for line in said)


def plot_audit(words: pd.DataFrame, ax: Axes | None, most_names: int) -> Axes:
    """Draw what a model goes by against what a prior says.

    Parameters
    ----------
    words : pandas.DataFrame
        ``ShortcutAudit.words_``.
    ax : matplotlib.axes.Axes or None
    most_names : int
        Shortcuts that are named in the plot.

    Returns
    -------
    matplotlib.axes.Axes
    """
    plt = import_optional("matplotlib.pyplot", "plots", "Plots need")
    axes = {
        "x": ("log_odds", "reliance: log odds of the class, where the word is put in"),
        "y": ("prior", "share in the prior"),
    }
    if "log_odds" not in words:
        axes["x"] = ("z", "association: z-statistic")
    if "prior" not in words:
        axes["y"] = ("purity", "share of its texts that are of the class")
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    (x, x_name), (y, y_name) = axes["x"], axes["y"]
    shown = words[words["tested"]].dropna(subset=[x, y])
    for flagged, color, name in ((False, "#a6a6a6", "not flagged"), (True, "#e67e00", "shortcut")):
        rows = shown[shown["shortcut"] == flagged]
        ax.scatter(rows[x], rows[y], color=color, label=f"{name} ({len(rows)})", s=18)
    for row in shown[shown["shortcut"]].head(most_names).to_dict("records"):
        ax.annotate(
            drawable(row["word"]),
            (row[x], row[y]),
            textcoords="offset points",
            xytext=(3, 3),
            size="small",
            parse_math=False,
        )
    ax.set(xlabel=x_name, ylabel=y_name)
    ax.legend()
    return ax
