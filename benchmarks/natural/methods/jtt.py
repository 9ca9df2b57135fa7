"""Just Train Twice (Liu et al., ICML 2021).

Texts that a briefly trained model gets wrong weigh more in the training that counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.natural.methods.trained import Trained


class JTT(Trained):
    """Train twice: the errors of a short training weigh `upweight` times as much.

    The short training starts from a random head. From the one that our classifier starts with, a
    logistic regression on the frozen encoder, it would get every text right.
    """

    def __init__(self, classifier: Any, short: int = 2, upweight: float = 5.0) -> None:
        self.classifier = classifier
        self.short = short
        self.upweight = upweight

    def fit(self, X: Any, y: Any) -> JTT:
        short = clone(self.classifier).set_params(max_epochs=self.short, head_init="random")
        first = short.fit(X, y)
        weights = np.where(first.predict(X) == y, 1.0, self.upweight)
        self.model_ = clone(self.classifier).fit(X, y, sample_weight=weights)
        self.classes_ = self.model_.classes_
        return self
