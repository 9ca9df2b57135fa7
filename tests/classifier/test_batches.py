"""Batches of like length: every row once, little padding, reproducible."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcap.classifier.batches import LengthGroupedSampler, PadCollate, TextDataset, training_loader
from skcap.classifier.texts import EncodedText


def padded_share(lengths: np.ndarray, rows: list[int], batch_size: int) -> float:
    batches = [lengths[rows[i : i + batch_size]] for i in range(0, len(rows), batch_size)]
    return 1 - lengths.sum() / sum(len(batch) * batch.max() for batch in batches)


def make_dataset(lengths: list[int]) -> TextDataset:
    return TextDataset(
        [
            EncodedText(
                input_ids=np.full(length, row),
                special=np.zeros(length, dtype=bool),
                word_ids=np.arange(length),
                truncated=np.zeros(length, dtype=bool),
            )
            for row, length in enumerate(lengths)
        ]
    )


@pytest.mark.parametrize("n_texts", [1, 7, 32, 33, 385, 5000])
def test_every_row_comes_once(n_texts: int) -> None:
    lengths = np.random.default_rng(0).integers(3, 60, n_texts)
    rows = list(LengthGroupedSampler(lengths, batch_size=32))
    assert sorted(rows) == list(range(n_texts))


@pytest.mark.parametrize("n_texts", [385, 5000])
def test_batches_hold_little_padding(n_texts: int) -> None:
    lengths = np.random.default_rng(0).poisson(12, n_texts) + 2
    rows = list(LengthGroupedSampler(lengths, batch_size=32))
    assert padded_share(lengths, rows, 32) < 0.1
    assert padded_share(lengths, list(range(n_texts)), 32) > 0.25


def test_passes_differ_and_a_seed_repeats_them() -> None:
    sampler = LengthGroupedSampler(np.arange(200) % 9, batch_size=8)
    torch.manual_seed(0)
    first, second = list(sampler), list(sampler)
    torch.manual_seed(0)
    assert list(sampler) == first != second
    # Not just the order of the batches: who meets whom varies, too.
    assert {frozenset(first[i : i + 8]) for i in range(0, 200, 8)} != {
        frozenset(second[i : i + 8]) for i in range(0, 200, 8)
    }


def test_batches_come_in_no_order_of_length() -> None:
    lengths = np.arange(320)
    torch.manual_seed(0)
    rows = list(LengthGroupedSampler(lengths, batch_size=32))
    assert rows != sorted(rows)


def test_loader_keeps_the_order_where_told() -> None:
    dataset = make_dataset([5, 3, 9, 4])
    collate = PadCollate(0)
    plain = training_loader(dataset, 2, shuffle=False, collate_fn=collate)
    assert [batch["input_ids"][:, 0].tolist() for batch, _ in plain] == [[0, 1], [2, 3]]
    own = training_loader(dataset, 2, sampler=[3, 2, 1, 0], collate_fn=collate)
    assert [batch["input_ids"][:, 0].tolist() for batch, _ in own] == [[3, 2], [1, 0]]


def test_loader_groups_by_length() -> None:
    dataset = make_dataset([3, 40, 4, 41, 5, 42, 3, 43])
    loader = training_loader(dataset, 4, collate_fn=PadCollate(0))
    widths = sorted(batch["input_ids"].shape[1] for batch, _ in loader)
    assert widths == [5, 43]


def test_a_batch_without_words_has_a_column_to_look_up() -> None:
    text = EncodedText(
        input_ids=np.array([2, 3]),
        special=np.ones(2, dtype=bool),
        word_ids=np.full(2, -1),
        truncated=np.zeros(0, dtype=bool),
    )
    batch, _ = PadCollate(0)([TextDataset([text], columns={"prior": [np.zeros(0)]})[0]])
    assert batch["prior"].shape == (1, 1)
    assert batch["prior"].isnan().all()
