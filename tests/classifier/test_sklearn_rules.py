"""GuidedTextClassifier in scikit-learn: its checks, pipelines, searches, pickles, HTML."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from keyword_task import LABELS, NEW_LABELS, NEW_TEXTS, PRIOR, TEXTS, weights
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_checks, estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcap.classifier import GuidedTextClassifier
from skcap.guidance import RationaleGuidance
from skcap.prior_matrix import PriorMatrix

with warnings.catch_warnings():
    # The checks that feed numbers to an estimator are left out for one of texts, with this warning.
    warnings.simplefilter("ignore", SkipTestWarning)
    sklearn_checks = parametrize_with_checks([GuidedTextClassifier(guidance=None)])


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
    check("GuidedTextClassifier", GuidedTextClassifier(guidance=None))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "explain"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(GuidedTextClassifier(), method)(["rain"])


def test_is_a_classifier_of_texts(plain):
    assert is_classifier(plain)
    assert not hasattr(plain, "n_features_in_")


def test_pickles_carry_the_model_and_no_texts(guided):
    data = pickle.dumps(guided)
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.predict_proba(NEW_TEXTS), guided.predict_proba(NEW_TEXTS))
    assert again.explain(NEW_TEXTS) == guided.explain(NEW_TEXTS)
    assert repr(again.guidance_) == "[AlignmentGuidance()]"
    assert TEXTS[0].encode() not in data
    size = sum(weight.nbytes for weight in weights(guided).values())
    tokenizer = len(pickle.dumps(guided.tokenizer_))
    assert len(data) < 1.5 * size + tokenizer + 150_000  # no moments of the optimiser either
    copied = copy.deepcopy(guided)
    np.testing.assert_array_equal(copied.predict_proba(NEW_TEXTS), guided.predict_proba(NEW_TEXTS))


def test_html_shows_the_guidance(make):
    for guidance in ("rationale", RationaleGuidance(share=0.123), ["swap", RationaleGuidance()]):
        classifier = make(guidance=guidance)
        for page in (classifier._repr_html_(), estimator_html_repr(Pipeline([("c", classifier)]))):
            assert "GuidedTextClassifier" in page
            assert "rationale" in page.lower()
    assert "0.123" in make(guidance=RationaleGuidance(share=0.123))._repr_html_()


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
    pipe = Pipeline([("prior", AddPriors()), ("clf", make(max_epochs=10))])
    pipe.set_params(clf__beta=2.0).fit(TEXTS, LABELS)
    assert pipe.score(NEW_TEXTS, NEW_LABELS) > 0.7
    assert np.isfinite(pipe[-1].explain(NEW_TEXTS).to_dense()).all()


@pytest.mark.parametrize("guidance", ["rationale", RationaleGuidance()])
def test_grid_search_over_beta_and_the_guidance_in_a_pipeline(make, guidance):
    pipe = Pipeline([("prior", AddPriors()), ("clf", make(max_epochs=1, guidance=guidance))])
    grid = {"clf__beta": [0, 1.0], "clf__guidance__share": [0.25, 0.75]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    assert [(p["clf__beta"], p["clf__guidance__share"]) for p in search.cv_results_["params"]] == [
        (0, 0.25),
        (0, 0.75),
        (1.0, 0.25),
        (1.0, 0.75),
    ]
    best = search.best_estimator_[-1]
    assert best.guidance.share == search.best_params_["clf__guidance__share"]
    assert len(best.guidance_) == bool(best.beta)
    assert pipe[-1].guidance is guidance
    # Without guidance its share makes no difference, and the two folds of each are the same.
    unguided = search.cv_results_["mean_test_score"][:2]
    assert unguided[0] == unguided[1]


def test_grid_search_over_kinds_of_guidance(make):
    grid = {"guidance": [None, "alignment", ["alignment", RationaleGuidance(share=0.25)]]}
    search = GridSearchCV(make(max_epochs=1), grid, cv=2, error_score="raise").fit(PRIOR, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


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
