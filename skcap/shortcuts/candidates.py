"""What may be a shortcut: words, phrases, places and patterns, and the class each goes with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from skcap.shortcuts.patterns import PATTERNS, Pattern, length_patterns
from skcap.utils.words import bare, split_words

__all__ = ["Candidates", "find_candidates"]

_ALWAYS = 0.9  # share of its texts in which a word begins (or ends) the text, to be named so


class Candidates(NamedTuple):
    """Candidates and where they stand.

    Attributes
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        A row for each candidate, see :func:`find_candidates`.
    places : pandas.DataFrame, shape (n_occurrences, 3)
        Columns `candidate` (row of the table), `text` and `position` (of a word in it); sorted.
    patterns : dict of str to Pattern
        All that were looked for, by name.
    """

    table: pd.DataFrame
    places: pd.DataFrame
    patterns: dict[str, Pattern]


def find_candidates(
    texts: Sequence[str],
    codes: np.ndarray,
    n_classes: int,
    *,
    kinds: Sequence[str],
    min_texts: int,
) -> Candidates:
    """Find what occurs in enough texts of one class, and how strongly it goes with that class.

    Parameters
    ----------
    texts : sequence of str, length n_texts
    codes : ndarray of int, shape (n_texts,)
        Class of each text, from 0.
    n_classes : int
    kinds : sequence of str
        Of :data:`skcap.shortcuts.positions.KINDS`.
    min_texts : int
        Least number of texts of its class that a candidate must be in.

    Returns
    -------
    Candidates
        With the columns `kind` and `word`; `form`, how it is mostly written; `place`, "first" or
        "last" where it nearly always begins or ends a text, else ""; `code`, the class it goes
        with; `n_texts`, in how many texts it is; `n_label`, how many of these are of that class;
        `purity`, the share of these; `z`, the statistic of Gardner et al. (2021) [1]_; and
        `p_association`, the exact hypergeometric p-value times the number of classes, since the
        class was chosen to make it small.

    Notes
    -----
    The z-statistic compares the purity with the share that the class has among all texts, where
    the paper takes one over the number of classes.

    References
    ----------
    .. [1] Gardner, Merrill, Dodge, Peters, Ross, Singh and Smith, "Competency Problems: On Finding
       and Removing Artifacts in Language Data", EMNLP 2021, section 3.
    """
    words = [split_words(text) for text in texts]
    patterns = dict(PATTERNS)
    if "pattern" in kinds and words:
        lengths = np.array([len(row) for row in words])
        patterns |= {pattern.name: pattern for pattern in length_patterns(lengths)}
    places = _occurrences(words, kinds, patterns)
    table, places = _associate(places, codes, n_classes, min_texts)
    table["place"] = _usual_place(places, words, len(table))
    return Candidates(table, places[["candidate", "text", "position"]], patterns)


def _occurrences(
    words: list[list[str]], kinds: Sequence[str], patterns: dict[str, Pattern]
) -> pd.DataFrame:
    """List where each word, phrase, place and pattern occurs."""
    form_of = lru_cache(maxsize=None)(bare)
    found: dict[str, list[tuple[str, str, int, int]]] = {kind: [] for kind in kinds}
    for text, row in enumerate(words):
        bares = [form_of(word) for word in row]
        for kind in kinds:
            found[kind].extend(
                (word, form, text, place)
                for word, form, place in _of_kind(kind, row, bares, patterns)
            )
    columns = ["word", "form", "text", "position"]
    frames = [pd.DataFrame(rows, columns=columns).assign(kind=kind) for kind, rows in found.items()]
    places = pd.concat(frames, ignore_index=True)
    return places.astype({"text": np.int64, "position": np.int64, "word": object, "form": object})


def _of_kind(
    kind: str, row: list[str], bares: list[str], patterns: dict[str, Pattern]
) -> list[tuple[str, str, int]]:
    """List what one text has of a kind: what it is called, how it is written, and where."""
    if kind == "word":
        return [(b, w, place) for place, (b, w) in enumerate(zip(bares, row, strict=True)) if b]
    if kind == "phrase":
        return [
            (f"{bares[i]} {bares[i + 1]}", f"{row[i]} {row[i + 1]}", place)
            for i in range(len(row) - 1)
            if bares[i] and bares[i + 1]
            for place in (i, i + 1)
        ]
    if kind == "pattern":
        return [
            (pattern.name, row[place], place)
            for pattern in (patterns.values() if row else ())
            for place in pattern.find(row)
        ]
    end = 0 if kind == "first" else len(row) - 1
    return [(bares[end], row[end], end)] if row and bares[end] else []


def _associate(
    places: pd.DataFrame, codes: np.ndarray, n_classes: int, min_texts: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep what is in enough texts of a class, and test how it goes with that class."""
    key = places.groupby(["kind", "word"], sort=False).ngroup().to_numpy()
    pairs = np.unique(np.stack([key, places["text"].to_numpy()]), axis=1)
    n_keys = int(key.max(initial=-1)) + 1
    counts = np.zeros((n_keys, n_classes), dtype=np.int64)
    np.add.at(counts, (pairs[0], codes[pairs[1]]), 1)
    n_texts, sizes = counts.sum(axis=1), np.bincount(codes, minlength=n_classes)
    share = sizes / max(1, sizes.sum())
    with np.errstate(divide="ignore", invalid="ignore"):  # a class that all texts are of, or none
        z = (counts / n_texts[:, None] - share) / np.sqrt(share * (1 - share) / n_texts[:, None])
    code = np.nan_to_num(z, nan=-np.inf, posinf=-np.inf).argmax(axis=1)
    rows = np.arange(n_keys)
    kept = np.flatnonzero(counts[rows, code] >= min_texts)
    number = np.full(n_keys, -1)
    number[kept] = np.arange(len(kept))
    places = places.assign(candidate=number[key])
    places = places[places["candidate"] >= 0].sort_values(
        ["candidate", "text", "position"], ignore_index=True
    )
    n_label = counts[rows, code]
    p = hypergeom.sf(n_label[kept] - 1, sizes.sum(), sizes[code[kept]], n_texts[kept])
    groups = places.groupby("candidate")
    table = pd.DataFrame(
        {
            "kind": groups["kind"].first(),
            "word": groups["word"].first(),
            "form": groups["form"].agg(lambda forms: forms.mode()[0]),
            "code": code[kept],
            "n_texts": n_texts[kept],
            "n_label": n_label[kept],
            "purity": n_label[kept] / n_texts[kept],
            "z": z[rows, code][kept],
            "p_association": np.minimum(1.0, p * n_classes),
        }
    )
    return table.reset_index(drop=True), places


def _usual_place(places: pd.DataFrame, words: list[list[str]], n_candidates: int) -> np.ndarray:
    """Say where candidates nearly always stand."""
    last = np.array([len(row) - 1 for row in words])[places["text"]]
    position = places["position"].to_numpy()
    total = np.bincount(places["candidate"], minlength=n_candidates)
    usual = np.full(n_candidates, "", dtype=object)
    for name, hit in (("last", position == last), ("first", position == 0)):
        share = np.bincount(places["candidate"], weights=hit, minlength=n_candidates) / total
        usual[share >= _ALWAYS] = name
    return usual
