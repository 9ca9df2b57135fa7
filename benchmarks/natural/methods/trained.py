"""What methods that train a classifier in several steps have in common: they answer as it does."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skcap import GuidedTextClassifier


class Trained(ClassifierMixin, BaseEstimator):
    """Answers as the classifier that it trained, `model_`."""

    model_: GuidedTextClassifier

    def decision_function(self, X: Any) -> np.ndarray:
        return self.model_.decision_function(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.model_.predict_proba(X)

    def explain(self, X: Any, **how: Any) -> Any:
        return self.model_.explain(X, **how)

    def predict(self, X: Any) -> np.ndarray:
        return self.model_.predict(X)
