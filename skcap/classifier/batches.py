"""Training batches of texts of like length, so that little is spent on padding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

__all__ = ["LengthGroupedSampler", "training_loader"]

_BATCHES_A_GROUP = 50  # texts are sorted within that many batches: enough to fill each evenly
_JITTER = 2.0  # tokens by which lengths blur, so that the same texts do not always meet


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
    dataset : skcap.classifier.encoder.TextDataset or a subset of one
    batch_size : int
    shuffle : bool, default=True
        False keeps the order of the rows.
    sampler : torch.utils.data.Sampler or None, default=None
        One's own order. None groups texts by length.
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
