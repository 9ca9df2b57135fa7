"""Parameters out of range, for all that has parameters: the error must name the parameter."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from benchmarks.reliability.faults import Fault, Outcome, judge
from benchmarks.reliability.material import tiny_encoder, tiny_llm, warm_up
from skcap import GuidedTextClassifier, PriorMatrix, ServerLLM, ShortcutAudit
from skcap.guidance import (
    AdversarialGuidance,
    AlignmentGuidance,
    MaskerGuidance,
    RationaleGuidance,
    SwapGuidance,
)

TEXTS = ["play some jazz", "stop my alarm", "play the news", "stop it now"] * 3
LABELS = ["music", "alarm", "news", "alarm"] * 3
PRIOR = PriorMatrix(TEXTS, [[1.0, 0.0, 2.0]] * len(TEXTS))
OBJECT = object()
WRONG: dict[str, Any] = {
    "-1": -1,
    "0": 0,
    "1.5": 1.5,
    "NaN": math.nan,
    "infinity": math.inf,
    "-infinity": -math.inf,
    "True": True,
    "a string": "./nonsense",
    "an empty string": "",
    "bytes": b"x",
    "a list": [],
    "a dictionary": {},
    "an array": np.array([1.0, 2.0]),
    "an object": OBJECT,
    "None": None,
}
NEVER = ("NaN", "infinity", "-infinity", "bytes", "an object")


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    warm_up()
    for name, (make, use) in cases().items():
        for parameter in make().get_params(deep=False):
            for seed, kind in enumerate(WRONG):
                if not short or (seed % 7 == 0 and name not in ("transformers", "classifier")):
                    fault = _fault(make, use, parameter, kind)
                    yield Fault("parameters", f"{name}: {parameter}={kind}", seed, fault)


def _fault(
    make: Callable[[], Any], use: Callable[[Any], Any], parameter: str, kind: str
) -> Callable[[Path, random.Random], Outcome]:
    def inject(folder: Path, rng: random.Random) -> Outcome:
        thing, value = make(), WRONG[kind]
        setattr(thing, parameter, value)
        # A file or model that is not there is named itself.
        files = {"a string": r"|\./nonsense", "an empty string": "|No such file .*: ''"}
        named = rf"\b{parameter}\b{files.get(kind, '')}"
        with joblib.parallel_config("threading"):
            # A value that is taken is legal, except for those that are so nowhere.
            return judge(lambda: use(thing), lambda _: kind not in NEVER, named)

    return inject


def cases() -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """Give, for all that has parameters, how to make and how to use it."""
    from test_bad_parameters import CASES

    tested = {
        name: (lambda make=make: make(tiny_llm()), _without_server(use))
        for name, (make, use) in CASES.items()
    }
    guided = {
        type(guidance).__name__: (lambda guidance=guidance: type(guidance)(), _train_with)
        for guidance in (
            AdversarialGuidance(),
            AlignmentGuidance(),
            MaskerGuidance(),
            RationaleGuidance(),
            SwapGuidance(),
        )
    }
    return {
        **tested,
        **guided,
        "server llm": (
            lambda: ServerLLM("http://127.0.0.1:9/v1", "m", max_retries=0, retry_wait=0.0),
            _without_server(lambda llm: llm.log_likelihood(["play jazz"], ["music"])),
        ),
        "audit": (ShortcutAudit, lambda audit: audit.fit(PRIOR, LABELS)),
        "classifier": (_classifier, lambda model: model.fit(TEXTS, LABELS)),
    }


def _without_server(use: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """All is well until the server is asked, which is not there."""
    from skcap.llm import ServerError
    from skcap.llm.chat import ChatError

    def used(thing: Any) -> None:
        try:
            use(thing)
        except (ServerError, ChatError) as error:
            if "127.0.0.1:9" not in str(error):
                raise

    return used


def _classifier(guidance: Any = None) -> GuidedTextClassifier:
    return GuidedTextClassifier(tiny_encoder(), guidance=guidance, max_epochs=1, device="cpu")


def _train_with(guidance: Any) -> None:
    _classifier(guidance).fit(PRIOR, LABELS)
