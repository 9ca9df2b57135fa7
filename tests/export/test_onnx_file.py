"""ONNX files, run by onnxruntime and tokenizers alone."""

import json

import numpy as np
import pytest
from fresh_process import MIXED_TEXTS, run
from keyword_task import LABELS, TEXTS
from tiny_models import FAMILIES

from skcap.classifier import GuidedTextClassifier
from skcap.datasets import load_assistant_intents

pytestmark = pytest.mark.filterwarnings("ignore:.*texts are longer than max_length")

SERVE = """
import numpy as np, onnxruntime, tokenizers
tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
session = onnxruntime.InferenceSession(folder + "/model.onnx", providers=["CPUExecutionProvider"])
p, logits = [], []
for size in (1, len(given["texts"])):
    for start in range(0, len(given["texts"]), size):
        rows = tokenizer.encode_batch(given["texts"][start : start + size])
        inputs = {
            "input_ids": np.array([row.ids for row in rows]),
            "attention_mask": np.array([row.attention_mask for row in rows]),
        }
        outputs = session.run(["probabilities", "logits"], inputs)
        p += outputs[0].tolist()
        logits += outputs[1].tolist()
assert not {"torch", "transformers", "skcap"} & set(sys.modules)
metadata = session.get_modelmeta().custom_metadata_map
shapes = [list(item.shape) for item in session.get_inputs()]
print(json.dumps({"p": p, "logits": logits, "metadata": metadata, "shapes": shapes}))
"""


@pytest.fixture(autouse=True)
def packages():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)


def check(fitted, folder, texts):
    answer = run(SERVE, folder, texts=texts)
    expected = fitted.predict_proba(texts)
    np.testing.assert_allclose(answer["p"], np.tile(expected, (2, 1)), atol=1e-5)
    np.testing.assert_allclose(
        answer["logits"], np.tile(fitted.decision_function(texts), (2, 1)), atol=1e-5
    )
    return answer


def test_onnxruntime_and_tokenizers_are_enough(make, tmp_path):
    fitted = make(guidance=None, max_epochs=1, max_length=9).fit(TEXTS, LABELS)
    fitted.export_onnx(tmp_path / "new" / "model.onnx")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"model.onnx", "tokenizer.json"}
    answer = check(fitted, tmp_path / "new", MIXED_TEXTS)
    assert json.loads(answer["metadata"]["labels"]) == fitted.classes_.tolist()
    assert answer["metadata"]["max_length"] == "9"
    assert answer["shapes"] == [["batch", "length"]] * 2
    with pytest.raises(FileExistsError, match=r"model.onnx.*overwrite=True"):
        fitted.export_onnx(tmp_path / "new" / "model.onnx")
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        fitted.export_onnx(tmp_path / "new")


def test_a_saved_classifier_stays_loadable(make, tmp_path):
    clf = make(guidance=None, max_epochs=1, pooling="cls", normalize_embeddings=False)
    clf.fit(TEXTS, LABELS).save_pretrained(tmp_path / "model")
    with pytest.raises(FileExistsError, match="belongs to a saved classifier"):
        clf.export_onnx(tmp_path / "model" / "model.onnx", overwrite=True)
    type(clf).from_pretrained(tmp_path / "model", device="cpu")


def test_another_tokenizer_is_not_replaced(plain, tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FileExistsError, match=r"tokenizer\.json"):
        plain.export_onnx(tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


def test_a_link_leads_to_the_file_that_is_replaced(plain, tmp_path):
    (tmp_path / "versions").mkdir()
    target, link = tmp_path / "versions" / "first.onnx", tmp_path / "model.onnx"
    target.write_bytes(b"old")
    link.symlink_to(target)
    plain.export_onnx(link, overwrite=True)
    assert link.is_symlink()
    assert target.stat().st_size > 1000
    assert [path.name for path in target.parent.iterdir()] == ["first.onnx"]


def test_a_folder_is_refused_before_the_work(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("skcap.export.onnx_file._export", lambda served: pytest.fail("work"))
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        plain.export_onnx(tmp_path / "model.onnx", overwrite=True)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_every_family(make, tiny_model, tmp_path, family, pooling):
    fitted = make(
        model=tiny_model(family),
        guidance=None,
        max_epochs=1,
        pooling=pooling,
        normalize_embeddings=pooling == "mean",
    ).fit(TEXTS, LABELS)
    fitted.export_onnx(tmp_path / "model.onnx")
    check(fitted, tmp_path, MIXED_TEXTS)


@pytest.mark.slow
def test_real_weights_on_real_texts_in_every_library(tmp_path):
    pytest.importorskip("sentence_transformers")
    X, y = load_assistant_intents("train", shots=5, random_state=0, return_X_y=True)
    X_test, y_test = load_assistant_intents("test", return_X_y=True)
    fitted = GuidedTextClassifier(guidance=None, max_epochs=3, random_state=0, device="cpu")
    fitted.fit(X, y)
    texts = list(X_test)
    fitted.export_onnx(tmp_path / "model.onnx")
    check(fitted, tmp_path, texts)
    fitted.save_pretrained(tmp_path / "saved", scores={"accuracy": fitted.score(X_test, y_test)})
    loaded = GuidedTextClassifier.from_pretrained(tmp_path / "saved", device="cpu")
    np.testing.assert_allclose(loaded.predict_proba(texts), fitted.predict_proba(texts), atol=1e-6)
    found = run(ENCODE, tmp_path / "saved", texts=texts)
    np.testing.assert_allclose(found, fitted.decision_function(texts), atol=1e-5)


ENCODE = """
from sentence_transformers import SentenceTransformer
print(json.dumps(SentenceTransformer(folder, device="cpu").encode(given["texts"]).tolist()))
"""


def test_the_home_folder_may_be_a_tilde(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("skcap.export.write_onnx", lambda path, *rest: path.write_bytes(b""))
    plain.export_onnx("~/onnx/model.onnx")
    assert (tmp_path / "onnx" / "model.onnx").exists()
