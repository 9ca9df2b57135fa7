"""PriorMatrix: texts and one score a word, in a shape that scikit-learn can split and stack."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import numbers
import os
import secrets
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from skcap.utils.words import check_texts, split_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PriorMatrix", "PriorRecord", "check_same_texts"]

_FORMAT = 1  # of the files of `save`; raise it when their layout changes
_FILE_KEYS = {"format", "utf8", "utf8_offsets", "scores", "offsets", "provenance"}
_CELLS = 2**20  # scores normalised in one go: bounds memory, costs no speed


@dataclass(frozen=True, eq=False)
class PriorRecord:
    """One row of a :class:`PriorMatrix`.

    Attributes
    ----------
    text : str
    words : list of str, length n_words
    scores : ndarray of float32, shape (n_words,)
        Read-only; NaN where a word has no supervision.
    """

    text: str
    words: list[str]
    scores: np.ndarray


class PriorMatrix:
    """Texts and one score a word: what priors emit and classifiers train on.

    The words of a text are ``split_words(text)``; scores belong to them by position. The matrix is
    immutable and one-dimensional, so it goes through ``train_test_split``, ``cross_val_score``,
    ``GridSearchCV`` and a cached ``Pipeline`` as an array of texts would.

    Parameters
    ----------
    texts : list, tuple, 1-D array or pandas Series of str, length n_texts
        A PriorMatrix gives its texts, not its scores.
    scores : sequence of 1-D array-like, length n_texts, or None, default=None
        For each text, one finite number a word; NaN means *no supervision for this word*. None
        stands for NaN throughout, a matrix without supervision. Kept as float32.
    provenance : mapping or None, default=None
        How the scores were made, such as ``{"source": "cap", "model": ...}``: whatever JSON can
        hold. Tuples become lists and NumPy scalars plain numbers; None stands for ``{}``.

    Raises
    ------
    TypeError
        If a text is not a string, a score not a real number, or the provenance not JSON.
    ValueError
        If there are more or fewer scores than words, or an infinite one.

    Examples
    --------
    >>> from skcap.prior_matrix import PriorMatrix
    >>> prior = PriorMatrix(
    ...     ["lost my card", "play jazz"],
    ...     [[0.5, 0.0, 1.0], [0.25, float("nan")]],
    ...     provenance={"source": "by hand"},
    ... )
    >>> prior
    PriorMatrix(2 texts, 5 words, 4 scored, source='by hand')
    >>> prior[0].words
    ['lost', 'my', 'card']
    >>> prior[[1]].to_dense()
    array([[0.25,  nan]], dtype=float32)
    """

    # Unhashable, as arrays are: `==` compares by value. (joblib.hash is by value, too.)
    __hash__ = None  # type: ignore[assignment]

    _texts: np.ndarray  # object, (n_texts,)
    _scores: np.ndarray  # float32, (n_words of all texts,)
    _offsets: np.ndarray  # int64, (n_texts + 1,): scores of row i are _offsets[i] : _offsets[i + 1]
    _provenance: dict[str, Any]

    def __init__(
        self,
        texts: Any,
        scores: Iterable[Any] | None = None,
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        array = _object_array(check_texts(texts, "texts"))
        offsets = _word_offsets(array)
        if scores is None:
            flat = np.full(offsets[-1], np.nan, dtype=np.float32)
        else:
            flat = _flat_scores(array, np.diff(offsets), scores)
        self._set(array, flat, offsets, _check_provenance(provenance))

    def _set(
        self, texts: np.ndarray, scores: np.ndarray, offsets: np.ndarray, provenance: dict[str, Any]
    ) -> None:
        for array in (texts, scores, offsets):
            array.flags.writeable = False
        self._texts, self._scores, self._offsets = texts, scores, offsets
        self._provenance = provenance

    @classmethod
    def _build(cls, *parts: Any) -> PriorMatrix:
        # From parts that are known to be good, without checking them again.
        matrix = cls.__new__(cls)
        matrix._set(*parts)
        return matrix

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Unpickled arrays are writeable. `asarray` hides a memory map (joblib makes one of a large
        # array), which would show in the types of what is selected from it.
        texts, scores, offsets = (np.asarray(state[n]) for n in ("_texts", "_scores", "_offsets"))
        self._set(texts, scores, offsets, state["_provenance"])

    # -- what it holds --------------------------------------------------------------------------

    @property
    def texts(self) -> np.ndarray:
        """Ndarray of object, shape (n_texts,): the texts, read-only."""
        return self._texts

    @property
    def scores(self) -> list[np.ndarray]:
        """List of float32 ndarrays, shape (n_words of the text,) each: read-only views."""
        ends = self._offsets.tolist()
        return [self._scores[a:b] for a, b in itertools.pairwise(ends)]

    @property
    def words(self) -> list[list[str]]:
        """List of lists of str: the words that the scores belong to."""
        return [split_words(text) for text in self._texts]

    @property
    def n_words(self) -> np.ndarray:
        """Ndarray of int64, shape (n_texts,): number of words of each text."""
        return np.diff(self._offsets)

    @property
    def has_scores(self) -> bool:
        """Whether any word has a score."""
        return not bool(np.isnan(self._scores).all())

    @property
    def provenance(self) -> dict[str, Any]:
        """Dict: how the scores were made. A copy; changing it does not change the matrix."""
        return _plain(self._provenance, "provenance")

    # -- array behaviour, as far as scikit-learn asks for it ------------------------------------

    @property
    def shape(self) -> tuple[int]:
        """Tuple ``(n_texts,)``."""
        return (len(self),)

    @property
    def ndim(self) -> int:
        """Always 1."""
        return 1

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[PriorRecord]:
        return (self._record(row) for row in range(len(self)))

    def __repr__(self) -> str:
        scored = int(np.count_nonzero(~np.isnan(self._scores)))
        source = self._provenance.get("source")
        end = "" if source is None else f", source={source!r}"
        return f"PriorMatrix({len(self)} texts, {len(self._scores)} words, {scored} scored{end})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PriorMatrix):
            return NotImplemented
        return (
            np.array_equal(self._texts, other._texts)
            and np.array_equal(self._scores, other._scores, equal_nan=True)
            and _to_json(self._provenance) == _to_json(other._provenance)
        )

    @overload
    def __getitem__(self, key: int | np.integer) -> PriorRecord: ...

    @overload
    def __getitem__(self, key: Any) -> PriorMatrix: ...

    def __getitem__(self, key: Any) -> PriorRecord | PriorMatrix:
        """Select rows.

        Parameters
        ----------
        key : int, slice, boolean mask, array or list of int, or ``(one of these, Ellipsis)``
            By position, with Python's and NumPy's rules; a pandas Series counts by position too.

        Returns
        -------
        PriorRecord or PriorMatrix
            A record for an int; a new matrix, of the same provenance, for anything else.

        Raises
        ------
        IndexError
            If a position is out of range, a mask has the wrong length, or the key is none of the
            above.
        """
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]  # how scikit-learn selects rows of whatever has a shape
        if isinstance(key, slice):
            return self._select(np.arange(len(self))[key])
        if isinstance(key, numbers.Integral) and not isinstance(key, bool):
            row = int(key)
            if not -len(self) <= row < len(self):
                raise IndexError(f"row {row} is out of range for {len(self)} texts.")
            return self._record(row % len(self))
        return self._select(self._rows(key))

    def _record(self, row: int) -> PriorRecord:
        text = self._texts[row]
        scores = self._scores[self._offsets[row] : self._offsets[row + 1]]
        return PriorRecord(text, split_words(text), scores)

    def _rows(self, key: Any) -> np.ndarray:
        index: np.ndarray
        if isinstance(key, tuple):
            index = np.empty((), dtype=object)  # several axes: refused below
        elif isinstance(key, list) and not key:
            index = np.empty(0, dtype=np.int64)  # NumPy would take it for floats
        else:
            index = np.asarray(key)
        if index.ndim == 1 and index.dtype == bool:
            if len(index) != len(self):
                raise IndexError(f"a mask of {len(index)} rows cannot select from {len(self)}.")
            return np.flatnonzero(index)
        if index.ndim == 1 and index.dtype.kind in "iu":
            return np.arange(len(self))[index]  # resolves negative positions, checks the range
        raise IndexError(
            "a PriorMatrix is indexed by an int, a slice, a 1-D boolean mask or a 1-D array of "
            f"int; got {type(key).__name__} ({key!r:.60}). For columns use to_dense()."
        )

    def _select(self, rows: np.ndarray) -> PriorMatrix:
        lengths = self.n_words[rows]
        offsets = _cumulative(lengths)
        # Where each selected score lies: its place in the result, moved by its row's shift.
        places = np.repeat(self._offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return self._build(self._texts[rows], self._scores[places], offsets, self._provenance)

    # -- other forms ----------------------------------------------------------------------------

    def to_dense(self) -> np.ndarray:
        """Lay the scores out as one padded array.

        Returns
        -------
        ndarray of float32, shape (n_texts, longest)
            NaN where a word has no score and where a text has no such word.

        Examples
        --------
        >>> from skcap.prior_matrix import PriorMatrix
        >>> PriorMatrix(["play jazz", "stop"], [[0.0, 1.0], [2.0]]).to_dense()
        array([[ 0.,  1.],
               [ 2., nan]], dtype=float32)
        """
        n_words = self.n_words
        longest = int(n_words.max(initial=0))
        dense = np.full((len(self), longest), np.nan, dtype=np.float32)
        dense[np.arange(longest) < n_words[:, None]] = self._scores
        return dense

    def to_frame(self) -> pd.DataFrame:
        """Lay the scores out as a table with one row a word.

        Returns
        -------
        pandas.DataFrame, shape (n words of all texts, 4)
            Columns ``row`` and ``position`` (int64), ``word`` (object), ``score`` (float32). A text
            without words has no row.

        Examples
        --------
        >>> from skcap.prior_matrix import PriorMatrix
        >>> frame = PriorMatrix(["play jazz", "stop"], [[0.0, 1.0], [2.0]]).to_frame()
        >>> frame.groupby("row")["score"].max().tolist()
        [1.0, 2.0]
        """
        import pandas as pd

        n_words = self.n_words
        position = np.arange(self._offsets[-1]) - np.repeat(self._offsets[:-1], n_words)
        words = _object_array([word for row in self.words for word in row])
        return pd.DataFrame(
            {
                "row": np.repeat(np.arange(len(self)), n_words),
                "position": position,
                # object in every version of pandas: its string type may refuse lone surrogates
                "word": pd.Series(words, dtype=object),
                "score": self._scores.copy(),
            }
        )

    def to_html(
        self, path: str | os.PathLike[str] | None = None, max_texts: int | None = None
    ) -> str:
        """Show the texts with their words coloured by score, as a standalone page.

        Parameters
        ----------
        path : path-like or None, default=None
            Where to write the page too, as UTF-8.
        max_texts : int or None, default=None
            Show the first so many texts, and say how many are left out. None shows all.

        Returns
        -------
        str
            A complete HTML document.

        Raises
        ------
        ValueError
            If `max_texts` is negative.

        Examples
        --------
        >>> from skcap.prior_matrix import PriorMatrix
        >>> PriorMatrix(["play jazz"], [[0.0, 1.0]]).to_html()[:15]
        '<!doctype html>'
        """
        from skcap.utils.html import page

        if max_texts is not None and max_texts < 0:
            raise ValueError(f"max_texts must be None or at least 0, got {max_texts}.")
        origin = escape(json.dumps(self._provenance, indent=2))
        document = page(
            repr(self),
            ("", self._colored(max_texts)),
            ("How the scores were made", f"<pre>{origin}</pre>"),
        )
        if path is not None:
            Path(path).write_text(document, encoding="utf-8")
        return document

    def _repr_html_(self) -> str:
        return self._colored(10)

    def _colored(self, max_texts: int | None) -> str:
        from skcap.utils.html import color_words, legend

        rows = range(len(self) if max_texts is None else min(max_texts, len(self)))
        records = [self._record(row) for row in rows]
        lines = [color_words(record.words, record.scores) for record in records]
        hidden = len(self) - len(rows)
        if hidden:
            lines.append(f"<p><small>{hidden} more of {len(self)} texts not shown.</small></p>")
        return "\n".join([legend(), *lines])

    def normalize(self, how: str | None) -> PriorMatrix:
        """Scale the scores of each text, with the norms that training uses.

        Parameters
        ----------
        how : {"l2", "max", "sum", "minmax", "softmax"} or None
            See :func:`skcap.utils.norms.normalize_scores`. None changes nothing.

        Returns
        -------
        PriorMatrix
            Words without a score keep none and do not count. `how` is appended to the list
            ``provenance["normalized"]``.

        Raises
        ------
        ValueError
            If `how` is not one of these.

        Examples
        --------
        >>> from skcap.prior_matrix import PriorMatrix
        >>> PriorMatrix(["lost my card"], [[3.0, float("nan"), 4.0]]).normalize("l2").to_dense()
        array([[0.6, nan, 0.8]], dtype=float32)
        """
        import torch

        from skcap.utils.norms import normalize_scores

        if how is None:
            return self
        n_words = self.n_words
        scores = np.full_like(self._scores, np.nan)
        # Texts of one length at a time: nothing is padded, so a text's result depends on that
        # text alone, and one long text costs no memory for the others.
        for length in np.unique(n_words).tolist():
            rows = np.flatnonzero(n_words == length)
            step = max(1, _CELLS // max(1, length))
            for start in range(0, len(rows), step):
                places = self._offsets[rows[start : start + step], None] + np.arange(length)
                block = torch.from_numpy(self._scores[places]).double()
                mask = ~torch.isnan(block)
                normed = normalize_scores(block, mask, how)
                scores[places] = normed.masked_fill(~mask, torch.nan).float().numpy()
        provenance = self.provenance
        provenance["normalized"] = [*provenance.get("normalized", []), how]
        return self._build(self._texts, _canonical(scores), self._offsets, provenance)

    # -- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the matrix to one compressed npz file, without pickle.

        Parameters
        ----------
        path : path-like
            Written as named (no ``.npz`` is appended) and all or nothing: an existing file is
            replaced once the new one is complete.

        Examples
        --------
        >>> import os, tempfile
        >>> from skcap.prior_matrix import PriorMatrix
        >>> prior = PriorMatrix(["play jazz"], [[0.0, 1.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     prior.save(os.path.join(folder, "prior.npz"))
        ...     PriorMatrix.load(os.path.join(folder, "prior.npz")) == prior
        True
        """
        # surrogatepass: a str may hold lone surrogates, which plain UTF-8 refuses
        encoded = [text.encode("utf-8", "surrogatepass") for text in self._texts]
        target = Path(path)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb") as file:
                np.savez_compressed(
                    file,
                    format=np.int64(_FORMAT),
                    utf8=np.frombuffer(b"".join(encoded), dtype=np.uint8),
                    utf8_offsets=_cumulative([len(text) for text in encoded]),
                    scores=self._scores,
                    offsets=self._offsets,
                    provenance=np.frombuffer(_to_json(self._provenance).encode(), dtype=np.uint8),
                )
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PriorMatrix:
        """Read a matrix that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        PriorMatrix
            Equal to the one that was saved.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not a file of :meth:`save`, is of another format version, or is damaged.
        """
        file = _read_npz(path)
        try:
            blob, ends = file["utf8"].tobytes(), file["utf8_offsets"].tolist()
            if ends[0] != 0 or ends[-1] != len(blob):
                raise ValueError("the texts are incomplete")
            pieces = (blob[a:b] for a, b in itertools.pairwise(ends))
            texts = _object_array([piece.decode("utf-8", "surrogatepass") for piece in pieces])
            offsets, scores = _word_offsets(texts), file["scores"]
            if not np.array_equal(offsets, file["offsets"]) or scores.shape != (offsets[-1],):
                raise ValueError("the scores do not fit the words of the texts")
            if scores.dtype != np.float32 or np.isinf(scores).any():
                raise ValueError("the scores are not finite float32 numbers")
            provenance = _check_provenance(json.loads(file["provenance"].tobytes()))
        except (ValueError, TypeError, IndexError) as error:
            raise ValueError(f"{os.fspath(path)!r} is damaged: {error}.") from error
        return cls._build(texts, _canonical(scores), offsets, provenance)


def check_same_texts(matrices: Sequence[PriorMatrix], names: Sequence[str]) -> None:
    """Check that matrices hold the same texts in the same order, as merging them needs.

    Parameters
    ----------
    matrices : sequence of PriorMatrix, length n
    names : sequence of str, length n
        How the error message calls them.

    Raises
    ------
    ValueError
        Names two of the matrices and the first row in which they differ.

    Examples
    --------
    >>> from skcap.prior_matrix import PriorMatrix, check_same_texts
    >>> check_same_texts([PriorMatrix(["stop"]), PriorMatrix(["stop"])], ["cap", "lime"])
    >>> check_same_texts([PriorMatrix(["stop"]), PriorMatrix(["go"])], ["cap", "lime"])
    Traceback (most recent call last):
        ...
    ValueError: 'cap' and 'lime' differ in row 0: 'stop' against 'go'. ...
    """
    advice = "Make all priors from the same texts in the same order."
    pairs = list(zip(matrices, names, strict=True))
    for matrix, name in pairs[1:]:
        first, first_name = pairs[0]
        both = f"{first_name!r} and {name!r} differ in"
        for row, (a, b) in enumerate(zip(first.texts, matrix.texts, strict=False)):
            if a != b:
                raise ValueError(f"{both} row {row}: {a!r:.80} against {b!r:.80}. {advice}")
        if len(first) != len(matrix):
            raise ValueError(
                f"{both} length: row {min(len(first), len(matrix))} is in one of them only "
                f"({len(first)} against {len(matrix)} texts). {advice}"
            )


def _object_array(items: Sequence[str]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _cumulative(lengths: Any) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _word_offsets(texts: np.ndarray) -> np.ndarray:
    return _cumulative(np.fromiter((len(split_words(t)) for t in texts), np.int64, len(texts)))


def _canonical(scores: np.ndarray) -> np.ndarray:
    # One bit pattern for NaN and for zero: equal matrices must have equal joblib hashes.
    return np.where(np.isnan(scores), np.float32(np.nan), scores + np.float32(0.0))


def _row_name(texts: np.ndarray, row: int) -> str:
    return f"scores[{row}], for the text {texts[row]!r:.80},"


def _flat_scores(texts: np.ndarray, n_words: np.ndarray, scores: Iterable[Any]) -> np.ndarray:
    rows = [np.asarray(row) for row in scores]
    if len(rows) != len(texts):
        raise ValueError(
            f"scores must hold one row a text, got {len(rows)} rows for {len(texts)} texts."
        )
    for number, (row, length) in enumerate(zip(rows, n_words.tolist(), strict=True)):
        if row.dtype.kind not in "biuf":
            raise TypeError(
                f"{_row_name(texts, number)} must hold numbers, got dtype {row.dtype}. Mark words "
                "without a score with NaN."
            )
        if row.shape != (length,):
            got = f"{row.size} scores" if row.ndim == 1 else f"an array of shape {row.shape}"
            raise ValueError(
                f"{_row_name(texts, number)} must hold one score a word: got {got} for {length} "
                "words. The words are those of skcap.utils.words.split_words(text)."
            )
    flat = np.concatenate([np.empty(0, dtype=np.float32), *rows])
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
        flat = flat.astype(np.float32)
    infinite = np.flatnonzero(np.isinf(flat))
    if infinite.size:
        number = int(np.searchsorted(np.cumsum(n_words), infinite[0], side="right"))
        raise ValueError(
            f"{_row_name(texts, number)} must be finite, got an infinite score (in float32). Mark "
            "words without a score with NaN."
        )
    return _canonical(flat)


def _to_json(provenance: dict[str, Any]) -> str:
    return json.dumps(provenance, sort_keys=True, allow_nan=False)


def _check_provenance(provenance: Any) -> dict[str, Any]:
    if provenance is None:
        return {}
    if not isinstance(provenance, Mapping):
        raise TypeError(f"provenance must be a dict or None, got {type(provenance).__name__}.")
    return _plain(provenance, "provenance")


def _plain(value: Any, where: str) -> Any:
    """Copy a value into the plain types of JSON; `where` is its place in error messages."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"{where} has the key {key!r}; JSON allows str keys only.")
        return {str(key): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{number}]") for number, item in enumerate(value)]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where} is {value}, which JSON cannot hold. Use None or a string.")
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(
        f"{where} is {type(value).__name__} ({value!r:.60}), which JSON cannot hold. Allowed are "
        "str, int, float, bool, None, and lists and dicts of them."
    )


def _read_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    name = repr(os.fspath(path))
    try:
        with open(path, "rb") as stream, zipfile.ZipFile(stream):
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as npz:
                file = {key: npz[key] for key in npz.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise ValueError(f"{name} is damaged, or no file of PriorMatrix.save: {error}") from error
    if "format" in file and file["format"].shape == () and file["format"] != _FORMAT:
        raise ValueError(
            f"{name} has format version {file['format']}, but this version of skcap reads "
            f"{_FORMAT}. Use the version of skcap that wrote it, or make the file again."
        )
    if missing := sorted(_FILE_KEYS - set(file)):
        raise ValueError(f"{name} is no file of PriorMatrix.save: {', '.join(missing)} missing.")
    return file
