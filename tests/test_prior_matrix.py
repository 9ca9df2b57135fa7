import copy
import io
import os
import pickle
import re
import stat
import sys
import zipfile
from collections import Counter

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline

from skcap.prior_matrix import PriorMatrix, PriorRecord, check_same_texts
from skcap.utils import norms

NAN = float("nan")
TEXTS = ["lost my card", "", "play the the jazz", "stop", " שלום 👋🏽\n<b> {x} "]
SCORES = [[0.5, -1.0, NAN], [], [0.0, 1.0, 2.0, -4.0], [3.0], [NAN, 1e-30, 7.0, 0.25]]
PROVENANCE = {"source": "cap", "params": {"alpha": 1.0, "names": ["a", None], "on": True}}


@pytest.fixture
def prior():
    return PriorMatrix(TEXTS, SCORES, provenance=PROVENANCE)


def random_prior(n, seed=0):
    rng = np.random.default_rng(seed)
    texts = [f"text {row} " + "word " * rng.integers(0, 6) for row in range(n)]
    return PriorMatrix(texts, [rng.normal(size=len(text.split())) for text in texts])


# -- construction ----------------------------------------------------------------------------------


def test_holds_what_it_was_given(prior):
    assert prior.texts.tolist() == TEXTS
    assert prior.texts.dtype == object
    assert prior.words[2] == ["play", "the", "the", "jazz"]
    assert prior.n_words.tolist() == [3, 0, 4, 1, 4]
    assert prior.n_words.dtype == np.int64
    assert [row.dtype for row in prior.scores] == [np.float32] * 5
    for got, given_ in zip(prior.scores, SCORES, strict=True):
        np.testing.assert_array_equal(got, np.array(given_, dtype=np.float32))
    assert (prior.shape, prior.ndim, len(prior)) == ((5,), 1, 5)
    assert prior.provenance == PROVENANCE


@pytest.mark.parametrize(
    "texts",
    [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=range(9, 4, -1)),
    ],
)
def test_any_collection_of_texts(texts, prior):
    built = PriorMatrix(texts, SCORES, provenance=PROVENANCE)
    assert built == prior
    assert {type(text) for text in built.texts} == {str}


@pytest.mark.parametrize(
    "rows",
    [
        [np.array([1, 2]), np.array([3.5], dtype=np.float16)],
        [(1, 2), [3.5]],
        [range(1, 3), pd.Series([3.5])],
        (row for row in [[1.0, 2.0], [3.5]]),
    ],
)
def test_any_rows_of_numbers(rows):
    assert PriorMatrix(["a b", "c"], rows) == PriorMatrix(["a b", "c"], [[1.0, 2.0], [3.5]])


def test_without_scores():
    bare = PriorMatrix(TEXTS)
    assert not bare.has_scores
    assert [row.shape for row in bare.scores] == [(3,), (0,), (4,), (1,), (4,)]
    assert np.isnan(np.concatenate(bare.scores)).all()
    assert bare == PriorMatrix(TEXTS, [[NAN] * n for n in bare.n_words])
    assert bare.provenance == {}


def test_has_scores(prior):
    assert prior.has_scores
    assert not PriorMatrix(["a b"], [[NAN, NAN]]).has_scores
    assert not PriorMatrix([], []).has_scores


def test_texts_of_a_matrix_leave_the_scores_behind(prior):
    assert PriorMatrix(prior) == PriorMatrix(TEXTS)


def test_input_is_copied():
    row = np.array([1.0], dtype=np.float32)
    texts = np.array(["a"], dtype=object)
    built = PriorMatrix(texts, [row])
    row[0], texts[0] = 9.0, "b"
    assert built == PriorMatrix(["a"], [[1.0]])
    assert row.flags.writeable
    assert texts.flags.writeable


def test_is_read_only(prior):
    views = [prior.texts, prior.scores[0], prior[0].scores, prior[:2].texts, prior[[0]].scores[0]]
    views += [pickle.loads(pickle.dumps(prior)).scores[0], copy.deepcopy(prior).texts]
    views += [prior.normalize("l2").scores[0]]
    for view in views:
        with pytest.raises(ValueError, match="read-only"):
            view[0] = view[0]


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ([[1.0, 2.0]], ValueError, "got 1 rows for 2 texts"),
        ([[1.0, 2.0], [1.0], [1.0]], ValueError, "got 3 rows for 2 texts"),
        ([[1.0, 2.0], [1.0, 2.0]], ValueError, r"scores\[1\].*'stop'.*got 2 scores for 1 words"),
        ([[1.0], [1.0, 2.0]], ValueError, r"scores\[0\].*'play jazz'.*got 1 scores for 2 words"),
        ([[[1.0], [2.0]], [1.0]], ValueError, r"an array of shape \(2, 1\) for 2 words"),
        ([[1.0, 2.0], 1.0], ValueError, r"scores\[1\].*shape \(\)"),
        ([[1.0, 2.0], [np.inf]], ValueError, r"scores\[1\].*'stop'.*infinite"),
        ([[1.0, -np.inf], [1.0]], ValueError, r"scores\[0\].*'play jazz'.*infinite"),
        ([[1.0, 1e39], [1.0]], ValueError, r"scores\[0\].*infinite score \(in float32\)"),
        ([["1", "2"], [1.0]], TypeError, r"scores\[0\].*must hold numbers"),
        ([[1.0, None], [1.0]], TypeError, r"scores\[0\].*'play jazz'.*numbers, got None. Use NaN"),
        ([None, [1.0]], TypeError, r"scores\[0\].*'play jazz'.*per word, got None. Use NaN"),
        ([[1.0, "x"], [1.0]], TypeError, r"scores\[0\].*must hold numbers, got .*'x'"),
        ([[1j, 2j], [1.0]], TypeError, r"must hold numbers, got 1j"),
        ([object(), [1.0]], TypeError, r"must hold numbers, got <object"),
    ],
)
def test_bad_scores_are_refused(scores, error, message):
    with pytest.raises(error, match=message):
        PriorMatrix(["play jazz", "stop"], scores)


def test_infinite_score_is_found_past_empty_texts():
    with pytest.raises(ValueError, match=r"scores\[2\], for the text 'stop'"):
        PriorMatrix(["", "a", "stop", ""], [[], [1.0], [np.inf], []])


def test_bad_texts_are_refused():
    with pytest.raises(TypeError, match="texts is a single string"):
        PriorMatrix("play jazz")
    with pytest.raises(TypeError, match="row 1 is NoneType"):
        PriorMatrix(["play jazz", None])


@pytest.mark.parametrize(
    ("provenance", "message"),
    [
        (["cap"], "provenance must be a mapping or None, got list"),
        ({"a": {"b": [1, object()]}}, r"provenance\['a'\]\['b'\]\[1\] is object"),
        ({"a": {1: 2}}, r"provenance\['a'\] has the key 1"),
        ({"a": NAN}, r"provenance\['a'\] is nan"),
        ({"a": np.float32("inf")}, r"provenance\['a'\] is inf"),
        ({"a": np.arange(2)}, r"provenance\['a'\] is ndarray"),
        ({"a": {1, 2}}, r"provenance\['a'\] is set"),
    ],
)
def test_provenance_must_be_json(provenance, message):
    with pytest.raises(TypeError, match=message):
        PriorMatrix(["a"], provenance=provenance)


def test_provenance_becomes_plain():
    given_ = {"t": (1, 2), "n": np.int64(3), "f": np.float64(0.5), "s": np.str_("x"), "b": np.True_}
    plain = PriorMatrix(["a"], provenance=given_).provenance
    assert plain == {"t": [1, 2], "n": 3, "f": 0.5, "s": "x", "b": True}
    assert [type(value) for value in plain.values()] == [list, int, float, str, bool]


def test_provenance_cannot_be_changed_from_outside(prior):
    given_ = copy.deepcopy(PROVENANCE)
    built = PriorMatrix(TEXTS, SCORES, provenance=given_)
    given_["params"]["alpha"] = 2.0
    built.provenance["params"]["names"].append("b")
    assert built == prior


# -- indexing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [2, -3, np.int64(2), np.uint8(2), np.int32(-3), (2, ...)])
def test_int_gives_a_record(prior, key):
    record = prior[key]
    assert isinstance(record, PriorRecord)
    assert record.text == "play the the jazz"
    assert record.words == ["play", "the", "the", "jazz"]
    assert record.scores.tolist() == [0.0, 1.0, 2.0, -4.0]


MASK = np.array([True, False, True, False, True])


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        (slice(None), [0, 1, 2, 3, 4]),
        (slice(4, 0, -2), [4, 2]),
        (slice(1, 1), []),
        ([0, 2, 4], [0, 2, 4]),
        ([], []),
        (np.array([3, -1, 3]), [3, 4, 3]),
        (np.array([3], dtype=np.uint64), [3]),
        (np.array([], dtype=int), []),
        (range(1, 3), [1, 2]),
        (MASK, [0, 2, 4]),
        (MASK.tolist(), [0, 2, 4]),
        (pd.Series(MASK, index=list("edcba")), [0, 2, 4]),
        (pd.Series(MASK, dtype="boolean").to_numpy(dtype=bool), [0, 2, 4]),
        (pd.Index([4, 0]), [4, 0]),
        ((np.array([1, 0]), Ellipsis), [1, 0]),
        ((MASK, Ellipsis), [0, 2, 4]),
        ((slice(2), Ellipsis), [0, 1]),
    ],
    ids=str,
)
def test_rows_give_a_matrix(prior, key, rows):
    selected = prior[key]
    assert type(selected) is PriorMatrix
    assert selected == PriorMatrix(
        [TEXTS[row] for row in rows], [SCORES[row] for row in rows], provenance=PROVENANCE
    )
    assert selected.shape == (len(rows),)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (5, "row 5 is out of range for 5 texts"),
        (-6, "row -6 is out of range"),
        ([0, 5], "out of bounds"),
        ([-6], "out of bounds"),
        ([True, False], "a mask of 2 rows cannot select from 5"),
        (np.zeros(0, dtype=bool), "a mask of 0 rows"),
        (np.ones(6, dtype=bool), "a mask of 6 rows"),
        (True, "indexed by .*got bool"),
        (1.0, "got float"),
        (np.array([0.0, 1.0]), "got ndarray"),
        ("texts", "got str"),
        (None, "got NoneType"),
        (np.array([[0, 1]]), "got ndarray"),
        ((0, 1), None),
        ((..., 0), "got tuple"),
        ((True, False, True, False, True), "got tuple"),
        ((np.array([0, 1]), 0), "got tuple"),
        ((0, 1), "got tuple"),  # row 0, column 1: there are no columns
        ((0, ..., ...), "got tuple"),
    ],
    ids=str,
)
def test_bad_keys_are_refused(prior, key, message):
    with pytest.raises(IndexError, match=message):
        prior[key]


def test_iteration(prior):
    records = list(prior)
    assert [record.text for record in records] == TEXTS
    assert [record.words for record in records] == prior.words
    for record, row in zip(records, prior.scores, strict=True):
        np.testing.assert_array_equal(record.scores, row)


@given(st.data())
@settings(max_examples=50)
def test_selection_is_that_of_a_list(data):
    texts = data.draw(st.lists(st.text("ab ", max_size=9), max_size=8))
    scores = [[data.draw(st.floats(-9, 9)) for _ in text.split()] for text in texts]
    prior = PriorMatrix(texts, scores)
    row = st.integers(-len(texts), len(texts) - 1)
    rows = data.draw(st.lists(row, max_size=9)) if texts else []
    assert prior[rows] == PriorMatrix([texts[r] for r in rows], [scores[r] for r in rows])
    part = data.draw(st.slices(len(texts)))
    assert prior[part] == PriorMatrix(texts[part], scores[part])
    mask = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    if texts:
        assert prior[mask] == prior[np.flatnonzero(mask)]


# -- equality, pickle, hash ------------------------------------------------------------------------


def test_equality(prior):
    assert prior == PriorMatrix(TEXTS, SCORES, provenance=PROVENANCE)
    assert (prior != PriorMatrix(TEXTS, SCORES, provenance=PROVENANCE)) is False
    assert prior != PriorMatrix(TEXTS, SCORES)
    assert prior != PriorMatrix(TEXTS, provenance=PROVENANCE)
    assert prior != prior[::-1]
    assert prior != prior[:4]
    assert prior != TEXTS
    # the same flat scores and words, in other texts
    assert PriorMatrix(["a b", "c"], [[1, 2], [3]]) != PriorMatrix(["a", "b c"], [[1], [2, 3]])
    assert PriorMatrix(["a"], provenance={"x": 1}) != PriorMatrix(["a"], provenance={"x": True})


def test_has_no_hash(prior):
    with pytest.raises(TypeError, match="unhashable"):
        hash(prior)


def other_bits():
    """Equal to SCORES, from other bits of NaN and zero."""
    rows = [np.array(row, dtype=np.float32) for row in SCORES]
    rows[0][2:] = np.array([0xFFC00001], dtype=np.uint32).view(np.float32)
    rows[2][0] = -0.0
    return rows


@pytest.mark.parametrize(
    "same",
    [
        lambda p: PriorMatrix(np.array(TEXTS), other_bits(), provenance=PROVENANCE),
        lambda p: PriorMatrix(TEXTS, SCORES, provenance=dict(reversed(PROVENANCE.items()))),
        lambda p: p[:],
        lambda p: p[::-1][::-1],
        lambda p: p[[4, 3, 2, 1, 0, 0]][4::-1],
        lambda p: pickle.loads(pickle.dumps(p)),
        lambda p: pickle.loads(pickle.dumps(p[::-1]))[::-1],
        copy.deepcopy,
        lambda p: p.normalize(None),
    ],
)
def test_equal_matrices_have_equal_joblib_hash(prior, same):
    assert same(prior) == prior
    assert joblib.hash(same(prior)) == joblib.hash(prior)


def test_single_row_hash(prior):
    # one-element arrays may keep odd strides, which joblib hashes
    fresh = PriorMatrix([TEXTS[3]], [SCORES[3]], provenance=PROVENANCE)
    for one in (prior[[3]], prior[3:4], prior[3::5], prior[np.arange(5) == 3]):
        assert joblib.hash(one) == joblib.hash(fresh)


@pytest.mark.parametrize(
    "other",
    [
        PriorMatrix([*TEXTS[:4], " שלום 👋🏽\n<c> {x} "], SCORES, provenance=PROVENANCE),
        PriorMatrix(TEXTS, [*SCORES[:3], [3.5], SCORES[4]], provenance=PROVENANCE),
        PriorMatrix(TEXTS, SCORES, provenance={**PROVENANCE, "source": "lime"}),
    ],
)
def test_different_matrices_have_different_joblib_hash(prior, other):
    assert other != prior
    assert joblib.hash(other) != joblib.hash(prior)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_joblib_dump(prior, tmp_path, mmap_mode):
    joblib.dump(prior, tmp_path / "prior.joblib")
    loaded = joblib.load(tmp_path / "prior.joblib", mmap_mode=mmap_mode)
    assert loaded == prior
    assert joblib.hash(loaded) == joblib.hash(prior)
    assert joblib.hash(loaded[::2]) == joblib.hash(prior[::2])


# -- scikit-learn ----------------------------------------------------------------------------------


# The worker processes of a grid search import this module: torch is imported in the tests only.


class Picky(ClassifierMixin, BaseEstimator):
    """Accepts a PriorMatrix only; tells long texts from short ones."""

    def __init__(self, shift=0):
        self.shift = shift

    def fit(self, X, y):
        assert type(X) is PriorMatrix, type(X)
        assert X.has_scores
        self.classes_ = np.unique(y)
        self.threshold_ = X.n_words[y == "short"].max() + self.shift
        return self

    def predict(self, X):
        assert type(X) is PriorMatrix, type(X)
        return self.classes_[(X.n_words <= self.threshold_).astype(int)]


class Emitter(TransformerMixin, BaseEstimator):
    """A prior that scores each word by its length."""

    calls = 0

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Emitter.calls += 1
        return PriorMatrix(X, [[float(len(word)) for word in text.split()] for text in X])


@pytest.fixture
def labelled():
    prior = random_prior(40)
    return prior, np.where(prior.n_words > 4, "long", "short")


def test_train_test_split(labelled):
    prior, y = labelled
    parts = train_test_split(prior, y, np.arange(40), stratify=y, random_state=0)
    train, test, y_train, _, rows, _ = parts
    assert type(train) is type(test) is PriorMatrix
    assert train == prior[rows]
    assert y_train.tolist() == y[rows].tolist()
    assert len(train) + len(test) == 40


def test_cross_val_score(labelled):
    scores = cross_val_score(Picky(), *labelled, cv=4, error_score="raise")
    assert scores.tolist() == [1.0] * 4


def test_grid_search_in_two_processes(labelled):
    search = GridSearchCV(Picky(), {"shift": [-9, 0]}, n_jobs=2, cv=3, error_score="raise")
    search.fit(*labelled)
    assert search.best_params_ == {"shift": 0}
    assert search.predict(labelled[0]).shape == (40,)


def test_cached_pipeline(labelled, tmp_path):
    prior, y = labelled
    pipe = Pipeline([("prior", Emitter()), ("clf", Picky())], memory=str(tmp_path))
    Emitter.calls = 0
    first = pipe.fit(list(prior.texts), y).predict(prior.texts)
    calls = Emitter.calls
    again = pipe.fit(list(prior.texts), y)
    assert Emitter.calls == calls == 2  # one in fit, one in predict, none in the second fit
    assert again.predict(prior.texts).tolist() == first.tolist()


def test_memory_recognises_an_equal_matrix(prior, tmp_path):
    calls = []
    double = joblib.Memory(tmp_path, verbose=0).cache(lambda X: calls.append(1) or X[[0, 0]])
    first = double(prior)
    assert double(pickle.loads(pickle.dumps(prior))[:]) == first
    assert len(calls) == 1


# -- other forms -----------------------------------------------------------------------------------


def test_to_dense(prior):
    dense = prior.to_dense()
    assert dense.dtype == np.float32
    assert dense.shape == (5, 4)
    for row, scores in zip(dense, prior.scores, strict=True):
        np.testing.assert_array_equal(row[: len(scores)], scores)
        assert np.isnan(row[len(scores) :]).all()
    assert dense.flags.writeable


@pytest.mark.parametrize(("texts", "shape"), [([], (0, 0)), (["", " "], (2, 0))])
def test_to_dense_without_words(texts, shape):
    assert PriorMatrix(texts).to_dense().shape == shape
    assert PriorMatrix(texts).to_frame().shape == (0, 4)


def test_to_frame(prior):
    frame = prior.to_frame()
    assert list(frame.columns) == ["row", "position", "word", "score"]
    assert frame["row"].tolist() == [0, 0, 0, 2, 2, 2, 2, 3, 4, 4, 4, 4]
    assert frame["position"].tolist() == [0, 1, 2, 0, 1, 2, 3, 0, 0, 1, 2, 3]
    assert frame["word"].tolist() == [word for words in prior.words for word in words]
    np.testing.assert_array_equal(frame["score"], np.concatenate(prior.scores))
    assert [str(dtype) for dtype in frame.dtypes] == ["int64", "int64", "object", "float32"]


def test_to_frame_holds_lone_surrogates():
    assert PriorMatrix(["a \ud83d"]).to_frame()["word"].tolist() == ["a", "\ud83d"]


def test_repr(prior):
    assert repr(prior) == "PriorMatrix(5 texts, 12 words, 10 scored, source='cap')"
    assert repr(PriorMatrix([])) == "PriorMatrix(0 texts, 0 words, 0 scored)"


def test_to_html(prior, tmp_path):
    document = prior.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == document
    assert document.startswith("<!doctype html>")
    assert len(re.findall('dir="auto"', document)) == 5
    assert ">&lt;b&gt;</span>" in document
    assert "<b>" not in document
    assert 'title="-4">jazz</span>' in document
    assert "not shown" not in document
    assert "&quot;alpha&quot;: 1.0" in document


@pytest.mark.parametrize(("max_texts", "shown"), [(0, 0), (2, 2), (5, 5), (9, 5)])
def test_to_html_says_what_it_leaves_out(prior, max_texts, shown):
    document = prior.to_html(max_texts=max_texts)
    assert len(re.findall('dir="auto"', document)) == shown
    assert (f"{5 - shown} more of 5 texts not shown" in document) == (shown < 5)


def test_to_html_refuses_a_negative_number(prior):
    with pytest.raises(ValueError, match=r"max_texts must be an int in the range .*, got -1"):
        prior.to_html(max_texts=-1)


def test_notebook_shows_ten_rows():
    fragment = random_prior(13)._repr_html_()
    assert len(re.findall('dir="auto"', fragment)) == 10
    assert "3 more of 13 texts not shown" in fragment
    assert "<html" not in fragment
    assert "more of" not in random_prior(10)._repr_html_()


# -- normalize -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["l2", "max", "sum", "minmax", "softmax"])
@pytest.mark.parametrize("cells", [1, 4, 2**20])
def test_normalize_is_that_of_training(prior, how, cells, monkeypatch):
    import torch

    from skcap.utils.norms import normalize_scores

    monkeypatch.setattr(norms, "_CELLS", cells)
    normed = prior.normalize(how)
    dense = torch.from_numpy(prior.to_dense())
    mask = ~torch.isnan(dense)
    expected = normalize_scores(dense, mask, how).masked_fill(~mask, NAN).numpy()
    np.testing.assert_allclose(normed.to_dense(), expected, rtol=1e-6, atol=1e-7)
    assert normed.texts.tolist() == TEXTS
    assert normed.provenance == {**PROVENANCE, "normalized": [how]}


def test_normalize_by_hand():
    prior = PriorMatrix(["a b c", "d", "", "e f"], [[3, NAN, -4], [NAN], [], [0, 0]])
    expected = PriorMatrix(
        prior.texts, [[0.6, NAN, -0.8], [NAN], [], [0, 0]], provenance={"normalized": ["l2"]}
    )
    assert prior.normalize("l2") == expected
    assert prior.has_scores  # the matrix itself is as it was
    assert prior[0].scores[0] == 3


def test_normalize_none_changes_nothing(prior):
    assert prior.normalize(None) == prior


def test_normalize_notes_each_norm(prior):
    assert prior.normalize("max").normalize("sum").provenance["normalized"] == ["max", "sum"]


def test_normalize_commutes_with_selection():
    prior = random_prior(50)
    rows = np.random.default_rng(1).permutation(50)[:7]
    for how in ("l2", "softmax"):
        assert prior.normalize(how)[rows] == prior[rows].normalize(how)


def test_normalize_never_pads(monkeypatch):
    from skcap.utils.norms import normalize_scores

    shapes = []

    def spy(scores, mask, how):
        shapes.append(tuple(scores.shape))
        return normalize_scores(scores, mask, how)

    monkeypatch.setattr("skcap.utils.norms.normalize_scores", spy)
    monkeypatch.setattr(norms, "_CELLS", 4)
    PriorMatrix(["a b", "word " * 1000, "c d", "e f"]).normalize("l2")
    assert shapes == [(2, 2), (1, 2), (1, 1000)]


def test_normalize_refuses_an_unknown_norm(prior):
    with pytest.raises(ValueError, match="'l3'"):
        prior.normalize("l3")


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["prior.npz", "no_suffix", "two.dots.bin"])
def test_save_writes_exactly_the_path(prior, tmp_path, name):
    prior.save(str(tmp_path / name))
    assert os.listdir(tmp_path) == [name]
    loaded = PriorMatrix.load(tmp_path / name)
    assert loaded == prior
    assert joblib.hash(loaded) == joblib.hash(prior)


@pytest.mark.parametrize("texts", [[], [""], ["", " ", ""]])
def test_save_without_words(texts, tmp_path):
    PriorMatrix(texts).save(tmp_path / "p")
    assert PriorMatrix.load(tmp_path / "p") == PriorMatrix(texts)


@given(data=st.data())
@settings(max_examples=40)
def test_save_round_trip(data, tmp_path_factory):
    # all characters: lone surrogates, NUL, line separators, right-to-left marks
    texts = data.draw(st.lists(st.text(st.characters(), max_size=12), max_size=5))
    score = st.floats(width=32, allow_infinity=False)
    scores = [[data.draw(score) for _ in text.split()] for text in texts]
    json_values = st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=4)
    provenance = data.draw(st.dictionaries(st.text(max_size=4), json_values, max_size=3))
    prior = PriorMatrix(texts, scores, provenance=provenance)
    path = tmp_path_factory.getbasetemp() / "round_trip"
    prior.save(path)
    loaded = PriorMatrix.load(path)
    assert loaded == prior
    assert joblib.hash(loaded) == joblib.hash(prior)


def test_file_is_plain_npz(prior, tmp_path):
    prior.save(tmp_path / "prior.npz")
    with np.load(tmp_path / "prior.npz", allow_pickle=False) as file:
        assert all(not file[key].dtype.hasobject for key in file.files)
        assert file["format"] == 1


def test_failed_save_leaves_the_old_file(prior, tmp_path, monkeypatch):
    prior.save(tmp_path / "p")

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        prior[:1].save(tmp_path / "p")
    assert os.listdir(tmp_path) == ["p"]
    assert PriorMatrix.load(tmp_path / "p") == prior


@pytest.mark.skipif(sys.platform == "win32", reason="file modes of POSIX")
def test_saved_file_has_usual_permissions(prior, tmp_path):
    prior.save(tmp_path / "p")
    (tmp_path / "q").touch()
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == (tmp_path / "q").stat().st_mode & 0o777


def test_load_names_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        PriorMatrix.load(tmp_path / "nowhere")


def test_load_refuses_other_files(prior, tmp_path):
    path = tmp_path / "p.npz"
    np.savez(path, a=np.arange(3))
    with pytest.raises(ValueError, match=r"not written by PriorMatrix.save: format, .* missing"):
        PriorMatrix.load(path)
    for content in (b"", b"hello", pickle.dumps(prior)):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"p.npz' is damaged, or was not written by PriorMatrix.save"
        ):
            PriorMatrix.load(path)


class Trap:
    """Fails the test where it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_load_never_unpickles(tmp_path):
    prior = PriorMatrix(["a"], [[1.0]])
    rewrite(prior, tmp_path / "p.npz", scores=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="something else than plain numbers"):
        PriorMatrix.load(tmp_path / "p.npz")


def rewrite(prior, path, **changes):
    prior.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    with open(path, "wb") as stream:
        np.savez(stream, **(arrays | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.int64(2)}, "has format version 2, but this version of skcap reads 1"),
        ({"scores": np.zeros(11, np.float32)}, "damaged: the scores do not fit the words"),
        ({"scores": np.zeros(12)}, "not finite float32"),
        ({"scores": np.full(12, np.inf, np.float32)}, "not finite float32"),
        ({"offsets": np.arange(6)}, "the scores do not fit the words"),
        ({"utf8_offsets": np.zeros(0, np.int64)}, "damaged"),
        ({"utf8_offsets": np.int64(0)}, "damaged"),
        ({"utf8_offsets": np.zeros(6, np.int64)}, "the texts are incomplete"),
        ({"utf8": np.full(67, 0xFF, np.uint8)}, "damaged"),
        ({"provenance": np.frombuffer(b"{", np.uint8)}, "damaged"),
        ({"provenance": np.frombuffer(b"[]", np.uint8)}, "provenance must be a mapping"),
    ],
)
def test_load_checks_what_it_reads(prior, tmp_path, changes, message):
    rewrite(prior, tmp_path / "p", **changes)
    with pytest.raises(ValueError, match=message):
        PriorMatrix.load(tmp_path / "p")


def test_load_notices_cut_and_flipped_files(prior, tmp_path):
    prior.save(tmp_path / "p")
    content = (tmp_path / "p").read_bytes()
    for part in (content[: len(content) // 2], content[900:]):
        (tmp_path / "p").write_bytes(part)
        with pytest.raises(ValueError, match="p' is damaged"):
            PriorMatrix.load(tmp_path / "p")


def test_a_file_that_unpacks_beyond_the_limit_is_refused_unread(tmp_path):
    prior = PriorMatrix(["word " * 100_000], [np.zeros(100_000)])
    prior.save(tmp_path / "p")
    assert (tmp_path / "p").stat().st_size < 10_000
    message = r"unpacks to 9\d\d,\d\d\d bytes, more than max_bytes=100,000.*pass a larger max_bytes"
    with pytest.raises(ValueError, match=message):
        PriorMatrix.load(tmp_path / "p", max_bytes=100_000)
    assert PriorMatrix.load(tmp_path / "p") == prior
    for wrong in (0, -1, 1.5, None, "1 GB"):
        with pytest.raises(ValueError, match="max_bytes"):
            PriorMatrix.load(tmp_path / "p", max_bytes=wrong)


def repack(path, key, content):
    """Put other bytes in the place of one array."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, old in members.items():
            archive.writestr(name, content if name == f"{key}.npy" else old)


def test_a_header_that_promises_more_than_the_file_holds_allocates_nothing(prior, tmp_path):
    prior.save(tmp_path / "p")
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (2**50,)}
    np.lib.format.write_array_header_1_0(header, shape)
    repack(tmp_path / "p", "scores", header.getvalue() + b"1234")
    with pytest.raises(ValueError, match=r"scores.npy does not have the size that its header"):
        PriorMatrix.load(tmp_path / "p")


def test_a_directory_that_promises_less_than_is_packed_reads_no_more(prior, tmp_path):
    prior.save(tmp_path / "p")
    repack(tmp_path / "p", "scores", b"\0" * 10_000_000)
    content = (tmp_path / "p").read_bytes()
    lying = content.replace((10_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lying != content
    (tmp_path / "p").write_bytes(lying)
    with pytest.raises(ValueError, match="damaged"):
        PriorMatrix.load(tmp_path / "p", max_bytes=10_000)


def test_deeply_nested_provenance_is_refused(prior, tmp_path):
    nested = np.frombuffer(b"[" * 100_000 + b"]" * 100_000, np.uint8)
    rewrite(prior, tmp_path / "p", provenance=nested)
    with pytest.raises(ValueError, match="damaged"):
        PriorMatrix.load(tmp_path / "p")


# -- shuffle ---------------------------------------------------------------------------------------


def test_shuffle_permutes_the_scores_of_each_text(prior):
    shuffled = prior.shuffle()
    assert shuffled.texts.tolist() == TEXTS
    for before, after in zip(prior.scores, shuffled.scores, strict=True):
        np.testing.assert_array_equal(np.isnan(before), np.isnan(after))
        np.testing.assert_array_equal(np.sort(before), np.sort(after))
    assert shuffled != prior
    assert shuffled.provenance == {**PROVENANCE, "shuffled": [0]}
    assert shuffled.shuffle(7).provenance["shuffled"] == [0, 7]


def test_shuffle_is_seeded_and_uniform():
    prior = PriorMatrix(["a b c"], [[1.0, 2.0, 3.0]])
    assert prior.shuffle(3) == prior.shuffle(3)
    assert prior.shuffle(np.random.RandomState(0)) == prior.shuffle(np.random.RandomState(0))
    orders = Counter(tuple(prior.shuffle(seed).scores[0].tolist()) for seed in range(600))
    assert len(orders) == 6
    assert max(orders.values()) < 150  # 100 expected, with a standard deviation of 9
    assert len({tuple(prior.shuffle(None).scores[0].tolist()) for _ in range(60)}) > 1


def test_shuffle_commutes_with_selection():
    prior = random_prior(50)
    rows = np.random.default_rng(1).permutation(50)[:7]
    assert prior.shuffle(4)[rows] == prior[rows].shuffle(4)


def test_shuffle_of_what_has_nothing_to_permute():
    for prior in (PriorMatrix([]), PriorMatrix(["", "a b"]), PriorMatrix(["a"], [[1.0]])):
        assert prior.shuffle() == PriorMatrix(
            prior.texts, prior.scores, provenance={"shuffled": [0]}
        )


# -- tables ----------------------------------------------------------------------------------------


def test_frame_per_text_and_back(prior):
    frame = prior.to_frame("text")
    assert list(frame.columns) == ["text", "scores"]
    assert frame["text"].tolist() == TEXTS
    assert PriorMatrix.from_frame(frame, provenance=PROVENANCE) == prior
    assert PriorMatrix.from_frame(prior.to_frame(per="text")).provenance == {}
    frame["scores"][0][0] = 9.0  # a copy
    assert prior.scores[0][0] == 0.5


def test_frame_per_word_and_back(prior):
    plain = PriorMatrix([" ".join(words) for words in prior.words], SCORES)
    assert PriorMatrix.from_frame(prior.to_frame()) == plain
    shuffled = prior.to_frame().sample(frac=1, random_state=0)
    assert PriorMatrix.from_frame(shuffled) == plain
    ends = PriorMatrix(["a b", "", "c", ""], [[1, 2], [], [3], []])
    assert PriorMatrix.from_frame(ends.to_frame(), n_texts=4) == ends
    with pytest.raises(ValueError, match="n_texts=2, but frame has 3 texts"):
        PriorMatrix.from_frame(ends.to_frame(), n_texts=2)
    in_order = prior.to_frame().drop(columns="position")
    assert PriorMatrix.from_frame(in_order) == plain


@pytest.mark.parametrize("per", ["word", "text"])
def test_frames_without_rows(per):
    assert PriorMatrix.from_frame(PriorMatrix([]).to_frame(per)) == PriorMatrix([])


def test_frames_of_other_origin():
    wide = pd.DataFrame({"id": [7, 8], "text": ["lost card", "stop"], "scores": [(1, 0), [NAN]]})
    expected = PriorMatrix(["lost card", "stop"], [[1, 0], [NAN]])
    assert PriorMatrix.from_frame(wide.set_index("id")) == expected
    long = pd.DataFrame({"row": [0, 0, 1], "word": ["lost", "card", "stop"]})
    long["score"] = pd.array([1, 0, None], dtype="Int64")
    assert PriorMatrix.from_frame(long) == expected


def test_frame_survives_parquet(prior, tmp_path):
    pytest.importorskip("pyarrow")
    for per in ("word", "text"):
        prior[:4].to_frame(per).to_parquet(tmp_path / "p.parquet")
        again = PriorMatrix.from_frame(pd.read_parquet(tmp_path / "p.parquet"))
        assert again == PriorMatrix.from_frame(prior[:4].to_frame(per))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.to_dict(), TypeError, "frame must be a pandas DataFrame, got dict"),
        (lambda f: f.drop(columns="score"), ValueError, r"frame lacks the columns \['score'\]"),
        (lambda f: f.assign(row=["x", "x", "y"]), ValueError, r"must number the texts.*factorize"),
        (lambda f: f.assign(row=[0, 0, -1]), ValueError, "must number the texts from 0"),
        (
            lambda f: f.assign(word=["a b", "c", "d"]),
            ValueError,
            "single words .* got 'a b' in its",
        ),
        (lambda f: f.assign(word=["a", None, "d"]), ValueError, "single words .* in its row 1"),
        (lambda f: f.assign(position=[0, 2, 0]), ValueError, "without gaps .*; the text of row 0"),
        (lambda f: f.assign(position=[0, 1, 1]), ValueError, "without gaps .*; the text of row 1"),
        (lambda f: f.assign(score=["x", "y", "z"]), ValueError, r"frame\['score'\] must hold num"),
    ],
)
def test_frames_that_cannot_be_right_are_refused(change, error, message):
    frame = PriorMatrix(["lost card", "stop"], [[1, 0], [2]]).to_frame()
    with pytest.raises(error, match=message):
        PriorMatrix.from_frame(change(frame))


def test_to_frame_refuses_other_rows(prior):
    with pytest.raises(ValueError, match="per must be one of 'word', 'text', got 'token'"):
        prior.to_frame("token")


# -- several matrices ------------------------------------------------------------------------------


def test_check_same_texts_accepts(prior):
    check_same_texts([], [])
    check_same_texts([prior], ["cap"])
    check_same_texts([prior, PriorMatrix(TEXTS), prior[:]], ["cap", "lime", "ig"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", "c", "c"], "'cap' and 'ig' differ in row 1: 'b' and 'c'"),
        (["a"], r"'cap' and 'ig' differ in length: .* row 1 \(3 and 1 texts\)"),
        (["a", "b", "c", "d"], r"length: .* row 3 \(3 and 4 texts\)"),
        (["A", "b"], "differ in row 0: 'a' and 'A'"),
        (["a", "b ", "c"], "differ in row 1: 'b' and 'b '"),
    ],
)
def test_check_same_texts_names_the_first_difference(texts, message):
    first = PriorMatrix(["a", "b", "c"])
    with pytest.raises(ValueError, match=message):
        check_same_texts([first, first[:], PriorMatrix(texts)], ["cap", "lime", "ig"])


@pytest.mark.parametrize(("before", "after"), [(True, [True, "l2"]), ("l1", ["l1", "l2"])])
def test_a_provenance_of_your_own_is_no_trouble(before, after):
    matrix = PriorMatrix(["a b"], [[1, 2]], provenance={"normalized": before, "shuffled": before})
    assert matrix.normalize("l2").provenance["normalized"] == after
    assert matrix.shuffle(3).provenance["shuffled"] == [before, 3]


def test_masked_scores_are_no_scores():
    prior = PriorMatrix(["play jazz"], np.ma.array([[1.0, 2.0]], mask=[[False, True]]))
    np.testing.assert_array_equal(prior.to_dense(), [[1.0, np.nan]])
    whole = PriorMatrix(["play jazz"], [np.ma.array([1, 2], mask=[False, True])])
    assert whole == prior
