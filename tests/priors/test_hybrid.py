import pickle
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skcap.llm import FakeLLM
from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.priors.cap import CAPPriorTransformer
from skcap.priors.hybrid import HybridPrior
from skcap.priors.precomputed import PrecomputedPrior

NAN = float("nan")
X = ["cancel the alarm", "", "play jazz", "stop"]
Y = ["alarm", "alarm", "music", "alarm"]
ONE = {"cancel the alarm": [3.0, 0.0, 4.0], "": [], "play jazz": [-1.0, NAN], "stop": [2.0]}
TWO = {"cancel the alarm": [0.0, NAN, -2.0], "": [], "play jazz": [0.0, NAN], "stop": [NAN]}


def hybrid(*sources, **parameters):
    names = ("one", "two", "three")
    return HybridPrior(
        [(n, PrecomputedPrior(s)) for n, s in zip(names, sources, strict=False)], **parameters
    )


def assert_rows(matrix, expected):
    assert [len(row) for row in matrix.scores] == [len(row) for row in expected]
    for got, wanted in zip(matrix.scores, expected, strict=True):
        assert_allclose(got, np.array(wanted), rtol=1e-6)


class Counting(BasePrior):
    """Counts calls in a list that clones share."""

    calls: ClassVar[list[str]] = []

    def __init__(self, score=1.0):
        self.score = score

    def _fit(self, texts, labels):
        self.calls.append("fit")

    def _attribute(self, texts, classes):
        self.calls.append("attribute")
        return PriorMatrix(texts, [[self.score] * len(text.split()) for text in texts])


class Shifted(Counting):
    def _attribute(self, texts, classes):
        return PriorMatrix([*texts[1:], "other"])


class NoMatrix(Counting):
    def _attribute(self, texts, classes):
        return [[1.0]]


# -- arithmetic by hand ---------------------------------------------------------------------------


def test_mean_by_hand():
    # One, L2: (.6, 0, .8), (), (-1, nan), (1); two: (0, nan, -1), (), (0, nan), (nan).
    expected = [[0.3, 0.0, -0.1], [], [-0.5, NAN], [1.0]]
    assert_rows(hybrid(ONE, TWO).fit_transform(X, Y), expected)


def test_max_by_hand():
    expected = [[0.6, 0.0, 0.8], [], [0.0, NAN], [1.0]]
    assert_rows(hybrid(ONE, TWO, aggregation="max").fit_transform(X, Y), expected)


def test_absmax_by_hand():
    expected = [[0.6, 0.0, -1.0], [], [-1.0, NAN], [1.0]]
    assert_rows(hybrid(ONE, TWO, aggregation="absmax").fit_transform(X, Y), expected)
    tie = hybrid({"a b": [1.0, -1.0]}, {"a b": [-1.0, 1.0]}, aggregation="absmax", normalize=None)
    assert_rows(tie.fit_transform(["a b"], ["x"]), [[1.0, 1.0]])


@pytest.mark.parametrize("order", [1, -1])
def test_max_and_absmax_differ_only_where_a_source_speaks_against_a_class(order):
    sources = [{"a b": [0.2, 0.3]}, {"a b": [-0.9, NAN]}][::order]
    top = hybrid(*sources, aggregation="max", normalize=None).fit_transform(["a b"], ["x"])
    size = hybrid(*sources, aggregation="absmax", normalize=None).fit_transform(["a b"], ["x"])
    assert_rows(top, [[0.2, 0.3]])
    assert_rows(size, [[-0.9, 0.3]])


def test_without_norm():
    expected = [[1.5, 0.0, 1.0], [], [-0.5, NAN], [2.0]]
    assert_rows(hybrid(ONE, TWO, normalize=None).fit_transform(X, Y), expected)


@pytest.mark.parametrize(
    "weights", [[3, 1], {"one": 3}, {"one": 3.0, "two": 1.0}, np.array([6, 2])]
)
def test_weighted_mean_by_hand(weights):
    expected = [[0.45, 0.0, 0.35], [], [-0.75, NAN], [1.0]]
    assert_rows(hybrid(ONE, TWO, weights=weights).fit_transform(X, Y), expected)


def test_a_weight_of_zero_gives_no_scores():
    expected = [[0.0, NAN, -1.0], [], [0.0, NAN], [NAN]]
    assert_rows(hybrid(ONE, TWO, weights=[0, 1]).fit_transform(X, Y), expected)


def test_weights_follow_their_sources_when_one_is_dropped():
    prior = hybrid(ONE, TWO, ONE, weights=[1, 5, 3]).set_params(one="drop")
    expected = hybrid(TWO, ONE, weights=[5, 3]).fit_transform(X, Y)
    assert_array_equal(prior.fit_transform(X, Y).to_dense(), expected.to_dense())


def test_callable_gets_one_text_of_all_sources():
    seen = []

    def first(scores):
        seen.append(scores.shape)
        return scores[0]

    matrix = hybrid(ONE, TWO, aggregation=first).fit_transform(X, Y)
    assert seen == [(2, 3), (2, 0), (2, 2), (2, 1)]
    assert_rows(matrix, [[0.6, 0.0, 0.8], [], [-1.0, NAN], [1.0]])
    assert matrix.provenance["aggregation"] == "first"


def test_a_callable_without_a_name_is_recorded_by_its_type():
    total = partial(np.sum, axis=0)
    matrix = hybrid(ONE, TWO, aggregation=total).fit_transform(X, Y)
    assert matrix.provenance["aggregation"] == "partial"


def test_callable_of_the_wrong_shape_shows_the_text():
    with pytest.raises(ValueError, match=r"shape \(3,\) for 'cancel the alarm', got shape \(\)"):
        hybrid(ONE, aggregation=np.nansum).fit_transform(X, Y)


@pytest.mark.parametrize("how", ["l2", "max", "sum", "minmax", "softmax", None])
@pytest.mark.parametrize("aggregation", ["mean", "max", "absmax"])
def test_one_source_is_that_source_normalised(how, aggregation):
    matrix = hybrid(ONE, normalize=how, aggregation=aggregation).fit_transform(X, Y)
    alone = PrecomputedPrior(ONE).fit_transform(X, Y).normalize(how)
    assert_array_equal(matrix.to_dense(), alone.to_dense())


@pytest.mark.parametrize("aggregation", ["mean", "max", "absmax"])
@pytest.mark.parametrize("index", [[2, 0], np.array([True, False, True, True]), slice(1, 3)])
def test_commutes_with_row_selection(aggregation, index):
    whole = hybrid(ONE, TWO, aggregation=aggregation).fit(X, Y).attribute(X, Y)
    texts, labels = np.array(X, dtype=object)[index], np.array(Y)[index]
    part = hybrid(ONE, TWO, aggregation=aggregation).fit_transform(texts, labels)
    assert part == whole[index]


# -- calls ----------------------------------------------------------------------------------------


def test_sources_are_fitted_and_scored_once(monkeypatch):
    monkeypatch.setattr(Counting, "calls", [])
    prior = HybridPrior([("a", Counting()), ("b", Counting())])
    prior.fit_transform(X, Y)
    assert sorted(Counting.calls) == ["attribute", "attribute", "fit", "fit"]
    Counting.calls.clear()
    prior.fit(X, Y)
    assert Counting.calls == ["fit", "fit"]
    prior.attribute(X, Y)
    assert Counting.calls[2:] == ["attribute", "attribute"]


def test_transform_calls_no_source(monkeypatch):
    prior = HybridPrior([("a", Counting())]).fit(X, Y)
    monkeypatch.setattr(Counting, "calls", [])
    matrix = prior.transform(["new text"])
    assert not matrix.has_scores
    assert Counting.calls == []


def test_given_sources_stay_unfitted():
    source = Counting()
    prior = HybridPrior([("a", source), ("b", "drop")]).fit(X, Y)
    assert not hasattr(source, "classes_")
    assert prior.transformers_[0][1].classes_.tolist() == ["alarm", "music"]
    assert prior.named_transformers_.a is prior.transformers_[0][1]
    assert prior.named_transformers_["b"] == "drop"


def test_parallel_sources_give_the_same():
    alone = hybrid(ONE, TWO).fit_transform(X, Y)
    both = hybrid(ONE, TWO, n_jobs=2)
    assert both.fit_transform(X, Y) == alone
    assert both.attribute(X, Y) == alone
    assert both.named_transformers_.two.classes_.tolist() == ["alarm", "music"]


def test_provenance_is_nested():
    llm = FakeLLM()
    cap = CAPPriorTransformer(llm, cache=False, n_masks=2)
    prior = HybridPrior([("cap", cap), ("own", PrecomputedPrior(ONE))], weights={"own": 2})
    with pytest.warns(UserWarning, match="no words"):
        provenance = prior.fit_transform(X, Y).provenance
    assert provenance["source"] == "hybrid"
    assert provenance["weights"] == {"cap": 1.0, "own": 2.0}
    assert provenance["sources"]["cap"]["llm"] == llm.fingerprint()
    assert provenance["sources"]["own"]["normalized"] == ["l2"]


def test_nests():
    inner = hybrid(ONE, TWO)
    outer = HybridPrior([("inner", inner)], normalize=None).fit_transform(X, Y)
    assert_array_equal(outer.to_dense(), inner.fit_transform(X, Y).to_dense())


def test_pickles_when_fitted():
    prior = hybrid(ONE, TWO).fit(X, Y)
    assert pickle.loads(pickle.dumps(prior)).attribute(X, Y) == prior.attribute(X, Y)


def test_verbose_names_sources(capsys):
    hybrid(ONE, verbose=1).fit_transform(X, Y)
    assert "[HybridPrior] one: fit_transform took" in capsys.readouterr().out


# -- parameters -----------------------------------------------------------------------------------


def test_nested_parameters():
    prior = HybridPrior([("cap", CAPPriorTransformer(FakeLLM())), ("own", PrecomputedPrior(ONE))])
    assert prior.get_params()["cap__alpha"] == 1.0
    assert prior.get_params()["cap__llm__random_state"] == 0
    assert "cap__alpha" not in prior.get_params(deep=False)
    prior.set_params(cap__alpha=2.0, own="drop", aggregation="max")
    assert prior.transformers[0][1].alpha == 2.0
    assert prior.transformers[1] == ("own", "drop")
    with pytest.raises(ValueError, match="Invalid parameter 'lime'"):
        prior.set_params(lime="drop")


def test_clone_copies_sources():
    prior = hybrid(ONE, TWO).set_params(two="drop")
    copy = clone(prior)
    copy.set_params(one__missing="nan")
    assert copy.transformers[1] == ("two", "drop")
    assert prior.transformers[0][1].missing == "error"


def test_diagram_shows_the_sources():
    prior = HybridPrior([("cap", CAPPriorTransformer()), ("own", "drop")])
    page = prior._repr_html_()
    assert "HybridPrior" in page
    assert "CAPPriorTransformer" in page
    assert "own" in page


@pytest.mark.parametrize("transformers", [[], None, "cap", [PrecomputedPrior(ONE)], [("cap",)]])
def test_not_a_list_of_pairs(transformers):
    with pytest.raises(ValueError, match=r"'transformers' parameter|must be a list of"):
        HybridPrior(transformers).fit(X, Y)


@pytest.mark.parametrize("source", ["passthrough", None, CAPPriorTransformer, 3])
def test_not_a_source(source):
    with pytest.raises(TypeError, match="The source 'a' of transformers must be a prior"):
        HybridPrior([("a", source), ("b", Counting())]).fit(X, Y)


@pytest.mark.parametrize("names", [("a", "a"), ("weights", "b"), ("a__b", "c")])
def test_bad_names(names):
    with pytest.raises(ValueError, match=r"not unique|conflict|must not contain __"):
        HybridPrior([(name, Counting()) for name in names]).fit(X, Y)


def test_all_dropped():
    with pytest.raises(ValueError, match=r"All sources of HybridPrior are 'drop' \(one, two\)"):
        hybrid(ONE, TWO).set_params(one="drop", two="drop").fit(X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"normalize": "l3"}, "'normalize' parameter"),
        ({"aggregation": "median"}, "'aggregation' parameter .* Got 'median' instead"),
        ({"aggregation": "max", "weights": [1, 1]}, "weights are for aggregation='mean' only"),
        ({"weights": [1]}, "one weight for each of the 2 transformers"),
        ({"weights": 2}, "'weights' parameter"),
        ({"aggregation": "absmax", "weights": [1, 1]}, "weights are for aggregation='mean' only"),
        ({"weights": {"cap": 1}}, r"weights names no sources: \['cap'\]"),
        ({"weights": [0, 0]}, "not be all 0"),
        (
            {"weights": [1, -1]},
            r"weights\['two'\] must be a float in the range .*, got -1",
        ),
        ({"weights": [1, NAN]}, r"weights\['two'\] .*got nan"),
        ({"weights": {"one": "x"}}, r"weights\['one'\] .*got 'x'"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        hybrid(ONE, TWO, **parameters).fit(X, Y)


def test_texts_that_differ_name_source_and_row():
    with pytest.raises(ValueError, match=r"'X' and 'b' differ in row 0: 'cancel the alarm'"):
        HybridPrior([("a", Counting()), ("b", Shifted())]).fit_transform(X, Y)


def test_a_source_must_give_a_matrix():
    with pytest.raises(TypeError, match="The source 'a' gave list instead of a PriorMatrix"):
        HybridPrior([("a", NoMatrix())]).fit_transform(X, Y)


def test_errors_of_a_source_name_it():
    with pytest.raises(ValueError, match="no scores for 1 of 1 texts") as caught:
        hybrid(ONE).fit_transform(["unheard of"], ["alarm"])
    assert caught.value.__notes__ == ["This happened in the source 'one' of a HybridPrior."]


def test_usual_mistakes():
    with pytest.raises(ValueError, match="y must hold one label per text"):
        hybrid(ONE).fit_transform(X)
    with pytest.raises(NotFittedError):
        hybrid(ONE).transform(X)
    with pytest.raises(ValueError, match="labels that fit did not see"):
        hybrid(ONE).fit(X, Y).attribute(["stop"], ["weather"])


def test_accepts_arrays_and_keeps_order():
    matrix = hybrid(ONE).fit_transform(np.array(X, dtype=object), np.array(Y))
    assert_array_equal(matrix.texts, np.array(X, dtype=object))


@pytest.mark.parametrize("weights", [None, [1, 3], {"two": 3}])
def test_sources_set_after_fit_wait_for_the_next_one(weights):
    prior = hybrid(ONE, TWO, weights=weights).set_params(two="drop").fit(X, Y)
    prior.set_params(one="drop", two=PrecomputedPrior(TWO))
    assert_rows(prior.attribute(X, Y), hybrid(ONE).fit_transform(X, Y).scores)
    assert list(prior.attribute(X, Y).provenance["sources"]) == ["one"]
    assert list(prior.fit(X, Y).attribute(X, Y).provenance["sources"]) == ["two"]


class Lazy(Counting):
    """Trains when it is first asked, as integrated gradients do whose scores were cached."""

    def _fit(self, texts, labels):
        self.trainings_ = 0

    def _attribute(self, texts, classes):
        self.trainings_ = self.trainings_ or 1
        return PriorMatrix(texts, [[self.trainings_] * len(text.split()) for text in texts])


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_what_sources_learn_when_asked_is_kept(n_jobs):
    prior = HybridPrior([("one", Lazy()), ("two", Lazy())], n_jobs=n_jobs).fit(X, Y)
    prior.attribute(X, Y)
    assert [source.trainings_ for _, source in prior.transformers_] == [1, 1]
    assert prior.named_transformers_["one"] is prior.transformers_[0][1]


def test_a_masked_mean_leaves_out_what_no_source_scores():
    mean = hybrid(ONE, TWO, normalize=None, aggregation=_masked_mean).fit_transform(X, Y)
    assert_rows(mean, [[1.5, 0.0, 1.0], [], [-0.5, NAN], [2.0]])


def _masked_mean(block):
    return np.ma.masked_invalid(block).mean(axis=0)


def test_weights_by_the_index_of_a_series():
    named = pd.Series({"two": 0.0, "one": 5.0})
    by_name = hybrid(ONE, TWO, weights=named).fit_transform(X, Y)
    assert by_name == hybrid(ONE, TWO, weights={"two": 0.0, "one": 5.0}).fit_transform(X, Y)
    in_order = hybrid(ONE, TWO, weights=pd.Series([5.0, 0.0])).fit_transform(X, Y)
    assert in_order == hybrid(ONE, TWO, weights=[5.0, 0.0]).fit_transform(X, Y)


def test_parameters_of_all_sources_are_checked_before_one_is_asked(monkeypatch):
    monkeypatch.setattr(FakeLLM, "log_likelihood", None)
    sources = [("cap", CAPPriorTransformer(FakeLLM(), cache=False)), ("two", PrecomputedPrior(TWO))]
    prior = HybridPrior(sources).set_params(two__missing="zero")
    with pytest.raises(ValueError, match="missing") as caught:
        prior.fit_transform(X, Y)
    assert caught.value.__notes__ == ["This happened in the source 'two' of a HybridPrior."]


def test_a_relative_cache_is_that_of_the_working_directory_also_in_workers(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        cap = CAPPriorTransformer(FakeLLM(), cache="kept", verbose=0)
        sources = [("cap", cap), ("one", PrecomputedPrior(ONE))]
        HybridPrior(sources, n_jobs=2).fit_transform([X[0], X[2]], [Y[0], Y[2]])
        assert cap.cache == "kept"
        assert (tmp_path / name / "kept").is_dir()


def test_a_cache_in_the_home_folder_is_found_there(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    cap = CAPPriorTransformer(FakeLLM(), cache="~/kept", verbose=0)
    HybridPrior([("cap", cap)]).fit_transform([X[0], X[2]], [Y[0], Y[2]])
    assert (tmp_path / "kept").is_dir()


def test_weights_are_those_of_the_fitted_sources():
    prior = hybrid(ONE, TWO, weights=[1, 0]).fit(X, Y)
    before = prior.attribute(X, Y)
    prior.set_params(transformers=[("a", PrecomputedPrior(TWO)), ("b", PrecomputedPrior(ONE))])
    assert prior.attribute(X, Y) == before
    assert before.provenance["weights"] == {"one": 1.0, "two": 0.0}


def test_weights_of_unknown_names_of_any_type():
    with pytest.raises(ValueError, match=r"weights names no sources: \[3, 'z'\]"):
        hybrid(ONE, TWO, weights={"z": 1, 3: 4}).fit(X, Y)
