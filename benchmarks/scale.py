"""What a million texts with 150 labels cost on paper: ``python benchmarks/scale.py``.

Counted here: tokens, on a sample of CLINC150, whose 150 labels stand in every prompt. Measured
before: FLOP per second and bytes, in ``results/``. Assumed, and stated in the output: rates and
sizes of models that were not at hand, and prices. docs/scale.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _intents import LOADERS
from _record import RESULTS, save

from skcap import CAPPriorTransformer, TransformersLLM

N_TEXTS = 1_000_000
ASSUMED: dict[str, dict[str, Any]] = {
    "8b_on_vllm": {
        # 2 * 8e9 FLOP a token at 40 % of the 989 TFLOP/s (bfloat16, dense) of NVIDIA's data sheet.
        # For comparison: 38,762 tokens/s in all, 8B in fp8 by TensorRT-LLM on an H100, in
        # https://github.com/NVIDIA/TensorRT-LLM/issues/6294
        "tokens_per_gpu_second": 0.4 * 989e12 / (2 * 8e9),
        "euros_per_gpu_hour": 2.5,
        "bytes_of_keys_and_values_a_token": 2 * 32 * 8 * 128 * 2,  # Llama 3's layers and heads
    },
    "0.5b_on_cpus": {
        "parameters_in_products": 0.36e9,  # Qwen2.5-0.5B without its embeddings
        "layers": 24,
        "width": 896,
        "euros_per_core_hour": 0.04,
    },
}


class CountingLLM(TransformersLLM):
    """Counts the tokens of prompts in place of scoring them."""

    prompts = own = full = prefix = 0

    def log_likelihood(
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:  # fmt: skip
        """Count what one text asks for."""
        pairs = list(zip(bodies, continuations, strict=True))
        ids = [prompt.ids[:-1] for prompt in self._encode(self._load(), pairs, prefix, suffix)]
        (shared,) = self._encode(self._load(), [("", "x")], prefix, "")
        cls = CountingLLM
        cls.prefix = len(shared.ids) - 1
        cls.prompts += len(ids)
        cls.full += sum(map(len, ids))
        nodes = {one[:end] for one in ids for end in range(cls.prefix + 1, len(one) + 1)}
        cls.own += len(nodes)
        return np.full(len(pairs), -1.0)


def count(n_texts: int) -> dict[str, float]:
    """Tokens a text, on texts of CLINC150."""
    X, y = LOADERS["clinc150"]("train", return_X_y=True)
    rows = np.random.default_rng(0).choice(len(X), n_texts, replace=False)
    prior = CAPPriorTransformer(CountingLLM(), cache=False, random_state=0).fit(X, y)
    prior.attribute([X[row] for row in rows], y[rows])
    return {
        "texts": n_texts,
        "words_a_text": float(np.mean([len(X[row].split()) for row in rows])),
        "prompts_a_text": CountingLLM.prompts / n_texts,
        "tokens_of_the_shared_prefix": CountingLLM.prefix,
        "own_tokens_a_text": CountingLLM.own / n_texts,
        "tokens_in_full_prompts_a_text": CountingLLM.full / n_texts,
    }


def on_vllm(tokens: dict[str, float]) -> dict[str, float]:
    """Compute the cost of an 8B teacher on vLLM, which keeps no prefix of such prompts."""
    assumed = ASSUMED["8b_on_vllm"]
    needed = N_TEXTS * tokens["tokens_in_full_prompts_a_text"]
    shared = N_TEXTS * tokens["own_tokens_a_text"]
    hours = needed / assumed["tokens_per_gpu_second"] / 3600
    return {
        "tokens": needed,
        "requests": N_TEXTS * tokens["prompts_a_text"],
        "gpu_hours": hours,
        "euros": hours * assumed["euros_per_gpu_hour"],
        "tokens_if_prefixes_were_shared": shared,
        "gpu_hours_if_prefixes_were_shared": hours * shared / needed,
        "euros_if_prefixes_were_shared": hours * shared / needed * assumed["euros_per_gpu_hour"],
        "bytes_of_keys_and_values_of_the_prefix": tokens["tokens_of_the_shared_prefix"]
        * assumed["bytes_of_keys_and_values_a_token"],
    }


def on_cpus(tokens: dict[str, float], flop_per_core_second: float) -> dict[str, float]:
    """Compute the cost of a 0.5B teacher in this library's own tree of variants."""
    assumed = ASSUMED["0.5b_on_cpus"]
    keys = tokens["tokens_of_the_shared_prefix"] + tokens["own_tokens_a_text"]
    attention = 4 * assumed["layers"] * assumed["width"] * keys  # the mask saves no products
    needed = N_TEXTS * tokens["own_tokens_a_text"]
    hours = needed * (2 * assumed["parameters_in_products"] + attention) / flop_per_core_second
    hours /= 3600
    return {
        "tokens": needed,
        "core_seconds_a_text": hours * 3600 / N_TEXTS,
        "core_hours": hours,
        "euros": hours * assumed["euros_per_core_hour"],
    }


def read(name: str) -> dict[str, Any]:
    """Read what another benchmark measured."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def main() -> None:
    """Count, compute, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--texts", type=int, default=200, help="texts on which tokens are counted")
    options = parser.parse_args()
    scoring, scaling, cache = map(read, ("speed_scoring", "speed_scaling", "cache"))
    rate = scoring["parts"]["rate"]
    per_core = 1e9 * rate["float32"]["gflops_per_second"]["scoring"] / rate["threads"]
    container, entry = scaling["container"][-1], cache["1000000_entries"]["skcap"]
    tokens = count(options.texts)
    figures = {
        "texts": N_TEXTS,
        "counted": tokens,
        "measured": {
            "flop_per_core_second": per_core,
            "cache_bytes_an_entry_of_44_numbers": entry["bytes"],
            "cache_write_microseconds": entry["write_microseconds"],
            "prior_file_bytes_a_text": container["file_bytes_a_text"],
            "prior_memory_bytes_a_text": container["memory_bytes_a_text"],
        },
        "assumed": ASSUMED,
        "8b_on_vllm": on_vllm(tokens),
        "0.5b_on_cpus": on_cpus(tokens, per_core),
        "disk": {
            "cache_bytes": N_TEXTS * entry["bytes"],
            "prior_file_bytes": N_TEXTS * container["file_bytes_a_text"],
            "cache_write_hours": N_TEXTS * entry["write_microseconds"] / 3.6e9,
        },
    }
    print(json.dumps(figures, indent=2))
    print(save("scale", figures, Path(RESULTS)))


if __name__ == "__main__":
    main()
