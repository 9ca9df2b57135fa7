"""The prior cache: arrays on disk under the hash of what produced them.

One entry a scored text. Each entry is written in a transaction of its own as soon as it is
computed, so a process that is killed loses the text in flight and nothing else. Per-key claims
keep two processes from computing the same entry; the operating system drops them when a process
dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import filelock
import lmdb
import numpy as np
from numpy.typing import ArrayLike
from platformdirs import user_cache_path

__all__ = ["PriorCache", "compute_cached", "resolve_cache"]

T = TypeVar("T")

_REMEDY = (
    "Pass another folder on a local disk (cache='...'), set the SKCAP_CACHE environment variable, "
    "or turn the cache off with cache=False."
)


class PriorCache:
    """A content-addressed store of float64 arrays in a folder.

    Any number of processes and threads may use one folder at once, on a local disk: LMDB and file
    locks are not dependable on network file systems. The object holds the path alone, so it
    pickles, clones and hashes like one; equal paths make equal caches.

    Parameters
    ----------
    path : str or path-like
        The folder; it is made when first used. A relative path is resolved here and now, so
        that worker processes started elsewhere find the same folder.

    Raises
    ------
    OSError
        At first use, if the folder cannot be made, read or written.

    Notes
    -----
    The disk space of cleared entries is used again, but the file never shrinks. To give the space
    back, delete the folder while no process uses it.

    Examples
    --------
    >>> import tempfile
    >>> from skcap.utils.cache import PriorCache
    >>> cache = PriorCache(tempfile.mkdtemp())
    >>> key = PriorCache.key({"text": "block my card", "label": "card_lost"})
    >>> cache.get(key) is None
    True
    >>> cache.set(key, [0.5, 0.0, 2.0])
    >>> cache.get(key)
    array([0.5, 0. , 2. ])
    >>> len(cache)
    1
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(Path(path).expanduser()))

    def __repr__(self) -> str:
        return f"PriorCache({str(self.path)!r})"

    def __eq__(self, other: object) -> bool:
        return self.path == other.path if isinstance(other, PriorCache) else NotImplemented

    def __hash__(self) -> int:
        return hash((PriorCache, self.path))

    def __len__(self) -> int:
        return _transact(self.path, lambda environment, _: environment.stat()["entries"])

    def __bool__(self) -> bool:
        return True  # an empty cache is a cache

    @property
    def size(self) -> int:
        """Bytes of disk that the present entries take up."""
        stat = _transact(self.path, lambda environment, _: environment.stat())
        pages = stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * stat["psize"]

    @staticmethod
    def key(request: Mapping[str, Any]) -> str:
        """Name the result of a request.

        Parameters
        ----------
        request : mapping of str
            All that the result depends on: strings, numbers, booleans, None, numpy scalars and
            arrays of numbers, and lists, tuples and mappings of these. A tuple counts as a list;
            ``1``, ``1.0`` and ``True`` are three different values.

        Returns
        -------
        str
            64 hexadecimal digits, the same in every process and on every machine.

        Raises
        ------
        TypeError
            If a value is of any other type.
        ValueError
            If a number outside of an array is NaN or infinite.

        Examples
        --------
        >>> from skcap.utils.cache import PriorCache
        >>> one = PriorCache.key({"text": "hello", "alpha": 1.0})
        >>> one == PriorCache.key({"alpha": 1.0, "text": "hello"})
        True
        >>> one == PriorCache.key({"text": "hello", "alpha": 2.0})
        False
        """
        if not isinstance(request, Mapping):
            raise TypeError(f"request must be a mapping, got {type(request).__name__}.")
        text = json.dumps(
            _plain(request, "request"),
            sort_keys=True,
            separators=(",", ":"),
            # Escapes would give a pair of lone surrogates and the character they spell one key.
            ensure_ascii=False,
            allow_nan=False,
        )
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def get(self, key: str) -> np.ndarray | None:
        """Read an entry.

        Parameters
        ----------
        key : str
            As made by :meth:`key`.

        Returns
        -------
        ndarray of float64, shape (n,), or None
            None if there is no such entry, or a damaged one (warned of once a process).
        """
        name = _digest(key)
        entry = _transact(self.path, lambda _, transaction: transaction.get(name))
        if entry is None:
            return None
        values = _unpack(name, bytes(entry))
        if values is None:
            _tell_of_damage(self.path)
        return values

    def set(self, key: str, values: ArrayLike) -> None:
        """Write an entry, replacing one of the same key.

        Parameters
        ----------
        key : str
            As made by :meth:`key`.
        values : array-like of float, shape (n,)
            May hold NaN, and may be empty.

        Raises
        ------
        ValueError
            If `values` is not one-dimensional.
        """
        name = _digest(key)
        entry = _pack(name, _as_values(values))
        _transact(self.path, lambda _, transaction: transaction.put(name, entry), write=True)

    def clear(self) -> None:
        """Remove all entries."""
        _transact(self.path, lambda env, txn: txn.drop(env.open_db(), delete=False), write=True)

    @contextmanager
    def claim(self, key: str, *, blocking: bool) -> Iterator[bool]:
        """Claim the computation of an entry, against all other threads and processes.

        The claim ends with the ``with`` block or the process, however it ends. Claims share 256
        lock files, so a claim may also be refused because of another key's: it says who may
        compute, never whether the entry is there.

        Parameters
        ----------
        key : str
            As made by :meth:`key`.
        blocking : bool
            Whether to wait while the claim is held elsewhere.

        Yields
        ------
        bool
            Whether the claim is held; always True if `blocking`.

        Raises
        ------
        RuntimeError
            If this thread already holds a claim. Holding two can deadlock, as two keys may share
            a lock file and two processes may take them in opposite order.
        """
        if getattr(_claims, "held_by", None) == os.getpid():
            raise RuntimeError(
                "This thread already holds a claim on a prior cache, and a second one could "
                "deadlock. Leave the first `with cache.claim(...)` before entering the next."
            )
        folder = self.path / "claims"
        lock = filelock.FileLock(folder / f"{_digest(key)[0]:02x}.lock")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=blocking)
        except filelock.Timeout:
            yield False
            return
        except OSError as error:
            raise _unusable(self.path, error) from error
        _claims.held_by = os.getpid()  # a forked child inherits the mark, but not the claim
        try:
            yield True
        finally:
            _claims.held_by = None
            lock.release()


def compute_cached(
    cache: PriorCache | None,
    keys: Sequence[str],
    compute: Callable[[int], ArrayLike],
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield one array a key, from the cache where it is there, else computed and stored.

    Processes that work on the same keys at once share the work: each entry is computed by one of
    them, keys that another one has in hand are put off to the end. Each array is stored before
    it is yielded, and no claim is held while the caller has the turn.

    Parameters
    ----------
    cache : PriorCache or None
        None computes everything and stores nothing.
    keys : sequence of str, length n
        As made by :meth:`PriorCache.key`. Equal keys are computed once.
    compute : callable
        Takes the position of a key in `keys`, returns its array, shape (n_values,). It must not
        claim entries of a cache itself.

    Yields
    ------
    index : int
        Position in `keys`. Each position comes once, in the order in which arrays get ready.
    values : ndarray of float64, shape (n_values,)

    Examples
    --------
    >>> from skcap.utils.cache import compute_cached
    >>> dict(compute_cached(None, ["a", "b", "a"], lambda i: [float(i)]))
    {0: array([0.]), 2: array([0.]), 1: array([1.])}
    """
    positions: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        positions.setdefault(key, []).append(index)
    busy = []
    for key, indices in positions.items():
        if cache is None:
            values: np.ndarray | None = _as_values(compute(indices[0]))
        else:
            values = cache.get(key)
            if values is None:
                values = _compute_claimed(cache, key, compute, indices[0], blocking=False)
        if values is None:
            busy.append(key)
        else:
            yield from ((index, values.copy()) for index in indices)
    for key in busy:
        assert cache is not None
        values = _compute_claimed(cache, key, compute, positions[key][0], blocking=True)
        assert values is not None
        yield from ((index, values.copy()) for index in positions[key])


def _compute_claimed(
    cache: PriorCache, key: str, compute: Callable[[int], ArrayLike], index: int, *, blocking: bool
) -> np.ndarray | None:
    """Compute and store one entry; None if another process holds the claim."""
    with cache.claim(key, blocking=blocking) as claimed:
        if not claimed:
            return None
        values = cache.get(key)  # whoever held the claim before may have stored it
        if values is None:
            values = _as_values(compute(index))
            cache.set(key, values)
        return values


def resolve_cache(
    cache: PriorCache | str | os.PathLike[str] | Literal[False] | None,
) -> PriorCache | None:
    """Turn the `cache` parameter of an estimator into a cache.

    Parameters
    ----------
    cache : None, str, path-like, PriorCache or False
        None means the folder ``priors`` in the user's cache folder for skcap, or in the folder
        that the environment variable ``SKCAP_CACHE`` names; a path means that folder; False means
        no cache.

    Returns
    -------
    PriorCache or None
        None if there is to be no cache.

    Raises
    ------
    TypeError
        If `cache` is anything else.

    Examples
    --------
    >>> from skcap.utils.cache import resolve_cache
    >>> resolve_cache(False) is None
    True
    """
    if cache is None:
        base = os.environ.get("SKCAP_CACHE")
        return PriorCache((Path(base) if base else user_cache_path("skcap")) / "priors")
    if cache is False:
        return None
    if isinstance(cache, PriorCache):
        return cache
    if isinstance(cache, str | os.PathLike):
        return PriorCache(cache)
    raise TypeError(
        f"cache must be None (the user's cache folder), a folder (str or path-like), a PriorCache "
        f"or False (no cache), got {cache!r:.60}."
    )


# Keys and entries as bytes ------------------------------------------------------------------

_ARRAY_TAG = "__ndarray__"
_HEADER = struct.Struct("<4sB3sQ")  # magic, version, dtype, number of values
_CHECKSUM_BYTES = 16


def _plain(value: Any, where: str) -> Any:
    """Turn a request into what JSON can hold, so that different requests stay different."""
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str) or name == _ARRAY_TAG:
                raise TypeError(f"{where} has the key {name!r:.60}; keys must be other strings.")
        return {str(name): _plain(item, f"{where}[{name!r}]") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        data = np.ascontiguousarray(value).tobytes()
        return {_ARRAY_TAG: [value.dtype.str, value.shape, hashlib.sha256(data).hexdigest()]}
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f"{where} is {value}; numbers in a cache key must be finite.")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(
        f"{where} is {type(value).__name__}, which has no stable form to hash; pass strings, "
        f"numbers, booleans, None, arrays of numbers, or lists, tuples and mappings of these."
    )


def _digest(key: str) -> bytes:
    """Turn a key into the bytes of its hash."""
    if not (isinstance(key, str) and re.fullmatch("[0-9a-f]{64}", key)):
        raise ValueError(f"key must come from PriorCache.key, got {key!r:.80}.")
    return bytes.fromhex(key)


def _as_values(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"values must be one-dimensional, got shape {array.shape}.")
    return array


def _checksum(name: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECKSUM_BYTES, key=name).digest()


def _pack(name: bytes, values: np.ndarray) -> bytes:
    content = _HEADER.pack(b"skcp", 1, b"<f8", values.size) + values.astype("<f8").tobytes()
    return content + _checksum(name, content)


def _unpack(name: bytes, entry: bytes) -> np.ndarray | None:
    """Read the values of an entry, None if it is damaged."""
    content, checksum = entry[:-_CHECKSUM_BYTES], entry[-_CHECKSUM_BYTES:]
    if len(content) < _HEADER.size or checksum != _checksum(name, content):
        return None
    *form, size = _HEADER.unpack_from(content)
    if form != [b"skcp", 1, b"<f8"] or len(content) != _HEADER.size + 8 * size:
        return None
    return np.frombuffer(content, dtype="<f8", offset=_HEADER.size).astype(np.float64)


# Open environments --------------------------------------------------------------------------
# LMDB must not open an environment twice in a process, nor use one across a fork, and its map may
# only grow while no transaction is open. So the open ones live in a registry of the process, and
# one lock guards the registry, every (short) transaction, and the moment of a fork.

_FIRST_MAP_SIZE = 16 * 2**20  # doubled when full; some systems allocate the whole of it at once

_lock = threading.Lock()
_environments: dict[str, tuple[lmdb.Environment, tuple[int, int] | None]] = {}
_damage_told: set[str] = set()
_claims = threading.local()


def _transact(
    folder: Path, work: Callable[[lmdb.Environment, lmdb.Transaction], T], *, write: bool = False
) -> T:
    """Do some work in one transaction, with as large a map as it takes."""
    try:
        with _lock:
            environment = _environment(os.path.realpath(folder))
            while True:
                try:
                    with environment.begin(write=write) as transaction:
                        return work(environment, transaction)
                except lmdb.MapFullError:
                    environment.set_mapsize(2 * environment.info()["map_size"])
                except lmdb.MapResizedError:
                    environment.set_mapsize(0)  # another process grew it: follow
    except (OSError, lmdb.Error) as error:
        raise _unusable(folder, error) from error


def _environment(folder: str) -> lmdb.Environment:
    """Return this process's environment of a folder; the caller holds the lock."""
    environment, file = _environments.get(folder, (None, None))
    # Where the folder was deleted meanwhile, writes to the old file would go nowhere.
    if environment is not None and file != _file_id(folder):
        environment.close()
        environment = None
    if environment is None:
        os.makedirs(folder, exist_ok=True)
        environment = lmdb.open(
            folder,
            map_size=_FIRST_MAP_SIZE,
            max_readers=2048,
            # One flush a commit: an entry survives the death of the process. A power failure may
            # cost the last entry, never the others.
            metasync=False,
        )
        environment.reader_check()  # forget the readers of processes that were killed
        _environments[folder] = environment, _file_id(folder)
    return environment


def _file_id(folder: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(os.path.join(folder, "data.mdb"))
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _unusable(folder: Path, error: Exception) -> OSError:
    return OSError(f"cache: the folder {str(folder)!r} cannot be used ({error}). {_REMEDY}")


def _tell_of_damage(folder: Path) -> None:
    if str(folder) in _damage_told:
        return
    _damage_told.add(str(folder))
    warnings.warn(
        f"The prior cache {str(folder)!r} holds a damaged entry. Damaged entries count as missing "
        f"and are computed anew; this is the only warning.",
        RuntimeWarning,
        stacklevel=3,
    )


def _close_before_fork() -> None:
    """Close all environments, so that parent and child each open their own when next asked."""
    _lock.acquire()
    while _environments:
        environment, _ = _environments.popitem()[1]
        environment.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_close_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release
    )
