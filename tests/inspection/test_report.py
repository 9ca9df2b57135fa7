import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer  # noqa: E402
from sklearn.naive_bayes import MultinomialNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402

from skcap.inspection import write_report  # noqa: E402
from skcap.metrics import faithfulness_scores  # noqa: E402
from skcap.prior_matrix import PriorMatrix  # noqa: E402

TRAIN = ["play some jazz", "play the blues", "book a table", "book a room", "rain today", "snow"]
LABELS = ["music", "music", "place & <b>room</b>", "place & <b>room</b>", "weather", "weather"]
EVIL = '<script>alert("x")</script> <img src=http://evil.example/a.png> rain 😀'
TEXTS = ["play jazz", "book a blues table", "will it rain or snow", EVIL, "play a room"]
TRUTH = ["music", "place & <b>room</b>", "weather", "weather", "place & <b>room</b>"]


@pytest.fixture(scope="module")
def models():
    plain = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TRAIN, LABELS)
    worse = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TRAIN, LABELS[::-1])
    return plain, worse


class Tags(HTMLParser):
    def __init__(self, document):
        super().__init__()
        self.tags, self.open, self.addresses = [], [], []
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(path):
    document = path.read_text(encoding="utf-8")
    return document, Tags(document)


def test_report_is_one_file_without_foreign_markup(models, tmp_path):
    path = write_report(tmp_path / "report.html", models[0], TEXTS, TRUTH, baseline=models[1])
    document, html = read(path)
    assert path == tmp_path / "report.html"
    assert not html.open
    assert not {"script", "link", "iframe", "b"} & {*html.tags}
    assert html.addresses
    assert all(address.startswith("data:image/png;base64,") for address in html.addresses)
    assert "&lt;script&gt;" in document
    assert "place &amp; &lt;b&gt;room&lt;/b&gt;" in document
    assert 'name="viewport"' in document


def test_report_tells_the_accuracy_of_both_models(models, tmp_path):
    path = write_report(tmp_path / "report.html", models[0], TEXTS, TRUTH, baseline=models[1])
    document, _ = read(path)
    for name, model in (("this model", models[0]), ("baseline", models[1])):
        accuracy = f"{np.mean(model.predict(TEXTS) == TRUTH):.1%}"
        assert f"<td>{name}</td><td>{accuracy}</td>" in document
    assert "Against the baseline" in document


def test_report_shows_wrong_texts_first_and_counts_them(models, tmp_path):
    model = models[0]
    truth = list(model.predict(TEXTS))
    truth[2] = "music"
    document, _ = read(write_report(tmp_path / "r.html", model, TEXTS, truth, n_texts=2))
    verdicts = re.findall("[✗✓] [^<]*", document)
    assert [verdict[0] for verdict in verdicts] == ["✗", "✓"]
    assert "✗ weather, in truth music" in document
    assert "2 of 5 texts; 1 of all are wrong" in document
    assert "Against the baseline" not in document


def test_report_lists_words_that_the_model_relies_on_and_the_prior_does_not(tmp_path):
    texts = ["ann: play jazz", "ann: play blues", "bob: stop it", "bob: stop now", "play, stop"]
    truth = np.array(["music", "music", "end", "end", "music"])

    class ByName:
        """Goes by the first letter."""

        classes_ = np.array(["end", "music"])

        def predict_proba(self, X):
            music = np.array([{"a": 0.9, "b": 0.1}.get(text[:1], 0.5 - 1e-9) for text in X])
            return np.stack([1 - music, music], axis=1)

        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    prior = PriorMatrix(texts, [[0, 1, 1], [0, 1, 0], [0, 1, 0], [0, 1, 1], [1, 0]])
    document, _ = read(write_report(tmp_path / "r.html", ByName(), texts, truth, prior=prior))
    words = document[document.index("in the 4 texts") :]
    assert words.index("<td>ann</td>") < words.index("<td>bob</td>")
    assert "<td>stop</td>" not in words  # the prior relies on it, the model does not
    assert "<td>ann</td><td>2</td><td>+100%</td><td>+0%</td><td>+100%</td>" in words
    for labels, note in (
        (truth[::-1], "relies on no word"),
        (["no"] * 5, "No text is predicted right"),
    ):
        other = write_report(tmp_path / "other.html", ByName(), texts, labels, prior=prior)
        assert note in read(other)[0]


def test_report_shows_the_prior_of_the_shown_texts(models, tmp_path):
    prior = PriorMatrix(TEXTS, [np.full(len(text.split()), 0.125) for text in TEXTS])
    document, _ = read(write_report(tmp_path / "r.html", models[0], TEXTS, TRUTH, prior=prior))
    assert document.count("<small>prior</small>") == len(TEXTS)
    assert document.count('title="+0.125"') == sum(prior.n_words)


def test_report_of_a_perfect_model(models, tmp_path):
    truth = models[0].predict(TEXTS)
    path = write_report(tmp_path / "r.html", models[0], TEXTS, truth, n_texts=0)
    document, html = read(path)
    assert "No text is mistaken" in document
    assert "<td>100.0%</td>" in document
    assert "img" not in html.tags


def test_report_leaves_no_figure_open(models, tmp_path):
    before = plt.get_fignums()
    write_report(tmp_path / "r.html", models[0], TEXTS, TRUTH, baseline=models[1])
    assert plt.get_fignums() == before


def test_report_refuses_what_does_not_fit(models, tmp_path):
    path = tmp_path / "r.html"
    with pytest.raises(ValueError, match="5 texts and 3 labels"):
        write_report(path, models[0], TEXTS, TRUTH[:3])
    with pytest.raises(ValueError, match="'X' and 'prior' differ"):
        write_report(path, models[0], TEXTS, TRUTH, prior=PriorMatrix(TEXTS[::-1]))
    for n_texts in (-1, 1.5, None):
        with pytest.raises(ValueError, match="n_texts must be an int in the range"):
            write_report(path, models[0], TEXTS, TRUTH, n_texts=n_texts)
    with pytest.raises(TypeError, match="title must be a string, got None"):
        write_report(path, models[0], TEXTS, TRUTH, title=None)
    with pytest.raises(TypeError, match="'prior' must be a PriorMatrix, got list"):
        write_report(path, models[0], TEXTS, TRUTH, prior=[[1.0]])
    assert not path.exists()


def test_labels_of_another_type_are_refused_before_texts_are_explained(
    models, tmp_path, monkeypatch
):
    monkeypatch.setattr("skcap.inspection.report.judge", None)
    with pytest.raises(ValueError, match=r"y holds labels such as 1, but Pipeline .* 'music'"):
        write_report(tmp_path / "page.html", models[0], TEXTS, [1, 2, 3, 3, 2])
    numbers = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TRAIN, [0, 0, 1, 1, 2, 2])
    with pytest.raises(ValueError, match=r"trained on labels such as [012]"):
        write_report(tmp_path / "page.html", models[0], TEXTS, TRUTH, baseline=numbers)


def test_a_prior_without_scores_is_refused(models, tmp_path):
    with pytest.raises(ValueError, match="prior has no scores"):
        write_report(tmp_path / "report.html", models[0], TEXTS, TRUTH, prior=PriorMatrix(TEXTS))


def test_classes_that_are_booleans_are_all_compared(tmp_path):
    truth = [True, False] * 3
    right = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TRAIN, truth)
    wrong = make_pipeline(CountVectorizer(), MultinomialNB()).fit(TRAIN, [not x for x in truth])
    path = write_report(tmp_path / "report.html", right, TRAIN, truth, baseline=wrong)
    assert "2 of 2 that differ" in path.read_text(encoding="utf-8")


def test_a_prior_goes_by_position_where_a_pipeline_changes_the_texts(tmp_path):
    class Explaining(MultinomialNB):
        def explain(self, X):
            return PriorMatrix(X, [[1.0] + [0.0] * (len(text.split()) - 1) for text in X])

        def fit(self, X, y):
            self.counter_ = CountVectorizer().fit(X)
            return super().fit(self.counter_.transform(X), y)

        def predict_proba(self, X):
            return super().predict_proba(self.counter_.transform(X))

        def predict(self, X):
            return self.classes_[self.predict_proba(X).argmax(axis=1)]

    texts = ["Ann: play jazz", "Ann: book a table"]
    prior = PriorMatrix(texts, [[0, 1, 1], [0, 1, 1, 1]])
    lower = FunctionTransformer(lambda X: [text.lower() for text in X])
    model = make_pipeline(lower, Explaining()).fit(TRAIN, LABELS)
    document, _ = read(write_report(tmp_path / "r.html", model, texts, TRUTH[:2], prior=prior))
    assert "<td>ann</td><td>2</td><td>+100%</td><td>+0%</td>" in document
    bare = FunctionTransformer(lambda X: [text.replace("Ann: ", "") for text in X])
    model = make_pipeline(bare, Explaining()).fit(TRAIN, LABELS)
    with pytest.raises(ValueError, match="earlier steps of the pipeline add or remove words"):
        write_report(tmp_path / "r.html", model, texts, TRUTH[:2], prior=prior)


def test_report_without_matplotlib_names_the_extra(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'skcap\[plots\]'"):
        write_report(tmp_path / "r.html", models[0], TEXTS, TRUTH)


def test_texts_are_explained_once_for_all_parts(models, tmp_path):
    explained = []

    class Explaining:
        classes_ = models[0].classes_
        predict, predict_proba = models[0].predict, models[0].predict_proba

        def explain(self, texts, y=None):
            explained.append(list(texts))
            return PriorMatrix(texts, [np.ones(len(text.split())) for text in texts])

    texts, truth = TEXTS[:3], TRUTH[:3]
    prior = PriorMatrix(texts, [np.ones(len(text.split())) for text in texts])
    write_report(tmp_path / "report.html", Explaining(), texts, truth, prior=prior)
    assert explained == [texts]


def test_scores_are_those_of_the_scorers(models, tmp_path):
    document, _ = read(write_report(tmp_path / "report.html", models[0], TEXTS, TRUTH))
    for name, value in faithfulness_scores(models[0], TEXTS).items():
        assert f"<td>{-value if name.startswith('neg') else value:.3f}</td>" in document
