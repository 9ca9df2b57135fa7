"""Texts put through the language model one at a time and together, on a GPU if there is one.

    python benchmarks/speed_together.py [--texts 64] [--tokens 16384]

The job is that of a class-aware prior on Banking77 with SmolLM2-135M, as in `speed_scoring.py`.
Both ways are run in turn, on the same texts, and each is compared with plain products of the shapes
that it had. ``--tokens`` is what goes through the model at once where texts go together.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import torch
from _suite import finish, parse, parser_of, target
from speed_scoring import (
    MODEL,
    Work,
    make_work,
    now,
    recorded_products,
    seconds_of_attention,
    seconds_of_linear,
)

from skcap import TransformersLLM
from skcap.llm import release_models


class Together(TransformersLLM):
    """Asks for as many texts at once as `batch_size` says, on any device."""

    def tokens_at_once(self) -> int:
        return self._batch_size()


class Alone(TransformersLLM):
    """Asks for one text at a time, on any device."""

    def tokens_at_once(self) -> int:
        return 1


class Pass(NamedTuple):
    """What one way of scoring all texts took."""

    seconds: float
    products: float
    forwards: int
    tokens: int
    evidence: list[np.ndarray]


def run(llm: TransformersLLM, work: Work, measure_products: bool) -> Pass:
    asked = [(job.text, job.name) for job in work.jobs]
    requests = work.prior._requests(llm, *zip(*asked, strict=True))
    model, device = llm._load().model, llm._load().device
    sizes: list[int] = []
    handle = model.register_forward_pre_hook(
        lambda _module, _args, inputs: sizes.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    evidence: list[np.ndarray] = []
    start = now(device)
    for group in work.prior._groups(llm, requests):
        evidence += work.prior._evidence(llm, [asked[place] for place in group])
    seconds = now(device) - start
    handle.remove()
    products = 0.0
    if measure_products:
        with recorded_products(model) as found:
            for group in work.prior._groups(llm, requests):
                work.prior._evidence(llm, [asked[place] for place in group])
        products = seconds_of_linear(found) + seconds_of_attention(found, model.dtype)
    return Pass(seconds, products, len(sizes), sum(sizes), evidence)


def measure(work: Work, options: Any) -> dict[str, Any]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    llms = {
        "one at a time": Alone(MODEL, device=device, batch_size=512),
        "together": Together(MODEL, device=device, batch_size=options.tokens),
    }
    passes: dict[str, list[Pass]] = {name: [] for name in llms}
    for name in llms:
        run(llms[name], work._replace(jobs=work.jobs[:8]), True)  # warms up
    for turn, name in itertools.product(range(options.rounds), llms):
        passes[name].append(run(llms[name], work, turn == 0))
    figures: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "dtype": str(llms["together"]._load().model.dtype),
        "n_texts": len(work.jobs),
        "tokens_at_once": options.tokens,
    }
    for name, found in passes.items():
        best = min(found, key=lambda one: one.seconds)
        figures[name] = {
            "seconds_per_text": best.seconds / len(work.jobs),
            "tokens_per_second": best.tokens / best.seconds,
            "forwards_per_text": best.forwards / len(work.jobs),
            "share_of_bare_products": found[0].products / best.seconds,
        }
    one, other = (figures[name]["seconds_per_text"] for name in llms)
    pairs = zip(*(passes[name][0].evidence for name in llms), strict=True)
    figures["largest_difference_in_log_p"] = max(float(np.abs(a - b).max()) for a, b in pairs)
    figures["times_faster"] = one / other
    release_models()
    limit = 0.1 if device == "cuda" else 1.05
    figures["targets"] = [
        target(20, "seconds of texts together, of one at a time", other / one, limit)
    ]
    if device == "cuda":
        share = figures["together"]["share_of_bare_products"]
        figures["targets"].append(target(20, "scoring against its bare products", 1 / share, 2.5))
    return figures


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--masks", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=3)
    options = parse(parser)
    if options.small:
        options.texts, options.masks, options.tokens, options.rounds = 2, 1, 1024, 1
    finish("speed_together", measure(make_work(options.texts, options.masks), options), options)


if __name__ == "__main__":
    main()
