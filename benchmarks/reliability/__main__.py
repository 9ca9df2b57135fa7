"""Inject faults and write what came of them: ``python -m benchmarks.reliability [--short]``.

Each fault is injected in a process and a folder of its own, by a random number generator whose seed
is in its line. Lines go to results.jsonl, where they replace those of the same areas (or, with
`--match`, of the same faults), and the table to results.md; `--short` only checks. The exit code is
1 if anything was wrong, unclear, dead, or lost beyond the texts in flight.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from benchmarks.reliability import AREAS
from benchmarks.reliability.faults import FAILURES, Row, run
from benchmarks.reliability.table import render

HERE = Path(__file__).parent


def main() -> int:
    """Run, write, and say what failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a minute's worth; writes nothing")
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS))
    parser.add_argument("--match", default="", help="a regular expression for the faults' names")
    parser.add_argument("--jobs", type=int, default=2, help="faults at a time")
    options = parser.parse_args()
    start = time.perf_counter()
    rows = []
    for area in options.areas:
        faults = (f for f in AREAS[area](options.short) if re.search(options.match, f.name))
        for row in run(faults, options.jobs):
            rows.append(row)
            if row.outcome in FAILURES:
                print(
                    f"{row.area}: {row.name} (seed {row.seed}): {row.outcome}: {row.detail}",
                    flush=True,
                )
        print(f"{area}: {len(rows)} faults so far, {time.perf_counter() - start:.0f} s", flush=True)
    failed = any(row.outcome in FAILURES for row in rows)
    if options.short:
        print(render(rows))
    else:
        _record(rows, set() if options.match else {a.replace("_", " ") for a in options.areas})
    return int(failed)


def _record(rows: list[Row], areas: set[str]) -> None:
    """Write lines in place of those of the same faults and of some areas, and the table of all."""
    path = HERE / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    new = {(row.area, row.name, row.seed) for row in rows}
    old = [Row(**json.loads(line)) for line in lines]
    others = [
        row for row in old if row.area not in areas and (row.area, row.name, row.seed) not in new
    ]
    order = [area.replace("_", " ") for area in AREAS]
    rows = sorted(
        [*others, *rows], key=lambda row: (order.index(row.area), row.name.split(":")[0], row.seed)
    )
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    page = render(rows)
    (HERE / "results.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    sys.exit(main())
