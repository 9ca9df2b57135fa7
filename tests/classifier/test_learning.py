"""What a classifier learns from texts and labels, and that a seed repeats it."""

import copy
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import numpy as np
import pandas as pd
import pytest
import torch
from keyword_task import (
    KEYWORDS,
    LABELS,
    NEW_LABELS,
    NEW_TEXTS,
    PRIOR,
    TEXTS,
    same_weights,
    weights,
)
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from skcap.classifier.batches import TextDataset


def test_learns_with_and_without_guidance(guided, plain):
    for classifier in (guided, plain):
        assert classifier.classes_.tolist() == KEYWORDS
        assert classifier.score(NEW_TEXTS, NEW_LABELS) > 0.7


def test_no_data_or_gradients_stay_in_memory(guided):
    import gc

    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is TextDataset]
    assert all(weight.grad is None for weight in guided.net_.module_.parameters())
    assert not guided.net_.optimizer_.state


@pytest.mark.parametrize("label_type", [int, bool, object])
def test_labels_come_back_as_they_were(make, label_type):
    kinds = {int: np.arange(48) % 3 * 10, bool: LABELS == "rain", object: LABELS}
    labels = kinds[label_type].astype(label_type)
    classifier = make(guidance=None, max_epochs=1).fit(TEXTS, labels)
    assert classifier.classes_.tolist() == sorted(set(labels.tolist()))
    assert classifier.predict(NEW_TEXTS).dtype == labels.dtype


def test_every_kind_of_collection_gives_the_same_model(make):
    base = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS)
    for X, y in [
        (tuple(TEXTS), LABELS.tolist()),
        (np.array(TEXTS), LABELS.astype(object)),
        (pd.Series(TEXTS, index=range(5, 53)), pd.Series(LABELS)),
        (PRIOR, LABELS),
    ]:
        other = make(guidance=None, max_epochs=1).fit(X, y)
        assert same_weights(base, other)
        assert other.predict(X).tolist() == base.predict(TEXTS).tolist()


def test_embeddings_have_unit_length_if_asked_for(make):
    for asked in (True, False):
        classifier = make(guidance=None, max_epochs=1, normalize_embeddings=asked)
        dataset = TextDataset(classifier.fit(TEXTS, LABELS)._encode(TEXTS))
        batch, _ = next(iter(classifier.net_.get_iterator(dataset, training=False)))
        vectors = classifier.net_.module_.pool(batch["input_ids"], batch["attention_mask"])
        lengths = vectors.norm(dim=1).detach().numpy()
        assert np.allclose(lengths, 1, atol=1e-5) == asked


def test_label_smoothing_reaches_the_loss(make):
    plain, smooth = (
        make(guidance=None, max_epochs=1, criterion__label_smoothing=amount).fit(TEXTS, LABELS)
        for amount in (0.0, 0.5)
    )
    assert not same_weights(plain, smooth)


def test_diverged_training_is_told(make):
    with pytest.warns(ConvergenceWarning, match="training loss is not finite"):
        make(guidance=None, lr=1e30, head_lr=1e30, max_epochs=2).fit(TEXTS, LABELS)


# -- names of labels ------------------------------------------------------------------------------


def test_names_of_labels_are_learned_as_texts(make):
    texts, labels = ["please set the", "turn it on", "is it to"], ["a_alarm", "b_music", "c_rain"]
    quick = {"guidance": None, "max_epochs": 1, "lr": 0, "head_lr": 0}  # the probe alone
    names = ["alarm", "music", "rain"]

    def score(label_weight, label_names=names):
        classifier = make(**quick, label_weight=label_weight, label_names=label_names)
        return classifier.fit(texts, labels).predict_proba(names).diagonal().mean()

    assert score(3) > score("auto") > score(0) + 0.05
    assert score("auto") == score(1) == score(1, dict(zip(labels, names, strict=True)))


def test_names_of_numbers_are_left_out_with_a_warning_unless_given(make):
    quick = {"guidance": None, "max_epochs": 1, "label_weight": "auto"}
    codes = np.unique(LABELS, return_inverse=True)[1]
    with pytest.warns(UserWarning, match=r"The labels are numbers.*label_names.*label_weight=0"):
        none = make(**quick).fit(TEXTS, codes)
    assert same_weights(none, make(**quick | {"label_weight": 0}).fit(TEXTS, codes))
    given = make(**quick, label_names=KEYWORDS.__getitem__).fit(TEXTS, codes)
    assert not same_weights(none, given)
    assert same_weights(given, make(**quick).fit(TEXTS, LABELS))
    assert same_weights(given, make(**quick, label_names=KEYWORDS).fit(TEXTS, codes))


def test_names_are_never_held_out_and_have_no_prior(make):
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            inputs, _ = batch
            seen.append((training, int(inputs["prior"].isnan().all(dim=1).sum())))

    watched = make(
        label_weight="auto", max_epochs=1, train_split=ValidSplit(4), callbacks=[Watch()]
    )
    watched.fit(PRIOR, LABELS)
    assert sum(count for training, count in seen if training) == 3
    assert sum(count for training, count in seen if not training) == 0


def test_labels_with_one_name_are_refused_unless_names_are_left_out(make):
    labels = np.array(["an alarm", "an_alarm"] * 24)
    unloaded = make(guidance=None, label_weight="auto", model="nowhere")
    with pytest.raises(ValueError, match="label_weight=0 trains without names"):
        unloaded.fit(TEXTS, labels)
    make(guidance=None, label_weight=0, max_epochs=1).fit(TEXTS, labels)


# -- seeds ----------------------------------------------------------------------------------------


def test_same_seed_same_weights_and_the_global_generators_stay(make):
    def fit(seed):
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
        classifier = make(max_epochs=1, random_state=seed).fit(PRIOR, LABELS)
        classifier.predict(TEXTS)
        classifier.explain(TEXTS[:2])
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
        return classifier

    first = fit(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        assert same_weights(first, fit(3))
    assert not same_weights(first, fit(4))


def test_fitting_again_starts_anew(make):
    classifier = make(max_epochs=1).fit(PRIOR, LABELS)
    before = copy.deepcopy(weights(classifier))
    classifier.fit(PRIOR, LABELS)
    assert all(torch.equal(value, before[name]) for name, value in weights(classifier).items())


class Plain(Enum):
    ALARM, MUSIC, RAIN = KEYWORDS


class Word(str, Enum):  # noqa: UP042
    ALARM, MUSIC, RAIN = KEYWORDS


@pytest.mark.parametrize("kind", [Plain, Word])
def test_members_of_enumerations_stand_for_their_values_everywhere(make, plain, kind):
    members = [kind(label) for label in LABELS]
    assert plain.score(TEXTS, members) == plain.score(TEXTS, LABELS) > 0.7
    assert plain.explain(TEXTS, members, n_steps=2) == plain.explain(TEXTS, LABELS, n_steps=2)
    quick = {"guidance": None, "max_epochs": 1}
    by_member = make(class_weight={kind("alarm"): 5, kind("rain"): 2}, **quick).fit(TEXTS, members)
    by_value = make(class_weight={"alarm": 5, "rain": 2}, **quick).fit(TEXTS, LABELS)
    assert same_weights(by_member, by_value)


def test_fits_in_threads_repeat(make):
    def weights_of_a_fit(_):
        return make(guidance=None, max_epochs=2).fit(TEXTS, LABELS).decision_function(NEW_TEXTS)

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(weights_of_a_fit, range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("guidance", ["alignment", "rationale", "masker", "adversarial", None])
def test_torch_may_have_another_default_dtype(make, guidance):
    quick = {"guidance": guidance, "max_epochs": 1}
    torch.set_default_dtype(torch.float64)
    try:
        fitted = make(**quick).fit(PRIOR, LABELS)
        assert fitted.predict_proba(NEW_TEXTS).dtype == np.float32
        fitted.explain(NEW_TEXTS[:2], n_steps=2)
    finally:
        torch.set_default_dtype(torch.float32)


def test_training_and_explaining_in_inference_mode(make, plain):
    expected = plain.explain(NEW_TEXTS[:5], n_steps=2)
    with torch.inference_mode():
        fitted = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS)
        assert plain.explain(NEW_TEXTS[:5], n_steps=2) == expected
    assert same_weights(fitted, make(guidance=None, max_epochs=1).fit(TEXTS, LABELS))
    with torch.no_grad():
        assert plain.explain(NEW_TEXTS[:5], n_steps=2) == expected
