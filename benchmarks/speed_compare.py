"""Run scripts of the speed suite on two commits in turn, and show what got slower.

    python benchmarks/speed_compare.py OLD NEW [--scripts speed_imports ...] [--repeats 3] [--small]

Each commit gets a work tree in a temporary folder, and the same interpreter imports skcap from
there. The scripts are those of this checkout for both, so that they measure alike. A metric is
marked when its median grew by more than `--tolerance` and no new value is as low as any old one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(
    path.stem
    for path in HERE.glob("speed_*.py")
    if path.stem not in ("speed_compare", "speed_plots")
)
COST = re.compile("seconds|ratio|bytes|mib|padding|slope")  # what is better when it is lower
CODE = "import skcap; print(skcap.__file__)"


def commit_hash(name: str) -> str:
    """Say which commit is meant, as a branch may move on while it is measured."""
    command = ["git", "-C", str(HERE), "rev-parse", "--short", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@contextmanager
def work_tree(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a folder, for as long as it is needed."""
    git = ["git", "-C", str(HERE), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def run_in(tree: Path, arguments: list[str]) -> str:
    """Run Python with the skcap of a work tree."""
    run = subprocess.run(
        [sys.executable, *arguments],
        # Both, as `python -c` puts the working directory before PYTHONPATH.
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tree,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout.strip()


def measure(script: str, tree: Path, output: Path, options: argparse.Namespace) -> dict[str, float]:
    found = Path(run_in(tree, ["-c", CODE])).resolve()
    if not found.is_relative_to(tree.resolve()):
        raise RuntimeError(f"skcap comes from {found}, not from {tree}.")
    arguments = [str(HERE / f"{script}.py"), "--output", str(output)]
    arguments += ["--small"] if options.small else []
    arguments += ["--threads", str(options.threads)] if options.threads else []
    run_in(tree, arguments)
    figures = json.loads((output / f"{script}.json").read_text())
    return dict(costs(figures, ()))


def costs(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Yield the costs in a record, named by where they are."""
    if isinstance(value, dict):
        for key, item in value.items():
            if path or key not in ("environment", "targets"):
                yield from costs(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from costs(item, (*path, str(number)))
    elif isinstance(value, int | float) and not isinstance(value, bool) and COST.search(str(path)):
        yield ": ".join(path), float(value)


def table(old: list[dict[str, float]], new: list[dict[str, float]], tolerance: float) -> list[str]:
    rows = []
    for name in old[0]:
        if name not in new[0]:
            continue
        before, after = ([run[name] for run in runs] for runs in (old, new))
        a, b = statistics.median(before), statistics.median(after)
        ratio = b / a if a > 0 else float("nan")
        is_slower = ratio > 1 + tolerance and min(after) > max(before)
        mark = " **slower**" if is_slower else ""
        rows.append(f"| {name} | {a:.4g} | {b:.4g} | {ratio:.2f}{mark} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--scripts", nargs="+", choices=SCRIPTS, default=SCRIPTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=0.1)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    options.old, options.new = (commit_hash(name) for name in (options.old, options.new))
    with (
        tempfile.TemporaryDirectory() as folder,
        work_tree(options.old, Path(folder) / "old") as old,
        work_tree(options.new, Path(folder) / "new") as new,
    ):
        lines = [f"| metric | {options.old} | {options.new} | ratio |", "|---|---|---|---|"]
        for script in options.scripts:
            runs: dict[Path, list[dict[str, float]]] = {old: [], new: []}
            for turn in range(options.repeats):
                for tree in (old, new)[:: -1 if turn % 2 else 1]:
                    output = Path(folder) / "figures"
                    runs[tree].append(measure(script, tree, output, options))
                    print(f"{script}, {tree.name}, {turn + 1} of {options.repeats}", flush=True)
            lines += [f"| **{script}** | | | |", *table(runs[old], runs[new], options.tolerance)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
