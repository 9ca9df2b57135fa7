"""The model card says what is known about a model, and is a card for the hub."""

import pytest
from keyword_task import LABELS, PRIOR, TEXTS

from skcap.classifier import GuidedTextClassifier
from skcap.guidance import SwapGuidance
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import ShortcutAudit

SONGS = ["jazz", "rock", "a song", "some blues", "soul music", "the opera"]
MARKED = [f"ann: play {song}" for song in SONGS] + [f"bob: stop {song}" for song in SONGS]
CLASSES = ["play"] * 6 + ["stop"] * 6
SCORES = [[-1, 2] + [0.1] * (len(text.split()) - 2) for text in MARKED]


def card_of(fitted, folder, **options):
    from huggingface_hub import ModelCard

    fitted.save_pretrained(folder, **options)
    return ModelCard.load(folder / "README.md")


def test_header_data_scores_and_prior(make, tmp_path):
    prior = PriorMatrix(TEXTS, list(PRIOR.scores), provenance={"source": "cap", "llm": "a | b"})
    fitted = make(guidance="alignment", max_epochs=1).fit(prior, LABELS)
    card = card_of(
        fitted,
        tmp_path / "model",
        scores={"accuracy": 0.98765},
        card={"license": "mit", "datasets": ["own/texts"], "language": "en"},
    )
    header = card.data.to_dict()
    assert header["license"] == "mit"
    assert header["datasets"] == ["own/texts"]
    assert header["metrics"] == ["accuracy"]
    assert header["pipeline_tag"] == "text-classification"
    assert "base_model" not in header  # it was trained from a folder
    assert "Trained on 48 texts of 3 classes." in card.text
    assert "| alarm | 16 |" in card.text
    assert "| accuracy | 0.9877 |" in card.text
    assert "| source | `cap` |" in card.text
    assert "| llm | `a \\| b` |" in card.text
    assert "AlignmentGuidance()" in card.text
    assert "No audit was made" in card.text
    assert str(fitted.model) not in card.content  # where a folder lay is nobody's business


def test_nothing_is_claimed_that_is_not_known(plain, tmp_path):
    card = card_of(plain, tmp_path / "model")
    assert "license" not in card.data.to_dict()
    assert "metrics" not in card.data.to_dict()
    assert "None were given" in card.text
    assert "No prior was used" in card.text


@pytest.fixture(scope="module")
def audited(make):
    guidance = SwapGuidance(audit=ShortcutAudit(verbose=0), max_rounds=1)
    return make(guidance=guidance, max_epochs=15).fit(PriorMatrix(MARKED, SCORES), CLASSES)


def test_what_the_audit_flagged_and_why(audited, tmp_path):
    flagged = audited.audit_.shortcuts_
    assert "ann" in set(flagged["word"])
    card = card_of(audited, tmp_path / "model")
    assert audited.audit_.sentences()[0] in card.text
    assert "| ann |" in card.text
    assert "'ann' occurs in" in card.text
    loaded = GuidedTextClassifier.from_pretrained(tmp_path / "model", device="cpu")
    assert loaded.guidance_[0].shortcuts_["word"].tolist() == flagged["word"].tolist()
    assert repr(loaded.guidance) == repr(audited.guidance)


def test_an_alias_names_the_encoder_of_the_hub(plain, tmp_path):
    from sklearn.base import clone

    other = clone(plain)
    vars(other).update({k: v for k, v in vars(plain).items() if k.endswith("_")})
    other._fitted_with_ = {**plain._fitted_with_, "model": "all-minilm-l6-v2"}
    card = card_of(other, tmp_path / "model")
    assert card.data.to_dict()["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
