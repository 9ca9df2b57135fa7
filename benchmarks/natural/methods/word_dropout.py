"""Word dropout: a share of the words is hidden at random in one more pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from skcap.guidance import BaseGuidance
from skcap.guidance.tokens import tokens_of_words
from skcap.utils.validation import number


class WordDropout(BaseGuidance):
    """The class should be recognised with a share of the words hidden."""

    parts = ("word_dropout",)
    _parameter_constraints = {"share": [number(0, 1)]}

    def __init__(self, share: float = 0.3) -> None:
        self.share = share

    def losses(self, step: Any) -> Iterator[tuple[str, torch.Tensor]]:
        batch = step.batch
        # One draw per word, so that a word of several tokens is hidden whole.
        words = draw_words(batch["word_ids"], self.share)
        shown = ~tokens_of_words(batch["word_ids"], words)
        rows = torch.arange(len(step.classes), device=shown.device)
        yield (
            "word_dropout",
            step.cross_entropy(batch["input_ids"], batch["attention_mask"] * shown, rows),
        )


def draw_words(like: torch.Tensor, share: float) -> torch.Tensor:
    """Draw a share of the words, from torch's generator on the CPU: the same on every device."""
    return (torch.rand(like.shape) < share).to(like.device)
