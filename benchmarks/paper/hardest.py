"""Does guidance help where it is hardest? Accuracy on the classes that are most often missed.

    python -m benchmarks.paper.hardest

Nothing is trained: the runs on record say which test texts each model got right. The hardest
quarter of the classes, for a seed, are those which the unguided models of the *other* seeds miss
most, so that no run is compared on classes that its own bad luck chose. Writes
`results/hardest.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._intents import LOADERS
from benchmarks._record import save
from benchmarks.paper.render import most_runs, unpack
from benchmarks.paper.run import RESULTS, read_cells

ROWS_SHOWN = ("baseline", "cap", "shuffled", "hybrid", "hybrid_shuffled")
SHARE = 0.25  # of the classes


def hardest_texts(missed: np.ndarray, codes: np.ndarray, seed: int) -> np.ndarray:
    """Tell which texts are of the classes that the other seeds' models miss most.

    Parameters
    ----------
    missed : ndarray of bool, shape (n_seeds, n_texts)
    codes : ndarray of int, shape (n_texts,)
        The class of each text, all classes from 0 on.
    seed : int
        Row of `missed` that is left out.

    Returns
    -------
    ndarray of bool, shape (n_texts,)
    """
    others = np.delete(missed, seed, axis=0).mean(axis=0)
    rates = np.bincount(codes, weights=others) / np.bincount(codes)
    chosen = np.argsort(-rates, kind="stable")[: max(1, round(SHARE * len(rates)))]
    return np.isin(codes, chosen)


def by_row(runs: dict[str, dict[int, Any]], codes: np.ndarray) -> dict[str, Any]:
    """Accuracy on the hardest and on all other classes, by row and seed."""
    seeds = sorted(runs["baseline"])
    right = {
        row: {seed: unpack(run["right"]["accuracy"])[: len(codes)] for seed, run in there.items()}
        for row, there in runs.items()
    }
    missed = np.stack([right["baseline"][seed] == 0 for seed in seeds])
    found: dict[str, Any] = {row: {"seeds": [], "hardest": [], "others": []} for row in runs}
    for place, seed in enumerate(seeds):
        hard = hardest_texts(missed, codes, place)
        for row in runs:
            if seed in right[row]:
                found[row]["seeds"].append(seed)
                found[row]["hardest"].append(round(float(right[row][seed][hard].mean()), 5))
                found[row]["others"].append(round(float(right[row][seed][~hard].mean()), 5))
    return found


def main() -> None:
    cells = most_runs(read_cells())
    figures = {}
    for dataset, load in LOADERS.items():
        runs = {row: cells.get((dataset, row), {}) for row in ROWS_SHOWN}
        runs = {row: there for row, there in runs.items() if there}
        if len(runs.get("baseline", {})) < 2:
            continue  # no other seed to choose classes by
        _, y = load("test", return_X_y=True)
        figures[dataset] = by_row(runs, np.unique(y, return_inverse=True)[1])
        base = figures[dataset]["baseline"]
        for row, found in figures[dataset].items():
            places = [base["seeds"].index(seed) for seed in found["seeds"]]
            gains = {
                part: 100 * np.mean(np.array(found[part]) - np.array(base[part])[places])
                for part in ("hardest", "others")
            }
            print(dataset, row, found["seeds"], found["hardest"], gains)
    save("hardest", figures, RESULTS)


if __name__ == "__main__":
    main()
