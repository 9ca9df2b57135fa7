"""Language models for the tests on clusters; in a module of their own, which workers import."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skcap.llm import FakeLLM, TransformersLLM


class WatchedLLM(TransformersLLM):
    """Notes, for each call, its process and which copy of the weights answered."""

    def __init__(
        self,
        model: str = "smollm2-135m",
        *,
        device: str = "cpu",
        dtype: str = "float32",
        notes: str = "",
    ) -> None:
        super().__init__(model, device=device, dtype=dtype)
        self.notes = notes

    def log_likelihood(
        self, bodies: Sequence[str], continuations: Sequence[str], **frame: Any
    ) -> np.ndarray:
        scores = super().log_likelihood(bodies, continuations, **frame)
        note(self.notes, [os.getpid(), id(self._load())])
        return scores


class DeadlyLLM(FakeLLM):
    """Kills the process that asks about a text with the word "poison", once.

    So it does not kill the process that runs the tests, where "poison" is in order.
    """

    def __init__(self, *, log_path: str | None = None, home: int = 0, weapon: str = "") -> None:
        super().__init__(log_path=log_path)
        self.home = home
        self.weapon = weapon

    def log_likelihood(
        self, bodies: Sequence[str], continuations: Sequence[str], **frame: Any
    ) -> np.ndarray:
        is_poisoned = any("poison" in body for body in bodies)
        if is_poisoned and os.getpid() != self.home and Path(self.weapon).exists():
            Path(self.weapon).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().log_likelihood(bodies, continuations, **frame)


def note(path: str, value: Any) -> None:
    """Append a line in one write, so that those of several processes never mix."""
    with open(path, "ab", buffering=0) as file:
        file.write(json.dumps(value).encode() + b"\n")


def read_notes(path: str | os.PathLike[str]) -> list[Any]:
    """Read what was noted."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]
