"""Labels that are missing, mixed, several per text, of one class alone, or no labels at all."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.reliability.faults import Fault, Outcome, judge
from benchmarks.reliability.material import tiny_encoder
from skcap import (
    CAPPriorTransformer,
    FakeLLM,
    GuidedTextClassifier,
    HybridPrior,
    LimePriorTransformer,
    PrecomputedPrior,
    ShortcutAudit,
)

TEXTS = ["play some jazz", "stop my alarm", "play the news", "stop it now"]
_TOLD = r"\by\b|label|class"

_NAN = float("nan")
HOSTILE: dict[str, Any] = {
    "one class": ["a"] * 4,
    "a class for each text": list("abcd"),
    "None": ["a", None, "b", "a"],
    "NaN": ["a", _NAN, "b", "a"],
    "NA": pd.array(["a", pd.NA, "b", "a"]),
    "NaN among numbers": [1.0, _NAN, 2.0, 1.0],
    "strings and integers": ["a", 1, "b", 2],
    "strings and booleans": ["a", True, "b", False],
    "integers and floats": [1, 1.5, 2, 1],
    "continuous": [0.1, 0.2, 0.3, 0.7],
    "whole numbers as floats": [1.0, 2.0, 1.0, 2.0],
    "infinity": [1.0, float("inf"), 2.0, 1.0],
    "integers": [1, 2, 1, 2],
    "huge integers": [2**62, 1, 2**62, 1],
    "negative integers": [-1, 1, -1, 1],
    "booleans": [True, False, True, False],
    "several labels per text": [["a", "b"], ["a"], ["b"], []],
    "tuples": [("a", "b"), ("a",), ("b",), ("a",)],
    "sets": [{"a"}, {"b"}, {"a"}, {"b"}],
    "a matrix of zeros and ones": np.eye(4, dtype=int),
    "a column": np.array([["a"], ["b"], ["a"], ["b"]]),
    "too few": ["a", "b"],
    "too many": list("abaab"),
    "none": [],
    "no sequence": 3,
    "a string": "abab",
    "missing": None,
    "a generator": "generator",
    "empty strings": ["", "a", "", "b"],
    "blanks": [" ", "a", " ", "b"],
    "white space at the ends": [" a", "a ", "b", "b"],
    "names that are the same": ["top_up", "top up", "top_up", "top up"],
    "line breaks": ["a\nb", "c\0d", "a\nb", "c\0d"],
    "half a surrogate pair": ["a\ud83d", "b", "a\ud83d", "b"],
    "very long": ["a" * 5000, "b", "a" * 5000, "b"],
    "markup": ["<b>a", "{labels}", "<b>a", "{labels}"],
    "bytes": [b"a", b"b", b"a", b"b"],
    "dates": [datetime.date(2026, 1, day) for day in (1, 2, 1, 2)],
    "objects": [object(), object(), object(), object()],
    "a categorical": pd.Categorical(list("abab"), categories=list("abc")),
    "a series with another index": pd.Series(list("abab"), index=[9, 8, 7, 6]),
    "dictionaries": [{"label": "a"}, {"label": "b"}, {"label": "a"}, {"label": "b"}],
    "complex numbers": [1j, 2j, 1j, 2j],
}


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    tiny_encoder()
    for user, make in USERS.items():
        for seed, (name, y) in enumerate(HOSTILE.items()):
            if not short or user in ("cap", "classifier"):
                yield Fault("labels", f"{user}: {name}", seed, _fault(make, y))


def _fault(make: Callable[[], Any], y: Any) -> Callable[[Path, random.Random], Outcome]:
    def inject(folder: Path, rng: random.Random) -> Outcome:
        labels = (label for label in "abab") if isinstance(y, str) and y == "generator" else y
        return judge(lambda: make().fit(TEXTS, labels), lambda fitted: _is_right(fitted, y), _TOLD)

    return inject


def _is_right(fitted: Any, y: Any) -> bool:
    """Whether the classes are the labels: none renamed, joined or lost."""
    labels = np.asarray(y)
    labels = labels.ravel() if labels.ndim == 2 and labels.shape[1] == 1 else labels
    return labels.ndim == 1 and fitted.classes_.tolist() == np.unique(labels).tolist()


USERS: dict[str, Callable[[], Any]] = {
    "cap": lambda: CAPPriorTransformer(FakeLLM(), n_masks=4),
    "lime": lambda: LimePriorTransformer(FakeLLM(), num_samples=10),
    "precomputed": lambda: PrecomputedPrior(lambda text: [1.0] * len(text.split())),
    "hybrid": lambda: HybridPrior([("a", PrecomputedPrior({"jazz": 1.0}, by="word"))]),
    "audit": ShortcutAudit,
    "classifier": lambda: GuidedTextClassifier(
        tiny_encoder(), guidance=None, max_epochs=1, device="cpu"
    ),
}
