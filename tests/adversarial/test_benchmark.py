"""The pieces of benchmarks/adversarial_sets.py, with a fake language model."""

import sys
from pathlib import Path

import numpy as np
import pytest

from skcap import CAPPriorTransformer, FakeLLM

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
X = ["cancel my alarm", "cancel the school alarm", "wake me early", "wake me with music",
     "play jazz music", "play some songs"]  # fmt: skip
Y = np.array(["alarm_off", "alarm_off", "alarm_on", "alarm_on", "play", "play"])
X_TEST = ["cancel it for school", "wake the dog early", "play jazz songs now"]
Y_TEST = np.array(["alarm_off", "alarm_on", "play"])


@pytest.fixture
def bench(monkeypatch):
    if not BENCHMARKS.is_dir():
        pytest.skip("the benchmarks are not part of this installation")
    monkeypatch.syspath_prepend(BENCHMARKS)
    import adversarial_sets

    yield adversarial_sets
    sys.modules.pop("adversarial_sets")
    sys.modules.pop("_intents")
    sys.modules.pop("_record")


@pytest.fixture
def sets(bench):
    prior = CAPPriorTransformer(FakeLLM(), cache=False)
    return bench.build_sets(X, Y, X_TEST, Y_TEST, n_targets=1, prior=prior)


class Keyworder:
    """Predicts "play" wherever a text speaks of music, else what the text begins with."""

    def predict(self, texts):
        starts = {"cancel": "alarm_off", "wake": "alarm_on"}
        return np.array(
            [
                "play" if "jazz" in text else starts.get(text.split()[0], "play")
                for text in texts
            ]
        )  # fmt: skip


def test_sets_and_accuracies(bench, sets):
    assert len(sets["addition"]) == len(sets["control"]) == len(X_TEST)
    neutral = {word for item in sets["control"].made for word in item.added}
    assert neutral <= set(bench.NEUTRAL)
    figures = bench.accuracies(Keyworder(), X_TEST, Y_TEST, sets)
    assert figures["addition"]["before"] == 1.0
    expected = np.mean(Keyworder().predict(sets["addition"].texts) == sets["addition"].labels)
    assert figures["addition"]["after"] == expected
    assert set(figures["control"]) == {"before", "after", "predicted_as_target"}
    assert figures["control"]["predicted_as_target"] == 0.0


def test_examples_are_the_same_every_time_and_escape_markup(bench, sets):
    keyed = {("hwu64", name): sets[name] for name in bench.ATTACKS}
    kinds = ("addition", "replacement", "control")
    figures = {"hwu64": {kind: {"before": 0.8, "after": 0.5, "made": 3} for kind in kinds}}
    page = bench.examples_page(keyed, figures, n=2)
    assert page == bench.examples_page(dict(reversed(keyed.items())), figures, n=2)
    assert "hwu64, addition" in page
    assert "| hwu64, control | 3 | | | 80.0 % | 50.0 % | |" in page
    assert f"`{sets['addition'].content_hash[:16]}`" in page
    assert "alarm\\_o" in page
    items = bench.sample_items(keyed, 50)
    assert len(items) == sum(map(len, keyed.values()))
    assert bench.escape("<b>_x_") == "\\<b\\>\\_x\\_"
