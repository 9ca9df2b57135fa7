"""Processes that are killed at random moments: alone, several on one cache, workers, parents."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sklearn.model_selection import GridSearchCV

from benchmarks.reliability.faults import Fault, Outcome
from benchmarks.reliability.material import (
    LABELS,
    TEXTS,
    is_right,
    n_lost,
    noted,
    score,
    seconds_of_a_run,
    tiny_encoder,
)
from skcap import GuidedTextClassifier

_WORKERS_ARE_UP = 60.0  # seconds that starting them may take
_MAY_LINGER = 10.0  # seconds that workers may live on when their parent is dead
_MARK = "SKCAP_RELIABILITY_RUN"


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    kinds: list[tuple[str, int, int, Callable[[Path, random.Random], Outcome]]] = [
        ("one process killed", 80, 4, one_killed),
        ("some of 2 to 4 processes on one cache killed", 30, 2, some_killed),
        ("worker killed", 10, 1, worker_killed),
        ("parent of workers killed while they start", 15, 1, parent_killed_early),
        ("parent of workers killed while they score", 15, 0, parent_killed_late),
        ("parent of a search killed", 4, 0, parent_of_a_search_killed),
    ]
    seconds_of_a_run()
    for name, n, n_short, inject in kinds:
        for seed in range(n_short if short else n):
            yield Fault("kills", name, seed, inject)


def one_killed(folder: Path, rng: random.Random) -> Outcome:
    """Kill a process that scores, then go on in another."""
    child = fork(lambda: score(folder))
    time.sleep(rng.uniform(0, 1.1 * seconds_of_a_run()))
    end(child)
    return recovery(folder, killed=1)


def some_killed(folder: Path, rng: random.Random) -> Outcome:
    """Kill some of several processes that share the work; the others must finish."""
    n_processes = rng.randint(2, 4)
    orders = [rng.sample(range(len(TEXTS)), len(TEXTS)) for _ in range(n_processes)]

    def work(order: list[int]) -> Callable[[], bool]:
        return lambda: is_right(score(folder, order=order), order)

    children = [fork(work(order)) for order in orders]
    n_killed = rng.randint(1, n_processes - 1)
    for child in children[:n_killed]:
        time.sleep(rng.uniform(0, seconds_of_a_run()))
        end(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children[n_killed:]]
    if any(codes):
        return Outcome("wrong", f"exit codes of those not killed: {codes}")
    return recovery(folder, killed=n_killed)


def worker_killed(folder: Path, rng: random.Random) -> Outcome:
    """Kill a worker: the parent finishes, or says so."""
    told = folder / "told"

    def work() -> bool:
        try:
            return is_right(score(folder, n_jobs=2, seconds=0.02))
        except Exception as error:
            told.write_text(f"{type(error).__name__}: {error}")
            return True

    parent = fork(work, mark=str(folder))
    wait_for_texts(folder, rng.randint(1, len(TEXTS) // 2))
    workers = [process for process in marked(str(folder)) if is_worker(process)]
    os.kill(rng.choice(workers), signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1])
    message = told.read_text() if told.exists() else ""
    if code or (message and "kill" not in message and "terminated" not in message):
        return Outcome("unclear error", f"exit code {code}: {message:.200}")
    outcome = recovery(folder, killed=2)  # joblib ends the others when one is gone
    if message and outcome.outcome == "survived":
        outcome = Outcome("clear error", message[:200], outcome.lost, outcome.killed)
    return outcome


def parent_killed_early(folder: Path, rng: random.Random) -> Outcome:
    """Kill the parent while its workers start and import."""
    parent = fork(lambda: score(folder, n_jobs=2, seconds=0.02), mark=str(folder))
    time.sleep(rng.uniform(0, 4))
    return orphans(parent, folder) or recovery(folder, killed=3)


def parent_killed_late(folder: Path, rng: random.Random) -> Outcome:
    """Kill the parent while its workers score."""
    parent = fork(lambda: score(folder, n_jobs=2, seconds=0.02), mark=str(folder))
    wait_for_texts(folder, rng.randint(1, len(TEXTS) - 5))
    return orphans(parent, folder) or recovery(folder, killed=3)


def parent_of_a_search_killed(folder: Path, rng: random.Random) -> Outcome:
    """Kill the parent of a grid search over classifiers."""

    def search() -> None:
        model = GuidedTextClassifier(tiny_encoder(), guidance=None, max_epochs=50, device="cpu")
        GridSearchCV(model, {"lr": [0.1, 0.01, 0.001]}, cv=3, n_jobs=2).fit(TEXTS, LABELS)

    parent = fork(search, mark=str(folder))
    time.sleep(rng.uniform(1, 10))
    return orphans(parent, folder) or Outcome("survived", killed=3)


# -- tools ----------------------------------------------------------------------------------------


def fork(work: Callable[[], object], mark: str = "") -> int:
    """Do some work in a child; its exit code is 0 unless the work fails or gives False."""
    child = os.fork()
    if child == 0:
        os.environ[_MARK] = mark  # for its workers
        try:
            os._exit(work() is False)
        except BaseException:
            os._exit(2)
    return child


def end(process: int) -> None:
    """Kill a child."""
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def wait_for_texts(folder: Path, number: int) -> None:
    """Wait until so many texts were scored."""
    late = time.monotonic() + _WORKERS_ARE_UP
    while len(noted(folder)) < number and time.monotonic() < late:
        time.sleep(0.01)


def marked(mark: str) -> list[int]:
    """Find processes that were started by one with a mark, which is in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}\0".encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            pass
    return found


def is_worker(process: int) -> bool:
    """Whether a process is one of joblib's workers."""
    try:
        return b"LokyProcess" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def orphans(parent: int, folder: Path) -> Outcome | None:
    """Kill a parent; processes that live on are a failure."""
    end(parent)
    late = time.monotonic() + _MAY_LINGER
    while (left := marked(str(folder))) and time.monotonic() < late:
        time.sleep(0.1)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return Outcome("dead or hung", f"{len(left)} processes left") if left else None


def recovery(folder: Path, killed: int) -> Outcome:
    """Go on where those who were killed stopped."""
    matrix = score(folder)
    outcome = "survived" if is_right(matrix) and is_right(score(folder)) else "wrong"
    return Outcome(outcome, lost=n_lost(folder), killed=killed)
