import pickle
from collections import Counter
from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skcap.metrics import (
    SCORERS,
    FaithfulnessScorer,
    RationaleRules,
    comprehensiveness,
    explain_texts,
    faithfulness_scores,
    get_scorer,
    leave_one_out,
    sufficiency,
)
from skcap.prior_matrix import PriorMatrix

TOPICS = {"music": "play some {} jazz", "place": "book a {} table", "rain": "will it {} rain"}
FILLERS = ["nice", "good", "big", "new", "old", "loud", "calm", "slow"]
X = np.array([text.format(filler) for filler in FILLERS for text in TOPICS.values()], dtype=object)
y = np.array([label for _ in FILLERS for label in TOPICS])

calls = Counter()  # outside of the estimators, so that counting does not change what they hold


comprehensiveness_scorer = FaithfulnessScorer("comprehensiveness")
neg_sufficiency_scorer = FaithfulnessScorer("neg_sufficiency")


@pytest.fixture(autouse=True)
def _fresh():
    calls.clear()


class KeywordClassifier(ClassifierMixin, BaseEstimator):
    """Give each class to the texts that hold its keyword, and explain so."""

    def __init__(self, honest=True):
        self.honest = honest

    def fit(self, X, y):
        calls["fit"] += 1
        self.classes_ = np.unique(y)
        # the last word of the first text of each class
        self.keywords_ = [
            next(t.split()[-1] for t, label in zip(X, y, strict=True) if label == c)
            for c in self.classes_
        ]
        return self

    def predict_proba(self, X):
        calls["predict_proba"] += 1
        calls["texts"] += len(X)
        hits = np.array([[k in text.split() for k in self.keywords_] for text in X], dtype=float)
        none = ~hits.any(axis=1)
        hits[none, -1] = 1.0
        return hits / hits.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def explain(self, X, y=None):
        calls["explain"] += 1
        labels = self.predict(X) if y is None else y
        keyword = dict(zip(self.classes_, self.keywords_, strict=True))
        scores = [
            [float((word == keyword[label]) == self.honest) for word in text.split()]
            for text, label in zip(X, labels, strict=True)
        ]
        return PriorMatrix(list(X), scores)


class PassOn(TransformerMixin, BaseEstimator):
    """Stand in for a prior: its transform gives the texts without scores."""

    def fit(self, X, y=None):
        self.classes_ = np.unique(y)
        return self

    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X)

    def transform(self, X):
        return PriorMatrix(X)


class TakesMatrix(KeywordClassifier):
    def fit(self, X, y):
        assert isinstance(X, PriorMatrix)
        return super().fit(X.texts, y)

    def predict_proba(self, X):
        return super().predict_proba(getattr(X, "texts", X))


def linear():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))


# --------------------------------------------------------------------------------- values


def test_honest_and_dishonest_explanations():
    honest, liar = KeywordClassifier().fit(X, y), KeywordClassifier(honest=False).fit(X, y)
    rest = y != "rain"  # the class of texts without any keyword loses nothing
    assert comprehensiveness_scorer(honest, X[rest], y[rest]) == 1.0
    assert neg_sufficiency_scorer(honest, X[rest], y[rest]) == 0.0
    assert comprehensiveness_scorer(liar, X[rest], y[rest]) == 0.0
    assert neg_sufficiency_scorer(liar, X[rest], y[rest]) == -1.0


def test_any_classifier_by_leave_one_out():
    model = linear().fit(X, y)
    attributions = leave_one_out(model.predict_proba, X)
    expected = comprehensiveness(model.predict_proba, X, attributions)
    assert comprehensiveness_scorer(model, X) == pytest.approx(expected, abs=1e-12)
    expected = sufficiency(model.predict_proba, X, attributions)
    assert neg_sufficiency_scorer(model, X) == pytest.approx(-expected, abs=1e-12)


def test_settings_reach_the_metric():
    model = linear().fit(X, y)
    attributions = leave_one_out(model.predict_proba, X, y, classes=model.classes_)
    rules = RationaleRules(k=[1, 0.5], rounding="floor", at_least=1)
    settings = {"rules": rules, "scale": "log_odds"}
    asked = {"target": y, "classes": model.classes_}
    expected = comprehensiveness(model.predict_proba, X, attributions, **asked, **settings)
    scorer = FaithfulnessScorer("comprehensiveness", target="true", **settings)
    assert scorer(model, X, y) == pytest.approx(expected, abs=1e-9)
    expected = sufficiency(model.predict_proba, X, attributions, **asked, **settings)
    scorer = FaithfulnessScorer("neg_sufficiency", target="true", **settings)
    assert scorer(model, X, y) == pytest.approx(-expected, abs=1e-9)

    masked = RationaleRules(mode="mask", mask_token="rain")
    attributions = leave_one_out(model.predict_proba, X, rules=masked)
    expected = comprehensiveness(model.predict_proba, X, attributions, rules=masked)
    scorer = FaithfulnessScorer("comprehensiveness", rules=masked)
    assert scorer(model, X) == pytest.approx(expected, abs=1e-12)


def test_normalised_sufficiency_keeps_its_sign():
    model = KeywordClassifier().fit(X, y)
    rest = y != "rain"
    assert FaithfulnessScorer("neg_sufficiency", scale="normalized")(model, X[rest]) == 1.0


def test_one_word_is_not_all_words():
    model = linear().fit(X, y)
    one, every = (FaithfulnessScorer("comprehensiveness", RationaleRules(k)) for k in (1, 1.0))
    assert one(model, X) != every(model, X)


def test_true_class():
    model = KeywordClassifier().fit(X, y)
    wrong = np.array(["place" if label == "music" else "music" for label in y])
    scorer = FaithfulnessScorer("comprehensiveness", RationaleRules(k=1), target="true")
    assert scorer(model, X[y == "music"], y[y == "music"]) == 1.0
    assert scorer(model, X[y == "music"], wrong[y == "music"]) == 0.0
    assert scorer(model, X[y == "music"], y[y == "music", None]) == 1.0  # a column vector
    with pytest.raises(ValueError, match="target='true' needs y"):
        scorer(model, X)
    with pytest.raises(ValueError, match="does not know: sport"):
        FaithfulnessScorer("comprehensiveness", target="true", attribution="leave_one_out")(
            model, X[:1], ["sport"]
        )


@pytest.mark.parametrize("model", [KeywordClassifier(), linear()])
def test_order_and_type_of_rows_do_not_matter(model):
    model.fit(X, y)
    order = np.random.default_rng(0).permutation(len(X))
    for scorer in SCORERS.values():
        value = scorer(model, X, y)
        assert scorer(model, X[order], y[order]) == pytest.approx(value, abs=1e-12)
        assert scorer(model, list(X), list(y)) == pytest.approx(value, abs=1e-12)
        assert scorer(model, PriorMatrix(X), y) == pytest.approx(value, abs=1e-12)


def test_given_attribution():
    model = KeywordClassifier().fit(X, y)

    def first_word(classifier, texts, y):
        assert classifier is model
        return [np.eye(1, len(text.split()))[0] for text in texts]

    scorer = FaithfulnessScorer("comprehensiveness", RationaleRules(k=1), attribution=first_word)
    assert scorer(model, X) == 0.0
    FaithfulnessScorer("comprehensiveness", attribution="leave_one_out")(model, X)
    assert calls["explain"] == 0


def test_an_explanation_can_be_passed_in():
    model = KeywordClassifier().fit(X, y)
    own = model.explain(X)
    calls.clear()
    given = faithfulness_scores(model, X, attribution=own)
    for name, value in given.items():
        assert FaithfulnessScorer(name, attribution=own)(model, X) == value
    assert calls["explain"] == 0
    assert given == faithfulness_scores(model, X)
    assert calls["explain"] == 1
    with pytest.raises(ValueError, match="'attribution' and 'X' differ in row 0"):
        faithfulness_scores(model, X[1:], attribution=own)


# ------------------------------------------------------------------------------ pipelines


def test_pipeline_with_a_prior_step():
    pipe = Pipeline([("prior", PassOn()), ("clf", TakesMatrix())]).fit(X, y)
    bare = KeywordClassifier().fit(X, y)
    calls.clear()
    for scorer in SCORERS.values():
        assert scorer(pipe, X, y) == scorer(bare, X, y)
    assert calls["explain"] == 4  # the last step of the pipeline was asked, too


def test_nested_pipeline_and_passthrough():
    inner = Pipeline([("none", "passthrough"), ("clf", TakesMatrix())])
    pipe = Pipeline([("prior", PassOn()), ("inner", inner)]).fit(X, y)
    assert explain_texts(pipe, X) == pipe.steps[-1][1].steps[-1][1].explain(X)


def test_steps_that_change_the_texts():
    # the words of the explanation are those that the last step meets
    shorter = FunctionTransformer(lambda texts: [text.split(" ", 1)[1] for text in texts])
    pipe = Pipeline([("shorter", shorter), ("clf", KeywordClassifier())]).fit(X, y)
    rest = y != "rain"
    assert comprehensiveness_scorer(pipe, X[rest]) == 1.0
    assert explain_texts(pipe, X[:1]).words == [["some", "nice", "jazz"]]


def test_fitted_search_is_explained_by_its_best():
    search = GridSearchCV(KeywordClassifier(), {"honest": [True]}, cv=2).fit(X, y)
    assert comprehensiveness_scorer(search, X) == comprehensiveness_scorer(
        search.best_estimator_, X
    )
    assert calls["explain"] == 2


# -------------------------------------------------------------------- inside scikit-learn


@pytest.mark.parametrize("model", [KeywordClassifier(), linear()])
def test_cross_validate(model):
    wanted = {"accuracy": "accuracy", **SCORERS}
    result = cross_validate(
        model, X, y, cv=3, scoring=wanted, return_estimator=True, return_indices=True,
        return_train_score=True, error_score="raise",
    )  # fmt: skip
    for fold, estimator in enumerate(result["estimator"]):
        for name, scorer in SCORERS.items():
            for part in ("train", "test"):
                rows = result["indices"][part][fold]
                value = scorer(estimator, X[rows], y[rows])
                assert result[f"{part}_{name}"][fold] == pytest.approx(value, abs=1e-12)


def test_cross_val_score_alone():
    values = cross_val_score(KeywordClassifier(), X, y, cv=2, scoring=comprehensiveness_scorer)
    assert values.shape == (2,)
    assert (values > 0.5).all()
    assert check_scoring(KeywordClassifier(), comprehensiveness_scorer) is comprehensiveness_scorer


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_with_several_metrics_and_refit(n_jobs):
    search = GridSearchCV(
        Pipeline([("prior", PassOn()), ("clf", TakesMatrix())]),
        {"clf__honest": [False, True]},
        scoring={"accuracy": "accuracy", **SCORERS},
        refit="comprehensiveness",
        cv=2,
        n_jobs=n_jobs,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_ == {"clf__honest": True}
    assert np.isfinite(search.cv_results_["mean_test_neg_sufficiency"]).all()
    assert search.score(X, y) == comprehensiveness_scorer(search, X, y)
    clone(search)


@pytest.mark.parametrize("settings", [{}, {"target": "true"}, {"scale": "normalized"}])
@pytest.mark.filterwarnings("ignore:.*undefined for")
def test_both_scores_at_once_are_those_of_the_scorers(settings):
    model = KeywordClassifier().fit(X, y)
    expected = {name: FaithfulnessScorer(name, **settings)(model, X, y) for name in SCORERS}
    assert faithfulness_scores(model, X, y, **settings) == pytest.approx(expected)


def scores_of_one_explanation(estimator, X, y):
    return {"accuracy": estimator.score(X, y), **faithfulness_scores(estimator, X, y)}


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_by_one_explanation_per_fold(n_jobs):
    search = GridSearchCV(
        KeywordClassifier(), {"honest": [False, True]}, scoring=scores_of_one_explanation,
        refit="comprehensiveness", cv=2, n_jobs=n_jobs, error_score="raise",
    ).fit(X, y)  # fmt: skip
    assert search.best_params_ == {"honest": True}
    assert {"mean_test_accuracy", "mean_test_neg_sufficiency"} <= set(search.cv_results_)
    if n_jobs is None:
        assert calls["explain"] == 4


def test_both_scores_alone_as_scoring():
    strict = partial(faithfulness_scores, rules=RationaleRules(k=1), target="true")
    result = cross_validate(linear(), X, y, cv=2, scoring=strict, error_score="raise")
    assert {"test_comprehensiveness", "test_neg_sufficiency"} <= set(result)


def test_scorers_by_name():
    assert get_scorer("comprehensiveness") is SCORERS["comprehensiveness"]
    model = KeywordClassifier().fit(X, y)
    assert get_scorer("accuracy")(model, X, y) == model.score(X, y)
    with pytest.raises(ValueError, match=r"no scorer 'faith': skcap has 'comprehensiveness', 'neg"):
        get_scorer("faith")


def test_scorers_are_pickled_and_shown_by_what_differs_from_the_default():
    rules = RationaleRules(k=(1, 2), mode="mask", mask_token="<mask>")
    scorer = FaithfulnessScorer("neg_sufficiency", rules, target="true")
    text = repr(scorer)
    assert text.startswith("FaithfulnessScorer('neg_sufficiency', rules=RationaleRules(k=(1, 2), ")
    assert text.endswith(", mask_token='<mask>'), target='true')")
    assert repr(pickle.loads(pickle.dumps(scorer))) == text
    assert repr(comprehensiveness_scorer) == "FaithfulnessScorer('comprehensiveness')"
    model = linear().fit(X, y)
    copy = pickle.loads(pickle.dumps(comprehensiveness_scorer))
    assert copy(model, X) == comprehensiveness_scorer(model, X)


def test_leave_one_out_in_few_calls():
    model = KeywordClassifier().fit(X, y)
    faithfulness_scores(model, X, attribution="leave_one_out")
    assert calls["predict_proba"] == 2
    n_words = sum(len(text.split()) for text in X)
    assert calls["texts"] <= (len(X) + n_words) + 12 * len(X)


def test_nothing_is_remembered_from_one_call_to_the_next():
    model = KeywordClassifier().fit(X, y)
    first = comprehensiveness_scorer(model, X)
    model.honest = False  # changed in place
    assert comprehensiveness_scorer(model, X) != first
    assert calls["explain"] == 2


# ---------------------------------------------------------------------------------- errors


def test_classifier_without_probabilities():
    model = make_pipeline(CountVectorizer(), LinearSVC(dual="auto")).fit(X, y)
    with pytest.raises(TypeError, match="Pipeline has no predict_proba"):
        comprehensiveness_scorer(model, X)
    calibrated = CalibratedClassifierCV(
        make_pipeline(CountVectorizer(), LinearSVC(dual="auto")), cv=2
    )
    assert comprehensiveness_scorer(calibrated.fit(X, y), X) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "gold"}, "target must be one of 'predicted', 'true', got 'gold'"),
        ({"scale": "logit"}, "scale must be"),
        ({"attribution": "lime"}, r"or a function of \(classifier, texts, y\), got 'lime'"),
    ],
)
def test_bad_settings_are_refused_when_the_scorer_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        FaithfulnessScorer("comprehensiveness", **settings)
    with pytest.raises(ValueError, match=message):
        faithfulness_scores(KeywordClassifier().fit(X, y), X, **settings)


def test_bad_measures_and_rules_are_refused():
    with pytest.raises(ValueError, match="measure must be one of"):
        FaithfulnessScorer("accuracy")
    with pytest.raises(TypeError, match="rules must be a RationaleRules"):
        FaithfulnessScorer("comprehensiveness", 0.3)
    model = KeywordClassifier().fit(X, y)
    with pytest.raises(ValueError, match="attributions has 1 rows"):
        FaithfulnessScorer("comprehensiveness", attribution=lambda *args: [[1.0]])(model, X)
    with pytest.raises(TypeError, match="row 24 is int"):
        comprehensiveness_scorer(model, [*X, 3])
