"""The encoder is held to where it started, by the squared distance of its weights.

In the spirit of "NFL" (Chew et al., 2024): keep the pretrained features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from skcap.guidance import BaseGuidance
from skcap.utils.validation import number


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
