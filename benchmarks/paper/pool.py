"""Runs side by side, each in a process with one thread: for a GPU, which one run does not fill."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config

from benchmarks.paper.teachers import SCORED_BY_LLM, make_source

_AT_ONCE = 100  # texts of a job of the language model: few, so that all jobs end together


def run_all(function: Callable[..., Any], jobs: Iterable[tuple], n_jobs: int) -> Iterator[Any]:
    """Call a function with the arguments of each job; yield what it returns, as it is done.

    A job that fails is told of at once and does not keep the others from being done.

    Raises
    ------
    RuntimeError
        At the end, if any job failed.
    """
    n_failed = 0
    with parallel_config(backend="loky", inner_max_num_threads=1 if n_jobs > 1 else None):
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
        for result, error in parallel(delayed(_attempt)(function, job) for job in jobs):
            if error is None:
                yield result
            else:
                n_failed += 1
                print(error, file=sys.stderr, flush=True)
    if n_failed:
        raise RuntimeError(f"Jobs that failed: {n_failed}. What went wrong stands above.")


def _attempt(function: Callable[..., Any], job: tuple) -> tuple[Any, str | None]:
    try:
        return function(*job), None
    except Exception:
        return None, f"{job}: {traceback.format_exc()}"


def fill_cache(texts_of: Iterable[tuple[str, list[str], np.ndarray]], n_jobs: int) -> None:
    """Ask language models, side by side, for what several runs need: (source, texts, labels).

    Else runs that start together would each ask for the same.
    """
    jobs = [
        (source, texts, labels, start)
        for source, texts, labels in texts_of
        if source in SCORED_BY_LLM
        for start in range(0, len(texts), _AT_ONCE)
    ]
    for _ in run_all(_score, jobs, n_jobs):
        pass


def _score(source: str, texts: list[str], labels: np.ndarray, start: int) -> None:
    prior = make_source(source).fit(texts, labels)  # on all texts, for all labels
    prior.attribute(texts[start : start + _AT_ONCE], labels[start : start + _AT_ONCE])
