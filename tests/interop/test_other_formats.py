"""PriorMatrix through the files and tables of other libraries, and their columns as X and y."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcap import CAPPriorTransformer, FakeLLM, PriorMatrix, ShortcutAudit

TEXTS = ["where is  my card", "", "Ünïcode 🃏 now", "stop"]
SCORES = [[0.5, 0.0, -1.25, 2.0], [], [1.0, float("nan"), 0.0], [float("nan")]]


@pytest.fixture
def prior():
    return PriorMatrix(TEXTS, SCORES, provenance={"source": "by hand", "n_masks": 32})


@pytest.mark.parametrize("per", ["word", "text"])
def test_pandas(prior, per):
    back = PriorMatrix.from_frame(prior.to_frame(per), provenance=prior.provenance)
    if per == "text":
        assert back == prior
    else:  # the words alone are kept, not the white space between them
        assert back.words == prior.words
        np.testing.assert_array_equal(back.to_dense(), prior.to_dense())


class TestParquet:
    def test_comes_back_equal(self, prior, tmp_path):
        pytest.importorskip("pyarrow")
        prior.to_parquet(tmp_path / "prior.parquet")
        assert PriorMatrix.from_parquet(tmp_path / "prior.parquet") == prior

    def test_pandas_reads_and_writes_it(self, prior, tmp_path):
        pytest.importorskip("pyarrow")
        prior.to_parquet(tmp_path / "prior.parquet")
        frame = pd.read_parquet(tmp_path / "prior.parquet")
        assert PriorMatrix.from_frame(frame, provenance=prior.provenance) == prior
        frame.to_parquet(tmp_path / "again.parquet")
        assert PriorMatrix.from_parquet(tmp_path / "again.parquet").words == prior.words

    def test_a_null_is_a_missing_score(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(
            pyarrow.table({"text": ["play jazz"], "scores": [[None, 1.0]]}), tmp_path / "p"
        )
        np.testing.assert_array_equal(
            PriorMatrix.from_parquet(tmp_path / "p").to_dense(), [[np.nan, 1.0]]
        )

    def test_missing_columns_are_named(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(
            pyarrow.table({"text": ["a"], "weights": [[1.0]]}), tmp_path / "p"
        )
        with pytest.raises(ValueError, match=r"lacks the columns \['scores'\]; it has"):
            PriorMatrix.from_parquet(tmp_path / "p")

    def test_text_that_is_no_unicode_leaves_the_old_file(self, tmp_path):
        pytest.importorskip("pyarrow")
        path = tmp_path / "p"
        path.write_text("old")
        with pytest.raises(ValueError, match="row 1 holds the lone surrogate"):
            PriorMatrix(["ok", "play \ud83d"]).to_parquet(path)
        assert path.read_text() == "old"
        assert len(list(tmp_path.iterdir())) == 1


class TestHuggingFaceDatasets:
    def test_comes_back_equal(self, prior):
        pytest.importorskip("datasets.arrow_dataset")
        dataset = prior.to_dataset()
        assert dataset.column_names == ["text", "scores"]
        assert dataset[0]["scores"] == SCORES[0]
        assert PriorMatrix.from_dataset(dataset, provenance=prior.provenance) == prior

    def test_a_selection_and_more_columns(self, prior):
        pytest.importorskip("datasets.arrow_dataset")
        dataset = prior.to_dataset().add_column("label", list("abca")).select([2, 0])
        assert PriorMatrix.from_dataset(dataset, provenance=prior.provenance) == prior[[2, 0]]

    def test_its_splits_are_refused_by_name(self, prior):
        pytest.importorskip("datasets.arrow_dataset")
        import datasets

        with pytest.raises(TypeError, match="one split of a data set, got DatasetDict"):
            PriorMatrix.from_dataset(datasets.DatasetDict(train=prior.to_dataset()))


def annotation(key, *spans, docid=None, **more):
    evidences = [
        [{"docid": docid or key, "text": "", "start_token": start, "end_token": end}]
        for start, end in spans
    ]
    return {
        "annotation_id": key,
        "query": "",
        "classification": "POS",
        "evidences": evidences,
    } | more


def write_lines(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


class TestEraser:
    documents = {"d1": "a very good film\nwith a dull end", "d2": "no"}

    def test_evidence_scores_one(self, tmp_path):
        path = write_lines(
            tmp_path / "train.jsonl", annotation("d1", (1, 3), (6, 7)), annotation("d2")
        )
        read = PriorMatrix.from_eraser(path, self.documents)
        assert read.texts.tolist() == list(self.documents.values())
        assert read[0].scores.tolist() == [0, 1, 1, 0, 0, 0, 1, 0]
        assert read[1].scores.tolist() == [0]

    def test_documents_in_a_folder(self, tmp_path):
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs" / "d1").write_text(self.documents["d1"])
        path = write_lines(tmp_path / "train.jsonl", annotation("x", (1, 3), docid="d1"))
        assert PriorMatrix.from_eraser(path, tmp_path / "docs")[0].scores.sum() == 2

    def test_predictions_come_back(self, tmp_path):
        prior = PriorMatrix(list(self.documents.values()), [np.arange(8) / 8, [-1.0]])
        prior.to_eraser(tmp_path / "p.jsonl", list(self.documents))
        assert PriorMatrix.from_eraser(tmp_path / "p.jsonl", self.documents) == prior

    def test_words_are_counted_as_eraser_counts_them(self, tmp_path):
        text = "1\xa0000 good  film\n it\u2003is"
        path = write_lines(tmp_path / "t.jsonl", annotation("d", (1, 2), (3, 4)))
        read = PriorMatrix.from_eraser(path, {"d": text})
        assert read.texts.tolist() == [text]
        assert read[0].scores.tolist() == [0, 0, 1, 0, 1, 1]  # 1 000 and it is are one word each
        with pytest.raises(ValueError, match="row 0 has words between which there is neither"):
            read.to_eraser(tmp_path / "p.jsonl", ["d"])

    def test_two_predictions_for_a_document_are_refused_and_blank_lines_and_marks_are_none(
        self, tmp_path
    ):
        piece = {"docid": "d1", "soft_rationale_predictions": [0] * 8}
        path = write_lines(tmp_path / "t.jsonl", {"rationales": [piece]})
        path.write_text(path.read_text() + "\n", encoding="utf-8-sig")
        assert len(PriorMatrix.from_eraser(path, self.documents)) == 1
        path.write_text('{"rationales": "é"}', encoding="latin-1")
        with pytest.raises(ValueError, match=r"jsonl', line 1, is not JSON: 'utf-8'"):
            PriorMatrix.from_eraser(path, self.documents)
        path = write_lines(tmp_path / "t.jsonl", {"rationales": [piece, piece]})
        with pytest.raises(ValueError, match="2 predictions for one document"):
            PriorMatrix.from_eraser(path, self.documents)

    def test_rationales_are_spans(self, tmp_path):
        prior = PriorMatrix(["a b c d"], [[1, 2, 3, 4]])
        prior.to_eraser(tmp_path / "p.jsonl", ["t"], masks=[[True, True, False, True]])
        (document,) = json.loads((tmp_path / "p.jsonl").read_text())["rationales"]
        assert document["hard_rationale_predictions"] == [
            {"start_token": 0, "end_token": 2},
            {"start_token": 3, "end_token": 4},
        ]

    def test_masks_in_a_series_go_by_position(self, tmp_path):
        prior = PriorMatrix(["a b", "c d"], [[1, 2], [3, 4]])
        masks = pd.Series([[True, False], [False, True]], index=[1, 0])
        prior.to_eraser(tmp_path / "p.jsonl", ["x", "y"], masks=masks)
        first, _ = map(json.loads, (tmp_path / "p.jsonl").read_text().splitlines())
        spans = first["rationales"][0]["hard_rationale_predictions"]
        assert spans == [{"start_token": 0, "end_token": 1}]

    @pytest.mark.parametrize(
        "mask", [[0.2, 0.0], [np.nan, 0.0], np.ma.array([True, True], mask=[False, True])]
    )
    def test_scores_are_no_masks(self, tmp_path, mask):
        prior = PriorMatrix(["a b"], [[1, 2]])
        with pytest.raises(ValueError, match=r"masks must hold a boolean for each word.* in row 0"):
            prior.to_eraser(tmp_path / "p.jsonl", ["x"], masks=[mask])

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (annotation("d1", (6, 9)), "evidence from word 6 to 9 of a document of 8 words"),
            (annotation("d3", (0, 1)), "needs the document 'd3'"),
            (annotation("d1", (0, 1), docids=["d1", "d2"]), "speaks of 2 documents"),
            ({"annotation_id": "d1"}, "neither 'evidences'"),
            (
                {"rationales": [{"docid": "d1", "hard_rationale_predictions": []}]},
                "lacks .*soft_ra",
            ),
            ({"evidences": [[{"docid": "d1", "end_token": 1}]]}, "lacks .*start_token"),
            ({"evidences": [[{"start_token": 0, "end_token": 1}]]}, "lacks .*docid"),
            ({"evidences": [7]}, "lacks"),
        ],
    )
    def test_bad_lines_are_named(self, tmp_path, line, message):
        path = write_lines(tmp_path / "t.jsonl", annotation("d2"), line)
        with pytest.raises(ValueError, match=f"line 2, .*{message}"):
            PriorMatrix.from_eraser(path, self.documents)

    def test_a_document_outside_of_the_folder_is_refused(self, tmp_path):
        (tmp_path / "docs").mkdir()
        (tmp_path / "secret").write_text("word")
        path = write_lines(tmp_path / "t.jsonl", annotation("x", (0, 1), docid="../secret"))
        with pytest.raises(ValueError, match="outside of"):
            PriorMatrix.from_eraser(path, tmp_path / "docs")

    def test_missing_scores_are_refused(self, prior, tmp_path):
        with pytest.raises(ValueError, match="row 2 has words without a score"):
            prior.to_eraser(tmp_path / "p.jsonl", list("abcd"))
        assert not list(tmp_path.iterdir())


class TestPolars:
    """Series of polars as X and y."""

    texts = [f"ann: play song{i}" for i in range(6)] + [f"bob: stop song{i}" for i in range(6)]
    labels = ["play"] * 6 + ["stop"] * 6

    @pytest.fixture
    def frame(self):
        return pytest.importorskip("polars").DataFrame({"text": self.texts, "label": self.labels})

    def test_prior(self, frame):
        prior = CAPPriorTransformer(FakeLLM(), cache=False, n_masks=4)
        expected = prior.fit_transform(self.texts, self.labels)
        assert prior.fit_transform(frame["text"], frame["label"]) == expected
        assert PriorMatrix(frame["text"]).texts.tolist() == self.texts

    def test_audit(self, frame):
        scores = [[-1, 2, 0.1]] * 12
        prior = PriorMatrix(frame["text"], scores)
        model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
        audit = ShortcutAudit(model, prior).fit(frame["text"], frame["label"])
        assert set(audit.shortcuts_["word"]) == {"ann", "bob"}

    @pytest.mark.parametrize("dtype", ["String", "Categorical"])
    def test_classifier(self, frame, make, dtype):
        polars = pytest.importorskip("polars")
        y = frame["label"].cast(getattr(polars, dtype))
        clf = make(guidance=None, max_epochs=1).fit(frame["text"], y)
        assert clf.classes_.tolist() == ["play", "stop"]
        probabilities = clf.predict_proba(self.texts)
        np.testing.assert_array_equal(clf.predict_proba(frame["text"]), probabilities)

    def test_missing_text_is_named(self, frame):
        polars = pytest.importorskip("polars")
        with pytest.raises(TypeError, match="row 1 is NoneType"):
            PriorMatrix(polars.Series(["a", None]))


@pytest.mark.parametrize(
    ("write", "missing", "extra"),
    [("to_parquet", "pyarrow.parquet", "parquet"), ("to_dataset", "datasets", "hub")],
)
def test_a_missing_library_is_named_with_its_extra(prior, monkeypatch, write, missing, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    path = [] if write == "to_dataset" else ["never-written"]
    with pytest.raises(ImportError, match=rf"pip install 'skcap\[{extra}\]'"):
        getattr(prior, write)(*path)
