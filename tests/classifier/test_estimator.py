import copy
import dataclasses
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, Checkpoint, EarlyStopping
from skorch.dataset import ValidSplit

from skcap import attribution, guided_net
from skcap.classifier import GuidedTextClassifier
from skcap.classifier.batches import TextDataset
from skcap.prior_matrix import PriorMatrix
from skcap.utils.norms import ALIGNMENT_LOSSES, alignment_loss, normalize_scores

KEYWORDS = ["alarm", "music", "rain"]
FILLERS = ["please", "now", "set", "for", "the", "a", "to", "is", "it", "on"]


def keyword_task(n_texts, seed=0):
    """Give texts of five words, one of them a keyword; the keyword is the label."""
    rng = np.random.default_rng(seed)
    texts, labels, places = [], [], rng.integers(0, 5, n_texts)
    for row, place in enumerate(places):
        words = rng.choice(FILLERS, 4).tolist()
        words.insert(place, KEYWORDS[row % 3])
        texts.append(" ".join(words))
        labels.append(KEYWORDS[row % 3])
    return texts, np.array(labels), places


def prior_on(texts, places):
    return PriorMatrix(texts, np.eye(5)[places])


TEXTS, LABELS, PLACES = keyword_task(48)
PRIOR = prior_on(TEXTS, PLACES)
NEW_TEXTS, NEW_LABELS, _ = keyword_task(30, seed=1)


@pytest.fixture(scope="module")
def make(tiny_model):
    """Make a classifier that learns the keyword task in a second."""

    def classifier(**parameters):
        quick = {"max_epochs": 6, "batch_size": 16, "lr": 0.01, "head_lr": 0.01}
        same = {"model": tiny_model("bert"), "random_state": 0, "device": "cpu"}
        same["label_weight"] = 0  # most tests count texts
        return GuidedTextClassifier(**{**same, **quick, **parameters})

    return classifier


@pytest.fixture(scope="module")
def guided(make):
    return make(beta=2.0, max_epochs=10).fit(PRIOR, LABELS)


@pytest.fixture(scope="module")
def plain(make):
    return make(beta=0, max_epochs=10).fit(TEXTS, LABELS)


def weights(classifier):
    return classifier.net_.module_.state_dict()


def same_weights(one, other):
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# -- learning -------------------------------------------------------------------------------------


def test_learns_with_and_without_guidance(guided, plain):
    for classifier in (guided, plain):
        assert classifier.classes_.tolist() == KEYWORDS
        assert classifier.score(NEW_TEXTS, NEW_LABELS) > 0.7


@pytest.mark.parametrize("family", ["roberta", "distilbert", "deberta-v2", "modernbert"])
def test_guides_every_family(make, tiny_model, family):
    classifier = make(model=tiny_model(family), max_epochs=2).fit(PRIOR, LABELS)
    alignment = classifier.net_.history[:, "train_alignment"]
    assert alignment[1] < alignment[0]
    assert classifier.predict(NEW_TEXTS).shape == (30,)


def test_guidance_moves_attributions_to_the_prior(make):
    """Even to a prior that plain training would never come up with: the word after the keyword."""
    teacher = prior_on(TEXTS, (PLACES + 1) % 5)
    mask = torch.ones(len(TEXTS), 5, dtype=torch.bool)

    def distance(beta):
        # From a probe a random tiny encoder fits the keywords before guidance has had its say.
        classifier = make(beta=beta, head_init="random").fit(teacher, LABELS)
        own = classifier.explain(TEXTS, LABELS)
        sides = [torch.tensor(matrix.to_dense()) for matrix in (teacher, own)]
        return alignment_loss(*(normalize_scores(side, mask, "l2") for side in sides), mask).item()

    assert distance(10.0) < 0.6 * distance(0)


def test_history_has_both_parts_of_the_loss(guided, plain):
    history = guided.net_.history
    total = np.add(history[:, "train_ce"], 2 * np.array(history[:, "train_alignment"]))
    np.testing.assert_allclose(history[:, "train_loss"], total, rtol=1e-5)
    assert history[-1, "train_alignment"] < history[0, "train_alignment"]
    assert history[-1, "train_ce"] < history[0, "train_ce"]
    assert "train_alignment" not in plain.net_.history[0]


def test_names_of_labels_are_learnt_as_texts(make):
    texts, labels = ["please set the", "turn it on", "is it to"], ["a_alarm", "b_music", "c_rain"]
    quick = {"beta": 0, "max_epochs": 1, "lr": 0, "head_lr": 0}  # the probe alone
    names = ["alarm", "music", "rain"]

    def score(**params):
        known = {"label_names": dict(zip(labels, names, strict=True)), **params}
        return make(**quick, **known).fit(texts, labels).predict_proba(names).diagonal().mean()

    assert score(label_weight=3) > score(label_weight="auto") > score(label_weight=0) + 0.05
    assert score(label_weight="auto") == score(label_weight=1)


def test_names_of_numbers_are_left_out_unless_given(make):
    quick = {"beta": 0, "max_epochs": 1, "label_weight": "auto"}
    codes = np.unique(LABELS, return_inverse=True)[1]
    none = make(**quick).fit(TEXTS, codes)
    assert same_weights(none, make(**quick | {"label_weight": 0}).fit(TEXTS, codes))
    given = make(**quick, label_names=KEYWORDS.__getitem__).fit(TEXTS, codes)
    assert not same_weights(none, given)
    assert same_weights(given, make(**quick).fit(TEXTS, LABELS))


def test_names_are_never_held_out_and_have_no_prior(make):
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            inputs, _ = batch
            seen.append((training, int(inputs["prior"].isnan().all(dim=1).sum())))

    make(
        label_weight="auto", max_epochs=1, train_split=ValidSplit(4), callbacks=[Watch()]
    ).fit(PRIOR, LABELS)  # fmt: skip
    assert sum(count for training, count in seen if training) == 3
    assert sum(count for training, count in seen if not training) == 0


def test_labels_with_one_name_are_told_apart_or_refused(make):
    labels = np.array(["an alarm", "an_alarm"] * 24)
    with pytest.raises(ValueError, match="label_weight=0 trains without names"):
        make(beta=0, label_weight="auto", model="nowhere").fit(TEXTS, labels)  # before it is loaded
    make(beta=0, label_weight=0, max_epochs=1).fit(TEXTS, labels)


def test_embeddings_have_unit_length_if_asked_for(make):
    for asked in (True, False):
        classifier = make(beta=0, max_epochs=1, normalize_embeddings=asked).fit(TEXTS, LABELS)
        batch, _ = next(iter(classifier.net_.get_iterator(
            TextDataset(classifier._encode(TEXTS)), training=False
        )))  # fmt: skip
        vectors = classifier.net_.module_.pool(batch["input_ids"], batch["attention_mask"])
        lengths = vectors.norm(dim=1).detach().numpy()
        assert np.allclose(lengths, 1, atol=1e-5) == asked


@pytest.mark.parametrize("kind", ALIGNMENT_LOSSES)
@pytest.mark.parametrize("n_steps", [1, 3, 40])
def test_parts_of_the_alignment_loss_add_up_to_that_of_the_batch(guided, n_steps, kind):
    net = guided.net_
    scores = [np.full(5, np.nan), *np.eye(5)[PLACES][1:10]]  # a text without supervision
    scores[3][2:] = np.nan
    weights = np.linspace(0, 2, 10)
    dataset = TextDataset(guided._encode(TEXTS[:10]), np.arange(10) % 3, scores, weights)
    batch, classes = next(iter(net.get_iterator(dataset, training=False)))
    changes = {"n_steps": n_steps, "path": "gausslegendre", "alignment_loss": kind}
    how = dataclasses.replace(guided._guidance(), **changes)
    net.module_.eval()
    parts = list(net._alignment(batch, classes, how))
    assert len(parts) == {1: 2, 3: 9, 40: 9}[n_steps]  # nine texts by five, and one by one
    supervised = ~batch["prior"].isnan()
    whole = net._alignment_of(batch, classes, supervised, how)
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
    nothing = {**batch, "weight": torch.zeros(10)}
    assert sum(net._alignment(nothing, classes, how)).item() == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"alignment_loss": "cosine"},
        {"alignment_loss": "rank"},
        {"alignment_loss": "kl", "normalize": "softmax"},
    ],
    ids=lambda parameters: parameters["alignment_loss"],
)
def test_every_alignment_loss_falls(make, parameters):
    classifier = make(beta=2.0, max_epochs=10, **parameters).fit(PRIOR, LABELS)
    alignment = classifier.net_.history[:, "train_alignment"]
    assert alignment[-1] < alignment[0]
    assert classifier.score(NEW_TEXTS, NEW_LABELS) > 0.7


@pytest.mark.parametrize(("limit", "norm"), [(0.5, 0.5), (0, 0), (1e6, 40), (None, 40)])
def test_alignment_counts_no_more_in_a_step_than_its_limit(make, limit, norm):
    """Here it would count forty times as much as the cross-entropy."""
    net = make(alignment_limit=limit, max_epochs=1).fit(PRIOR, LABELS).net_
    weight = net.module_.head.weight
    net.module_.zero_grad()
    own, added = torch.zeros(2, *weight.shape)
    own[0, 0], added[0, 0], added[1, 1] = 3.0, 72.0, 96.0
    (weight * own).sum().backward()
    with net._limited(net.guidance.limit):
        (weight * added).sum().backward()
    torch.testing.assert_close(weight.grad - own, added * norm / 40, rtol=1e-5, atol=1e-5)


def test_weights_without_a_gradient_keep_that_of_either_side(make):
    net = make(max_epochs=1).fit(PRIOR, LABELS).net_
    head = net.module_.head
    net.module_.zero_grad()
    head.weight.sum().backward()
    with net._limited(1.0):
        head.bias.sum().backward()
    assert torch.equal(head.weight.grad, torch.ones_like(head.weight))
    assert torch.equal(head.bias.grad, torch.ones_like(head.bias))


def test_a_limit_of_zero_trains_as_if_there_were_no_guidance_to_speak_of(make):
    options = {"max_epochs": 2, "head_init": "random"}
    held = make(alignment_limit=0, beta=5.0, **options).fit(PRIOR, LABELS)
    faint = make(alignment_limit=None, beta=1e-30, **options).fit(PRIOR, LABELS)
    strong = make(alignment_limit=None, beta=5.0, **options).fit(PRIOR, LABELS)
    assert same_weights(held, faint)
    assert not same_weights(held, strong)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [1, 1, 1, 1]),
        ("rise", [1 / 8, 3 / 8, 5 / 8, 7 / 8]),
        ("fall", [7 / 8, 5 / 8, 3 / 8, 1 / 8]),
    ],
)
def test_weight_of_the_guidance_follows_its_schedule(make, schedule, shares):
    classifier = make(beta=2.0, beta_schedule=schedule, max_epochs=4).fit(PRIOR, LABELS)
    history = classifier.net_.history
    guided = np.array(history[:, "train_loss"]) - history[:, "train_ce"]
    np.testing.assert_allclose(guided / history[:, "train_alignment"], 2 * np.array(shares), 1e-4)


@pytest.mark.parametrize("guidance", ["distraction", "both"])
def test_distraction_is_a_part_of_the_loss(make, guidance):
    options = {"guidance": guidance, "beta": 0.5, "max_epochs": 4}
    classifier = make(**options).fit(PRIOR, LABELS)
    history = classifier.net_.history
    parts = ["train_distracted", *(["train_alignment"] if guidance == "both" else [])]
    extra = sum(np.array(history[:, part]) for part in parts)
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + 0.5 * extra, 1e-5)
    assert history[-1, "train_distracted"] < history[0, "train_distracted"]
    assert ("train_alignment" in history[0]) == (guidance == "both")
    assert same_weights(classifier, make(**options).fit(PRIOR, LABELS))


def test_distraction_by_a_prior_that_knows_the_keywords_teaches_to_withstand_them(make):
    """Two keywords in a text, its own and another's: only the place in the text tells which."""
    distracted = make(guidance="distraction", head_init="random").fit(PRIOR, LABELS)
    plain = make(beta=0, head_init="random").fit(TEXTS, LABELS)
    texts = [f"{other} {text}" for text, other in zip(TEXTS, np.roll(LABELS, 1), strict=True)]
    rows = np.roll(LABELS, 1) != LABELS
    texts = [text for text, is_attacked in zip(texts, rows, strict=True) if is_attacked]
    # Where a text speaks for two classes alike, a model that was distracted is less sure of one.
    confidence = [clf.predict_proba(texts).max(axis=1).mean() for clf in (plain, distracted)]
    assert confidence[1] < confidence[0]


@pytest.mark.parametrize("weight", [0, 0.3])
def test_rationales_are_a_part_of_the_loss(make, weight):
    options = {"guidance": "rationale", "beta": 0.5, "complement_weight": weight, "max_epochs": 4}
    classifier = make(**options).fit(PRIOR, LABELS)
    history = classifier.net_.history
    parts = ["train_rationale", *(["train_complement"] if weight else [])]
    extra = 0.5 * sum(np.array(history[:, part]) for part in parts)
    np.testing.assert_allclose(history[:, "train_loss"], history[:, "train_ce"] + extra, 1e-5)
    assert history[-1, "train_rationale"] < history[0, "train_rationale"]
    assert "train_alignment" not in history[0]
    assert ("train_complement" in history[0]) == bool(weight)
    assert same_weights(classifier, make(**options).fit(PRIOR, LABELS))


def test_what_the_complement_tells_is_its_divergence_from_all_classes_alike(make):
    from scipy.stats import entropy

    prior = [np.array([9.0, -9.0, -9.0]), np.array([-9.0, -9.0, 9.0])]
    classifier = make(guidance="rationale", rationale_share=0.3, complement_weight=2.0)
    net = classifier.fit(PRIOR, LABELS).net_
    net.module_.eval()
    encoded = classifier._encode(["play some jazz", "set the alarm"])
    rows = TextDataset(encoded, np.array([0, 1]), prior, np.array([0.5, 1.5]))
    batch, _ = next(iter(net.get_iterator(rows)))
    hidden = torch.tensor([[0], [2]])
    mask = batch["attention_mask"] * (batch["word_ids"] != hidden)
    with torch.no_grad():
        told = net._by_complement(batch, net.guidance)
        p = net.module_(batch["input_ids"], mask).softmax(dim=1).numpy()
    each = entropy(np.full_like(p, 1 / p.shape[1]), p, axis=1)
    assert told.item() == pytest.approx(2 * (0.5 * each[0] + 1.5 * each[1]) / 2, rel=1e-4)


def test_rationales_keep_a_model_from_a_shortcut_that_the_prior_does_not_believe_in(make):
    """Each training text begins with a filler that goes with its class by accident."""
    shortcut = dict(zip(KEYWORDS, ["please", "now", "set"], strict=True))
    told = [f"{shortcut[label]} {text}" for text, label in zip(TEXTS, LABELS, strict=True)]
    prior = PriorMatrix(told, np.eye(6)[PLACES + 1])
    others = np.roll(NEW_LABELS, 1)  # the next class in turn, so never one's own
    misled = [f"{shortcut[label]} {text}" for text, label in zip(NEW_TEXTS, others, strict=True)]
    options = {"head_init": "random", "rationale_share": 0.2, "beta": 3.0, "max_epochs": 10}
    plain = make(beta=0, head_init="random", max_epochs=10).fit(told, LABELS)
    guided = make(guidance="rationale", **options).fit(prior, LABELS)
    rolled = PriorMatrix(told, np.eye(6)[np.zeros(len(told), dtype=int)])  # believes in it
    fooled = make(guidance="rationale", **options).fit(rolled, LABELS)
    scores = [clf.score(misled, NEW_LABELS) for clf in (fooled, plain, guided)]
    assert scores[2] > scores[1] + 0.1
    assert scores[2] > scores[0] + 0.3


def test_texts_of_one_word_have_no_complement(make):
    prior = PriorMatrix(["jazz", "alarm"], [np.ones(1)] * 2)
    history = make(guidance="rationale", max_epochs=1).fit(prior, ["music", "alarm"]).net_.history
    assert history[0, "train_complement"] == 0
    assert history[0, "train_rationale"] > 0


def test_distraction_needs_a_prior(make):
    with pytest.raises(ValueError, match="asks for guidance, but X is list"):
        make(guidance="distraction").fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="guidance must be one of 'alignment', 'distraction', 'b"):
        make(guidance="shuffle").fit(PRIOR, LABELS)
    with pytest.raises(ValueError, match="n_distractors must be an integer"):
        make(n_distractors=0).fit(PRIOR, LABELS)


def test_counts_of_attributions(make, monkeypatch):
    calls = []
    real = attribution.attribute_words

    def counting(*args, **options):
        calls.append(options["n_steps"])
        return real(*args, **options)

    monkeypatch.setattr(guided_net, "attribute_words", counting)
    make(beta=0, max_epochs=1).fit(PRIOR, LABELS)
    assert calls == []
    make(beta=1.0, max_epochs=2, ig_steps=3).fit(PRIOR, LABELS)
    assert calls == [3] * 48  # two epochs of three batches of 16 texts, two texts at a time
    calls.clear()
    only_first = PriorMatrix(TEXTS, [[1, 0, 0, 0, 0]] + [[np.nan] * 5] * 47)
    make(beta=1.0, max_epochs=2).fit(only_first, LABELS)
    assert len(calls) == 2  # batches without a supervised word need none


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


@pytest.mark.parametrize("label_type", [int, bool, object])
def test_labels_come_back_as_they_were(make, label_type):
    kinds = {int: np.arange(48) % 3 * 10, bool: LABELS == "rain", object: LABELS}
    labels = kinds[label_type].astype(label_type)
    classifier = make(beta=0, max_epochs=1).fit(TEXTS, labels)
    assert classifier.classes_.tolist() == sorted(set(labels.tolist()))
    assert classifier.predict(NEW_TEXTS).dtype == labels.dtype


def test_every_kind_of_collection_gives_the_same_model(make):
    base = make(beta=0, max_epochs=1).fit(TEXTS, LABELS)
    for X, y in [
        (tuple(TEXTS), LABELS.tolist()),
        (np.array(TEXTS), LABELS.astype(object)),
        (pd.Series(TEXTS, index=range(5, 53)), pd.Series(LABELS)),
        (PRIOR, LABELS),
    ]:
        other = make(beta=0, max_epochs=1).fit(X, y)
        assert same_weights(base, other)
        assert other.predict(X).tolist() == base.predict(TEXTS).tolist()


# -- weights of texts and classes -----------------------------------------------------------------


def test_texts_of_weight_zero_teach_nothing(make):
    """Wrong labels and priors do no harm, and change no weight at all, where the weight is zero."""
    weight = np.array([1.0, 1.0, 1.0, 0.0] * 12)
    off = weight == 0
    wrong = np.where(off, "rain", LABELS)
    opposite = prior_on(TEXTS, np.where(off, (PLACES + 2) % 5, PLACES))
    one = make(max_epochs=2).fit(PRIOR, LABELS, sample_weight=weight)
    other = make(max_epochs=2).fit(opposite, wrong, sample_weight=weight)
    assert same_weights(one, other)
    assert not same_weights(one, make(max_epochs=2).fit(opposite, wrong))


def test_only_ratios_of_sample_weights_count(make):
    weight = np.linspace(0.5, 2, 48)
    one = make(beta=0, max_epochs=1).fit(TEXTS, LABELS, sample_weight=weight)
    other = make(beta=0, max_epochs=1).fit(TEXTS, LABELS, sample_weight=pd.Series(weight * 4))
    assert same_weights(one, other)


def test_class_weight_multiplies_sample_weight(make):
    by_class = make(beta=0, max_epochs=1, class_weight={"alarm": 3.0})
    by_text = make(beta=0, max_epochs=1)
    by_class.fit(TEXTS, LABELS, sample_weight=np.full(48, 2.0))
    by_text.fit(TEXTS, LABELS, sample_weight=np.where(LABELS == "alarm", 6.0, 2.0))
    assert same_weights(by_class, by_text)


def test_balanced_classes_equalise_a_rare_one(make):
    rows = np.flatnonzero((LABELS != "rain") | (np.arange(48) < 6))
    X, y = [TEXTS[row] for row in rows], LABELS[rows]
    rare = {}
    for kind in (None, "balanced"):
        classifier = make(beta=0, max_epochs=2, lr=1e-3, class_weight=kind).fit(X, y)
        rare[kind] = classifier.predict_proba(NEW_TEXTS)[:, 2].mean()
    assert rare["balanced"] > rare[None] + 0.05


# -- prediction -----------------------------------------------------------------------------------


def test_probabilities_keep_the_order_of_texts_of_any_length(guided):
    texts = ["", *NEW_TEXTS[:5], "alarm " * 40, "rain", "the music is on " * 8, "   "]
    together = guided.predict_proba(texts)
    assert together.shape == (10, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([guided.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert guided.predict(texts).tolist() == [KEYWORDS[code] for code in together.argmax(axis=1)]


def test_batches_of_prediction_do_not_matter(make):
    classifiers = [
        make(beta=0, max_epochs=1, iterator_valid__batch_size=size).fit(TEXTS, LABELS)
        for size in (1, 7)
    ]
    sizes = [
        classifier.net_.get_iterator([0], training=False).batch_size for classifier in classifiers
    ]
    assert sizes == [1, 7]
    one, other = (classifier.predict_proba(NEW_TEXTS) for classifier in classifiers)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_long_texts_are_cut_with_one_warning(make):
    classifier = make(beta=1.0, max_epochs=1, max_length=6)
    with pytest.warns(UserWarning, match=r"48 of 48 texts are longer than max_length=6") as told:
        classifier.fit(PRIOR, LABELS)
    assert len(told) == 1
    assert classifier.max_length_ == 6
    with pytest.warns(UserWarning, match="1 of 2 texts") as told:
        matrix = classifier.explain(["rain", "rain music alarm set for the"])
    assert len(told) == 1
    assert np.isfinite(matrix.scores[0]).all()
    assert np.isnan(matrix.scores[1]).tolist() == [False] * 4 + [True] * 2
    with pytest.warns(UserWarning, match="1 of 1 texts"):
        classifier.predict(["rain music alarm set for the"])


def test_cut_words_are_not_supervised(make):
    """What a prior says of words that the model does not see changes nothing."""
    fits = []
    for beyond in (5.0, np.nan):
        scores = np.eye(5)[PLACES]
        scores[:, 4] = beyond
        with pytest.warns(UserWarning, match="48 of 48"):
            fits.append(make(max_epochs=1, max_length=6).fit(PriorMatrix(TEXTS, scores), LABELS))
    assert same_weights(*fits)


# -- explanations ---------------------------------------------------------------------------------


def test_explain_finds_the_keywords(guided):
    matrix = guided.explain(NEW_TEXTS)
    assert isinstance(matrix, PriorMatrix)
    assert matrix.texts.tolist() == NEW_TEXTS
    top = [record.words[record.scores.argmax()] for record in matrix]
    assert np.mean(np.array(top) == NEW_LABELS) > 0.7
    assert matrix.provenance == {
        "source": "integrated_gradients",
        "model": guided.model,
        "target": "logit",
        "baseline": "pad",
        "n_steps": 16,
        "labels": "predicted",
    }


def test_explained_scores_do_not_depend_on_company_or_order(guided):
    texts = ["", "rain", "set the music on now " * 6, *NEW_TEXTS[:4]]
    together = guided.explain(texts)
    for row, text in enumerate(texts):
        alone = guided.explain([text])
        np.testing.assert_allclose(together.scores[row], alone.scores[0], atol=1e-5)
    assert together.n_words.tolist() == [0, 1, 30, 5, 5, 5, 5]


def test_explain_given_labels(guided):
    predicted = guided.predict(NEW_TEXTS)
    given = guided.explain(NEW_TEXTS, predicted, n_steps=4)
    assert given.provenance["labels"] == "given"
    assert given.provenance["n_steps"] == 4
    np.testing.assert_allclose(
        given.to_dense(), guided.explain(NEW_TEXTS, n_steps=4).to_dense(), atol=1e-6
    )
    other = guided.explain(NEW_TEXTS, ["alarm"] * 30, n_steps=4)
    assert not np.allclose(other.to_dense(), given.to_dense(), atol=0.1)


def test_a_word_without_a_token_explains_nothing(guided):
    scores = guided.explain(["rain \u200b now"]).scores[0]
    assert scores[1] == 0
    assert scores[0] != 0


def test_log_odds_count_what_a_word_does_to_the_other_classes(guided):
    """Their gradient is that of the logit less the mean gradient of the others, by probability."""
    module, encoded = guided.net_.module_, TextDataset(guided._encode(NEW_TEXTS[:4]))
    batch, _ = next(iter(guided.net_.get_iterator(encoded, training=False)))
    classes = torch.zeros(4, dtype=torch.int64)
    how = {"n_words": 5, "n_steps": 64, "baseline_token": guided._baseline_token()}
    found = attribution.attribute_words(module, batch, classes, output="log_odds", **how)
    # Integrated gradients add up to what the score changes by from the baseline to the text.
    with torch.no_grad():
        points = module.embed(batch["input_ids"])
        empty = module.embed_token(how["baseline_token"])
        start = torch.where(batch["special"].unsqueeze(2), points, empty)
        odds = [
            torch.special.logit(
                module(attention_mask=batch["attention_mask"], inputs_embeds=at).softmax(1)[:, 0]
            )
            for at in (points, start)
        ]
    torch.testing.assert_close(found.sum(dim=1), odds[0] - odds[1], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("baseline", ["mask", "zero"])
def test_other_baselines_and_targets(make, guided, baseline):
    classifier = make(max_epochs=1, ig_baseline=baseline, ig_target="probability", ig_steps=2)
    matrix = classifier.fit(PRIOR, LABELS).explain(NEW_TEXTS)
    assert matrix.provenance["baseline"] == baseline
    assert np.abs(matrix.to_dense()).sum(axis=1).max() <= 5


def test_path_from_zero_is_flat_in_models_without_positions(make, tiny_model):
    with pytest.warns(UserWarning, match="all-zero embedding"):
        make(model=tiny_model("modernbert"), ig_baseline="zero", max_epochs=1).fit(PRIOR, LABELS)


def test_a_flat_path_is_no_matter_where_nothing_is_attributed(make, tiny_model):
    options = {"ig_baseline": "zero", "guidance": "rationale", "max_epochs": 1}
    make(model=tiny_model("modernbert"), **options).fit(PRIOR, LABELS)  # warnings are errors


# -- scikit-learn ---------------------------------------------------------------------------------

with warnings.catch_warnings():
    # The checks that feed numbers to an estimator are left out for one of texts, with this warning.
    warnings.simplefilter("ignore", SkipTestWarning)
    sklearn_checks = parametrize_with_checks([GuidedTextClassifier(beta=0)])


@sklearn_checks
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_estimator_repr",
        "check_estimators_partial_fit_n_features",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_n_features_in_after_fitting",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
        pytest.param(
            "check_do_not_raise_errors_in_init_or_set_params",
            marks=pytest.mark.xfail(
                strict=True,
                raises=TypeError,
                reason="It passes the name of **skorch_params itself, which is no parameter: "
                "unknown names are errors at once, so that a typo is not trained on.",
            ),
        ),
    ],
)
def test_more_sklearn_checks_that_need_no_numbers(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("not in this version of scikit-learn")
    check("GuidedTextClassifier", GuidedTextClassifier(beta=0))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "explain"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(GuidedTextClassifier(), method)(["rain"])


def test_is_a_classifier_of_texts(plain):
    assert is_classifier(plain)
    assert not hasattr(plain, "n_features_in_")


def test_fit_leaves_parameters_alone(make):
    callbacks = [EarlyStopping(monitor="train_loss", patience=3)]
    classifier = make(beta=1.0, max_epochs=1, callbacks=callbacks, optimizer__betas=(0.8, 0.9))
    before = {name: joblib.hash(value) for name, value in classifier.get_params().items()}
    classifier.fit(PRIOR, LABELS)
    assert {name: joblib.hash(value) for name, value in classifier.get_params().items()} == before
    assert classifier.callbacks is callbacks
    assert callbacks[0] not in dict(classifier.net_.callbacks_).values()


def test_skorch_parameters_get_set_and_clone(make):
    classifier = make(optimizer__betas=(0.5, 0.9))
    assert classifier.get_params()["optimizer__betas"] == (0.5, 0.9)
    assert classifier.set_params(optimizer__eps=1e-3, beta=0) is classifier
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params()
    copied.set_params(optimizer__eps=1.0)
    assert classifier.get_params()["optimizer__eps"] == 1e-3
    classifier.set_params(max_epochs=1, iterator_train__drop_last=True).fit(TEXTS[:40], LABELS[:40])
    group = classifier.net_.optimizer_.param_groups[0]
    assert (group["betas"], group["eps"]) == ((0.5, 0.9), 1e-3)
    assert len(classifier.net_.history[0, "batches"]) == 2
    assert "optimizer__betas=(0.5, 0.9)" in repr(classifier)


def test_label_smoothing_reaches_the_loss(make):
    plain, smooth = (
        make(beta=0, max_epochs=1, criterion__label_smoothing=amount).fit(TEXTS, LABELS)
        for amount in (0.0, 0.5)
    )
    assert not same_weights(plain, smooth)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("optimizer__betaz", "optimizer__betas"),
        ("optimizer_betas", "optimizer__betas"),
        ("iterator_train_shuffle", "iterator_train__shuffle"),
        ("optimizer__lr", "lr"),
        ("module__dropout", "dropout"),
        ("bata", "beta"),
    ],
)
def test_unknown_parameters_get_a_hint(name, hint):
    message = f"GuidedTextClassifier has no parameter '{name}'. Did you mean '{hint}'?"
    with pytest.raises(TypeError) as error:
        GuidedTextClassifier(**{name: 1})
    assert str(error.value) == message
    with pytest.raises(ValueError, match="has no parameter") as error:
        GuidedTextClassifier().set_params(**{name: 1})
    assert str(error.value) == message


def test_pickles_carry_the_model_and_no_texts(guided):
    data = pickle.dumps(guided)
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.predict_proba(NEW_TEXTS), guided.predict_proba(NEW_TEXTS))
    assert again.explain(NEW_TEXTS) == guided.explain(NEW_TEXTS)
    assert TEXTS[0].encode() not in data
    size = sum(weight.nbytes for weight in weights(guided).values())
    tokenizer = len(pickle.dumps(guided.tokenizer_))
    assert len(data) < 1.5 * size + tokenizer + 150_000  # no moments of the optimiser either
    copied = copy.deepcopy(guided)
    np.testing.assert_array_equal(copied.predict_proba(NEW_TEXTS), guided.predict_proba(NEW_TEXTS))


def test_no_data_or_gradients_stay_in_memory(guided):
    import gc

    from skcap.classifier.batches import TextDataset

    gc.collect()
    held = gc.get_referrers(guided.net_)
    assert not [holder for holder in held if isinstance(holder, TextDataset)]
    assert not [thing for thing in gc.get_objects() if type(thing) is TextDataset]
    assert all(weight.grad is None for weight in guided.net_.module_.parameters())
    assert not guided.net_.optimizer_.state


class AddPriors(BaseEstimator):
    """A prior transformer in miniature: scores when fitting, none at prediction."""

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y):
        words = [text.split() for text in X]
        pairs = zip(words, y, strict=True)
        return PriorMatrix(X, [[float(word == label) for word in line] for line, label in pairs])

    def transform(self, X):
        return PriorMatrix(X)


def test_in_a_pipeline(make):
    pipe = Pipeline([("prior", AddPriors()), ("clf", make(max_epochs=10))]).set_params(
        clf__beta=2.0
    )
    pipe.fit(TEXTS, LABELS)
    assert pipe.score(NEW_TEXTS, NEW_LABELS) > 0.7
    assert np.isfinite(pipe[-1].explain(NEW_TEXTS).to_dense()).all()


def test_grid_search_over_beta_in_two_processes(make):
    search = GridSearchCV(
        make(max_epochs=1),
        {"beta": [0, 1.0], "optimizer__betas": [(0.9, 0.99)]},
        cv=2,
        n_jobs=2,
        error_score="raise",
    )
    search.fit(PRIOR, LABELS)
    assert search.best_estimator_.optimizer__betas == (0.9, 0.99)
    assert search.predict(PRIOR).shape == (48,)
    # Worker processes give what this one gives.
    here = cross_val_score(make(max_epochs=1, beta=1.0), PRIOR, LABELS, cv=2)
    row = [p["beta"] for p in search.cv_results_["params"]].index(1.0)
    # But for a text that rounding tips: sums of floats depend on where memory happens to lie.
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][row], here.mean(), atol=0.03)


# -- skorch ---------------------------------------------------------------------------------------


def test_early_stopping_on_a_split(make):
    classifier = make(
        beta=1.0,
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
    classifier = make(beta=0, max_epochs=2, callbacks=[("best", best)]).fit(TEXTS, LABELS)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert all(torch.equal(saved[name], value) for name, value in weights(classifier).items())


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
    head, encoder = rates_of(make(beta=0, callbacks=[Rates()], **how)).T
    expected = [1 / 3, 2 / 3, 1, 1, *(np.arange(8, 0, -1) / 9)]
    np.testing.assert_allclose(encoder, 0.01 * np.array(expected))
    np.testing.assert_allclose(head, ratio * encoder)


@pytest.mark.parametrize("warmup", [None, 0, 1.0])
def test_rates_at_the_edges(make, warmup):
    rates = rates_of(make(beta=0, max_epochs=2, warmup=warmup, callbacks=[Rates()]))[:, 1]
    expected = {None: [6] * 6, 0: [6, 5, 4, 3, 2, 1], 1.0: [1, 2, 3, 4, 5, 6]}[warmup]
    np.testing.assert_allclose(rates, 0.01 * np.array(expected) / 6)


def test_amp_trains_in_bfloat16_and_explains_in_float32(make, plain):
    classifier = make(beta=1.0, max_epochs=2, amp=True).fit(PRIOR, LABELS)
    history = classifier.net_.history
    assert history[1, "train_loss"] < history[0, "train_loss"]
    assert {weight.dtype for weight in weights(classifier).values()} == {torch.float32}
    before = classifier.explain(NEW_TEXTS)
    classifier.net_.set_params(amp=False)
    assert classifier.explain(NEW_TEXTS, classifier.predict(NEW_TEXTS)).scores[0].tolist() == (
        before.scores[0].tolist()
    )
    assert not same_weights(classifier, make(beta=1.0, max_epochs=2).fit(PRIOR, LABELS))
    assert plain.net_.amp is False  # "auto" on a CPU


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


def test_verbose_prints_a_line_an_epoch(make, capsys):
    make(beta=1.0, max_epochs=1, verbose=1).fit(PRIOR, LABELS)
    assert "train_alignment" in capsys.readouterr().out
    make(beta=1.0, max_epochs=1).fit(PRIOR, LABELS)
    assert capsys.readouterr().out == ""


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (TEXTS, "beta=1.0 asks for guidance, but X is list: plain texts"),
        (PriorMatrix(TEXTS), "beta=1.0 asks for guidance, but the PriorMatrix has no scores"),
    ],
)
def test_guidance_without_a_prior(make, X, message):
    with pytest.raises(ValueError, match=message) as error:
        make().fit(X, LABELS)
    for remedy in ("in a Pipeline", "PriorMatrix with scores", "beta=0"):
        assert remedy in str(error.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"beta": -1}, "beta must be a number of at least 0, got -1"),
        ({"beta": "1"}, "beta must be a number of at least 0, got '1'"),
        ({"normalize": "l1"}, "normalize must be one of 'l2', 'max', .*, None, got 'l1'"),
        ({"alignment_loss": "l1"}, "alignment_loss must be one of 'mse', .*, got 'l1'"),
        ({"alignment_loss": "kl"}, "normalize='l2' does not give. Set normalize='softmax'"),
        ({"beta_schedule": "cosine"}, "beta_schedule must be one of 'constant', 'rise', 'fall'"),
        ({"ig_steps": 0}, "ig_steps must be an integer of at least 1, got 0"),
        ({"ig_path": "curved"}, "ig_path must be one of 'gausslegendre', 'random', got 'curved'"),
        ({"ig_baseline": "none"}, "ig_baseline must be one of 'pad', 'mask', 'zero', got 'none'"),
        ({"ig_target": "margin"}, "ig_target must be one of"),
        ({"alignment_limit": -1}, "alignment_limit must be a number of at least 0, got -1"),
        ({"pooling": "max"}, "pooling must be one of 'mean', 'cls', got 'max'"),
        ({"explain_steps": 1.5}, "explain_steps must be an integer of at least 1, got 1.5"),
        ({"max_epochs": True}, "max_epochs must be an integer of at least 1, got True"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"dropout": 1.5}, "dropout must be a number from 0 to 1, got 1.5"),
        ({"rationale_share": 50}, "rationale_share must be a number from 0 to 1, got 50"),
        ({"complement_weight": -1}, "complement_weight must be a number of at least 0, got -1"),
        ({"lr": float("nan")}, "lr must be a number of at least 0, got nan"),
        ({"head_lr": -0.1}, "head_lr must be"),
        ({"weight_decay": None}, "weight_decay must be"),
        ({"label_weight": "none"}, 'label_weight must be "auto" or a number of at least 0'),
        ({"label_weight": -1}, "label_weight must be a number of at least 0, got -1"),
        ({"warmup": 2}, "warmup must be a number from 0 to 1, got 2"),
        ({"max_length": 2}, "max_length must be an integer from 3 to 64, got 2"),
        ({"max_length": 65}, "max_length must be an integer from 3 to 64, got 65"),
        ({"amp": "yes"}, "amp must be one of 'auto', True, False, got 'yes'"),
        ({"class_weight": "even"}, "balanced"),
    ],
)
def test_bad_parameters_are_named(make, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**{"beta": 0, **parameters}).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (TEXTS[0], LABELS, TypeError, "single string"),
        (np.array([TEXTS]), LABELS, ValueError, "one-dimensional"),
        ([*TEXTS[:-1], None], LABELS, TypeError, "row 47 is NoneType"),
        ([], [], ValueError, "X holds no texts"),
        (TEXTS, LABELS[:-1], ValueError, "inconsistent numbers of samples"),
        (TEXTS, None, ValueError, "y is None"),
        (TEXTS, ["rain"] * 48, ValueError, "at least two classes, but y holds 1 class: 'rain'"),
        (TEXTS, np.linspace(0, 1, 48), ValueError, "Unknown label type"),
    ],
)
def test_bad_data(make, X, y, error, message):
    with pytest.raises(error, match=message):
        make(beta=0).fit(X, y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(47), r"must have shape \(48,\), one weight a text, got \(47,\)"),
        (np.zeros(48), "not all zero"),
        (-np.ones(48), "not negative"),
        (np.full(48, np.nan), "finite"),
    ],
)
def test_bad_sample_weights(make, weight, message):
    with pytest.raises(ValueError, match=message):
        make(beta=0).fit(TEXTS, LABELS, sample_weight=weight)


def test_bad_questions(guided):
    with pytest.raises(ValueError, match=r"not there in fit: 'snow'\. Known are 'alarm', 'music'"):
        guided.explain(["it is on", "rain"], ["snow", "rain"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        guided.explain(["it is on"], ["rain", "rain"])
    with pytest.raises(ValueError, match="n_steps must be an integer of at least 1, got 0"):
        guided.explain(["rain"], n_steps=0)
    with pytest.raises(ValueError, match="X holds no texts"):
        guided.predict([])


def test_missing_mask_token(make, tiny_model, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoModel.from_pretrained(tiny_model("bert")).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model("bert"))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="ig_baseline='mask' needs a mask token"):
        make(model=str(tmp_path), ig_baseline="mask").fit(PRIOR, LABELS)


def test_diverged_training_is_told(make):
    with pytest.warns(ConvergenceWarning, match="training loss is not finite"):
        make(beta=0, lr=1e30, head_lr=1e30, max_epochs=2).fit(TEXTS, LABELS)
