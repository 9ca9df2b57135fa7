"""Marks that are no word of their own: numbers, punctuation, capitals, and the length of a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["PATTERNS", "Pattern", "length_patterns", "name_shape"]

_NUMBER = re.compile(r"\W*\d[\d.,:/-]*+\W*")  # takes no sign back: there may be thousands
_TAIL = 0.1  # share of the texts that count as short, and as long


@dataclass(frozen=True)
class Pattern:
    """A mark that a text shows or does not.

    Attributes
    ----------
    name : str
    find : callable
        From the words of a text, at least one, to the positions of those that show the mark; none
        where the text does not show it.
    remove : callable or None
        From such a word to the same word without the mark, "" if nothing is left. None where the
        mark cannot be taken away from a word.
    insert : callable or None
        From the words of another text and a word that shows the mark to words that show it.
    whole : bool
        Whether these words are the mark itself, so that a prior's scores of them speak of it.
    """

    name: str
    find: Callable[[list[str]], list[int]]
    remove: Callable[[str], str] | None = None
    insert: Callable[[list[str], str], list[str]] | None = None
    whole: bool = False


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None


def _is_tag(word: str) -> bool:
    return len(word) > 1 and word.endswith(":")


def _is_loud(word: str) -> bool:
    return word.isupper() and sum(map(str.isalpha, word)) > 1


def _drop(word: str) -> str:
    return ""


def _at_start(words: list[str], mark: str) -> list[str]:
    return [mark, *words]


def _at_end(words: list[str], mark: str) -> list[str]:
    return [*words, mark]


def _ending(sign: str) -> Callable[[list[str], str], list[str]]:
    return lambda words, mark: [*words[:-1], words[-1].rstrip(".!?") + sign]


def _shout(words: list[str], mark: str) -> list[str]:
    longest = max(range(len(words)), key=lambda place: len(words[place]))
    return [word.upper() if place == longest else word for place, word in enumerate(words)]


def _capitalise(words: list[str], mark: str) -> list[str]:
    return [words[0][:1].upper() + words[0][1:], *words[1:]]


def _first_if(test: Callable[[str], bool]) -> Callable[[list[str]], list[int]]:
    return lambda words: [0] if test(words[0]) else []


def _last_if(test: Callable[[str], bool]) -> Callable[[list[str]], list[int]]:
    return lambda words: [len(words) - 1] if test(words[-1]) else []


def _every(test: Callable[[str], bool]) -> Callable[[list[str]], list[int]]:
    return lambda words: [place for place, word in enumerate(words) if test(word)]


def name_shape(form: str) -> str:
    """Name the shape of a word as it is written: "number", "tag" (it ends in a colon) or "word"."""
    return "number" if _is_number(form) else "tag" if _is_tag(form) else "word"


#: By name, as in the column `word` of shortcuts of kind "pattern".
PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("number at the start", _first_if(_is_number), _drop, _at_start, whole=True),
        Pattern("number at the end", _last_if(_is_number), _drop, _at_end, whole=True),
        Pattern("tag at the start", _first_if(_is_tag), _drop, _at_start, whole=True),
        Pattern(
            "exclamation mark",
            _every(lambda word: "!" in word),
            lambda word: word.replace("!", ""),
            _ending("!"),
        ),
        Pattern(
            "question mark",
            _every(lambda word: "?" in word),
            lambda word: word.replace("?", ""),
            _ending("?"),
        ),
        Pattern("word in capitals", _every(_is_loud), str.lower, _shout),
        Pattern(
            "capital at the start",
            _first_if(lambda word: word[:1].isupper()),
            lambda word: word[:1].lower() + word[1:],
            _capitalise,
        ),
    )
}


def length_patterns(n_words: np.ndarray) -> list[Pattern]:
    """Name the shortest and the longest tenth of the texts, as patterns.

    They show in no word, and no word can be taken away or put in to change them alone.

    Parameters
    ----------
    n_words : ndarray of int, shape (n_texts,)

    Returns
    -------
    list of Pattern, length 2
        `find` gives all positions of such a text.
    """
    short, long = np.quantile(n_words, [_TAIL, 1 - _TAIL]).astype(int).tolist()
    return [
        Pattern(
            f"at most {short} words",
            lambda words: list(range(len(words))) if len(words) <= short else [],
        ),
        Pattern(
            f"at least {long} words",
            lambda words: list(range(len(words))) if len(words) >= long else [],
        ),
    ]
