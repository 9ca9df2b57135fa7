import json

import numpy as np
import pytest

from skcap import CAPPriorTransformer, FakeLLM
from skcap.priors.units import find_units, spread_scores
from skcap.utils.cache import PriorCache

LONG = "Hello, this is Ann. I wrote last week, twice. Please cancel my card now!"
TEXTS = [LONG, "Good morning. We want to order one. Thanks a lot."]  # no word twice
LABELS = ["cancel", "order"]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.jsonl"


def bodies(log):
    return [json.loads(line)["body"] for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("", "sentence", []),
        ("stop", "sentence", [0]),
        ("one two", "word", [0, 1]),
        ("No. Not (you!) Yes", "sentence", [0, 1, 1, 2]),
        ("a line\nanother one", "sentence", [0, 0, 1, 1]),
        ("well, top-up - 1,000 pounds: now", "clause", [0, 1, 1, 2, 2, 3]),
        ("version 2.5 is out", "sentence", [0, 1, 2, 3]),  # one sentence: word by word
        ("wo rd", lambda text: ["w", "", "o r", "d"], [0, 1]),  # pieces may cut words
        ("a b c", lambda text: ["a", " b c"], [0, 1, 1]),
    ],
)
def test_units_of_words(text, unit, expected):
    assert find_units(text, unit).tolist() == expected


@pytest.mark.parametrize(
    ("unit", "error"),
    [
        (lambda text: text, TypeError),
        (lambda text: [0, 1], TypeError),
        (lambda text: text.split()[1:], ValueError),
        (lambda text: text.split()[::-1], ValueError),
    ],
)
def test_what_a_splitter_must_not_return(unit, error):
    with pytest.raises(error, match="unit must return"):
        find_units("a b c", unit)


def test_shares_add_up_to_the_score_of_the_unit():
    units = np.array([0, 0, 1, 2, 2, 2])
    words = spread_scores(np.array([1.0, -2.0, 6.0]), units)
    np.testing.assert_allclose(np.bincount(units, words), [1.0, -2.0, 6.0])


@pytest.mark.parametrize("unit", ["clause", "sentence", lambda text: text.splitlines()])
def test_variants_leave_out_whole_units(log, unit):
    prior = CAPPriorTransformer(FakeLLM(log_path=log), unit=unit, n_masks=8, cache=False)
    prior.fit_transform(TEXTS, LABELS)
    for body in bodies(log):
        text = next(text for text in TEXTS if set(body.split()) <= set(text.split()))
        kept = np.isin(text.split(), body.split())
        units = find_units(text, unit)
        assert all(len(set(kept[units == number])) == 1 for number in set(units))


def test_the_unit_that_decides_gets_the_score_and_shares_it():
    llm = FakeLLM({"cancel": {"cancel": 5.0}, "order": {"order": 5.0}})
    matrix = CAPPriorTransformer(llm, unit="sentence", cache=False).fit_transform(TEXTS, LABELS)
    units = find_units(LONG, "sentence")
    scores = matrix.scores[0]
    assert [len(set(scores[units == number])) for number in range(3)] == [1, 1, 1]
    assert scores[-1] > 0
    assert np.bincount(units, scores).argmax() == 2
    assert matrix.provenance["unit"] == "sentence"


def test_fewer_prompts_than_words_take(log):
    n_prompts = {}
    for unit in ("word", "clause", "sentence"):
        log.write_text("")
        llm = FakeLLM(log_path=log)
        CAPPriorTransformer(llm, unit=unit, n_masks=4, cache=False).fit_transform(TEXTS, LABELS)
        n_prompts[unit] = len(bodies(log))
    assert n_prompts["word"] > 2 * n_prompts["clause"]
    assert n_prompts["clause"] > n_prompts["sentence"]


def test_words_find_the_entries_of_older_versions_and_units_have_their_own(tmp_path):
    cache = PriorCache(tmp_path)
    prior = CAPPriorTransformer(FakeLLM(), n_masks=4, cache=cache).fit(TEXTS, LABELS)
    assert prior._evidence_parameters(LONG, "cancel").keys() == {"masks"}
    assert "unit" not in prior.fit_transform(TEXTS, LABELS).provenance
    assert len(cache) == 2
    prior.set_params(unit="sentence").fit_transform(TEXTS, LABELS)
    assert len(cache) == 4
    prior.set_params(unit="clause").fit_transform(TEXTS, LABELS)
    assert len(cache) == 5  # the clauses of the second text are its sentences


def test_a_text_of_one_unit_is_the_same_to_all_units(tmp_path):
    cache = PriorCache(tmp_path)
    texts = ["cancel my card", "order a card"]
    word = CAPPriorTransformer(FakeLLM(), n_masks=4, cache=cache).fit_transform(texts, LABELS)
    other = CAPPriorTransformer(FakeLLM(), n_masks=4, cache=cache, unit="sentence")
    np.testing.assert_array_equal(other.fit_transform(texts, LABELS).to_dense(), word.to_dense())
    assert len(cache) == 2


@pytest.mark.parametrize("unit", ["paragraph", 3, None])
def test_unknown_units_are_refused(unit):
    with pytest.raises(ValueError, match="'unit' parameter"):
        CAPPriorTransformer(FakeLLM(), unit=unit).fit(TEXTS, LABELS)
