"""What skorch brings: splits, callbacks, learning rates, mixed precision, devices."""

import pickle

import numpy as np
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
from sklearn.model_selection import ShuffleSplit
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LoadInitState,
    LRScheduler,
)
from skorch.dataset import ValidSplit
from torch.utils.data import SequentialSampler

from skcap.classifier import predicting
from skcap.utils import progress


def test_early_stopping_on_a_split(make):
    classifier = make(
        max_epochs=30,
        lr=0.0,
        head_lr=0.0,
        train_split=ValidSplit(4, stratified=True),
        callbacks=[EarlyStopping(patience=2, sink=lambda text: None)],
    )
    classifier.fit(PRIOR, LABELS)
    assert len(classifier.net_.history) == 3
    assert {"valid_loss", "valid_acc"} <= set(classifier.net_.history[0])
    batches = classifier.net_.history[0, "batches"]
    assert sum(batch.get("train_batch_size", 0) for batch in batches) == 36


def test_validation_loss_is_the_cross_entropy(make):
    split = ValidSplit(4, stratified=True)
    classifier = make(beta=5.0, max_epochs=1, train_split=split).fit(PRIOR, LABELS)
    _, rows = next(iter(split.check_cv(LABELS).split(TEXTS, LABELS)))
    proba = classifier.predict_proba([TEXTS[row] for row in rows])
    codes = np.array([KEYWORDS.index(LABELS[row]) for row in rows])
    expected = -np.log(proba[np.arange(len(rows)), codes]).mean()
    assert classifier.net_.history[0, "valid_loss"] == pytest.approx(expected, rel=1e-4)


def test_checkpoint_brings_back_the_best(make, tmp_path):
    best = Checkpoint(
        monitor="train_loss_best", dirname=str(tmp_path), load_best=True, f_optimizer=None
    )
    classifier = make(guidance=None, max_epochs=2, callbacks=[("best", best)]).fit(TEXTS, LABELS)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in weights(classifier).items())


def test_training_goes_on_from_a_checkpoint(make, tmp_path):
    def checkpoint():
        return Checkpoint(monitor=None, dirname=str(tmp_path))

    first = make(guidance=None, max_epochs=2, callbacks=[checkpoint()]).fit(TEXTS, LABELS)
    still = {"lr": 0.0, "head_lr": 0.0, "max_epochs": 1, "guidance": None}
    again = make(callbacks=[LoadInitState(checkpoint())], **still).fit(TEXTS, LABELS)
    assert same_weights(first, again)  # the head, too, which else starts from a probe


def test_no_checkpoint_leaves_the_head_to_the_probe(make, tmp_path):
    load = LoadInitState(Checkpoint(dirname=str(tmp_path)))
    quick = {"guidance": None, "max_epochs": 1}
    one = make(callbacks=[load], **quick).fit(TEXTS, LABELS)
    assert same_weights(one, make(**quick).fit(TEXTS, LABELS))


class Rates(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates_ = []

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.rates_.append([group["lr"] for group in net.optimizer_.param_groups])


def rates_of(classifier):
    classifier.fit(TEXTS, LABELS)
    return np.array(dict(classifier.net_.callbacks_)["Rates"].rates_)


@pytest.mark.parametrize(("head_init", "ratio"), [("random", 20), ("probe", 3)])
def test_rates_warm_up_and_decay(make, head_init, ratio):
    how = {"head_init": head_init, "head_lr": None, "lr": 0.01, "max_epochs": 4, "warmup": 0.25}
    head, encoder = rates_of(make(guidance=None, callbacks=[Rates()], **how)).T
    expected = [1 / 3, 2 / 3, 1, 1, *(np.arange(8, 0, -1) / 9)]
    np.testing.assert_allclose(encoder, 0.01 * np.array(expected))
    np.testing.assert_allclose(head, ratio * encoder)


@pytest.mark.parametrize("warmup", [None, 0, 1.0])
def test_rates_at_the_edges(make, warmup):
    rates = rates_of(make(guidance=None, max_epochs=2, warmup=warmup, callbacks=[Rates()]))[:, 1]
    expected = {None: [6] * 6, 0: [6, 5, 4, 3, 2, 1], 1.0: [1, 2, 3, 4, 5, 6]}[warmup]
    np.testing.assert_allclose(rates, 0.01 * np.array(expected) / 6)


@pytest.mark.parametrize("guidance", ["alignment", "rationale"])
def test_amp_trains_in_bfloat16_and_explains_in_float32(make, plain, guidance):
    quick = {"guidance": guidance, "max_epochs": 2}
    classifier = make(amp=True, **quick).fit(PRIOR, LABELS)
    history = classifier.net_.history
    assert history[1, "train_loss"] < history[0, "train_loss"]
    assert {weight.dtype for weight in weights(classifier).values()} == {torch.float32}
    before = classifier.explain(NEW_TEXTS)
    classifier.net_.set_params(amp=False)
    assert classifier.explain(NEW_TEXTS, classifier.predict(NEW_TEXTS)).scores[0].tolist() == (
        before.scores[0].tolist()
    )
    assert not same_weights(classifier, make(**quick).fit(PRIOR, LABELS))
    assert plain.net_.amp is False  # "auto" on a CPU


def test_verbose_2_prints_a_line_per_epoch(make, capsys):
    make(max_epochs=1, verbose=2).fit(PRIOR, LABELS)
    assert "train_alignment" in capsys.readouterr().out
    make(max_epochs=1).fit(PRIOR, LABELS)
    assert capsys.readouterr() == ("", "")  # it takes less than two seconds


def test_progress_counts_the_texts_of_all_epochs(make, capfd, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    monkeypatch.setattr(progress, "_can_draw", lambda: True)
    monkeypatch.setattr(predicting, "_MANY", 10)
    classifier = make(max_epochs=3).fit(PRIOR, LABELS)
    n_texts = 3 * len(LABELS)
    assert f"training: 100%|██████████| {n_texts}/{n_texts}" in capfd.readouterr().err
    shown = pickle.loads(pickle.dumps(classifier)).predict(NEW_TEXTS)
    assert "predict: 100%|██████████| 30/30" in capfd.readouterr().err
    classifier.explain(NEW_TEXTS)
    assert "explain: 100%|██████████| 30/30" in capfd.readouterr().err
    monkeypatch.undo()
    assert classifier.set_params(verbose=0).predict(NEW_TEXTS).tolist() == shown.tolist()
    silent = make(max_epochs=3, verbose=0).fit(PRIOR, LABELS)
    assert capfd.readouterr() == ("", "")
    assert same_weights(classifier, silent)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(make):
    state = torch.cuda.get_rng_state()
    classifier = make(device="auto", max_epochs=10).fit(PRIOR, LABELS)
    assert next(classifier.net_.module_.parameters()).is_cuda
    assert classifier.score(NEW_TEXTS, NEW_LABELS) > 0.7
    assert np.isfinite(classifier.explain(NEW_TEXTS).to_dense()).all()
    assert torch.equal(torch.cuda.get_rng_state(), state)
    held = torch.cuda.memory_allocated()
    classifier.fit(PRIOR, LABELS)
    assert torch.cuda.memory_allocated() <= held * 1.1
    del classifier
    assert torch.cuda.memory_allocated() < held / 10


@pytest.mark.parametrize("split", [ValidSplit(0.2), ValidSplit(ShuffleSplit(1))])
def test_what_is_held_out_depends_on_the_seed_alone(make, split):
    np.random.seed(0)  # noqa: NPY002
    first = make(guidance=None, max_epochs=1, train_split=split).fit(TEXTS, LABELS)
    expected = np.random.RandomState(0).random_sample(2)
    np.testing.assert_array_equal(np.random.random_sample(2), expected)  # noqa: NPY002
    second = make(guidance=None, max_epochs=1, train_split=split).fit(TEXTS, LABELS)
    np.testing.assert_array_equal(first.predict_proba(TEXTS), second.predict_proba(TEXTS))


def test_all_texts_at_once(make):
    clf = make(guidance=None, max_epochs=1, iterator_valid__batch_size=-1).fit(TEXTS, LABELS)
    n_words = clf.explain(TEXTS[:3], n_steps=2).n_words
    assert list(n_words) == [len(text.split()) for text in TEXTS[:3]]


PLATEAU = torch.optim.lr_scheduler.ReduceLROnPlateau


@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping(),
        ("early", EarlyStopping("valid_acc")),
        Checkpoint(dirname="never"),
        LRScheduler(PLATEAU, monitor="valid_loss"),
        LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
    ],
)
def test_callbacks_that_wait_for_texts_held_out_are_refused(make, callback, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = r"callbacks has \w+\(monitor='valid_.*train_split=ValidSplit\(5, stratified=True\)"
    with pytest.raises(ValueError, match=message):
        make(guidance=None, max_epochs=2, callbacks=[callback]).fit(TEXTS, LABELS)


class Validation(Callback):
    def on_epoch_end(self, net, **kwargs):
        net.history.record("valid_loss", -len(net.history))


@pytest.mark.parametrize(
    "callbacks",
    [
        [EarlyStopping("train_loss")],
        [Validation(), EarlyStopping()],
        [EpochScoring("accuracy", name="valid_own", on_train=True), EarlyStopping("valid_own")],
        [LRScheduler("StepLR", step_size=1, monitor="valid_loss")],
        [Checkpoint(monitor=None, dirname="kept")],
    ],
    ids=lambda callbacks: type(callbacks[-1]).__name__,
)
def test_callbacks_that_need_no_texts_held_out_are_taken(make, callbacks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = {"guidance": None, "max_epochs": 2, "warmup": None}
    history = make(callbacks=callbacks, **quick).fit(TEXTS, LABELS).net_.history
    assert len(history) == 2


def test_parameters_of_callbacks_that_are_not_there_are_refused(make):
    early = ("early", EarlyStopping("train_loss"))
    quick = {"guidance": None, "max_epochs": 3, "lr": 0.0, "head_lr": 0.0}
    with pytest.raises(ValueError, match=r"callbacks__erly__patience.* 'erly'.*, 'early'"):
        make(callbacks=[early], callbacks__erly__patience=1, **quick).fit(TEXTS, LABELS)
    fitted = make(
        callbacks=[early], callbacks__early__patience=1, callbacks__valid_acc=None, **quick
    ).fit(TEXTS, LABELS)
    assert "valid_acc" not in dict(fitted.net_.callbacks_)
    assert dict(fitted.net_.callbacks_)["early"].patience == 1


def test_a_sampler_that_does_not_know_all_rows_is_refused(make):
    quick = {"guidance": None, "max_epochs": 1, "iterator_train__sampler": SequentialSampler(TEXTS)}
    fitted = make(**quick).fit(TEXTS, LABELS)
    assert len(fitted.net_.history[0, "batches"]) == 3
    with pytest.raises(ValueError, match=r"iterator_train__sampler .* 48 texts of X, .* 51 rows"):
        make(label_weight=1, **quick).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=r"iterator_train__sampler .* 36 rows.*train_split=None"):
        make(train_split=ValidSplit(4), **quick).fit(TEXTS, LABELS)


def test_a_lone_batch_that_is_left_out_is_told(make):
    quick = {"guidance": None, "max_epochs": 1, "iterator_train__drop_last": True}
    with pytest.raises(ValueError, match=r"drop_last=True .* 48 texts for a batch of 49.*smaller"):
        make(batch_size=49, **quick).fit(TEXTS, LABELS)
    assert len(make(batch_size=48, **quick).fit(TEXTS, LABELS).net_.history) == 1


def test_the_head_keeps_its_rate_where_other_groups_are_given(make):
    quick = {"guidance": None, "max_epochs": 1, "warmup": None, "lr": 0.1, "head_lr": 0.5}
    frozen = [("encoder.embeddings.*", {"lr": 0.0})]
    rates = rates_of(make(optimizer__param_groups=frozen, callbacks=[Rates()], **quick))
    assert rates[0].tolist() == [0.0, 0.5, 0.1]
    own = [("head.*", {"lr": 0.3})]
    rates = rates_of(make(optimizer__param_groups=own, callbacks=[Rates()], **quick))
    assert rates[0].tolist() == [0.3, 0.1]
