"""Worker processes end with the process that started them.

joblib's own do not: when that process is killed, they finish what they were given and then wait for
more, some of them for ever. So importing this module replaces joblib's backend "loky", which is its
default, for priors and for searches alike (``GridSearchCV(n_jobs=2)``). Nothing else about it
changes.

Workers look for their parent, because Linux's "tell me when my parent dies" tells of the death of
the thread that started them, which need not be the end of the process.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from joblib import Parallel, register_parallel_backend
from joblib.parallel import LokyBackend

__all__ = ["Processes", "as_ready", "start_worker"]

_SECONDS_BETWEEN_LOOKS = 0.5


class Processes(LokyBackend):
    """joblib's processes, but each ends when the process that started it has ended."""

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Start the workers, as joblib asks of a backend.

        Parameters
        ----------
        n_jobs : int, default=1
        parallel : joblib.Parallel or None, default=None
        **options
            As for joblib's own backend.

        Returns
        -------
        int
            Number of workers.
        """
        given = {**getattr(self, "backend_kwargs", {}), **options}
        options["initializer"] = start_worker
        options["initargs"] = (given.get("initializer"), given.get("initargs", ()))
        return super().configure(n_jobs, parallel, **options)


def as_ready(n_jobs: int | None, *, ordered: bool) -> Parallel:
    """Give joblib's workers, whose results come as they get ready.

    With a backend that cannot do that (Ray's), they all come at the end.

    Parameters
    ----------
    n_jobs : int or None
    ordered : bool
        Whether results keep the order of the tasks.

    Returns
    -------
    joblib.Parallel
    """
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator" if ordered else "generator_unordered")
    except ValueError:
        return Parallel(n_jobs=n_jobs)


def start_worker(initializer: Callable[..., Any] | None, initargs: tuple[Any, ...]) -> None:
    """Do what comes before a worker's first task: watch the parent, then what the user asked for.

    Parameters
    ----------
    initializer : callable or None
        What the user asked for.
    initargs : tuple
        Its arguments.
    """
    threading.Thread(target=_end_with_parent, daemon=True, name="skcap-parent").start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    if os.name == "posix":
        # The number comes from the parent, so it is also right if the parent is dead already.
        while os.getppid() == parent.pid:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    else:
        parent.join()
    os._exit(1)


register_parallel_backend("loky", Processes)
