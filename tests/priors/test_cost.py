import json
import warnings

import numpy as np
import pytest

from skcap import (
    CAPPriorTransformer,
    FakeLLM,
    HybridPrior,
    LimePriorTransformer,
    PrecomputedPrior,
    TransformersLLM,
)
from skcap.priors import CostEstimate, cost
from skcap.utils.cache import PriorCache

TEXTS = [f"please cancel the alarm number {number} of today" for number in range(30)]
LABELS = ["cancel_alarm", "set_alarm"] * 15


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


def n_asked(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_prompts_are_those_that_are_asked(log):
    prior = CAPPriorTransformer(FakeLLM(log_path=log), n_masks=5, n_rivals=1, cache=False)
    estimate = prior.estimate_cost(TEXTS, LABELS)
    log.unlink()
    prior.fit_transform(TEXTS, LABELS)
    assert estimate.n_prompts == n_asked(log)
    assert (estimate.n_texts, estimate.n_cached) == (30, 0)


def test_tokens_are_those_of_the_whole_prompts(log):
    prior = CAPPriorTransformer(FakeLLM(log_path=log), n_masks=5, cache=False)
    estimate = prior.estimate_cost(TEXTS, LABELS)
    log.unlink()
    prior.fit_transform(TEXTS, LABELS)
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    frame = prior.prompt_.prefix + prior.prompt_.suffix
    n_words = sum(
        len((row["body"] + " " + row["continuation"] + " " + frame).split()) for row in rows
    )
    assert estimate.n_tokens == pytest.approx(n_words * 4 / 3, rel=0.1)


def test_the_cache_is_read_and_not_written(tmp_path, log):
    cache = PriorCache(tmp_path / "cache")
    prior = CAPPriorTransformer(FakeLLM(log_path=log), n_masks=5, cache=cache)
    assert prior.estimate_cost(TEXTS, LABELS).n_cached == 0
    assert len(cache) == 0
    assert 0 < n_asked(log) < 5 * 15
    prior.fit(TEXTS, LABELS).attribute(TEXTS[:10], LABELS[:10])
    estimate = prior.estimate_cost([*TEXTS, TEXTS[0]], [*LABELS, LABELS[0]])
    assert (estimate.n_texts, estimate.n_cached) == (31, 11)
    prior.fit_transform(TEXTS, LABELS)
    log.unlink()
    estimate = prior.estimate_cost(TEXTS, LABELS)
    assert estimate == CostEstimate(30, 30, 0, 0, 0.0)
    assert n_asked(log) == 0


def test_the_prior_is_left_as_it_was():
    state = np.random.RandomState(0)
    prior = CAPPriorTransformer(FakeLLM(), random_state=state, cache=False)
    prior.estimate_cost(TEXTS, LABELS)
    assert not [name for name in vars(prior) if name.endswith("_")]
    assert state.randint(1000) == np.random.RandomState(0).randint(1000)


def test_longer_units_cost_less():
    texts = ["Good morning to you all. I lost my card. Please do help me."] * 2
    n_prompts = [
        CAPPriorTransformer(FakeLLM(), unit=unit, cache=False)
        .estimate_cost(texts, LABELS[:2])
        .n_prompts
        for unit in ("word", "sentence")
    ]
    assert n_prompts[0] > 2 * n_prompts[1]


def test_lime_is_no_more_than_its_samples(log):
    prior = LimePriorTransformer(FakeLLM(log_path=log), num_samples=16, cache=False)
    estimate = prior.estimate_cost(TEXTS, LABELS)
    log.unlink()
    prior.fit_transform(TEXTS, LABELS)
    assert n_asked(log) <= estimate.n_prompts == 30 * 16


def test_a_hybrid_prior_adds_its_sources_up():
    cap = CAPPriorTransformer(FakeLLM(), n_masks=5, cache=False)
    hybrid = HybridPrior([("a", cap), ("b", cap), ("own", PrecomputedPrior({}))])
    alone, both = cap.estimate_cost(TEXTS, LABELS), hybrid.estimate_cost(TEXTS, LABELS)
    assert both.n_prompts == 2 * alone.n_prompts
    assert both.n_texts == 60


def test_a_warning_comes_before_most_of_the_work(monkeypatch, log):
    monkeypatch.setattr(cost, "LONG_SECONDS", 0.0)
    prior = CAPPriorTransformer(FakeLLM(log_path=log), n_masks=5, cache=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # ends the work where the warning comes
        with pytest.raises(UserWarning, match="will take less than 1 s for 26 more texts"):
            prior.fit_transform(TEXTS, LABELS)
    assert n_asked(log) == 4 * 13
    with pytest.warns(UserWarning, match="estimate_cost"):
        watched = prior.fit_transform(TEXTS, LABELS)
    monkeypatch.undo()
    assert watched == prior.fit_transform(TEXTS, LABELS)


def test_few_texts_are_not_watched(monkeypatch):
    monkeypatch.setattr(cost, "LONG_SECONDS", 0.0)
    CAPPriorTransformer(FakeLLM(), cache=False).fit_transform(TEXTS[:5], LABELS[:5])


def test_equal_texts_are_computed_once_while_watched(log):
    prior = CAPPriorTransformer(FakeLLM(log_path=log), n_masks=0, cache=False)
    prior.fit_transform(TEXTS[:2] * 10, LABELS[:2] * 10)
    assert n_asked(log) == 2 * 8


def test_a_trial_that_takes_long_ends_early(monkeypatch):
    monkeypatch.setattr(cost, "_TRIAL_SECONDS", 0.0)
    ran = []
    rate = cost.seconds_per_unit((lambda place=place: ran.append(place), 1.0) for place in range(4))
    assert ran == [0]
    assert rate > 0


def test_a_real_tokenizer_counts(tiny_llm):
    llm = TransformersLLM(tiny_llm("gpt2"))
    counts = llm.count_tokens(["my card", "my card my card", ""])
    assert counts[1] > counts[0] > counts[2] == 0
    assert llm.count_tokens([]) == []
