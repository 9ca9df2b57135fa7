"""Which guidance is used: a name, an object, a list, none, or one of the user's own."""

import pickle

import numpy as np
import pytest
import torch
from keyword_task import LABELS, NEW_LABELS, NEW_TEXTS, PLACES, PRIOR, TEXTS, same_weights
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from skcap.guidance import (
    GUIDANCE,
    AlignmentGuidance,
    BaseGuidance,
    RationaleGuidance,
    SwapGuidance,
    resolve_guidance,
)
from skcap.prior_matrix import PriorMatrix
from skcap.utils.validation import number

PAIRS = list(zip(TEXTS, LABELS, strict=True))


def test_a_name_stands_for_the_guidance_with_its_defaults(make):
    by_name, by_object = (
        make(guidance=guidance, max_epochs=2).fit(PRIOR, LABELS)
        for guidance in ("rationale", RationaleGuidance())
    )
    assert same_weights(by_name, by_object)
    assert repr(by_name.guidance_) == "[RationaleGuidance()]"


def test_every_name_gives_an_object_that_clones_and_pickles():
    for name, kind in GUIDANCE.items():
        (guidance,) = resolve_guidance(name)
        assert type(guidance) is kind
        for copied in (clone(guidance), pickle.loads(pickle.dumps(guidance))):
            assert copied.get_params() == guidance.get_params()


@pytest.mark.parametrize("guidance", [*GUIDANCE, ["alignment", "rationale"], None])
def test_no_weight_on_guidance_is_no_guidance_to_the_last_bit(make, plain, guidance):
    unguided = make(guidance=guidance, beta=0, max_epochs=10).fit(TEXTS, LABELS)
    assert same_weights(unguided, plain)
    assert same_weights(unguided, make(guidance=guidance, beta=0, max_epochs=10).fit(PRIOR, LABELS))
    assert unguided.guidance_ == []
    assert set(plain.net_.history[0]) == set(unguided.net_.history[0])


def test_an_empty_list_is_no_guidance(make, plain):
    assert same_weights(make(guidance=[], max_epochs=10).fit(TEXTS, LABELS), plain)


def test_the_losses_of_a_list_add_up(make):
    both = [AlignmentGuidance(n_steps=2), "rationale"]
    classifier = make(guidance=both, beta=0.5, max_epochs=2).fit(PRIOR, LABELS)
    history = classifier.net_.history
    parts = ("alignment", "rationale", "complement")
    extra = sum(np.array(history[:, f"train_{part}"]) for part in parts)
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + 0.5 * extra, 1e-5)
    assert repr(classifier.guidance_) == "[AlignmentGuidance(n_steps=2), RationaleGuidance()]"
    assert both[1] == "rationale"
    assert not hasattr(both[0], "baseline_token_")


def test_losses_of_one_name_add_up(make):
    """The second alignment has the same loss as the first, so that two count as twice one."""
    once = AlignmentGuidance(path="gausslegendre")
    still = {"lr": 0, "head_lr": 0, "dropout": 0, "max_epochs": 1, "batch_size": 48}
    single, double = (
        make(guidance=[once] * n, **still).fit(PRIOR, LABELS).net_.history[0, "train_alignment"]
        for n in (1, 2)
    )
    assert double == pytest.approx(2 * single, rel=0.2)  # the encoder's own dropout is random


def test_alignment_and_swap_in_a_list_work_together(make):
    """Each text of one class begins with a word that is no reason; the prior knows the keyword."""
    told = [f"paris {t}" if label == "rain" else f"noon {t}" for t, label in PAIRS]
    prior = PriorMatrix(told, np.eye(6)[PLACES + 1])
    guidance = ["alignment", SwapGuidance(["paris", "noon"])]
    classifier = make(guidance=guidance, max_epochs=10).fit(prior, LABELS)
    history = classifier.net_.history
    assert history[-1, "train_alignment"] < history[0, "train_alignment"]
    misled = [f"noon {t}" if label == "rain" else f"paris {t}" for t, label in PAIRS]
    assert classifier.score(misled, LABELS) > 0.9


# -- guidance of one's own ------------------------------------------------------------------------


class WordDropout(BaseGuidance):
    """Words are hidden at random, and the class should still be recognised."""

    parts = ("word_dropout",)
    _parameter_constraints = {"share": [number(0, 1)]}

    def __init__(self, share=0.3):
        self.share = share

    def losses(self, step):
        batch = step.batch
        shown = (torch.rand(batch["word_ids"].shape) >= self.share) | batch["special"]
        rows = torch.arange(len(step.classes))
        mask = batch["attention_mask"] * shown
        yield "word_dropout", step.cross_entropy(batch["input_ids"], mask, rows)


def test_a_guidance_of_ones_own_needs_twenty_lines(make):
    pipe = Pipeline([("clf", make(guidance=WordDropout(), max_epochs=10))])
    pipe.set_params(clf__guidance__share=0.2, clf__beta=0.5).fit(TEXTS, LABELS)
    assert pipe.score(NEW_TEXTS, NEW_LABELS) > 0.7
    history = pipe[-1].net_.history
    np.testing.assert_allclose(
        history[:, "train_loss"],
        history[:, "train_ce"] + 0.5 * np.array(history[:, "train_word_dropout"]),
        rtol=1e-5,
    )
    assert same_weights(pipe[-1], clone(pipe).fit(TEXTS, LABELS)[-1])
    assert not same_weights(pipe[-1], make(guidance=None, max_epochs=10).fit(TEXTS, LABELS))
    again = pickle.loads(pickle.dumps(pipe))
    assert again.predict(NEW_TEXTS).tolist() == pipe.predict(NEW_TEXTS).tolist()
    with pytest.raises(ValueError, match=r"'share' parameter of WordDropout must be .* Got 2"):
        pipe.set_params(clf__guidance__share=2).fit(TEXTS, LABELS)


def test_a_guidance_that_hides_nothing_doubles_the_cross_entropy(make):
    history = make(guidance=WordDropout(0), lr=0, head_lr=0).fit(TEXTS, LABELS).net_.history
    # The encoder's own dropout makes the two differ a little.
    np.testing.assert_allclose(history[:, "train_ce"], history[:, "train_word_dropout"], rtol=0.5)


class Watch(BaseGuidance):
    """Has a column by word, trains twice, and notes what it sees."""

    parts = ("watched",)
    notes: list = []

    def __init__(self, idle=False):
        self.idle = idle

    def prepare(self, task):
        self.notes.append(("prepare", len(task.texts), task.classes.tolist(), task.priors is None))
        return {"letters": [[len(word) for word in text.split()] for text in task.texts]}

    def is_idle(self):
        return self.idle

    def losses(self, step):
        letters = step.batch["letters"]
        self.notes.append(("step", round(step.progress, 3), int(letters.isnan().all(dim=1).sum())))
        yield "watched", step.mean(letters.nansum(dim=1)) * 0

    def review(self, task, classifier):
        rounds = sum(note[0] == "prepare" for note in self.notes)
        self.notes.append(("review", classifier.predict(task.texts).shape, task.unguided().beta))
        return rounds < 2


def test_a_guidance_sees_the_task_its_own_columns_and_the_trained_classifier(make):
    Watch.notes.clear()
    one_batch = {"guidance": Watch(), "max_epochs": 2, "batch_size": 64, "label_weight": 1}
    make(**one_batch).fit(TEXTS, LABELS)
    prepared = ("prepare", 48, ["alarm", "music", "rain"], True)
    # Label names are three texts whose words have no values.
    steps = [("step", 0.25, 3), ("step", 0.75, 3)]
    assert Watch.notes == [prepared, *steps, ("review", (48,), 1.0)] * 2


def test_an_idle_guidance_changes_nothing(make, plain):
    Watch.notes[:] = [("prepare",), ("prepare",)]
    classifier = make(guidance=[Watch(idle=True)], max_epochs=10).fit(TEXTS, LABELS)
    assert same_weights(classifier, plain)
    assert not [note for note in Watch.notes if note[0] == "step"]


@pytest.mark.parametrize("places", [None, PLACES])
def test_a_guidance_without_a_prior_takes_plain_texts_and_priors_alike(make, places):
    X = TEXTS if places is None else PRIOR
    assert make(guidance=WordDropout(), max_epochs=1).fit(X, LABELS).predict(TEXTS).shape == (48,)


def test_losses_that_are_not_in_parts_are_refused(make):
    class Undeclared(WordDropout):
        parts = ()

    with pytest.raises(ValueError, match=r"Undeclared.*'word_dropout'.*parts"):
        make(guidance=Undeclared(), max_epochs=1).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    "guidance", ["alignment", "rationale", "adversarial", "masker", SwapGuidance(["alarm"])]
)
def test_a_batch_of_a_text_without_words_is_trained_on(make, guidance):
    texts, labels = [*TEXTS[:5], ""], [*LABELS[:5], "alarm"]
    prior = PriorMatrix(texts, [np.ones(len(text.split())) for text in texts])
    history = make(guidance=guidance, batch_size=1, max_epochs=1).fit(prior, labels).net_.history
    assert np.isfinite(history[0, "train_loss"])


def test_whether_a_prior_is_needed_can_be_asked(make):
    assert make(guidance="swap").needs_prior
    assert not make(guidance="swap", beta=0).needs_prior
    assert not make(guidance=None).needs_prior
    assert not make(guidance=SwapGuidance(["alarm"])).needs_prior


def test_none_as_a_name_is_pointed_out(make):
    with pytest.raises(ValueError, match=r"or None, got 'none'\. For none, pass None"):
        make(guidance="none").fit(TEXTS, LABELS)


class Taking(WordDropout):
    """Names a column or a loss as those that there are."""

    def __init__(self, column="own", part="own"):
        self.column = column
        self.part = part

    @property
    def parts(self):
        return (self.part,)

    def prepare(self, task):
        return {self.column: [np.ones(len(text.split())) for text in task.texts]}

    def losses(self, step):
        yield self.part, step.batch[self.column].mean() * 0


@pytest.mark.parametrize("name", ["input_ids", "attention_mask", "special", "word_ids", "weight"])
def test_columns_of_the_batch_itself_are_refused(make, name):
    with pytest.raises(ValueError, match=f"Taking makes a column '{name}', but each batch has"):
        make(guidance=Taking(column=name), max_epochs=1).fit(TEXTS, LABELS)


def test_a_string_of_parts_is_refused(make, monkeypatch):
    monkeypatch.setattr(Taking, "parts", "own")
    with pytest.raises(TypeError, match=r"parts of Taking must be a tuple .*: \('own',\)"):
        make(guidance=Taking(), max_epochs=1).fit(TEXTS, LABELS)


@pytest.mark.parametrize("name", ["ce", "loss", "batch_size", "batch_count"])
def test_losses_named_as_what_the_history_has_are_refused(make, name):
    with pytest.raises(ValueError, match=f"Taking names a loss '{name}'.*its own train_{name}"):
        make(guidance=Taking(part=name), max_epochs=1).fit(TEXTS, LABELS)
    history = make(guidance=Taking(), max_epochs=1).fit(TEXTS, LABELS).net_.history
    assert history[0, "train_own"] == 0


@pytest.mark.parametrize(
    "guidance",
    [
        SwapGuidance(["supercalifragilistic"], drop=0.0),
        RationaleGuidance(complement="compose"),
    ],
    ids=["swap", "compose"],
)
def test_texts_that_are_made_keep_to_the_classifiers_own_length(make, guidance):
    texts = ["rain supercalifragilistic", "alarm music now " * 6] * 8
    X = PriorMatrix(texts, [np.arange(len(text.split())) for text in texts])
    lengths = []

    class Lengths(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.encoder.register_forward_hook(
                lambda *call: lengths.append(call[2].last_hidden_state.shape[1])
            )

    make(guidance=guidance, max_length=25, max_epochs=2, callbacks=[Lengths()]).fit(
        X, ["rain", "alarm"] * 8
    )
    assert 20 < max(lengths) <= 25
