"""Words: the only word splitter of the package, and the map from a model's tokens to words.

All priors, attributions and metrics refer to *whitespace-separated words by position*, because
words repeat, and because sub-words differ from one model to the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Affixes",
    "align_tokens",
    "bare",
    "check_encodable",
    "check_some_texts",
    "check_texts",
    "is_encodable",
    "is_mark",
    "show_surrogates",
    "split_affixes",
    "split_words",
]

_WORD = re.compile(r"\S+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def split_words(text: str) -> list[str]:
    """Split a text into the words that scores belong to.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
        The runs of characters that are no white space, as ``str.split()`` gives them. An empty or
        blank text has none.

    Examples
    --------
    >>> from skcap.utils.words import split_words
    >>> split_words("  where is my card? ")
    ['where', 'is', 'my', 'card?']
    """
    return text.split()


def check_texts(X: Any, name: str = "X") -> list[str]:
    """Check a collection of texts and return it as a list of ``str``.

    Parameters
    ----------
    X : list, tuple, 1-D array, pandas Series or PriorMatrix of str
    name : str, default="X"
        How the error messages call the argument.

    Returns
    -------
    list of str, length n_texts

    Raises
    ------
    TypeError
        If `X` is a single string, a generator, a set or a mapping, or any item is not a string.
    ValueError
        If `X` is not one-dimensional.

    Examples
    --------
    >>> from skcap.utils.words import check_texts
    >>> check_texts(("book a table", "play jazz"))
    ['book a table', 'play jazz']
    """
    if isinstance(X, str):
        raise TypeError(f"{name} is a single string; pass a list of texts, as in {name}=[text].")
    # Of the type, since a Series or a table may have a row or a column of that name.
    texts = X.texts if hasattr(type(X), "texts") else X
    shape = getattr(texts, "shape", None)
    if shape is not None and len(shape) != 1:
        raise ValueError(
            f"{name} must be one-dimensional (one text per row), got shape {tuple(shape)}. "
            f"Select the text column first, as in df['text'] or {name}.ravel()."
        )
    if not isinstance(texts, Iterable):
        raise TypeError(f"{name} must be a collection of texts, got {type(X).__name__}.")
    if isinstance(texts, Iterator):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which can be read only once; pass a list, as in "
            f"{name}=list(texts)."
        )
    if isinstance(texts, Mapping | Set):
        raise TypeError(
            f"{name} is a {type(X).__name__}, which does not say which text is in which row; pass "
            "a list of texts."
        )
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"{name} must hold strings only; row {row} is {type(text).__name__} "
                f"({text!r:.60}). {_advice_on(text)}"
            )
    return [str.__str__(text) for text in texts]  # of an enumeration's members, the text


def check_some_texts(X: Any) -> list[str]:
    """Check a collection of texts, as :func:`check_texts` does, that must not be empty.

    Parameters
    ----------
    X : list, tuple, 1-D array, pandas Series or PriorMatrix of str

    Returns
    -------
    list of str, length n_texts

    Raises
    ------
    TypeError, ValueError
        As :func:`check_texts`, or if there are no texts.

    Examples
    --------
    >>> from skcap.utils.words import check_some_texts
    >>> check_some_texts([])
    Traceback (most recent call last):
        ...
    ValueError: X holds no texts; at least one is needed.
    """
    texts = check_texts(X)
    if not texts:
        raise ValueError("X holds no texts; at least one is needed.")
    return texts


def _advice_on(value: Any) -> str:
    """Say what to do about what should be a text."""
    is_missing = value is None or (isinstance(value, float) and value != value)
    if is_missing or type(value).__name__ in ("NAType", "NaTType"):
        return "Fill in or drop missing texts first."
    if isinstance(value, bytes):
        return "Decode it, as in text.decode()."
    return "Each row must be one text; make strings of them first, as in str(text)."


def is_encodable(text: str) -> bool:
    r"""Whether a text is valid Unicode: it holds no half of a surrogate pair.

    Examples
    --------
    >>> from skcap.utils.words import is_encodable
    >>> is_encodable("play jazz"), is_encodable("play \ud83d")
    (True, False)
    """
    return text.isascii() or _SURROGATE.search(text) is None


def show_surrogates(text: str) -> str:
    r"""Write lone surrogates as escapes, so that the text can be encoded as UTF-8.

    Examples
    --------
    >>> from skcap.utils.words import show_surrogates
    >>> print(show_surrogates("play \ud83d"))
    play \ud83d
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_encodable(texts: Iterable[str], name: str = "X") -> None:
    r"""Check that texts are valid Unicode, which tokenizers need.

    Parameters
    ----------
    texts : iterable of str
    name : str, default="X"
        How the error message calls the argument.

    Raises
    ------
    ValueError
        If a text holds half of a surrogate pair: a character that was cut in two when bytes or
        escapes were decoded. Names the row.

    Examples
    --------
    >>> from skcap.utils.words import check_encodable
    >>> check_encodable(["play jazz", "play \ud83d"])
    Traceback (most recent call last):
        ...
    ValueError: X must hold valid Unicode, but row 1 holds the lone surrogate '\ud83d' ...
    """
    for row, text in enumerate(texts):
        if not text.isascii() and (found := _SURROGATE.search(text)):
            raise ValueError(
                f"{name} must hold valid Unicode, but row {row} holds the lone surrogate "
                f"{found.group()!r} ({text!r:.80}), which no tokenizer can read. Repair it, as in "
                "text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')."
            )


def align_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Map each token of a tokenizer to the word that it belongs to.

    A token belongs to the word of its last character that is no white space. So a leading space,
    which byte-level tokenizers count as part of the token, never assigns it to the word before.

    Parameters
    ----------
    text : str
    offsets : sequence of (start, end), length n_tokens
        Span of each token in the characters of `text`; special and padding tokens have empty spans.

    Returns
    -------
    ndarray of int64, shape (n_tokens,)
        Position of the word; -1 for a token that belongs to none.

    Examples
    --------
    >>> from skcap.utils.words import align_tokens
    >>> align_tokens("my cards", [(0, 0), (0, 2), (2, 7), (7, 8), (0, 0)])
    array([-1,  0,  1,  1, -1])
    """
    spans = np.asarray(offsets, dtype=np.int64).reshape(-1, 2)
    words = np.full(len(spans), -1, dtype=np.int64)
    if not text:
        return words
    word_of_char = np.full(len(text), -1, dtype=np.int64)
    for position, match in enumerate(_WORD.finditer(text)):
        word_of_char[match.start() : match.end()] = position
    # The last character at or before each one that is part of a word.
    last = np.maximum.accumulate(np.where(word_of_char >= 0, np.arange(len(text)), -1))
    starts, ends = spans.T
    last_of_token = last[np.maximum(ends, 1) - 1]
    inside = (ends > starts) & (last_of_token >= starts)
    words[inside] = word_of_char[last_of_token[inside]]
    return words


class Affixes(NamedTuple):
    """A word in three parts: punctuation before it, the word itself in its own case, the rest.

    Examples
    --------
    >>> from skcap.utils.words import Affixes
    >>> Affixes(lead="(", core="card", trail=")?").core
    'card'
    """

    lead: str
    core: str
    trail: str


def split_affixes(word: str) -> Affixes:
    r"""Split punctuation, and possessive endings, off a word.

    A vowel sign or an accent that is a character of its own belongs to the letter before it.

    Examples
    --------
    >>> from skcap.utils.words import split_affixes
    >>> split_affixes('("Card\'s"?')
    Affixes(lead='("', core='Card', trail='\'s"?')
    """
    start, end = 0, len(word)
    while start < end and not word[start].isalnum():
        start += 1
    end = _end_of_core(word, start, end)
    while word[start:end].lower().endswith(("'s", "\u2019s")):
        end = _end_of_core(word, start, end - 2)
    return Affixes(word[:start], word[start:end], word[end:])


def _end_of_core(word: str, start: int, end: int) -> int:
    """Find where the last letter or digit before `end` ends, with the marks that it carries."""
    last = end
    while last > start and not word[last - 1].isalnum():
        last -= 1
    if last > start:
        while last < end and is_mark(word[last]):
            last += 1
    return last


def is_mark(character: str) -> bool:
    """Whether a character is a part of the letter before it, and no hint at how to draw it.

    Examples
    --------
    >>> from skcap.utils.words import is_mark
    >>> [is_mark(character) for character in ("e", "\N{COMBINING ACUTE ACCENT}", "\ufe0f")]
    [False, True, False]
    """
    is_variation = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return unicodedata.category(character) in ("Mn", "Mc") and not is_variation


def listed_form(word: str) -> str:
    """Give the form in which lists name a word: bare, or as it is where nothing else is left.

    Examples
    --------
    >>> from skcap.utils.words import listed_form
    >>> [listed_form(word) for word in ["Florence:", "***"]]
    ['florence', '***']
    """
    return bare(word) or word


def bare(word: str) -> str:
    """Give the form in which words are compared: lower case, no punctuation, no possessive ending.

    Accented letters are composed (Unicode's NFC), however they were typed. The bare form of a bare
    form is itself.

    Examples
    --------
    >>> from skcap.utils.words import bare
    >>> [bare(word) for word in ["Card's?", "(top-up)", "don’t", "-"]]
    ['card', 'top-up', "don't", '']
    """
    core = split_affixes(word).core.lower()
    if not core.isascii():
        core = unicodedata.normalize("NFC", core).replace("\u2019", "'")
    return core
