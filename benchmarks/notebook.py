"""The notebook behind docs/evidence.md: each single run on record, one row a run.

    python -m benchmarks.notebook   # writes notebook.md

Records are what the runners wrote, line by line; nothing is left out and nothing is averaged. To
make a row again, run its runner with the settings that stand in the row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.natural.table import as_table
from benchmarks.paper.run import read_lines

HERE = Path(__file__).parent
RECORDS = {
    "paper/results/shortcut.jsonl": "benchmarks.paper.shortcut",
    "shortcuts/results/audit_planted.jsonl": "benchmarks.shortcuts.audit_planted",
    "shortcuts/results/audit_understanding.jsonl": "benchmarks.shortcuts.audit_understanding",
    "natural/results/planted.jsonl": "benchmarks.natural.planted",
    "natural/results/scope.jsonl": "benchmarks.natural.scope",
    "natural/results/compare.jsonl": "benchmarks.natural.compare",
    "guidance/results/ablations.jsonl": "benchmarks.guidance.ablations",
    "paper/results/teacher_curve.jsonl": "benchmarks.paper.teacher_curve",
    "paper/results/encoders.jsonl": "benchmarks.paper.encoders",
}
INTRODUCTION = """# All runs

Written by `python -m benchmarks.notebook`; do not edit. What the tables of
[docs/evidence.md](../docs/evidence.md) are made from, one row a run: settings, then figures, then
where and when. The runs of the paper's own tables are in `paper/results/cells`.

"""


def cells_of(line: dict[str, Any]) -> dict[str, str]:
    """Name and write everything in a run's line; the hash of its data tells a reader nothing."""
    found = {k: v for k, v in line["settings"].items() if k != "data"} | line["figures"]
    found |= {key: line[key] for key in ("flagged", "swapped", "seconds") if key in line}
    where = line["environment"]
    found |= {"cpu": where["cpu"], "torch": where["torch"], "date": where["date"]}
    return {name: _short(value) for name, value in found.items()}


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(own)}" for name, own in value.items())
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def table(lines: list[dict[str, Any]]) -> str:
    """Write one row for each line, with a column for everything that one of them has."""
    rows = [cells_of(line) for line in lines]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    columns = [c for c in columns if c not in ("cpu", "torch", "date")] + ["cpu", "torch", "date"]
    body = [[row.get(column, "") for column in columns] for row in rows]
    return as_table(columns, body)


def main() -> None:
    parts = [INTRODUCTION]
    for record, runner in RECORDS.items():
        lines = read_lines(HERE / record)
        if lines:
            parts.append(f"## `python -m {runner}`, {len(lines)} runs\n\n{table(lines)}\n\n")
    (HERE / "notebook.md").write_text("".join(parts).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
