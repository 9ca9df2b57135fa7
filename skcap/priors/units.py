"""Units: what is removed from a text at a time, a word or several words in a row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skcap.utils.words import split_words

__all__ = ["UNITS", "Splitter", "find_units", "spread_scores"]

Splitter = Callable[[str], Sequence[str]]
"""Takes a text and returns its pieces in order."""

_CLOSING = r"[\"'\u201d\u2019\u00bb)\]}]*$"
# The last word of a unit, in Latin and in East Asian punctuation. A colon or a dash ends a clause,
# a hyphen inside of a word does not.
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f]" + _CLOSING)
_CLAUSE_END = re.compile(
    r"[.!?\u2026\u3002\uff01\uff1f,;:\uff0c\uff1b\uff1a\u2014\u2013]" + _CLOSING + "|^-+$"
)

UNITS = ("word", "clause", "sentence")


def find_units(text: str, unit: str | Splitter) -> np.ndarray:
    """Find the unit that each word of a text belongs to.

    Parameters
    ----------
    text : str
    unit : {"word", "clause", "sentence"} or callable
        Sentences end with ``.``, ``!``, ``?`` or a line; clauses also with ``,``, ``;``, ``:`` or
        a dash. A callable takes the text and returns its pieces, in order: strings that give the
        text if they are put together, white space aside. A word that is cut belongs to the piece
        that its last character is in.

    Returns
    -------
    ndarray of int64, shape (n_words,)
        From 0, in order. A text that is a single unit is split into words, since nothing could be
        told from one unit.

    Raises
    ------
    TypeError, ValueError
        If a callable returns something else than the pieces of the text.

    Examples
    --------
    >>> from skcap.priors.units import find_units
    >>> text = "Hello, I am Ann. My card is lost."
    >>> find_units(text, "sentence")
    array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> find_units(text, "clause")
    array([0, 1, 1, 1, 2, 2, 2, 2])
    >>> find_units(text, lambda text: text.split("lost"))
    Traceback (most recent call last):
        ...
    ValueError: unit must return the pieces of the text, all of it and in order, but for 'Hello, ...
    """
    n_words = len(split_words(text))
    if unit == "word" or n_words < 2:
        return np.arange(n_words)
    if callable(unit):
        units = _units_of_pieces(text, unit(text))
    else:
        units = _units_by_marks(text, _SENTENCE_END if unit == "sentence" else _CLAUSE_END)
    return units if units[-1] > 0 else np.arange(n_words)


def _units_by_marks(text: str, end: re.Pattern[str]) -> np.ndarray:
    """Begin a unit after a word with an end mark, and on a new line."""
    ends = [
        [end.search(word) is not None for word in words[:-1]] + [True]
        for words in map(split_words, text.splitlines())
        if words
    ]
    flags = list(itertools.chain(*ends))
    return np.cumsum([0, *flags[:-1]])


def _units_of_pieces(text: str, pieces: Any) -> np.ndarray:
    is_list = isinstance(pieces, list | tuple)
    if not is_list or not all(isinstance(piece, str) for piece in pieces):
        raise TypeError(
            f"unit must return a list of str, the pieces of the text, but for {text!r:.60} it "
            f"returned {pieces!r:.60}."
        )
    words = split_words(text)
    letters = ["".join(split_words(piece)) for piece in pieces]
    if "".join(letters) != "".join(words):
        raise ValueError(
            "unit must return the pieces of the text, all of it and in order, but for "
            f"{text!r:.60} it returned {list(pieces)!r:.80}."
        )
    word_ends = np.cumsum([len(word) for word in words])
    piece_ends = np.cumsum([len(piece) for piece in letters])
    # A piece may hold the end of no word; then its number is left out.
    return np.unique(np.searchsorted(piece_ends, word_ends), return_inverse=True)[1].reshape(-1)


def spread_scores(scores: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Share the score of each unit among its words.

    Parameters
    ----------
    scores : ndarray of float, shape (n_units,)
    units : ndarray of int64, shape (n_words,)
        As :func:`find_units` numbers them.

    Returns
    -------
    ndarray of float, shape (n_words,)
        Equal shares, which add up to the unit's score.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.priors.units import spread_scores
    >>> spread_scores(np.array([1.0, 6.0]), np.array([0, 1, 1, 1]))
    array([1., 2., 2., 2.])
    """
    return (scores / np.bincount(units, minlength=len(scores)))[units]
