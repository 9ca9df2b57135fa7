"""Stability: how alike two explanations of the same texts are."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import rankdata

from skcap.metrics._checks import check_length, over_texts
from skcap.prior_matrix import PriorMatrix, PriorRecord
from skcap.utils.validation import check_choice

__all__ = ["explanation_stability"]


def explanation_stability(
    a: PriorMatrix, b: PriorMatrix, *, by: str = "position", per_text: bool = False
) -> float | np.ndarray:
    """Spearman's rank correlation of two explanations, text by text; higher is more stable.

    Parameters
    ----------
    a, b : PriorMatrix of length n
        Row i of both explains the same text (two seeds, two models), or a text and its paraphrase.
    by : {"position", "word"}, default="position"
        "position" compares the scores of the same words of the same text. "word" is for
        paraphrases: it compares the words that occur in both texts, spelled the same; the scores of
        a repeated word are summed.
    per_text : bool, default=False
        Return one value per text.

    Returns
    -------
    float or ndarray of float64, shape (n,)
        Mean over the texts. Words that are NaN on either side are left out. Undefined (NaN) where
        fewer than two words are left or all of them have the same score; such a text is left out
        of the mean, with a warning.

    Raises
    ------
    TypeError
        If `a` or `b` is no PriorMatrix.
    ValueError
        If the number of texts differs, or, by position, their words.

    Examples
    --------
    >>> from skcap.metrics import explanation_stability
    >>> from skcap.prior_matrix import PriorMatrix
    >>> first = PriorMatrix(["play some jazz"], [[0.1, 0.0, 0.9]])
    >>> second = PriorMatrix(["play some jazz"], [[0.4, 0.2, 0.8]])
    >>> explanation_stability(first, second)
    1.0
    """
    check_choice("by", by, ("position", "word"))
    for name, value in (("a", a), ("b", b)):
        if not isinstance(value, PriorMatrix):
            raise TypeError(
                f"{name} must be a PriorMatrix, got {type(value).__name__}. Make one of the texts "
                "and their scores, as in PriorMatrix(texts, scores)."
            )
    check_length("b", b, len(a))
    correlations = []
    for row, (left, right) in enumerate(zip(a, b, strict=True)):
        if by == "position" and left.words != right.words:
            raise ValueError(
                f"a and b differ in the words of row {row} ({left.text!r:.60} and "
                f"{right.text!r:.60}); for paraphrases pass by='word'."
            )
        scores_a, scores_b = (
            (left.scores, right.scores) if by == "position" else _shared(left, right)
        )
        correlations.append(_spearman(scores_a, scores_b))
    return over_texts(np.array(correlations), per_text, "explanation_stability")


def _shared(a: PriorRecord, b: PriorRecord) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of the words that occur in both texts."""
    sums_a, sums_b = _by_word(a), _by_word(b)
    words = [word for word in sums_a if word in sums_b]
    return np.array([sums_a[word] for word in words]), np.array([sums_b[word] for word in words])


def _by_word(record: PriorRecord) -> dict[str, float]:
    """Sum the scores of each word over its occurrences that have one."""
    sums: dict[str, float] = {}
    for word, score in zip(record.words, record.scores.tolist(), strict=True):
        if not math.isnan(score):
            sums[word] = sums.get(word, 0.0) + score
    return sums


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    known = ~(np.isnan(a) | np.isnan(b))
    if known.sum() < 2:
        return float("nan")
    ranks = np.array([rankdata(a[known]), rankdata(b[known])])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norm = np.sqrt((ranks[0] @ ranks[0]) * (ranks[1] @ ranks[1]))
    return float(ranks[0] @ ranks[1] / norm) if norm else float("nan")
