"""A language model without weights, for tests."""

from __future__ import annotations

import hashlib
import json
import math
import os
import string
from collections.abc import Mapping, Sequence

import numpy as np

from skcap.llm.base import BaseLLM, PromptTooLongError
from skcap.utils.words import check_texts, split_words

__all__ = ["FakeLLM"]


class FakeLLM(BaseLLM):
    """A deterministic stand-in for a language model, in closed form.

    With the affinity ``a(w, c)`` of a word for a continuation, the log-likelihood of continuation
    c after body b is ``-log(1 + exp(2 - sum of a(w, c) over the words w of b))``: negative,
    finite, and the higher the more affine the words. Words are the whitespace words of the body,
    in lower case and without ASCII punctuation at either end; repeated words count each time,
    words of punctuation alone count nothing. Prefix and suffix change nothing.

    Parameters
    ----------
    affinities : mapping of str to mapping of str to float, default=None
        ``affinities[word][continuation]``, word as above; what is not named is 0. None draws
        each evenly from [-1, 1) by a hash of word, continuation and `random_state`.
    context_length : int, default=None
        Largest number of words of prefix, body, suffix and continuation together, None for any.
    log_path : str or path-like, default=None
        A file that gets a JSON line a scored body, ``{"body": ..., "continuation": ...}``, so
        that a test can count them, over several processes too.
    random_state : int, default=0
        Chooses the affinities where `affinities` is None.

    Examples
    --------
    >>> from skcap.llm.fake import FakeLLM
    >>> llm = FakeLLM({"card": {"lost card": 3.0}})
    >>> llm.log_likelihood(["my Card?", "my"], ["lost card", "lost card"]).round(3)
    array([-0.313, -2.127])
    """

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
        if unmatched := [word for word in self.affinities or () if word != _bare(word)]:
            raise ValueError(f"Words of affinities must be bare and lower case: {unmatched}.")
        pairs = list(zip(bodies, continuations, strict=True))
        sums = [math.fsum(self._affinity(_bare(w), c) for w in split_words(b)) for b, c in pairs]
        if not np.isfinite(sums).all():
            raise ValueError("affinities must be finite, got infinite ones or NaN.")
        if self.log_path is not None:
            # Appended with one unbuffered write a line, so the lines of processes never mix.
            with open(self.log_path, "ab", buffering=0) as file:
                for body, continuation in pairs:
                    line = json.dumps({"body": body, "continuation": continuation}) + "\n"
                    file.write(line.encode())
        surprise = np.logaddexp(0.0, 2.0 - np.asarray(sums, dtype=np.float64))
        return -np.maximum(surprise, np.finfo(np.float64).tiny)  # never a probability of 1

    def check_context(  # noqa: D102
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> None:  # fmt: skip
        bodies = check_texts(bodies, "bodies")
        continuations = check_texts(continuations, "continuations")
        if len(bodies) != len(continuations):
            raise ValueError(
                f"bodies and continuations must have one length, got {len(bodies)} bodies and "
                f"{len(continuations)} continuations."
            )
        frame = len(split_words(prefix)) + len(split_words(suffix))
        both = zip(bodies, continuations, strict=True)
        longest = max((len(split_words(b)) + len(split_words(c)) for b, c in both), default=0)
        if self.context_length is not None and frame + longest > self.context_length:
            raise PromptTooLongError(
                f"The longest prompt has {frame + longest} words with its continuation, but the "
                f"context_length of this FakeLLM is {self.context_length}."
            )

    def fingerprint(self) -> str:  # noqa: D102
        if self.affinities is None:
            form = json.dumps(int(self.random_state))
        else:
            rows = {w: {c: float(a) for c, a in row.items()} for w, row in self.affinities.items()}
            form = json.dumps(rows, sort_keys=True)
        return "fake:" + hashlib.sha256(form.encode()).hexdigest()

    def _affinity(self, word: str, continuation: str) -> float:
        if self.affinities is not None:
            return float(self.affinities.get(word, {}).get(continuation, 0.0))
        seed = json.dumps([word, continuation, int(self.random_state)]).encode()
        return int.from_bytes(hashlib.sha256(seed).digest()[:6], "big") / 2**47 - 1 if word else 0.0


def _bare(word: str) -> str:
    return word.lower().strip(string.punctuation)
