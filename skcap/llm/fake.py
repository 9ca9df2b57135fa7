"""A language model without weights, for tests."""

from __future__ import annotations

import hashlib
import json
import math
import os
import string
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skcap.llm.base import BaseLLM, PromptTooLongError, check_pairs
from skcap.utils.validation import check_parameters, integer
from skcap.utils.words import split_words

__all__ = ["FakeLLM"]


class FakeLLM(BaseLLM):
    """A deterministic stand-in for a language model, in closed form.

    With the affinity ``a(w, c)`` of a word for a continuation, the log-likelihood of continuation
    c after body b is ``-log(1 + exp(2 - sum of a(w, c) over the words w of b))``: negative,
    finite, and the higher the larger the affinities. Words are the whitespace-separated words of
    the body, in lower case and without ASCII punctuation at either end; a word that occurs twice
    counts twice, words of punctuation alone count nothing. Prefix and suffix change nothing.

    Parameters
    ----------
    affinities : mapping of str to mapping of str to float, or None, default=None
        ``affinities[word][continuation]``, with words in the form above; anything not named is
        0. None draws each affinity uniformly from [-1, 1) by a hash of word, continuation and
        `random_state`.
    context_length : int or None, default=None
        Largest number of words of prefix, body, suffix and continuation together; None sets no
        limit.
    log_path : str, path-like or None, default=None
        A file to which a JSON line ``{"body": ..., "continuation": ...}`` is appended for each
        scored body, so that a test can count them, even over several processes.
    random_state : int, default=0
        Seeds the affinities if `affinities` is None.

    Examples
    --------
    >>> from skcap.llm import FakeLLM
    >>> llm = FakeLLM({"card": {"lost card": 3.0}})
    >>> llm.log_likelihood(["my Card?", "my"], ["lost card", "lost card"]).round(3)
    array([-0.313, -2.127])
    """

    _parameter_constraints: dict[str, Any] = {
        "affinities": [Mapping, None],
        "context_length": [integer(1), None],
        "log_path": [str, os.PathLike, None],
        "random_state": [integer(0)],
    }

    def __init__(
        self,
        affinities: Mapping[str, Mapping[str, float]] | None = None,
        *,
        context_length: int | None = None,
        log_path: str | os.PathLike[str] | None = None,
        random_state: int = 0,
    ) -> None:
        self.affinities = affinities
        self.context_length = context_length
        self.log_path = log_path
        self.random_state = random_state

    def log_likelihood(  # noqa: D102  (documented by the contract, as are the next two)
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:  # fmt: skip
        self.check_context(bodies, continuations, prefix=prefix, suffix=suffix)
        pairs = list(zip(bodies, continuations, strict=True))
        sums = [math.fsum(self._affinity(_bare(w), c) for w in split_words(b)) for b, c in pairs]
        if self.log_path is not None:
            self._log(pairs)
        surprise = np.logaddexp(0.0, 2.0 - np.asarray(sums, dtype=np.float64))
        return -np.maximum(surprise, np.finfo(np.float64).tiny)  # never a probability of 1

    def check_context(  # noqa: D102
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> None:  # fmt: skip
        self._check_parameters()
        pairs = check_pairs(bodies, continuations)
        frame = len(split_words(prefix)) + len(split_words(suffix))
        longest = max((len(split_words(b)) + len(split_words(c)) for b, c in pairs), default=0)
        if self.context_length is not None and frame + longest > self.context_length:
            raise PromptTooLongError(
                f"The longest prompt has {frame + longest} words with its continuation, but the "
                f"context_length of this FakeLLM is {self.context_length}."
            )

    def fingerprint(self) -> str:  # noqa: D102
        self._check_parameters()
        if self.affinities is None:
            form = json.dumps(int(self.random_state))
        else:
            rows = {w: {c: float(a) for c, a in row.items()} for w, row in self.affinities.items()}
            form = json.dumps(rows, sort_keys=True)
        return "fake:" + hashlib.sha256(form.encode()).hexdigest()

    def _check_parameters(self) -> None:
        check_parameters(self)
        for word, row in (self.affinities or {}).items():
            if not isinstance(word, str) or word != _bare(word):
                raise ValueError(
                    "affinities must have words in lower case and without punctuation as keys, "
                    f"got {word!r}."
                )
            if not isinstance(row, Mapping):
                raise ValueError(
                    f"affinities[{word!r}] must be a mapping of continuation to number, got "
                    f"{row!r:.60}."
                )
            for continuation, value in row.items():
                if not isinstance(continuation, str):
                    raise ValueError(
                        f"affinities[{word!r}] must have continuations, which are strings, as "
                        f"keys, got {continuation!r:.60}."
                    )
                if not isinstance(value, Real) or not math.isfinite(value):
                    raise ValueError(
                        f"affinities[{word!r}][{continuation!r}] must be a finite number, got "
                        f"{value!r}."
                    )

    def _log(self, pairs: list[tuple[str, str]]) -> None:
        # One unbuffered write per line, so that the lines of several processes never mix.
        with open(self.log_path, "ab", buffering=0) as file:  # type: ignore[arg-type]
            for body, continuation in pairs:
                line = json.dumps({"body": body, "continuation": continuation}) + "\n"
                file.write(line.encode())

    def _affinity(self, word: str, continuation: str) -> float:
        if self.affinities is not None:
            return float(self.affinities.get(word, {}).get(continuation, 0.0))
        seed = json.dumps([word, continuation, int(self.random_state)]).encode()
        return int.from_bytes(hashlib.sha256(seed).digest()[:6], "big") / 2**47 - 1 if word else 0.0


def _bare(word: str) -> str:
    return word.lower().strip(string.punctuation)
