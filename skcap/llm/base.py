"""The contract of a language model: log-likelihoods of continuations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skcap.utils.words import check_texts, split_words

__all__ = ["BaseLLM", "PromptTooLongError", "check_pairs"]


class PromptTooLongError(ValueError):
    """A prompt does not fit into the context of the language model.

    Examples
    --------
    >>> from skcap import FakeLLM
    >>> FakeLLM(context_length=2).check_context(["play some jazz"], ["music"])
    Traceback (most recent call last):
        ...
    skcap.llm.base.PromptTooLongError: ...
    """


class BaseLLM(BaseEstimator, ABC):
    """A language model that says how likely a continuation of a prompt is.

    Subclasses hold parameters only, as scikit-learn estimators do: weights, connections and caches
    live outside the object, so that clones share them, pickles stay small and joblib hashes
    stay the same. They list what their parameters may be in `_parameter_constraints` and check
    them on first use.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.llm import BaseLLM
    >>> class Flat(BaseLLM):
    ...     def log_likelihood(self, bodies, continuations, *, prefix="", suffix=""):
    ...         return np.full(len(bodies), -1.0)
    ...
    ...     def fingerprint(self):
    ...         return "flat"
    >>> Flat().log_likelihood(["play jazz"], ["music"])
    array([-1.])
    """

    _parameter_constraints: dict[str, Any] = {}

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
            The part in which the prompts differ, such as a text with some of its words removed.
        continuations : sequence of str, length n
            What is to follow each prompt, such as the name of a label, without a leading space:
            whether one is needed is for the model to decide.
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
        """Identify the model, and everything that changes its log-likelihoods, for cache keys.

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

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of texts, for estimates of cost.

        Parameters
        ----------
        texts : sequence of str, length n

        Returns
        -------
        list of int, length n
            Without special tokens. A model whose tokenizer is not at hand counts four tokens for
            three words, as is usual in English.
        """
        return [-(-4 * len(split_words(text)) // 3) for text in texts]

    def tokens_at_once(self) -> int:
        """Say how many tokens the model is best given at once.

        Returns
        -------
        int
            Priors ask about as many texts in one call as have about that many tokens together, and
            about one at the least. The default, 1, is for models that gain nothing by more.
        """
        return 1

    def settled(self) -> BaseLLM:
        """Decide what is left to be found out on this machine, such as ``dtype="auto"``.

        Returns
        -------
        BaseLLM
            This object, or a copy in which the choices are fixed, so that worker processes make
            the same ones.
        """
        return self


def join_labels(contexts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Say how labels continue what stands before them.

    Parameters
    ----------
    contexts, labels : sequence of str, length n

    Returns
    -------
    list of str, length n
        With a space in front, which belongs to the label's first token, unless the context is empty
        or ends in white space already, as a chat template does.

    Raises
    ------
    ValueError
        If a label shows nothing.
    """
    if any(not label.strip() for label in labels):
        raise ValueError(
            "A continuation is empty. Labels must have at least one visible character; give "
            "better names through label_names."
        )
    return [
        label if context[-1:].isspace() or not context else " " + label
        for context, label in zip(contexts, labels, strict=True)
    ]


def check_pairs(bodies: Sequence[str], continuations: Sequence[str]) -> list[tuple[str, str]]:
    """Check the arguments of :meth:`BaseLLM.log_likelihood`.

    Parameters
    ----------
    bodies, continuations : sequence of str, length n

    Returns
    -------
    list of (body, continuation), length n

    Raises
    ------
    TypeError
        If either is no collection of strings.
    ValueError
        If their lengths differ.
    """
    bodies = check_texts(bodies, "bodies")
    continuations = check_texts(continuations, "continuations")
    if len(bodies) != len(continuations):
        raise ValueError(
            f"bodies and continuations must have the same length, got {len(bodies)} bodies and "
            f"{len(continuations)} continuations."
        )
    return list(zip(bodies, continuations, strict=True))
