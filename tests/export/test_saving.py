"""save_pretrained and from_pretrained: nothing is lost, nothing is written by halves."""

import json
import shutil
import warnings
from enum import Enum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fresh_process import MIXED_TEXTS, run
from keyword_task import LABELS, NEW_LABELS, NEW_TEXTS, PRIOR, TEXTS
from sklearn.base import clone
from skorch.callbacks import EarlyStopping

from skcap.classifier import GuidedTextClassifier
from skcap.export import NotSaved
from skcap.export.folder import check_target
from skcap.guidance import BaseGuidance, RationaleGuidance, SwapGuidance
from skcap.models import ModelLoadError

load = GuidedTextClassifier.from_pretrained


@pytest.fixture(scope="module")
def saved(plain, tmp_path_factory):
    """Give a folder that tests must leave as it is."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    plain.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copied")


# -- the same classifier --------------------------------------------------------------------------

PREDICT = """
from skcap.classifier import GuidedTextClassifier
clf = GuidedTextClassifier.from_pretrained(folder, device="cpu")
p = clf.predict_proba(given["texts"]).tolist()
needless = [name for name in sys.modules if name.startswith(("skcap.llm", "skcap.priors"))]
print(json.dumps({"p": p, "labels": clf.predict(given["texts"]).tolist(), "needless": needless}))
"""


def test_a_fresh_process_predicts_the_same_without_language_models(plain, saved):
    answer = run(PREDICT, saved, texts=MIXED_TEXTS)
    np.testing.assert_allclose(answer["p"], plain.predict_proba(MIXED_TEXTS), atol=1e-6)
    assert answer["labels"] == plain.predict(MIXED_TEXTS).tolist()
    assert answer["needless"] == []


def test_what_is_loaded_does_all_that_a_fitted_classifier_does(plain, saved):
    loaded = load(saved, device="cpu")
    encoder = NotSaved(f"the path of the folder {Path(plain.model).name!r}")
    assert loaded.get_params() == {**plain.get_params(), "model": encoder}
    np.testing.assert_array_equal(loaded.classes_, plain.classes_)
    np.testing.assert_allclose(
        loaded.decision_function(MIXED_TEXTS), plain.decision_function(MIXED_TEXTS), atol=1e-6
    )
    assert loaded.score(NEW_TEXTS, NEW_LABELS) == plain.score(NEW_TEXTS, NEW_LABELS)
    for ours, theirs in zip(
        loaded.explain(NEW_TEXTS[:3]), plain.explain(NEW_TEXTS[:3]), strict=True
    ):
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-5)
    assert loaded.training_data_ == plain.training_data_
    assert loaded.training_data_["n_texts"] == len(TEXTS)


def test_refitting_from_loaded_parameters_gives_the_same_model(plain, saved):
    again = clone(load(saved, device="cpu")).set_params(model=plain.model).fit(TEXTS, LABELS)
    np.testing.assert_allclose(
        again.predict_proba(NEW_TEXTS), plain.predict_proba(NEW_TEXTS), atol=1e-6
    )


def test_a_loaded_classifier_is_saved_again_as_it_was(saved, tmp_path):
    load(saved, device="cpu").save_pretrained(tmp_path / "again")
    first, second = (
        json.loads((at / "skcap.json").read_text()) for at in (saved, tmp_path / "again")
    )
    for record in (first, second):  # it names defaults the second time
        del record["files"]["0_Transformer/tokenizer_config.json"]
    assert first == second


@pytest.mark.parametrize(
    "values",
    [
        np.array([3, 7, 11]),
        np.array([3, 7, 11], dtype=np.int16),
        np.array([1.0, 2.0, 4.0]),
        np.array(["a", "ünï", "ж|`"]),
        np.array(["a", "b", "c"], dtype=object),
    ],
    ids=lambda values: str(values.dtype),
)
def test_labels_come_back_with_their_type(make, tmp_path, values):
    y = values[np.arange(len(TEXTS)) % 3]
    fitted = make(guidance=None, max_epochs=1).fit(TEXTS, y)
    fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert loaded.predict(NEW_TEXTS).tolist() == fitted.predict(NEW_TEXTS).tolist()


def test_two_boolean_classes(make, tmp_path):
    fitted = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS == "rain")
    fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.classes_.dtype == bool
    margins = loaded.decision_function(NEW_TEXTS)
    assert margins.shape == (len(NEW_TEXTS),)
    np.testing.assert_allclose(margins, fitted.decision_function(NEW_TEXTS), atol=1e-6)
    assert ((margins > 0) == loaded.predict(NEW_TEXTS)).all()


def test_labels_that_json_cannot_hold(make, tmp_path):
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    fitted = make(guidance=None, max_epochs=1).fit(TEXTS, np.arange(48) % 2)
    fitted.classes_ = days
    with pytest.raises(ValueError, match=r"datetime64\[D\] cannot be saved.*Train on strings"):
        fitted.save_pretrained(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# -- parameters and guidance ----------------------------------------------------------------------


def test_guidance_comes_back_with_its_parameters_and_what_it_swapped(make, tmp_path):
    marks = np.where(LABELS == "rain", "paris", "noon")
    marked = [f"{mark} {text}" for mark, text in zip(marks, TEXTS, strict=True)]
    table = pd.DataFrame({"word": ["paris", "noon"], "label": ["rain", None]})
    fitted = make(guidance=SwapGuidance(table, drop=0.25), max_epochs=1).fit(marked, LABELS)
    fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    (guidance,) = loaded.guidance_
    assert repr(guidance).startswith("SwapGuidance(drop=0.25")
    assert guidance.n_rounds_ == 1
    pd.testing.assert_frame_equal(guidance.shortcuts_, fitted.guidance_[0].shortcuts_)
    again = loaded.set_params(model=fitted.model).fit(marked, LABELS)
    np.testing.assert_allclose(
        again.predict_proba(NEW_TEXTS), fitted.predict_proba(NEW_TEXTS), atol=1e-6
    )


def test_parameters_of_many_types_come_back(make, tmp_path):
    given = {
        "guidance": ["adversarial", RationaleGuidance(share=0.25)],
        "label_names": lambda label: f"the {label}",
        "label_weight": np.float32(0.5),
        "class_weight": {"alarm": 1, "music": 2.0, "rain": np.int64(3)},
        "optimizer__betas": (0.9, 0.98),
        "max_epochs": 1,
    }
    make(**given).fit(PRIOR, LABELS).save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu").get_params()
    assert repr(loaded["guidance"]) == "['adversarial', RationaleGuidance(share=0.25)]"
    assert loaded["label_names"] == {key: f"the {key}" for key in ("alarm", "music", "rain")}
    for name in ("label_weight", "class_weight", "optimizer__betas"):
        assert loaded[name] == given[name]
        assert type(loaded[name]) is type(given[name])


class Own(BaseGuidance):
    """Does nothing."""


def test_what_json_cannot_hold_is_told_and_must_be_set_before_a_refit(make, tmp_path):
    fitted = make(
        guidance=Own(),
        callbacks=[EarlyStopping("train_loss")],
        optimizer__betas=(0.9, 0.98),
        max_epochs=1,
    ).fit(TEXTS, LABELS)
    with pytest.warns(UserWarning, match="Not saved.*: callbacks, guidance"):
        fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.get_params()["callbacks"] == NotSaved("list")
    np.testing.assert_allclose(
        loaded.predict_proba(NEW_TEXTS), fitted.predict_proba(NEW_TEXTS), atol=1e-6
    )
    loaded.set_params(model=fitted.model)
    with pytest.raises(ValueError, match=r"callbacks is <not saved: list>.*callbacks, guidance"):
        loaded.fit(TEXTS, LABELS)
    loaded.set_params(guidance=None, callbacks=None).fit(TEXTS, LABELS)


def test_secrets_and_places_on_this_machine_are_not_written(make, tmp_path):
    private = {"proxies": {"https": "http://me:hf_secret@proxy"}, "token": "hf_secret"}
    private["trust_remote_code"] = True
    fitted = make(guidance=None, max_epochs=1, model_kwargs={**private, "local_files_only": True})
    fitted.fit(TEXTS, LABELS)
    told = r"\['proxies'\], model_kwargs\['token'\], model_kwargs\['trust_remote_code'\]\. Set"
    with pytest.warns(UserWarning, match=told):
        fitted.save_pretrained(tmp_path / "model")
    for path in (tmp_path / "model").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert b"hf_secret" not in content
            assert str(Path(fitted.model).parent).encode() not in content
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.model_kwargs == {"local_files_only": True}
    with pytest.raises(ValueError, match="model is <not saved: the path of the folder 'bert"):
        loaded.fit(TEXTS, LABELS)


def test_parameters_set_after_fit_are_not_those_of_the_model(make, tmp_path):
    clf = make(guidance=None, max_epochs=1).fit(TEXTS, LABELS)
    expected = clf.predict_proba(NEW_TEXTS)
    clf.set_params(pooling="cls", normalize_embeddings=not clf.normalize_embeddings, lr=5.0)
    clf.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(loaded.predict_proba(NEW_TEXTS), expected, atol=1e-6)
    assert loaded.pooling == "mean"
    assert loaded.lr != 5.0


def test_parameters_changed_in_place_after_fit_are_not_those_of_the_model(make, tmp_path):
    clf = make(guidance=RationaleGuidance(share=0.5), class_weight={"alarm": 2.0}, max_epochs=1)
    clf.fit(PRIOR, LABELS)
    fitted = clf.model
    clf.set_params(guidance__share=0.9, model="other")
    clf.class_weight["alarm"] = 7.0
    clf.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.guidance.share == 0.5
    assert loaded.class_weight == {"alarm": 2.0}
    assert clf.explain(TEXTS[:1], n_steps=2).provenance["model"] == fitted
    loaded.class_weight["alarm"] = 7.0
    loaded.save_pretrained(tmp_path / "again")
    assert load(tmp_path / "again").class_weight == {"alarm": 2.0}


def test_label_names_in_a_column_are_saved(make, tmp_path):
    names = pd.Series({"rain": "the weather", "music": "a song", "alarm": "a clock"})
    make(guidance=None, max_epochs=1, label_names=names).fit(TEXTS, LABELS).save_pretrained(
        tmp_path / "model"
    )
    loaded = GuidedTextClassifier.from_pretrained(tmp_path / "model")
    assert loaded.label_names == names.to_dict()


def test_label_names_that_no_fit_has_looked_at_need_not_be_saved(make, tmp_path):
    quick = {"guidance": None, "max_epochs": 1, "label_weight": 0}
    for number, names in enumerate([lambda label: "same", {}.__getitem__]):
        fitted = make(label_names=names, **quick).fit(TEXTS, LABELS)
        with pytest.warns(UserWarning, match="Not saved.*: label_names"):
            fitted.save_pretrained(tmp_path / str(number))
        loaded = load(tmp_path / str(number), device="cpu")
        assert isinstance(loaded.label_names, NotSaved)
        assert loaded.predict(NEW_TEXTS).tolist() == fitted.predict(NEW_TEXTS).tolist()


def test_labels_that_are_members_of_an_enumeration_are_saved_by_value(make, tmp_path):
    class Label(str, Enum):  # noqa: UP042
        ALARM, MUSIC, RAIN = "alarm", "music", "rain"

    names = {label: f"the {label.value}" for label in Label}
    fitted = make(
        guidance=None, max_epochs=1, label_names=names, class_weight=dict.fromkeys(Label, 2)
    )
    fitted.fit(TEXTS, [Label(label) for label in LABELS]).save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert loaded.label_names == {label.value: f"the {label.value}" for label in Label}
    assert loaded.class_weight == {"alarm": 2, "music": 2, "rain": 2}


def test_whether_a_prior_is_needed_is_not_known_without_the_guidance(make, tmp_path):
    fitted = make(guidance=Own(), max_epochs=1).fit(TEXTS, LABELS)
    with pytest.warns(UserWarning, match="Not saved"):
        fitted.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    assert not hasattr(loaded, "needs_prior")
    with pytest.raises(AttributeError, match="guidance is <not saved: Own>"):
        loaded.needs_prior  # noqa: B018
    assert not loaded.set_params(guidance=None).needs_prior


def test_what_is_loaded_in_inference_mode_can_be_explained(plain, saved):
    with torch.inference_mode():
        loaded = load(saved, device="cpu")
    assert loaded.explain(NEW_TEXTS[:1], n_steps=2) is not None


def test_what_is_saved_of_an_audit_survives_another_save(make, tmp_path):
    clf = make(guidance="swap", max_epochs=1).fit(PRIOR, LABELS)
    clf.save_pretrained(tmp_path / "first")
    loaded = load(tmp_path / "first", device="cpu")
    loaded.save_pretrained(tmp_path / "second")
    records = [json.loads((tmp_path / f / "skcap.json").read_text()) for f in ("first", "second")]
    assert records[0]["audit"]["summary"]
    assert records[1]["audit"] == records[0]["audit"]
    again = loaded.set_params(model=clf.model, guidance=None).fit(TEXTS, LABELS)
    again.save_pretrained(tmp_path / "third")
    assert json.loads((tmp_path / "third/skcap.json").read_text())["audit"] is None


def test_tables_of_shortcuts_of_all_kinds_are_saved(make, tmp_path):
    by_word = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["please", "now"], name="word"))
    clf = make(guidance=SwapGuidance(by_word), max_epochs=1).fit(TEXTS, LABELS)
    clf.save_pretrained(tmp_path / "index")
    loaded = load(tmp_path / "index", device="cpu")
    assert loaded.guidance.shortcuts["word"].tolist() == ["please", "now"]
    loaded.set_params(model=clf.model).fit(TEXTS, LABELS)
    dated = pd.DataFrame({"word": ["please"], "checked": [pd.Timestamp("2026-01-01")]})
    clf = make(guidance=SwapGuidance(dated), max_epochs=1).fit(TEXTS, LABELS)
    with pytest.warns(UserWarning, match=r"guidance_.shortcuts_\['checked'\]"):
        clf.save_pretrained(tmp_path / "dated")
    loaded = load(tmp_path / "dated", device="cpu")
    assert loaded.guidance_[0].shortcuts_.columns.tolist() == ["word", "label", "kind"]


def test_what_batches_are_drawn_with_need_not_be_saved_to_predict(make, tmp_path):
    clf = make(guidance=None, max_epochs=1, iterator_valid__generator=torch.Generator())
    clf.fit(TEXTS, LABELS)
    with pytest.warns(UserWarning, match="iterator_valid__generator"):
        clf.save_pretrained(tmp_path / "model")
    loaded = load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(
        loaded.predict_proba(NEW_TEXTS), clf.predict_proba(NEW_TEXTS), atol=1e-6
    )


# -- folders --------------------------------------------------------------------------------------


def test_there_are_no_pickles(saved):
    kinds = {path.suffix for path in saved.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".safetensors", ".md", ".txt"}


def test_a_folder_is_replaced_only_when_asked_for_and_only_ours(plain, copied, tmp_path):
    with pytest.raises(FileExistsError, match="overwrite=True"):
        plain.save_pretrained(copied)
    plain.save_pretrained(copied, overwrite=True)
    (copied / "notes").mkdir()
    (copied / "notes" / "stray.bin").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"besides the saved classifier.*notes/stray\.bin"):
        plain.save_pretrained(copied, overwrite=True)
    assert (copied / "notes" / "stray.bin").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    plain.save_pretrained(foreign)  # it is empty
    shutil.rmtree(foreign)
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="never replaced"):
        plain.save_pretrained(foreign, overwrite=True)
    assert (foreign / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_the_old_folder_and_nothing_else(plain, copied, monkeypatch):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    monkeypatch.setattr("skcap.export.write_record", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plain.save_pretrained(copied, overwrite=True)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before
    assert list(copied.parent.iterdir()) == [copied]


def test_a_folder_that_cannot_be_made_is_refused_with_a_remedy(plain, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"nothing can be made in .*file': that is not a folder\. Ch"):
        plain.save_pretrained(tmp_path / "file" / "deep" / "model")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")
def test_a_folder_that_takes_no_files_is_found_out_by_trying():
    with pytest.raises(OSError, match="'/proc/model' cannot be written, since nothing can be made"):
        check_target("/proc/model", overwrite=False)


def test_the_home_folder_may_be_a_tilde(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    plain.save_pretrained("~/model")
    assert (tmp_path / "model" / "skcap.json").is_file()
    assert load("~/model", device="cpu").predict(NEW_TEXTS[:2]).tolist() == (
        plain.predict(NEW_TEXTS[:2]).tolist()
    )


def test_a_link_leads_to_the_folder_that_is_replaced(plain, copied, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(copied)
    before = copied.stat().st_ino
    plain.save_pretrained(link, overwrite=True)
    assert link.is_symlink()
    assert copied.stat().st_ino != before
    load(link)


@pytest.mark.parametrize("kind", ["working directory", "mount"])
def test_a_folder_that_cannot_be_moved_is_filled(plain, tmp_path, monkeypatch, kind):
    folder = tmp_path / "volume"
    folder.mkdir()
    before = folder.stat().st_ino
    if kind == "mount":
        monkeypatch.setattr("pathlib.Path.is_mount", lambda path: path == folder)
    else:
        monkeypatch.chdir(folder)
    path = folder if kind == "mount" else "."
    plain.save_pretrained(path)
    load(path)
    plain.save_pretrained(path, overwrite=True)
    load(path)
    assert folder.stat().st_ino == before
    assert not [name for name in folder.iterdir() if name.name.startswith(".")]
    (folder / "stray.bin").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"stray\.bin"):
        plain.save_pretrained(path, overwrite=True)


def edit_record(folder, **changes):
    record = json.loads((folder / "skcap.json").read_text())
    (folder / "skcap.json").write_text(json.dumps({**record, **changes}))


def remove_weights(folder):
    (folder / "3_Dense/model.safetensors").unlink(missing_ok=True)


def forget_weights(folder):
    """Remove the head from the folder and from the list of its files."""
    remove_weights(folder)
    files = json.loads((folder / "skcap.json").read_text())["files"]
    del files["3_Dense/model.safetensors"]
    edit_record(folder, files=files)


def change_weights(folder):
    path = folder / "0_Transformer/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


FAULTS = {
    "There is no folder": shutil.rmtree,
    "has no skcap.json": lambda folder: (folder / "skcap.json").unlink(),
    "is damaged: Expecting": lambda folder: (folder / "skcap.json").write_text("{"),
    "holds no mapping": lambda folder: (folder / "skcap.json").write_text("[]"),
    "was not written by save_pretrained": lambda folder: edit_record(folder, format="other"),
    "has format version 2, .* reads 1": lambda folder: edit_record(folder, format_version=2),
    "damaged: KeyError": lambda folder: (folder / "skcap.json").write_text(
        '{"format": "skcap.GuidedTextClassifier", "format_version": 1}'
    ),
    "files elsewhere": lambda folder: edit_record(folder, files={"../other.json": "0"}),
    "lacks: 3_Dense/model.safetensors": remove_weights,
    "has changed files: 0_Transformer/model.safetensors": change_weights,
    "not written with it: added_tokens.json": lambda folder: (
        folder / "0_Transformer/added_tokens.json"
    ).write_text("{}"),
    "damaged, or was written by another": lambda folder: edit_record(
        folder, parameters={"nonsense": 1}
    ),
    "is damaged, .*is not a value": lambda folder: edit_record(
        folder, parameters={"guidance": {"python": "os.system"}}
    ),
    r"another version of skcap \(unknown\): TypeError": lambda folder: edit_record(
        folder, versions=None, classes=3
    ),
    r"format version 9, .*\(unknown\)": lambda folder: edit_record(
        folder, versions=["0.1"], format_version=9
    ),
    "max_length must be .*, got 'x'": lambda folder: edit_record(folder, max_length="x"),
    r"max_length must be .*64\], got 999": lambda folder: edit_record(folder, max_length=999),
    "is damaged: maximum recursion": lambda folder: (folder / "skcap.json").write_text(
        "[" * 100_000
    ),
    "is damaged, .*3_Dense/model.safetensors": forget_weights,
    "is damaged, .*size mismatch": lambda folder: edit_record(
        folder, classes={"array": ["<U1", ["a", "b"]]}
    ),
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_are_named(copied, message):
    FAULTS[message](copied)
    with pytest.raises(ModelLoadError, match=message):
        load(copied, device="cpu")


def test_a_full_memory_is_not_taken_for_damage(copied, monkeypatch):
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("no memory left")

    monkeypatch.setattr("skcap.classifier.saving.load_tokenizer", full)
    with pytest.raises(torch.cuda.OutOfMemoryError, match="no memory left"):
        load(copied, device="cpu")


def test_the_model_card_may_be_edited(copied):
    (copied / "README.md").write_text("mine")
    load(copied, device="cpu")


def test_an_encoder_whose_code_is_not_in_transformers(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(type(plain.net_.module_.encoder), "__module__", "transformers_modules.own")
    with pytest.raises(ValueError, match="trust_remote_code"):
        plain.save_pretrained(tmp_path / "model")


@pytest.mark.parametrize("scores", [{"accuracy": "high"}, {1: 0.5}, [0.5], {"a": float("nan")}])
def test_scores_that_are_none(plain, tmp_path, scores):
    with pytest.raises(ValueError, match="scores must map names to finite numbers"):
        plain.save_pretrained(tmp_path / "model", scores=scores)


@pytest.mark.parametrize("card", ["mit", ["mit"], {"license": object()}, {1: "mit"}])
def test_a_header_that_is_none(plain, tmp_path, card):
    with pytest.raises(ValueError, match="card must map names of fields"):
        plain.save_pretrained(tmp_path / "model", card=card)
    assert not (tmp_path / "model").exists()


def test_nothing_is_said_while_saving_and_loading(plain, tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain.save_pretrained(tmp_path / "model")
        load(tmp_path / "model", device="cpu")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
