"""Prompts in batches that fit into memory: if one does not, smaller ones follow."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from skcap.llm.prompt_encoding import EncodedPrompt

__all__ = ["Batch", "TokenBudget"]

# What torch's allocators for CPUs and Apple's GPUs say, which have no class of error for it.
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")


class Batch(NamedTuple):
    """Some of the prompts, and a function that returns one log-likelihood for each."""

    rows: np.ndarray
    n_tokens: int
    score: Callable[[], np.ndarray]


class TokenBudget:
    """How many tokens go through a model at once; lowered for good when memory runs out.

    Attributes
    ----------
    limit : int or None
        Caps any larger batch size; None as long as memory has sufficed.
    """

    def __init__(self) -> None:
        self.limit: int | None = None

    def score(
        self,
        prompts: Sequence[EncodedPrompt],
        batch_size: int,
        plan: Callable[[list[EncodedPrompt], int], Iterator[Batch]],
    ) -> np.ndarray:
        """Score all batches of a plan, once each.

        If memory runs out, half as many tokens are tried from then on, and the prompts without a
        score are planned again. An error that a single prompt causes is raised.

        Parameters
        ----------
        prompts : sequence of EncodedPrompt
        batch_size : int
        plan : callable
            Takes prompts and a number of tokens, and yields batches, with each prompt in one of
            them.

        Returns
        -------
        ndarray of float64, shape (n_prompts,)
        """
        scores = np.zeros(len(prompts))
        limit_before = self.limit
        left = np.arange(len(prompts))
        while len(left):
            size = batch_size if self.limit is None else min(batch_size, self.limit)
            is_done = np.zeros(len(left), dtype=bool)
            for batch in plan([prompts[row] for row in left.tolist()], size):
                values = self._attempt(batch)
                if values is None:
                    break
                scores[left[batch.rows]] = values
                is_done[batch.rows] = True
            left = left[~is_done]
        if self.limit != limit_before:
            warnings.warn(
                f"Memory ran out at batch_size={batch_size}, so this model is used with "
                f"batch_size={self.limit} from now on. Set it to that to avoid failed attempts.",
                stacklevel=4,
            )
        return scores

    def _attempt(self, batch: Batch) -> np.ndarray | None:
        """Score a batch, or lower the limit and return None."""
        try:
            return batch.score()
        except Exception as error:
            # With fewer than two tokens, all of these prompts are the same.
            if len(batch.rows) == 1 or batch.n_tokens < 2 or not _ran_out_of_memory(error):
                raise
        # Outside the handler, so that the traceback no longer keeps what was computed in memory.
        self.limit = batch.n_tokens // 2
        return None


def _ran_out_of_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)
