"""Seeds from content, from scikit-learn's `random_state`, and for torch."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["content_seed", "draw_seed", "seeded", "unlocked"]


class _Lock:
    """A lock for blocks that seed the process's generators; a thread may take it several times."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._own = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        with self._lock:
            self._own.times = getattr(self._own, "times", 0) + 1
            try:
                yield
            finally:
                self._own.times -= 1

    @contextmanager
    def lent(self) -> Iterator[None]:
        times, self._own.times = getattr(self._own, "times", 0), 0
        for _ in range(times):
            self._lock.release()
        try:
            yield
        finally:
            for _ in range(times):
                self._lock.acquire()
            self._own.times = times


_lock = _Lock()


def _renew_lock() -> None:
    """Leave behind a lock that a thread holds which a forked process does not have."""
    global _lock
    _lock = _Lock()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_renew_lock)


def content_seed(random_state: int, *content: str) -> int:
    """Derive a seed from a text itself, so that neither its row nor the other texts matter.

    Parameters
    ----------
    random_state : int
    *content : str
        The text, its label, and whatever else distinguishes two requests.

    Returns
    -------
    int
        An unsigned 64-bit integer, the same in every process.
    """
    digest = hashlib.sha256(str(random_state).encode())
    for part in content:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest()[:8], "little")


def draw_seed(random_state: Any) -> int:
    """Take one integer from whatever scikit-learn accepts as `random_state`.

    Parameters
    ----------
    random_state : int, RandomState or None
        An int is returned as it is.

    Returns
    -------
    int
    """
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generators of torch and NumPy inside a block, and restore them afterwards.

    Even a data loader that does not shuffle draws from torch's; skorch's splits draw from NumPy's.
    All threads share these generators, so only one of them is in such a block at a time.

    Parameters
    ----------
    seed : int
    device : torch.device or None, default=None
        A GPU whose generator is seeded, too.
    """
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with _lock.taken(), torch.random.fork_rng(devices=devices):
        before = np.random.get_state()  # noqa: NPY002
        # Not torch.manual_seed, which would also reset the devices that are not restored.
        torch.default_generator.manual_seed(seed)
        for gpu in devices:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


@contextmanager
def unlocked() -> Iterator[None]:
    """Let other threads seed while this one, in a block that is `seeded`, draws nothing itself.

    For work that waits for threads of its own, which would else wait for this one for ever. They
    leave the generators as they found them.

    Examples
    --------
    >>> from skcap.utils.seeds import seeded, unlocked
    >>> with seeded(0), unlocked():
    ...     pass  # ask a prior that trains in threads
    """
    with _lock.lent():
        yield
