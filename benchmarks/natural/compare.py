"""Use compare_guidance where users wrote the test texts, to see whether guidance is worth having.

    python -m benchmarks.natural.compare --sets hint3-SOFMattress-v1 --guidance swap rationale

As docs/compare.md advises: trained on folds of what a chatbot's makers wrote, scored on what its
users sent. Each comparison appends a line to ``results/compare.jsonl`` and draws its plot into
``docs/images``; one that is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._record import environment
from benchmarks.natural.sets import SETS, TextSet
from benchmarks.paper.run import add_line, read_lines
from benchmarks.paper.teachers import make_source
from skcap import GuidedTextClassifier
from skcap.inspection import compare_guidance

PATH = Path(__file__).parent / "results" / "compare.jsonl"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
N_FOLDS = 3  # some intents have few texts


def compare(data: TextSet, guidance: str) -> Any:
    """Compare on the users' texts, whichever texts a fold holds out."""

    def accuracy_of_users(estimator: Any, X: Any, y: Any) -> float:
        return float(np.mean(estimator.predict(data.X_in) == data.y_in))

    return compare_guidance(
        GuidedTextClassifier(guidance=guidance, amp=False),
        data.X,
        data.y,
        prior=make_source("cap").fit_transform(data.X, data.y),
        cv=N_FOLDS,
        scoring=accuracy_of_users,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["hint3-SOFMattress-v1"])
    parser.add_argument("--guidance", nargs="+", default=["swap"])
    options = parser.parse_args()
    for name, guidance in itertools.product(options.sets, options.guidance):
        settings = {"set": name, "guidance": guidance, "folds": N_FOLDS}
        if any(line["settings"] == settings for line in read_lines(PATH)):
            continue
        start = time.perf_counter()
        comparison = compare(SETS[name](0), guidance)
        figures = comparison.to_frame().round(4).to_dict("index")
        line = {"settings": settings, "figures": figures, "says": comparison.summary()}
        seconds = round(time.perf_counter() - start, 1)
        add_line(PATH, {**line, "seconds": seconds, "environment": environment()})
        print(comparison.summary(), flush=True)
        figure = comparison.plot().figure
        figure.savefig(IMAGES / f"compare_{guidance}.png", dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
