"""Tables of runs: means over seeds, and paired differences from the unguided model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Line = dict[str, Any]
Figures = dict[int, dict[str, float]]  # of a method's runs, by seed
BASELINE = "unguided"


@dataclass(frozen=True)
class Columns:
    """Figures to show, where there are any, and figures to compare with those of the baseline."""

    shown: tuple[str, ...]
    paired: tuple[str, ...]


def tables(by_place: dict[str, list[Line]], methods: Iterable[str], columns: Columns) -> str:
    """Write a table for each place; figures are shares of 1, and shown in %."""
    return "\n".join(_table(place, lines, methods, columns) for place, lines in by_place.items())


def _table(place: str, lines: list[Line], methods: Iterable[str], columns: Columns) -> str:
    runs = {(line["settings"]["method"], line["settings"]["seed"]): line for line in lines}
    shown = [name for name in columns.shown if any(name in line["figures"] for line in lines)]
    head = ["method", "seeds", "parameter", *shown, *(f"{name}, paired" for name in columns.paired)]
    rows = []
    for method in methods:
        own = {seed: run for (name, seed), run in sorted(runs.items()) if name == method}
        if own:
            base = {seed: run for (name, seed), run in runs.items() if name == BASELINE}
            rows.append(_row(method, own, base, shown, columns.paired))
    return f"## {place}\n\n{as_table(head, rows)}\n"


def _row(
    method: str,
    own: dict[int, Line],
    base: dict[int, Line],
    shown: list[str],
    paired: tuple[str, ...],
) -> list[str]:
    values = next(iter(own.values()))["settings"]["parameters"].values()
    figures = {seed: run["figures"] for seed, run in own.items()}
    base_figures = {seed: run["figures"] for seed, run in base.items()}
    return [
        method,
        str(len(own)),
        ", ".join(f"{value:g}" for value in values),
        *(spread(percent(figures, name)) for name in shown),
        *(interval(differences(figures, base_figures, name)) for name in paired),
    ]


def percent(own: Figures, figure: str) -> list[float]:
    """Give a figure of all runs in %, NaN where one has none."""
    return [100 * run.get(figure, np.nan) for run in own.values()]


def differences(own: Figures, base: Figures, figure: str) -> list[float]:
    """Give what a method's runs have over those of another, in points, paired by seed."""
    return [
        100 * (run[figure] - base[seed][figure])
        for seed, run in own.items()
        if seed in base and figure in run and figure in base[seed]
    ]


def as_table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    if np.isnan(values).any():
        return ""
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


def interval(differences: list[float], digits: int = 1) -> str:
    """Mean of paired differences with a 95 % interval over seeds, by Student's t."""
    if len(differences) < 2 or not np.std(differences):
        return f"{np.mean(differences):+.{digits}f}" if differences else ""
    error = stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    mean = np.mean(differences)
    low, high = (f"{end:+.{digits}f}" for end in (mean - error, mean + error))
    return f"{mean:+.{digits}f} ({low} to {high})"
