"""Automatic Feature Reweighting (Qiu et al., ICML 2023).

The last layer is trained again on held-out texts, those that the model is unsure of weighing more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from benchmarks.natural.methods.trained import Trained
from benchmarks.natural.splits import hold_out_fifth


class AFR(Trained):
    """Train on four fifths, then the last layer on the rest, weighing exp(-gamma p(true)).

    The last layer is held to the one that was trained, by the squared distance times `hold`.
    """

    def __init__(
        self, classifier: Any, gamma: float = 4.0, hold: float = 0.1, random_state: int = 0
    ) -> None:
        self.classifier = classifier
        self.gamma = gamma
        self.hold = hold
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> AFR:
        own, held, y_own, y_held = hold_out_fifth(X, y, self.random_state)
        self.model_ = clone(self.classifier).fit(own, y_own)
        self.classes_ = self.model_.classes_
        column = np.searchsorted(self.classes_, y_held)
        p_true = self.model_.predict_proba(held)[np.arange(len(held)), column]
        weights = np.exp(-self.gamma * p_true)
        self._retrain(self._vectors(held), torch.tensor(column), weights / weights.sum())
        return self

    def _vectors(self, X: Any) -> torch.Tensor:
        """Compute what the last layer gets."""
        module = self.model_.net_.module_
        head, module.head = module.head, torch.nn.Identity()
        try:
            return torch.as_tensor(self.model_.decision_function(list(X)))
        finally:
            module.head = head

    def _retrain(self, vectors: torch.Tensor, column: torch.Tensor, weights: np.ndarray) -> None:
        head = self.model_.net_.module_.head
        start = [p.detach().clone() for p in head.parameters()]
        optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
        share = torch.as_tensor(weights, dtype=torch.float32)
        for _ in range(300):
            losses = torch.nn.functional.cross_entropy(head(vectors), column, reduction="none")
            moved = sum(((p - q) ** 2).sum() for p, q in zip(head.parameters(), start, strict=True))
            optimizer.zero_grad()
            ((losses * share).sum() + self.hold * moved).backward()
            optimizer.step()
