"""ShortcutAudit: what a classifier goes by and should not."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts.core import audit_words
from skcap.utils.labels import check_labels
from skcap.utils.seeds import draw_seed
from skcap.utils.words import check_texts

__all__ = ["ShortcutAudit"]


class ShortcutAudit(BaseEstimator):
    """Find the words that a classifier goes by and should not."""

    def __init__(
        self,
        classifier: Any = None,
        prior: Any = None,
        *,
        fdr: float = 0.1,
        min_texts: int = 3,
        prefit: bool = False,
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.classifier = classifier
        self.prior = prior
        self.fdr = fdr
        self.min_texts = min_texts
        self.prefit = prefit
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> ShortcutAudit:
        """Audit labelled texts."""
        texts = check_texts(X)
        labels = check_labels(texts, y)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        model = self.classifier
        if model is not None and not self.prefit:
            model = clone(model).fit(X, labels)
        prior = self.prior
        if prior is not None and not isinstance(prior, PriorMatrix):
            prior = clone(prior).fit_transform(texts, labels)
        self.words_ = audit_words(
            None if model is None else model.predict_proba,
            texts,
            codes,
            self.classes_,
            prior,
            fdr=self.fdr,
            min_texts=self.min_texts,
            random_state=draw_seed(self.random_state),
            verbose=self.verbose,
        )
        self.shortcuts_ = self.words_[self.words_["q"] <= self.fdr].reset_index(drop=True)
        return self
