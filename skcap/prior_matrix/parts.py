"""The parts of a PriorMatrix: how its scores, rows and provenance are checked and laid out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcap.utils.seeds import content_seed
from skcap.utils.words import split_words

if TYPE_CHECKING:
    from skcap.prior_matrix.matrix import PriorMatrix

__all__ = [
    "PriorRecord",
    "canonical",
    "check_provenance",
    "check_same_texts",
    "cumulative",
    "flat_scores",
    "object_array",
    "permuted",
    "plain",
    "resolve_rows",
    "to_json",
    "word_offsets",
]


@dataclass(frozen=True, eq=False)
class PriorRecord:
    """One row of a :class:`PriorMatrix`.

    Attributes
    ----------
    text : str
    words : list of str, length n_words
    scores : ndarray of float32, shape (n_words,)
        Read-only; NaN where a word has no supervision.

    Examples
    --------
    >>> from skcap import PriorMatrix
    >>> record = PriorMatrix(["play jazz"], [[0.0, 1.0]])[0]
    >>> record.words, record.scores
    (['play', 'jazz'], array([0., 1.], dtype=float32))
    """

    text: str
    words: list[str]
    scores: np.ndarray


def object_array(items: Sequence[str]) -> np.ndarray:
    """Put strings into a one-dimensional array of objects."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def cumulative(lengths: Any) -> np.ndarray:
    """Turn lengths into offsets: 0, then the sums so far."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def word_offsets(texts: np.ndarray) -> np.ndarray:
    """Where the scores of each text begin in the flat array of all scores."""
    return cumulative(np.fromiter((len(split_words(t)) for t in texts), np.int64, len(texts)))


def canonical(scores: np.ndarray) -> np.ndarray:
    """Give NaN and zero one bit pattern each: equal matrices must have equal joblib hashes."""
    return np.where(np.isnan(scores), np.float32(np.nan), scores + np.float32(0.0))


def flat_scores(texts: np.ndarray, n_words: np.ndarray, scores: Iterable[Any]) -> np.ndarray:
    """Check the scores of each text and join them.

    Parameters
    ----------
    texts : ndarray of object, shape (n_texts,)
    n_words : ndarray of int64, shape (n_texts,)
    scores : iterable of 1-D array-like, length n_texts

    Returns
    -------
    ndarray of float32, shape (n_words of all texts,)

    Raises
    ------
    TypeError
        If a score is not a number.
    ValueError
        If there is not one finite score, or NaN, per word.
    """
    rows = [
        _check_row(row, number, texts, n_words)
        for number, row in enumerate(_check_length(scores, len(texts)))
    ]
    flat = np.concatenate([np.empty(0, dtype=np.float32), *rows])
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
        flat = flat.astype(np.float32)
    infinite = np.flatnonzero(np.isinf(flat))
    if infinite.size:
        number = int(np.searchsorted(np.cumsum(n_words), infinite[0], side="right"))
        raise ValueError(
            f"{_row_name(texts, number)} must be finite, got an infinite score (in float32). Use "
            "NaN for words without a score."
        )
    return canonical(flat)


def _check_length(scores: Iterable[Any], n_texts: int) -> list[Any]:
    rows = list(scores)
    if len(rows) != n_texts:
        raise ValueError(
            f"scores must hold one row per text, got {len(rows)} rows for {n_texts} texts."
        )
    return rows


def _check_row(row: Any, number: int, texts: np.ndarray, n_words: np.ndarray) -> np.ndarray:
    if row is None:
        raise TypeError(
            f"{_row_name(texts, number)} must hold one number per word, got None. Use NaN for each "
            "word of a text without scores."
        )
    if np.ma.is_masked(row):  # what is masked is not there
        row = np.ma.filled(row.astype(np.float64), np.nan)
    array, length = np.asarray(row), int(n_words[number])
    if array.dtype.kind not in "biuf":
        items = row if array.ndim else [row]
        wrong = next((item for item in items if not isinstance(item, int | float)), row)
        raise TypeError(
            f"{_row_name(texts, number)} must hold numbers, got {wrong!r:.60}. Use NaN for words "
            "without a score."
        )
    if array.shape != (length,):
        got = f"{array.size} scores" if array.ndim == 1 else f"an array of shape {array.shape}"
        raise ValueError(
            f"{_row_name(texts, number)} must hold one score per word: got {got} for {length} "
            "words. The words are those of skcap.utils.words.split_words(text)."
        )
    return array


def _row_name(texts: np.ndarray, row: int) -> str:
    return f"scores[{row}], for the text {texts[row]!r:.80},"


def resolve_rows(key: Any, n_rows: int) -> np.ndarray:
    """Turn a mask or a list of positions into positions.

    Parameters
    ----------
    key : array-like of bool or int
    n_rows : int

    Returns
    -------
    ndarray of int64

    Raises
    ------
    IndexError
        If a position is out of range, a mask has the wrong length, or the key is neither.
    """
    index: np.ndarray
    if isinstance(key, tuple):
        index = np.empty((), dtype=object)  # several axes: refused below
    elif isinstance(key, list) and not key:
        index = np.empty(0, dtype=np.int64)  # NumPy would take it for floats
    else:
        index = np.asarray(key)
    if index.ndim == 1 and index.dtype == bool:
        if len(index) != n_rows:
            raise IndexError(f"a mask of {len(index)} rows cannot select from {n_rows}.")
        return np.flatnonzero(index)
    if index.ndim == 1 and index.dtype.kind in "iu":
        return np.arange(n_rows)[index]  # resolves negative positions, checks the range
    raise IndexError(
        "a PriorMatrix is indexed by an int, a slice, a 1-D boolean mask or a 1-D array of int; "
        f"got {type(key).__name__} ({key!r:.60}). For columns use to_dense()."
    )


def permuted(texts: np.ndarray, scores: np.ndarray, offsets: np.ndarray, seed: int) -> np.ndarray:
    """Permute the scores within each text; words without a score keep none.

    Parameters
    ----------
    texts : ndarray of object, shape (n_texts,)
    scores : ndarray of float32, shape (n_words of all texts,)
    offsets : ndarray of int64, shape (n_texts + 1,)
    seed : int
        Of the permutations, together with each text.

    Returns
    -------
    ndarray of float32, shape (n_words of all texts,)
    """
    result = scores.copy()
    for text, start, end in zip(texts, offsets[:-1], offsets[1:], strict=True):
        places = start + np.flatnonzero(~np.isnan(scores[start:end]))
        rng = np.random.default_rng(content_seed(seed, text))
        result[places] = scores[rng.permutation(places)]
    return result


def check_provenance(provenance: Any) -> dict[str, Any]:
    """Check that provenance is something that JSON can hold, and copy it into plain types."""
    if provenance is None:
        return {}
    if not isinstance(provenance, Mapping):
        raise TypeError(f"provenance must be a mapping or None, got {type(provenance).__name__}.")
    return plain(provenance, "provenance")


def plain(value: Any, where: str) -> Any:
    """Copy a value into the plain types of JSON; `where` is its place in error messages."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; JSON allows only strings as keys.")
        return {str(key): plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where} is {value}, which JSON cannot hold. Use None or a string.")
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(
        f"{where} is {type(value).__name__} ({value!r:.60}), which JSON cannot hold. Allowed are "
        "str, int, float, bool, None, and lists and mappings of them."
    )


def to_json(provenance: dict[str, Any]) -> str:
    """Write provenance as JSON, the same for equal provenance."""
    return json.dumps(provenance, sort_keys=True, allow_nan=False)


def check_same_texts(matrices: Sequence[PriorMatrix], names: Sequence[str]) -> None:
    """Check that matrices hold the same texts in the same order.

    Parameters
    ----------
    matrices : sequence of PriorMatrix, length n
    names : sequence of str, length n
        What the error message calls them.

    Raises
    ------
    TypeError
        If one of them is no PriorMatrix.
    ValueError
        Names two of the matrices and the first row in which they differ.

    Examples
    --------
    >>> from skcap.prior_matrix import PriorMatrix, check_same_texts
    >>> check_same_texts([PriorMatrix(["stop"]), PriorMatrix(["stop"])], ["cap", "lime"])
    >>> check_same_texts([PriorMatrix(["stop"]), PriorMatrix(["go"])], ["cap", "lime"])
    Traceback (most recent call last):
        ...
    ValueError: 'cap' and 'lime' differ in row 0: 'stop' and 'go'. ...
    """
    advice = "Make all priors from the same texts in the same order."
    pairs = list(zip(matrices, names, strict=True))
    for matrix, name in pairs:
        if not hasattr(type(matrix), "texts"):
            raise TypeError(
                f"{name!r} must be a PriorMatrix, got {type(matrix).__name__}. Make one of the "
                "texts and their scores, as in PriorMatrix(texts, scores)."
            )
    for matrix, name in pairs[1:]:
        first, first_name = pairs[0]
        both = f"{first_name!r} and {name!r} differ in"
        for row, (a, b) in enumerate(zip(first.texts, matrix.texts, strict=False)):
            if a != b:
                raise ValueError(f"{both} row {row}: {a!r:.80} and {b!r:.80}. {advice}")
        if len(first) != len(matrix):
            raise ValueError(
                f"{both} length: only one of them has row {min(len(first), len(matrix))} "
                f"({len(first)} and {len(matrix)} texts). {advice}"
            )
