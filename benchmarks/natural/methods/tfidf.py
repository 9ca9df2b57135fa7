"""Logistic regression on TF-IDF of words: a method of its own, and what the experts' bias is."""

from __future__ import annotations

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline


def make_tfidf() -> Pipeline:
    """Make an unfitted one."""
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000))
