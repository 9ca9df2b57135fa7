"""PriorMatrix: texts and one score per word, in a form that scikit-learn can split and stack."""

from __future__ import annotations

import itertools
import json
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from skcap.prior_matrix import parts
from skcap.prior_matrix.exchange import PriorExchange
from skcap.prior_matrix.files import LARGEST_FILE, read_prior, write_prior
from skcap.prior_matrix.frames import frame_from_prior, texts_and_scores
from skcap.prior_matrix.parts import PriorRecord
from skcap.utils.files import write_text
from skcap.utils.seeds import draw_seed
from skcap.utils.validation import check_number, integer
from skcap.utils.words import check_texts, split_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PriorMatrix"]


class PriorMatrix(PriorExchange):
    """Texts and one score per word: what priors return and classifiers train on.

    The words of a text are ``split_words(text)``; scores belong to them by position. The matrix is
    immutable and one-dimensional, so it works in ``train_test_split``, ``cross_val_score``,
    ``GridSearchCV`` and a cached ``Pipeline`` as an array of texts would.

    Parameters
    ----------
    texts : list, tuple, 1-D array or pandas Series of str, length n_texts
        A PriorMatrix gives its texts, not its scores.
    scores : sequence of 1-D array-like, length n_texts, or None, default=None
        For each text, one finite number per word; NaN means *no supervision for this word*. None
        means NaN for all words, a matrix without supervision. Stored as float32.
    provenance : mapping or None, default=None
        How the scores were made, such as ``{"source": "cap", "model": ...}``: anything that JSON
        can hold. Tuples become lists, and NumPy scalars plain numbers; None means ``{}``.

    Raises
    ------
    TypeError
        If a text is not a string, a score not a real number, or the provenance not JSON.
    ValueError
        If there are more or fewer scores than words, or an infinite one.

    Examples
    --------
    >>> from skcap import PriorMatrix
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

    # Unhashable, as arrays are: `==` compares values. (So does joblib.hash.)
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
        array = parts.object_array(check_texts(texts, "texts"))
        offsets = parts.word_offsets(array)
        if scores is None:
            flat = np.full(offsets[-1], np.nan, dtype=np.float32)
        else:
            flat = parts.flat_scores(array, np.diff(offsets), scores)
        self._set(array, flat, offsets, parts.check_provenance(provenance))

    def _set(
        self, texts: np.ndarray, scores: np.ndarray, offsets: np.ndarray, provenance: dict[str, Any]
    ) -> None:
        for array in (texts, scores, offsets):
            array.flags.writeable = False
        self._texts, self._scores, self._offsets = texts, scores, offsets
        self._provenance = provenance

    @classmethod
    def _build(cls, *pieces: Any) -> PriorMatrix:
        # From parts that are known to be valid, without checking them again.
        matrix = cls.__new__(cls)
        matrix._set(*pieces)
        return matrix

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Unpickled arrays are writeable. `asarray` hides a memory map (joblib makes one of a large
        # array), whose type would pass on to whatever is selected from it.
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
        return parts.plain(self._provenance, "provenance")

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
            and parts.to_json(self._provenance) == parts.to_json(other._provenance)
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
            By position, with Python's and NumPy's rules; a pandas Series counts by position, too.

        Returns
        -------
        PriorRecord or PriorMatrix
            A record for an int; for anything else a new matrix with the same provenance.

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
        return self._select(parts.resolve_rows(key, len(self)))

    def _record(self, row: int) -> PriorRecord:
        text = self._texts[row]
        scores = self._scores[self._offsets[row] : self._offsets[row + 1]]
        return PriorRecord(text, split_words(text), scores)

    def _select(self, rows: np.ndarray) -> PriorMatrix:
        lengths = self.n_words[rows]
        offsets = parts.cumulative(lengths)
        # Where each selected score lies: its place in the result, moved by its row's shift.
        places = np.repeat(self._offsets[rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return self._build(self._texts[rows], self._scores[places], offsets, self._provenance)

    # -- other forms ----------------------------------------------------------------------------

    def to_dense(self) -> np.ndarray:
        """Return the scores as one padded array.

        Returns
        -------
        ndarray of float32, shape (n_texts, longest)
            NaN where a word has no score, and beyond the end of a text.

        Examples
        --------
        >>> from skcap import PriorMatrix
        >>> PriorMatrix(["play jazz", "stop"], [[0.0, 1.0], [2.0]]).to_dense()
        array([[ 0.,  1.],
               [ 2., nan]], dtype=float32)
        """
        n_words = self.n_words
        longest = int(n_words.max(initial=0))
        dense = np.full((len(self), longest), np.nan, dtype=np.float32)
        dense[np.arange(longest) < n_words[:, None]] = self._scores
        return dense

    def to_frame(self, per: Literal["word", "text"] = "word") -> pd.DataFrame:
        """Return the scores as a table.

        Parameters
        ----------
        per : {"word", "text"}, default="word"
            What gets a row.

        Returns
        -------
        pandas.DataFrame
            Per word: columns ``row`` and ``position`` (int64, from 0), ``word`` (object) and
            ``score`` (float32); a text without words has no row. Per text: columns ``text``
            (object) and ``scores`` (arrays of float32), as Parquet files and Hugging Face data
            sets hold them.

        Examples
        --------
        >>> from skcap import PriorMatrix
        >>> frame = PriorMatrix(["play jazz", "stop"], [[0.0, 1.0], [2.0]]).to_frame()
        >>> frame.groupby("row")["score"].max().tolist()
        [1.0, 2.0]
        """
        return frame_from_prior(self, per)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        n_texts: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> PriorMatrix:
        """Make a matrix from a table, such as :meth:`to_frame` returns.

        Parameters
        ----------
        frame : pandas.DataFrame
            Either one row per text, with the columns ``text`` and ``scores`` (a list or array
            with one number per word), which is exactly inverse to ``to_frame("text")``. Or one row
            per word, with the columns ``row`` (number of the text, from 0), ``word``, ``score``
            and, optionally, ``position`` (of the word in its text; otherwise the order counts).
            The words of a text are then joined by single spaces, and a missing row is a text
            without words. NaN means no score; other columns are ignored.
        n_texts : int or None, default=None
            How many texts there are. Of a table with one row per word, None takes the last text
            for that of the last row, so say so if texts without words come after it.
        provenance : mapping or None, default=None
            As for the constructor; a table holds none.

        Returns
        -------
        PriorMatrix

        Raises
        ------
        TypeError, ValueError
            If `frame` is of neither form, or its scores do not fit its words.

        Examples
        --------
        >>> import pandas as pd
        >>> from skcap import PriorMatrix
        >>> frame = pd.DataFrame({"row": [0, 0, 1], "word": ["play", "jazz", "stop"]})
        >>> PriorMatrix.from_frame(frame.assign(score=[0.0, 1.0, 2.0])).texts.tolist()
        ['play jazz', 'stop']
        """
        texts, scores = texts_and_scores(frame, n_texts)
        return cls(texts, scores, provenance=provenance)

    def to_html(
        self, path: str | os.PathLike[str] | None = None, max_texts: int | None = None
    ) -> str:
        """Return a standalone page that shows the texts with their words coloured by score.

        Parameters
        ----------
        path : path-like or None, default=None
            File to write the page to as well, in UTF-8.
        max_texts : int or None, default=None
            Number of texts to show; the page says how many are left out. None shows all.

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
        >>> from skcap import PriorMatrix
        >>> PriorMatrix(["play jazz"], [[0.0, 1.0]]).to_html()[:15]
        '<!doctype html>'
        """
        from skcap.utils.html import page

        if max_texts is not None:
            check_number("max_texts", max_texts, integer(0))
        origin = escape(json.dumps(self._provenance, indent=2))
        document = page(
            repr(self),
            ("", self._colored(max_texts)),
            ("How the scores were made", f"<pre>{origin}</pre>"),
        )
        if path is not None:
            write_text(path, document)
        return document

    def _repr_html_(self) -> str:
        return self._colored(10)

    def _colored(self, max_texts: int | None) -> str:
        from skcap.utils.html import color_texts

        shown = self if max_texts is None else self[:max_texts]
        return color_texts(shown.words, shown.scores, n_hidden=len(self) - len(shown))

    def normalize(self, how: str | None) -> PriorMatrix:
        """Normalise the scores of each text, as training does.

        Parameters
        ----------
        how : {"l2", "max", "sum", "minmax", "softmax"} or None
            The norm; see :func:`skcap.utils.norms.normalize_scores`. None changes nothing.

        Returns
        -------
        PriorMatrix
            Words without a score keep none and are ignored. `how` is appended to the list
            ``provenance["normalized"]``.

        Raises
        ------
        ValueError
            If `how` is not one of these.

        Examples
        --------
        >>> from skcap import PriorMatrix
        >>> PriorMatrix(["lost my card"], [[3.0, float("nan"), 4.0]]).normalize("l2").to_dense()
        array([[0.6, nan, 0.8]], dtype=float32)
        """
        from skcap.utils.norms import normalize_ragged

        if how is None:
            return self
        scores = parts.canonical(normalize_ragged(self._scores, self._offsets, how))
        provenance = self.provenance
        provenance["normalized"] = _appended(provenance.get("normalized"), how)
        return self._build(self._texts, scores, self._offsets, provenance)

    def shuffle(self, random_state: int | np.random.RandomState | None = 0) -> PriorMatrix:
        """Permute the scores within each text: a control that knows which scores, but not where.

        What a real prior gains over its shuffled copy is due to the words that it points to.

        Parameters
        ----------
        random_state : int, RandomState or None, default=0
            Seeds the permutations, together with each text, so that shuffling commutes with the
            selection of rows. None draws new ones each time.

        Returns
        -------
        PriorMatrix
            Words without a score keep none; the scores of the others are permuted among them.
            The seed is appended to the list ``provenance["shuffled"]``.

        Examples
        --------
        >>> from skcap import PriorMatrix
        >>> prior = PriorMatrix(["lost my card"], [[3.0, float("nan"), 4.0]])
        >>> prior.shuffle(random_state=2).to_dense()
        array([[ 4., nan,  3.]], dtype=float32)
        """
        seed = draw_seed(random_state)
        scores = parts.permuted(self._texts, self._scores, self._offsets, seed)
        provenance = self.provenance
        provenance["shuffled"] = _appended(provenance.get("shuffled"), seed)
        return self._build(self._texts, scores, self._offsets, provenance)

    # -- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the matrix to one compressed npz file, without pickle.

        Parameters
        ----------
        path : path-like
            Nothing is appended to its name. An existing file is replaced only once the new one is
            complete.

        Examples
        --------
        >>> import os, tempfile
        >>> from skcap import PriorMatrix
        >>> prior = PriorMatrix(["play jazz"], [[0.0, 1.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     prior.save(os.path.join(folder, "prior.npz"))
        ...     PriorMatrix.load(os.path.join(folder, "prior.npz")) == prior
        True
        """
        write_prior(path, self._texts, self._scores, self._offsets, self._provenance)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = LARGEST_FILE) -> PriorMatrix:
        """Read a matrix that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
        max_bytes : int, default=2**30
            Largest size of the unpacked file: a small file from somebody else could otherwise
            fill the memory. A million texts of 15 words take about 0.2 GB.

        Returns
        -------
        PriorMatrix
            Equal to the one that was saved.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is larger, was not written by :meth:`save`, has another format version, or is
            damaged.
        """
        check_number("max_bytes", max_bytes, integer(1))
        return cls._build(*read_prior(path, max_bytes))


def _appended(known: Any, value: Any) -> list[Any]:
    """Add to a list in a provenance, where a matrix of one's own may have something else."""
    return [*(known if isinstance(known, list) else [] if known is None else [known]), value]
