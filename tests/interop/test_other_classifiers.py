"""Classifiers of other libraries under the audit."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcap import PriorMatrix, ShortcutAudit

SONGS = ["jazz", "rock", "a song", "some blues", "soul music", "the opera"]
X = [f"alarm play {song}" for song in SONGS] + [f"paris stop {song}" for song in SONGS]
Y = np.array(["play"] * 6 + ["stop"] * 6)
PRIOR = PriorMatrix(X, [[-1, 2] + [0.1] * (len(text.split()) - 2) for text in X])


@pytest.mark.parametrize("cv", [None, 3])
def test_tfidf(cv):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100))
    audit = ShortcutAudit(model, PRIOR, cv=cv).fit(X, Y)
    assert audit.shortcuts_[["word", "label"]].values.tolist() == [
        ["alarm", "play"],
        ["paris", "stop"],
    ]


@pytest.mark.slow  # imports alone take seconds
def test_setfit(tiny_model):
    setfit = pytest.importorskip("setfit")
    st = pytest.importorskip("sentence_transformers")
    body = st.SentenceTransformer(tiny_model("bert"), device="cpu")  # with mean pooling
    model = setfit.SetFitModel(body, LogisticRegression(C=100))
    model.fit(X, Y, num_epochs=1)
    audit = ShortcutAudit(model, PRIOR, prefit=True).fit(X, Y)
    tested = audit.words_.set_index("word")
    assert tested.loc["alarm", "log_odds"] > 0
    assert audit.shortcuts_["word"].isin(["alarm", "paris"]).all()
