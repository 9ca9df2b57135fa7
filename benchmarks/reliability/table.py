"""The table of what came of the faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmarks._record import environment
from benchmarks.reliability.faults import OUTCOMES, Row


def render(rows: Sequence[Row]) -> str:
    """Write the page: one line for each kind of fault, and a total."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.area, row.name.split(":")[0]].append(row)
    header = ["area", "fault", "injected", *OUTCOMES, "lost texts", "of killed processes"]
    lines = [
        _line(header),
        _line(["---"] * len(header)),
        *(_line([area, name, *_counts(group)]) for (area, name), group in groups.items()),
        _line(["**all**", "", *(f"**{count}**" for count in _counts(rows))]),
    ]
    meanings = [f"* *{outcome}*: {meaning}" for outcome, meaning in OUTCOMES.items()]
    made = environment()
    where = f"{made['cpu']}, {made['cores']} cores, Python {made['python']}, {made['date']}"
    return "\n".join(
        [
            "# Injected faults",
            "",
            f"`make reliability`: {len(rows)} faults, {sum(row.seconds for row in rows) / 60:.0f} "
            f"process-minutes, on {where}. Each line of `results.jsonl` is one fault.",
            "",
            *meanings,
            "* *lost texts*: texts that were scored again although they had been. A process that "
            "is killed may lose the one in flight; more than that counts as wrong.",
            "",
            *lines,
            "",
        ]
    )


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _counts(rows: Sequence[Row]) -> list[int]:
    found = [sum(row.outcome == outcome for row in rows) for outcome in OUTCOMES]
    return [len(rows), *found, sum(row.lost for row in rows), sum(row.killed for row in rows)]
