"""Test accuracy on 5-shot Banking77, unguided and guided, over seeds.

    python benchmarks/bench_accuracy.py --seeds 3 [--beta 0 1] [--epochs 15]

The published 5-shot draw, the whole test split. Guidance is by CAP in the paper's form and in the
centred form (`target="log_prob", fit_intercept=True`), and, as a control, by the centred prior
shuffled within each text. One line of JSON a run, appended as it comes; runs that are there are
not repeated.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch
from _record import RESULTS, environment

from skcap import CAPPriorTransformer, GuidedTextClassifier, PriorMatrix
from skcap.datasets import load_banking77


def shuffled(matrix: PriorMatrix, seed: int) -> PriorMatrix:
    """Reorder the scores within each text: the control."""
    rng = np.random.default_rng(seed)
    return PriorMatrix(matrix.texts, [rng.permutation(scores) for scores in matrix.scores])


def priors(X: list[str], y: np.ndarray) -> dict[str, PriorMatrix]:
    paper = CAPPriorTransformer(verbose=1)
    centred = CAPPriorTransformer(target="log_prob", fit_intercept=True, verbose=1)
    return {"paper": paper.fit_transform(X, y), "centred": centred.fit_transform(X, y)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--beta", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--prior", nargs="+", default=["paper", "centred", "shuffled"])
    parser.add_argument("--epochs", type=int, default=GuidedTextClassifier().max_epochs)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "accuracy_banking77_5shot.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    done = {json.dumps(json.loads(line)["setting"], sort_keys=True) for line in lines}

    X, y = load_banking77("train", shots="published", return_X_y=True)
    X_test, y_test = load_banking77("test", return_X_y=True)
    sources = priors(X, y) if any(options.beta) else {}
    for seed in range(options.seeds):
        for beta in options.beta:
            for name in options.prior if beta else ["none"]:
                clf = GuidedTextClassifier(beta=beta, max_epochs=options.epochs, random_state=seed)
                setting = {
                    "seed": seed,
                    "prior": name,
                    "classifier": {
                        key: value
                        for key, value in clf.get_params().items()
                        if isinstance(value, int | float | str)
                    },
                }
                if json.dumps(setting, sort_keys=True) in done:
                    continue
                source = sources.get("centred" if name == "shuffled" else name, X)
                if name == "shuffled":
                    source = shuffled(source, seed)
                start = time.perf_counter()
                clf.fit(source, y)
                figures = {
                    "setting": setting,
                    "seconds": round(time.perf_counter() - start, 1),
                    "accuracy": round(clf.score(X_test, y_test), 4),
                    "environment": environment(),
                }
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(figures) + "\n")
                print(
                    f"seed {seed}, beta {beta:g}, prior {name}: {100 * figures['accuracy']:.1f} %, "
                    f"{figures['seconds']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
