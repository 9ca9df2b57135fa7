"""Distracted texts: whose words are put in, where, and that nothing else changes."""

from __future__ import annotations

import pytest
import torch
from token_batches import CLS, NAN, SEP, make_batch
from torch import Tensor

from skcap.guidance.distractors import add_distractors, choose_words


@pytest.fixture
def batch() -> dict[str, Tensor]:
    texts = [[[1], [2, 3], [4]], [[11], [12, 13]], [[21, 22, 23]]]
    return make_batch(texts, [[0.0, 1.0, 0.1], [-1.0, 1.0], [1.0]])


def distract(
    batch: dict[str, Tensor],
    classes: list[int],
    logits: Tensor | None = None,
    max_length: int = 20,
) -> tuple[Tensor, Tensor, Tensor]:
    logits = torch.zeros(len(classes), 3) if logits is None else logits
    return add_distractors(batch, torch.tensor(classes), logits, 1, max_length)


def real(ids: Tensor, mask: Tensor) -> list[list[int]]:
    return [row[keep.bool()].tolist() for row, keep in zip(ids, mask, strict=True)]


def without(row: list[int], lent: set[int]) -> list[int]:
    return [token for token in row if token not in lent]


def test_own_text_stays_and_words_of_another_class_come_in_whole(batch: dict[str, Tensor]) -> None:
    own = real(batch["input_ids"], batch["attention_mask"])
    lendable = {0: [[21, 22, 23]], 1: [[21, 22, 23]], 2: [[1], [2, 3], [4], [11], [12, 13]]}
    seen = set()
    for seed in range(40):
        torch.manual_seed(seed)
        ids, mask, rows = distract(batch, [0, 0, 1])
        assert rows.tolist() == [0, 1, 2]
        for row, made in enumerate(real(ids, mask)):
            lent = [t for t in made if t not in own[row]]
            assert lent in lendable[row]
            assert without(made, set(lent)) == own[row]
            start = made.index(lent[0])
            assert made[start : start + len(lent)] == lent
            assert (made[0], made[-1]) == (CLS, SEP)
            seen.add((row, start))
    assert seen == {(0, 1), (0, 5), (1, 1), (1, 4), (2, 1), (2, 4)}  # at both ends


def test_words_of_high_score_come_first() -> None:
    torch.manual_seed(0)
    prior = torch.tensor([[0.0, 1.0, 0.9, -1.0, NAN]]).repeat(2000, 1)
    share = choose_words(prior, 1).float().mean(dim=0)
    assert share.sum() == pytest.approx(1)
    assert share[1] > share[2] > 0.2 > 0.05 > share[0] > share[3]
    assert share[4] == 0


def test_words_without_scores_are_never_lent() -> None:
    chosen = choose_words(torch.tensor([[NAN, 0.5], [NAN, NAN], [0.0, 0.0]]), 5)
    assert chosen.tolist() == [[False, True], [False, False], [True, True]]


def test_texts_that_cannot_be_made_are_left_out() -> None:
    texts = [[[1], [2]], [[11]], []]
    batch = make_batch(texts, [[1.0, 1.0], [NAN], []])
    # The second has nothing to lend, the third no words to be put between.
    _, _, rows = distract(batch, [0, 1, 1])
    assert rows.tolist() == [1]
    _, _, rows = distract(batch, [0, 1, 1], max_length=3)
    assert rows.tolist() == []
    ids, mask, rows = distract(batch, [0, 0, 0])
    assert rows.tolist() == []
    assert ids.shape == mask.shape == (0, 0)


def test_a_seed_repeats_the_draw(batch: dict[str, Tensor]) -> None:
    drawn = []
    for seed in (0, 0, 1, 2, 3):
        torch.manual_seed(seed)
        drawn.append(distract(batch, [0, 1, 2])[0].tolist())
    assert drawn[0] == drawn[1]
    assert any(one != drawn[0] for one in drawn[2:])


def test_words_come_from_the_class_that_the_model_confuses(batch: dict[str, Tensor]) -> None:
    logits = torch.tensor([[5.0, -20.0, 5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    for seed in range(10):
        torch.manual_seed(seed)
        ids, mask, _ = distract(batch, [0, 1, 2], logits)
        assert 22 in real(ids, mask)[0]
