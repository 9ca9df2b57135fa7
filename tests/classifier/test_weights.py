"""How much texts, classes and label names count, in all parts of the loss alike."""

import numpy as np
import pandas as pd
import pytest
from keyword_task import LABELS, NEW_TEXTS, PLACES, PRIOR, TEXTS, prior_on, same_weights, weights
from skorch.dataset import ValidSplit

from skcap.classifier.batches import TextDataset
from skcap.classifier.head import probe_head
from skcap.guidance import BaseGuidance


@pytest.mark.parametrize("guidance", ["alignment", "rationale"])
def test_texts_of_weight_zero_teach_nothing(make, guidance):
    """Wrong labels and priors do no harm, and change no weight at all, where the weight is zero."""
    weight = np.array([1.0, 1.0, 1.0, 0.0] * 12)
    off = weight == 0
    wrong = np.where(off, "rain", LABELS)
    opposite = prior_on(TEXTS, np.where(off, (PLACES + 2) % 5, PLACES))
    quick = {"max_epochs": 2, "guidance": guidance}
    one = make(**quick).fit(PRIOR, LABELS, sample_weight=weight)
    other = make(**quick).fit(opposite, wrong, sample_weight=weight)
    assert same_weights(one, other)
    assert not same_weights(one, make(**quick).fit(opposite, wrong))


def test_only_ratios_of_sample_weights_count(make):
    weight = np.linspace(0.5, 2, 48)
    one, other = make(max_epochs=1), make(max_epochs=1)
    one.fit(PRIOR, LABELS, sample_weight=weight)
    other.fit(PRIOR, LABELS, sample_weight=pd.Series(weight * 4))
    assert same_weights(one, other)


def test_class_weight_multiplies_sample_weight(make):
    by_class = make(guidance=None, max_epochs=1, class_weight={"alarm": 3.0})
    by_text = make(guidance=None, max_epochs=1)
    by_class.fit(TEXTS, LABELS, sample_weight=np.full(48, 2.0))
    by_text.fit(TEXTS, LABELS, sample_weight=np.where(LABELS == "alarm", 6.0, 2.0))
    assert same_weights(by_class, by_text)


def test_balanced_classes_equalise_a_rare_one(make):
    rows = np.flatnonzero((LABELS != "rain") | (np.arange(48) < 6))
    X, y = [TEXTS[row] for row in rows], LABELS[rows]
    rare = {}
    for kind in (None, "balanced"):
        classifier = make(guidance=None, max_epochs=2, lr=1e-3, class_weight=kind).fit(X, y)
        rare[kind] = classifier.predict_proba(NEW_TEXTS)[:, 2].mean()
    assert rare["balanced"] > rare[None] + 0.05


class Weights(BaseGuidance):
    """Adds nothing, and keeps the weights that it sees; parameters are cloned, so by class."""

    seen: list[float] = []

    def losses(self, step):
        self.seen.extend(step.batch["weight"].tolist())
        yield from ()


@pytest.mark.parametrize("label_weight", [0, 1, 3.0])
@pytest.mark.parametrize("split", [None, ValidSplit(4, stratified=True)])
def test_weights_have_mean_one_over_what_is_trained(make, label_weight, split):
    Weights.seen.clear()
    how = {"label_weight": label_weight, "train_split": split, "guidance": Weights()}
    given = np.linspace(0.1, 5, 48)  # what is held out has another mean than the rest
    make(max_epochs=1, **how).fit(TEXTS, LABELS, sample_weight=given)
    n_texts = (36 if split else 48) + (3 if label_weight else 0)
    assert len(Weights.seen) == n_texts
    assert np.mean(Weights.seen) == pytest.approx(1, rel=1e-5)
    if label_weight:
        # Three names alike, each a multiple of the mean weight of a trained text.
        values, counts = np.unique(np.round(Weights.seen, 4), return_counts=True)
        name = values[counts == 3]
        texts = np.sum(Weights.seen) - 3 * name
        np.testing.assert_allclose(name, label_weight * texts / (n_texts - 3), rtol=1e-3)


def test_the_head_is_probed_once_however_often_the_net_is_trained_on(make, monkeypatch):
    probed = []
    monkeypatch.setattr(
        "skcap.classifier.net.probe_head",
        lambda net, data: probed.append(len(data)) or probe_head(net, data),
    )
    classifier = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS)
    before = weights(classifier)["head.weight"].clone()
    codes = np.unique(LABELS, return_inverse=True)[1]
    dataset = TextDataset(classifier._encode(TEXTS), codes)
    for _ in range(2):
        classifier.net_.partial_fit(dataset, y=codes)
    assert probed == [48]
    assert not weights(classifier)["head.weight"].equal(before)  # it was trained all the same


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(47), r"must have shape \(48,\), one weight per text, got \(47,\)"),
        (np.zeros(48), "not all zero"),
        (-np.ones(48), "not negative"),
        (np.full(48, np.nan), "finite"),
        ([1.0] * 46 + [-2, -3], "but row 46 is -2"),
        ([1.0, "heavy"] * 24, "sample_weight must hold numbers .* row 1 is 'heavy'"),
        ([1.0, 2.0, None] * 16, "row 2 is None"),
    ],
)
def test_bad_sample_weights(make, weight, message):
    with pytest.raises(ValueError, match=message):
        make(guidance=None).fit(TEXTS, LABELS, sample_weight=weight)


def test_class_weights_of_no_class_are_refused(make):
    with pytest.raises(
        ValueError, match=r"class_weight must have labels .*'alarm', got \['jazz'\]"
    ):
        make(guidance=None, class_weight={"jazz": 2.0}).fit(TEXTS, LABELS)


def test_misspelt_classes_are_refused_where_a_class_has_no_weight(make):
    weight = {"alarm": 2.0, "music": 1.0, "rian": 5.0}
    with pytest.raises(ValueError, match=r"for 'rian', which is no label .* mean 'rain'\?"):
        make(guidance=None, class_weight=weight).fit(TEXTS, LABELS)
    # Classes that a fold may lack do no harm where all others have weights.
    make(guidance=None, max_epochs=1, class_weight={**weight, "rain": 1.0}).fit(TEXTS, LABELS)


def test_weights_that_cancel_each_other_are_refused(make):
    classifier = make(guidance=None, class_weight={"alarm": 0.0})
    with pytest.raises(ValueError, match=r"class_weight=.* is 0 for every text"):
        classifier.fit(TEXTS, LABELS, sample_weight=(LABELS == "alarm").astype(float))
