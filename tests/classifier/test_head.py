"""The head's start: a logistic regression on what the untrained encoder gives."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from skorch.dataset import ValidSplit

from skcap import GuidedTextClassifier
from skcap.classifier.batches import TextDataset
from skcap.classifier.head import probe_head
from skcap.classifier.texts import encode_texts

TEXTS = ["red apple pie", "green pear tart", "blue plum jam", "red cherry cake"] * 3


@pytest.fixture(scope="module")
def started(tiny_model):
    """Classifiers fitted with learning rates of zero: what they start from is what they are."""

    def fit(labels, **params):
        still = {"lr": 0, "head_lr": 0, "max_epochs": 1, "label_weight": 0, "random_state": 0}
        return GuidedTextClassifier(tiny_model("bert"), beta=0, **still, **params).fit(
            TEXTS, labels
        )

    return fit


def pooled(classifier):
    net = classifier.net_
    encoded = encode_texts(classifier.tokenizer_, TEXTS, classifier.max_length_)
    net.module_.eval()
    parts = [
        net.module_.pool(batch["input_ids"], batch["attention_mask"]).detach().numpy()
        for batch, _ in net.get_iterator(TextDataset(encoded), training=False)
    ]
    return np.concatenate(parts).astype(float)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_probe_equals_logistic_regression(started, n_classes):
    labels = np.arange(12) % 4 % n_classes
    classifier = started(labels)
    vectors = pooled(classifier)
    vectors /= np.linalg.norm(vectors, axis=1).mean()
    reference = LogisticRegression(C=10.0, max_iter=200).fit(vectors, labels)
    np.testing.assert_allclose(
        classifier.predict_proba(TEXTS), reference.predict_proba(vectors), atol=1e-3
    )


def test_random_start_is_another(started):
    labels = np.arange(12) % 4
    probed, random = started(labels), started(labels, head_init="random")
    assert probed.score(TEXTS, labels) > random.score(TEXTS, labels)


def test_probe_does_not_see_what_is_held_out(started, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "skcap.classifier.net.probe_head",
        lambda net, data: seen.append(len(data)) or probe_head(net, data),
    )
    started(np.arange(12) % 4, train_split=ValidSplit(3, stratified=True))
    assert seen == [8]


def test_unknown_start_is_refused(started):
    with pytest.raises(ValueError, match="'head_init' parameter of GuidedTextClassifier must be"):
        started(np.arange(12) % 4, head_init="best")
