"""What a store of cached entries costs per entry, and whether it survives a file cut short in use.

    python benchmarks/bench_cache.py [--rows 1000000]

Compared: the store that `PriorCache` uses (SQLite with a rollback journal), SQLite with a
write-ahead log, diskcache and LMDB. The last two are measured where they are installed
(``pip install diskcache lmdb``). Entries are those of a text of 12 words and 32 masks. Stores are
filled in bulk; then single reads, look-ups of what is not there, and single writes are timed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _record import save

from skcap.utils.cache import PriorCache
from skcap.utils.cache_store import Store, pack

CALLS = 1000
ROUNDS = 5
VALUES = np.random.default_rng(0).normal(size=44)

Row = tuple[bytes, bytes]


@dataclass
class Candidate:
    """A store: one entry under a name, or many at once."""

    get: Callable[[bytes], Any]
    put: Callable[[bytes, bytes], Any]
    fill: Callable[[Iterable[Row]], Any]


def ours(folder: Path) -> Candidate:
    store = Store(folder / "entries-0.sqlite")

    def fill(rows: Iterable[Row]) -> None:
        store.put_many(
            (int.from_bytes(name[:8], "big", signed=True), entry) for name, entry in rows
        )

    return Candidate(store.get, store.put, fill)


def write_ahead_log(folder: Path) -> Candidate:
    connection = sqlite3.connect(folder / "wal.sqlite", isolation_level=None)
    for setting in ("mmap_size=0", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("CREATE TABLE entries (key BLOB PRIMARY KEY, entry BLOB) WITHOUT ROWID")
    insert = "INSERT OR REPLACE INTO entries VALUES (?, ?)"
    select = "SELECT entry FROM entries WHERE key = ?"

    def fill(rows: Iterable[Row]) -> None:
        with connection:
            connection.execute("BEGIN")
            connection.executemany(insert, rows)

    return Candidate(
        lambda name: connection.execute(select, (name,)).fetchone(),
        lambda name, entry: connection.execute(insert, (name, entry)),
        fill,
    )


def disk_cache(folder: Path) -> Candidate:
    from diskcache import Cache

    cache = Cache(str(folder), size_limit=2**40, eviction_policy="none")

    def fill(rows: Iterable[Row]) -> None:
        with cache.transact():
            for name, entry in rows:
                cache.set(name, entry)

    return Candidate(cache.get, cache.set, fill)


def memory_map(folder: Path) -> Candidate:
    import lmdb

    environment = lmdb.open(str(folder), map_size=2**33, metasync=False)

    def get(name: bytes) -> Any:
        with environment.begin() as transaction:
            return transaction.get(name)

    def fill(rows: Iterable[Row]) -> None:
        with environment.begin(write=True) as transaction:
            for name, entry in rows:
                transaction.put(name, entry)

    return Candidate(get, lambda name, entry: fill([(name, entry)]), fill)


STORES = {
    "skcap": ours,
    "sqlite, write-ahead log": write_ahead_log,
    **({"diskcache": disk_cache} if importlib.util.find_spec("diskcache") else {}),
    **({"lmdb": memory_map} if importlib.util.find_spec("lmdb") else {}),
}


def row_of(number: int) -> Row:
    name = hashlib.sha256(str(number).encode()).digest()
    return name, pack(name, VALUES)


def microseconds(work: Callable[..., Any], calls: list[tuple[Any, ...]]) -> float:
    start = time.perf_counter()
    for arguments in calls:
        work(*arguments)
    return 1e6 * (time.perf_counter() - start) / len(calls)


def measure(stores: dict[str, Candidate], n_rows: int) -> dict[str, dict[str, float]]:
    """Time the stores in turn, so that what else the machine does meets all of them alike."""
    rng = np.random.default_rng(1)
    taken: dict[str, dict[str, list[float]]] = {
        name: {"read": [], "miss": [], "write": []} for name in stores
    }
    for turn in range(ROUNDS):
        there = [row_of(int(row))[:1] for row in rng.integers(0, n_rows, CALLS)]
        new = [row_of(10**9 + n_rows + turn * CALLS + row) for row in range(CALLS)]
        for name, store in stores.items():
            taken[name]["read"].append(microseconds(store.get, there))
            taken[name]["miss"].append(microseconds(store.get, [row[:1] for row in new]))
            taken[name]["write"].append(microseconds(store.put, new[: CALLS // 5]))
    return {
        name: {f"{kind}_microseconds": statistics.median(values) for kind, values in kinds.items()}
        for name, kinds in taken.items()
    }


def measure_prior_cache(folder: Path, n_rows: int) -> float:
    """Time `PriorCache.get`, which also finds the store, checks and unpacks."""
    cache = PriorCache(folder)
    rows = np.random.default_rng(2).integers(0, n_rows, CALLS)
    calls = [(row_of(int(row))[0].hex(),) for row in rows]
    return statistics.median(microseconds(cache.get, calls) for _ in range(ROUNDS))


CUT = """
import os, sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from bench_cache import STORES, row_of
folder = Path(sys.argv[2])
store = STORES[sys.argv[1]](folder)
store.fill(row_of(row) for row in range(2000))
store.get(row_of(0)[0])
for file in folder.rglob("*"):
    if file.is_file():
        os.truncate(file, 0)
for row in range(2000):
    try:
        store.get(row_of(row)[0])
        store.put(*row_of(row))
    except Exception:
        pass
os._exit(0)
"""


def survives_a_cut(name: str) -> bool:
    """Cut all files of a store while a process uses it, and see whether that process lives on."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-c", CUT, name, folder, *sys.path]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp())
    folders = {name: base / str(number) for number, name in enumerate(STORES)}
    for folder in folders.values():
        folder.mkdir()
    stores = {name: make(folders[name]) for name, make in STORES.items()}
    figures: dict[str, Any] = {
        "survives_a_cut_in_use": {name: survives_a_cut(name) for name in STORES}
    }
    filled = 0
    for n_rows in [rows for rows in (10_000, 100_000, 1_000_000) if rows <= options.rows]:
        for start in range(filled, n_rows, 10_000):
            for store in stores.values():
                store.fill(map(row_of, range(start, start + 10_000)))
        filled = n_rows
        found = measure(stores, n_rows)
        for name, folder in folders.items():
            used = sum(file.stat().st_blocks for file in folder.rglob("*") if file.is_file())
            found[name]["bytes"] = 512 * used / n_rows
        found["skcap"]["prior_cache_get_microseconds"] = measure_prior_cache(
            folders["skcap"], n_rows
        )
        figures[f"{n_rows}_entries"] = found
        print(n_rows, found, flush=True)
    shutil.rmtree(base)
    save("cache", figures)


if __name__ == "__main__":
    main()
