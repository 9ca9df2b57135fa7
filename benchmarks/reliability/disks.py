"""Full and read-only disks: what cannot be kept is computed, and what was kept stays.

Full disks are file systems in memory of a few hundred kB, where root may mount them, and a limit on
the size of files (``RLIMIT_FSIZE``) everywhere. Read-only ones are mounts where root may mount, and
folders without the right to write elsewhere. Mounts are seen by the fault's process alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.reliability.faults import Fault, Outcome, judge
from benchmarks.reliability.kills import fork
from benchmarks.reliability.material import expected, is_right, n_lost, score
from skcap.prior_matrix import PriorMatrix

_CLONE_NEWNS = 0x00020000
_TOLD = "cache|No space|too large|Read-only|denied|readonly"


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    expected()
    for name, n, inject in (
        ("full disk while scoring", 25, full_disk),
        ("file size limited while scoring", 20, file_size_limited),
        ("full disk while a prior is saved", 10, full_disk_while_saving),
        ("read-only cache, complete", 5, read_only_complete),
        ("read-only cache, incomplete", 10, read_only_incomplete),
        ("read-only folder without a cache", 5, read_only_empty),
        ("read-only folder while a prior is saved", 5, read_only_while_saving),
    ):
        for seed in range(2 if short else n):
            yield Fault("disks", name, seed, inject)


def full_disk(folder: Path, rng: random.Random) -> Outcome:
    """Fill the disk while texts are scored; then make room and go on."""
    size = rng.randrange(8, 120)
    with small_disk(folder / "cache", size) as grow:
        outcome = judge(lambda: score(folder), is_right, _TOLD)
        if outcome.outcome == "survived":
            grow()
            outcome = judge(lambda: score(folder), is_right, _TOLD)
    return outcome


def file_size_limited(folder: Path, rng: random.Random) -> Outcome:
    """Let no file grow beyond a limit."""
    limit = rng.randrange(4096, 100_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open(folder / "notes", "wb"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        outcome = judge(lambda: score(folder), is_right, _TOLD)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if outcome.outcome == "survived":
        outcome = judge(lambda: score(folder), is_right, _TOLD)
    return outcome


def full_disk_while_saving(folder: Path, rng: random.Random) -> Outcome:
    """Save a prior over another on a disk that has no room for it."""
    with small_disk(folder / "disk", rng.randrange(16, 40)):
        return _save_over(folder / "disk", rng)


def read_only_while_saving(folder: Path, rng: random.Random) -> Outcome:
    """Save a prior over another in a folder that cannot be written to."""
    (folder / "disk").mkdir()
    return _save_over(folder / "disk", rng, read_only)


def read_only_complete(folder: Path, rng: random.Random) -> Outcome:
    """Read a complete cache; nothing is scored."""
    _fill(folder, list(range(60)))
    with read_only(folder / "cache"):
        outcome = judge(lambda: score(folder), is_right, _TOLD)
    outcome.lost = n_lost(folder)
    return outcome


def read_only_incomplete(folder: Path, rng: random.Random) -> Outcome:
    """Read a cache that holds some of the texts; the others are scored, and these alone."""
    _fill(folder, rng.sample(range(60), rng.randint(1, 59)))
    with read_only(folder / "cache"):
        outcome = judge(lambda: score(folder), is_right, _TOLD)
    outcome.lost = n_lost(folder)
    return outcome


def read_only_empty(folder: Path, rng: random.Random) -> Outcome:
    """Use a folder in which no cache can be made."""
    (folder / "cache").mkdir()
    with read_only(folder / "cache"):
        return judge(lambda: score(folder), is_right, _TOLD)


def _fill(folder: Path, rows: list[int]) -> None:
    os.waitpid(fork(lambda: score(folder, order=rows)), 0)


def _save_over(
    folder: Path,
    rng: random.Random,
    state: Callable[[Path], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> Outcome:
    path, old = folder / "prior.npz", expected()[: rng.randint(1, 5)]
    old.save(path)
    noise = np.random.default_rng(rng.randrange(10**6))
    new = PriorMatrix([f"word{n} " * 9 for n in range(4000)], noise.normal(size=(4000, 9)))
    with state(folder):
        outcome = judge(lambda: new.save(path), lambda _: PriorMatrix.load(path) == new, _TOLD)
        if outcome.outcome == "clear error" and PriorMatrix.load(path) != old:
            outcome = Outcome("wrong", "the file that was there is not as it was")
        if [entry.name for entry in folder.iterdir()] != ["prior.npz"]:
            outcome = Outcome("wrong", "a part of a file was left behind")
    return outcome


# -- disks ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[], None]]:
    """Make a small disk; what this gives makes it larger."""
    folder.mkdir(exist_ok=True)
    if not _own_mounts() or not _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "none", folder):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, limits[1]))
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        return
    yield lambda: _mount("-o", "remount,size=100m", folder) and None
    # The mount ends with the process.


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take away the right to write to a folder and all that is in it."""
    if os.geteuid() == 0:  # whom permissions do not bind
        if not (_own_mounts() and _mount("--bind", folder, folder)):
            raise OSError("denied: root can mount nothing here")
        _mount("-o", "remount,ro,bind", folder)
        yield
        return
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _own_mounts() -> bool:
    """Have this process see mounts of its own, which end with it; False if it may not."""
    if shutil.which("mount") is None or ctypes.CDLL(None).unshare(_CLONE_NEWNS):
        return False
    return _mount("--make-rprivate", "/")


def _mount(*arguments: object) -> bool:
    command = ["mount", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
