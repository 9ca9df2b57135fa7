"""What may be a shortcut: words, phrases, places and patterns, and the class each goes with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.stats import hypergeom

from skcap.shortcuts.patterns import PATTERNS, Pattern, length_patterns, name_shape
from skcap.utils.words import listed_form, split_words

__all__ = [
    "NEAR",
    "Candidates",
    "family_of_mark",
    "find_candidates",
    "is_of_template",
    "select_candidates",
    "whole_marks",
]

#: Share of its class's texts with a word that it begins, ends, or shares with another word, to be
#: said to do so.
_ALWAYS = 0.8
NEAR = 3  # most words from one word of a longer mark to another, as in "sent from my phone"
_NEXT_TO = "next to "  # begins the family of the other words of a longer mark


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
        "last" where it nearly always begins or ends the texts of its class, else ""; `family`,
        place and shape, or "next to" those of a word that it always comes with, see
        :func:`skcap.shortcuts.denial.deny_families`; `mark`, the words that always come together
        with it, itself among them, or ""; `code`, the class it goes with; `n_texts`, in how many
        texts it is; `n_label`, how many of these are of that class; `purity`, the share of these;
        `z`, the statistic of Gardner et al. (2021) [1]_; and `p_association`, the exact
        hypergeometric p-value times the number of classes, since the class was chosen to make it
        small. A word at one place, a phrase or a pattern is left out if a single word is in the
        same texts.

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
    table.insert(3, "place", _usual_place(places, words, codes, table))
    families = [_family(*row) for row in table[["kind", "form", "place"]].values]
    table.insert(4, "family", families)
    pairs = _pairs_together(table, places, codes)
    table["family"] = _with_neighbours(table["family"], pairs)
    table.insert(5, "mark", _marks(table, places, pairs))
    repeated = _is_repeated(table, places.groupby("candidate")["form"].nunique())
    # The middle of "bye bye bye" is in two occurrences of a phrase.
    places = places[["candidate", "text", "position"]].drop_duplicates(ignore_index=True)
    found = Candidates(table, places, patterns)
    return select_candidates(found, ~repeated)


def select_candidates(candidates: Candidates, kept: np.ndarray) -> Candidates:
    """Keep some candidates, numbered anew.

    Parameters
    ----------
    candidates : Candidates
    kept : ndarray of bool, shape (n_candidates,)

    Returns
    -------
    Candidates
    """
    kept = np.asarray(kept, dtype=bool)
    number = np.cumsum(kept) - 1
    places = candidates.places[kept[candidates.places["candidate"]]]
    places = places.assign(candidate=number[places["candidate"]])
    return candidates._replace(table=candidates.table[kept].reset_index(drop=True), places=places)


def _occurrences(
    words: list[list[str]], kinds: Sequence[str], patterns: dict[str, Pattern]
) -> pd.DataFrame:
    """List where each word, phrase, place and pattern occurs."""
    form_of = lru_cache(maxsize=None)(listed_form)
    found = [
        (kind, *occurrence[:2], text, occurrence[2])
        for text, row in enumerate(words)
        for forms in [[form_of(word) for word in row]]
        for kind in kinds
        for occurrence in _of_kind(kind, row, forms, patterns)
    ]
    places = pd.DataFrame(found, columns=["kind", "word", "form", "text", "position"])
    types = dict.fromkeys(["kind", "word", "form"], object)
    return places.astype({**types, "text": np.int64, "position": np.int64})


def _of_kind(
    kind: str, row: list[str], forms: list[str], patterns: dict[str, Pattern]
) -> list[tuple[str, str, int]]:
    """List what one text has of a kind: what it is called, how it is written, and where."""
    if kind == "word":
        return [(f, w, place) for place, (f, w) in enumerate(zip(forms, row, strict=True))]
    if kind == "phrase":
        return [
            (f"{forms[i]} {forms[i + 1]}", f"{row[i]} {row[i + 1]}", place)
            for i in range(len(row) - 1)
            for place in (i, i + 1)
        ]
    if kind == "pattern":
        return [
            (pattern.name, row[place], place)
            for pattern in (patterns.values() if row else ())
            for place in pattern.find(row)
        ]
    end = 0 if kind == "first" else len(row) - 1
    return [(forms[end], row[end], end)] if row else []


def _associate(
    places: pd.DataFrame, codes: np.ndarray, n_classes: int, min_texts: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep what is in enough texts of a class, and test how it goes with that class."""
    key = places.groupby(["kind", "word"], sort=False).ngroup().to_numpy(dtype=np.int64)
    pairs = np.unique(np.stack([key, places["text"].to_numpy()]), axis=1)
    counts = np.zeros((int(key.max(initial=-1)) + 1, n_classes), dtype=np.int64)
    np.add.at(counts, (pairs[0], codes[pairs[1]]), 1)
    n_texts, sizes = counts.sum(axis=1), np.bincount(codes, minlength=n_classes)
    z = _z_statistic(counts, sizes)
    code = z.argmax(axis=1)
    n_label, z = (values[np.arange(len(counts)), code] for values in (counts, z))
    kept = np.flatnonzero(n_label >= min_texts)
    number = np.full(len(counts), -1)
    number[kept] = np.arange(len(kept))
    places = places.assign(candidate=number[key])
    places = places[places["candidate"] >= 0].sort_values(
        ["candidate", "text", "position"], ignore_index=True
    )
    table = places.groupby("candidate")[["kind", "word"]].first()
    table["form"] = _usual_form(places)
    n_texts, n_label, code = n_texts[kept], n_label[kept], code[kept]
    table["code"], table["n_texts"], table["n_label"] = code, n_texts, n_label
    table["purity"], table["z"] = n_label / n_texts, z[kept]
    p = hypergeom.sf(n_label - 1, sizes.sum(), sizes[code], n_texts)
    table["p_association"] = np.minimum(1.0, p * n_classes)
    return table.reset_index(drop=True), places


def _usual_form(places: pd.DataFrame) -> pd.Series:
    """Say how candidates are mostly written; of equally frequent forms, the first by name."""
    forms = places.groupby(["candidate", "form"]).size().rename("n").reset_index()
    forms = forms.sort_values(["candidate", "n", "form"], ascending=[True, False, True])
    return forms.drop_duplicates("candidate").set_index("candidate")["form"]


def _z_statistic(counts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Compare the purity for each class with the share of all texts that are of it."""
    n_texts = counts.sum(axis=1, keepdims=True)
    share = sizes / max(1, sizes.sum())
    with np.errstate(divide="ignore", invalid="ignore"):  # a class that no text is of, or all are
        z = (counts / n_texts - share) / np.sqrt(share * (1 - share) / n_texts)
    return np.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)


def _usual_place(
    places: pd.DataFrame, words: list[list[str]], codes: np.ndarray, table: pd.DataFrame
) -> np.ndarray:
    """Say where candidates nearly always stand in texts of their class."""
    kind, code = table["kind"].to_numpy(), table["code"].to_numpy()
    candidate, text = places["candidate"].to_numpy(), places["text"].to_numpy()
    own = codes[text] == code[candidate]
    end = np.array([len(row) - 1 for row in words], dtype=np.int64)[text]
    total = np.bincount(candidate[own], minlength=len(code)).astype(float)
    total[kind == "phrase"] /= 2  # each occurrence has two words
    usual = np.full(len(code), "", dtype=object)
    for name, there in (("last", end), ("first", 0)):
        hit = own & (places["position"].to_numpy() == there)
        usual[np.bincount(candidate[hit], minlength=len(code)) >= _ALWAYS * total] = name
    return usual


def _family(kind: str, form: str, place: str) -> str:
    """Name what candidates share that stand at one place or have one shape; "" for the others."""
    shape = name_shape(form)
    if kind == "pattern" or (not place and shape == "word"):
        return ""
    return f"{place} {shape if kind != 'phrase' else kind}".strip()


def family_of_mark(family: str) -> str:
    """Give the family of the word with a place or shape that a word of this family comes with.

    Parameters
    ----------
    family : str

    Returns
    -------
    str
        `family` itself, where it is of such words.

    Examples
    --------
    >>> from skcap.shortcuts.candidates import family_of_mark
    >>> family_of_mark("next to last word")
    'last word'
    """
    return family.removeprefix(_NEXT_TO)


def is_of_template(family: str) -> bool:
    """Tell whether the members of a family are tags or numbers, which no language has as words.

    The words next to them are words.

    Parameters
    ----------
    family : str

    Returns
    -------
    bool

    Examples
    --------
    >>> from skcap.shortcuts.candidates import is_of_template
    >>> [is_of_template(family) for family in ("first tag", "last word", "next to first tag")]
    [True, False, False]
    """
    return family.endswith(("tag", "number")) and not family.startswith(_NEXT_TO)


def _pairs_together(table: pd.DataFrame, places: pd.DataFrame, codes: np.ndarray) -> pd.DataFrame:
    """Find words of one class that come together: a signature is a first and a last name.

    Two do if nearly all texts of their class with either have both, near each other and always as
    far apart. In between there may be words of all classes.

    Returns
    -------
    pandas.DataFrame, shape (n_pairs, 3)
        Columns `candidate`, `other`, and `step`, how far behind the other the candidate stands;
        each pair both ways, the nearest first.
    """
    code = table["code"].to_numpy()[places["candidate"]]
    may_be = (table["kind"] == "word") & (table["purity"] >= _ALWAYS)
    own = places[may_be.to_numpy()[places["candidate"]] & (codes[places["text"]] == code)]
    own = own[["candidate", "text", "position"]]
    steps = [step for step in range(-NEAR, NEAR + 1) if step]
    shifted = pd.concat([own.assign(position=own["position"] + step, step=step) for step in steps])
    pairs = own.merge(shifted, on=["text", "position"], suffixes=("", "_other"))
    pairs = pairs.rename(columns={"candidate_other": "other"})
    together = ["candidate", "other", "step"]
    counts = pairs.drop_duplicates([*together, "text"]).groupby(together).size()
    counts = counts.rename("n").reset_index()
    most = np.maximum(*(table["n_label"].to_numpy()[counts[name]] for name in together[:2]))
    always = (counts["n"] > 1) & (counts["n"] >= _ALWAYS * most)  # in one text, all come together
    return counts.loc[always, together].sort_values("step", key=np.abs, kind="stable")


def _with_neighbours(family: pd.Series, pairs: pd.DataFrame) -> pd.Series:
    """Give a family to the words that come with a word of one: the rest of a longer mark."""
    family = family.copy()
    newest = family.index[family != ""]
    while len(newest):
        without = family.index[family == ""]
        beside = pairs[pairs["candidate"].isin(without) & pairs["other"].isin(newest)]
        beside = beside.drop_duplicates("candidate").set_index("candidate")["other"]
        family[beside.index] = [_NEXT_TO + family_of_mark(family[other]) for other in beside]
        newest = beside.index
    return family


def _marks(table: pd.DataFrame, places: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    """Name the longer mark that each word is a part of by all of its words, "" for the others."""
    size = len(table)
    links = coo_matrix((np.ones(len(pairs)), (pairs["candidate"], pairs["other"])), (size, size))
    _, number = connected_components(links, directed=False)
    place = places.groupby("candidate")["position"].mean()
    parts = pd.DataFrame({"word": table["word"], "number": number, "place": place})
    parts = parts[parts.index.isin(pairs["candidate"])]
    ordered = parts.sort_values("place", kind="stable").groupby("number")["word"]
    marks = parts["number"].map(ordered.agg(" ".join).to_dict()).to_dict()
    return [marks.get(row, "") for row in range(size)]


def whole_marks(candidates: Candidates, parts: np.ndarray) -> tuple[np.ndarray, Candidates]:
    """Take words of longer marks together.

    Parameters
    ----------
    candidates : Candidates
    parts : ndarray of bool, shape (n_candidates,)
        Which words may be parts.

    Returns
    -------
    rows : ndarray of bool, shape (n_candidates,)
        Those that are parts of a mark together with others.
    marks : Candidates
        These, of the kind "mark", each with the places of all parts of its mark.
    """
    table = candidates.table
    is_part = (table["mark"] != "") & np.asarray(parts, dtype=bool)
    together = is_part.groupby([table["mark"], table["code"]]).transform("sum") > 1
    rows = (is_part & together).to_numpy()
    found = select_candidates(candidates, rows)
    number = found.table.groupby(["mark", "code"]).ngroup().to_numpy()
    own = found.places.assign(number=number[found.places["candidate"]])
    whole = own[["candidate", "text", "number"]].merge(own[["number", "text", "position"]])
    columns = ["candidate", "text", "position"]
    places = whole[columns].drop_duplicates().sort_values(columns, ignore_index=True)
    return rows, found._replace(table=found.table.assign(kind="mark"), places=places)


def _is_repeated(table: pd.DataFrame, n_forms: pd.Series) -> np.ndarray:
    """Find what is in just the texts that one word is in: it is that word."""
    names = zip(table["kind"], table["word"], strict=True)
    n_texts_of = dict(zip(names, table["n_texts"], strict=True))

    def repeats(row: Any, n: int) -> bool:
        if row.kind == "word":
            return False
        words, kinds = row.word.split(), ["word"]
        if row.kind == "pattern":
            if n > 1 or row.word not in PATTERNS or not PATTERNS[row.word].whole:
                return False
            words = [listed_form(row.form)]
            kinds += ["last" if row.word.endswith("at the end") else "first"]
        return row.n_texts in [n_texts_of.get((k, word)) for k in kinds for word in words]

    rows = zip(table.itertuples(), n_forms, strict=True)
    return np.array([repeats(row, n) for row, n in rows], dtype=bool)
