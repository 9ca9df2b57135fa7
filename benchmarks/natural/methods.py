"""The methods that are compared: ours, their shuffled controls, and rivals from their papers.

* ``jtt``: Just Train Twice (Liu et al., 2021): texts that a briefly trained model gets wrong weigh
  more in the training that counts.
* ``afr``: last-layer retraining on held-out texts, those that the model is unsure of weighing more
  (Qiu et al., 2023, "Automatic Feature Reweighting").
* ``anchor``: the encoder is held to where it started, by the squared distance of its weights, in
  the spirit of "NFL" (Chew et al., 2024, keep the pretrained features).
* ``word_dropout``: a share of the words is hidden at random in one more pass.
* ``tfidf``, ``probe``: logistic regression on TF-IDF of words, and on the frozen encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skcap import GuidedTextClassifier, PriorMatrix
from skcap.guidance import BaseGuidance
from skcap.utils.validation import number

PLAIN = ("tfidf", "probe", "unguided", "word_dropout", "anchor", "jtt", "afr")
GUIDED = ("swap", "rationale", "alignment")
METHODS = (*PLAIN, *GUIDED, *(f"{name}, shuffled" for name in GUIDED))


class WordDropout(BaseGuidance):
    """The class should be recognised with a share of the words hidden."""

    parts = ("word_dropout",)
    _parameter_constraints = {"share": [number(0, 1)]}

    def __init__(self, share: float = 0.3) -> None:
        self.share = share

    def losses(self, step: Any) -> Iterator[tuple[str, torch.Tensor]]:
        batch = step.batch
        word = torch.rand(batch["word_ids"].shape)
        # One draw per word, so that a word of several tokens is hidden whole.
        drawn = word.gather(1, batch["word_ids"].clamp(min=0).cpu()).to(batch["word_ids"].device)
        shown = (drawn >= self.share) | batch["special"]
        rows = torch.arange(len(step.classes), device=shown.device)
        yield (
            "word_dropout",
            step.cross_entropy(batch["input_ids"], batch["attention_mask"] * shown, rows),
        )


class Anchor(BaseGuidance):
    """The encoder's weights should stay where they were before training."""

    parts = ("anchor",)
    _parameter_constraints = {"weight": [number(0)]}

    def __init__(self, weight: float = 0.1) -> None:
        self.weight = weight

    def prepare(self, task: Any) -> Mapping[str, Any]:
        self._start = [p.detach().clone() for p in task.module.encoder.parameters()]
        return {}

    def review(self, task: Any, classifier: Any) -> bool:
        del self._start
        return False

    def losses(self, step: Any) -> Iterator[tuple[str, torch.Tensor]]:
        pairs = zip(step.module.encoder.parameters(), self._start, strict=True)
        yield "anchor", self.weight * sum(((p - q) ** 2).sum() for p, q in pairs)


class Trained(ClassifierMixin, BaseEstimator):
    """Answers as the classifier that it trained, `model_`."""

    model_: GuidedTextClassifier

    def decision_function(self, X: Any) -> np.ndarray:
        return self.model_.decision_function(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        return self.model_.predict_proba(X)

    def predict(self, X: Any) -> np.ndarray:
        return self.model_.predict(X)


class JTT(Trained):
    """Train twice: the errors of a short training weigh `upweight` times as much."""

    def __init__(self, classifier: Any, short: int = 2, upweight: float = 5.0) -> None:
        self.classifier = classifier
        self.short = short
        self.upweight = upweight

    def fit(self, X: Any, y: Any) -> JTT:
        first = clone(self.classifier).set_params(max_epochs=self.short).fit(X, y)
        weights = np.where(first.predict(X) == y, 1.0, self.upweight)
        self.model_ = clone(self.classifier).fit(X, y, sample_weight=weights)
        self.classes_ = self.model_.classes_
        return self


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
        X, y = np.asarray(X, dtype=object), np.asarray(y)
        rare = np.isin(y, [label for label in np.unique(y) if np.sum(y == label) < 2])
        own, held, y_own, y_held = train_test_split(
            X[~rare], y[~rare], test_size=0.2, stratify=y[~rare], random_state=self.random_state
        )
        own, y_own = np.append(own, X[rare]), np.append(y_own, y[rare])
        self.model_ = clone(self.classifier).fit(list(own), y_own)
        self.classes_ = self.model_.classes_
        column = np.searchsorted(self.classes_, y_held)
        p_true = self.model_.predict_proba(list(held))[np.arange(len(held)), column]
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


def make(method: str, seed: int) -> Any:
    """Make the estimator of a method."""
    if method == "tfidf":
        return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000))
    unguided = GuidedTextClassifier(guidance=None, random_state=seed)
    if method == "probe":
        return unguided.set_params(lr=0.0, head_lr=0.0, max_epochs=1, label_weight=0)
    if method in ("jtt", "afr"):
        return JTT(unguided) if method == "jtt" else AFR(unguided, random_state=seed)
    own: dict[str, Any] = {"word_dropout": WordDropout(), "anchor": Anchor(), "unguided": None}
    guidance = own.get(method, method.removesuffix(", shuffled"))
    return GuidedTextClassifier(guidance=guidance, random_state=seed)


def data_for(method: str, prior: PriorMatrix, seed: int) -> Any:
    """Give what a method is fitted on: texts, a prior, or a prior in random order."""
    if method in PLAIN:
        return prior.texts.tolist()
    return prior.shuffle(seed) if method.endswith("shuffled") else prior
