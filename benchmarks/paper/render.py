"""Tables of the runs that are there, for docs/tables.md: ``python -m benchmarks.paper.render``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._intents import LOADERS
from benchmarks.paper.run import read_cells
from benchmarks.paper.settings import ROWS
from skcap.classifier import GuidedTextClassifier

DOCS = Path(__file__).parents[2] / "docs"
MEASURES = ("accuracy", "adversarial", "comprehensiveness", "sufficiency")
CONTROLLED = [("cap", "shuffled"), ("hybrid", "hybrid_shuffled")]  # rows and what they must beat
CAPTION = "Differences in points over the seeds that both have, with 95 % bootstrap intervals:"
N_RESAMPLES = 10_000

Cells = dict[tuple[str, str], dict[int, dict[str, Any]]]  # (dataset, row) -> seed -> run


def collect(records: Iterable[dict[str, Any]], shots: int | None, split: str = "test") -> Cells:
    """Arrange runs; of one cell that was run with several settings the latest counts."""
    cells: Cells = {}
    for record in records:
        settings = record["settings"]
        if settings["shots"] == shots and settings["split"] == split:
            place = cells.setdefault((settings["dataset"], settings["row"]), {})
            place[settings["seed"]] = record
    return cells


def difference(ours: dict[int, Any], base: dict[int, Any], measure: str) -> str:
    """Mean difference over the seeds that both have, with a 95 % bootstrap interval.

    Seeds are drawn with replacement, and where each text's answer is on record, texts within them.
    """
    seeds = sorted(set(ours) & set(base))
    if not seeds:
        return ""
    if any(measure not in run["figures"] for s in seeds for run in (ours[s], base[s])):
        return ""
    figures = [100 * (ours[s]["figures"][measure] - base[s]["figures"][measure]) for s in seeds]
    mean = float(np.mean(figures))
    if len(seeds) < 2:
        return f"{mean:+.1f}"
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(seeds), size=(N_RESAMPLES, len(seeds)))
    noise = np.array([text_noise(ours[s], base[s], measure) for s in seeds])
    values = np.array(figures)[drawn] + noise[drawn] * rng.standard_normal(drawn.shape)
    low, high = np.percentile(values.mean(axis=1), [2.5, 97.5])
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def text_noise(ours: dict[str, Any], base: dict[str, Any], measure: str) -> float:
    """Give the standard error, in points, of a paired difference over the choice of texts."""
    if measure not in ours.get("right", {}):
        return 0.0
    one, other = unpack(ours["right"][measure]), unpack(base["right"][measure])
    return float(100 * (one - other).std() / np.sqrt(one.size))


def unpack(digits: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), dtype=np.uint8)).astype(float)


def table(cells: Cells, dataset: str) -> list[str]:
    """One data set's table in Markdown: mean and standard deviation over the seeds."""
    lines = [
        "| row | seeds | accuracy | adversarial | compr. | suff. |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        runs = cells.get((dataset, name), {})
        if runs:
            figures = [spread(runs, measure) for measure in MEASURES]
            lines.append("| " + " | ".join([row.title, str(len(runs)), *figures]) + " |")
    return lines


def contrasts(cells: Cells, dataset: str) -> list[str]:
    """Differences in Markdown: each row to the unguided one, and what has a control to that."""
    pairs = [(name, "baseline") for name in ROWS if name != "baseline"] + CONTROLLED
    lines = [
        "| row | against | seeds | accuracy | adversarial | compr. | suff. |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, other in pairs:
        ours, base = (cells.get((dataset, row), {}) for row in (name, other))
        figures = [difference(ours, base, measure) for measure in MEASURES]
        if any(figures):
            n_seeds = str(len(set(ours) & set(base)))
            head = [ROWS[name].title, ROWS[other].title, n_seeds]
            lines.append("| " + " | ".join([*head, *figures]) + " |")
    return lines if len(lines) > 2 else []


def spread(runs: dict[int, Any], measure: str) -> str:
    values = [100 * run["figures"][measure] for run in runs.values() if measure in run["figures"]]
    if not values:
        return ""
    return f"{np.mean(values):.1f}" + (
        f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    )


def choices(records: Iterable[dict[str, Any]]) -> list[str]:
    """List the runs on validation texts, with the parameters that are not the defaults."""
    lines = [
        "| data | row | parameters | seed | accuracy | adversarial | addition | compr. | suff. |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        settings, figures = record["settings"], record["figures"]
        if settings["split"] == "valid":
            shown = [f"{100 * figures[m]:.1f}" for m in (*MEASURES[:2], "addition", *MEASURES[2:])]
            cells = [settings["dataset"], ROWS[settings["row"]].title, changed(settings)]
            lines.append("| " + " | ".join([*cells, str(settings["seed"]), *shown]) + " |")
    return lines


def changed(settings: dict[str, Any]) -> str:
    """Name the classifier's parameters that differ from its defaults."""
    defaults = GuidedTextClassifier().get_params()
    own = {k: v for k, v in settings["classifier"].items() if defaults.get(k, v) != v}
    return ", ".join(f"{name}={value}" for name, value in own.items() if value != 0)


def page(records: list[dict[str, Any]]) -> str:
    """Write docs/tables.md."""
    lines = ["# Tables", "", "Made by `benchmarks/paper/render.py` from the runs that are there."]
    for title, shots in (("5-shot", 5), ("Full data", None)):
        cells = collect(records, shots)
        for dataset in LOADERS:
            if any(place == dataset for place, _ in cells):
                lines += ["", f"## {title}, {dataset}", "", *table(cells, dataset)]
                differences = contrasts(cells, dataset)
                lines += ["", CAPTION, "", *differences] if differences else []
    if any(record["settings"]["split"] == "valid" for record in records):
        lines += ["", "## Choices", "", "On training texts outside of the draw, never on the test"]
        lines += ["split; one run a line.", "", *choices(records)]
    if records:
        where = records[-1]["environment"]
        lines += ["", "Last run with " + ", ".join(f"{k} {v}" for k, v in where.items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    text = page(read_cells())
    (DOCS / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
