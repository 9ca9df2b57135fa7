"""Make the data sets that nothing was chosen on, from clones of their repositories.

    git clone https://github.com/jianguoz/Few-Shot-Intent-Detection
    git clone https://github.com/jacoxu/StackOverflow
    python -m benchmarks.natural.kept_aside Few-Shot-Intent-Detection StackOverflow

They are written to ``$SKCAP_DATA/snips`` and ``$SKCAP_DATA/stackoverflow``, where
`benchmarks._intents` finds them. SNIPS: requests to an assistant, 7 intents, the split of the first
repository. Stack Overflow: titles of questions about programming, 20 tags; every tenth title is
tested with. The third, Powerplay11, is a bot of HINT3, see `skcap.datasets.load_hint3`.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
from pathlib import Path

Rows = list[tuple[str, str]]  # text, label


def lines(path: Path) -> list[str]:
    """Read the lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def snips(clone: Path) -> dict[str, Rows]:
    """Read both parts of SNIPS."""
    folders = {part: clone / "Datasets" / "SNIPS" / part for part in ("train", "test")}
    return {
        part: list(zip(lines(folder / "seq.in"), lines(folder / "label"), strict=True))
        for part, folder in folders.items()
    }


def stackoverflow(clone: Path) -> dict[str, Rows]:
    """Read all titles, and divide them."""
    folder = clone / "rawText"
    titles = lines(folder / "title_StackOverflow.txt")
    numbers = lines(folder / "label_StackOverflow.txt")
    tags = dict(re.findall(r"(?m)^\s*(\d+)\s+(\S+)\s*$", (clone / "README.md").read_text("utf-8")))
    rows = [(text, tags[n]) for text, n in zip(titles, numbers, strict=True)]
    return {"train": [row for i, row in enumerate(rows) if i % 10], "test": rows[::10]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("snips", type=Path, help="clone of Few-Shot-Intent-Detection")
    parser.add_argument("stackoverflow", type=Path, help="clone of StackOverflow")
    options = parser.parse_args()
    made = {"snips": snips(options.snips), "stackoverflow": stackoverflow(options.stackoverflow)}
    for name, parts in made.items():
        folder = Path(os.environ["SKCAP_DATA"]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for part, rows in parts.items():
            with open(folder / f"{part}.csv", "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerows([("text", "label"), *rows])
            print(f"{folder / part}.csv: {len(rows):,} rows")


if __name__ == "__main__":
    main()
