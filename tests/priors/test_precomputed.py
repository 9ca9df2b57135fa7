import pickle
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcap.prior_matrix import PriorMatrix
from skcap.priors.precomputed import PrecomputedPrior

X = ["cancel the alarm", "", "play jazz", "stop"]
Y = ["alarm", "alarm", "music", "alarm"]
SCORES = [[3.0, 0.0, 4.0], [], [-1.0, float("nan")], [2.0]]
MATRIX = PriorMatrix(X, SCORES, provenance={"source": "by hand"})


def mapping():
    return dict(zip(X, SCORES, strict=True))


def as_path(folder):
    MATRIX.save(folder / "prior.npz")
    return folder / "prior.npz"


FORMS = {
    "matrix": lambda folder: MATRIX,
    "path": as_path,
    "string": lambda folder: str(as_path(folder)),
    "mapping": lambda folder: mapping(),
    "callable": lambda folder: mapping().get,
    "list": lambda folder: SCORES,
    "arrays": lambda folder: [np.array(row) for row in SCORES],
    "object array": lambda folder: np.array([*SCORES], dtype=object),
}


@pytest.mark.parametrize("form", FORMS)
def test_gives_back_what_it_was_given(form, tmp_path):
    prior = PrecomputedPrior(FORMS[form](tmp_path))
    matrix = prior.fit_transform(X, Y)
    np.testing.assert_array_equal(matrix.to_dense(), MATRIX.to_dense())
    assert matrix.provenance["source"] == "precomputed"
    assert prior.attribute(["stop", X[0]], ["alarm", "alarm"]).to_dense()[:, 0].tolist() == [2, 3]


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"list", "arrays", "object array"}))
def test_follows_a_selection_of_texts(form, tmp_path):
    matrix = PrecomputedPrior(FORMS[form](tmp_path)).fit_transform([X[2], X[0]], ["m", "a"])
    np.testing.assert_array_equal(matrix.to_dense(), MATRIX[[2, 0]].to_dense())


def test_provenance_holds_that_of_the_matrix():
    provenance = PrecomputedPrior(MATRIX).fit_transform(X, Y).provenance
    assert provenance["origin"] == {"source": "by hand"}
    assert provenance["scores"] == "PriorMatrix"


def test_transform_has_no_scores():
    assert not PrecomputedPrior(MATRIX).fit(X, Y).transform(["any text"]).has_scores


def test_cross_validation_splits_it():
    texts, labels = [f"{word} {n}" for n in range(6) for word in ("jazz", "alarm")], [0, 1] * 6
    prior = PrecomputedPrior({text: [1.0, 0.0] for text in texts})
    model = make_pipeline(
        prior,
        FunctionTransformer(lambda matrix: list(matrix.texts)),
        CountVectorizer(),
        LogisticRegression(),
    )
    assert cross_val_score(model, texts, labels, cv=2, error_score="raise").tolist() == [1, 1]


def test_a_list_cannot_be_split():
    with pytest.raises(ValueError, match="is a list for 4 texts, but fit got 2"):
        PrecomputedPrior(SCORES).fit(X[:2], Y[:2])


@pytest.mark.parametrize("form", ["mapping", "callable", "list"])
def test_words_that_do_not_fit_show_the_text(form, tmp_path):
    texts = [*X[:2], "play some jazz", X[3]]
    scores = {**mapping(), "play some jazz": SCORES[2]}
    given = {"mapping": scores, "callable": scores.get, "list": SCORES}[form]
    with pytest.raises(ValueError, match=r"'play some jazz', must hold one score per word: got 2"):
        PrecomputedPrior(given).fit_transform(texts, Y)


@pytest.mark.parametrize("form", ["matrix", "mapping", "callable"])
def test_missing_texts(form, tmp_path):
    scores = FORMS[form](tmp_path)
    message = "no scores for 1 of 2 texts, such as row 1: 'play blues'"
    with pytest.raises(ValueError, match=message):
        PrecomputedPrior(scores).fit_transform(["play jazz", "play blues"], Y[:2])
    matrix = PrecomputedPrior(scores, missing="nan").fit_transform(["stop", "play blues"], Y[:2])
    assert matrix.scores[0].tolist() == [2.0]
    assert np.isnan(matrix.scores[1]).tolist() == [True, True]


def test_same_text_with_different_scores():
    twice = PriorMatrix(["stop", "stop"], [[1.0], [2.0]])
    with pytest.raises(ValueError, match="the text 'stop' twice, with different scores"):
        PrecomputedPrior(twice).fit(["stop"], ["alarm"])
    with pytest.raises(ValueError, match="the text 'stop' twice, with different scores"):
        PrecomputedPrior([[1.0], [2.0]]).fit(["stop", "stop"], ["alarm", "music"])


def test_same_text_with_equal_scores():
    twice = PriorMatrix(["go on", "go on"], [[1.0, float("nan")]] * 2)
    matrix = PrecomputedPrior(twice).fit_transform(["go on"], ["alarm"])
    np.testing.assert_array_equal(matrix.to_dense(), twice[:1].to_dense())


def test_mistakes(tmp_path):
    with pytest.raises(TypeError, match=r"'scores' parameter of .* Got 3 instead"):
        PrecomputedPrior(3).fit(X, Y)
    with pytest.raises(ValueError, match=r"'missing' parameter .* Got 'drop' instead"):
        PrecomputedPrior(MATRIX, missing="drop").fit(X, Y)
    with pytest.raises(FileNotFoundError):
        PrecomputedPrior(tmp_path / "none.npz").fit(X, Y)
    with pytest.raises(ValueError, match="needs y"):
        PrecomputedPrior(MATRIX).fit_transform(X)


@pytest.mark.parametrize("form", ["matrix", "mapping", "list", "object array"])
def test_clones_and_pickles(form, tmp_path):
    prior = clone(PrecomputedPrior(FORMS[form](tmp_path))).fit(X, Y)
    again = pickle.loads(pickle.dumps(prior))
    assert again.attribute(X, Y) == prior.attribute(X, Y)


# -- lexicons -------------------------------------------------------------------------------------

NAN = float("nan")
TEXTS = ["Cancel the ALARM, please!", "the alarm's off", "play jazz"]
CLASSES = ["alarm", "alarm", "music"]
LEXICON = {"alarm": 1.0, "Jazz": 2.0, "the": 0.0}


def lexicon_scores(lexicon, y=CLASSES, **parameters):
    matrix = PrecomputedPrior(lexicon, by="word", **parameters).fit_transform(TEXTS, y)
    return [row.tolist() for row in matrix.scores]


def test_a_lexicon_scores_words_whatever_their_case_and_punctuation():
    expected = [[NAN, 0.0, 1.0, NAN], [0.0, 1.0, NAN], [NAN, 2.0]]
    np.testing.assert_equal(lexicon_scores(LEXICON), expected)


def test_default_is_the_score_of_other_words():
    expected = [[-1.0, 0.0, 1.0, -1.0], [0.0, 1.0, -1.0], [-1.0, 2.0]]
    assert lexicon_scores(LEXICON, default=-1) == expected


def test_each_class_has_its_own_lexicon():
    lexicons = {"alarm": {"alarm": 1.0, "off": -1.0}, "music": {"jazz": 3.0, "alarm": 9.0}}
    expected = [[0, 0, 1, 0], [0, 1, -1], [0, 3]]
    assert lexicon_scores(lexicons, default=0) == expected
    swapped = lexicon_scores(lexicons, y=["music", "alarm", "alarm"], default=0)
    assert swapped == [[0, 0, 9, 0], [0, 1, -1], [0, 0]]


def test_a_class_without_a_lexicon_is_an_error_or_has_no_supervision():
    with pytest.raises(ValueError, match="no lexicon for 1 of the 2 classes, such as 'music'"):
        lexicon_scores({"alarm": LEXICON})
    scores = lexicon_scores({"alarm": LEXICON}, missing="nan", default=0)
    np.testing.assert_equal(scores[2], [NAN, NAN])
    assert scores[1] == [0, 1, 0]


def test_integer_labels_have_lexicons_by_integer():
    assert lexicon_scores({0: {"off": 1}, 1: {"jazz": 2}}, y=[0, 0, 1], default=0) == [
        [0, 0, 0, 0], [0, 0, 1], [0, 2],
    ]  # fmt: skip


def test_a_lexicon_follows_any_text_and_pickles():
    prior = PrecomputedPrior(LEXICON, by="word", default=0).fit(TEXTS, CLASSES)
    again = pickle.loads(pickle.dumps(prior))
    assert again.attribute(["new alarm", ""], ["music", "alarm"]).scores[0].tolist() == [0, 1]
    assert prior.attribute(TEXTS, CLASSES).provenance["by"] == "word"


@pytest.mark.parametrize(
    ("lexicon", "message"),
    [
        ({}, "must not be empty"),
        (["alarm"], "must be a mapping of word to weight"),
        ({"alarm": 1.0, "music": {"jazz": 1.0}}, "holds both"),
        ({"alarm": "high"}, r"scores\['alarm'\] must be a finite number or NaN, got 'high'"),
        ({"alarm": float("inf")}, r"scores\['alarm'\] must be a finite number or NaN, got inf"),
        ({"a": {"x": None}, "alarm": {}}, r"got None|no lexicon"),
        ({"top up": 1.0}, "single words as keys, got 'top up'"),
        ({"!": 1.0}, "single words as keys, got '!'"),
        ({3: 1.0}, "single words as keys, got 3"),
        ({"Card": 1.0, "card's": 2.0}, "gives the word 'card' two weights, 1 and 2"),
        ({"Card": NAN, "card's": 2.0}, "gives the word 'card' two weights, nan and 2"),
    ],
)
def test_lexicons_that_cannot_work_are_refused(lexicon, message):
    with pytest.raises(ValueError, match=message):
        lexicon_scores(lexicon)


def test_equal_weights_of_one_word_are_no_conflict():
    assert lexicon_scores({"Card": NAN, "card": NAN, "alarm": 1, "Alarm!": 1}, default=0)[1][1] == 1


def test_a_lexicon_taken_for_texts_is_told_how_to_pass_it():
    with pytest.raises(ValueError, match="If its keys are words, pass by='word'"):
        PrecomputedPrior(LEXICON).fit_transform(TEXTS, CLASSES)


def test_a_series_goes_by_its_index():
    scores = pd.Series(dict(reversed(list(mapping().items()))))
    for given in (scores, pd.Series(SCORES)):
        found = PrecomputedPrior(given).fit_transform(X, Y)
        np.testing.assert_array_equal(found.to_dense(), MATRIX.to_dense())
    twice = pd.Series([SCORES[0], SCORES[0]], index=[X[0], X[0]])
    with pytest.raises(ValueError, match="scores is a Series whose index has 'cancel the alarm'"):
        PrecomputedPrior(twice).fit(X, Y)


def test_a_lexicon_may_be_a_series():
    scores = PrecomputedPrior(pd.Series({"alarm": 2.0}), by="word").fit_transform(X, Y)
    assert scores[0].scores[2] == 2


def test_what_scores_are_looked_up_by_stays_what_it_was_in_fit():
    prior = PrecomputedPrior(mapping()).fit(X, Y).set_params(by="word", scores={"alarm": 1.0})
    np.testing.assert_array_equal(prior.attribute(X, Y).to_dense(), MATRIX.to_dense())
    prior = PrecomputedPrior({"alarm": 1.0}, by="word").fit(X, Y)
    before = prior.attribute(X, Y)
    assert prior.set_params(by="text").attribute(X, Y) == before


def test_lexicons_by_members_of_an_enumeration():
    kind = Enum("kind", {"ALARM": "alarm", "MUSIC": "music"})
    lexicons = {kind.ALARM: {"alarm": 1.0}, kind.MUSIC: {"jazz": 1.0}}
    named = {"alarm": {"alarm": 1.0}, "music": {"jazz": 1.0}}
    members = [kind(label) for label in Y]
    scores = PrecomputedPrior(lexicons, by="word").fit_transform(X, members)
    assert scores == PrecomputedPrior(named, by="word").fit_transform(X, Y)
