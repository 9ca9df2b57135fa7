"""What every prior promises. A new prior needs one line in PRIORS."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcap import CAPPriorTransformer, FakeLLM, PriorMatrix
from skcap.priors.hybrid import HybridPrior
from skcap.priors.integrated_gradients import IGPriorTransformer
from skcap.priors.lime import LimePriorTransformer
from skcap.priors.precomputed import PrecomputedPrior
from skcap.priors.shap import ShapPriorTransformer

TEXTS = ["cancel the alarm now", "wake me up at seven", "stop it", "seven"]
LABELS = ["cancel_alarm", "set_alarm", "cancel_alarm", "set_alarm"]


class WordLengths:
    """A callable whose name is the same in every test process, as test names must be."""

    def __call__(self, text):
        return [float(len(word)) for word in text.split()]

    def __repr__(self):
        return "WordLengths()"


PRIORS = {
    "cap": CAPPriorTransformer(FakeLLM(), n_masks=6, cache=False),
    "lime": LimePriorTransformer(FakeLLM(), num_samples=20, cache=False),
    "shap": ShapPriorTransformer(FakeLLM(), cache=False),
    "precomputed": PrecomputedPrior(WordLengths()),
    "hybrid": HybridPrior([("cap", CAPPriorTransformer(FakeLLM(), n_masks=6, cache=False))]),
}

# Checks of scikit-learn that a prior fails on purpose, and why: {class: {check: reason}}.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {}

# scikit-learn leaves out nearly all of its checks for an estimator of texts, as they feed numbers
# to it; those of these that need none are called by name.
CHECKS_WITHOUT_NUMBERS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", SkipTestWarning)
    # The prior from integrated gradients needs a model to fit, but not for these.
    sklearn_checks = parametrize_with_checks([*PRIORS.values(), IGPriorTransformer(cache=False)])


def run_check(name, estimator, check):
    reason = EXPECTED_FAILURES.get(type(estimator).__name__, {}).get(name)
    if reason is None:
        return check()
    with pytest.raises(Exception):  # noqa: B017, PT011  (a check that passes by now must be told)
        check()
    pytest.xfail(reason)


@sklearn_checks
def test_sklearn_checks(estimator, check):
    run_check(getattr(check, "func", check).__name__, estimator, lambda: check(estimator))


@pytest.fixture(params=PRIORS)
def prior(request):
    if request.param == "shap":
        pytest.importorskip("shap")
    return clone(PRIORS[request.param])


@pytest.mark.parametrize("name", CHECKS_WITHOUT_NUMBERS)
def test_sklearn_checks_that_need_no_numbers(prior, name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip("not in this version of scikit-learn")
    run_check(name, prior, lambda: check(type(prior).__name__, prior))


# -- learning and teaching ------------------------------------------------------------------------


def test_scores_every_word_of_every_text(prior):
    matrix = prior.fit_transform(TEXTS, LABELS)
    assert isinstance(matrix, PriorMatrix)
    assert matrix.texts.tolist() == TEXTS
    assert np.isfinite(np.concatenate(matrix.scores)).all()
    assert np.ptp(np.concatenate(matrix.scores)) > 0
    assert isinstance(matrix.provenance["source"], str)
    assert prior.classes_.tolist() == ["cancel_alarm", "set_alarm"]


def test_fit_transform_is_fit_and_attribute(prior):
    matrix = prior.fit_transform(TEXTS, LABELS)
    assert prior.fit(TEXTS, LABELS) is prior
    assert prior.attribute(TEXTS, LABELS) == matrix
    assert clone(prior).fit_transform(TEXTS, LABELS) == matrix


def test_transform_gives_texts_without_scores(prior):
    prior.fit(TEXTS, LABELS)
    matrix = prior.transform(["a new text", *TEXTS])
    assert matrix.texts.tolist() == ["a new text", *TEXTS]
    assert not matrix.has_scores
    assert len(prior.transform([])) == 0


def test_a_text_depends_on_neither_rows_nor_neighbours(prior):
    whole = prior.fit_transform(TEXTS, LABELS)
    for rows in ([3, 1, 0, 2], [2], [1, 1, 3], [0, 3]):
        part = prior.attribute([TEXTS[r] for r in rows], [LABELS[r] for r in rows])
        np.testing.assert_allclose(part.to_dense(), whole[rows].to_dense()[:, : part.n_words.max()])


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, PriorMatrix])
def test_kinds_of_texts(prior, kind):
    expected = clone(prior).fit_transform(TEXTS, LABELS)
    assert prior.fit_transform(kind(TEXTS), LABELS) == expected
    assert prior.transform(kind(TEXTS)).texts.tolist() == TEXTS


@pytest.mark.parametrize(
    "kind", [tuple, np.array, pd.Series, lambda y: np.array(y, object), pd.Categorical]
)
def test_kinds_of_labels(prior, kind):
    expected = clone(prior).fit_transform(TEXTS, LABELS)
    assert prior.fit_transform(TEXTS, kind(LABELS)) == expected


@pytest.mark.parametrize("labels", [[1, 0, 1, 0], [True, False, True, False]])
def test_labels_that_are_numbers(prior, labels):
    if "label_names" in prior.get_params():
        prior.set_params(label_names={0: "set", 1: "cancel"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a nested prior has no names for them
        matrix = prior.fit_transform(TEXTS, labels)
    assert prior.classes_.tolist() == sorted(set(labels))
    assert matrix.has_scores


# -- as scikit-learn estimators -------------------------------------------------------------------


def test_fit_changes_no_parameter(prior):
    before = {name: joblib.hash(value) for name, value in prior.get_params().items()}
    prior.fit_transform(TEXTS, LABELS)
    assert {name: joblib.hash(value) for name, value in prior.get_params().items()} == before


def test_pickle_of_a_fitted_prior(prior):
    matrix = prior.fit_transform(TEXTS, LABELS)
    again = pickle.loads(pickle.dumps(prior))
    assert again.attribute(TEXTS, LABELS) == matrix


def test_in_a_pipeline(prior):
    pipe = make_pipeline(prior, "passthrough").fit(TEXTS, LABELS)
    assert not pipe.transform(TEXTS).has_scores
    assert clone(pipe).fit_transform(TEXTS, LABELS).has_scores


def test_another_container_of_the_output_changes_nothing(prior):
    pipeline = make_pipeline(prior).set_output(transform="pandas")
    assert isinstance(pipeline.fit_transform(TEXTS, LABELS), PriorMatrix)


def test_unfitted(prior):
    for call in (lambda: prior.transform(TEXTS), lambda: prior.attribute(TEXTS, LABELS)):
        with pytest.raises(NotFittedError):
            call()


class Stops:
    """Fails in the middle of a fit or of the scoring, as a server that is gone would."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error


# For each prior, parameters that make `fit` fail after its first checks.
LATE_FAILURES = {
    "cap": lambda stops: {"label_names": stops},
    "lime": lambda stops: {"label_names": stops},
    "shap": lambda stops: {"label_names": stops},
    "precomputed": lambda stops: {"scores": "no such file.npz"},
    "hybrid": lambda stops: {"cap__label_names": stops},
}


def assert_unfitted(prior):
    assert not [name for name in vars(prior) if name.endswith("_")]
    for call in (lambda: prior.transform(TEXTS), lambda: prior.attribute(TEXTS, LABELS)):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
@pytest.mark.parametrize(("X", "y"), [(None, LABELS), (TEXTS, LABELS[:2]), (TEXTS, [1, "a"] * 2)])
def test_refused_data_leave_the_prior_unfitted(prior, refit, method, X, y):
    if refit:
        prior.fit(TEXTS, LABELS)
    with pytest.raises((TypeError, ValueError)):
        getattr(prior, method)(X, y)
    assert_unfitted(prior)


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("error", [ConnectionError("gone"), KeyboardInterrupt()], ids=repr)
def test_a_fit_that_fails_late_leaves_the_prior_unfitted(prior, request, refit, error):
    name = request.node.callspec.params["prior"]
    if refit:
        prior.fit(TEXTS, LABELS)
    prior.set_params(**LATE_FAILURES[name](Stops(error)))
    expected = FileNotFoundError if name == "precomputed" else type(error)
    with pytest.raises(expected):
        prior.fit(TEXTS, LABELS)
    assert_unfitted(prior)


class DeadLLM(FakeLLM):
    def check_context(self, *arguments, **frame):
        raise ConnectionError("gone")


def test_scoring_that_fails_in_fit_transform_leaves_the_prior_unfitted():
    cap = CAPPriorTransformer(DeadLLM(), cache=False)
    for prior in (cap, HybridPrior([("cap", cap)])):
        prior.fit(TEXTS, LABELS)
        with pytest.raises(ConnectionError):
            prior.fit_transform(TEXTS, LABELS)
        assert_unfitted(prior)


# -- what is refused ------------------------------------------------------------------------------


def test_labels_are_needed(prior):
    with pytest.raises(ValueError, match=r"fit_transform needs y|must hold one label per text"):
        prior.fit_transform(TEXTS)
    with pytest.raises(ValueError, match="y must hold one label per text, got None"):
        prior.fit(TEXTS, None)


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ("a text", ["a"], TypeError, "X is a single string"),
        (["a", None], ["a", "b"], TypeError, "X must hold strings only; row 1 is NoneType"),
        ([1, 2], ["a", "b"], TypeError, "X must hold strings only; row 0 is int"),
        (np.array([["a"], ["b"]]), ["a", "b"], ValueError, "X must be one-dimensional"),
        ([], [], ValueError, "at least one is needed"),
        (["a", "b"], ["a"], ValueError, "inconsistent numbers of samples"),
        (["a", "b"], [0.5, 1.7], ValueError, "continuous"),
        (["a", "b"], [["a", "b"], ["b", "a"]], ValueError, "Choose one label per text"),
        (["a", "b"], [1, "a"], ValueError, "labels of different kinds"),
        (["a", "b"], ["a", float("nan")], ValueError, "row 1 is nan"),
        ((t for t in "ab"), ["a", "b"], TypeError, r"X is a generator.*X=list"),
        (["a", "b"], (t for t in "ab"), TypeError, r"y is a generator.*list\(y\)"),
    ],
)
def test_bad_texts_and_labels(prior, X, y, error, message):
    with pytest.raises(error, match=message):
        prior.fit(X, y)
    prior.fit(TEXTS, LABELS)
    with pytest.raises(error, match=message):
        prior.attribute(X, y)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_labels(prior, missing):
    with pytest.raises(ValueError, match="y must hold one label per text, but row 1 is"):
        prior.fit(TEXTS, np.array(["a", missing, "b", "a"], dtype=object))


def test_label_that_fit_did_not_see(prior):
    prior.fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=r"1 labels that fit did not see, such as 'play_music'"):
        prior.attribute(["play jazz", "stop"], ["play_music", "cancel_alarm"])
