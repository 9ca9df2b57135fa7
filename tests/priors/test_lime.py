"""LIME priors, against lime itself."""

import json
import re

import numpy as np
import pytest
from lime.lime_text import LimeTextExplainer
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from skcap.llm import FakeLLM, PromptTooLongError
from skcap.llm.estimator import EstimatorLLM
from skcap.priors.lime import LimePriorTransformer
from skcap.utils.seeds import content_seed

TEXTS = [
    "cancel the alarm, please cancel it now",  # a word twice
    "wake me up at seven",
    "  book a   table\tfor two ",  # spaces of all kinds
    "play jazz",
    "alarm",
]
LABELS = np.array(["cancel_alarm", "set_alarm", "book", "play_music", "set_alarm"])


def make_classifier():
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))


class Sure(MultinomialNB):
    """Gives the first class all of the probability."""

    def predict_proba(self, X):
        return np.eye(len(self.classes_))[np.zeros(len(X), dtype=int)]


def direct_lime(text, probability, seed, **parameters):
    """Scores by lime alone, on the text itself; `probability` takes a list of texts."""
    explainer = LimeTextExplainer(
        kernel_width=parameters.get("kernel_width", 25),
        feature_selection="none",
        split_expression=r"\s+",
        bow=False,
        mask_string="",
        random_state=seed,
    )

    def predict_proba(variants):
        p = probability([re.sub(r"\s+", " ", variant).strip() for variant in variants])
        return np.stack([1 - p, p], axis=1)

    explanation = explainer.explain_instance(
        text, predict_proba, num_features=1000, num_samples=parameters.get("num_samples", 128)
    )
    by_position = dict(explanation.local_exp[1])
    return [by_position[position] for position in range(len(text.split()))]


def assert_scores(matrix, expected):
    assert len(matrix) == len(expected)
    for record, scores in zip(matrix, expected, strict=True):
        np.testing.assert_allclose(record.scores, scores, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("target", ["prob", "log_prob", "auto"])
def test_equals_lime_on_a_language_model(target):
    llm = FakeLLM()
    matrix = LimePriorTransformer(llm, target=target, random_state=3, cache=False).fit_transform(
        TEXTS, LABELS
    )
    names = [label.replace("_", " ") for label in LABELS]
    link = np.exp if target == "prob" else np.asarray
    assert_scores(
        matrix,
        [
            direct_lime(
                text,
                lambda variants, name=name: link(
                    llm.log_likelihood(variants, [name] * len(variants))
                ),
                content_seed(3, text, name) % 2**32,
            )
            for text, name in zip(TEXTS, names, strict=True)
        ],
    )


def test_equals_lime_on_a_classifier():
    classifier = make_classifier().fit(TEXTS, LABELS)
    prior = LimePriorTransformer(
        estimator=classifier, num_samples=40, kernel_width=50, cache=False
    ).fit(TEXTS, LABELS)
    columns = classifier.classes_.tolist()
    assert_scores(
        prior.attribute(TEXTS, LABELS),
        [
            direct_lime(
                text,
                lambda v, label=label: classifier.predict_proba(v)[:, columns.index(label)],
                content_seed(0, text, label) % 2**32,
                num_samples=40,
                kernel_width=50,
            )
            for text, label in zip(TEXTS, LABELS, strict=True)
        ],
    )
    assert prior.estimator_ is classifier


def test_unfitted_classifier_is_cloned_and_fitted():
    classifier = make_classifier()
    prior = LimePriorTransformer(estimator=classifier, cache=False)
    matrix = prior.fit_transform(TEXTS, LABELS)
    with pytest.raises(NotFittedError):
        check_is_fitted(classifier)
    fitted = make_classifier().fit(TEXTS, LABELS)
    assert_scores(
        matrix, [r.scores for r in prior.set_params(estimator=fitted).fit_transform(TEXTS, LABELS)]
    )


def test_clone_keeps_a_frozen_classifier():
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator
    fitted = make_classifier().fit([*TEXTS, "stop"], [*LABELS, "stop"])  # knows one class more
    prior = clone(LimePriorTransformer(estimator=frozen(fitted), cache=False)).fit(TEXTS, LABELS)
    assert prior.estimator_.classes_.tolist() == fitted.classes_.tolist()
    assert "stop" not in prior.classes_
    assert_scores(
        prior.attribute(TEXTS[:1], LABELS[:1]),
        [
            direct_lime(
                TEXTS[0],
                lambda v: fitted.predict_proba(v)[:, fitted.classes_.tolist().index(LABELS[0])],
                content_seed(0, TEXTS[0], LABELS[0]) % 2**32,
            )
        ],
    )


def test_classifier_of_numbers_is_asked_by_class_without_warning():
    y = np.array([10, 2, 10, 2, 2])
    classifier = make_classifier().fit(TEXTS, y)
    prior = LimePriorTransformer(estimator=classifier, cache=False)
    assert prior.fit_transform(TEXTS, y).has_scores
    model = prior._model()
    np.testing.assert_allclose(
        np.exp(model.log_likelihood(TEXTS, ["10"] * 5)), classifier.predict_proba(TEXTS)[:, 1]
    )


def test_positions_kept_for_repeated_words():
    llm = FakeLLM({"card": {"lost card": 2.0}})
    scores = (
        LimePriorTransformer(llm, cache=False)
        .fit_transform(["my card is card", "x"], ["lost_card", "other"])
        .scores[0]
    )
    assert len(scores) == 4
    assert min(scores[1], scores[3]) > 0.3 > max(abs(scores[0]), abs(scores[2]))


def test_strange_words_keep_their_positions():
    words = ["\0", "{text}", "card\0", "UNKWORDZ", "0", "l'été"]
    llm = FakeLLM({"l'été": {"a": 4.0}})
    scores = (
        LimePriorTransformer(llm, cache=False)
        .fit_transform(["\x1c" + "\x85".join(words), "x"], ["a", "b"])
        .scores[0]
    )
    assert len(scores) == 6
    assert scores.argmax() == 5


def test_text_without_words_has_no_scores():
    with pytest.warns(UserWarning, match="1 of 2 texts have no words"):
        matrix = LimePriorTransformer(FakeLLM(), cache=False).fit_transform(
            [" ", "a b"], ["a", "b"]
        )
    assert matrix.n_words.tolist() == [0, 2]


def test_scores_do_not_depend_on_neighbours_or_global_seed():
    prior = LimePriorTransformer(FakeLLM(), cache=False).fit(TEXTS, LABELS)
    whole = prior.attribute(TEXTS, LABELS)
    np.random.seed(7)  # noqa: NPY002
    part = prior.attribute(TEXTS[3:0:-1], LABELS[3:0:-1])
    assert_scores(part, [r.scores for r in whole[3:0:-1]])
    other = prior.set_params(random_state=1).fit(TEXTS, LABELS).attribute(TEXTS, LABELS)
    assert not np.allclose(other.scores[0], whole.scores[0])


def test_cache_is_hit_by_the_same_request_only(tmp_path):
    log = tmp_path / "log"
    prior = LimePriorTransformer(FakeLLM(log_path=log), num_samples=20, cache=tmp_path / "cache")
    first = prior.fit_transform(TEXTS, LABELS)
    asked = log.read_text().splitlines()
    assert clone(prior).fit_transform(TEXTS, LABELS) == first
    assert log.read_text().splitlines() == asked
    for change in [
        {"num_samples": 21}, {"kernel_width": 10}, {"target": "prob"}, {"random_state": 1},
        {"instruction": "Say it."},
    ]:  # fmt: skip
        before = len(log.read_text().splitlines())
        clone(prior).set_params(**change).fit_transform(TEXTS, LABELS)
        assert len(log.read_text().splitlines()) > before, change


def test_equal_variants_of_a_text_are_asked_for_once(tmp_path):
    log = tmp_path / "log"
    prior = LimePriorTransformer(FakeLLM(log_path=log), cache=False).fit(TEXTS, LABELS)
    prior.attribute(["play jazz now"], ["play_music"])
    bodies = [json.loads(line)["body"] for line in log.read_text().splitlines()]
    assert sorted(bodies) == sorted(
        ["", "jazz", "jazz now", "now", "play", "play jazz", "play jazz now", "play now"]
    )


def test_cache_tells_classifiers_apart(tmp_path):
    matrices = [
        LimePriorTransformer(
            estimator=make_classifier().set_params(logisticregression__C=C), cache=tmp_path
        ).fit_transform(TEXTS, LABELS)
        for C in (0.1, 10)
    ]
    assert not np.allclose(matrices[0].scores[0], matrices[1].scores[0])


def test_cache_tells_versions_of_your_own_code_apart(tmp_path, monkeypatch):
    import importlib
    import sys

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    code = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

class Lexicon(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = np.array([0.9 if "jazz" in text else 0.2 for text in X])
        return np.c_[1 - p, p]
"""
    found = []
    for word in ("jazz", "play", "jazz"):
        (tmp_path / "lexicon_of_a_test.py").write_text(code.replace("jazz", word))
        sys.modules.pop("lexicon_of_a_test", None)
        importlib.invalidate_caches()
        lexicon = importlib.import_module("lexicon_of_a_test").Lexicon()
        prior = LimePriorTransformer(estimator=lexicon, cache=tmp_path / "cache")
        matrix = prior.fit_transform(["play some jazz", "stop it"], ["b", "a"])
        found.append(int(matrix.scores[0].argmax()))
    sys.modules.pop("lexicon_of_a_test", None)
    assert found == [2, 0, 2]


class Wrapper:
    """A model that is trained elsewhere."""

    classes_ = np.array(["a", "b"])

    def predict_proba(self, X):
        p = np.array([0.9 if "jazz" in text else 0.2 for text in X])
        return np.c_[1 - p, p]


def test_a_wrapper_without_fit_is_used_as_it_is():
    prior = LimePriorTransformer(estimator=Wrapper(), cache=False)
    assert prior.fit_transform(["play some jazz"], ["b"])[0].scores.argmax() == 2


def test_transform_asks_no_model():
    prior = LimePriorTransformer(FakeLLM(context_length=1), cache=False).fit(TEXTS, LABELS)
    assert not prior.transform(TEXTS).has_scores
    with pytest.raises(PromptTooLongError):
        prior.attribute(TEXTS, LABELS)


def test_labels_are_not_in_the_prompt_unless_asked_for():
    prior = LimePriorTransformer(FakeLLM(), cache=False).fit(TEXTS, LABELS)
    assert "cancel alarm" not in prior.prompt_.prefix + prior.prompt_.suffix
    prior.set_params(template="{labels}: {text} =").fit(TEXTS, LABELS)
    assert "cancel alarm" in prior.prompt_.prefix


def test_provenance_names_package_and_target():
    matrix = LimePriorTransformer(FakeLLM(), cache=False).fit_transform(TEXTS, LABELS)
    assert matrix.provenance["package"].startswith("lime ")
    assert matrix.provenance["target"] == "log_prob"
    prior = LimePriorTransformer(estimator=make_classifier(), cache=False)
    provenance = prior.fit_transform(TEXTS, LABELS).provenance
    assert provenance["target"] == "prob"
    assert provenance["llm"].startswith("estimator:")


def test_probability_zero_has_no_logarithm():
    sure = Sure()
    sure.classes_ = np.unique(LABELS)
    prior = LimePriorTransformer(estimator=sure, target="log_prob", cache=False)
    with pytest.raises(ValueError, match="target='prob'"):
        prior.fit(TEXTS, LABELS).attribute(TEXTS, LABELS)
    assert_scores(
        prior.set_params(target="prob").fit_transform(TEXTS[:2], LABELS[:2]), [[0] * 7, [0] * 5]
    )


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"num_samples": 1}, ValueError, "'num_samples' parameter"),
        ({"num_samples": 20.0}, ValueError, "num_samples"),
        ({"kernel_width": 0}, ValueError, "'kernel_width' parameter"),
        ({"kernel_width": 1e-200}, ValueError, "'kernel_width' parameter"),
        ({"kernel_width": 1e200}, ValueError, "'kernel_width' parameter"),
        (
            {"estimator": Sure},
            TypeError,
            r"estimator .* class Sure. Pass an instance, as in Sure\(\)",
        ),
        ({"target": "logit"}, ValueError, "'target' parameter"),
        ({"estimator": LinearSVC()}, TypeError, "predict_proba"),
        ({"template": "no text"}, ValueError, "template must hold"),
    ],
)
def test_parameters_are_checked(parameters, error, match):
    with pytest.raises(error, match=match):
        LimePriorTransformer(FakeLLM(), cache=False).set_params(**parameters).fit(TEXTS, LABELS)


def test_classifier_must_know_the_labels():
    classifier = make_classifier().fit(TEXTS, ["1", "2", "1", "2", "1"])
    prior = LimePriorTransformer(estimator=classifier, cache=False)
    with pytest.raises(ValueError, match="does not know 2 of the 2 labels in y, such as 1"):
        prior.fit(TEXTS, [1, 2, 1, 2, 1])


def test_estimator_llm_ignores_the_prompt_and_follows_the_fit():
    classifier = make_classifier().fit(TEXTS, LABELS)
    llm = EstimatorLLM(classifier, {"x": 2, "y": 0})
    expected = np.log(classifier.predict_proba(TEXTS[:2])[[0, 1], [2, 0]])
    given = llm.log_likelihood(TEXTS[:2], ["x", "y"], prefix="cancel ", suffix=" wake")
    np.testing.assert_allclose(given, expected)
    before = llm.fingerprint()
    assert llm.fingerprint() == before
    assert EstimatorLLM(classifier, {"y": np.int64(0), "x": 2}).fingerprint() == before
    assert EstimatorLLM(classifier, {"x": 0, "y": 2}).fingerprint() != before
    classifier.fit(TEXTS, LABELS[::-1])
    assert llm.fingerprint() != before


def test_estimator_that_cannot_be_hashed_is_explained_without_a_cache(tmp_path):
    vectorizer = TfidfVectorizer(tokenizer=lambda text: text.split(), token_pattern=None)
    estimator = make_pipeline(vectorizer, LogisticRegression())
    with pytest.raises(ValueError, match="estimator cannot be identified"):
        LimePriorTransformer(estimator=estimator, cache=tmp_path).fit_transform(TEXTS, LABELS)
    prior = LimePriorTransformer(estimator=estimator, cache=False).fit_transform(TEXTS, LABELS)
    assert prior.provenance["llm"] == "estimator:Pipeline, which does not pickle"
    assert all(np.isfinite(row).all() for row in prior.scores)


def test_what_is_explained_stays_what_it_was_in_fit():
    llm, classifier = FakeLLM(), make_classifier().fit(TEXTS, LABELS)
    prior = LimePriorTransformer(llm, estimator=classifier, cache=False).fit(TEXTS, LABELS)
    before = prior.attribute(TEXTS, LABELS)
    assert prior.set_params(estimator=None).attribute(TEXTS, LABELS) == before
    prior = LimePriorTransformer(llm, cache=False).fit(TEXTS, LABELS)
    before = prior.attribute(TEXTS, LABELS)
    assert prior.set_params(estimator=classifier).attribute(TEXTS, LABELS) == before


class Elsewhere:
    """A model that is trained elsewhere, with classes and probabilities of any kind."""

    def __init__(self, classes=None, give=lambda p: p):
        self.model, self.give = make_classifier().fit(TEXTS, LABELS), give
        if classes is not None:
            self.classes_ = classes

    def predict_proba(self, X):
        return self.give(self.model.predict_proba(X))


def test_a_wrapper_needs_classes_in_any_container():
    known = np.unique(LABELS).tolist()
    prior = LimePriorTransformer(estimator=Elsewhere(known), cache=False)
    assert prior.fit_transform(TEXTS, LABELS).has_scores
    with pytest.raises(ValueError, match="estimator is Elsewhere, which has no classes_"):
        LimePriorTransformer(estimator=Elsewhere(), cache=False).fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("give", "problem"),
    [
        (lambda p: np.concatenate([p, p]), r"one row per text .* gave the shape \(\d+, 4\)"),
        (lambda p: p[:, 0], "one row per text"),
        (lambda p: p[:1], "one row per text"),
        (lambda p: p * np.nan, "NaN or negative"),
        (lambda p: -p, "NaN or negative"),
    ],
)
def test_what_an_estimator_gives_must_be_probabilities(give, problem):
    estimator = Elsewhere(np.unique(LABELS), give)
    with pytest.raises(ValueError, match=rf"Elsewhere\.predict_proba must give .*{problem}"):
        LimePriorTransformer(estimator=estimator, cache=False).fit_transform(TEXTS, LABELS)


def test_columns_of_an_estimator_are_those_of_its_classes():
    names = np.unique(LABELS).tolist()
    for classes, give, message in [
        (names, lambda p: np.hstack([p, p[:, :1]]), "each of its 4 classes_, but gave 5"),
        ([*names, names[0]], lambda p: np.hstack([p, p[:, :1]]), "classes_ must differ"),
        (names, lambda p: 1.5 * p / p.max(), "above 1"),
    ]:
        prior = LimePriorTransformer(estimator=Elsewhere(classes, give), cache=False)
        with pytest.raises(ValueError, match=message) as caught:
            prior.fit_transform(TEXTS, LABELS)
        assert "estimator" in str(caught.value)


def test_a_kernel_that_sees_the_whole_text_alone_is_told():
    prior = LimePriorTransformer(FakeLLM(), kernel_width=0.5, num_samples=8, cache=False)
    texts, labels = ["a b c", " ".join("abcdefghijklmno"), "a"], ["x", "y", "y"]
    with pytest.warns(UserWarning, match=r"kernel_width=0\.5 is so small that of 1 of the 3 texts"):
        matrix = prior.fit_transform(texts, labels)
    assert not matrix.scores[0].any()
    assert matrix.scores[1].any()
    with pytest.raises(ValueError, match=r"kernel_width=0\.5 is so small that of 1 of the 2 texts"):
        prior.attribute(texts[::2], labels[::2])


@pytest.mark.parametrize("n_words", [1, 3, 10])
def test_the_largest_weight_is_limes_own(n_words):
    from sklearn.metrics import pairwise_distances

    prior = LimePriorTransformer(FakeLLM(), kernel_width=9.0)
    masks = np.ones((2, n_words))
    masks[1, 0] = 0
    distance = pairwise_distances(masks, masks[:1], metric="cosine")[1, 0] * 100
    weight = np.sqrt(np.exp(-(distance**2) / 9.0**2))
    np.testing.assert_allclose(prior._largest_weight(np.array([n_words])), [weight])
