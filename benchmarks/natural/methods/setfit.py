"""SetFit (Tunstall et al., 2022), by its own package, on the same encoder."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from benchmarks.paper.peers import SetFitClassifier


class SetFit(ClassifierMixin, BaseEstimator):
    """SetFit with its defaults but the pairs: `num_iterations` of each kind for a text."""

    def __init__(
        self, model: str = "all-minilm-l6-v2", num_iterations: int = 20, random_state: int = 0
    ) -> None:
        self.model = model
        self.num_iterations = num_iterations
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> SetFit:
        if find_spec("setfit") is None:
            raise ImportError("The method 'setfit' needs SetFit: pip install setfit datasets")
        self.model_ = SetFitClassifier(
            self.model, num_iterations=self.num_iterations, random_state=self.random_state
        ).fit(list(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(self.model_.net_.predict_proba(list(X), as_numpy=True))

    def predict(self, X: Any) -> np.ndarray:
        return self.model_.predict(list(X))
