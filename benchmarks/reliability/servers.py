"""A language model's server that fails, stalls, or answers what nobody asked for."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reliability import material  # noqa: F401  (makes the tests' modules importable)
from benchmarks.reliability.faults import Fault, Outcome, judge
from skcap.llm import ServerLLM

_BODIES = ["where is my card", "where is my", "i lost it", "top it up"]
_NAMES = ["card arrival", "top up", "lost card", "top up"]
_FRAME = {"prefix": "Labels: a, b\nText: ", "suffix": "\nIntent:"}
_RETRIES = 2


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    names = ["echo", "prompt_logprobs", "llama.cpp"]
    for name in _replies():
        for seed in range(1 if short else 6):
            yield Fault(
                "servers", f"{names[seed % 3]}: {name}", seed, _fault(names[seed % 3], name)
            )


def _fault(protocol: str, name: str) -> Callable[[Path, random.Random], Outcome]:
    def inject(folder: Path, rng: random.Random) -> Outcome:
        from language_server import LanguageServer

        os.environ["NO_PROXY"] = "*"
        server = LanguageServer(_models()[protocol])
        try:
            return _ask(server, _replies()[name], rng)
        finally:
            server.close()

    return inject


def _ask(server: Any, reply: Any, rng: random.Random) -> Outcome:
    """Ask a server with a fault at a random place, then one without."""
    llm = ServerLLM(
        server.url, "tiny", timeout=0.7, retry_wait=0.0, max_retries=_RETRIES, n_connections=2
    )
    if rng.random() < 0.7:
        llm.fingerprint()  # or the fault is met when the server is first looked at
    address = server.url.removesuffix("/v1")
    server.faults = [None] * rng.randrange(4) + [reply] * rng.randint(1, 2 * _RETRIES + 2)
    outcome = judge(lambda: llm.log_likelihood(_BODIES, _NAMES, **_FRAME), _is_right, address)
    server.faults = []
    if outcome.outcome in ("survived", "clear error"):
        after = judge(lambda: llm.log_likelihood(_BODIES, _NAMES, **_FRAME), _is_right, "$^")
        if after.outcome != "survived":
            return Outcome("wrong", f"not the right scores when all is well again: {after.detail}")
    return outcome


def _is_right(scores: np.ndarray) -> bool:
    from language_server import label_score

    prompts = [_FRAME["prefix"] + body + _FRAME["suffix"] for body in _BODIES]
    right = [label_score(p, f" {name}") for p, name in zip(prompts, _NAMES, strict=True)]
    return bool(np.allclose(scores, right))


def _models() -> dict[str, Any]:
    from language_server import LlamaCpp, echo, prompt_logprobs

    return {"echo": echo, "prompt_logprobs": prompt_logprobs, "llama.cpp": LlamaCpp()}


def _replies() -> dict[str, Callable[[Any], None]]:
    from language_server import cut_short, drip, drip_headers, flood, hang, hang_up, saying

    numbers = {"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [9.0]}}]}
    return {
        "500": saying("oops", 500),
        "503 with Retry-After": saying("busy", 503, Retry_After="0"),
        "429": saying("busy", 429, Retry_After="soon"),
        "401": saying("no", 401),
        "404": saying("no such page", 404),
        "redirect": saying("moved", 302, Location="http://127.0.0.2:9/"),
        "status out of range": saying("no", 799),
        "half a reply": saying(b'{"choices": [{"text": "Lab'),
        "no UTF-8": saying(b"\xff\xfe\x00"),
        "nothing": saying(b""),
        "a page": saying(b"<html><body>Welcome</body></html>"),
        "a list": saying([1]),
        "another shape": saying({"choices": "none"}),
        "a positive log-probability": saying(numbers),
        "NaN": saying(b'{"choices": [{"text": "a", "logprobs": {"token_logprobs": [NaN]}}]}'),
        "a million brackets": saying(b'{"choices": ' + b"[" * 10**6 + b"]" * 10**6 + b"}"),
        "a number of 10,000 digits": saying(b'{"choices": ' + b"9" * 10_000 + b"}"),
        "said to be packed": saying({}, Content_Encoding="gzip"),
        "cut short": cut_short,
        "hung up": hang_up,
        "never ends": drip,
        "headers never end": drip_headers,
        "hangs": hang,
        "64 MiB": flood,
    }
