"""The contract of a language model: log-likelihoods of continuations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator

__all__ = ["BaseLLM", "PromptTooLongError"]


class PromptTooLongError(ValueError):
    """A prompt does not fit into the context of the language model."""


class BaseLLM(BaseEstimator, ABC):
    """A language model that tells how likely a continuation of a prompt is.

    Subclasses hold parameters only, as scikit-learn estimators do: weights, connections and caches
    live outside of the object, so that clones share them, pickles stay small and joblib hashes
    stay the same.
    """

    @abstractmethod
    def log_likelihood(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:
        """Score continuations of the prompts ``prefix + body + suffix``.

        Parameters
        ----------
        bodies : sequence of str, length n
            The part of each prompt that differs, such as a text with some of its words removed.
        continuations : sequence of str, length n
            What is to follow each prompt, such as the name of a label, without leading space:
            where the space goes is the model's affair.
        prefix, suffix : str, default=""
            What all prompts share before and after the body. The prefix is computed once.

        Returns
        -------
        ndarray of float64, shape (n,)
            Natural logarithm of the probability of each whole continuation: the sum over its
            tokens, not normalised by length.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Identify the model and all that changes its figures, as part of cache keys.

        Returns
        -------
        str
            Equal for two objects exactly if they give the same log-likelihoods. Holds no secret.
        """

    def check_context(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        """Check that every prompt fits into the model's context, before any work starts.

        Parameters
        ----------
        bodies, continuations, prefix, suffix
            As for :meth:`log_likelihood`.

        Raises
        ------
        PromptTooLongError
            Names the length of the longest prompt and the length of the context.
        """
        del bodies, continuations, prefix, suffix  # a model without a limit accepts all
