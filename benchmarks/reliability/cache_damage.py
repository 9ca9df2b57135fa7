"""The cache's file and folder, damaged before they are opened, in use, and in use by another."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.reliability.faults import Fault, Outcome, judge
from benchmarks.reliability.kills import fork
from benchmarks.reliability.material import is_right, score, seconds_of_a_run
from skcap.prior_matrix import PriorMatrix

_PAGE = 4096
_TOLD = "cache"


def faults(short: bool) -> Iterator[Fault]:
    """Give the faults of this area."""
    seconds_of_a_run()
    moments = {"before it is opened": 4, "in use": 4, "in use by another": 2}
    for moment, n in moments.items():
        for kind, damage in {**BYTES, **PLACES}.items():
            for seed in range(int(moment == "in use") if short else n):
                yield Fault("cache damage", f"{moment}: {kind}", seed, _fault(moment, damage))


def _fault(moment: str, damage: Callable[[Path, random.Random], None]) -> Callable[..., Outcome]:
    def inject(folder: Path, rng: random.Random) -> Outcome:
        _fill(folder, rng)
        file = next((folder / "cache").glob("entries-*.sqlite"))
        if moment == "in use":
            score(folder)  # this process has it open
        if moment != "in use by another":
            damage(file, rng)
            return _recovered(folder)
        other = fork(lambda: _leave(folder / "outcome", judge(_slowly(folder), is_right, _TOLD)))
        time.sleep(rng.uniform(0, seconds_of_a_run()))
        damage(file, rng)
        code = os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
        if code:
            return Outcome("dead or hung", f"exit code {code} of the other process")
        its = Outcome(**json.loads((folder / "outcome").read_text()))
        return _recovered(folder) if its.outcome == "survived" else its

    return inject


def _slowly(folder: Path) -> Callable[[], PriorMatrix]:
    return lambda: score(folder, seconds=0.005)


def _leave(path: Path, outcome: Outcome) -> None:
    path.write_text(json.dumps(asdict(outcome)))


def _fill(folder: Path, rng: random.Random) -> None:
    """Fill a part of the cache in a process of its own, so that nothing is open here."""
    rows = rng.sample(range(60), rng.randint(20, 60))
    os.waitpid(fork(lambda: score(folder, order=rows)), 0)


def _recovered(folder: Path) -> Outcome:
    """Score all, twice: the second time from what the first one left."""
    first = judge(lambda: score(folder), is_right, _TOLD)
    if first.outcome != "survived":
        return first
    return judge(lambda: score(folder), is_right, _TOLD)


# -- damage to bytes ------------------------------------------------------------------------------


def _rewritten(change: Callable[[bytearray, random.Random], bytes]) -> Callable[..., None]:
    """Change a file's bytes in the file itself, as a failing disk or another program would."""

    def damage(file: Path, rng: random.Random) -> None:
        content = change(bytearray(file.read_bytes()), rng)
        with open(file, "r+b") as opened:
            opened.write(content)
            opened.truncate()

    return damage


def _flipped(n_bits: int) -> Callable[[bytearray, random.Random], bytes]:
    def change(content: bytearray, rng: random.Random) -> bytes:
        for _ in range(n_bits):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        return bytes(content)

    return change


def _zeroed(content: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(0, len(content), _PAGE)
    end = min(start + _PAGE * rng.randint(1, 6), len(content))
    content[start:end] = bytes(end - start)
    return bytes(content)


def _swapped(content: bytearray, rng: random.Random) -> bytes:
    """Exchange two pages."""
    one, other = (rng.randrange(0, len(content), _PAGE) for _ in range(2))
    first = content[one : one + _PAGE]
    content[one : one + _PAGE] = content[other : other + _PAGE]
    content[other : other + _PAGE] = first
    return bytes(content)


BYTES = {
    "cut at a random place": _rewritten(lambda c, rng: bytes(c[: rng.randrange(len(c))])),
    "cut at the end of a page": _rewritten(
        lambda c, rng: bytes(c[: rng.randrange(0, len(c), _PAGE)])
    ),
    "one bit flipped": _rewritten(_flipped(1)),
    "forty bits flipped": _rewritten(_flipped(40)),
    "pages zeroed": _rewritten(_zeroed),
    "all zeroed": _rewritten(lambda c, rng: bytes(len(c))),
    "pages exchanged": _rewritten(_swapped),
    "replaced by random bytes": _rewritten(lambda c, rng: rng.randbytes(len(c))),
    "replaced by a text": _rewritten(lambda c, rng: b"no database\n" * 500),
    "bytes added": _rewritten(lambda c, rng: bytes(c) + rng.randbytes(rng.randrange(9000))),
}


# -- damage to entries and places -----------------------------------------------------------------


def _other_database(file: Path, rng: random.Random) -> None:
    other = file.with_name("other")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE entries (key TEXT, entry TEXT)")
    connection.close()
    os.replace(other, file)


def _exchanged(file: Path, rng: random.Random) -> None:
    """Give two entries each other's values, through SQLite, so that the file is in order."""
    with sqlite3.connect(file) as connection:
        rows = connection.execute("SELECT key, entry FROM skcap_entries").fetchall()
        (one, its), (other, others) = rng.sample(rows, 2)
        update = "UPDATE skcap_entries SET entry = ? WHERE key = ?"
        connection.executemany(update, [(others, one), (its, other)])
    connection.close()


def _journal(file: Path, rng: random.Random) -> None:
    """Leave a journal of a transaction that never was."""
    magic = bytes.fromhex("d9d505f920a163d7")
    Path(f"{file}-journal").write_bytes(magic + rng.randbytes(rng.randrange(5000)))


def _folder_to_file(file: Path, rng: random.Random) -> None:
    shutil.rmtree(file.parent, ignore_errors=True)
    file.parent.write_text("a file")


def _claims_to_file(file: Path, rng: random.Random) -> None:
    shutil.rmtree(file.parent / "claims", ignore_errors=True)
    (file.parent / "claims").write_text("a file")


def _file_to_folder(file: Path, rng: random.Random) -> None:
    file.unlink()
    file.mkdir()


PLACES: dict[str, Callable[[Path, random.Random], None]] = {
    "two entries exchanged": _exchanged,
    "another database in its place": _other_database,
    "a journal that is none": _journal,
    "file deleted": lambda file, rng: file.unlink(),
    "file replaced by a folder": _file_to_folder,
    "folder deleted": lambda file, rng: shutil.rmtree(file.parent, ignore_errors=True),
    "folder replaced by a file": _folder_to_file,
    "claims replaced by a file": _claims_to_file,
    "next file is a folder": lambda file, rng: file.with_name("entries-1.sqlite").mkdir(),
}
