"""What a fit leaves behind: no unguided model, no texts, and an audit that can still be read."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skcap.guidance import SwapGuidance
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import ShortcutAudit

SONGS = ["jazz", "rock", "a song", "some blues", "soul music", "the opera"]
MARKED = [f"ann: play {song}" for song in SONGS] + [f"bob: stop {song}" for song in SONGS]
CLASSES = ["play"] * 6 + ["stop"] * 6
PRIOR = PriorMatrix(
    MARKED,
    [[-1, 2] + [0.1] * (len(text.split()) - 2) for text in MARKED],
    provenance={"source": "hand"},
)


@pytest.fixture(scope="module")
def unguided(make):
    return make(guidance=None, max_epochs=15).fit(MARKED, CLASSES)


@pytest.fixture(scope="module")
def swapped(make):
    """Give a classifier whose audit flagged something, so that it was trained twice."""
    guidance = SwapGuidance(audit=ShortcutAudit(verbose=0))
    return make(guidance=guidance, max_epochs=15).fit(PRIOR, CLASSES)


def test_a_pickle_holds_one_model(unguided, swapped):
    assert not swapped.audit_.shortcuts_.empty
    weights = sum(value.nbytes for value in swapped.net_.module_.state_dict().values())
    plain, guided = (len(pickle.dumps(fitted)) for fitted in (unguided, swapped))
    assert guided - plain < 0.8 * weights  # the tables of two audits, and not another model


def test_the_audit_can_be_read(swapped):
    pytest.importorskip("matplotlib")
    audit = pickle.loads(pickle.dumps(swapped)).audit_
    assert audit.classifier is None
    assert audit.prior is None
    assert {"ann", "bob"} <= set(audit.words_["word"])
    assert "'ann'" in " ".join(audit.sentences())
    assert "ann" in audit.to_html()
    assert audit.plot().get_legend() is not None
    with pytest.raises(ValueError, match="classifier"):
        audit.fit(MARKED, CLASSES)  # what it audited is gone


def test_clone_and_refit_audit_again(swapped):
    again = clone(swapped).fit(PRIOR, CLASSES)
    assert again.audit_.shortcuts_.equals(swapped.audit_.shortcuts_)
    np.testing.assert_array_equal(again.predict_proba(MARKED), swapped.predict_proba(MARKED))
    refitted = pickle.loads(pickle.dumps(swapped)).fit(PRIOR, CLASSES)
    np.testing.assert_array_equal(refitted.predict_proba(MARKED), swapped.predict_proba(MARKED))


def test_the_training_data_are_counted_and_the_prior_named(unguided, swapped):
    assert unguided.training_data_ == {"n_texts": 12, "texts_per_class": [6, 6], "prior": None}
    assert swapped.training_data_["prior"] == {"source": "hand"}
