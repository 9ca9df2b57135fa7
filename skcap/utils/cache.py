"""The prior cache: arrays on disk under the hash of what produced them.

There is one entry per scored text. Each is written in a transaction of its own as soon as it is
computed, so a process that is killed loses what is in flight and nothing else. Per-key claims
keep two processes from computing the same entry; the operating system drops them when a process
dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import filelock
import numpy as np
from numpy.typing import ArrayLike
from platformdirs import user_cache_path

from skcap.utils.cache_store import Store, pack, unpack, unusable, use_store, warn_once

__all__ = ["PriorCache", "as_values", "resolve_cache"]

_ARRAY_TAG = "__ndarray__"

_claims = threading.local()


class PriorCache:
    """A content-addressed store of float64 arrays in a folder.

    Any number of processes and threads may use one folder at once, on a local disk: file locks are
    not dependable on network file systems. The object holds only the path, so it pickles, clones
    and hashes like one; equal paths make equal caches.

    Parameters
    ----------
    path : str or path-like
        The folder; it is made when first used. A relative path is resolved here and now, so
        that worker processes started elsewhere find the same folder.

    Raises
    ------
    OSError
        At first use, if the folder cannot be made or read.

    Warns
    -----
    RuntimeWarning
        If the file of entries or one of its entries is damaged. What can still be read is kept,
        and what was lost counts as missing. A damaged entry is never returned.

    Notes
    -----
    The entries are in one SQLite file in the folder. Where the folder or its file system is
    read-only, entries can be read but not set. The folder can be deleted at any time.

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
        return use_store(self.path, Store.count)

    def __bool__(self) -> bool:
        return True  # an empty cache is a cache

    @property
    def size(self) -> int:
        """Bytes of disk that the entries take up."""
        return use_store(self.path, Store.bytes_used)

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
        ndarray of float64, shape (n_values,), or None
            None if there is no such entry, or if it is damaged, which is warned of.

        Raises
        ------
        OSError
            If the folder cannot be made or read.
        """
        name = _digest(key)
        entry = use_store(self.path, lambda store: store.get(name))
        if entry is None:
            return None
        values = unpack(name, entry)
        if values is None:
            warn_once(
                self.path,
                "holds a damaged entry.",
                "Damaged entries count as missing and are computed again; this is said once.",
            )
        return values

    def set(self, key: str, values: ArrayLike) -> None:
        """Write an entry, replacing one of the same key.

        Parameters
        ----------
        key : str
            As made by :meth:`key`.
        values : array-like of float, shape (n_values,)
            May hold NaN, and may be empty.

        Raises
        ------
        ValueError
            If `values` is not one-dimensional.
        OSError
            If the folder cannot be written to, as on a full disk. Entries that were stored stay.
        """
        name = _digest(key)
        entry = pack(name, as_values(values))
        use_store(self.path, lambda store: store.put(name, entry))

    def clear(self) -> None:
        """Remove all entries.

        Raises
        ------
        OSError
            If the folder cannot be written to.
        """
        use_store(self.path, Store.clear)

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
        OSError
            If the folder cannot be written to.
        """
        with self._claiming([key], blocking=blocking) as claimed:
            yield bool(claimed)

    @contextmanager
    def claim_free(self, keys: Sequence[str]) -> Iterator[list[str]]:
        """Claim the computation of those entries that nobody else has claimed, without waiting.

        Parameters
        ----------
        keys : sequence of str
            As made by :meth:`key`.

        Yields
        ------
        list of str
            The keys whose claims are held until the ``with`` block ends.

        Raises
        ------
        RuntimeError, OSError
            As by :meth:`claim`.
        """
        with self._claiming(keys, blocking=False) as claimed:
            yield claimed

    @contextmanager
    def _claiming(self, keys: Sequence[str], *, blocking: bool) -> Iterator[list[str]]:
        if getattr(_claims, "held_by", None) == os.getpid():
            raise RuntimeError(
                "This thread already holds a claim on a prior cache, and a second one could "
                "deadlock. Leave the first `with cache.claim(...)` before entering the next."
            )
        names = [f"{_digest(key)[0]:02x}.lock" for key in keys]
        with ExitStack() as stack:
            held = {name for name in dict.fromkeys(names) if self._lock(stack, name, blocking)}
            _claims.held_by = os.getpid()  # a forked child inherits the mark, but not the claim
            stack.callback(setattr, _claims, "held_by", None)
            yield [key for key, name in zip(keys, names, strict=True) if name in held]

    def _lock(self, stack: ExitStack, name: str, blocking: bool) -> bool:
        """Lock one of the lock files until the stack is left; False if another one holds it."""
        folder = self.path / "claims"
        lock = filelock.FileLock(folder / name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=blocking)
        except filelock.Timeout:
            return False
        except OSError as error:
            raise unusable(self.path, error) from error
        stack.callback(lock.release)
        return True


def resolve_cache(
    cache: PriorCache | str | os.PathLike[str] | Literal[False] | None,
) -> PriorCache | None:
    """Turn the `cache` parameter of an estimator into a cache.

    Parameters
    ----------
    cache : None, str, path-like, PriorCache or False
        None means the folder ``priors`` in the folder that the environment variable
        ``SKCAP_CACHE`` names, or else in the user's cache folder for skcap. A path means that
        folder. False means no cache.

    Returns
    -------
    PriorCache or None
        None if there is to be no cache.

    Raises
    ------
    TypeError
        If `cache` is anything else.
    ValueError
        If it is an empty string.

    Warns
    -----
    RuntimeWarning
        If `cache` is None and there is no usable folder for the user's caches, as in some
        containers. There is no cache then. A folder that was named and cannot be used is an
        error instead, at its first use.

    Examples
    --------
    >>> from skcap.utils.cache import resolve_cache
    >>> resolve_cache(False) is None
    True
    """
    if cache == "":
        raise ValueError(
            "cache is '', which would be the working directory. Name a folder; None is the usual "
            "one, False keeps nothing."
        )
    if cache is None:
        base = os.environ.get("SKCAP_CACHE")
        return PriorCache(Path(base) / "priors") if base else _default_cache()
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


def _default_cache() -> PriorCache | None:
    cache = PriorCache(user_cache_path("skcap") / "priors")
    try:
        use_store(cache.path, lambda store: None)
    except OSError as error:
        warn_once(cache.path, "cannot be used, so priors are not kept.", f"({error.__cause__})")
        return None
    return cache


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


def as_values(values: ArrayLike) -> np.ndarray:
    """Make what an entry holds, a float64 array of one dimension.

    Parameters
    ----------
    values : array-like of float, shape (n_values,)

    Returns
    -------
    ndarray of float64, shape (n_values,)

    Raises
    ------
    ValueError
        If it has another number of dimensions.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"values must be one-dimensional, got shape {array.shape}.")
    return array
