"""Folders in the libraries that serve them: sentence-transformers and transformers."""

import numpy as np
import pytest
from fresh_process import MIXED_TEXTS, run
from keyword_task import LABELS, TEXTS
from tiny_models import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:.*texts are longer than max_length")

# Each program serves several folders: starting the libraries takes longest.
ENCODE = """
from sentence_transformers import SentenceTransformer
served = {}
for name in given["names"]:
    model = SentenceTransformer(f"{folder}/{name}", device="cpu")
    served[name] = [model.encode(given["texts"]).tolist(), model.max_seq_length]
assert not [name for name in sys.modules if name.startswith("skcap")]
print(json.dumps(served))
"""

CLASSIFY = """
from transformers import AutoModelForSequenceClassification, pipeline
answers, errors = {}, {}
for name in given["names"]:
    at = f"{folder}/{name}"
    try:
        classify = pipeline("text-classification", at, device="cpu")
        rows = classify(given["texts"], top_k=None, truncation=True)
        answers[name] = [{item["label"]: item["score"] for item in row} for row in rows]
    except ValueError as error:
        errors[name] = [str(error)]
        try:
            AutoModelForSequenceClassification.from_pretrained(at)
        except ValueError as error:
            errors[name].append(str(error))
assert not [name for name in sys.modules if name.startswith("skcap")]
print(json.dumps([answers, errors]))
"""

HELD = ("bert", "roberta", "distilbert", "deberta-v2")  # by a *ForSequenceClassification


@pytest.fixture
def save(make, tiny_model, tmp_path):
    """Fit a classifier, save it under a name, and give it."""

    def fit_and_save(name, family, pooling, unit_length, **others):
        fitted = make(
            model=tiny_model(family),
            guidance=None,
            max_epochs=1,
            pooling=pooling,
            normalize_embeddings=unit_length,
            **others,
        ).fit(TEXTS, LABELS)
        fitted.save_pretrained(tmp_path / name)
        return fitted

    return fit_and_save


def assert_served(fitted, folder):
    """Compare what sentence-transformers gives with the logits."""
    served = run(ENCODE, folder, texts=MIXED_TEXTS, names=list(fitted))
    for name, classifier in fitted.items():
        logits, length = served[name]
        np.testing.assert_allclose(
            logits, classifier.decision_function(MIXED_TEXTS), atol=1e-5, err_msg=name
        )
        assert length == classifier.max_length_


def test_sentence_transformers_gives_the_logits(save, tmp_path):
    pytest.importorskip("sentence_transformers")
    fitted = {
        "mean": save("mean", "bert", "mean", True),
        "plain_mean": save("plain_mean", "bert", "mean", False),
        "first": save("first", "bert", "cls", False),
        "other_family": save("other_family", "roberta", "cls", True),
        "cut": save("cut", "bert", "mean", True, max_length=6),
    }
    assert_served(fitted, tmp_path)


@pytest.mark.slow
def test_sentence_transformers_gives_the_logits_of_every_family(save, tmp_path):
    pytest.importorskip("sentence_transformers")
    fitted = {}
    for family in FAMILIES:
        for pooling, unit_length in (("mean", True), ("cls", False)):
            name = f"{family}_{pooling}"
            fitted[name] = save(name, family, pooling, unit_length)
    assert_served(fitted, tmp_path)


def test_transformers_gives_labels_and_probabilities_or_refuses(save, tmp_path):
    fitted = {family: save(family, family, "cls", False) for family in HELD}
    reasons = {
        "mean": "averages token states",
        "unit_length": "brings text vectors to unit length",
        "modernbert": "puts one linear layer on a ModernBertModel",
    }
    save("mean", "bert", "mean", False)
    save("unit_length", "bert", "cls", True)
    save("modernbert", "modernbert", "cls", False)
    names = [*fitted, *reasons]
    answers, errors = run(CLASSIFY, tmp_path, texts=MIXED_TEXTS, names=names)
    assert list(answers) == list(fitted)
    for name, classifier in fitted.items():
        found = [[row[label] for label in classifier.classes_] for row in answers[name]]
        expected = classifier.predict_proba(MIXED_TEXTS)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=name)
    for name, reason in reasons.items():
        assert len(errors[name]) == 2
        for error in errors[name]:
            assert reason in error
            assert "load it with sentence_transformers.SentenceTransformer" in error
