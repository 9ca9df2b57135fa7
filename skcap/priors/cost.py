"""What it costs to question a language model, from a trial on a few texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skcap.utils.progress import about

__all__ = ["LONG_SECONDS", "CostEstimate", "Work", "choose_trial", "seconds_per_unit"]

LONG_SECONDS = 600.0
"""Scoring texts for longer than this, by a trial on the first few, is warned of."""

_TRIAL_SECONDS = 10.0  # a trial ends after the text that exceeds this


class Work(NamedTuple):
    """What the model has to read for one text.

    Attributes
    ----------
    n_prompts : int
    n_words : int
        Words of all these prompts together, without what they share.
    """

    n_prompts: int
    n_words: int


@dataclass(frozen=True)
class CostEstimate:
    """What scoring some texts will cost.

    Attributes
    ----------
    n_texts : int
    n_cached : int
        Those of them that the cache already holds; all that follows is about the others.
    n_prompts : int
        Variants of texts that the model is asked about, times the labels that are asked for.
    n_tokens : int
        Tokens of all these prompts, each counted in full, as a server bills them. A model in this
        process computes what prompts share once, so it computes far fewer.
    seconds : float
        By a trial on a few texts, on this machine as busy as it is. Loading the model is not in it.

    Examples
    --------
    >>> from skcap.priors import CostEstimate
    >>> print(CostEstimate(n_texts=400, n_cached=100, n_prompts=9000, n_tokens=720000, seconds=300))
    400 texts, 100 of them in the cache; 9,000 prompts with about 720,000 tokens; about 5.0 minutes
    """

    n_texts: int
    n_cached: int
    n_prompts: int
    n_tokens: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.n_texts:,} texts, {self.n_cached:,} of them in the cache; "
            f"{self.n_prompts:,} prompts with about {self.n_tokens:,} tokens; "
            f"{about(self.seconds)}"
        )

    def __add__(self, other: CostEstimate) -> CostEstimate:
        return CostEstimate(
            self.n_texts + other.n_texts,
            self.n_cached + other.n_cached,
            self.n_prompts + other.n_prompts,
            self.n_tokens + other.n_tokens,
            self.seconds + other.seconds,
        )


def choose_trial(sizes: np.ndarray) -> np.ndarray:
    """Choose the texts of a trial: the smallest, to warm up, and those at the quartiles.

    Parameters
    ----------
    sizes : ndarray of float, shape (n_texts,)
        What each is expected to cost, in any unit.

    Returns
    -------
    ndarray of int64
        Rows of up to four texts, in rising order of size.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.priors.cost import choose_trial
    >>> choose_trial(np.array([50, 10, 30, 20, 40]))
    array([1, 3, 2, 4])
    """
    order = np.argsort(sizes, kind="stable")
    places = np.unique([0, len(order) // 4, len(order) // 2, 3 * len(order) // 4])
    return order[places]


def seconds_per_unit(steps: Iterable[tuple[Callable[[], object], float]]) -> float:
    """Time some steps; the first warms up and only counts if it is the only one.

    Parameters
    ----------
    steps : iterable of (callable, float)
        What to run, and its expected cost in any unit.

    Returns
    -------
    float
        Seconds per unit of cost. Steps after ten seconds of trial are left out.
    """
    begin, timed = time.perf_counter(), []
    for step, size in steps:
        start = time.perf_counter()
        step()
        end = time.perf_counter()
        timed.append((end - start, size))
        if end - begin > _TRIAL_SECONDS:
            break
    counted = timed[1:] or timed
    return sum(seconds for seconds, _ in counted) / max(1.0, sum(size for _, size in counted))
