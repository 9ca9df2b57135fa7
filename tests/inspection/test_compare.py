import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

from skcap.classifier import GuidedTextClassifier
from skcap.export import NotSaved
from skcap.guidance import (
    AdversarialGuidance,
    BaseGuidance,
    MaskerGuidance,
    RationaleGuidance,
    SwapGuidance,
)
from skcap.inspection import GuidanceComparison, compare_guidance
from skcap.inspection.compare import _check_classifier
from skcap.inspection.intervals import resampled_interval
from skcap.models import ModelLoadError
from skcap.prior_matrix import PriorMatrix
from skcap.priors.precomputed import PrecomputedPrior
from skcap.shortcuts import ShortcutAudit

WORDS = ["alarm", "music", "rain"]
TEXTS = [f"number {n} is {word} now" for n in range(20) for word in WORDS]
LABELS = np.array(WORDS * 20)
PRIOR = PriorMatrix(TEXTS, [[0.1, 0.2, 0.3, 1.0, 0.0]] * len(TEXTS))

fits = []  # (arm, number of texts, seed) of each fit, in order


class Skilled(ClassifierMixin, BaseEstimator):
    """Predicts a text right if its number, modulo 10, is below a skill that guidance sets."""

    def __init__(self, beta=1.0, guided=7, shuffled=5, unguided=5, random_state=None):
        self.beta = beta
        self.guided = guided
        self.shuffled = shuffled
        self.unguided = unguided
        self.random_state = random_state

    def fit(self, X, y):
        arm = "unguided"
        if isinstance(X, PriorMatrix):
            assert self.beta > 0
            ordered = all(row.argmax() == 3 for row in X.scores)
            arm = "guided" if ordered else "shuffled"
        else:
            assert self.beta == 0
        self.skill_ = getattr(self, arm)
        self.classes_ = np.unique(y)
        fits.append((arm, len(X), self.random_state))
        return self

    def predict(self, X):
        assert not isinstance(X, PriorMatrix)
        right = [int(text.split()[1]) % 10 < self.skill_ for text in X]
        words = [text.split()[3] for text in X]
        wrong = dict(zip(WORDS, [*WORDS[1:], WORDS[0]], strict=True))
        return np.array([w if r else wrong[w] for w, r in zip(words, right, strict=True)])


@pytest.fixture(autouse=True)
def _fresh():
    fits.clear()


def compare(classifier=None, **options):
    options = {"prior": PRIOR, "cv": 4, "verbose": 0, **options}
    return compare_guidance(classifier or Skilled(), TEXTS, LABELS, **options)


def test_arms_are_trained_on_the_same_splits_with_the_same_seeds():
    comparison = compare()
    assert comparison.scores.shape == (8, 3)
    assert comparison.scores.columns.tolist() == ["unguided", "shuffled", "guided"]
    assert sorted(arm for arm, _, _ in fits) == sorted(["unguided", "shuffled", "guided"] * 8)
    assert {n for _, n, _ in fits} == {45}
    seeds = {arm: [s for a, _, s in fits if a == arm] for arm in comparison.scores}
    assert seeds["guided"] == seeds["unguided"] == seeds["shuffled"]
    assert len(set(seeds["guided"])) == 8
    assert comparison.test_to_train == pytest.approx(1 / 3)


@pytest.mark.parametrize("n_missing", [1, 8])
def test_without_a_score_on_each_split_there_is_no_verdict(n_missing):
    calls = []

    def sometimes(estimator, X, y):
        calls.append(estimator)
        return math.nan if len(calls) <= n_missing * 3 else estimator.score(X, y)

    comparison = compare(scoring=sometimes)
    summary = comparison.summary()
    assert summary.startswith(f"Nothing can be said, since {n_missing} of 8 splits have no score:")


def test_scores_are_those_of_the_splits():
    comparison = compare()
    splitter = RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=0)
    for split, (_, test) in enumerate(splitter.split(TEXTS, LABELS)):
        number = np.array([int(TEXTS[row].split()[1]) % 10 for row in test])
        assert comparison.scores["guided"][split] == pytest.approx(np.mean(number < 7))
        assert comparison.scores["unguided"][split] == pytest.approx(np.mean(number < 5))


def test_the_same_seed_gives_the_same_comparison_in_parallel_too():
    first, second = compare(random_state=3), compare(random_state=3, n_jobs=2)
    pd.testing.assert_frame_equal(first.scores, second.scores)
    assert not first.scores.equals(compare(random_state=4).scores)


def test_a_prior_transformer_is_fitted_to_the_training_texts_of_each_split():
    fitted = []

    class Watched(PrecomputedPrior):
        def fit(self, X, y):
            fitted.append(len(X))
            return super().fit(X, y)

    comparison = compare(prior=Watched(PRIOR))
    assert fitted == [45] * 8
    pd.testing.assert_frame_equal(comparison.scores, compare().scores)


def test_own_splits_scorer_and_controls():
    def texts_per_hundred(estimator, X, y):
        return len(estimator.predict(X)) / 100

    comparison = compare(
        cv=StratifiedShuffleSplit(3, test_size=12, train_size=24, random_state=0),
        scoring=texts_per_hundred,
        controls=["unguided"],
    )
    assert comparison.metric == "texts_per_hundred"
    assert comparison.scores.columns.tolist() == ["unguided", "guided"]
    assert len(comparison.scores) == 3
    assert comparison.test_to_train == 0.5
    assert comparison.scores["guided"].tolist() == [0.12] * 3
    assert "whether a shuffled prior gains as much was not tried" in comparison.summary()
    assert compare(scoring="balanced_accuracy").metric == "balanced_accuracy"


def test_splits_may_be_masks():
    folds = np.arange(len(TEXTS)) % 4
    masks = [(folds != fold, folds == fold) for fold in range(4)]
    places = [tuple(map(np.flatnonzero, pair)) for pair in masks]
    found, expected = compare(cv=masks), compare(cv=places)
    pd.testing.assert_frame_equal(found.scores, expected.scores)
    assert found.test_to_train == expected.test_to_train == pytest.approx(1 / 3)


def test_intervals_are_those_of_the_gains_over_all_splits():
    comparison = compare(Skilled(unguided=6))
    gains = [row.guided - row.unguided for row in comparison.scores.itertuples()]
    error = math.sqrt((1 / 8 + 1 / 3) * np.var(gains, ddof=1))
    reach = stats.t.ppf(0.975, 7) * error
    mean = np.mean(gains)
    assert comparison.interval("unguided") == pytest.approx((mean, mean - reach, mean + reach))


def test_cost_is_told_before_the_rest_is_run(capsys):
    said = []

    class Telling(Skilled):
        def fit(self, X, y):
            said.append(capsys.readouterr().err)
            return super().fit(X, y)

    compare(Telling(), verbose=1)
    assert len(said) == 24
    assert said[:2] == ["", ""]
    assert "compare_guidance: less than 1 s for 22 more fits" in said[2]
    compare(verbose=0)
    assert capsys.readouterr().err == ""


# -- intervals ------------------------------------------------------------------------------------


def test_interval_by_hand():
    differences = [0.1, 0.3, 0.2]  # mean 0.2, variance 0.01
    reach = stats.t.ppf(0.975, 2) * math.sqrt((1 / 3 + 0.5) * 0.01)
    interval = resampled_interval(differences, 0.5)
    assert interval == pytest.approx((0.2, 0.2 - reach, 0.2 + reach))
    # without the correction it is that of the plain t test
    plain = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert resampled_interval(differences, 0.0)[1:] == pytest.approx((plain.low, plain.high))
    narrow = resampled_interval(differences, 0.5, confidence=0.5)
    assert narrow.high - narrow.low < interval.high - interval.low
    with pytest.raises(ValueError, match="at least two splits, got 1"):
        resampled_interval([0.1], 0.5)
    with pytest.raises(ValueError, match="confidence must be a float in the range"):
        resampled_interval(differences, 0.5, confidence=95)


# -- the result -----------------------------------------------------------------------------------


def result(unguided, shuffled, guided):
    """Scores that differ from split to split, by the same amount in all arms but for a little."""
    level, little = np.array([0.5, 0.6, 0.7, 0.6]), np.array([0.01, -0.01, 0.01, -0.01])
    scores = {"unguided": level + unguided, "shuffled": level + shuffled + little}
    frame = pd.DataFrame({**scores, "guided": level + guided - little})
    seconds = pd.DataFrame({"unguided": [1.0] * 4, "shuffled": [3.0] * 4, "guided": [3.0] * 4})
    return GuidanceComparison(frame, seconds, "accuracy", 0.25)


def test_table_by_hand():
    table = result(0.0, 0.02, 0.1).to_frame()
    assert table.index.tolist() == ["unguided", "shuffled", "guided"]
    np.testing.assert_allclose(table["score"], [0.6, 0.62, 0.7])
    np.testing.assert_allclose(table["gain"], [0.1, 0.08, np.nan])
    low, high = resampled_interval([0.06, 0.1, 0.06, 0.1], 0.25)[1:]
    np.testing.assert_allclose(table.loc["shuffled", ["gain_low", "gain_high"]], [low, high])
    assert table["fit_seconds"].tolist() == [1.0, 3.0, 3.0]


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((0.0, 0.0, 0.2), "Guidance is worth having here: "),
        ((0.0, 0.2, 0.2), "Guidance helps here, but not demonstrably by what the prior knows: "),
        ((0.0, 0.3, 0.2), "Guidance helps here, but not demonstrably by what the prior knows: "),
        ((0.0, 0.0, 0.001), "No gain from guidance could be shown here: "),
        ((0.0, -0.2, 0.001), "No gain from guidance could be shown here: "),
        ((0.2, 0.0, 0.0), "Guidance does harm here: "),
    ],
)
def test_summary_gives_one_verdict(means, verdict):
    summary = result(*means).summary()
    assert summary.startswith(verdict)
    assert summary.count(". ") == 0
    assert summary.endswith(".")


def test_summary_gives_the_numbers():
    summary = result(0.0, 0.02, 0.1).summary()
    assert "accuracy 0.700 guided, +0.100 (95 % interval +0." in summary
    assert ") over unguided and +0.080 (95 % interval +0." in summary
    assert summary.endswith(") over the prior shuffled, at 3.0 times the training time.")
    assert "unguided 0.600, shuffled 0.620, guided 0.700" in repr(result(0.0, 0.02, 0.1))


def test_plot_shows_every_gain_and_its_interval():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    comparison = result(0.0, 0.02, 0.1)
    ax = comparison.plot()
    ax.figure.canvas.draw()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["guided - unguided", "guided - shuffled"]
    dots = [c.get_offsets()[:, 0].tolist() for c in ax.collections if len(c.get_offsets()) == 4]
    np.testing.assert_allclose(dots, comparison.gains.to_numpy().T)
    for bars, control in zip(ax.containers, comparison.gains, strict=True):
        [[(low, _), (high, _)]] = bars[2][0].get_segments()
        assert (low, high) == pytest.approx(comparison.interval(control)[1:])
    _, other = plt.subplots()
    assert comparison.plot(ax=other) is other
    plt.close("all")


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"classifier": Skilled(beta=0)}, ValueError, "classifier is unguided"),
        ({"classifier": PrecomputedPrior({})}, TypeError, "classifier must be a Guided"),
        ({"controls": ("unguided", "random")}, ValueError, "controls must be one of 'unguided'"),
        ({"controls": ("shuffled",)}, ValueError, "controls must contain 'unguided'"),
        ({"prior": "cap"}, TypeError, "prior must be a prior transformer"),
        ({"prior": PriorMatrix(TEXTS)}, ValueError, "prior has no scores"),
        ({"prior": PRIOR[:5]}, ValueError, "'X' and 'prior' differ in length"),
        ({"cv": 1}, ValueError, "cv must be"),
        ({"cv": 30}, ValueError, r"cv=30 needs at least 30 texts of each class, but .*alarm.* has"),
        ({"cv": [([0], [1])]}, ValueError, "at least two splits, got 1"),
        ({"scoring": "faith"}, ValueError, "no scorer 'faith'"),
        ({"scoring": lambda *args: {"a": 1}}, TypeError, "scoring must return one number"),
    ],
)
def test_mistakes_are_named(options, error, message):
    with pytest.raises(error, match=message):
        compare(**options)


class Untouched(BaseEstimator):
    """A prior that must not be computed."""

    def fit_transform(self, X, y):
        pytest.fail("the work has begun")


@pytest.mark.parametrize(
    ("parameters", "options", "message"),
    [
        ({"guidance": "alignmnt"}, {}, "guidance must be one of 'alignment', .* got 'alignmnt'"),
        ({"guidance": []}, {}, "classifier is unguided"),
        ({"guidance": ()}, {}, "classifier is unguided"),
        ({"guidance": RationaleGuidance(share=2)}, {}, "'share' parameter of RationaleGuidance"),
        ({"head_init": "foo"}, {}, "'head_init' parameter of GuidedTextClassifier must be"),
        ({"model": "/nope"}, {}, "'/nope'.*there is no such folder"),
        ({"model": NotSaved("a path")}, {}, "model is <not saved: a path>"),
        ({}, {"n_jobs": 0}, "'n_jobs' parameter of compare_guidance must be"),
    ],
)
def test_mistakes_are_found_before_the_work(tiny_model, parameters, options, message):
    given = {"model": tiny_model(), "guidance": "rationale", "device": "cpu", **parameters}
    with pytest.raises((ValueError, ModelLoadError), match=message):
        compare(GuidedTextClassifier(**given), prior=Untouched(), **options)


class Own(BaseGuidance):
    """It may read the prior, for all that is known."""


@pytest.mark.parametrize(
    ("guidance", "reads"),
    [
        (SwapGuidance(["please"]), False),
        (SwapGuidance(audit=ShortcutAudit(prior=PRIOR)), False),
        (SwapGuidance(), True),
        (MaskerGuidance(), False),
        (MaskerGuidance(prior_weight=0.5), True),
        (AdversarialGuidance(), True),
        (AdversarialGuidance(prior_weight=0), False),
        (["adversarial", SwapGuidance(["please"])], True),
        (Own(), True),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_which_guidance_reads_the_prior(tiny_model, guidance, reads):
    assert _check_classifier(GuidedTextClassifier(tiny_model(), guidance=guidance)) is reads


def test_a_shuffled_prior_is_no_control_of_guidance_that_does_not_read_it(tiny_model):
    swap = SwapGuidance(["now"])
    classifier = GuidedTextClassifier(tiny_model(), guidance=swap, max_epochs=1, device="cpu")
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=0)
    with pytest.warns(UserWarning, match="'shuffled' is left out of controls") as caught:
        comparison = compare(classifier, cv=folds)
    assert caught[0].filename == __file__
    assert comparison.scores.columns.tolist() == ["unguided", "guided"]
    assert ") over unguided (the guidance does not read the prior)" in comparison.summary()


def test_a_real_classifier(tiny_model):
    classifier = GuidedTextClassifier(tiny_model(), max_epochs=1, device="cpu")
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=1, random_state=0)
    comparison = compare(classifier, prior=PrecomputedPrior(PRIOR), cv=folds)
    assert comparison.scores.notna().all(axis=None)
    assert (comparison.fit_seconds.fillna(1) > 0).all(axis=None)
    assert comparison.summary()
