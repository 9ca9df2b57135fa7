"""The same methods where a shortcut was planted: with its mark, without one, with a misleading one.

    python -m benchmarks.natural.planted --datasets hwu64 --shares 1.0 0.6 --tune
    python -m benchmarks.natural.planted --datasets hwu64 --shares 1.0 0.6 --seeds 0 1 2
    python -m benchmarks.natural.planted --render

Five texts per class, a share of which begins with a name that is the same for all of a class, as in
`benchmarks.paper.shortcut`. ``--tune`` chooses each method's main parameter on validation texts by
the mean of the accuracies without a mark and with a misleading one: as the papers of most rivals
do, it knows which groups of texts matter. ``--render`` writes ``planted.md``. See
`benchmarks.natural.study` for what is kept where.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks._intents import dataset_name
from benchmarks.natural.methods import data_for, make
from benchmarks.natural.study import Run, Study, flagged_by, parser_of
from benchmarks.natural.table import Columns
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.shortcut import count_flagged, marked_texts, sign, words_of
from benchmarks.paper.teachers import make_source
from skcap import PriorMatrix

TESTS = ("same", "none", "misleading")
SHARES = (1.0, 0.8, 0.6)


@lru_cache(maxsize=2)
def plant(dataset: str, share: float, seed: int, split: str) -> tuple[Draw, np.ndarray]:
    """Draw texts and put marks into a share of each class's; give the marks, by class, as well."""
    return sign(make_draw(dataset, 5, seed, split), seed, share=share)


@lru_cache(maxsize=2)
def prior_of(dataset: str, share: float, seed: int, split: str) -> PriorMatrix:
    """Make the prior of the training texts; what was scored before is in the cache."""
    draw, _ = plant(dataset, share, seed, split)
    return make_source("cap").fit_transform(draw.X, draw.y)


def measure(run: Run, **classifier: Any) -> dict[str, Any]:
    """Train one method with one seed, and test it with three kinds of marks."""
    where = (run.place["dataset"], run.place["share"], run.seed, run.split)
    draw, marks = plant(*where)
    texts = data_for(run.method, draw.X, lambda: prior_of(*where), run.seed)
    start = time.perf_counter()
    model = make(run.method, run.seed, run.parameters, **classifier).fit(texts, draw.y)
    seconds = round(time.perf_counter() - start, 1)
    tests = marked_texts(draw, marks, run.seed)
    figures = {
        name: round(float(np.mean(model.predict(tests[name]) == draw.y_eval)), 5) for name in TESTS
    }
    flagged = flagged_by(model)
    if flagged:
        figures |= count_flagged(set(flagged["flagged"]), words_of(marks))
    return {"figures": figures, **flagged, "seconds": seconds}


STUDY = Study(
    "planted",
    measure,
    judge=lambda figures: (figures["none"] + figures["misleading"]) / 2,
    columns=Columns(TESTS, paired=("none", "misleading")),
)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    options = parser.parse_args()
    places = [
        {"dataset": dataset, "share": share}
        for dataset in options.datasets
        for share in options.shares
    ]
    STUDY.main(places, options)


if __name__ == "__main__":
    main()
