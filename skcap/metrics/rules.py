"""The rules of a rationale: how many words it has, and how they are taken out of a text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics.rationales import (
    check_mode,
    check_size,
    keep_words,
    rationale_masks,
    remove_words,
)
from skcap.prior_matrix import PriorMatrix

__all__ = ["DEFAULT_RULES", "ERASER", "ERASER_BINS", "ER_TEST", "RationaleRules", "check_rules"]

#: Shares of the words that ERASER (DeYoung et al., 2020) averages over.
ERASER_BINS = (0.01, 0.05, 0.10, 0.20, 0.50)


@dataclass(frozen=True, eq=False)
class RationaleRules:
    """How word scores become rationales, and how rationales are taken out of texts.

    A rationale is the set of the highest-scored words of a text. All measures of faithfulness take
    one such object, so that their values can be compared.

    Parameters
    ----------
    k : int, float or sequence of them, default=ERASER_BINS
        Sizes of the rationale; measures average over them. An int (such as 1) is a number of words,
        a float (such as 1.0) a share of the words, above 0 and at most 1.
    rounding : {"ceil", "round", "floor"}, default="ceil"
        How a share of the words becomes a whole number of them. The default never gives an empty
        rationale, which "floor" does for most shares of a short text. See
        :func:`skcap.metrics.rationale_masks`.
    at_least : int, default=0
        Number of words of the smallest rationale.
    mode : {"delete", "mask"}, default="delete"
        Whether words are deleted or replaced by `mask_token`, see
        :func:`skcap.metrics.remove_words`.
    mask_token : str or None, default=None
        Required for ``mode="mask"``, and only there.

    Raises
    ------
    ValueError
        If a parameter is out of range, or `mode` and `mask_token` do not go together.

    See Also
    --------
    ERASER, ER_TEST : The rules of published benchmarks, in :mod:`skcap.metrics`.

    Notes
    -----
    Objects compare by identity: ``k=1`` (one word) and ``k=1.0`` (all words) are equal numbers and
    different rules.

    Examples
    --------
    >>> from skcap.metrics import ERASER, RationaleRules
    >>> RationaleRules(k=0.3).masks([[0.1, 0.7, 0.2, 0.4]])
    [[array([False,  True, False,  True])]]
    >>> ERASER.rounding
    'floor'
    """

    k: int | float | Sequence[int | float] = ERASER_BINS
    rounding: str = "ceil"
    at_least: int = 0
    mode: str = "delete"
    mask_token: str | None = None

    def __post_init__(self) -> None:
        if not self.sizes:
            raise ValueError("k is empty; pass at least one size, as in k=0.2.")
        for size in self.sizes:
            check_size(size, self.rounding, self.at_least)
        check_mode(self.mode, self.mask_token)

    @property
    def sizes(self) -> tuple[int | float, ...]:
        """Tuple of int or float, length K: `k`, also where it is a single number."""
        many = isinstance(self.k, Sequence | np.ndarray) and not isinstance(self.k, str)
        return tuple(self.k) if many else (self.k,)  # type: ignore[arg-type, return-value]

    def masks(self, attributions: PriorMatrix | Sequence[ArrayLike]) -> list[list[np.ndarray]]:
        """Choose the words of the rationales of each size.

        Parameters
        ----------
        attributions : PriorMatrix or sequence of 1-D arrays, length n_texts
            One score per word.

        Returns
        -------
        list of length K of lists of length n_texts
            For each size, what :func:`skcap.metrics.rationale_masks` returns.
        """
        return [
            rationale_masks(attributions, size, rounding=self.rounding, at_least=self.at_least)
            for size in self.sizes
        ]

    def remove(self, texts: Iterable[str], masks: Sequence[ArrayLike]) -> list[str]:
        """Take the marked words out of each text.

        Parameters
        ----------
        texts : sequence of str, length n_texts
        masks : sequence of 1-D bool arrays, length n_texts

        Returns
        -------
        list of str, length n_texts
            As :func:`skcap.metrics.remove_words` returns it.
        """
        return remove_words(texts, masks, mode=self.mode, mask_token=self.mask_token)

    def keep(self, texts: Iterable[str], masks: Sequence[ArrayLike]) -> list[str]:
        """Take all words but the marked ones out of each text.

        Parameters
        ----------
        texts : sequence of str, length n_texts
        masks : sequence of 1-D bool arrays, length n_texts

        Returns
        -------
        list of str, length n_texts
            As :func:`skcap.metrics.keep_words` returns it.
        """
        return keep_words(texts, masks, mode=self.mode, mask_token=self.mask_token)


#: Rationales of ERASER's sizes that hold at least one word: the default of all measures.
DEFAULT_RULES = RationaleRules()

#: The rules of ERASER (DeYoung et al., 2020). Rationales of short texts may be empty.
ERASER = RationaleRules(rounding="floor")

#: The rules of ER-Test (Joshi et al., 2022).
ER_TEST = RationaleRules(rounding="round", at_least=1)


def check_rules(rules: Any) -> RationaleRules:
    """Return `rules`, or say what they must be."""
    if not isinstance(rules, RationaleRules):
        raise TypeError(
            f"rules must be a RationaleRules, such as RationaleRules(k=0.2), got {rules!r}."
        )
    return rules
