"""PriorMatrix to and from the files and tables of other libraries."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from skcap.prior_matrix.eraser import read_eraser, write_eraser
from skcap.utils.files import replacing
from skcap.utils.optional import import_optional
from skcap.utils.words import check_encodable

if TYPE_CHECKING:
    import datasets

__all__ = ["PriorExchange"]

_PROVENANCE = b"skcap.provenance"


class PriorExchange:
    """The methods of PriorMatrix that write for other libraries and read what they wrote."""

    # -- Parquet --------------------------------------------------------------------------------

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the matrix to a Parquet file, one row per text.

        Parameters
        ----------
        path : path-like
            An existing file is replaced only once the new one is complete.

        Raises
        ------
        ImportError
            If pyarrow is not installed: ``pip install 'skcap[parquet]'``.
        ValueError
            If a text is no valid Unicode.

        Notes
        -----
        The columns are ``text`` (string) and ``scores`` (list of float32). The provenance is JSON
        in the metadata of the schema, under ``skcap.provenance``.

        Examples
        --------
        >>> import os, tempfile
        >>> from skcap import PriorMatrix
        >>> prior = PriorMatrix(["play jazz"], [[0.0, 1.0]], provenance={"source": "by hand"})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     prior.to_parquet(os.path.join(folder, "prior.parquet"))
        ...     PriorMatrix.from_parquet(os.path.join(folder, "prior.parquet")) == prior
        True
        """
        parquet = import_optional("pyarrow.parquet", "parquet", "Parquet files need")
        with replacing(path) as temporary:
            parquet.write_table(_arrow_table(self), temporary)

    @classmethod
    def from_parquet(
        cls, path: str | os.PathLike[str], *, provenance: Mapping[str, Any] | None = None
    ) -> Self:
        """Read a Parquet file with the columns ``text`` and ``scores``.

        Parameters
        ----------
        path : path-like
            Written by :meth:`to_parquet`, or by any library that knows lists of numbers.
        provenance : mapping or None, default=None
            As for the constructor; None takes that of the file, if it has one.

        Returns
        -------
        PriorMatrix

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        ValueError
            If a column is missing, or the scores do not fit the words.
        """
        parquet = import_optional("pyarrow.parquet", "parquet", "Parquet files need")
        schema = parquet.read_schema(path)
        _check_columns(schema.names, os.fspath(path))
        table = parquet.read_table(path, columns=["text", "scores"])
        if provenance is None:
            provenance = _read_provenance(schema.metadata or {}, os.fspath(path))
        return cls._from_columns(table.to_pydict(), provenance)

    # -- Hugging Face datasets ------------------------------------------------------------------

    def to_dataset(self) -> datasets.Dataset:
        """Return a Hugging Face data set with the columns ``text`` and ``scores``.

        Returns
        -------
        datasets.Dataset
            One row per text. It holds no provenance.

        Raises
        ------
        ImportError
            If datasets is not installed: ``pip install 'skcap[hub]'``.

        Examples
        --------
        >>> from skcap import PriorMatrix
        >>> rows = PriorMatrix(["play jazz"], [[0.0, 1.0]]).to_dataset()  # doctest: +SKIP
        >>> rows[0]  # doctest: +SKIP
        {'text': 'play jazz', 'scores': [0.0, 1.0]}
        """
        datasets = import_optional("datasets", "hub", "Hugging Face data sets need")
        return datasets.Dataset(_arrow_table(self).replace_schema_metadata(None))

    @classmethod
    def from_dataset(
        cls, dataset: datasets.Dataset, *, provenance: Mapping[str, Any] | None = None
    ) -> Self:
        """Make a matrix from a Hugging Face data set.

        Parameters
        ----------
        dataset : datasets.Dataset
            With the columns ``text`` (strings) and ``scores`` (one number per word, or null);
            others are ignored. Take one split: ``load_dataset(...)["train"]``.
        provenance : mapping or None, default=None
            As for the constructor.

        Returns
        -------
        PriorMatrix

        Raises
        ------
        ValueError
            If a column is missing, or the scores do not fit the words.
        """
        names = getattr(dataset, "column_names", None)
        if not isinstance(names, list):
            raise TypeError(
                f"dataset must be one split of a data set, got {type(dataset).__name__}. Choose "
                "one, as in dataset['train']."
            )
        _check_columns(names, "dataset")
        columns = {name: list(dataset[name]) for name in ("text", "scores")}
        return cls._from_columns(columns, provenance)

    # -- ERASER ---------------------------------------------------------------------------------

    def to_eraser(
        self,
        path: str | os.PathLike[str],
        ids: Sequence[str],
        *,
        masks: Sequence[Any] | None = None,
    ) -> None:
        """Write the scores as predictions in the JSON lines of the ERASER benchmark.

        Parameters
        ----------
        path : path-like
        ids : sequence of str, length n_texts
            The id of each text, which ERASER calls `annotation_id` and `docid`.
        masks : sequence of 1-D bool arrays, length n_texts, or None, default=None
            The words of each rationale, such as :func:`skcap.metrics.rationale_masks` gives:
            written as `hard_rationale_predictions`.

        Raises
        ------
        ValueError
            If there is not one id per text, a word has no score, or `masks` hold anything else than
            booleans.

        Notes
        -----
        The format is that of DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP
        Models", ACL 2020. Only the rationales are written: what ERASER calls `classification` and
        its scores are the classifier's.

        Examples
        --------
        >>> import os, tempfile
        >>> from skcap import PriorMatrix
        >>> prior = PriorMatrix(["play jazz"], [[0.0, 1.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "predictions.jsonl")
        ...     prior.to_eraser(path, ["a1"])
        ...     PriorMatrix.from_eraser(path, {"a1": "play jazz"}) == prior
        True
        """
        write_eraser(path, self, ids, masks)  # type: ignore[arg-type]

    @classmethod
    def from_eraser(
        cls,
        path: str | os.PathLike[str],
        documents: Mapping[str, str] | str | os.PathLike[str],
        *,
        provenance: Mapping[str, Any] | None = None,
    ) -> Self:
        """Read annotations or predictions in the JSON lines of the ERASER benchmark.

        Parameters
        ----------
        path : path-like
            A file such as ``train.jsonl``. The words of an annotation's `evidences` get a score of
            1, the others 0; predictions have their `soft_rationale_predictions`.
        documents : mapping of str to str, or path-like
            The texts by their `docid`, or the folder ``docs`` with a file for each.
        provenance : mapping or None, default=None
            As for the constructor.

        Returns
        -------
        PriorMatrix
            One row per line of the file.

        Raises
        ------
        ValueError
            Naming the line that cannot be read, speaks of several documents (as e-SNLI does), or of
            words that its document does not have.
        """
        texts, scores = read_eraser(path, documents)
        return cls(texts, scores, provenance=provenance)  # type: ignore[call-arg]

    @classmethod
    def _from_columns(cls, columns: Mapping[str, Any], provenance: Any) -> Self:
        """Build from a list of texts and one of scores, in which None is a missing score."""
        nan = float("nan")
        rows = [
            [nan if score is None else score for score in row] if isinstance(row, list) else row
            for row in columns["scores"]
        ]
        return cls(columns["text"], rows, provenance=provenance)  # type: ignore[call-arg]


def _arrow_table(prior: Any) -> Any:
    pyarrow = import_optional("pyarrow", "parquet", "Tables of Arrow need")
    check_encodable(prior.texts, "texts")
    columns = {
        "text": pyarrow.array(prior.texts.tolist(), pyarrow.string()),
        "scores": pyarrow.array(prior.scores, pyarrow.list_(pyarrow.float32())),
    }
    provenance = json.dumps(prior.provenance).encode()
    return pyarrow.table(columns).replace_schema_metadata({_PROVENANCE: provenance})


def _check_columns(names: Sequence[str], where: str) -> None:
    if missing := [name for name in ("text", "scores") if name not in names]:
        raise ValueError(
            f"{where} lacks the columns {missing}; it has {list(names)[:10]}. Rename yours, or "
            "read the table with pandas and use PriorMatrix.from_frame."
        )


def _read_provenance(metadata: Mapping[bytes, bytes], where: str) -> Any:
    try:
        return json.loads(metadata.get(_PROVENANCE, b"{}"))
    except ValueError as error:
        raise ValueError(
            f"{where} has a provenance that is not JSON ({error}). Pass provenance={{}} to read "
            "the scores alone."
        ) from error
