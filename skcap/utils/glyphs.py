"""Text that matplotlib can draw with its present fonts."""

from __future__ import annotations

import unicodedata

__all__ = ["drawable"]

_STAND_IN = "\N{WHITE SQUARE}"  # for a character that no font has


def drawable(text: str) -> str:
    """Replace characters that the font lacks: matplotlib would warn each time it draws them.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Never empty.

    Examples
    --------
    >>> from skcap.utils.glyphs import drawable
    >>> drawable("fire \N{FIRE}") == "fire \N{WHITE SQUARE}"
    True
    """
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
