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
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.natural.sets import TextSet, loader_of, set_name
from benchmarks.paper.run import keep_run
from benchmarks.paper.teachers import make_source
from skcap import GuidedTextClassifier
from skcap.inspection import compare_guidance

PATH = Path(__file__).parent / "results" / "compare.jsonl"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
N_FOLDS = 3  # some intents have few texts


def compare(data: TextSet, guidance: str) -> Any:
    """Compare by the accuracy on the users' texts; held-out texts are not scored."""

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


def measure(name: str, guidance: str) -> dict[str, Any]:
    """Compare, and draw the plot."""
    start = time.perf_counter()
    comparison = compare(loader_of(name)(0), guidance)
    seconds = round(time.perf_counter() - start, 1)
    figure = comparison.plot().figure
    figure.savefig(IMAGES / f"compare_{name}_{guidance}.png", dpi=110, bbox_inches="tight")
    figures = comparison.to_frame().round(4).to_dict("index")
    return {"figures": figures, "says": comparison.summary(), "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", type=set_name, default=["hint3-SOFMattress-v1"])
    parser.add_argument("--guidance", nargs="+", default=["swap"])
    options = parser.parse_args()
    for name, guidance in itertools.product(options.sets, options.guidance):
        settings = {"set": name, "guidance": guidance, "folds": N_FOLDS}
        line = keep_run(PATH, settings, partial(measure, name, guidance))
        if line is not None:
            print(line["says"], flush=True)


if __name__ == "__main__":
    main()
