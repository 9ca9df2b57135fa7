"""Rationales: which words of a text are hidden, and that nothing else changes."""

from __future__ import annotations

import pytest
import torch
from token_batches import NAN, make_batch
from torch import Tensor

from skcap.guidance.rationale import compose, draw_rationales, only_words


def tokens_left(batch: dict[str, Tensor], share: float) -> tuple[list[list[int]], list[int]]:
    mask, rows = only_words(batch, draw_rationales(batch, share))
    left = [
        batch["input_ids"][row][kept.bool()].tolist() for row, kept in zip(rows, mask, strict=True)
    ]
    return left, rows.tolist()


def test_words_are_hidden_whole_and_special_tokens_stay() -> None:
    batch = make_batch([[[1], [2, 3], [4, 5], [6]]], [[0.0, 9.0, -9.0, 8.0]])
    for seed in range(10):
        torch.manual_seed(seed)
        (left,), rows = tokens_left(batch, 0.5)
        assert left == [101, 2, 3, 6, 102]
        assert rows == [0]


@pytest.mark.parametrize(("share", "n_left"), [(0.0, 1), (0.3, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_share_is_rounded_and_leaves_a_word(share: float, n_left: int) -> None:
    batch = make_batch([[[1], [2], [3], [4]], [[5]]], [[1.0, 2.0, 3.0, 4.0], [-1.0]])
    left, _ = tokens_left(batch, share)
    assert [len(row) - 2 for row in left] == [n_left, 1]


def test_texts_without_scores_are_left_out_and_words_without_are_hidden() -> None:
    batch = make_batch([[[1], [2]], [[3]], [], [[4], [5]]], [[NAN, NAN], [1.0], [], [NAN, -1.0]])
    left, rows = tokens_left(batch, 1.0)
    assert rows == [1, 3]
    assert left == [[101, 3, 102], [101, 5, 102]]


def test_draws_differ_and_a_seed_repeats_them() -> None:
    batch = make_batch([[[token] for token in range(1, 9)]], [[1.0] * 8])
    drawn = []
    for seed in (0, 0, 1, 2):
        torch.manual_seed(seed)
        drawn.append(tokens_left(batch, 0.5)[0])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2] or drawn[0] != drawn[3]


def test_the_complement_is_what_a_rationale_hides() -> None:
    batch = make_batch(
        [[[1], [2, 3], [4, 5], [6]], [[7]], [], [[8], [9]]],
        [[0.0, 9.0, -9.0, 8.0], [1.0], [], [NAN, 1.0]],
    )
    for seed in range(10):
        torch.manual_seed(seed)
        others = ~batch["prior"].isnan() & ~draw_rationales(batch, 0.5)
        mask, rows = only_words(batch, others)
        assert rows.tolist() == [0]  # all words with a score of the others are in their rationales
        assert batch["input_ids"][0][mask[0].bool()].tolist() == [101, 1, 4, 5, 102]


def test_a_composed_text_is_its_rationale_among_words_that_another_leaves_out() -> None:
    batch = make_batch(
        [[[1], [2, 3], [4]], [[5], [6], [7]]], [[9.0, -9.0, -9.0], [-9.0, -9.0, 9.0]]
    )
    for seed in range(5):
        torch.manual_seed(seed)
        ids, mask, rows = compose(batch, draw_rationales(batch, 0.3), max_length=64)
        texts = [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]
        assert rows.tolist() == [0, 1]
        assert [sorted(text) for text in texts] == [[1, 5, 6, 101, 102], [2, 3, 4, 7, 101, 102]]
        assert all(text[0] == 101 and text[-1] == 102 for text in texts)


def test_composed_texts_that_are_too_long_are_left_out() -> None:
    batch = make_batch([[[1], [2]], [[3], [4, 5, 6]]], [[9.0, -9.0], [9.0, -9.0]])
    _, _, rows = compose(batch, draw_rationales(batch, 0.5), max_length=5)
    assert rows.tolist() == [1]
