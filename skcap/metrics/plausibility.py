"""Plausibility: how well explanations agree with the words that people chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.metrics import auc, precision_recall_curve

from skcap.metrics._checks import mask_pairs, over_texts, ratio
from skcap.metrics.rationales import score_arrays
from skcap.prior_matrix import PriorMatrix
from skcap.utils.validation import check_choice, check_number, number

__all__ = ["rationale_auprc", "rationale_iou", "rationale_iou_f1", "token_f1"]


def token_f1(
    rationales: Sequence[ArrayLike],
    human: Sequence[ArrayLike],
    *,
    average: str = "macro",
    per_text: bool = False,
) -> float | np.ndarray:
    """F1 of the words of rationales against those that people chose; higher is better.

    Parameters
    ----------
    rationales : sequence of 1-D bool arrays, length n_texts
        Such as :func:`rationale_masks` returns.
    human : sequence of 1-D bool arrays, length n_texts
        The words that people chose.
    average : {"macro", "micro"}, default="macro"
        "macro" is the mean of the F1 of each text, "micro" the F1 of the pooled words.
    per_text : bool, default=False
        Return one value per text; `average` is then ignored.

    Returns
    -------
    float or ndarray of float64, shape (n_texts,)
        The F1 of a text is 0 where the two rationales share no word. Where both are empty it is
        undefined (NaN), and the text is left out of the mean, with a warning.

    Raises
    ------
    ValueError
        If the two do not have the same number of texts and words, or there is no text.

    Examples
    --------
    >>> from skcap.metrics import token_f1
    >>> token_f1([[True, True, False]], [[False, True, True]])
    0.5
    """
    check_choice("average", average, ("macro", "micro"))
    pairs = mask_pairs(rationales, human)
    both = np.array([(a & b).sum() for a, b in pairs], dtype=float)
    total = np.array([a.sum() + b.sum() for a, b in pairs], dtype=float)
    if average == "micro" and pairs and not per_text:
        both, total = both.sum(keepdims=True), total.sum(keepdims=True)
    return over_texts(ratio(2 * both, total), per_text, "token_f1")


def rationale_iou(
    rationales: Sequence[ArrayLike], human: Sequence[ArrayLike], *, per_text: bool = False
) -> float | np.ndarray:
    """Words in both rationales over words in either; higher is better.

    Parameters
    ----------
    rationales, human : sequence of 1-D bool arrays, length n_texts
        As for :func:`token_f1`.
    per_text : bool, default=False
        Return one value per text.

    Returns
    -------
    float or ndarray of float64, shape (n_texts,)
        Mean over the texts. Where both rationales are empty it is undefined (NaN), and the text is
        left out of the mean, with a warning.

    Raises
    ------
    ValueError
        As :func:`token_f1`.

    Examples
    --------
    >>> from skcap.metrics import rationale_iou
    >>> rationale_iou([[True, True, False, False]], [[False, True, True, True]])
    0.25
    """
    pairs = mask_pairs(rationales, human)
    both = np.array([(a & b).sum() for a, b in pairs], dtype=float)
    either = np.array([(a | b).sum() for a, b in pairs], dtype=float)
    return over_texts(ratio(both, either), per_text, "rationale_iou")


def rationale_iou_f1(
    rationales: Sequence[ArrayLike],
    human: Sequence[ArrayLike],
    *,
    threshold: float = 0.5,
    average: str = "macro",
    per_text: bool = False,
) -> float | np.ndarray:
    """F1 of whole spans that overlap enough, as ERASER's "IOU F1"; higher is better.

    A span is a longest run of chosen words. It is found if it overlaps a span of the other side
    with an intersection over union of at least `threshold`. Precision is the share of the spans of
    the rationale that are found, recall that of the human spans.

    Parameters
    ----------
    rationales, human : sequence of 1-D bool arrays, length n_texts
        As for :func:`token_f1`.
    threshold : float, default=0.5
        Above 0, at most 1. ERASER's default.
    average : {"macro", "micro"}, default="macro"
        "macro" is ERASER's: the F1 of the mean precision (over texts with a rationale) and the mean
        recall (over texts with a human one). "micro" pools the spans of all texts.
    per_text : bool, default=False
        Return the F1 of each text; `average` is then ignored.

    Returns
    -------
    float or ndarray of float64, shape (n_texts,)
        0 where nothing is found; the value of a text is NaN where both rationales are empty.

    Raises
    ------
    ValueError
        If `threshold` is out of range, or as :func:`token_f1`.

    Examples
    --------
    >>> from skcap.metrics import rationale_iou_f1
    >>> rationale_iou_f1([[1, 1, 0, 0, 1]], [[1, 1, 1, 0, 0]])  # one span of two is found
    0.6666666666666666
    """
    check_choice("average", average, ("macro", "micro"))
    check_number("threshold", threshold, number(0, 1, above=True))
    pairs = [(_spans(a), _spans(b)) for a, b in mask_pairs(rationales, human)]
    if not pairs:
        raise ValueError("rationale_iou_f1 needs at least one text.")
    found = np.array([[_n_found(a, b, threshold), _n_found(b, a, threshold)] for a, b in pairs])
    total = np.array([[len(a), len(b)] for a, b in pairs])
    if per_text:
        values = _f1(*np.nan_to_num(ratio(found, total)).T)
        return np.where(total.any(axis=1), values, np.nan)
    if average == "micro":
        found, total = found.sum(axis=0, keepdims=True), total.sum(axis=0, keepdims=True)
    shares = ratio(found, total)
    precision, recall = (
        column[~np.isnan(column)].mean(keepdims=True) if not np.isnan(column).all() else np.zeros(1)
        for column in shares.T
    )
    return float(_f1(precision, recall)[0])


def rationale_auprc(
    attributions: PriorMatrix | Sequence[ArrayLike],
    human: Sequence[ArrayLike],
    *,
    per_text: bool = False,
) -> float | np.ndarray:
    """Area under the precision-recall curve of scores against human rationales.

    The words that people chose are the positives. As in ERASER, the area is that under straight
    lines between the points of the curve (scikit-learn's ``auc(recall, precision)``, which can
    differ from its average precision), averaged over the texts.

    Parameters
    ----------
    attributions : PriorMatrix or sequence of 1-D arrays, length n_texts
        One score per word; words with NaN come last.
    human : sequence of 1-D bool arrays, length n_texts
        The words that people chose.
    per_text : bool, default=False
        Return one value per text.

    Returns
    -------
    float or ndarray of float64, shape (n_texts,)
        Where people chose no word it is undefined (NaN), and the text is left out of the mean, with
        a warning.

    Raises
    ------
    ValueError
        As :func:`token_f1`.

    Examples
    --------
    >>> from skcap.metrics import rationale_auprc
    >>> rationale_auprc([[0.9, 0.1, 0.8]], [[True, False, True]])
    1.0
    """
    scores = score_arrays(attributions)
    pairs = mask_pairs([np.zeros(row.size, dtype=bool) for row in scores], human)
    areas = [_auprc(row, truth) for row, (_, truth) in zip(scores, pairs, strict=True)]
    return over_texts(np.array(areas), per_text, "rationale_auprc")


def _spans(mask: np.ndarray) -> list[tuple[int, int]]:
    """Find the longest runs of True, as (start, end)."""
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _n_found(spans: list[tuple[int, int]], others: list[tuple[int, int]], threshold: float) -> int:
    """Count the spans that overlap enough with any of the others."""

    def overlap(a: tuple[int, int], b: tuple[int, int]) -> float:
        both = max(0, min(a[1], b[1]) - max(a[0], b[0]))
        return both / (a[1] - a[0] + b[1] - b[0] - both)

    return sum(any(overlap(span, other) >= threshold for other in others) for span in spans)


def _auprc(scores: np.ndarray, truth: np.ndarray) -> float:
    if not truth.any():
        return float("nan")
    known = ~np.isnan(scores)
    ranks = np.zeros(len(scores))
    ranks[known] = rankdata(scores[known])  # from 1, be the scores ever so large
    precision, recall, _ = precision_recall_curve(truth, ranks)
    return float(auc(recall, precision))


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return np.nan_to_num(ratio(2 * precision * recall, precision + recall))
