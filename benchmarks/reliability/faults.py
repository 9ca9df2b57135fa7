"""What a fault is, what may come of it, and how it is injected: in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import re
import resource
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

OUTCOMES = {
    "survived": "the right results all the same",
    "clear error": "an error that names what was wrong",
    "unclear error": "an error that does not",
    "wrong": "results that are not right, and no error",
    "dead or hung": "the process was ended by the fault, did not end, or left others running",
}
FAILURES = ("unclear error", "wrong", "dead or hung")
_PATIENCE = 120  # seconds

_FORK = multiprocessing.get_context("fork")


@dataclass
class Outcome:
    """What came of a fault.

    `lost` is the number of scored texts that had to be scored again, `killed` that of the
    processes that the fault ended on purpose: each may lose the text in flight.
    """

    outcome: str
    detail: str = ""
    lost: int = 0
    killed: int = 0


@dataclass
class Fault:
    """A fault: `inject` is called in a process and a folder of its own."""

    area: str
    name: str
    seed: int
    inject: Callable[[Path, random.Random], Outcome]


@dataclass
class Row:
    """A line of the record."""

    area: str
    name: str
    seed: int
    outcome: str
    detail: str
    lost: int
    killed: int
    seconds: float


class WrongError(Exception):
    """What came is not right, as the one who asked for it has found."""


def judge(work: Callable[[], Any], is_right: Callable[[Any], bool], named: str) -> Outcome:
    """Call what was broken: the result must be right, or the error must name what was wrong.

    Parameters
    ----------
    work : callable
    is_right : callable
        Tells whether what `work` returns is right.
    named : str
        A regular expression that the message of an error must match.

    Returns
    -------
    Outcome
    """
    try:
        result = work()
    except WrongError as error:
        return Outcome("wrong", str(error))
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        told = f"{type(error).__name__}: {error}"
        is_clear = re.search(named, str(error), re.IGNORECASE) is not None
        return Outcome("clear error" if is_clear else "unclear error", told[:300])
    return Outcome("survived") if is_right(result) else Outcome("wrong", repr(result)[:300])


def run(faults: Iterable[Fault], n_jobs: int = 2) -> Iterator[Row]:
    """Inject faults, some at a time.

    Parameters
    ----------
    faults : iterable of Fault
    n_jobs : int, default=2
        How many at a time.

    Yields
    ------
    Row
        One for each fault, in the order in which they end.
    """
    running: list[_Running] = []
    for fault in faults:
        running.append(_Running(fault))
        while len(running) >= n_jobs:
            yield from _finish_some(running)
    while running:
        yield from _finish_some(running)


class _Running:
    """A fault and the process in which it is injected."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.answer, child = _FORK.Pipe(duplex=False)
        self.process = _FORK.Process(target=_inject, args=(fault, self.folder.name, child))
        self.process.start()
        child.close()
        self.start = time.monotonic()
        self.end = self.start + _PATIENCE

    def finish(self) -> Row:
        """Wait for the process, which has answered, has ended, or is too late."""
        left = max(self.end - time.monotonic(), 0)
        outcome = Outcome("dead or hung", f"no end after {_PATIENCE} s")
        if self.answer.poll(left):
            with contextlib.suppress(EOFError):
                outcome = Outcome(**self.answer.recv())
            self.process.join(5)
        if self.process.exitcode is None:
            os.kill(self.process.pid or 0, signal.SIGKILL)
            self.process.join()
        elif self.process.exitcode:
            outcome = Outcome("dead or hung", f"exit code {self.process.exitcode}")
        self.answer.close()
        self.folder.cleanup()
        fault = self.fault
        seconds = round(time.monotonic() - self.start, 2)
        return Row(fault.area, fault.name, fault.seed, **asdict(outcome), seconds=seconds)


def _finish_some(running: list[_Running]) -> Iterator[Row]:
    first = min(one.end for one in running) - time.monotonic()
    ready = wait([one.answer for one in running], max(first, 0))
    late = [one for one in running if one.end <= time.monotonic()]
    for one in [one for one in running if one.answer in ready or one in late]:
        running.remove(one)
        yield one.finish()


def _inject(fault: Fault, folder: str, answer: Connection) -> None:
    os.setsid()  # nothing that happens here reaches the runner
    os.chdir(folder)
    os.environ["SKCAP_CACHE"] = f"{folder}/default-cache"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    warnings.simplefilter("ignore")
    rng = random.Random(f"{fault.area}/{fault.name}/{fault.seed}")
    try:
        outcome = fault.inject(Path(folder), rng)
    except Exception as error:
        outcome = Outcome("unclear error", f"{type(error).__name__}: {error}"[:300])
    if outcome.lost > outcome.killed:
        outcome.outcome = "wrong"
        outcome.detail = f"{outcome.lost} texts lost, {outcome.killed} processes killed"
    answer.send(asdict(outcome))
    answer.close()
    os._exit(0)
