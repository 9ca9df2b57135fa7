import gc
import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from skcap.classifier import GuidedTextClassifier
from skcap.guidance import SwapGuidance
from skcap.inspection.search import plot_search, search_frame
from skcap.llm import FakeLLM
from skcap.metrics import SCORERS
from skcap.priors.cap import CAPPriorTransformer
from skcap.priors.hybrid import HybridPrior
from skcap.priors.integrated_gradients import IGPriorTransformer
from skcap.priors.precomputed import PrecomputedPrior

KEYWORDS = ["alarm", "music", "rain"]
TEXTS = [f"{filler} {word} now" for filler in ("set", "please", "is", "on") for word in KEYWORDS]
TEXTS += [f"{word} {filler} it" for filler in ("for", "the", "a", "to") for word in KEYWORDS]
LABELS = np.array(KEYWORDS * 8)


class LogTraining(Callback):
    """Appends a line to a file for each training, over all processes."""

    def __init__(self, path):
        self.path = path

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        with open(self.path, "a") as file:
            file.write(f"{len(X)}\n")


@pytest.fixture
def classifier(tiny_model):
    def make(**parameters):
        quick = {"max_epochs": 6, "lr": 0.01, "head_lr": 0.05, "random_state": 0, "device": "cpu"}
        quick["guidance"] = "alignment"
        return GuidedTextClassifier(tiny_model(), **{**quick, **parameters})

    return make


@pytest.fixture
def pipeline(classifier, tmp_path):
    """CAP and IG before a classifier; what they compute is logged in files."""
    llm = FakeLLM(log_path=tmp_path / "llm.log")
    cap = CAPPriorTransformer(llm, n_masks=3, cache=tmp_path / "cache")
    trained = classifier(beta=0, callbacks=[LogTraining(tmp_path / "ig.log")])
    ig = IGPriorTransformer(trained, n_steps=4, cache=tmp_path / "cache")
    prior = HybridPrior([("cap", cap), ("ig", ig)])
    return Pipeline([("prior", prior), ("clf", classifier(max_epochs=1))])


def lines(path):
    return sorted(path.read_text().splitlines()) if path.exists() else []


def assert_each_text_scored_once(cap, log, tmp_path):
    alone = FakeLLM(log_path=tmp_path / "alone.log")
    CAPPriorTransformer(alone, n_masks=cap.n_masks, cache=False).fit_transform(TEXTS, LABELS)
    assert lines(log) == lines(tmp_path / "alone.log")
    assert {json.loads(line)["continuation"] for line in lines(log)} == set(KEYWORDS)


def test_grid_search_computes_each_prior_once(pipeline, tmp_path):
    cap = pipeline.get_params()["prior__cap"]
    grid = {
        "clf__beta": [0, 1.0],
        "prior__aggregation": ["mean", "max"],
        "prior__cap": ["drop", cap],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(TEXTS, LABELS)
    assert_each_text_scored_once(cap, tmp_path / "llm.log", tmp_path)
    assert lines(tmp_path / "ig.log") == ["12", "12", "24"]  # two folds, and all texts to refit
    assert search.predict(TEXTS[:2]).shape == (2,)
    frame = search_frame(search)
    assert frame["prior__cap"].tolist() == ["drop", "CAPPriorTransformer"] * 4
    assert len(lines(tmp_path / "ig.log")) == 3


def test_searches_of_other_kinds(pipeline, tmp_path):
    cap = pipeline.get_params()["prior__cap"]
    pipeline.set_params(prior__ig="drop")
    grid = {"clf__beta": [0.1, 1.0], "prior__cap__alpha": [1.0, 10.0]}
    random = RandomizedSearchCV(pipeline, grid, n_iter=2, cv=2, random_state=0, error_score="raise")
    halving = HalvingGridSearchCV(
        pipeline, grid, cv=2, min_resources=12, factor=2, random_state=0, error_score="raise"
    )
    assert len(search_frame(random.fit(TEXTS, LABELS))) == 2
    frame = search_frame(halving.fit(TEXTS, LABELS))
    assert frame["iter"].tolist() == [0] * 4 + [1] * 2
    assert frame["n_resources"].tolist() == [12] * 4 + [24] * 2
    assert_each_text_scored_once(cap, tmp_path / "llm.log", tmp_path)


def test_nested_cross_validation(pipeline, tmp_path):
    pipeline.set_params(prior__ig="drop")
    search = GridSearchCV(pipeline, {"clf__beta": [0.1, 1.0]}, cv=2, error_score="raise")
    scores = cross_val_score(search, TEXTS, LABELS, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    assert_each_text_scored_once(
        pipeline.get_params()["prior__cap"], tmp_path / "llm.log", tmp_path
    )


def test_several_scorers(pipeline):
    scoring = {"accuracy": "accuracy", **SCORERS}
    result = cross_validate(pipeline, TEXTS, LABELS, cv=2, scoring=scoring, error_score="raise")
    for name in scoring:
        assert np.isfinite(result[f"test_{name}"]).all()


def live_modules():
    gc.collect()
    return sum(issubclass(type(thing), torch.nn.Module) for thing in gc.get_objects())


def test_memory_does_not_grow_with_fits(pipeline):
    grid = {"clf__beta": [0.1], "prior__aggregation": ["mean"]}
    few = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    after_few = live_modules()
    del few
    grid = {"clf__beta": [0.1, 0.2], "prior__aggregation": ["mean", "max"]}
    many = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    assert hasattr(many, "best_estimator_")
    assert 0 < live_modules() <= after_few


# -- table and plot -------------------------------------------------------------------------------


class Known(BaseEstimator):
    """Scores that follow from the parameters: 10 * a + (b == "max") + c."""

    def __init__(self, a=0, b="mean", c=0, d=None):
        self.a, self.b, self.c, self.d = a, b, c, d

    def fit(self, X, y=None):
        if self.a is None:
            raise ValueError("a")
        return self

    def score(self, X, y=None):
        return 10 * self.a + (self.b == "max") + self.c


def known(grid, **options):
    return GridSearchCV(Known(), grid, cv=2, **options).fit(np.zeros((8, 1)))


def n_rows(estimator, X, y=None):
    return len(X)


def sevenths(estimator, X, y=None):
    return estimator.score(X) / 7


def test_frame_by_hand():
    search = known({"a": [0, 0.5], "b": ["mean", "max"]})
    frame = search_frame(search)
    assert frame.columns.tolist() == [
        *("candidate", "a", "b", "metric", "mean", "std", "rank", "n_splits", "fit_seconds")
    ]
    assert frame["a"].tolist() == [0, 0, 0.5, 0.5]
    assert frame["a"].dtype == float
    assert frame["b"].tolist() == ["mean", "max"] * 2
    assert frame["mean"].tolist() == [0, 1, 5, 6]
    assert frame["std"].tolist() == [0] * 4
    assert frame["rank"].tolist() == [4, 3, 2, 1]
    assert set(frame["metric"]) == {"score"}
    assert set(frame["n_splits"]) == {2}


def test_frame_of_several_metrics():
    scoring = {"own": Known.score, "sevenths": sevenths}
    frame = search_frame(known({"a": [0, 7]}, scoring=scoring, refit=False))
    assert frame["metric"].tolist() == ["own", "own", "sevenths", "sevenths"]
    assert frame["candidate"].tolist() == [0, 1, 0, 1]
    assert frame["mean"].tolist() == [0, 70, 0, 10]


def test_frame_shortens_objects():
    one, two = PrecomputedPrior({}), PrecomputedPrior({}, missing="nan")
    values = [None, True, "drop", CAPPriorTransformer(alpha=2.0), one, len, (1, 2), np.float32(0.5)]
    frame = search_frame(known({"d": values}))
    assert frame["d"].tolist() == [
        *(None, True, "drop", "CAPPriorTransformer", "PrecomputedPrior", "len", "(1, 2)", 0.5)
    ]
    frame = search_frame(known({"d": [one, two]}))
    assert frame["d"].tolist() == [
        "PrecomputedPrior(scores={})",
        "PrecomputedPrior(missing='nan', scores={})",
    ]


def long_guidance():
    """Two that differ in a word that is left out of how they are shown, and one like the first."""
    words = [f"word{n}" for n in range(60)]
    return [SwapGuidance([*words, last]) for last in ("a", "b", "a")]


def test_frame_numbers_what_looks_the_same():
    first, second, like_first = long_guidance()
    assert repr(first) == repr(second)
    names = search_frame(known({"d": [first, second, like_first, None]}))["d"].tolist()
    assert names[0].endswith("(no. 1)")
    assert names[1].endswith("(no. 2)")
    assert names[2:] == [names[0], None]


class Nearest(BaseEstimator):
    """Has parameters that are called like columns of the table."""

    def __init__(self, metric="l2", mean=0):
        self.metric, self.mean = metric, mean

    def fit(self, X, y=None):
        return self

    def score(self, X, y=None):
        return 10


def nearest():
    grid = {"metric": ["l1", "l2"], "mean": [5]}
    return GridSearchCV(Nearest(), grid, cv=2).fit(np.zeros((8, 1)))


def test_frame_keeps_parameters_that_are_called_like_its_columns():
    frame = search_frame(nearest())
    assert frame["param_metric"].tolist() == ["l1", "l2"]
    assert frame["param_mean"].tolist() == [5, 5]
    assert frame["metric"].tolist() == ["score"] * 2
    assert frame["mean"].tolist() == [10, 10]


def test_frame_of_a_list_of_grids():
    frame = search_frame(known([{"a": [1]}, {"c": [3], "d": [None]}]))
    assert frame["a"].tolist() == [1, pd.NA]
    assert frame["d"].tolist() == [pd.NA, None]


def test_frame_needs_a_fitted_search():
    with pytest.raises(NotFittedError):
        search_frame(GridSearchCV(Known(), {"a": [1]}))


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def drawn(ax):
    """Points of each line by its name in the legend: (place, mean, standard deviation)."""
    found = {}
    for bars in ax.containers:
        line, _, (spread,) = bars
        spans = [(high - low) / 2 for (_, low), (_, high) in spread.get_segments()]
        found[bars.get_label()] = [
            (round(float(place)), round(float(mean), 6), round(float(sd), 6))
            for place, mean, sd in zip(line.get_xdata(), line.get_ydata(), spans, strict=True)
        ]
    return found


def tick_names(ax):
    return [tick.get_text() for tick in ax.get_xticklabels()]


def test_plot_by_hand(pyplot):
    search = known({"a": [10, 0, 0.1], "b": ["mean", "max"]})
    ax = plot_search(search, x="a", line="b")
    assert tick_names(ax) == ["0", "0.1", "10"]
    assert drawn(ax) == {
        "mean": [(0, 0, 0), (1, 1, 0), (2, 100, 0)],
        "max": [(0, 1, 0), (1, 2, 0), (2, 101, 0)],
    }
    assert ax.get_legend().get_title().get_text() == "b"
    assert ax.get_ylabel() == "score (mean ± sd of 2 splits)"
    assert ax.get_title() == ""


@pytest.mark.parametrize(
    ("grid", "given", "x", "line"),
    [
        ({"a": [0, 1]}, {}, "a", ""),
        ({"b": ["mean", "max"], "a": [0, 1]}, {}, "a", "b"),  # numbers go to the axis
        ({"a": [0], "b": ["mean", "max"]}, {}, "b", ""),
        ({"a": [0], "b": ["mean"]}, {}, "a", ""),
        ({"a": [0, 1], "c": [2, 5]}, {}, "a", "c"),
        ({"a": [0, 1], "c": [2, 5]}, {"line": "a"}, "c", "a"),
        ({"a": [0, 1], "c": [2, 5]}, {"x": "c"}, "c", ""),
    ],
)
def test_plot_chooses_what_the_search_varies(pyplot, grid, given, x, line):
    ax = plot_search(known(grid), **given)
    legend = ax.get_legend()
    assert (ax.get_xlabel(), legend.get_title().get_text() if legend else "") == (x, line)


def test_plot_takes_the_best_and_says_so(pyplot):
    ax = plot_search(known({"a": [0, 1], "c": [2, 5, 3], "d": [None]}), x="a", line=None)
    assert list(drawn(ax).values()) == [[(0, 5, 0), (1, 15, 0)]]
    assert ax.get_title() == "each point is the best over c"
    assert ax.get_legend() is None


def test_plot_tells_apart_what_looks_the_same(pyplot):
    def last_is_a(estimator, X, y=None):
        return float(estimator.d.shortcuts[-1] == "a")

    search = known({"d": long_guidance()[:2]}, scoring=last_is_a)
    ax = plot_search(search, x="d", line=None)
    assert list(drawn(ax).values()) == [[(0, 1, 0), (1, 0, 0)]]


def test_plot_over_a_parameter_that_is_called_like_a_column(pyplot):
    ax = plot_search(nearest(), x="metric", line="mean")
    assert tick_names(ax) == ["l1", "l2"]
    assert drawn(ax) == {"5": [(0, 10, 0), (1, 10, 0)]}


def test_plot_error_bars_are_standard_deviations(pyplot):
    def row_sum(estimator, X, y=None):
        return float(np.sum(X))

    search = GridSearchCV(Known(), {"a": [0, 1]}, cv=2, scoring=row_sum)
    search.fit(np.array([[0.0], [0.0], [3.0], [3.0]]))
    ax = plot_search(search, x="a", line=None)
    assert list(drawn(ax).values()) == [[(0, 3, 3), (1, 3, 3)]]


def test_plot_of_one_of_several_metrics(pyplot):
    scoring = {"own": Known.score, "sevenths": sevenths}
    search = known({"a": [0, 7]}, scoring=scoring, refit="sevenths")
    assert plot_search(search, x="a", line=None).get_ylabel().startswith("sevenths ")
    axes = pyplot.figure().add_subplot()
    assert plot_search(search, x="a", line=None, metric="own", ax=axes) is axes
    assert axes.get_ylabel().startswith("own ")
    with pytest.raises(ValueError, match=r"refits on none .* metric='own'"):
        plot_search(known({"a": [0]}, scoring=scoring, refit=False), x="a", line=None)


def test_plot_of_a_halving_search_takes_the_last_run(pyplot):
    search = HalvingGridSearchCV(
        Known(), {"a": [1, 2, 3]}, cv=2, factor=3, min_resources=4, scoring=n_rows
    ).fit(np.zeros((12, 1)))
    assert len(search_frame(search)) == 4
    points = list(drawn(plot_search(search, x="a", line=None)).values())
    assert points == [[(0, 2, 0), (1, 2, 0), (2, 6, 0)]]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_plot_leaves_out_what_failed(pyplot):
    search = known([{"a": [1], "b": ["mean", "max"]}, {"a": [None], "b": ["mean"]}])
    assert drawn(plot_search(search, x="a", line="b")) == {
        "mean": [(0, 10, 0)],
        "max": [(0, 11, 0)],
    }


def test_plot_mistakes(pyplot):
    search = known({"a": [0, 1]})
    with pytest.raises(ValueError, match=r"x must be a parameter of the search \('a'\), got 'clf"):
        plot_search(search, x="clf__beta")
    with pytest.raises(ValueError, match=r"line must be .* \('a' or None\), got 'prior__aggreg"):
        plot_search(search, x="a", line="prior__aggregation")
    with pytest.raises(ValueError, match=r"line must be .* \('a' or None\), got 'prior__aggreg"):
        plot_search(search, line="prior__aggregation")
    with pytest.raises(ValueError, match="metric must be one of 'score', got 'accuracy'"):
        plot_search(search, x="a", line=None, metric="accuracy")


def test_plot_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"skcap\[plots\]"):
        plot_search(known({"a": [0, 1]}), x="a", line=None)
