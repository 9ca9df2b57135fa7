"""Run cells of the tables that are not there yet, one after the other.

    python -m benchmarks.paper.run --datasets banking77 --rows baseline cap --seeds 0 1 2
    python -m benchmarks.paper.run --split valid --rows cap --extra '{"beta": 0.3}'   # choices

Each run appends a line to a file in ``benchmarks/paper/results/cells`` as soon as it is done; a run
whose settings, data and versions are there already is not repeated. Stop it when you like. On a
GPU, ``--n-jobs 12`` keeps it busy.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks._intents import LOADERS
from benchmarks._record import environment
from benchmarks.paper.cell import Cell, key_of, prepare, run_cell
from benchmarks.paper.draws import make_draw
from benchmarks.paper.pool import fill_cache, run_all
from benchmarks.paper.settings import ROWS

RESULTS = Path(__file__).parent / "results"
CELLS = RESULTS / "cells"  # a file for each data set and split: one of all would be too large
FROZEN = RESULTS / "frozen"  # runs of earlier code, see its README


def versions() -> dict[str, str]:
    """Versions that results depend on."""
    packages = ("skcap", "torch", "transformers", "scikit-learn", "captum")
    return {name: version(name) for name in packages}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read what was run."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def read_cells() -> list[dict[str, Any]]:
    """Read what was run of the tables, by today's code and by earlier code."""
    today = [cell for path in sorted(CELLS.glob("*.jsonl")) for cell in read_lines(path)]
    return [*today, *read_frozen()]


def read_frozen() -> list[dict[str, Any]]:
    """Read the runs of earlier code, in the form of today's."""
    code = json.loads((FROZEN / "code.json").read_text())
    cells = [cell for path in sorted(FROZEN.glob("*-*.jsonl")) for cell in read_lines(path)]
    for cell in cells:
        given = cell["settings"].pop("classifier")
        defaults = code["defaults"]
        cell["settings"]["parameters"] = {
            name: value
            for name, value in given.items()
            if name not in defaults or defaults[name] != value
        }
        cell["environment"]["commit"] = code["commit"]
    return cells


def add_line(path: Path, record: dict[str, Any]) -> None:
    """Keep a run as soon as it is done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, default=str) + "\n")


def keep_run(
    path: Path, settings: dict[str, Any], measure: Callable[[], dict[str, Any]]
) -> dict[str, Any] | None:
    """Measure a run and keep it, with its settings and environment; None if it is there."""
    if any(line["settings"] == settings for line in read_lines(path)):
        return None
    line = {"settings": settings, **measure(), "environment": environment()}
    add_line(path, line)
    return line


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=list(LOADERS), default=list(LOADERS))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["baseline", "cap"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--shots", type=int, default=5, help="0 takes all training texts")
    parser.add_argument("--split", choices=["test", "valid"], default="test")
    parser.add_argument("--extra", nargs="+", default=["{}"], help="JSON of more parameters")
    parser.add_argument("--n-jobs", type=int, default=1, help="runs at once; for a GPU")
    return parser.parse_args()


def run_missing(cell: Cell, done: frozenset[str]) -> dict[str, Any] | None:
    """Run a cell and describe all that it depends on; None if it is done."""
    draw, attacked = prepare(cell.dataset, cell.shots, cell.seed, cell.split)
    settings = cell.settings(draw, attacked.content_hash[:16])
    key = key_of(settings, versions())
    if key in done:
        return None
    return {
        "key": key,
        "settings": settings,
        "versions": {**versions(), "python": platform.python_version()},
        **run_cell(cell, draw, attacked),
        "environment": environment(),
    }


def main() -> None:
    options = parse()
    done = frozenset(cell["key"] for cell in read_cells())
    # Seeds outside, so that after a stop all rows have the same seeds as far as possible.
    cells = [
        Cell(dataset, row, seed, options.shots or None, options.split, extra)
        for seed, dataset, row, extra in itertools.product(
            options.seeds, options.datasets, options.rows, options.extra
        )
    ]
    if options.n_jobs > 1:
        asked = {(c.dataset, c.shots, c.seed, c.split): () for c in cells}
        for c in cells:
            asked[c.dataset, c.shots, c.seed, c.split] += ROWS[c.row].sources
        draws = [(sources, make_draw(*key)) for key, sources in asked.items()]
        fill_cache([(s, d.X, d.y) for sources, d in draws for s in {*sources}], options.n_jobs)
    for record in run_all(run_missing, [(cell, done) for cell in cells], options.n_jobs):
        if record is not None:
            add_line(CELLS / "{dataset}-{split}.jsonl".format(**record["settings"]), record)
            print(told(record), flush=True)


def told(record: dict[str, Any]) -> str:
    """Say in a line what came of a run."""
    settings, figures = record["settings"], record["figures"]
    what = [settings[name] for name in ("dataset", "row", "seed", "shots", "split")]
    found = ", ".join(f"{name} {100 * value:.1f}" for name, value in figures.items())
    return f"{what}: {found}; {record['seconds']}"


if __name__ == "__main__":
    main()
