"""What the plots share: the import of matplotlib, colours, ticks and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skcap.utils.glyphs import drawable
from skcap.utils.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The blue and the orange of skcap.utils.html, which are safe for the colour-blind, and lighter
# shades of them, on which black words stay legible.
BLUE, ORANGE, GREY = "#0072b2", "#e67e00", "#a6a6a6"
LIGHT_BLUE, LIGHT_ORANGE, LIGHT_GREY = "#59a3cd", "#f0ac59", "#d9d9d9"

SHADES = "Blues"  # more is darker, none is white


def import_pyplot() -> Any:
    """Import matplotlib's pyplot, or say how to install it."""
    return import_optional("matplotlib.pyplot", "plots", "Plots need")


def label_ticks(ax: Axes, axis: str, places: Any, labels: Any, **style: Any) -> None:
    """Label ticks with plain text: a dollar sign starts no formula."""
    ticks = {"x": ax.set_xticks, "y": ax.set_yticks}[axis]
    lines = [[drawable(line) for line in str(label).split("\n")] for label in labels]
    ticks(places, ["\n".join(line) for line in lines], parse_math=False, **style)


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Return the present width and height of axes, in points."""
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return 72 * box.width, 72 * box.height
