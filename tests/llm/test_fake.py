import json
import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone

from skcap.llm.base import PromptTooLongError
from skcap.llm.fake import FakeLLM

AFFINITIES = {"card": {"lost": 3.0, "found": -1.0}, "my": {"lost": 0.5}}
BODIES = ["my card", "Card, card!", "", "where - is it?"]


def test_is_the_documented_formula():
    got = FakeLLM(AFFINITIES).log_likelihood(BODIES, ["lost"] * 4, prefix="a", suffix="b")
    sums = [3.5, 6.0, 0.0, 0.0]
    np.testing.assert_allclose(got, [-math.log(1 + math.exp(2 - s)) for s in sums], rtol=1e-14)
    assert got.dtype == np.float64
    found = FakeLLM(AFFINITIES).log_likelihood(["card"], ["found"])
    np.testing.assert_allclose(found, [-math.log(1 + math.exp(3))], rtol=1e-14)


def test_stays_negative_and_finite_at_the_extremes():
    llm = FakeLLM({"a": {"c": 1e6}, "b": {"c": -1e6}})
    got = llm.log_likelihood(["a", "b"], ["c", "c"])
    assert (got < 0).all()
    assert np.isfinite(got).all()
    assert got[0] > got[1]


def test_random_affinities_are_the_same_in_every_process():
    script = (
        "from skcap.llm.fake import FakeLLM;"
        f"print(FakeLLM().log_likelihood({BODIES!r}, ['lost'] * 4).tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    here = FakeLLM().log_likelihood(BODIES, ["lost"] * 4)
    assert json.loads(out) == here.tolist()
    # pinned: another draw would change the values that everyone's tests rely on
    np.testing.assert_allclose(here[0], -2.7552129273664505, rtol=1e-12)


def test_random_affinities_depend_on_word_continuation_and_seed():
    def first_word(word, continuation, seed):
        return FakeLLM(random_state=seed).log_likelihood([word], [continuation])[0]

    values = {
        first_word(w, c, s) for w in ("card", "pin") for c in ("lost", "found") for s in (0, 1)
    }
    assert len(values) == 8
    assert first_word("Card!", "lost", 0) == first_word("card", "lost", 0)
    surprises = [math.log(math.expm1(-first_word(f"w{i}", "c", 0))) for i in range(200)]
    affinities = 2 - np.array(surprises)
    assert -1 <= affinities.min() < -0.9
    assert 0.9 < affinities.max() < 1


def test_bodies_are_scored_independently():
    llm = FakeLLM()
    together = llm.log_likelihood(BODIES, ["lost"] * 4)
    alone = [llm.log_likelihood([body], ["lost"])[0] for body in BODIES]
    assert together.tolist() == alone
    assert llm.log_likelihood([], []).shape == (0,)


def test_log_counts_the_scored_bodies_of_all_processes(tmp_path):
    log = tmp_path / "log"
    llm = FakeLLM(log_path=log)
    llm.log_likelihood(BODIES, ["lost"] * 4)
    script = (
        "import sys; from skcap.llm.fake import FakeLLM;"
        "[FakeLLM(log_path=sys.argv[1]).log_likelihood(['é' * 50] * 20, ['c'] * 20)"
        " for _ in range(20)]"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(log)]) for _ in range(2)]
    assert [worker.wait(30) for worker in workers] == [0, 0]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[:4] == [{"body": body, "continuation": "lost"} for body in BODIES]
    assert lines[4:] == [{"body": "é" * 50, "continuation": "c"}] * 800


def test_context_length_counts_all_words():
    llm = FakeLLM(context_length=7)
    fits = {"bodies": ["one", "one two"], "continuations": ["a b", "c"]}
    llm.check_context(**fits, prefix="p q", suffix="s t")
    for method in (llm.check_context, llm.log_likelihood):
        with pytest.raises(PromptTooLongError, match=r"has 8 words .* FakeLLM is 7"):
            method(**fits, prefix="p q r", suffix="s t")
    FakeLLM().check_context(**fits, prefix="p " * 10_000)


def test_a_refused_prompt_is_not_scored(tmp_path):
    llm = FakeLLM(context_length=1, log_path=tmp_path / "log")
    with pytest.raises(PromptTooLongError):
        llm.log_likelihood(["a", "a b"], ["", ""])
    assert not (tmp_path / "log").exists()


def test_wrong_inputs_are_refused():
    llm = FakeLLM()
    for method in (llm.check_context, llm.log_likelihood):
        with pytest.raises(ValueError, match="got 2 bodies and 1 continuations"):
            method(["a", "b"], ["c"])
        with pytest.raises(TypeError, match="bodies is a single string"):
            method("text", ["c"] * 4)
        with pytest.raises(TypeError, match="continuations must hold strings only"):
            method(["a"], [1])


def test_affinities_that_cannot_work_are_refused():
    for word in ("Card", "pin?", 3):
        with pytest.raises(ValueError, match=r"affinities must have words in lower case"):
            FakeLLM({"ok": {}, word: {}}).log_likelihood(["a"], ["c"])
    for bad in (np.inf, np.nan, "high", None):
        with pytest.raises(ValueError, match=r"affinities\['card'\]\['lost'\] must be a finite"):
            FakeLLM({"card": {"lost": bad}}).log_likelihood(["card"], ["lost"])
    with pytest.raises(ValueError, match=r"affinities\['card'\] must have cont.* strings, .* 1"):
        FakeLLM({"card": {1: 2.0}}).fingerprint()
    with pytest.raises(ValueError, match=r"affinities\['card'\] must be a mapping"):
        FakeLLM({"card": 1.0}).fingerprint()


def test_fingerprint_names_what_changes_the_scores(tmp_path):
    different = [
        FakeLLM(),
        FakeLLM(random_state=1),
        FakeLLM({}),
        FakeLLM(AFFINITIES),
        FakeLLM({"card": {"lost": 3.0}}),
    ]
    assert len({llm.fingerprint() for llm in different}) == len(different)
    reordered = {"my": {"lost": 0.5}, "card": {"found": -1, "lost": 3}}
    assert FakeLLM(reordered).fingerprint() == FakeLLM(AFFINITIES).fingerprint()
    assert FakeLLM(log_path=tmp_path / "log").fingerprint() == FakeLLM().fingerprint()
    assert FakeLLM(context_length=9).fingerprint() == FakeLLM().fingerprint()


def test_clones():
    llm = FakeLLM(AFFINITIES, context_length=9, random_state=3)
    assert clone(llm).get_params() == llm.get_params()
    assert clone(llm).fingerprint() == llm.fingerprint()
