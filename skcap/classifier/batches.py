"""Batches: data sets of encoded texts, padding, and training batches of texts of like length."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from skcap.classifier.texts import EncodedText

__all__ = ["OWN_COLUMNS", "LengthGroupedSampler", "PadCollate", "TextDataset", "training_loader"]

OWN_COLUMNS = ("input_ids", "attention_mask", "special", "word_ids", "weight")
"""What each batch holds besides the columns by word."""

_BATCHES_A_GROUP = 50  # texts are sorted within that many batches: enough to fill each evenly
_JITTER = 2.0  # tokens by which lengths blur, so that the same texts do not always meet


class TextDataset(Dataset[tuple[dict[str, Any], int]]):
    """Encoded texts with their classes, weights, and columns by word, such as priors.

    Parameters
    ----------
    encoded : sequence of EncodedText, length n_texts
    classes : ndarray of int64, shape (n_texts,), default=None
        None stands for class 0 throughout, where only the texts matter.
    columns : mapping of str to sequence of ndarray of float, length n_texts, default=None
        One value per word and text. Words that the model does not see get NaN.
    weights : ndarray of float, shape (n_texts,), default=None
        None weighs all texts alike.
    """

    def __init__(
        self,
        encoded: Sequence[EncodedText],
        classes: np.ndarray | None = None,
        columns: Mapping[str, Sequence[np.ndarray]] | None = None,
        weights: np.ndarray | None = None,
    ) -> None:
        self.encoded = encoded
        self.classes = np.zeros(len(encoded), dtype=np.int64) if classes is None else classes
        self.weights = np.ones(len(encoded)) if weights is None else weights
        self.columns = {
            name: [
                np.where(text.seen, row, np.nan) for text, row in zip(encoded, rows, strict=True)
            ]
            for name, rows in (columns or {}).items()
        }

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, row: int) -> tuple[dict[str, Any], int]:
        text = self.encoded[row]
        item = {
            "input_ids": text.input_ids,
            "special": text.special,
            "word_ids": text.word_ids,
            "weight": self.weights[row],
            "columns": {name: values[row] for name, values in self.columns.items()},
        }
        return item, int(self.classes[row])

    def scaled(self, factor: float) -> TextDataset:
        """Give the same texts with other weights."""
        copied = copy.copy(self)
        copied.weights = self.weights * factor
        return copied


class PadCollate:
    """Make a batch of rows of a :class:`TextDataset`, padded on the right to its longest.

    Parameters
    ----------
    pad_id : int
        Token to pad with. It is never attended to.
    """

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: list[tuple[dict[str, Any], int]]) -> tuple[dict[str, Tensor], Tensor]:
        """Give the batch's tensors by name, and its classes.

        Returns
        -------
        dict of Tensor
            input_ids, attention_mask, special (True at padding as well) and word_ids of shape
            (n_texts, n_tokens), weight of shape (n_texts,), and the columns by word, of shape
            (n_texts, n_words), padded with NaN. Where no text has a word, n_words is 1, so that
            there is a value to look up.
        Tensor of int64, shape (n_texts,)
        """
        items = [item for item, _ in rows]
        batch = {
            "input_ids": _pad(items, "input_ids", self.pad_id),
            "attention_mask": _pad([{"n": np.ones_like(i["input_ids"])} for i in items], "n", 0),
            "special": _pad(items, "special", True),
            "word_ids": _pad(items, "word_ids", -1),
            "weight": torch.tensor([item["weight"] for item in items], dtype=torch.float32),
        }
        for name in items[0]["columns"]:
            column = _pad([item["columns"] for item in items], name, np.nan).float()
            batch[name] = column if column.shape[1] else column.new_full((len(items), 1), np.nan)
        return batch, torch.tensor([label for _, label in rows])


def _pad(items: Sequence[Mapping[str, Any]], name: str, filler: Any) -> Tensor:
    rows = [torch.from_numpy(item[name]) for item in items]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filler)


class LengthGroupedSampler(Sampler[int]):
    """Draw rows in a random order in which the rows of a batch are of like length.

    Each pass deals the rows into random groups, sorts each group by length, cuts it into batches
    and gives all batches in random order.

    Parameters
    ----------
    lengths : array-like of int, shape (n_texts,)
        Tokens of each text.
    batch_size : int
        Rows that the loader takes at a time.

    Examples
    --------
    >>> from skcap.classifier.batches import LengthGroupedSampler
    >>> rows = list(LengthGroupedSampler([3, 40, 5, 41], batch_size=2))
    >>> sorted(rows[:2]) in ([0, 2], [1, 3])
    True
    """

    def __init__(self, lengths: Any, batch_size: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Draw from torch's global generator, as loaders do."""
        order = torch.randperm(len(self)).numpy()
        blurred = self.lengths + _JITTER * torch.rand(len(self)).numpy()
        size = _BATCHES_A_GROUP * self.batch_size
        batches = []
        for start in range(0, len(order), size):
            group = order[start : start + size]
            group = group[np.argsort(blurred[group], kind="stable")]
            batches += [
                group[i : i + self.batch_size] for i in range(0, len(group), self.batch_size)
            ]
        # The one batch that may be short stays last, or all that follow would straddle two.
        last = [batches.pop()] if batches and len(batches[-1]) < self.batch_size else []
        shuffled = [batches[i] for i in torch.randperm(len(batches)).tolist()]
        for batch in shuffled + last:
            yield from batch.tolist()


def training_loader(
    dataset: Any, batch_size: int, shuffle: bool = True, sampler: Any = None, **options: Any
) -> DataLoader[Any]:
    """Make the loader of training batches.

    Parameters
    ----------
    dataset : skcap.classifier.batches.TextDataset or a subset of one
    batch_size : int
    shuffle : bool, default=True
        False keeps the order of the rows.
    sampler : torch.utils.data.Sampler or None, default=None
        Another order. None groups texts by length.
    **options
        Passed to ``torch.utils.data.DataLoader``.

    Returns
    -------
    torch.utils.data.DataLoader
    """
    if shuffle and sampler is None:
        lengths = [dataset[row][0]["input_ids"].size for row in range(len(dataset))]
        sampler = LengthGroupedSampler(lengths, batch_size)
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, **options)
