"""The margin losses of UNIREX (Chan et al., ICML 2022), on rationales of the model's own.

The words that the model's own attribution favours are its rationale. *Comprehensiveness*: without
them the true class should be harder to see, by a margin. *Sufficiency*: they alone should show it
almost as well as the whole text. No prior is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from skcap.attribution import attribute_words, words_from_tokens
from skcap.guidance import BaseGuidance
from skcap.guidance.explaining import find_baseline
from skcap.guidance.rationale import only_words
from skcap.utils.validation import number


class RationaleMargins(BaseGuidance):
    """Rationales of several sizes should be needed, and enough, to see the true class.

    As published: both losses weigh 0.5, the margins are 1 and 0.1, and the attribution is that of
    integrated gradients at three points. Sizes are shares of words; the paper's smallest ones, 1
    and 5 %, are left out, since a short text's are one word like those of 10 %.
    """

    parts = ("comprehensiveness", "sufficiency")
    baseline = "pad"
    _parameter_constraints = {
        "weight": [number(0)],
        "comp_margin": [number(0)],
        "suff_margin": [number(0)],
        "shares": "no_validation",
    }

    def __init__(
        self,
        weight: float = 0.5,
        comp_margin: float = 1.0,
        suff_margin: float = 0.1,
        shares: tuple[float, ...] = (0.1, 0.2, 0.5),
    ) -> None:
        self.weight = weight
        self.comp_margin = comp_margin
        self.suff_margin = suff_margin
        self.shares = shares

    def prepare(self, task: Any) -> Mapping[str, Any]:
        self.baseline_token_ = find_baseline(task, self)
        return {}

    def losses(self, step: Any) -> Iterator[tuple[str, Tensor]]:
        rationales, there = self.rationales(step)
        # Where a text is a single word, nothing is left of it, and it is not asked about.
        yield (
            "comprehensiveness",
            self.weight
            * self._margin(step, [there & ~own for own in rationales], -1, self.comp_margin),
        )
        yield "sufficiency", self.weight * self._margin(step, rationales, 1, self.suff_margin)

    def rationales(self, step: Any) -> tuple[list[Tensor], Tensor]:
        """Give the rationales of all sizes, and which words there are; (n_texts, n_words) each."""
        batch = step.batch
        n_words = max(1, int(batch["word_ids"].max()) + 1)
        scores = attribute_words(
            step.module,
            batch,
            step.classes,
            n_words=n_words,
            n_steps=3,
            baseline_token=self.baseline_token_,
        )
        ones = torch.ones_like(batch["word_ids"], dtype=scores.dtype)
        there = words_from_tokens(ones, batch["word_ids"], n_words) > 0
        counts = there.sum(dim=1, keepdim=True)
        order = scores.masked_fill(~there, -torch.inf).argsort(dim=1, descending=True)
        ranks = order.argsort(dim=1)
        sizes = [(share * counts).round().clamp(min=1) for share in self.shares]
        return [(ranks < size) & there for size in sizes], there

    def _margin(self, step: Any, shown: list[Tensor], sign: int, margin: float) -> Tensor:
        """How far the texts with these words only are from a margin better or worse than whole.

        `sign` 1: the loss of the shown words less that of the whole text should be small; -1: the
        opposite. What goes beyond the margin counts no more.
        """
        batch = step.batch
        parts = [only_words(batch, words) for words in shown]
        mask = torch.cat([mask for mask, _ in parts])
        rows = torch.cat([rows for _, rows in parts])
        if not len(rows):
            return batch["weight"].new_zeros(())
        whole = step.module(batch["input_ids"], batch["attention_mask"]).float()
        seen = step.module(batch["input_ids"][rows], mask).float()
        gap = step.criterion(seen, step.classes[rows])
        gap = sign * (gap - step.criterion(whole, step.classes)[rows])
        return step.mean(gap.clamp(min=-margin) + margin, rows) / len(shown)
