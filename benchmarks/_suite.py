"""What the speed suite shares: options, alternation, targets, and where figures go."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _record import RESULTS, save


def parser_of(doc: str) -> argparse.ArgumentParser:
    """Make a parser with the options that every script of the suite has."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="check that it runs; save nothing")
    parser.add_argument("--threads", type=int, help="threads of torch; its own choice if not given")
    parser.add_argument("--output", type=Path, help="folder for the figures, not results/")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    return options


def finish(name: str, figures: dict[str, Any], options: argparse.Namespace) -> None:
    """Save figures where they belong, and print them."""
    if options.output or not options.small:
        save(name, figures, options.output or RESULTS)
    print(json.dumps(figures, indent=2))


def target(number: int, what: str, measured: float, limit: float, unit: str = "times") -> dict:
    """Compare a figure with the most that it may be."""
    return {
        "number": number,
        "what": what,
        "measured": round(measured, 4),
        "limit": limit,
        "unit": unit,
        "met": bool(measured <= limit),
    }


def alternate(jobs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Time jobs in turn, so that what else the machine does meets all of them alike.

    Each is run once before, to warm up, and every second round goes backwards, so that none always
    follows the same other one.
    """
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(repeats):
        for name in list(jobs)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            jobs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def paired_ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over the rounds of the ratio within a round, which drifts least with the machine."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
