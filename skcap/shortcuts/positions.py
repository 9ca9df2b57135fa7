"""Where shortcuts stand in texts: of an audit, a table edited by hand, or a list of words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from skcap.shortcuts.patterns import PATTERNS
from skcap.utils.words import check_texts, listed_form, split_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KINDS", "check_shortcuts", "match_shortcuts", "shortcut_positions"]

_YES, _NO = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
_SAID = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
KINDS = ("word", "phrase", "first", "last", "pattern")


def check_shortcuts(shortcuts: Any) -> pd.DataFrame:
    """Validate a table or a list of shortcuts.

    Parameters
    ----------
    shortcuts : pandas.DataFrame, or iterable of str
        ``ShortcutAudit(...).fit(X, y).shortcuts_``, that table edited, or a list of words. A table
        needs the column `word`. Its column `kind` says what `word` is; where that is missing or
        empty, several words are a phrase:

        - "word": a word, wherever it stands;
        - "first", "last": a word where it begins or ends a text;
        - "phrase": two words or more in a row, with spaces between them;
        - "pattern": a pattern's name, such as "number at the end".

        Its column `label` names the class that the shortcut goes with, None where it is missing or
        not known. Of a column `shortcut`, as ``words_`` of an audit has it, only rows that say yes
        (True, "yes", "true" or 1, in any case) are taken.

    Returns
    -------
    pandas.DataFrame, shape (n_shortcuts, n_columns)
        With the columns `word`, `label`, `kind`, and what else the table had, rows numbered from 0.
        Words are in the form in which they are compared: lower case, no punctuation, unless they
        are nothing else.

    Raises
    ------
    TypeError
        If `shortcuts` is a single string, an iterator or a mapping, or a word is not a string.
    ValueError
        If a column or a word is missing, a kind or a pattern is not known, a row is there twice, or
        `shortcut` says neither yes nor no.

    Examples
    --------
    >>> from skcap.shortcuts import check_shortcuts
    >>> check_shortcuts(["Florence:", "sent from"])
            word label    kind
    0   florence  None    word
    1  sent from  None  phrase
    """
    import pandas as pd

    if isinstance(shortcuts, pd.DataFrame):
        table = shortcuts.reset_index(drop="word" in shortcuts)
        if "word" not in table:
            raise ValueError(
                f"shortcuts must have a column 'word', got {list(map(str, shortcuts.columns))}."
            )
    elif isinstance(shortcuts, Iterable) and not isinstance(shortcuts, str | Iterator | Mapping):
        table = pd.DataFrame({"word": pd.Series(list(shortcuts), dtype=object)})
    else:
        raise TypeError(
            "shortcuts must be a table or a list of words, got "
            f"{shortcuts!r:.60} ({type(shortcuts).__name__})."
        )
    if "shortcut" in table:
        chosen = [_says_yes(*pair) for pair in zip(table["shortcut"], table["word"], strict=True)]
        table = table[np.array(chosen, dtype=bool)].reset_index(drop=True)
    for column in ("label", "kind"):
        if column not in table:
            table[column] = pd.Series([None] * len(table), dtype=object)
    usual = pd.Series([_usual_kind(word) for word in table["word"]], dtype=object)
    is_given = table["kind"].notna() & (table["kind"] != "")
    kinds = table["kind"].astype(object).where(is_given, usual)
    words = [_check_word(*pair) for pair in zip(table["word"], kinds, strict=True)]
    table = table.assign(word=pd.Series(words, dtype=object), kind=kinds)
    twice = table.duplicated(["word", "kind"])
    if twice.any():
        raise ValueError(f"shortcuts must list each word once; {words[twice.argmax()]!r} is twice.")
    return table[["word", "label", "kind", *table.columns.difference(["word", "label", "kind"])]]


def _says_yes(value: Any, word: Any) -> bool:
    """Read a cell of the column `shortcut`, as pandas and as spreadsheets write it."""
    said = str(value).strip().lower()
    if said not in _SAID:
        raise ValueError(
            f"The column 'shortcut' must say yes or no, got {value!r:.40} for the word "
            f"{word!r:.40}."
        )
    return _SAID[said]


def _usual_kind(word: Any) -> str:
    """Say what a word is that comes without its kind."""
    return "phrase" if isinstance(word, str) and len(split_words(word)) > 1 else "word"


def _check_word(word: Any, kind: Any) -> str:
    """Bring one shortcut's word to the form in which words are compared."""
    if not isinstance(word, str):
        raise TypeError(
            f"shortcuts must hold words as str, got {word!r:.60} ({type(word).__name__}). Of a CSV "
            "file, read_csv(..., dtype=str, keep_default_na=False) keeps words such as 7 and null."
        )
    if kind not in KINDS:
        raise ValueError(f"The kind of the shortcut {word!r} must be one of {KINDS}, got {kind!r}.")
    if kind == "pattern":
        # A text's length is a pattern, too, with limits in its name; it shows in no word.
        if word not in PATTERNS and not word.startswith(("at most ", "at least ")):
            raise ValueError(f"{word!r} is not a pattern; patterns are {', '.join(PATTERNS)}.")
        return word
    parts = [listed_form(part) for part in split_words(word)]
    if kind == "phrase" and len(parts) < 2:
        raise ValueError(f"A phrase must be two words or more, got {word!r}. Call it a 'word'.")
    if kind != "phrase" and len(parts) != 1:
        raise ValueError(
            f"A shortcut of kind {kind!r} must be one word, got {word!r}. Several words in a row "
            "are of the kind 'phrase'."
        )
    return " ".join(parts)


def match_shortcuts(texts: Any, shortcuts: Any) -> list[np.ndarray]:
    """Find which shortcut each word of some texts belongs to.

    Parameters
    ----------
    texts : list, tuple, 1-D array, Series or PriorMatrix of str, length n_texts
    shortcuts : pandas.DataFrame, or iterable of str
        See :func:`check_shortcuts`.

    Returns
    -------
    list of int64 ndarrays, length n_texts, shape (n_words of the text,) each
        The row of ``check_shortcuts(shortcuts)``, counted from 0; -1 for a word that belongs to
        none. Of several, the first row counts. Shortcuts within a word (casing, attached
        punctuation) and the length of a text have no words of their own, and are not found.

    Examples
    --------
    >>> from skcap.shortcuts import match_shortcuts
    >>> match_shortcuts(["Bob: play jazz", "play bob"], ["bob", "jazz"])
    [array([ 0, -1,  1]), array([-1,  0])]
    """
    table = check_shortcuts(shortcuts)
    rows = {pair: row for row, pair in enumerate(zip(table["kind"], table["word"], strict=True))}
    sizes = sorted({len(word.split()) for kind, word in rows if kind == "phrase"})
    return [_match(split_words(text), rows, sizes) for text in check_texts(texts, "texts")]


def _match(words: list[str], rows: dict[tuple[str, str], int], sizes: list[int]) -> np.ndarray:
    """Find the shortcuts in one text; `sizes` are the numbers of words that phrases have."""
    n_rows = len(rows)
    found = np.full(len(words), n_rows, dtype=np.int64)

    def note(kind: str, word: str, *places: int) -> None:
        row = rows.get((kind, word), n_rows)
        for place in places:
            found[place] = min(found[place], row)

    forms = [listed_form(word) for word in words]
    for place, word in enumerate(forms):
        note("word", word, place)
        for size in sizes:
            phrase = forms[place : place + size]
            note("phrase", " ".join(phrase), *range(place, place + len(phrase)))
    if words:
        note("first", forms[0], 0)
        note("last", forms[-1], -1)
        for name, pattern in PATTERNS.items():
            if pattern.whole and ("pattern", name) in rows:
                note("pattern", name, *pattern.find(words))
    return np.where(found == n_rows, -1, found)


def shortcut_positions(texts: Any, shortcuts: Any) -> list[np.ndarray]:
    """Find the words of some texts that are shortcuts.

    Parameters
    ----------
    texts : list, tuple, 1-D array, Series or PriorMatrix of str, length n_texts
    shortcuts : pandas.DataFrame, or iterable of str
        See :func:`check_shortcuts`.

    Returns
    -------
    list of bool ndarrays, length n_texts, shape (n_words of the text,) each
        See :func:`match_shortcuts`, which also says which shortcut a word belongs to.

    Examples
    --------
    >>> from skcap.shortcuts import shortcut_positions
    >>> shortcut_positions(["Bob: play jazz", "play bob"], ["bob"])
    [array([ True, False, False]), array([False,  True])]
    """
    return [rows >= 0 for rows in match_shortcuts(texts, shortcuts)]
