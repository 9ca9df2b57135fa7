"""The commands as a user runs them, with a language model without weights and a tiny encoder."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from keyword_task import LABELS as KEYWORD_LABELS
from keyword_task import NEW_LABELS, NEW_TEXTS, TEXTS
from typer.testing import CliRunner

import skcap
from skcap import CAPPriorTransformer, FakeLLM, GuidedTextClassifier, PriorMatrix
from skcap.cli import app
from skcap.cli.labels import read_label_names
from skcap.cli.shortcuts import read_shortcuts
from skcap.cli.wording import in_options


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SKCAP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run():
    def command(*arguments, status=0, stdin=None):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        assert result.exit_code == status, result.output
        return result

    return command


def write_csv(path, texts, labels, **more):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", *more])
        writer.writerows(zip(texts, labels, *more.values(), strict=True))
    return path


def assert_same_prior(extracted, computed):
    """Compare scores; a file says besides which labels they are for."""
    assert len(extracted.provenance["labels_sha256"]) == 64
    provenance = {**computed.provenance, "labels_sha256": extracted.provenance["labels_sha256"]}
    assert extracted == PriorMatrix(computed.texts, computed.scores, provenance=provenance)


@pytest.fixture
def data(tmp_path):
    return write_csv(tmp_path / "data.csv", TEXTS, KEYWORD_LABELS)


@pytest.fixture
def new_data(tmp_path):
    return write_csv(tmp_path / "new.csv", NEW_TEXTS, NEW_LABELS, id=range(len(NEW_TEXTS)))


@pytest.fixture(scope="module")
def saved(make, tmp_path_factory):
    """Give the folder of a classifier that has learned the keywords."""
    folder = tmp_path_factory.mktemp("models") / "keywords"
    make(guidance=None).fit(TEXTS, KEYWORD_LABELS).save_pretrained(folder)
    return folder


# -- the frame ------------------------------------------------------------------------------------


def test_version_and_versions(run):
    assert run("--version").stdout == f"skcap {skcap.__version__}\n"
    assert "scikit-learn" in run("versions").stdout


def test_every_command_has_help(run):
    names = [command.callback.__name__ for command in app.registered_commands]
    assert len(names) == 11
    for name in names:
        assert "--help" in run(name, "--help").stdout


def test_usage_errors(run, data):
    assert "No such command" in run("nothing", status=2).stderr
    assert "--output" in run("extract", data, status=2).stderr
    assert "--guidance must be one of" in (
        run("train", data, "-o", "x", "--guidance", "hope", status=2).stderr
    )
    assert "needs a prior: give --prior" in (
        run("train", data, "-o", "x", "--guidance", "alignment", status=2).stderr
    )
    assert "or train with --guidance none" in run("train", data, "-o", "x", status=2).stderr
    assert "list what to swap with --shortcuts" in run("train", data, "-o", "x", status=2).stderr
    assert "must end in .npz" in run("extract", data, "-o", "x.csv", status=2).stderr
    assert "--prior must be a language model or a .npz file" in (
        run("audit", data, "--prior", data, status=2).stderr
    )
    assert "--prior would be made for nothing" in (
        run("train", data, "-o", "x", "--guidance", "none", "--prior", "fake", status=2).stderr
    )
    assert "are for --guidance swap" in (
        run("train", data, "-o", "x", "--guidance", "none", "--plain-words", status=2).stderr
    )
    assert "must end in .html" in run("report", "x", data, "-o", "x.txt", status=2).stderr
    assert "--folds 17 needs as many texts of each class, but 'alarm' has 16" in (
        run("compare", data, "--prior", "fake", "--folds", 17, status=2).stderr
    )
    assert "--unit must be one of" in (
        run("extract", data, "-o", "x.npz", "--prior", "fake", "--unit", "page", status=2).stderr
    )


def test_errors_are_a_line_and_a_status(run, data, tmp_path):
    shown = run("audit", tmp_path / "no.csv", status=1)
    assert shown.stderr == f"skcap: error: {tmp_path / 'no.csv'}: No such file or directory\n"
    assert shown.stdout == ""
    assert "no column 'intent'. Its columns are: 'text', 'label'" in (
        run("audit", data, "--label", "intent", status=1).stderr
    )
    assert "does not hold a trained model" in run("predict", tmp_path, data, status=1).stderr


def test_names_of_no_model_are_refused_before_the_work(run, data, saved, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeLLM, "log_likelihood", None)
    monkeypatch.setattr(GuidedTextClassifier, "fit", None)
    for command in (
        ["audit", data, "--prior", tmp_path / "no"],
        ["audit", data, "--prior", "fake", "--model", tmp_path / "no"],
        ["train", data, "--prior", "fake", "--model", tmp_path / "no", "-o", tmp_path / "m"],
        ["compare", data, "--prior", "fake", "--model", tmp_path / "no"],
    ):
        assert "there is no such folder" in run(*command, status=1).stderr
    shown = run("train", data, "--guidance", "none", "--model", saved, "-o", "x", status=2)
    assert "holds a trained classifier" in shown.stderr


def test_what_training_would_refuse_is_refused_before_the_prior_is_made(
    run, data, tmp_path, tiny_model, monkeypatch
):
    monkeypatch.setattr(FakeLLM, "log_likelihood", None)
    train = ["train", data, "--prior", "fake", "--guidance", "alignment", "--model", tiny_model()]
    out = ["-o", tmp_path / "m"]
    assert "--device must be auto or" in run(*train, *out, "--device", "gpu", status=2).stderr
    assert "--beta must be a float" in run(*train, *out, "--beta", "inf", status=2).stderr
    assert "4294967295" in run(*train, *out, "--seed", 2**32, status=2).stderr
    (tmp_path / "file").write_text("")
    shown = run(*train, "-o", tmp_path / "file" / "m", status=1)
    assert "--output: The folder" in shown.stderr
    assert "Choose a folder in a place that you may write to." in shown.stderr
    one = write_csv(tmp_path / "one.csv", TEXTS, ["rain"] * len(TEXTS))
    for command in (
        ["train", one, *train[2:], *out],
        ["audit", one],
        ["compare", one, *train[2:4]],
    ):
        shown = run(*command, status=1)
        assert "at least two classes, but all 48 have the label 'rain'" in shown.stderr


def test_pages_without_a_folder_are_refused_before_the_work(run, data, saved, tmp_path):
    page = tmp_path / "no" / "page.html"
    for command in (
        ["extract", data, "--prior", "fake", "-o", page.with_suffix(".npz")],
        ["audit", data, "--html", page],
        ["explain", saved, data, "--html", page],
        ["report", saved, data, "-o", page],
    ):
        shown = run(*command, status=1)
        assert f"cannot be written, since there is no folder {page.parent}." in shown.stderr
        assert shown.stdout == ""


def test_a_prior_of_other_labels_is_refused(run, data, saved, tmp_path):
    run("extract", data, "--prior", "fake", "-o", tmp_path / "prior.npz")
    other = write_csv(tmp_path / "other.csv", TEXTS, np.roll(KEYWORD_LABELS, 1))
    for command in (
        ["audit", other],
        ["compare", other],
        ["train", other, "-o", tmp_path / "m"],
        ["report", saved, other, "-o", tmp_path / "page.html"],
    ):
        shown = run(*command, "--prior", tmp_path / "prior.npz", status=1)
        assert "was extracted for other labels" in shown.stderr


def test_labels_that_only_the_test_file_has_are_refused(run, data, tmp_path):
    other = write_csv(tmp_path / "other.csv", NEW_TEXTS, [label.title() for label in NEW_LABELS])
    shown = run("compare", data, "--prior", "fake", "--test", other, status=1)
    assert "--test holds 3 labels that DATA does not have" in shown.stderr


def test_shortcuts_without_a_column_of_words(run, data, tmp_path):
    (tmp_path / "words.csv").write_text("token\nalarm\n")
    shown = run(
        "train", data, "-o", tmp_path / "m", "--shortcuts", tmp_path / "words.csv", status=1
    )
    assert "no column 'word'. Its columns are: 'token'. A table of shortcuts" in shown.stderr


def test_a_fixed_column_cannot_be_renamed(run, saved, tmp_path):
    data = write_csv(tmp_path / "data.csv", TEXTS, KEYWORD_LABELS, scores=KEYWORD_LABELS)
    shown = run("explain", saved, data, status=1)
    assert shown.stderr.endswith("would be overwritten. Rename it.\n")


def test_errors_and_warnings_speak_of_options(run, tmp_path, tiny_model):
    names = tmp_path / "names.json"
    names.write_text('{"alarm": "a clock", "music": "a song", "rian": "the weather"}')
    data = write_csv(tmp_path / "data.csv", TEXTS, KEYWORD_LABELS)
    train = ["train", data, "--model", tiny_model(), "--guidance", "none", "-o", tmp_path / "m"]
    shown = run(*train, "--label-names", names, status=1)
    assert shown.stderr.startswith("skcap: error: --label-names lacks 1 of the 3 classes")
    assert "label_weight" not in shown.stderr


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Say what they mean through label_names, or pass label_weight=0.",
            "Say what they mean with --label-names.",
        ),
        (
            "'swap' has none. Pass guidance='alignment', or leave beta at 1.",
            "'swap' has none. Give --guidance alignment, or leave --beta at 1.",
        ),
        ("beta=0.5 changes nothing: it weighs", "--beta 0.5 changes nothing: it weighs"),
        (
            "The 'n_jobs' parameter of compare_guidance must be an int. Got 0 instead.",
            "--jobs must be an int. Got 0 instead.",
        ),
        (
            "for the class. Pass the prior label_names that say what it is about.",
            "for the class. Give --label-names that say what it is about.",
        ),
        (
            "'label' is no parameter: keep 'text_names'",
            "'label' is no parameter: keep 'text_names'",
        ),
    ],
)
def test_parameters_become_options(message, expected):
    assert in_options(message) == expected


def test_debug_shows_the_error_itself(data, tmp_path):
    result = CliRunner().invoke(app, ["predict", str(tmp_path), str(data), "--debug"])
    assert isinstance(result.exception, ValueError)


# -- priors and audits ----------------------------------------------------------------------------


def test_extract_writes_what_the_library_computes(run, data, tmp_path):
    shown = run("extract", data, "--prior", "fake", "--masks", 4, "-o", tmp_path / "prior.npz")
    matrix = PriorMatrix.load(tmp_path / "prior.npz")
    expected = CAPPriorTransformer(FakeLLM(), n_masks=4, cache=False)
    assert_same_prior(matrix, expected.fit_transform(TEXTS, KEYWORD_LABELS))
    assert "48 texts, 0 of them in the cache" in shown.stderr
    assert "prior.npz: 48 texts, 240 words" in shown.stdout
    quiet = run("extract", data, "--prior", "fake", "--quiet", "-o", tmp_path / "prior.npz")
    assert quiet.stderr == ""


def test_extract_goes_on_where_it_was_stopped(run, data, tmp_path, monkeypatch):
    command = ["extract", data, "--prior", "fake", "-o", tmp_path / "prior.npz"]
    counted = []

    class Stops(FakeLLM):
        def log_likelihood(self, bodies, continuations, **frame):
            counted.append(1)
            if len(counted) > 20:
                raise KeyboardInterrupt
            return super().log_likelihood(bodies, continuations, **frame)

    monkeypatch.setattr(skcap, "FakeLLM", Stops)
    run(*command, status=130)
    assert not (tmp_path / "prior.npz").exists()
    monkeypatch.undo()
    monkeypatch.setenv("SKCAP_CACHE", str(tmp_path / "cache"))
    shown = run(*command, "--dry-run")
    assert "48 texts, 16 of them in the cache" in shown.stdout  # 4 were the estimate's trial
    assert run(*command[:-2], "--dry-run").stdout.startswith("48 texts, 16 of them in the cache")
    run(*command)
    assert "48 texts, 48 of them in the cache" in run(*command, "--dry-run").stdout


def test_audit_finds_what_was_planted(run, tmp_path):
    mark = {"alarm": "emma", "music": "jack", "rain": "ida"}
    texts = [f"{mark[label]} {text}" for text, label in zip(TEXTS, KEYWORD_LABELS, strict=True)]
    data = write_csv(tmp_path / "data.csv", texts, KEYWORD_LABELS)
    weights = {**dict.fromkeys(mark, 2.0), **dict.fromkeys(mark.values(), -1.0)}
    prior = PriorMatrix(texts, [[weights.get(w, 0.1) for w in text.split()] for text in texts])
    prior.save(tmp_path / "prior.npz")
    shown = run(
        "audit", data, "--model", "tfidf", "--prior", tmp_path / "prior.npz",
        "--html", tmp_path / "out.html", "-o", tmp_path / "out.csv",
    )  # fmt: skip
    assert shown.stdout.startswith("3 shortcuts were found")
    assert "'emma' occurs in 16 texts, all of class alarm, usually at the start" in shown.stdout
    assert "emma" in (tmp_path / "out.html").read_text()
    with open(tmp_path / "out.csv") as file:
        flagged = [row["word"] for row in csv.DictReader(file) if row["shortcut"] == "True"]
    assert set(flagged) == set(mark.values())


@pytest.mark.filterwarnings("default:There is no prior")
def test_audit_writes_nothing_but_the_table_to_stdout(run, data):
    shown = run("audit", data, "--model", "tfidf", "-o", "-")
    rows = list(csv.DictReader(shown.stdout.splitlines()))
    assert {"word", "label", "shortcut"} <= rows[0].keys()
    assert {row["label"] for row in rows} <= set(KEYWORD_LABELS)
    assert "candidates that go with a class" in shown.stderr
    assert "wrote" not in shown.stderr
    assert "candidates" not in run("audit", data, "--model", "tfidf", "-o", "-", "--quiet").stderr


@pytest.mark.filterwarnings("default")
def test_audit_without_a_prior_warns_in_a_line(run, data):
    shown = run("audit", data, "--model", "tfidf")
    assert "skcap: warning: There is no prior" in shown.stderr
    assert "UserWarning" not in shown.stderr


def test_an_audit_that_cannot_be_written_does_not_begin(run, data, tmp_path):
    shown = run("audit", data, "--model", "tfidf", "-o", tmp_path / "words.xlsx", status=2)
    assert "--output-format" in shown.stderr
    assert shown.stdout == ""


# -- classifiers ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default:There is no prior")
def test_train_predict_and_audit(run, data, new_data, tmp_path, tiny_model):
    folder = tmp_path / "model"
    train = [
        "train", data, "-o", folder, "--model", tiny_model("bert"), "--epochs", 2,
        "--prior", "fake", "--guidance", "alignment",
    ]  # fmt: skip
    assert "48 texts of 3 classes" in run(*train).stdout
    clf = GuidedTextClassifier.from_pretrained(folder)
    assert [type(item).__name__ for item in clf.guidance_] == ["AlignmentGuidance"]
    assert "Replace it with --overwrite" in run(*train, status=1).stderr
    run(*train, "--overwrite")
    shown = run("predict", folder, new_data)
    assert shown.stdout.splitlines()[0] == "text,label,id,prediction,prediction_probability"
    assert "candidates that go with a class" in run("audit", data, "--model", folder).stdout


def test_train_prints_what_swapping_found(run, data, tmp_path, tiny_model):
    shown = run(
        "train", data, "-o", tmp_path / "model", "--model", tiny_model("bert"), "--epochs", 1,
        "--prior", "fake", "--guidance", "swap",
    )  # fmt: skip
    assert "candidates that go with a class" in shown.stdout


def test_train_swaps_what_a_file_lists(run, data, tmp_path, tiny_model):
    common = ["train", data, "--model", tiny_model("bert"), "--epochs", 1, "--overwrite"]
    (tmp_path / "words.txt").write_text("alarm\n\nthe music\n")
    run(*common, "-o", tmp_path / "model", "--shortcuts", tmp_path / "words.txt")
    clf = GuidedTextClassifier.from_pretrained(tmp_path / "model")
    assert clf.guidance_[0].shortcuts_["kind"].tolist() == ["word", "phrase"]
    table = tmp_path / "words.csv"
    table.write_text("word,kind,shortcut\nalarm,word,True\nrain,word,False\n")
    run(*common, "-o", tmp_path / "model", "--shortcuts", table)
    clf = GuidedTextClassifier.from_pretrained(tmp_path / "model")
    assert clf.guidance_[0].shortcuts_["word"].tolist() == ["alarm"]
    table.write_text("word,shortcut\nalarm,False\n")
    shown = run(*common, "-o", tmp_path / "model", "--shortcuts", table, status=1)
    assert "names no shortcut" in shown.stderr
    table.write_text("word,kind,shortcut\nalarm,word,TRUE\nrain,word,FALSE\n")  # a spreadsheet's
    run(*common, "-o", tmp_path / "model", "--shortcuts", table)
    clf = GuidedTextClassifier.from_pretrained(tmp_path / "model")
    assert clf.guidance_[0].shortcuts_["word"].tolist() == ["alarm"]
    table.write_text("word,shortcut\nalarm,maybe\n")
    shown = run(*common, "-o", tmp_path / "model", "--shortcuts", table, status=1)
    assert "must say yes or no, got 'maybe' for the word 'alarm'" in shown.stderr


def test_lists_and_names_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "words.txt").write_text("***\nalarm\n", encoding="utf-8-sig")
    assert read_shortcuts(tmp_path / "words.txt")["word"].tolist() == ["***", "alarm"]
    (tmp_path / "names.json").write_text('{"0": "alarm"}', encoding="utf-8-sig")
    assert read_label_names(tmp_path / "names.json") == {"0": "alarm"}
    (tmp_path / "words.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match=r"--shortcuts: .*words\.txt is not UTF-8: .*Save it"):
        read_shortcuts(tmp_path / "words.txt")


@pytest.mark.filterwarnings("default")
def test_labels_that_are_numbers(run, tmp_path, make, tiny_model):
    codes = np.unique(KEYWORD_LABELS, return_inverse=True)[1]
    data = write_csv(tmp_path / "data.csv", TEXTS, codes)
    clf = make(guidance=None).fit(TEXTS, codes)
    clf.save_pretrained(tmp_path / "model")
    shown = run("report", tmp_path / "model", data, "-o", tmp_path / "report.html")
    assert f"accuracy {clf.score(TEXTS, codes):.3f}" in shown.stdout
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"0": "alarm", "1": "music", "2": "rain"}))
    trained = ["audit", data, "--model", tmp_path / "model", "--prior", "fake"]
    assert "The labels are numbers" in run(*trained).stderr
    assert "The labels are numbers" not in run(*trained, "--label-names", names).stderr
    other = write_csv(tmp_path / "other.csv", TEXTS[:2], [0, 9])
    shown = run("report", tmp_path / "model", other, "-o", tmp_path / "report.html", status=1)
    assert "does not know 1 of the labels, such as '9'; it knows '0', '1', '2'" in shown.stderr

    extract = ["extract", data, "--prior", "fake", "-o", tmp_path / "prior.npz"]
    assert "The labels are numbers" in run(*extract).stderr
    assert "The labels are numbers" not in run(*extract, "--label-names", names).stderr
    cap = CAPPriorTransformer(FakeLLM(), label_names=["alarm", "music", "rain"], cache=False)
    assert_same_prior(PriorMatrix.load(tmp_path / "prior.npz"), cap.fit_transform(TEXTS, codes))
    audit = ["audit", data, "--prior", "fake", "--model", tiny_model("bert"), "--epochs", 1]
    assert "The labels are numbers" in run(*audit).stderr
    assert "The labels are numbers" not in run(*audit, "--label-names", names).stderr
    make(guidance=None).fit(TEXTS, codes.astype(float)).save_pretrained(tmp_path / "floats")
    run("report", tmp_path / "floats", data, "-o", tmp_path / "report.html")
    names.write_text("[1]")
    assert "must hold one JSON object" in run(*extract, "--label-names", names, status=1).stderr


def test_predict_keeps_columns_and_streams(run, saved, new_data, tmp_path, monkeypatch):
    monkeypatch.setattr("skcap.cli.predict._CHUNK", 7)
    asked = []
    original = GuidedTextClassifier.predict_proba

    def predict_proba(self, X):
        asked.append(len(X))
        return original(self, X)

    monkeypatch.setattr(GuidedTextClassifier, "predict_proba", predict_proba)
    shown = run("predict", saved, new_data, "--all-classes", "--column", "guess")
    assert asked == [7, 7, 7, 7, 2]
    rows = list(csv.DictReader(shown.stdout.splitlines()))
    clf = GuidedTextClassifier.from_pretrained(saved)
    assert [row["id"] for row in rows] == [str(number) for number in range(30)]
    assert [row["guess"] for row in rows] == clf.predict(NEW_TEXTS).tolist()
    p = [[float(row[f"guess_probability_{label}"]) for label in clf.classes_] for row in rows]
    np.testing.assert_allclose(p, clf.predict_proba(NEW_TEXTS), atol=1e-5)
    np.testing.assert_allclose(
        [float(row["guess_probability"]) for row in rows], np.max(p, axis=1), atol=1e-6
    )


def test_predict_reads_stdin_and_writes_json_lines(run, saved, tmp_path):
    lines = "".join(json.dumps({"query": text, "id": [1]}) + "\n" for text in NEW_TEXTS[:3])
    out = tmp_path / "out.jsonl"
    shown = run(
        "predict", saved, "-", "--input-format", "jsonl", "--text", "query", "-o", out, stdin=lines
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [[1]] * 3
    assert shown.stdout == ""
    again = run("predict", saved, out, "--text", "query", status=1)
    assert "has a column 'prediction' already" in again.stderr
    late = lines + json.dumps({"query": "play", "prediction": "mine"}) + "\n"
    again = run(
        "predict", saved, "-", "--input-format", "jsonl", "--text", "query", stdin=late, status=1
    )
    assert "has a column 'prediction' already" in again.stderr


def test_bad_rows_are_skipped_on_request(run, saved, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text,id\nset the alarm,1\n,2\nplay music,3\n")
    assert "line 3: the text is empty" in run("predict", saved, data, status=1).stderr
    shown = run("predict", saved, data, "--skip-bad-rows")
    assert "1 of 3 rows" in shown.stderr
    assert [row["id"] for row in csv.DictReader(shown.stdout.splitlines())] == ["1", "3"]


def test_explain(run, saved, new_data, tmp_path):
    shown = run("explain", saved, new_data, "--html", tmp_path / "page.html")
    rows = [json.loads(line) for line in shown.stdout.splitlines()]
    clf = GuidedTextClassifier.from_pretrained(saved)
    expected = clf.explain(NEW_TEXTS)
    assert [row["words"] for row in rows] == expected.words
    for row, scores in zip(rows, expected.scores, strict=True):
        np.testing.assert_allclose(row["scores"], scores, atol=1e-4)
    assert "<html" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explain", "--column", "words"], "--column must not be words or scores"),
        (["explain", "--column", "scores"], "--column must not be words or scores"),
        (["explain", "--column", ""], "--column must be a name"),
        (["predict", "--column", " "], "--column must be a name"),
    ],
)
def test_columns_that_would_lose_what_is_predicted(run, tmp_path, arguments, message):
    command, *options = arguments  # nothing is read: neither the model nor the file is there
    shown = run(command, tmp_path / "model", tmp_path / "new.csv", *options, status=2)
    assert message in " ".join(shown.stderr.replace("│", "").split())


def test_report(run, saved, new_data, tmp_path):
    pytest.importorskip("matplotlib")
    prior = tmp_path / "prior.npz"
    PriorMatrix(NEW_TEXTS, [[1.0] * 5] * 30).save(prior)
    page = tmp_path / "report.html"
    shown = run("report", saved, new_data, "-o", page, "--prior", prior, "--baseline", saved)
    assert "accuracy" in shown.stdout
    assert "Against the baseline" in page.read_text()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_compare(run, data, new_data, tiny_model, elsewhere):
    options = ["--test", new_data] if elsewhere else []
    shown = run(
        "compare", data, "--prior", "fake", "--guidance", "alignment", "--epochs", 1,
        "--model", tiny_model("bert"), "--folds", 2, *options,
    )  # fmt: skip
    assert "shuffled" in shown.stdout
    assert "over unguided" in shown.stdout
    assert ("Held-out texts share the accidents" in shown.stdout) != elsewhere
    assert "leaves nothing to compare" in (
        run("compare", data, "--prior", "fake", "--guidance", "none", status=2).stderr
    )


@pytest.mark.slow
def test_export(run, saved, tmp_path):
    pytest.importorskip("onnxscript")
    shown = run("export", saved, "-o", tmp_path / "model.onnx")
    assert shown.stdout.strip().endswith("model.onnx")
    assert (tmp_path / "model.onnx").stat().st_size > 1000
    assert run("export", saved, "-o", tmp_path / "model.pt", status=2)


# -- as a process ---------------------------------------------------------------------------------


def heed_interrupts():
    """A shell has what it starts in the background ignore them, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, **options):
    command = [sys.executable, "-m", "skcap", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, preexec_fn=heed_interrupts, **pipes, **options)


def test_as_a_process(data, tmp_path):
    environment = {**os.environ, "NO_COLOR": "1"}
    process = start("audit", data, "--model", "tfidf", "--prior", "fake", env=environment)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "candidates that go with a class" in out
    assert "\x1b" not in out + err


def test_an_interrupt_is_130(tmp_path):
    pipe = tmp_path / "data.csv"
    os.mkfifo(pipe)  # nothing is ever written to it, so the command waits
    process = start("audit", pipe)
    writer = None
    while writer is None and process.poll() is None:
        with contextlib.suppress(OSError):  # until the command reads
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.1)
    assert writer is not None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    os.close(writer)
    assert process.returncode == 130
    assert err.endswith("skcap: interrupted\n")
    assert "Traceback" not in err
