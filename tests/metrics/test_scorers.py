import gc
import pickle
import weakref
from collections import Counter

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skcap import scoring
from skcap.metrics import comprehensiveness, leave_one_out, sufficiency
from skcap.metrics.scorers import (
    SCORERS,
    FaithfulnessScorer,
    comprehensiveness_scorer,
    explain_texts,
    faithfulness_scores,
    make_comprehensiveness_scorer,
    make_neg_sufficiency_scorer,
    neg_sufficiency_scorer,
)
from skcap.prior_matrix import PriorMatrix

TOPICS = {"music": "play some {} jazz", "place": "book a {} table", "rain": "will it {} rain"}
FILLERS = ["nice", "good", "big", "new", "old", "loud", "calm", "slow"]
X = np.array([text.format(filler) for filler in FILLERS for text in TOPICS.values()], dtype=object)
y = np.array([label for _ in FILLERS for label in TOPICS])

calls = Counter()  # outside of the estimators, so that counting does not change what they hold


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    calls.clear()
    monkeypatch.setattr(scoring, "_recent", scoring._Recent(size=8))


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


# -------------------------------------------------------------------------------- figures


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
    settings = {"k": [1, 0.5], "rounding": "floor", "at_least": 1, "scale": "log_odds"}
    asked = {"target": y, "classes": model.classes_}
    expected = comprehensiveness(model.predict_proba, X, attributions, **asked, **settings)
    scorer = make_comprehensiveness_scorer(target="true", **settings)
    assert scorer(model, X, y) == pytest.approx(expected, abs=1e-9)
    expected = sufficiency(model.predict_proba, X, attributions, **asked, **settings)
    scorer = make_neg_sufficiency_scorer(target="true", **settings)
    assert scorer(model, X, y) == pytest.approx(-expected, abs=1e-9)

    masked = {"mode": "mask", "mask_token": "rain"}
    attributions = leave_one_out(model.predict_proba, X, **masked)
    expected = comprehensiveness(model.predict_proba, X, attributions, **masked)
    assert make_comprehensiveness_scorer(**masked)(model, X) == pytest.approx(expected, abs=1e-12)


def test_normalised_sufficiency_keeps_its_sign():
    model = KeywordClassifier().fit(X, y)
    rest = y != "rain"
    assert make_neg_sufficiency_scorer(scale="normalized")(model, X[rest]) == 1.0


def test_one_word_is_not_all_words():
    model = linear().fit(X, y)
    assert make_comprehensiveness_scorer(k=1)(model, X) != make_comprehensiveness_scorer(k=1.0)(
        model, X
    )


def test_true_class():
    model = KeywordClassifier().fit(X, y)
    wrong = np.array(["place" if label == "music" else "music" for label in y])
    scorer = make_comprehensiveness_scorer(target="true", k=1)
    assert scorer(model, X[y == "music"], y[y == "music"]) == 1.0
    assert scorer(model, X[y == "music"], wrong[y == "music"]) == 0.0
    with pytest.raises(ValueError, match="target='true' needs y"):
        scorer(model, X)
    with pytest.raises(ValueError, match="does not know: sport"):
        make_comprehensiveness_scorer(target="true", attribution="leave_one_out")(
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

    assert make_comprehensiveness_scorer(attribution=first_word, k=1)(model, X) == 0.0
    assert calls["explain"] == 0
    make_comprehensiveness_scorer(attribution="leave_one_out")(model, X)
    assert calls["explain"] == 0


# ------------------------------------------------------------------------------ pipelines


def test_pipeline_with_a_prior_step():
    pipe = Pipeline([("prior", PassOn()), ("clf", TakesMatrix())]).fit(X, y)
    bare = KeywordClassifier().fit(X, y)
    calls.clear()
    for scorer in SCORERS.values():
        assert scorer(pipe, X, y) == scorer(bare, X, y)
    assert calls["explain"] == 2  # one each, so the last step of the pipeline was asked


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
    assert calls["explain"] == 1


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


def test_scores_as_one_callable():
    model = KeywordClassifier().fit(X, y)
    assert faithfulness_scores(model, X) == {n: s(model, X) for n, s in SCORERS.items()}
    result = cross_validate(linear(), X, y, cv=2, scoring=faithfulness_scores)
    assert {"test_comprehensiveness", "test_neg_sufficiency"} <= set(result)


def test_scorers_travel_and_tell_what_they_are():
    scorer = make_neg_sufficiency_scorer(k=[1, 2], mode="mask", mask_token="<mask>")
    text = "make_neg_sufficiency_scorer(k=[1, 2], mode='mask', mask_token='<mask>')"
    assert repr(scorer) == text
    assert repr(pickle.loads(pickle.dumps(scorer))) == text
    assert repr(comprehensiveness_scorer) == "make_comprehensiveness_scorer()"
    model = linear().fit(X, y)
    copy = pickle.loads(pickle.dumps(comprehensiveness_scorer))
    assert copy(model, X) == comprehensiveness_scorer(model, X)


# ------------------------------------------------------------------------- shared work


def test_several_scorers_explain_once():
    model = KeywordClassifier().fit(X, y)
    scorers = [*SCORERS.values(), make_comprehensiveness_scorer(k=1)]
    for scorer in scorers:
        scorer(model, X, y)
    assert calls["explain"] == 1
    # one for explain, one for the first two scorers, one for the third
    assert calls["predict_proba"] == 3


def test_once_an_estimator_and_fold_in_cross_validation():
    cross_validate(
        KeywordClassifier(), X, y, cv=3, scoring={"accuracy": "accuracy", **SCORERS},
        return_train_score=True,
    )  # fmt: skip
    assert calls["fit"] == 3
    assert calls["explain"] == 6  # train and test


def test_leave_one_out_once_and_in_few_calls():
    model = KeywordClassifier().fit(X, y)
    for measure in ("comprehensiveness", "neg_sufficiency"):
        FaithfulnessScorer(measure, attribution="leave_one_out")(model, X)
    assert calls["predict_proba"] == 2
    n_words = sum(len(text.split()) for text in X)
    assert calls["texts"] <= (len(X) + n_words) + 12 * len(X)


def test_other_texts_targets_and_ways_are_not_mixed_up():
    model = KeywordClassifier().fit(X, y)
    comprehensiveness_scorer(model, X)
    comprehensiveness_scorer(model, X[:5])
    make_comprehensiveness_scorer(target="true")(model, X, y)
    make_comprehensiveness_scorer(target="true")(model, X, np.roll(y, 1))
    make_comprehensiveness_scorer(mode="mask", mask_token="_")(model, X)
    assert calls["explain"] == 5


def test_refitted_estimator_is_asked_again():
    model = linear().fit(X, y)
    first = comprehensiveness_scorer(model, X)
    two_classes = np.where(y == "rain", "music", y)
    model.fit(X, two_classes)
    second = comprehensiveness_scorer(model, X)
    other = clone(model).fit(X, two_classes)
    assert second == pytest.approx(comprehensiveness_scorer(other, X), abs=1e-12)
    assert first != pytest.approx(second, abs=1e-6)


def test_refit_that_gives_the_same_predictions_is_noticed():
    # both keywords tell the classes apart, so the probabilities of the texts stay the same
    texts, labels = ["one two", "three four"], ["a", "b"]
    model = KeywordClassifier().fit(texts, labels)
    comprehensiveness_scorer(model, texts)
    model.fit(["two one", "four three"], labels)
    neg_sufficiency_scorer(model, texts)
    assert calls["explain"] == 2
    assert explain_texts(model, texts).scores[0].tolist() == [1.0, 0.0]


def test_weights_changed_in_place_are_noticed():
    features = CountVectorizer().fit(X)
    linear_part = SGDClassifier(loss="log_loss", random_state=0).fit(features.transform(X), y)
    model = Pipeline([("features", features), ("linear", linear_part)])
    first = comprehensiveness_scorer(model, X)
    linear_part.coef_[:] *= 0.01
    second = comprehensiveness_scorer(model, X)
    assert second < 0.5 * first
    linear_part.partial_fit(features.transform(X), y)
    assert comprehensiveness_scorer(model, X) != second


def test_an_equal_estimator_is_another_one():
    first, second = (KeywordClassifier().fit(X, y) for _ in range(2))
    comprehensiveness_scorer(first, X)
    comprehensiveness_scorer(second, X)
    assert calls["explain"] == 2


class Restless(KeywordClassifier):
    """Changes what it holds whenever it is asked, as a network entering evaluation mode."""

    def predict_proba(self, X):
        self.asked_ = True
        return super().predict_proba(X)


def test_change_by_being_asked_does_no_harm():
    model = Restless().fit(X, y)
    for scorer in SCORERS.values():
        scorer(model, X)
    assert calls["explain"] == 1


def test_what_cannot_be_pickled_is_asked_each_time():
    model = KeywordClassifier().fit(X, y)
    model.unpicklable_ = lambda: None
    values = [scorer(model, X) for scorer in SCORERS.values()]
    assert calls["explain"] == 2
    del model.unpicklable_
    assert values == [scorer(model, X) for scorer in SCORERS.values()]


def test_estimators_are_not_kept_alive():
    model = linear().fit(X, y)
    comprehensiveness_scorer(model, X)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_memory_is_bounded():
    models = [KeywordClassifier().fit(X, y) for _ in range(20)]
    for model in models:
        comprehensiveness_scorer(model, X)
    assert len(scoring._recent._works) == 8
    del model, models
    other = MultinomialNB()
    comprehensiveness_scorer(make_pipeline(CountVectorizer(), other).fit(X, y), X)
    assert len(scoring._recent._works) == 1  # the dead are cleared away


def test_a_failure_leaves_nothing_behind():
    model = KeywordClassifier().fit(X, y)
    bad = [*X, 3]
    with pytest.raises(TypeError, match="row 24 is int"):
        comprehensiveness_scorer(model, bad)
    broken = make_comprehensiveness_scorer(attribution=lambda *args: [[1.0]])
    for _ in range(2):
        with pytest.raises(ValueError, match="attributions has 1 rows"):
            broken(model, X)
    assert comprehensiveness_scorer(model, X) > 0


# ---------------------------------------------------------------------------------- errors


def test_classifier_without_probabilities():
    model = make_pipeline(CountVectorizer(), LinearSVC()).fit(X, y)
    with pytest.raises(TypeError, match="Pipeline has no predict_proba"):
        comprehensiveness_scorer(model, X)
    calibrated = CalibratedClassifierCV(make_pipeline(CountVectorizer(), LinearSVC()), cv=2)
    assert comprehensiveness_scorer(calibrated.fit(X, y), X) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k must be a number of words"),
        ({"k": [0.5, 7.0]}, "got 7.0"),
        ({"rounding": "up"}, "rounding must be"),
        ({"at_least": -1}, "at_least must be"),
        ({"mode": "mask"}, "needs the mask_token"),
        ({"target": "gold"}, "target must be 'predicted', 'true', got 'gold'"),
        ({"scale": "logit"}, "scale must be"),
        ({"attribution": "lime"}, r"or a function of \(classifier, texts, y\), got 'lime'"),
    ],
)
def test_bad_settings_are_refused_when_the_scorer_is_made(settings, message):
    for make in (make_comprehensiveness_scorer, make_neg_sufficiency_scorer):
        with pytest.raises(ValueError, match=message):
            make(**settings)
    with pytest.raises(ValueError, match="measure must be"):
        FaithfulnessScorer("accuracy")
