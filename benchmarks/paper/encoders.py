"""Accuracy as such: what a larger encoder brings, without any guidance.

    python -m skcap install all-mpnet-base-v2   # once
    python -m benchmarks.paper.encoders --lr 3e-4 1e-4 5e-5 --split valid   # choices
    python -m benchmarks.paper.encoders --encoders all-mpnet-base-v2 --datasets hwu64 --seeds 0 1
    python -m benchmarks.paper.encoders --render   # writes encoders.md

Five texts per class; seed 0 is the published draw. The learning rate was chosen by validation
texts of HWU64's published draw. Each run appends a line to ``results/encoders.jsonl``; a run that
is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
from functools import partial
from typing import Any

from benchmarks._intents import dataset_name
from benchmarks.natural.table import as_table, spread
from benchmarks.paper.draws import make_draw
from benchmarks.paper.run import RESULTS, keep_run, read_lines
from skcap import GuidedTextClassifier

PATH = RESULTS / "encoders.jsonl"
PAGE = RESULTS.parent / "encoders.md"
#: Encoders, with their learning rates: the default, which validation texts chose for both.
ENCODERS = {"all-minilm-l6-v2": 3e-4, "all-mpnet-base-v2": 3e-4}
WEIGHTS = {"all-minilm-l6-v2": 22, "all-mpnet-base-v2": 109}  # millions
#: The highest published accuracies known to us, five texts per class: ICDA, with texts that a large
#: language model wrote (Lin et al., 2023).
PUBLISHED = {"banking77": 84.0, "hwu64": 82.5, "clinc150": 92.6}


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """Train one encoder on one draw; give the accuracy, and the seconds that training took."""
    draw = make_draw(settings["dataset"], 5, settings["seed"], settings["split"])
    clf = GuidedTextClassifier(
        settings["encoder"],
        guidance=None,
        lr=settings["lr"],
        amp=False,
        random_state=settings["seed"],
    )
    start = time.perf_counter()
    clf.fit(draw.X, draw.y)
    seconds = round(time.perf_counter() - start, 1)
    accuracy = round(float(clf.score(draw.X_eval, draw.y_eval)), 5)
    return {"figures": {"accuracy": accuracy}, "seconds": seconds}


def table() -> str:
    """Write accuracies by encoder and data set, the published ones below."""
    found: dict[tuple[str, str], list[float]] = {}
    for line in read_lines(PATH):
        own = line["settings"]
        if own["split"] == "test" and own["lr"] == ENCODERS[own["encoder"]]:
            key = (own["encoder"], own["dataset"])
            found.setdefault(key, []).append(100 * line["figures"]["accuracy"])
    head = ["encoder (millions of weights)", *PUBLISHED]
    rows = []
    for name in ENCODERS:
        cells = [found.get((name, dataset), []) for dataset in PUBLISHED]
        said = [f"{spread(cell)} ({len(cell)})" if cell else "" for cell in cells]
        rows.append([f"{name} ({WEIGHTS[name]})", *said])
    rows.append(["highest published known (ICDA)", *map(str, PUBLISHED.values())])
    return as_table(head, rows)


def render() -> str:
    """Write the table, and what was tried to choose the learning rates."""
    lines = read_lines(PATH)
    choices = [
        f"* {line['settings']['encoder']}, {line['settings']['lr']:g}: "
        f"{100 * line['figures']['accuracy']:.1f}"
        for line in lines
        if line["settings"]["split"] == "valid"
    ]
    return INTRODUCTION.format(**lines[-1]["environment"], table=table(), tried="\n".join(choices))


INTRODUCTION = """# Accuracy as such, without guidance

Written by `python -m benchmarks.paper.encoders --render`; do not edit. Five texts per class, test
texts, accuracy in %; mean ± standard deviation over draws, their number in brackets.
{cpu}, torch {torch}, {date}.

{table}

Learning rates tried, by the accuracy on validation texts of HWU64's published draw:

{tried}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="+", choices=list(ENCODERS), default=list(ENCODERS))
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--lr", nargs="+", type=float, help="instead of what was chosen")
    parser.add_argument("--split", choices=["test", "valid"], default="test")
    parser.add_argument("--render", action="store_true", help="only write the page")
    options = parser.parse_args()
    if options.render:
        PAGE.write_text(render(), encoding="utf-8")
        return
    for seed, name, dataset in itertools.product(options.seeds, options.encoders, options.datasets):
        for lr in options.lr or [ENCODERS[name]]:
            settings = {"encoder": name, "dataset": dataset, "seed": seed, "lr": lr}
            settings["split"] = options.split
            line = keep_run(PATH, settings, partial(measure, settings))
            if line is not None:
                print(settings, line["figures"], line["seconds"], flush=True)


if __name__ == "__main__":
    main()
