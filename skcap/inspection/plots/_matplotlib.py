"""What the plots share: the import of matplotlib, colours, and text that is safe to draw."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from skcap.utils.optional import import_optional

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The blue and the orange of skcap.utils.html, which are safe for the colour-blind, and lighter
# shades of them, on which black words stay legible.
BLUE, ORANGE, GREY = "#0072b2", "#e67e00", "#a6a6a6"
LIGHT_BLUE, LIGHT_ORANGE, LIGHT_GREY = "#59a3cd", "#f0ac59", "#d9d9d9"

SHADES = "Blues"  # more is darker, none is white

_STAND_IN = "\N{WHITE SQUARE}"  # for a character that no font has


def import_pyplot() -> Any:
    """Import matplotlib's pyplot, or say how to install it."""
    return import_optional("matplotlib.pyplot", "plots", "Plots need")


def drawable(text: str) -> str:
    """Replace characters that the font lacks: matplotlib would warn each time it draws them."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    families = FontProperties().get_family()
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families]

    def show(character: str) -> str:
        if any(font.get_char_index(ord(character)) for font in fonts):
            return character
        invisible = unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"
        return "" if invisible else _STAND_IN

    # Not empty: a word of invisible characters needs its place, too.
    return "".join(show(character) for character in text) or _STAND_IN


def label_ticks(ax: Axes, axis: str, places: Any, labels: Any, **style: Any) -> None:
    """Label ticks with plain text: a dollar sign starts no formula."""
    ticks = {"x": ax.set_xticks, "y": ax.set_yticks}[axis]
    lines = [[drawable(line) for line in str(label).split("\n")] for label in labels]
    ticks(places, ["\n".join(line) for line in lines], parse_math=False, **style)


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Return the present width and height of axes, in points."""
    box = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    return 72 * box.width, 72 * box.height
