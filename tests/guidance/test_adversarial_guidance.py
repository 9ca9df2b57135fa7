"""Adversarial guidance: its attack, its losses, and that what it trains withstands attacks."""

import pickle

import numpy as np
import pytest
import torch
from keyword_task import (
    LABELS,
    NEW_LABELS,
    NEW_TEXTS,
    PLACES,
    PRIOR,
    TEXTS,
    same_weights,
    step_of,
)

from skcap.guidance import GUIDANCE, AdversarialGuidance
from skcap.guidance.adversarial import find_perturbation
from skcap.utils.norms import normalize_scores
from skcap.utils.seeds import seeded

CODES = np.arange(len(TEXTS)) % 3


def prepared(classifier, **parameters):
    guidance = AdversarialGuidance(**parameters)
    guidance.baseline_token_ = classifier.tokenizer_.pad_token_id
    return guidance


def step(classifier, n_texts=9, **parameters):
    return step_of(classifier, TEXTS[:n_texts], CODES[:n_texts], **parameters)


def losses_of(own, change):
    """Loss of each text whose embeddings are changed."""
    with torch.no_grad():
        logits = own.module(
            attention_mask=own.batch["attention_mask"],
            inputs_embeds=own.module.embed(own.batch["input_ids"]) + change,
        )
    return own.criterion(logits, own.classes)


# -- the attack -----------------------------------------------------------------------------------


def attack(own, **parameters):
    return find_perturbation(own.module, own.batch, own.classes, own.criterion, **parameters)


@pytest.mark.parametrize("n_steps", [1, 2, 10])
def test_the_attack_raises_the_loss_and_keeps_to_its_length(guided, n_steps):
    own = step(guided)
    change = attack(own, epsilon=0.1, n_steps=n_steps)
    assert not change.requires_grad
    assert not change[own.batch["special"]].any()
    embeddings = own.module.embed(own.batch["input_ids"]).masked_fill(
        own.batch["special"].unsqueeze(2), 0
    )
    shares = change.norm(dim=(1, 2)) / embeddings.norm(dim=(1, 2))
    assert shares.max() < 0.1 + 1e-5
    if n_steps == 1:
        assert shares.min() > 0.1 - 1e-5
    assert (losses_of(own, change) > losses_of(own, 0)).all()
    shuffled = change[:, :, torch.randperm(change.shape[2])]  # as long, but in no direction
    assert losses_of(own, change).mean() > losses_of(own, shuffled).mean()


def test_one_step_goes_along_the_gradient_and_leaves_no_gradient(guided):
    own = step(guided)
    own.module.zero_grad()
    change = attack(own, epsilon=0.2)
    assert all(weight.grad is None for weight in own.module.parameters())
    point = own.module.embed(own.batch["input_ids"]).detach().requires_grad_()
    logits = own.module(attention_mask=own.batch["attention_mask"], inputs_embeds=point)
    own.criterion(logits, own.classes).sum().backward()
    slope = point.grad.masked_fill(own.batch["special"].unsqueeze(2), 0)
    cosine = torch.cosine_similarity(change.flatten(1), slope.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(9))
    own.module.zero_grad()


def test_more_steps_attack_harder(guided):
    own = step(guided, 48)
    one, ten = (losses_of(own, attack(own, epsilon=0.5, n_steps=n)).mean() for n in (1, 10))
    assert ten > one


def test_tiny_slopes_do_not_become_large_changes(guided):
    own = step(guided)
    change = find_perturbation(
        own.module,
        own.batch,
        own.classes,
        lambda logits, classes: own.criterion(logits, classes) * 1e-30,
        epsilon=0.1,
    )
    assert change.isfinite().all()
    assert change.norm(dim=(1, 2)).max() < 0.1 * own.module.embed(own.batch["input_ids"]).norm()


# -- the losses of one batch ----------------------------------------------------------------------


def parts_of(guidance, own):
    with seeded(1):
        return {name: part.item() for name, part in guidance.losses(own)}


def test_the_adversarial_loss_is_the_cross_entropy_of_the_attacked_texts(guided):
    own = step(guided)
    parts = parts_of(prepared(guided, epsilon=0.3, n_steps=2), own)
    expected = losses_of(own, attack(own, epsilon=0.3, n_steps=2)).mean().item()
    assert parts["adversarial"] == pytest.approx(expected, rel=1e-4)


def test_without_a_change_explanations_are_the_same_even_with_dropout(guided):
    own = step(guided)
    own.module.train()
    assert parts_of(prepared(guided, epsilon=0), own)["explanation"] < 1e-6
    assert parts_of(prepared(guided, epsilon=0.3), own)["explanation"] > 1e-4
    own.module.eval()


def test_explanations_are_held_to_the_prior_where_there_is_one(guided):
    scores = [np.full(5, np.nan), *np.eye(5)[PLACES[1:4]]]
    own = step(guided, 4, prior=scores)
    guidance = prepared(guided, epsilon=0, explanation_weight=0, prior_weight=2.0)
    with seeded(1):
        seed = int(torch.randint(2**31 - 1, ()).item())
        words, there = guidance._explain(own, torch.zeros(4, 7, 16), seed, create_graph=False)
    scored = there & ~own.batch["prior"].isnan()
    sides = [normalize_scores(side, scored, "l2") for side in (words, own.batch["prior"])]
    expected = 2 * (sides[0] - sides[1]).square().sum() / 4
    assert parts_of(guidance, own)["explanation"] == pytest.approx(expected.item(), rel=1e-4)
    assert "explanation" not in parts_of(guidance, step(guided, 4))


def test_texts_count_by_their_weights(guided):
    scores = np.eye(5)[PLACES[:4]]

    def losses(weight):
        own = step(guided, 4, prior=scores, weight=np.array(weight))
        return np.array(list(parts_of(prepared(guided), own).values()))

    each = [losses(row) for row in np.eye(4)]
    assert np.min(each) > 0
    weight = np.array([0.5, 0, 2, 3])
    np.testing.assert_allclose(losses(weight), weight @ each, rtol=1e-4)


# -- a fit ----------------------------------------------------------------------------------------


def test_what_it_trains_withstands_attacks_better(make):
    """By an attack that is written anew here, on texts that were not trained on."""

    def withstood(guidance):
        classifier = make(guidance=guidance, max_epochs=20).fit(TEXTS, LABELS)
        assert classifier.score(NEW_TEXTS, NEW_LABELS) > 0.9
        own = step_of(classifier, NEW_TEXTS, np.arange(30) % 3)
        start = own.module.embed(own.batch["input_ids"]).detach()
        point, mask = start.clone(), own.batch["attention_mask"]
        for _ in range(5):
            point.requires_grad_()
            loss = own.criterion(own.module(attention_mask=mask, inputs_embeds=point), own.classes)
            (slope,) = torch.autograd.grad(loss.sum(), point)
            unit = slope / slope.norm(dim=(1, 2), keepdim=True)
            point = (point + 0.04 * start.norm(dim=(1, 2), keepdim=True) * unit).detach()
        logits = own.module(attention_mask=mask, inputs_embeds=point)
        return (logits.argmax(dim=1) == own.classes).float().mean().item()

    assert withstood(AdversarialGuidance(epsilon=0.2)) > withstood(None) + 0.2


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "modernbert"])
@pytest.mark.parametrize("X", [TEXTS, PRIOR], ids=["texts", "prior"])
def test_losses_fall_in_every_family(make, tiny_model, family, X):
    classifier = make(model=tiny_model(family), guidance="adversarial").fit(X, LABELS)
    history = classifier.net_.history
    parts = np.add(history[:, "train_adversarial"], history[:, "train_explanation"])
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + parts, rtol=1e-5)
    assert history[-1, "train_adversarial"] < history[0, "train_adversarial"]
    if X is PRIOR:
        assert history[-1, "train_explanation"] < history[0, "train_explanation"]


def test_explanations_differ_less_where_that_is_asked_for(make):
    def difference(weight):
        guidance = AdversarialGuidance(epsilon=0.3, explanation_weight=weight)
        classifier = make(guidance=guidance, max_epochs=10, head_init="random").fit(TEXTS, LABELS)
        own = step(classifier, 48)
        measured = prepared(classifier, epsilon=0.3, explanation_weight=1.0)
        return np.mean([parts_of(measured, own)["explanation"] for _ in range(3)])

    assert difference(3.0) < 0.8 * difference(0)


def test_same_seed_same_weights(make):
    one, other = (make(guidance="adversarial", max_epochs=2).fit(PRIOR, LABELS) for _ in range(2))
    assert same_weights(one, other)
    plain = make(guidance=None, max_epochs=2).fit(TEXTS, LABELS)
    assert not same_weights(one, plain)


def test_pickles_and_needs_no_prior(make):
    guidance = AdversarialGuidance(explanation_weight=0, prior_weight=0)
    classifier = make(guidance=guidance, max_epochs=1).fit(TEXTS, LABELS)
    assert "train_explanation" not in classifier.net_.history[0]
    copied = pickle.loads(pickle.dumps(classifier))
    assert copied.predict(TEXTS).tolist() == classifier.predict(TEXTS).tolist()
    assert not guidance.needs_prior
    assert isinstance(GUIDANCE["adversarial"](), AdversarialGuidance)
    with pytest.raises(ValueError, match="'n_steps' parameter of AdversarialGuidance"):
        make(guidance=AdversarialGuidance(n_steps=0)).fit(TEXTS, LABELS)
