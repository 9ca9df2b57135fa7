import sys

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from skcap.inspection import class_similarity, keyword_overlap  # noqa: E402
from skcap.inspection.plots import (  # noqa: E402
    ClassSimilarityDisplay,
    ConfusionPairsDisplay,
    CorrectionsDisplay,
    OverlapErrorsDisplay,
    plot_words,
)
from skcap.prior_matrix import PriorMatrix  # noqa: E402

NAN = float("nan")
ODD = 'cost $5 and $x^2$ 😀👨\u200d👩\u200d👧 日本語 \ud800 <b> "'


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def draw(ax):
    """Render it: only then does matplotlib warn of what it cannot draw."""
    ax.figure.canvas.draw()
    return ax


def source(text, *scores):
    return PriorMatrix([text], [scores])


def words_at(ax):
    return [text for text in ax.texts if text.get_horizontalalignment() == "center"]


def is_blue(color):
    return color[2] > color[0]


# ---------------------------------------------------------------------------------- plot_words


def test_words_have_one_cell_a_source_in_diverging_colours():
    cap, lime = source("where is jazz", 0, -1, 2), source("where is jazz", 5, NAN, -5)
    ax = draw(plot_words({"CAP": cap, "LIME": lime}, title="music"))
    assert [text.get_text() for text in words_at(ax)] == ["where", "is", "jazz"] * 2
    cells = ax.patches
    assert len(cells) == 6
    assert np.allclose(cells[0].get_facecolor()[:3], 1, atol=0.01)  # zero is white
    assert not is_blue(cells[1].get_facecolor())
    assert is_blue(cells[2].get_facecolor())
    assert cells[4].get_hatch()
    assert not cells[3].get_hatch()
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["for the label", "against it", "no score"]
    assert ax.get_title("left") == "music"


def test_each_source_uses_the_whole_scale_unless_they_are_compared():
    small, large = source("a b", 0.1, 0.2), source("a b", 10, 20)
    ax = plot_words({"small": small, "large": large})
    assert ax.patches[1].get_facecolor() == ax.patches[3].get_facecolor()
    ax = plot_words({"small": small, "large": large}, normalize=None)
    assert ax.patches[1].get_facecolor() != ax.patches[3].get_facecolor()


def test_words_use_the_row():
    prior = PriorMatrix(["first", "second text"], [[1], [1, 2]])
    assert [t.get_text() for t in words_at(plot_words({"CAP": prior}, 1))] == ["second", "text"]
    assert [t.get_text() for t in words_at(plot_words({"CAP": prior}, -2))] == ["first"]


def test_only_the_drawn_text_must_agree():
    a, b = PriorMatrix(["x", "same"]), PriorMatrix(["y", "same"])
    plot_words({"a": a, "b": b}, 1)
    with pytest.raises(ValueError, match="'a' and 'b' differ"):
        plot_words({"a": a, "b": b}, 0)


def inside(ax):
    """Whether every word lies in the axes, with a pixel to spare, and in a cell of its own."""
    renderer = ax.figure.canvas.get_renderer()
    frame = ax.get_window_extent()
    cells = [cell.get_window_extent(renderer) for cell in ax.patches]
    words = [word.get_window_extent(renderer) for word in words_at(ax)]
    fits = [w.x0 >= c.x0 - 1 and w.x1 <= c.x1 + 1 for w, c in zip(words, cells, strict=True)]
    return all(fits) and all(c.x1 <= frame.x1 + 1 and c.y0 >= frame.y0 - 1 for c in cells)


def test_long_texts_wrap_and_the_figure_grows():
    text = " ".join(["I still have not received my new card."] * 12)
    prior = PriorMatrix([text], [np.linspace(-1, 1, 96)])
    long = draw(plot_words({"CAP": prior, "LIME": prior}))
    short = plot_words({"CAP": source("stop", 1)})
    assert inside(long)
    assert long.figure.get_figheight() > 3 * short.figure.get_figheight()
    assert long.figure.get_figwidth() == short.figure.get_figwidth()


def test_words_shrink_to_fit_given_axes():
    figure, (upper, lower) = plt.subplots(2, figsize=(6, 2.5))
    text = " ".join(["card"] * 30)
    ax = plot_words({"CAP": PriorMatrix([text], [np.ones(30)])}, ax=upper)
    plot_words({"CAP": source("stop", 1)}, ax=lower)
    figure.canvas.draw()
    assert ax is upper
    assert inside(upper)
    assert words_at(upper)[0].get_fontsize() < words_at(lower)[0].get_fontsize()


def test_words_that_cannot_fit_are_told_of():
    _, ax = plt.subplots(figsize=(2, 1))
    prior = PriorMatrix(["word " * 200], [np.ones(200)])
    with pytest.warns(UserWarning, match="do not fit into ax"):
        plot_words({"CAP": prior}, ax=ax)


def test_a_word_wider_than_a_line_is_cut():
    ax = draw(plot_words({"CAP": source("see " + "x" * 400, 1, 1)}))
    assert words_at(ax)[1].get_text().endswith("x…")
    assert inside(ax)


def test_odd_characters_neither_warn_nor_start_a_formula():
    prior = PriorMatrix([ODD], [np.ones(len(ODD.split()))])
    ax = draw(plot_words({"$x^": prior}, title=ODD))
    shown = [text.get_text() for text in words_at(ax)]
    assert len(shown) == len(ODD.split())
    assert shown[3] == "$x^2$"
    assert shown[5] == "□□□"
    assert "👨" not in shown[4]


def test_a_title_may_have_several_lines():
    ax = draw(plot_words({"CAP": source("play jazz", 1, 2)}, title="music\n(the model says alarm)"))
    assert ax.get_title("left") == "music\n(the model says alarm)"
    title = ax._left_title.get_window_extent(ax.figure.canvas.get_renderer())
    assert title.y1 <= ax.figure.bbox.y1


def test_words_of_a_single_source_need_no_name():
    ax = plot_words(source("stop now", 1, 2), 0)
    assert [text.get_text() for text in words_at(ax)] == ["stop", "now"]
    assert "scores" in [text.get_text() for text in ax.texts]


def test_words_refuse_what_they_cannot_draw():
    prior = source("stop", 1)
    with pytest.raises(TypeError, match="sources must be a PriorMatrix, or map names"):
        plot_words([prior])
    with pytest.raises(TypeError, match=r"sources\['CAP'\] must be a PriorMatrix"):
        plot_words({"CAP": [1]})
    with pytest.raises(ValueError, match="sources is empty"):
        plot_words({})
    with pytest.raises(IndexError, match="row 3 is out of range"):
        plot_words({"CAP": prior}, 3)
    with pytest.raises(ValueError, match="has no words"):
        plot_words({"CAP": PriorMatrix([" "])})


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'skcap\[plots\]'"):
        plot_words({"CAP": source("stop", 1)})
    with pytest.raises(ImportError, match=r"pip install 'skcap\[plots\]'"):
        CorrectionsDisplay.from_predictions(["a"], ["b"], ["a"])


# ------------------------------------------------------------------------------------ displays

NAMES = ["card_arrival", "card_$x^_fee", "top_up", ODD.replace("\ud800", "")]


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    y = np.repeat(NAMES, 10)
    before, after = (np.where(rng.random(40) < 0.5, rng.permutation(y), y) for _ in range(2))
    return y, before, after


class Answers:
    """A fitted classifier that gives fixed answers."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, X):
        return self.answers[: len(X)]


def test_overlap_errors_count_by_level_and_class():
    overlap = keyword_overlap({"a": {"x": 1}, "b": {"x": 1, "y": 1}, "c": {"z": 1}})
    y, predicted = ["a", "a", "a", "b", "c"], ["b", "b", "c", "a", "c"]
    display = OverlapErrorsDisplay.from_predictions(y, predicted, overlap, n_levels=2)
    draw(display.ax_)
    levels = [label.get_text().split("\n")[0] for label in display.ax_.get_yticklabels()]
    assert levels[0] == "none"
    assert display.counts_[0].tolist() == [1, 0]  # a for c, which share nothing
    assert display.counts_[1:].sum(axis=0).tolist() == [2, 1]  # a for b, b for a
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["a", "b"]
    assert "25% of errors, 67% of pairs" in display.ax_.get_yticklabels()[0].get_text()


def test_overlap_errors_show_the_worst_classes_only(predictions):
    y, before, _ = predictions
    overlap = keyword_overlap({name: {"x": 1, name: 1} for name in NAMES})
    display = OverlapErrorsDisplay.from_estimator(Answers(before), y, y, overlap, top=2)
    draw(display.ax_)
    wrong = sorted((np.sum((y == n) & (before != n)) for n in NAMES), reverse=True)
    assert display.counts_.sum(axis=0).tolist() == wrong[:2]


@pytest.mark.parametrize("most", [1.0, 0.3])
def test_overlaps_that_rounding_puts_above_the_highest_level_are_of_it(most):
    names = ["a", "b"]
    overlap = pd.DataFrame(np.nextafter(most, 2), index=names, columns=names)
    for n_levels in (2, 20):
        display = OverlapErrorsDisplay.from_predictions(["a"], ["b"], overlap, n_levels=n_levels)
        assert display.counts_[-1].tolist() == [1]


@pytest.mark.parametrize("name", ["top", "n_levels"])
def test_numbers_of_overlap_errors_are_named(name):
    overlap = keyword_overlap({"a": {}, "b": {}})
    with pytest.raises(ValueError, match=f"{name} must be an int in the range"):
        OverlapErrorsDisplay.from_predictions(["a"], ["b"], overlap, **{name: 0})


def test_overlap_errors_need_errors():
    with pytest.raises(ValueError, match="No prediction is wrong"):
        OverlapErrorsDisplay.from_predictions(["a"], ["a"], keyword_overlap({"a": {}, "b": {}}))


def test_similar_classes_are_drawn_next_to_each_other():
    embeddings = [[1, 0], [0, 1], [1, 0.1], [0.1, 1]]
    display = ClassSimilarityDisplay.from_embeddings(embeddings, NAMES)
    draw(display.ax_)
    assert {*display.order_[:2]} in ({NAMES[0], NAMES[2]}, {NAMES[1], NAMES[3]})
    drawn = display.ax_.images[0].get_array()
    expected = display.similarity.loc[display.order_, display.order_]
    np.testing.assert_allclose(drawn, expected)
    assert display.ax_.images[0].get_clim() == (0, 1)


def test_similarity_in_the_order_of_labels():
    similarity = class_similarity(np.eye(3)[[2, 0, 1]], [3, 1, 2])
    display = ClassSimilarityDisplay(similarity).plot(order="labels")
    assert display.order_ == [1, 2, 3]
    with pytest.raises(ValueError, match="order must be"):
        display.plot(order="size")


def test_similarity_names_every_class_or_says_that_it_does_not():
    rng = np.random.default_rng(0)
    similarity = class_similarity(rng.normal(size=(77, 8)), [f"class_{n}" for n in range(77)])
    own = ClassSimilarityDisplay(similarity).plot().ax_
    assert len(own.get_yticklabels()) == 77
    _, small = plt.subplots(figsize=(3, 3))
    ClassSimilarityDisplay(similarity).plot(ax=small)
    assert len(small.get_yticklabels()) < 77
    assert "classes named" in small.get_xlabel()


def test_similarity_of_an_encoder(tiny_model):
    texts = ["play jazz", "play music", "will it rain?"]
    display = ClassSimilarityDisplay.from_estimator(str(tiny_model("bert")), texts, [0, 0, 1])
    assert display.similarity.shape == (2, 2)


@pytest.mark.parametrize("by", ["words", "share"])
def test_corrections_bars_are_the_cases(predictions, by):
    display = CorrectionsDisplay.from_predictions(*predictions, by=by)
    ax = draw(display.ax_)
    heights = [[bar.get_height() for bar in bars] for bars in ax.containers]
    assert heights == display.cases.to_numpy().T.tolist()
    assert display.cases["wrong_before"].sum() > 0


def test_confusion_pairs_of_two_models(predictions):
    y, before, after = predictions
    display = ConfusionPairsDisplay.from_estimator(
        Answers(before), y, y, Answers(after), names=("plain", "guided"), top=3
    )
    ax = draw(display.ax_)
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["plain", "guided"]
    lines, first, second = ax.collections
    assert first.get_offsets()[:, 0].tolist() == display.pairs["before"].tolist()
    assert second.get_offsets()[:, 0].tolist() == display.pairs["after"].tolist()
    assert len(display.pairs) == len(lines.get_segments()) == 3
    low, high = ax.get_ylim()
    assert low > high  # the hardest pair is on top


def test_confusion_pairs_of_one_model_in_given_axes(predictions):
    y, before, _ = predictions
    _, ax = plt.subplots()
    display = ConfusionPairsDisplay.from_predictions(y, before, ax=ax)
    assert draw(display.ax_) is ax
    assert "after" not in display.pairs
    with pytest.raises(ValueError, match="No classes are confused"):
        ConfusionPairsDisplay.from_predictions(y, y)
