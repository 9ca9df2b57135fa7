"""A product of experts (Clark et al., EMNLP 2019; He et al., DeepLo 2019, "fitting the residual").

A bias model, made beforehand and fixed, says what a text looks like by its bias alone. The model
that counts is trained on the product of both, so it need not learn what the bias model knows, and
answers alone afterwards. Here the bias is what is left of a text when the words that a prior
favours are hidden: the *complement* of its rationale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import KFold
from torch import Tensor

from benchmarks.natural.methods.tfidf import make_tfidf
from skcap.guidance import BaseGuidance
from skcap.utils.validation import integer, number
from skcap.utils.words import split_words

_LEAST = 1e-4  # the probability of a class that a fold has no text of


class ProductOfExperts(BaseGuidance):
    """Learn what is not to be had from the words outside of the rationale.

    The bias model is a logistic regression on TF-IDF of complements. What it says of a text comes
    from a fold without that text: of texts that it has learned it would be sure, and with few
    texts per class nothing would be left to learn. `share` is that of the words which a complement
    hides; `strength` multiplies the bias model's log-probabilities, 1 as published.
    """

    _parameter_constraints = {
        "share": [number(0, 1)],
        "strength": [number(0)],
        "n_folds": [integer(2)],
    }

    def __init__(self, share: float = 0.5, strength: float = 1.0, n_folds: int = 5) -> None:
        self.share = share
        self.strength = strength
        self.n_folds = n_folds

    @property
    def needs_prior(self) -> bool:
        return True

    def prepare(self, task: Any) -> Mapping[str, Any]:
        pairs = zip(task.texts, task.priors, strict=True)
        texts = [complement(text, scores, self.share) for text, scores in pairs]
        log_p = bias_of(texts, task.codes, len(task.classes), self.n_folds)
        self.bias_ = torch.as_tensor(log_p, dtype=torch.float32)
        self._batch_bias: Tensor | None = None
        self._hook = task.module.register_forward_hook(self._add)
        # A column has a value per word: each word says which text it is of.
        return {"row": [np.full(len(scores), row, float) for row, scores in enumerate(task.priors)]}

    def review(self, task: Any, classifier: Any) -> bool:
        self._hook.remove()
        del self._hook, self._batch_bias
        return False

    def change(self, step: Any) -> Mapping[str, Tensor]:
        """Look up the bias of the batch's texts; names of labels have none."""
        rows = step.batch["row"].nan_to_num(-1).amax(dim=1).long()
        bias = self.bias_.to(rows.device)[rows.clamp(min=0)]
        self._batch_bias = bias.masked_fill((rows < 0)[:, None], 0.0)
        return step.batch

    def _add(self, module: Any, inputs: Any, logits: Tensor) -> Tensor:
        """Multiply the experts' probabilities, which the loss normalises, while training only."""
        if not module.training or self._batch_bias is None:
            return logits
        return logits + self.strength * self._batch_bias


def complement(text: str, scores: np.ndarray, share: float) -> str:
    """Leave out the share of a text's words that have the highest scores, at least one word."""
    known = np.flatnonzero(~np.isnan(scores))
    n_hidden = min(len(known), max(1, round(share * len(known))))
    hidden = set(known[np.argsort(-scores[known], kind="stable")[:n_hidden]].tolist())
    return " ".join(word for i, word in enumerate(split_words(text)) if i not in hidden)


def bias_of(texts: list[str], codes: np.ndarray, n_classes: int, n_folds: int) -> np.ndarray:
    """Log-probabilities of the classes, each text's by a model that has not seen it."""
    log_p = np.full((len(texts), n_classes), np.log(_LEAST))
    X = np.asarray(texts, dtype=object)
    for train, held in KFold(n_folds, shuffle=True, random_state=0).split(X):
        model = make_tfidf()
        model.fit(X[train], codes[train])
        found = np.log(np.maximum(model.predict_proba(X[held]), _LEAST))
        log_p[np.ix_(held, model.classes_)] = found
    return log_p
