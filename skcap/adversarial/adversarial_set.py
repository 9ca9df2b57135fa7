"""AdversarialSet: changed texts, their true labels, and where each came from."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from skcap.utils.files import replacing
from skcap.utils.optional import import_optional

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AdversarialItem", "AdversarialSet"]

_FORMAT = "1"  # of the files that `save` writes; raise it when their layout changes


@dataclass(frozen=True)
class AdversarialItem:
    """One attack on one text, carried out or rejected.

    Attributes
    ----------
    attack : str
        ``"addition"`` or ``"replacement"``.
    row : int
        Position of the text among those that were attacked.
    original : str
    text : str or None
        The changed text; None if the attack was rejected.
    label, target : str or int
        The true class, and the class that the keywords come from.
    added, removed : tuple of str
        Words put in and words taken out; for a rejected attack, those that were planned.
    writer : str
        What wrote the text.
    reason : str or None
        Why the attack was rejected; None if it was carried out.

    Examples
    --------
    >>> from skcap.adversarial import keyword_addition
    >>> keywords = {"remove": {"cancel": 1.0}, "set": {"wake": 1.0}}
    >>> item = keyword_addition(["cancel it"], ["remove"], keywords, {"remove": ["set"]}).items[0]
    >>> item.label, item.target, item.added, item.reason
    ('remove', 'set', ('wake',), None)
    """

    attack: str
    row: int
    original: str
    text: str | None
    label: Any
    target: Any
    added: tuple[str, ...]
    removed: tuple[str, ...]
    writer: str
    reason: str | None = None


@dataclass(frozen=True)
class AdversarialSet:
    """Texts that contain another class's keywords, with their true labels and provenance.

    Parameters
    ----------
    items : iterable of AdversarialItem
        Those carried out and those rejected. To join sets, join their items.

    Examples
    --------
    >>> from skcap.adversarial import keyword_addition
    >>> attacked = keyword_addition(
    ...     ["cancel the alarm", "play jazz"],
    ...     ["remove", "music"],
    ...     {"remove": {"cancel": 1.0}, "music": {}},
    ...     {"remove": ["music"], "music": ["remove"]},
    ... )
    >>> attacked.labels
    array(['music'], dtype='<U5')
    >>> attacked.report()["reasons"]
    {'no keyword of the target fits': 1}
    """

    items: tuple[AdversarialItem, ...]

    def __init__(self, items: Iterable[AdversarialItem]) -> None:
        object.__setattr__(self, "items", tuple(items))

    def __len__(self) -> int:
        return len(self.made)

    def __repr__(self) -> str:
        return f"AdversarialSet({len(self.made)} made, {len(self.rejected)} rejected)"

    @property
    def made(self) -> list[AdversarialItem]:
        """List of the items that were carried out; `texts`, `labels` and `rows` are theirs."""
        return [item for item in self.items if item.text is not None]

    @property
    def rejected(self) -> list[AdversarialItem]:
        """List of the items that were rejected."""
        return [item for item in self.items if item.text is None]

    @property
    def texts(self) -> list[str]:
        """List of str: the changed texts."""
        return [item.text for item in self.items if item.text is not None]

    @property
    def labels(self) -> np.ndarray:
        """Ndarray, shape (n_texts,): the true classes, which the attacks leave as they are."""
        return np.array([item.label for item in self.made])

    @property
    def rows(self) -> np.ndarray:
        """Ndarray of int64, shape (n_texts,): position of the text that each was made from."""
        return np.array([item.row for item in self.made], dtype=np.int64)

    @property
    def content_hash(self) -> str:
        """SHA-256 of all items, regardless of order and rows; 64 hexadecimal digits."""
        return hashlib.sha256("\n".join(sorted(map(_to_json, self.items))).encode()).hexdigest()

    def report(self) -> dict[str, Any]:
        """Count the attacks that were carried out and those that were rejected.

        Returns
        -------
        dict
            ``attempted``, ``made``, ``rejected`` (int) and ``reasons``, a dict of each reason and
            its count, most frequent first.
        """
        reasons = Counter(item.reason for item in self.rejected)
        return {
            "attempted": len(self.items),
            "made": len(self.made),
            "rejected": len(self.rejected),
            "reasons": dict(sorted(reasons.items(), key=lambda pair: (-pair[1], str(pair[0])))),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return all items as a table with one row per item.

        Returns
        -------
        pandas.DataFrame, shape (n_items, 10)
            The attributes of :class:`AdversarialItem`, with `added` and `removed` joined by
            spaces.
        """
        import pandas as pd

        rows = [
            asdict(item) | {"added": " ".join(item.added), "removed": " ".join(item.removed)}
            for item in self.items
        ]
        return pd.DataFrame(rows, columns=[field.name for field in fields(AdversarialItem)])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the set to one Parquet file, with its content hash in the metadata.

        Parameters
        ----------
        path : path-like
            An existing file is replaced only once the new one is complete.

        Raises
        ------
        ImportError
            If pyarrow is not installed.
        ValueError
            If the labels are neither all strings nor all integers.
        """
        pa, parquet = _pyarrow()
        table = pa.Table.from_pylist([asdict(item) for item in self.items], self._schema(pa))
        with replacing(path) as temporary:
            parquet.write_table(table, temporary, compression="zstd")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> AdversarialSet:
        """Read a set that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        AdversarialSet
            Equal to the one that was saved.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ImportError
            If pyarrow is not installed.
        ValueError
            If it was not written by :meth:`save`, has another format version, or does not match
            its hash.
        """
        pa, parquet = _pyarrow()
        try:
            table = parquet.read_table(path, partitioning=None)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{os.fspath(path)!r} is not a Parquet file: {error}") from error
        metadata = table.schema.metadata or {}
        if (version := metadata.get(b"skcap.adversarial")) != _FORMAT.encode():
            raise ValueError(
                f"{os.fspath(path)!r} was not written by AdversarialSet.save, or by another "
                f"version ({version!r}; this version of skcap reads {_FORMAT!r})."
            )
        loaded = cls(
            AdversarialItem(
                **row | {"added": tuple(row["added"]), "removed": tuple(row["removed"])}
            )
            for row in table.to_pylist()
        )
        if loaded.content_hash.encode() != metadata[b"skcap.content_hash"]:
            raise ValueError(
                f"{os.fspath(path)!r} was changed: its content does not match its hash."
            )
        return loaded

    def _schema(self, pa: Any) -> Any:
        labels = [label for item in self.items for label in (item.label, item.target)]
        if all(isinstance(label, str) for label in labels):
            kind = pa.string()
        elif all(isinstance(label, int) and not isinstance(label, bool) for label in labels):
            kind = pa.int64()
        else:
            kinds = sorted({type(label).__name__ for label in labels})
            raise ValueError(
                f"labels must be all strings or all integers to be saved, got {kinds}."
            )
        types = {"row": pa.int64(), "label": kind, "target": kind}
        types |= dict.fromkeys(("added", "removed"), pa.list_(pa.string()))
        schema = pa.schema(
            [(field.name, types.get(field.name, pa.string())) for field in fields(AdversarialItem)]
        )
        hashes = {"skcap.adversarial": _FORMAT, "skcap.content_hash": self.content_hash}
        return schema.with_metadata(hashes)


def _to_json(item: AdversarialItem) -> str:
    content = asdict(item)
    del content["row"]
    return json.dumps(content, sort_keys=True)


def _pyarrow() -> tuple[Any, Any]:
    names = ("pyarrow", "pyarrow.parquet")
    pyarrow, parquet = (import_optional(name, "parquet", "Parquet files need") for name in names)
    return pyarrow, parquet
