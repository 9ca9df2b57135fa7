"""Alignment: its loss, its parts, what it does to the model's attributions."""

import numpy as np
import pytest
import torch
from keyword_task import (
    LABELS,
    NEW_TEXTS,
    PLACES,
    PRIOR,
    TEXTS,
    prior_on,
    step_of,
)

from skcap.attribution import attribute_words
from skcap.guidance import AlignmentGuidance, alignment
from skcap.prior_matrix import PriorMatrix
from skcap.utils.norms import NORMS, normalize_scores


@pytest.mark.parametrize("family", ["roberta", "distilbert", "deberta-v2", "modernbert"])
def test_guides_every_family(make, tiny_model, family):
    classifier = make(model=tiny_model(family)).fit(PRIOR, LABELS)
    losses = classifier.net_.history[:, "train_alignment"]
    assert losses[-1] < losses[0]  # not after one epoch: there it may rise, by CPU and seed
    assert classifier.predict(NEW_TEXTS).shape == (30,)


def test_history_has_both_parts_of_the_loss(guided, plain):
    history = guided.net_.history
    total = np.add(history[:, "train_ce"], 2 * np.array(history[:, "train_alignment"]))
    np.testing.assert_allclose(history[:, "train_loss"], total, rtol=1e-5)
    assert history[-1, "train_alignment"] < history[0, "train_alignment"]
    assert history[-1, "train_ce"] < history[0, "train_ce"]
    assert "train_alignment" not in plain.net_.history[0]


def test_guidance_moves_attributions_to_the_prior(make):
    """Even to a prior that plain training would never come up with: the word after the keyword."""
    teacher = prior_on(TEXTS, (PLACES + 1) % 5)
    mask = torch.ones(len(TEXTS), 5, dtype=torch.bool)

    def distance(beta):
        # From a probe a random tiny encoder fits the keywords before guidance has had its say.
        classifier = make(beta=beta, head_init="random").fit(teacher, LABELS)
        sides = [teacher, classifier.explain(TEXTS, LABELS)]
        one, other = (normalize_scores(torch.tensor(m.to_dense()), mask) for m in sides)
        return (one - other).square().mean().item()

    assert distance(10.0) < 0.6 * distance(0)


# -- the loss of one batch ------------------------------------------------------------------------

SCORES = [np.full(5, np.nan), *np.eye(5)[PLACES][1:10]]  # the first text is without supervision
SCORES[3] = np.where(np.arange(5) < 2, SCORES[3], np.nan)  # and three words of the fourth
CODES = np.arange(10) % 3


def prepared(classifier, **parameters):
    """Give a guidance whose attributions are not random, ready for use with a classifier."""
    guidance = AlignmentGuidance(path="gausslegendre", **parameters)
    guidance.baseline_token_ = classifier.tokenizer_.pad_token_id
    return guidance


def losses(guidance, step):
    parts = list(guidance.losses(step))
    assert {name for name, _ in parts} <= {"alignment"}
    return [part for _, part in parts]


@pytest.mark.parametrize("normalize", NORMS)
@pytest.mark.parametrize(("n_steps", "n_parts"), [(1, 2), (3, 9), (40, 9)])
def test_parts_add_up_to_the_mean_squared_error_of_the_batch(guided, n_steps, n_parts, normalize):
    weight = np.linspace(0, 2, 10)
    step = step_of(guided, TEXTS[:10], CODES, SCORES, weight)
    parts = losses(prepared(guided, n_steps=n_steps, normalize=normalize), step)
    assert len(parts) == n_parts  # nine texts by five, or one by one
    own = attribute_words(
        step.module,
        step.batch,
        step.classes,
        n_words=5,
        n_steps=n_steps,
        baseline_token=guided.tokenizer_.pad_token_id,
    )
    mask = ~step.batch["prior"].isnan()
    prior, own = (normalize_scores(side, mask, normalize) for side in (step.batch["prior"], own))
    errors = (prior - own).square().sum(dim=1) * torch.tensor(weight)
    # The mean over words of the texts that have any; one text of ten has none and counts as zero.
    expected = errors.sum() / mask.sum() * 9 / 10
    assert sum(parts).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_lone_supervised_text_counts_once_in_a_batch_of_32(guided):
    nothing = np.full(5, np.nan)
    prior = [np.eye(5)[PLACES[0]], *[nothing] * 31]
    guidance = prepared(guided)
    alone = losses(guidance, step_of(guided, TEXTS[:1], [0], prior[:1]))
    among = losses(guidance, step_of(guided, TEXTS[:32], np.arange(32) % 3, prior))
    assert sum(among).item() == pytest.approx(sum(alone).item() / 32, rel=1e-4)


def test_texts_count_by_their_weights(guided):
    """The loss of a batch is the sum of its texts' own, each times its weight."""
    guidance, weight = prepared(guided), np.array([0.5, 0, 2, 3.0])

    def loss(weight):
        step = step_of(guided, TEXTS[:4], CODES[:4], np.eye(5)[PLACES[:4]], weight)
        return sum(losses(guidance, step)).item()

    each = [loss(row) for row in np.eye(4)]
    assert min(each) > 0
    assert loss(weight) == pytest.approx(np.dot(weight, each), rel=1e-4)
    assert loss(np.zeros(4)) == 0


def test_a_batch_without_a_supervised_word_costs_no_attribution(make, monkeypatch):
    calls = []

    def counting(*args, **options):
        calls.append(options["n_steps"])
        return attribute_words(*args, **options)

    monkeypatch.setattr(alignment, "attribute_words", counting)
    make(beta=0, max_epochs=1).fit(PRIOR, LABELS)
    assert calls == []
    make(guidance=AlignmentGuidance(n_steps=3), max_epochs=2).fit(PRIOR, LABELS)
    assert calls == [3] * 48  # two epochs of three batches of 16 texts, two texts at a time
    calls.clear()
    only_first = PriorMatrix(TEXTS, [[1, 0, 0, 0, 0]] + [[np.nan] * 5] * 47)
    make(max_epochs=2).fit(only_first, LABELS)
    assert len(calls) == 2


# -- the start of the path ------------------------------------------------------------------------


def test_path_from_zero_is_flat_in_models_without_positions(make, tiny_model):
    flat = make(
        model=tiny_model("modernbert"), guidance=AlignmentGuidance(baseline="zero"), max_epochs=1
    )
    with pytest.warns(UserWarning, match=r"all-zero.*AlignmentGuidance\(baseline='mask'\)"):
        flat.fit(PRIOR, LABELS)


def test_a_flat_path_is_no_matter_where_nothing_is_attributed(make, tiny_model):
    options = {"ig_baseline": "zero", "guidance": "rationale", "max_epochs": 1}
    make(model=tiny_model("modernbert"), **options).fit(PRIOR, LABELS)  # warnings are errors
