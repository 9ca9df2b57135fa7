"""Where the prior cache keeps its entries: one SQLite file in a folder.

SQLite reads and writes the file by ordinary calls and never maps it into memory, so a file that is
cut short or overwritten, even while it is in use, gives an error and not the death of the process.
(Its write-ahead log would be faster to commit, but maps a file, which is why it is not used.)
Every entry carries a checksum, so what damage SQLite does not see is seen here.

A damaged file is left behind: ``entries-0.sqlite`` is followed by ``entries-1.sqlite`` with the
entries that can still be read. Names never change hands, so processes that use one folder cannot
mistake a new file, or its journal, for an old one.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import sqlite3
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

__all__ = ["Store", "number_of", "pack", "unpack", "unusable", "use_store", "warn_once"]

T = TypeVar("T")
Row = tuple[int, bytes]

_REMEDY = (
    "Pass another folder on a local disk (cache='...'), set the SKCAP_CACHE environment variable, "
    "or turn the cache off with cache=False."
)

# Bytes of an entry --------------------------------------------------------------------------

_HEADER = struct.Struct("<4sB3sQ")  # magic, version, dtype, number of values
_CHECKSUM_BYTES = 16


def _checksum(name: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, key=name).digest()


def pack(name: bytes, values: np.ndarray) -> bytes:
    """Write values as the bytes of an entry, with a checksum over its name and content."""
    content = _HEADER.pack(b"skcp", 1, b"<f8", values.size) + values.astype("<f8").tobytes()
    return content + _checksum(name, content)


def unpack(name: bytes, entry: object) -> np.ndarray | None:
    """Read the values of an entry, None if it is damaged."""
    if not isinstance(entry, bytes):
        return None
    content, checksum = entry[:-_CHECKSUM_BYTES], entry[-_CHECKSUM_BYTES:]
    if len(content) < _HEADER.size or checksum != _checksum(name, content):
        return None
    *form, size = _HEADER.unpack_from(content)
    if form != [b"skcp", 1, b"<f8"] or len(content) != _HEADER.size + 8 * size:
        return None
    return np.frombuffer(content, dtype="<f8", offset=_HEADER.size).astype(np.float64)


# One file -----------------------------------------------------------------------------------

_TABLE = "CREATE TABLE skcap_entries (key INTEGER PRIMARY KEY, entry BLOB NOT NULL)"
_SETTINGS = ("mmap_size=0", "trusted_schema=OFF", "cell_size_check=ON", "cache_size=-16000")
_PATIENCE = 60  # seconds that a process waits for the transactions of others
_SECONDS_BETWEEN_FLUSHES = 1.0


class Store:
    """A connection of this process to the entries of one file.

    Parameters
    ----------
    path : pathlib.Path
        The file; it is made if its folder can be written to.

    Raises
    ------
    sqlite3.Error
        If the file is no store of entries, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_only = not all(
            os.access(place, os.W_OK) for place in (path.parent, path) if place.exists()
        )
        self._connection = self._open()
        self._id = _file_id(path)
        self._next = str(_next_path(path))
        self._flushed = -_SECONDS_BETWEEN_FLUSHES

    def _open(self) -> sqlite3.Connection:
        if not self.read_only:
            return self._try("mode=rwc")
        try:
            return self._try("mode=ro")
        except sqlite3.OperationalError:  # no locks there, or a journal that cannot be rolled back
            return self._try("mode=ro&immutable=1")

    def _try(self, mode: str) -> sqlite3.Connection:
        connection = _connect(self.path, mode)
        try:
            if not self.read_only:
                connection.execute("PRAGMA journal_mode=DELETE")
            _check_table(connection, make=not self.read_only)
        except BaseException:
            connection.close()
            raise
        return connection

    def is_current(self) -> bool:
        """Whether the file is still the one to use: not deleted, replaced or left behind."""
        return self._id == _file_id(self.path) and not os.path.exists(self._next)

    def get(self, name: bytes) -> object:
        """Return the bytes stored under a name, None if there are none; check them."""
        query = "SELECT entry FROM skcap_entries WHERE key = ?"
        try:
            row = self._connection.execute(query, (number_of(name),)).fetchone()
        except sqlite3.Error as error:
            if not (self.read_only and _is_damage(error)):
                raise
            warn_once(self.path.parent, "is read-only and damaged in places.", f"({error})")
            return None
        return None if row is None else row[0]

    def put(self, name: bytes, entry: bytes) -> None:
        """Store an entry, which then survives the death of the process.

        It also survives a power failure, unless it was stored within the last second: waiting for
        the disk takes as long as scoring a text by a small model, so that is done at most once per
        second.
        """
        now = time.monotonic()
        flush = now - self._flushed >= _SECONDS_BETWEEN_FLUSHES
        self._connection.execute(f"PRAGMA synchronous={'NORMAL' if flush else 'OFF'}")
        row = (number_of(name), entry)
        self._connection.execute("INSERT OR REPLACE INTO skcap_entries VALUES (?, ?)", row)
        if flush:
            self._flushed = now

    def put_many(self, rows: Iterable[Row], size: int = 5000) -> int:
        """Add rows whose keys are new, some at a time so that others get a turn; count them."""
        rows, before = iter(rows), self._connection.total_changes
        while batch := list(itertools.islice(rows, size)):
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(
                    "INSERT OR IGNORE INTO skcap_entries VALUES (?, ?)", batch
                )
        return self._connection.total_changes - before

    def clear(self) -> None:
        """Remove all entries and give their disk space back."""
        self._connection.execute("DELETE FROM skcap_entries")
        self._connection.execute("VACUUM")

    def count(self) -> int:
        """Count the entries; reads the whole file."""
        (number,) = self._connection.execute("SELECT count(*) FROM skcap_entries").fetchone()
        return int(number)

    def bytes_used(self) -> int:
        """Bytes of the file that hold entries."""
        if self._connection.execute("SELECT 1 FROM skcap_entries LIMIT 1").fetchone() is None:
            return 0
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{mode}",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,  # one lock of this module keeps threads apart
    )
    connection.text_factory = bytes  # a damaged type must not fail as text that is not UTF-8
    for setting in _SETTINGS:
        connection.execute(f"PRAGMA {setting}")
    return connection


def _check_table(connection: sqlite3.Connection, *, make: bool) -> None:
    """Raise if a file holds anything but our table; make it in a new file."""
    query = "SELECT sql FROM sqlite_master"
    if make and not connection.execute(query).fetchall():
        connection.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
    found = connection.execute(query).fetchall()
    if found != [(_TABLE.encode(),)]:
        raise _Foreign(f"its tables are {found!r:.80}")


class _Foreign(sqlite3.DatabaseError):
    """A database, but not one of ours."""


def number_of(name: bytes) -> int:
    """Key of an entry: the first 64 of its name's 256 bits.

    Should two names ever share them, the checksum tells: one counts as damaged, never as the other.
    """
    return int.from_bytes(name[:8], "big", signed=True)


def _file_id(path: str | Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


# The files of a folder ----------------------------------------------------------------------

_FILE = re.compile(r"entries-(\d+)\.sqlite")
_PAGE = 4096


def _current_path(folder: Path) -> Path:
    """Return the newest file of entries in a folder, or the first one to be."""
    numbers = [int(match[1]) for name in os.listdir(folder) if (match := _FILE.fullmatch(name))]
    return folder / f"entries-{max(numbers, default=0)}.sqlite"


def _next_path(path: Path, step: int = 1) -> Path:
    match = _FILE.fullmatch(path.name)
    assert match is not None
    return path.with_name(f"entries-{int(match[1]) + step}.sqlite")


def _leave_behind(path: Path, error: Exception) -> None:
    """Go on in a new file with the entries of a damaged one that can still be read, and say so."""
    new = _next_path(path)
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError:
        return  # another process is at it
    with contextlib.closing(Store(new)) as store:
        with contextlib.suppress(sqlite3.OperationalError):  # such as a full disk
            store.put_many(_readable_rows(path))
        kept = store.count()
    with contextlib.suppress(OSError):  # keep the last damaged file only
        _next_path(path, -1).unlink()
    warn_once(
        path.parent,
        f"was damaged: {path.name} is no longer used and can be deleted.",
        f"{kept} entries could still be read and were copied to {new.name}, lost ones are computed "
        f"again when they are needed ({error}).",
    )


def _readable_rows(path: Path) -> Iterator[Row]:
    """Read what can be read of a damaged file, some rows twice."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_connect(path, "mode=rw")) as old:
        old.execute("PRAGMA writable_schema=ON")  # SQLite then reads a file that was cut short
        n_pages = path.stat().st_size // _PAGE + 1
        yield from _rows_between(old, -(2**63), 2**63, 2**58 // n_pages)


def _rows_between(old: sqlite3.Connection, low: int, high: int, narrowest: int) -> Iterator[Row]:
    """Read a range of keys; where a page in it cannot be read, close in on it by halves."""
    query = "SELECT key, entry FROM skcap_entries WHERE key BETWEEN ? AND ?"
    try:
        rows = old.execute(query, (low, high - 1))
        yield from (row for row in rows if isinstance(row[1], bytes))
    except sqlite3.Error:
        if high - low > narrowest:
            middle = (low + high) // 2
            yield from _rows_between(old, low, middle, narrowest)
            yield from _rows_between(old, middle, high, narrowest)


# Open stores --------------------------------------------------------------------------------
# A connection must not be used across a fork, so the open ones live in a registry of the process,
# and one lock guards the registry, every (short) transaction, and the moment of a fork.

_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # the table is gone
    sqlite3.SQLITE_SCHEMA,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
}
_TRIES = 3
_MOST_OPEN = 8  # files at once, of which each takes three descriptors

_lock = threading.Lock()
_stores: dict[Path, Store] = {}
_told: set[tuple[str, str]] = set()


def use_store(folder: Path, work: Callable[[Store], T]) -> T:
    """Do some work with the store of a folder, which is made if need be.

    Parameters
    ----------
    folder : pathlib.Path
        An absolute path.
    work : callable
        Is called with the :class:`Store`, again with another one if the first is damaged.

    Returns
    -------
    object
        What `work` returns.

    Raises
    ------
    OSError
        If the folder cannot be made or read, or if `work` writes and it cannot be written to.

    Warns
    -----
    RuntimeWarning
        If the file was damaged.
    """
    with _lock:
        for attempt in itertools.count(1):
            try:
                return work(_store_of(folder))
            except OSError as error:
                raise unusable(folder, error) from error
            except sqlite3.Error as error:
                if not _repair(folder, error) or attempt == _TRIES:
                    raise unusable(folder, error) from error
    raise AssertionError("unreachable")


def _store_of(folder: Path) -> Store:
    store = _stores.pop(folder, None)
    if store is not None and not store.is_current():
        store.close()
        store = None
    if store is None:
        folder.mkdir(parents=True, exist_ok=True)
        store = Store(_current_path(folder))
        while len(_stores) >= _MOST_OPEN:
            _stores.pop(next(iter(_stores))).close()
    _stores[folder] = store  # at the end: the first is the one that was used least recently
    return store


def _repair(folder: Path, error: sqlite3.Error) -> bool:
    """Make the next try work, if it can."""
    store = _stores.pop(folder, None)
    if store is not None:
        store.close()
        if not store.is_current():  # deleted or left behind in this very moment
            return True
    if not _is_damage(error):
        return False
    path = _current_path(folder) if store is None else store.path
    try:
        _leave_behind(path, error)
    except (OSError, sqlite3.Error):
        return False
    return True


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, _Foreign) or (code is not None and code & 0xFF in _DAMAGE)


def unusable(folder: Path, error: Exception) -> OSError:
    """Make the error that says what to do where a cache cannot be used."""
    return OSError(f"cache: the folder {str(folder)!r} cannot be used ({error}). {_REMEDY}")


def warn_once(folder: Path, problem: str, detail: str = "") -> None:
    """Warn of a problem with a folder, once in a process.

    Parameters
    ----------
    folder : pathlib.Path
    problem : str
        What follows after "The prior cache FOLDER".
    detail : str, default=""
        More, which may differ each time.
    """
    if (str(folder), problem) not in _told:
        _told.add((str(folder), problem))
        message = f"The prior cache {str(folder)!r} {problem} {detail}".strip()
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def _close_before_fork() -> None:
    """Close all stores, so that parent and child each open their own when next asked."""
    _lock.acquire()
    while _stores:
        _stores.popitem()[1].close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_close_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release
    )
