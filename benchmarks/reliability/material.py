"""What faults are injected into: texts scored by a language model without weights, tiny models."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skcap.llm import FakeLLM
from skcap.prior_matrix import PriorMatrix
from skcap.priors import CAPPriorTransformer, ShapPriorTransformer

sys.path.append(str(Path(__file__).parents[2] / "tests"))

_NUMBER = re.compile(r"item(\d+)")
_VERBS, _THINGS = ("play", "stop", "find", "repeat"), ("some jazz", "my alarm", "the news")
_KINDS = [f"{verb} {thing}" for verb in _VERBS for thing in _THINGS] * 5
TEXTS = [f"{kind} item{row} please" for row, kind in enumerate(_KINDS)]
LABELS = [kind.split()[-1] for kind in _KINDS]


class NotingLLM(FakeLLM):
    """Notes each text that it has scored, in a file that survives the process."""

    def __init__(self, *, notes: str = "", seconds: float = 0.0) -> None:
        super().__init__()
        self.notes = notes
        self.seconds = seconds

    def log_likelihood(
        self, bodies: Sequence[str], continuations: Sequence[str], **frame: Any
    ) -> np.ndarray:
        """Score, then note."""
        scores = super().log_likelihood(bodies, continuations, **frame)
        time.sleep(self.seconds)
        with open(self.notes, "ab", buffering=0) as file:
            file.write(f"{_NUMBER.findall(' '.join(bodies))[0]}\n".encode())
        return scores


def score(folder: Path, *, order: Sequence[int] = range(len(TEXTS)), **options: Any) -> PriorMatrix:
    """Score the texts with a cache in a folder, and note there which were scored."""
    llm = NotingLLM(notes=str(folder / "notes"), seconds=options.pop("seconds", 0.0))
    prior = CAPPriorTransformer(llm, n_masks=8, cache=folder / "cache", random_state=0, **options)
    return prior.fit(TEXTS, LABELS).attribute(
        [TEXTS[row] for row in order], [LABELS[row] for row in order]
    )


def noted(folder: Path) -> list[str]:
    """Numbers of the texts that were scored, as often as they were."""
    path = folder / "notes"
    return path.read_text().splitlines() if path.exists() else []


def n_lost(folder: Path) -> int:
    """How many texts were scored although they had been."""
    texts = noted(folder)
    return len(texts) - len(set(texts))


@functools.cache
def expected() -> PriorMatrix:
    """Scores of a run without a fault."""
    with tempfile.TemporaryDirectory() as folder:
        return score(Path(folder))


@functools.cache
def seconds_of_a_run() -> float:
    """How long a run without a fault takes in a process that is up."""
    expected()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        score(Path(folder))
        return time.perf_counter() - start


def is_right(matrix: PriorMatrix, order: Sequence[int] = range(len(TEXTS))) -> bool:
    """Whether scores are, to the last bit, those of a run without a fault."""
    right = expected()
    return len(matrix) == len(order) and all(
        matrix.texts[place] == right.texts[row]
        and np.array_equal(matrix.scores[place], right.scores[row])
        for place, row in enumerate(order)
    )


@functools.cache
def warm_up() -> None:
    """Do once what each process would do again: shap is imported, and compiles, for seconds."""
    tiny_encoder()
    tiny_llm()
    if importlib.util.find_spec("shap"):
        ShapPriorTransformer(FakeLLM(), cache=False).fit_transform(TEXTS[:2], LABELS[:2])


@functools.cache
def tiny_encoder() -> str:
    """Folder of a tiny encoder with random weights."""
    from tiny_models import save_tiny_model

    return save_tiny_model("bert", _folder("encoder"))


@functools.cache
def tiny_llm() -> str:
    """Folder of a tiny language model with random weights."""
    from tiny_llms import save_tiny_llm

    return save_tiny_llm("llama", _folder("llm"))


@functools.cache
def _base() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _folder(name: str) -> str:
    folder = os.path.join(_base().name, name)
    os.makedirs(folder, exist_ok=True)
    return folder
