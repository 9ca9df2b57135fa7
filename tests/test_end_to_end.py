"""The main job: priors from a language model guide a classifier, inside of a Pipeline."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skcap import CAPPriorTransformer, FakeLLM, GuidedTextClassifier, PriorMatrix
from skcap.datasets import load_assistant_intents
from skcap.metrics import RationaleRules, comprehensiveness, sufficiency

INTENTS = ["set_alarm", "query_alarm", "cancel_alarm"]


def data(shots):
    X, y = load_assistant_intents(
        "train", labels=INTENTS, shots=shots, random_state=0, return_X_y=True
    )
    return X, y, *load_assistant_intents("test", labels=INTENTS, return_X_y=True)


def test_prediction_calls_no_language_model(tiny_model, tmp_path):
    X, y, X_test, y_test = data(shots=4)
    log = tmp_path / "calls.jsonl"
    pipe = Pipeline(
        [
            ("prior", CAPPriorTransformer(FakeLLM(log_path=str(log)), n_masks=4, cache=False)),
            (
                "clf",
                GuidedTextClassifier(
                    tiny_model("bert"), max_epochs=2, guidance="alignment", random_state=0
                ),
            ),
        ]
    )
    pipe.fit(X, y)
    calls = log.read_text()
    assert calls
    probabilities = pipe.predict_proba(X_test)
    assert (pipe.predict(X_test) == pipe.classes_[probabilities.argmax(axis=1)]).all()
    assert 0 <= pipe.score(X_test, y_test) <= 1
    own = pipe[-1].explain(X_test)
    assert isinstance(own, PriorMatrix)
    assert own.has_scores
    assert log.read_text() == calls

    copy = pickle.loads(pickle.dumps(pipe))
    np.testing.assert_allclose(copy.predict_proba(X_test), probabilities, atol=1e-6)
    other = clone(pipe).set_params(clf__beta=0.5, prior__llm__random_state=1)
    assert other.get_params()["clf__beta"] == 0.5
    assert pipe.get_params()["clf__beta"] == 1.0
    assert not hasattr(other[-1], "net_")


@pytest.mark.slow
def test_real_models_learn_from_three_texts_a_class(tmp_path):
    X, y, X_test, y_test = data(shots=3)
    pipe = Pipeline(
        [
            ("prior", CAPPriorTransformer("smollm2-135m", n_masks=4, cache=tmp_path)),
            ("clf", GuidedTextClassifier(guidance="alignment", max_epochs=8, random_state=0)),
        ]
    )
    pipe.fit(X, y)
    assert pipe.score(X_test, y_test) > 0.5  # a third by chance
    alignment = pipe[-1].net_.history[:, "train_alignment"]
    assert np.mean(alignment[-3:]) < np.mean(alignment[:3])  # points of the path are random


@pytest.mark.slow
def test_own_attributions_are_more_faithful_than_random_ones_on_a_real_model():
    X, y, X_test, _ = data(shots=5)
    clf = GuidedTextClassifier(guidance=None, max_epochs=6, random_state=0).fit(X, y)
    rng = np.random.default_rng(0)
    own = clf.explain(X_test)
    chance = PriorMatrix(X_test, [rng.random(len(text.split())) for text in X_test])
    by = {"rules": RationaleRules(k=0.3)}
    taken = [comprehensiveness(clf.predict_proba, X_test, m, **by) for m in (own, chance)]
    alone = [sufficiency(clf.predict_proba, X_test, m, **by) for m in (own, chance)]
    assert taken[0] > taken[1] + 0.1
    assert alone[0] < alone[1] - 0.1
