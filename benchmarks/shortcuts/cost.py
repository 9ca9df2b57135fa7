"""What an audit and a guided fit cost over an unguided fit, without the language model.

    python -m benchmarks.shortcuts.cost --priors FOLDER

Trains on the texts of `benchmarks.paper.shortcut` (HWU64, published draw, a mark in each text),
unguided, with ``guidance="swap"`` and, for its parts, audits the unguided model; in turns, each as
often. The prior is read or made beforehand. Writes ``results/cost.json``; run it alone.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._record import environment
from benchmarks.shortcuts.audit_planted import plant
from skcap import GuidedTextClassifier
from skcap.shortcuts import ShortcutAudit

PATH = Path(__file__).parent / "results" / "cost.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", default=["hwu64"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--priors", help="folder with <dataset>-<kind>-<seed>.npz, made before")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found = {name: measure(name, options.rounds, options.priors) for name in options.datasets}
    PATH.write_text(json.dumps({**found, "environment": environment()}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def measure(dataset: str, rounds: int, folder: str | None) -> dict[str, Any]:
    """Time all in turns; ratios are of the medians."""
    setting = {"dataset": dataset, "kind": "speaker", "seed": 0, "share": 1.0}
    prior, y, _ = plant(setting, folder)
    seconds: dict[str, list[float]] = {"unguided fit": [], "audit": [], "swap fit": []}

    def timed(name: str, work: Any) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[name].append(round(time.perf_counter() - start, 2))
        return result

    for _ in range(rounds):
        unguided = GuidedTextClassifier(guidance=None, random_state=0)
        model = timed("unguided fit", lambda u=unguided: u.fit(prior.texts.tolist(), y))
        audit = ShortcutAudit(model, prior, prefit=True)
        timed("audit", lambda a=audit: a.fit(prior.texts.tolist(), y))
        guided = GuidedTextClassifier(guidance="swap", random_state=0)
        timed("swap fit", lambda g=guided: g.fit(prior, y))
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    base = medians["unguided fit"]
    return {
        "seconds": seconds,
        "times_unguided": {name: round(value / base, 2) for name, value in medians.items()},
        "rounds_of_training": guided.guidance_[0].n_rounds_,
    }


if __name__ == "__main__":
    main()
