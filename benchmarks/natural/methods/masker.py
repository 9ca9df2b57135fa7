"""MASKER (Moon, Mo, Lee, Lee and Shin, AAAI 2021): masked keyword regularization.

Two losses keep a model from going by keywords alone. *Reconstruction*: keywords are masked, and
told from the words around them. *Entropy*: the words around them are masked, and the prediction
should then be uniform. Keywords are found by TF-IDF, by the attention of an unguided model, or, as
a variant of our own, by the shortcut audit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.natural.methods.keywords import by_attention, by_frequency
from benchmarks.natural.methods.word_dropout import draw_words
from skcap import PriorMatrix
from skcap.attribution import find_baseline_token
from skcap.guidance import BaseGuidance
from skcap.guidance.tokens import tokens_of_words
from skcap.shortcuts import ShortcutAudit, check_shortcuts, match_shortcuts
from skcap.utils.validation import StrOptions, integer, number

_NONE = -1  # the column's value for a word that is no keyword; NaN where that is not known


class MaskedKeywords(BaseGuidance):
    """Keywords should be told from their context, and should tell nothing without it.

    As published, but for their number: each keyword is masked with a probability of a half, other
    words with one of 0.9, and a small network that names the masked keyword is trained along with
    the classifier. The paper weighs both losses with 0.001 and takes ten keywords per class. Of a
    few short texts per class these would be nine of ten words, and hardly anything but keywords
    would be left to hide; two are a quarter of the words, planted marks among them.
    """

    parts = ("reconstruction", "entropy")
    _parameter_constraints = {
        "keywords": [StrOptions({"tfidf", "attention", "audit"})],
        "weight": [number(0, above=True)],
        "per_class": [integer(1)],
        "mask_share": [number(0, 1)],
        "hide_share": [number(0, 1)],
        "head_lr": [number(0, above=True)],
    }

    def __init__(
        self,
        keywords: str = "tfidf",
        weight: float = 0.001,
        per_class: int = 2,
        mask_share: float = 0.5,
        hide_share: float = 0.9,
        head_lr: float = 0.001,
    ) -> None:
        self.keywords = keywords
        self.weight = weight
        self.per_class = per_class
        self.mask_share = mask_share
        self.hide_share = hide_share
        self.head_lr = head_lr

    @property
    def needs_prior(self) -> bool:
        return self.keywords == "audit"

    # -- before and after training ----------------------------------------------------------------

    def prepare(self, task: Any) -> Mapping[str, Any]:
        self.keywords_ = check_shortcuts(self._find(task))
        if self.keywords_.empty:
            return {}
        self.mask_token_ = find_baseline_token(task.tokenizer, "mask")
        width = task.module.head.in_features
        self.head_ = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(width, len(self.keywords_)),
        ).to(task.module.head.weight.device)
        self._optimizer = torch.optim.Adam(self.head_.parameters(), lr=self.head_lr)
        return {
            "keyword": [row.astype(float) for row in match_shortcuts(task.texts, self.keywords_)]
        }

    def _find(self, task: Any) -> Any:
        if self.keywords == "tfidf":
            return by_frequency(task.texts, task.codes, self.per_class)
        if self.keywords == "attention":
            n_keywords = self.per_class * len(task.classes)
            return by_attention(task.unguided(), task.encoded, task.texts, n_keywords)
        prior = PriorMatrix(task.texts, task.priors)
        audit = ShortcutAudit(task.unguided(), prior, prefit=True, verbose=task.verbose)
        self.audit_ = audit.fit(task.texts, task.classes[task.codes])
        return self.audit_.shortcuts_

    def is_idle(self) -> bool:
        return self.keywords_.empty

    def review(self, task: Any, classifier: Any) -> bool:
        self._optimizer = None
        return False

    # -- while training ---------------------------------------------------------------------------

    def losses(self, step: Any) -> Iterator[tuple[str, Tensor]]:
        self._train_head()
        yield "reconstruction", self.weight * self.reconstruction(step)
        yield "entropy", self.weight * self.entropy(step)

    def _train_head(self) -> None:
        """Take the step of the head for which the batch before left the gradients."""
        if any(p.grad is None for p in self.head_.parameters()):
            return
        self._optimizer.step()
        self._optimizer.zero_grad()

    def reconstruction(self, step: Any) -> Tensor:
        """Cross-entropy of the masked keywords, the mean over those of a text."""
        batch, keywords = step.batch, step.batch["keyword"]
        masked = (keywords >= 0) & draw_words(keywords, self.mask_share)
        rows = masked.any(dim=1).nonzero().squeeze(1)
        if not len(rows):
            return batch["weight"].new_zeros(())
        word_ids = batch["word_ids"][rows]
        tokens = tokens_of_words(word_ids, masked[rows])
        ids = batch["input_ids"][rows].masked_fill(tokens, self.mask_token_)
        states = step.module.encoder(
            inputs_embeds=step.module.embed(ids), attention_mask=batch["attention_mask"][rows]
        ).last_hidden_state
        wanted = keywords[rows].gather(1, word_ids.clamp(min=0))[tokens].long()
        errors = cross_entropy(self.head_(states[tokens]).float(), wanted, reduction="none")
        sums = errors.new_zeros(len(rows)).index_add(0, tokens.nonzero()[:, 0], errors)
        return step.mean(sums / tokens.sum(dim=1), rows)

    def entropy(self, step: Any) -> Tensor:
        """Divergence of what is predicted without context from the uniform distribution."""
        batch, keywords = step.batch, step.batch["keyword"]
        rows = (~keywords.isnan()).any(dim=1).nonzero().squeeze(1)  # no names of labels
        if not len(rows):
            return batch["weight"].new_zeros(())
        hidden = (keywords == _NONE) & draw_words(keywords, self.hide_share)
        tokens = tokens_of_words(batch["word_ids"], hidden)
        ids = batch["input_ids"].masked_fill(tokens, self.mask_token_)[rows]
        log_p = step.module(ids, batch["attention_mask"][rows]).float().log_softmax(dim=1)
        return step.mean(-log_p.mean(dim=1) - math.log(log_p.shape[1]), rows)
