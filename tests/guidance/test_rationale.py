"""Rationales: which words of a text are hidden, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from keyword_task import (
    KEYWORDS,
    LABELS,
    NEW_LABELS,
    NEW_TEXTS,
    PLACES,
    PRIOR,
    TEXTS,
    same_weights,
    step_of,
)
from token_batches import NAN, make_batch
from torch import Tensor

from skcap.guidance import RationaleGuidance
from skcap.guidance.rationale import compose, draw_rationales, only_words
from skcap.prior_matrix import PriorMatrix


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


# -- the loss of one batch ------------------------------------------------------------------------


def losses(guidance, step):
    return {name: part.item() for name, part in guidance.losses(step)}


def test_a_rationale_of_all_words_costs_what_the_text_costs(guided):
    step = step_of(guided, TEXTS[:6], np.arange(6) % 3, np.eye(5)[PLACES[:6]], np.arange(6.0))
    logits = step.module(step.batch["input_ids"], step.batch["attention_mask"])
    expected = (step.criterion(logits, step.classes) * torch.arange(6.0)).mean().item()
    found = losses(RationaleGuidance(share=1), step)
    assert found["rationale"] == pytest.approx(expected, rel=1e-4)
    assert found["complement"] == 0  # nothing is left over


def test_the_complement_costs_its_divergence_from_all_classes_alike(guided):
    from scipy.stats import entropy

    prior, weight = [np.array([9.0, -9.0, -9.0]), np.array([-9.0, -9.0, 9.0])], np.array([0.5, 1.5])
    step = step_of(guided, ["play some jazz", "set the alarm"], [0, 1], prior, weight)
    mask = step.batch["attention_mask"] * (step.batch["word_ids"] != torch.tensor([[0], [2]]))
    with torch.no_grad():
        p = step.module(step.batch["input_ids"], mask).softmax(dim=1).numpy()
        found = losses(RationaleGuidance(share=0.3, complement_weight=2.0), step)
    each = entropy(np.full_like(p, 1 / p.shape[1]), p, axis=1)
    assert found["complement"] == pytest.approx(2 * (0.5 * each[0] + 1.5 * each[1]) / 2, rel=1e-4)


def test_a_lone_supervised_text_counts_once_in_a_batch_of_32(guided):
    prior = [np.array([9.0, -9.0, -9.0, -9.0, -9.0]), *[np.full(5, np.nan)] * 31]
    guidance = RationaleGuidance(share=0.2)
    alone = losses(guidance, step_of(guided, TEXTS[:1], [0], prior[:1]))
    among = losses(guidance, step_of(guided, TEXTS[:32], np.arange(32) % 3, prior))
    for name in ("rationale", "complement"):
        assert alone[name] > 0
        assert among[name] == pytest.approx(alone[name] / 32, rel=1e-4)


def test_a_batch_without_supervision_costs_nothing(guided):
    step = step_of(guided, TEXTS[:3], [0, 1, 2], [np.full(5, np.nan)] * 3)
    for complement in ("hide", "compose"):
        assert losses(RationaleGuidance(complement=complement), step) == {
            "rationale": 0,
            "complement": 0,
        }


# -- training -------------------------------------------------------------------------------------


@pytest.mark.parametrize("complement", ["hide", "compose"])
@pytest.mark.parametrize("weight", [0, 0.3])
def test_rationales_are_a_part_of_the_loss(make, weight, complement):
    guidance = RationaleGuidance(complement=complement, complement_weight=weight)
    options = {"guidance": guidance, "beta": 0.5, "max_epochs": 4}
    classifier = make(**options).fit(PRIOR, LABELS)
    history = classifier.net_.history
    parts = ["train_rationale", *(["train_complement"] if weight else [])]
    extra = 0.5 * sum(np.array(history[:, part]) for part in parts)
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + extra, 1e-5)
    assert history[-1, "train_rationale"] < history[0, "train_rationale"]
    assert "train_alignment" not in history[0]
    assert ("train_complement" in history[0]) == bool(weight)
    assert same_weights(classifier, make(**options).fit(PRIOR, LABELS))


@pytest.mark.parametrize("complement", ["hide", "compose"])
def test_rationales_keep_a_model_from_a_shortcut_that_the_prior_does_not_favour(make, complement):
    """Each training text begins with a filler that goes with its class by accident."""
    shortcut = dict(zip(KEYWORDS, ["please", "now", "set"], strict=True))
    told = [f"{shortcut[label]} {text}" for text, label in zip(TEXTS, LABELS, strict=True)]
    others = np.roll(NEW_LABELS, 1)  # the next class in turn, so never one's own
    misled = [f"{shortcut[label]} {text}" for text, label in zip(NEW_TEXTS, others, strict=True)]

    def score(guidance, places=None):
        X = told if places is None else PriorMatrix(told, np.eye(6)[places])
        options = {"guidance": guidance, "beta": 3.0, "head_init": "random", "max_epochs": 10}
        return make(**options).fit(X, LABELS).score(misled, NEW_LABELS)

    guidance = RationaleGuidance(share=0.2, complement=complement)
    right = score(guidance, PLACES + 1)
    assert right > score(None) + 0.1
    assert right > score(guidance, np.zeros(len(told), dtype=int)) + 0.3  # it favours the shortcut


def test_texts_of_one_word_have_no_complement(make):
    prior = PriorMatrix(["jazz", "alarm"], [np.ones(1)] * 2)
    history = make(guidance="rationale", max_epochs=1).fit(prior, ["music", "alarm"]).net_.history
    assert history[0, "train_complement"] == 0
    assert history[0, "train_rationale"] > 0
