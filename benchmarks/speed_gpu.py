"""What a GPU saves: the same priors and training steps on each device, in one run.

    python -m benchmarks.speed_gpu

Writes `benchmarks/results/speed_gpu.json`. Needs a GPU. CAP of Banking77's texts, nothing cached,
and training on the 5-shot draw of it, by seconds a text and a step.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from benchmarks._record import save
from skcap import CAPPriorTransformer, PriorMatrix, TransformersLLM
from skcap.classifier import GuidedTextClassifier
from skcap.datasets import load_banking77
from skcap.llm import release_models
from skcap.words import split_words

N_TEXTS = {"cuda": 100, "cpu": 10}
EPOCHS = {"cuda": 5, "cpu": 1}
SCORERS = [("float32", 512), ("float32", 4096), ("bfloat16", 512), ("bfloat16", 4096)]
TRAININGS: dict[str, dict[str, Any]] = {
    "unguided": {"beta": 0, "amp": False},
    "unguided, amp": {"beta": 0, "amp": True},
    "alignment": {"amp": False},
    "alignment, amp": {"amp": True},
    "rationale": {"guidance": "rationale", "amp": False},
}


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """Time one call, all kernels done."""
    start = time.perf_counter()
    function(*arguments)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_priors(texts: list[str], labels: Any, device: str) -> dict[str, float]:
    """Seconds a text of CAP; the model is loaded and warm."""
    found = {}
    for dtype, batch_size in SCORERS if device == "cuda" else SCORERS[:1]:
        llm = TransformersLLM(device=device, dtype=dtype, batch_size=batch_size)
        prior = CAPPriorTransformer(llm, cache=False).fit(texts, labels)
        prior.attribute(texts[-3:], labels[-3:])
        n_texts = N_TEXTS[device]
        taken = seconds(prior.attribute, texts[:n_texts], labels[:n_texts])
        found[f"{dtype}, batch_size={batch_size}"] = round(taken / n_texts, 5)
        release_models()
    return found


def measure_training(texts: list[str], labels: Any, device: str) -> dict[str, float]:
    """Seconds a step of 32 texts: what more epochs add, by their number of steps."""
    # Any numbers do: what a step costs does not depend on them.
    matrix = PriorMatrix(texts, [[float(len(w)) for w in split_words(text)] for text in texts])
    found = {}
    for name, parameters in TRAININGS.items():
        X = texts if parameters.get("beta") == 0 else matrix
        own = {**parameters, "device": device, "random_state": 0}
        longer, shorter = 1 + EPOCHS[device], 1
        taken = [
            seconds(GuidedTextClassifier(max_epochs=n, **own).fit, X, labels)
            for n in (shorter, longer)
        ]
        n_steps = -(-(len(texts) + len(set(labels))) // 32) * (longer - shorter)
        found[name] = round((taken[1] - taken[0]) / n_steps, 5)
    return found


def main() -> None:
    X, y = load_banking77("train", shots="published", return_X_y=True)
    warnings.simplefilter("ignore")
    figures = {
        device: {
            "seconds_a_text": measure_priors(X, y, device),
            "seconds_a_step": measure_training(X, y, device),
        }
        for device in ("cuda", "cpu")
    }
    print(save("speed_gpu", figures), figures)


if __name__ == "__main__":
    main()
