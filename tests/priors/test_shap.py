"""SHAP priors, against shap itself."""

import json
import sys
import warnings
from itertools import permutations

import joblib
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcap.llm import FakeLLM
from skcap.priors.shap import ShapPriorTransformer
from skcap.utils.seeds import content_seed

TEXTS = [
    "cancel the alarm, please cancel it right now",  # 8 words: above the default of max_evals
    "  book a   table\tfor two ",
    "play jazz",
    "alarm",
]
LABELS = np.array(["cancel_alarm", "book", "play_music", "set_alarm"])


@pytest.fixture(scope="module")
def explainers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("shap").explainers


def make_classifier():
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))


def direct_shap(explainers, text, model, seed, max_evals=128):
    """Scores by shap alone, with the words as features and texts as the model's input."""
    words = np.array([text.split()], dtype=object)

    def masker(mask, row):
        return np.array([" ".join(row[mask])], dtype=object)

    if 2**words.size <= max_evals:
        explainer = explainers.ExactExplainer(model, masker)
    else:
        explainer = explainers.PermutationExplainer(model, masker, seed=seed)
    return explainer(words, max_evals=max(max_evals, 2 * words.size + 1), silent=True).values[0]


def assert_scores(matrix, expected):
    assert len(matrix) == len(expected)
    for record, scores in zip(matrix, expected, strict=True):
        np.testing.assert_allclose(record.scores, scores, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("target", ["prob", "log_prob", "auto"])
def test_equals_shap_on_a_language_model(explainers, target):
    llm = FakeLLM()
    matrix = ShapPriorTransformer(llm, target=target, random_state=3, cache=False).fit_transform(
        TEXTS, LABELS
    )
    names = [label.replace("_", " ") for label in LABELS]
    link = np.exp if target == "prob" else np.asarray
    assert_scores(
        matrix,
        [
            direct_shap(
                explainers,
                text,
                lambda v, name=name: link(llm.log_likelihood(list(v), [name] * len(v))),
                content_seed(3, text, name) % 2**32,
            )
            for text, name in zip(TEXTS, names, strict=True)
        ],
    )


def test_equals_shap_on_a_classifier(explainers):
    classifier = make_classifier().fit(TEXTS, LABELS)
    columns = classifier.classes_.tolist()
    matrix = ShapPriorTransformer(estimator=classifier, max_evals=20, cache=False).fit_transform(
        TEXTS, LABELS
    )
    assert_scores(
        matrix,
        [
            direct_shap(
                explainers,
                text,
                lambda v, label=label: classifier.predict_proba(v)[:, columns.index(label)],
                content_seed(0, text, label) % 2**32,
                max_evals=20,
            )
            for text, label in zip(TEXTS, LABELS, strict=True)
        ],
    )


@pytest.mark.usefixtures("explainers")
def test_short_texts_have_exact_shapley_values():
    llm = FakeLLM()
    text, name = "card my card lost", "a"
    words = text.split()
    expected = np.zeros(4)
    orders = list(permutations(range(4)))
    for order in orders:
        bodies = [" ".join(words[i] for i in sorted(order[:n])) for n in range(5)]
        expected[list(order)] += np.diff(llm.log_likelihood(bodies, [name] * 5)) / len(orders)
    matrix = ShapPriorTransformer(llm, cache=False).fit_transform([text, "x"], ["a", "b"])
    assert_scores(matrix[:1], [expected])


@pytest.mark.usefixtures("explainers")
@pytest.mark.parametrize("max_evals", [1, 40, 256])
def test_scores_add_up_to_whole_text_against_none(max_evals):
    llm = FakeLLM()
    matrix = ShapPriorTransformer(llm, max_evals=max_evals, cache=False).fit_transform(
        TEXTS, LABELS
    )
    for record, label in zip(matrix, LABELS, strict=True):
        whole, empty = llm.log_likelihood([record.text, ""], [label.replace("_", " ")] * 2)
        np.testing.assert_allclose(record.scores.sum(), whole - empty, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("explainers")
def test_number_of_variants_asked_for(tmp_path):
    def n_asked(text, max_evals):
        log = tmp_path / f"{len(text)}-{max_evals}"
        llm = FakeLLM(log_path=log)
        ShapPriorTransformer(llm, max_evals=max_evals, cache=False).fit(TEXTS, LABELS).attribute(
            [text], ["book"]
        )
        bodies = [json.loads(line)["body"] for line in log.read_text().splitlines()]
        assert len(set(bodies)) == len(bodies)
        return len(bodies)

    assert n_asked("a b c d e f g", 128) == 128  # exact
    nine = "a b c d e f g h i"
    assert n_asked(nine, 1) == 2 * 9  # one permutation; the whole text comes once, as does none
    assert 2 * 9 < n_asked(nine, 2 * 19) <= 2 + 2 * 16
    long = " ".join(f"w{i}" for i in range(70))
    assert n_asked(long, 128) == 140


@pytest.mark.usefixtures("explainers")
def test_scores_do_not_depend_on_neighbours_and_leave_numpy_alone():
    prior = ShapPriorTransformer(FakeLLM(), max_evals=20, cache=False).fit(TEXTS, LABELS)
    whole = prior.attribute(TEXTS, LABELS)
    np.random.seed(7)  # noqa: NPY002
    part = prior.attribute(TEXTS[1::-1], LABELS[1::-1])
    drawn = np.random.random()  # noqa: NPY002
    assert_scores(part, [r.scores for r in whole[1::-1]])
    np.random.seed(7)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002
    other = prior.set_params(random_state=1).fit(TEXTS, LABELS).attribute(TEXTS, LABELS)
    assert not np.allclose(other.scores[0], whole.scores[0])


@pytest.mark.usefixtures("explainers")
def test_threads_give_the_same():
    texts = [f"{text} {i} and so on, and on" for i in range(10) for text in TEXTS]
    labels = np.tile(LABELS, 10)
    prior = ShapPriorTransformer(FakeLLM(), max_evals=60, cache=False).fit(texts, labels)
    alone = prior.attribute(texts, labels)
    with joblib.parallel_config("threading"):
        assert prior.set_params(n_jobs=4).attribute(texts, labels) == alone


@pytest.mark.usefixtures("explainers")
def test_cache_is_hit_by_the_same_request_only(tmp_path):
    log = tmp_path / "log"
    prior = ShapPriorTransformer(FakeLLM(log_path=log), cache=tmp_path / "cache")
    first = prior.fit_transform(TEXTS, LABELS)
    asked = log.read_text()
    assert prior.fit_transform(TEXTS, LABELS) == first
    assert log.read_text() == asked
    prior.set_params(max_evals=20).fit_transform(TEXTS, LABELS)
    assert len(log.read_text()) > len(asked)


@pytest.mark.usefixtures("explainers")
def test_text_without_words_has_no_scores():
    with pytest.warns(UserWarning, match="1 of 2 texts have no words"):
        matrix = ShapPriorTransformer(FakeLLM(), cache=False).fit_transform([" ", "a"], ["a", "b"])
    assert matrix.n_words.tolist() == [0, 1]


def test_missing_shap_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ImportError, match=r"pip install 'skcap\[shap\]'"):
        ShapPriorTransformer(FakeLLM(), cache=False).fit(TEXTS, LABELS)


@pytest.mark.usefixtures("explainers")
@pytest.mark.parametrize("max_evals", [0, 20.0])
def test_max_evals_is_checked(max_evals):
    with pytest.raises(ValueError, match="'max_evals' parameter"):
        ShapPriorTransformer(FakeLLM(), max_evals=max_evals, cache=False).fit(TEXTS, LABELS)
