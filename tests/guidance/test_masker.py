"""The masker: masks that single out the keyword, losses that stay apart, nothing left behind."""

import pickle

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
    prior_on,
    same_weights,
    step_of,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skcap.guidance import GUIDANCE, MaskerGuidance, masker
from skcap.prior_matrix import PriorMatrix
from skcap.utils.seeds import seeded

CODES = np.arange(len(TEXTS)) % 3
LONG = {"max_epochs": 20, "head_init": "random"}  # the masker needs as many steps


@pytest.fixture(scope="module")
def masked(make):
    return make(guidance=MaskerGuidance(sparsity=0.5), **LONG).fit(TEXTS, LABELS)


def is_keyword(texts):
    return np.array([[word in KEYWORDS for word in text.split()] for text in texts])


def learned_masks(classifier, texts=NEW_TEXTS):
    return classifier.guidance_[0].masks(classifier, texts).to_dense()


def prepared(classifier, **parameters):
    """Give a guidance with a masker of its own, ready for use with a fitted classifier."""

    class Task:
        tokenizer, module = classifier.tokenizer_, classifier.net_.module_

    guidance = MaskerGuidance(warmup=0, **parameters)
    with seeded(0):
        guidance.prepare(Task)
    return guidance


def step(classifier, n_texts=9, **parameters):
    return step_of(classifier, TEXTS[:n_texts], CODES[:n_texts], **parameters)


# -- what is learned ------------------------------------------------------------------------------


def test_masks_single_out_the_keyword_without_a_prior(masked):
    masks, keyword = learned_masks(masked), is_keyword(NEW_TEXTS)
    assert masks.shape == (30, 5)
    assert masks[keyword].mean() > masks[~keyword].mean() + 0.2
    assert np.mean(masks.argmax(axis=1) == keyword.argmax(axis=1)) > 0.7
    assert masked.score(NEW_TEXTS, NEW_LABELS) > 0.9


def test_the_loss_of_the_masker_falls(masked):
    losses = masked.guidance_[0].masker_losses_
    assert len(losses) == 16 * 3  # four of 20 epochs of three batches are the warm-up
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])


def test_attributions_move_to_the_masks(make):
    """Masks that a strong prior puts on the word after the keyword pull the attributions there."""
    teacher = prior_on(TEXTS, (PLACES + 1) % 5)

    def share(weight):
        guidance = MaskerGuidance(
            prior_weight=10.0, warmup=0, attribution_weight=weight, consistency_weight=0
        )
        classifier = make(guidance=guidance, **LONG).fit(teacher, LABELS)
        own = classifier.explain(TEXTS, LABELS).normalize("minmax").to_dense()
        masks = learned_masks(classifier, TEXTS)
        return np.mean((own - masks) ** 2)

    assert share(3.0) < 0.8 * share(0)


@pytest.mark.parametrize("family", ["roberta", "distilbert", "deberta-v2", "modernbert"])
def test_guides_every_family(make, tiny_model, family):
    options = {"model": tiny_model(family), "guidance": "masker", "max_epochs": 5}
    classifier = make(**options).fit(TEXTS, LABELS)
    history = classifier.net_.history
    parts = np.add(history[:, "train_masker"], history[:, "train_consistency"])
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + parts, rtol=1e-5)
    assert history[0, "train_masker"] == 0  # the warm-up
    assert history[-1, "train_masker"] > 0
    assert history[-1, "train_consistency"] > 0
    assert learned_masks(classifier).shape == (30, 5)


def test_warm_up_throughout_is_unguided_training(make):
    unguided = make(guidance=None, max_epochs=2).fit(TEXTS, LABELS)
    warming = make(guidance=MaskerGuidance(warmup=1), max_epochs=2).fit(TEXTS, LABELS)
    assert same_weights(unguided, warming)
    assert warming.guidance_[0].masker_losses_ == []


def test_same_seed_same_weights_and_masks(make, masked):
    again = make(guidance=MaskerGuidance(sparsity=0.5), **LONG).fit(TEXTS, LABELS)
    assert same_weights(again, masked)
    np.testing.assert_array_equal(learned_masks(again), learned_masks(masked))


# -- the losses of one batch ----------------------------------------------------------------------


def test_the_masker_and_the_classifier_get_no_gradients_from_each_other(guided):
    guidance, module = prepared(guided), guided.net_.module_
    module.zero_grad()
    weights = [weight.clone() for weight in guidance.masker_.parameters()]
    losses = guidance.losses(step(guided))
    name, part = next(losses)
    assert name == "masker"
    assert all(weight.grad is None for weight in module.parameters())
    moved = zip(weights, guidance.masker_.parameters(), strict=True)
    assert all(not torch.equal(before, after) for before, after in moved)
    part.backward()
    next(losses)[1].backward()
    assert any(weight.grad is not None for weight in module.parameters())
    assert all(weight.grad is None for weight in guidance.masker_.parameters())
    module.zero_grad()


def test_the_gap_is_of_the_probabilities_by_either_side_of_a_mask(guided):
    guidance = prepared(guided)
    own = step(guided)
    keyword = torch.tensor(is_keyword(TEXTS[:9]), dtype=torch.float32)
    gap = guidance._gap(own, keyword)
    assert gap.mean() > 0.3
    torch.testing.assert_close(guidance._gap(own, 1 - keyword), -gap)
    # By a mask of ones it is the text itself, and by a mask of zeros padding tokens alone.
    ids = own.batch["input_ids"]
    empty = torch.where(own.batch["special"], ids, guided.tokenizer_.pad_token_id)
    pairs = [own.module(rows).softmax(dim=1)[range(9), own.classes] for rows in (ids, empty)]
    torch.testing.assert_close(guidance._gap(own, torch.ones(9, 5)), pairs[0] - pairs[1])


def test_the_loss_of_masks_is_the_sum_of_its_terms(guided):
    scores = [np.full(5, np.nan), *np.eye(5)[PLACES[1:3]]]
    own = step(guided, 3, prior=scores)
    logits = torch.tensor([[2.0, -1.0, 0.5, 0.0, -3.0]]).repeat(3, 1)
    there = torch.ones(3, 5, dtype=torch.bool)

    def loss(**weights):
        none = {"sparsity": 0, "smoothness": 0, "prior_weight": 0}
        return prepared(guided, **{**none, **weights})._masker_losses(own, logits, there)

    mask = logits.sigmoid()
    bare = loss()
    torch.testing.assert_close(loss(sparsity=2.0) - bare, 2 * mask.mean(dim=1))
    rough = 3 * mask.diff(dim=1).abs().mean(dim=1)
    torch.testing.assert_close(loss(smoothness=3.0) - bare, rough)
    wanted = torch.tensor(np.nan_to_num(scores), dtype=torch.float32).div(0.5).sigmoid()
    expected = torch.nn.functional.binary_cross_entropy(mask, wanted, reduction="none").mean(dim=1)
    expected[0] = 0  # it has no prior
    torch.testing.assert_close(loss(prior_weight=1.0, temperature=0.5) - bare, expected)


def test_texts_count_by_their_weights(guided):

    def losses(weight):
        guidance = prepared(guided)
        with seeded(1):  # the points of the path
            parts = dict(guidance.losses(step(guided, 6, weight=np.array(weight))))
        return np.array(
            [guidance.masker_losses_[0], parts["masker"].item(), parts["consistency"].item()]
        )

    each = [losses(row) for row in np.eye(6)]
    assert np.min(each) > 0
    weight = np.array([0.5, 0, 2, 3, 0, 1])
    np.testing.assert_allclose(losses(weight), weight @ each, rtol=1e-4)


def test_pairs_are_of_one_class_and_never_of_a_text_with_itself():
    classes = torch.tensor([0, 1, 0, 2, 1, 0])
    drawn = set()
    for seed in range(20):
        torch.manual_seed(seed)
        rows, others = masker._pairs(classes)
        assert rows.tolist() == [0, 1, 2, 4, 5]  # the only text of its class has no other
        assert torch.equal(classes[rows], classes[others])
        assert not (rows == others).any()
        drawn.add(int(others[0]))
    assert drawn == {2, 5}


def test_texts_without_words_or_partners_teach_nothing(make):
    texts, labels = ["alarm", "", "music"], ["a", "b", "c"]
    options = {"guidance": MaskerGuidance(warmup=0), "max_epochs": 2}
    history = make(**options).fit(texts, labels).net_.history
    assert history[-1, "train_consistency"] == 0
    assert np.isfinite(history[-1, "train_masker"])
    assert make(**options).fit(["", " "], ["a", "b"]).net_.history[-1, "train_masker"] == 0


# -- around a fit ---------------------------------------------------------------------------------


def test_masks_are_a_prior_matrix_of_the_words_that_are_seen(make, masked):
    texts = ["alarm now", "", "please set the alarm for it"]
    masks = masked.guidance_[0].masks(masked, texts)
    assert isinstance(masks, PriorMatrix)
    assert masks.texts.tolist() == texts
    assert masks.provenance["source"] == "masker"
    alone = [masked.guidance_[0].masks(masked, [text]).scores[0] for text in texts]
    for one, other in zip(masks.scores, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    short = make(guidance="masker", max_epochs=1, max_length=5).fit(
        ["alarm on", "play"], ["a", "b"]
    )
    with pytest.warns(UserWarning, match="longer than max_length"):
        cut = short.guidance_[0].masks(short, ["alarm set play now"]).scores[0]
    assert np.isnan(cut).tolist() == [False, False, False, True]


def test_a_pickle_has_the_masker_but_neither_its_optimiser_nor_texts(masked):
    guidance = masked.guidance_[0]
    data = pickle.dumps(guidance)
    assert b"Adam" not in data
    assert TEXTS[0].encode() not in data
    copied = pickle.loads(pickle.dumps(masked))
    np.testing.assert_array_equal(learned_masks(copied), learned_masks(masked))


def test_needs_a_prior_only_for_its_weight(make):
    assert not MaskerGuidance().needs_prior
    assert isinstance(GUIDANCE["masker"](), MaskerGuidance)
    with pytest.raises(ValueError, match="MaskerGuidance needs a prior, but X is list"):
        make(guidance=MaskerGuidance(prior_weight=0.1)).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="'temperature' parameter of MaskerGuidance"):
        make(guidance=MaskerGuidance(temperature=0)).fit(PRIOR, LABELS)


def test_an_unused_guidance_has_no_masks(masked):
    with pytest.raises(NotFittedError, match=r"clf\.guidance_\[0\]\.masks"):
        masked.guidance.masks(masked, TEXTS)


@pytest.mark.parametrize(("prior_weight", "drawn"), [(0.0, False), (1.0, True)])
def test_a_prior_draws_the_masks_to_its_words(make, prior_weight, drawn):
    """The third word of each text, which says nothing about the label."""
    guidance = MaskerGuidance(sparsity=0.1, prior_weight=prior_weight)
    teacher = prior_on(TEXTS, np.full(len(TEXTS), 2))
    masks = learned_masks(make(guidance=guidance, **LONG).fit(teacher, LABELS))
    assert (np.mean(masks.argmax(axis=1) == 2) > 0.5) == drawn
    assert (masks[:, 2].mean() > masks[:, [0, 1, 3, 4]].mean() + 0.1) == drawn


def test_masks_of_no_texts_are_refused(masked):
    with pytest.raises(ValueError, match="X holds no texts"):
        masked.guidance_[0].masks(masked, [])


def test_masks_are_those_of_the_classifier_that_was_trained_with_them(make, masked):
    other = make(guidance=MaskerGuidance(), max_epochs=1).fit(TEXTS, LABELS)
    for classifier in (other, clone(masked), None):
        with pytest.raises(ValueError, match="classifier must be the one that was trained with"):
            masked.guidance_[0].masks(classifier, TEXTS)
    copy = pickle.loads(pickle.dumps(masked))
    np.testing.assert_array_equal(learned_masks(copy), learned_masks(masked))
