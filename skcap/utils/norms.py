"""Norms of word scores, the same for priors and for a model's own attributions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["NORMS", "normalize_scores"]

NORMS = ("l2", "max", "sum", "minmax", "softmax", None)
"""What ``normalize`` parameters accept."""

_CELLS = 2**20  # scores normalised in one go: bounds memory, costs no speed


def normalize_scores(scores: Tensor, mask: Tensor, how: str | None = "l2") -> Tensor:
    """Normalise the word scores of each text.

    Parameters
    ----------
    scores : Tensor of float, shape (n_texts, n_words)
        Padded word scores. Values outside `mask` are ignored, so they may be NaN.
    mask : Tensor of bool, shape (n_texts, n_words)
        True for the words that count.
    how : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        The norm, over the masked words of each text: ``a / ||a||``, ``a / max|a|``,
        ``a / sum|a|``, ``(a - min) / (max - min)``, softmax, or the scores as they are. The
        default keeps signs, and the squared distance of two normalised texts is bounded however
        long they are.

    Returns
    -------
    Tensor of float, shape (n_texts, n_words)
        Zero outside `mask`. A text without masked words gives zeros, and so does one that a norm
        cannot scale: all zero or, for "minmax", constant. ("softmax" makes such a text uniform.)
        Gradients are finite in all of these cases.

    Raises
    ------
    ValueError
        If `how` is not one of the norms.

    Examples
    --------
    >>> import torch
    >>> from skcap.utils.norms import normalize_scores
    >>> scores = torch.tensor([[3.0, -4.0, float("nan")]])
    >>> normalize_scores(scores, ~scores.isnan(), "l2")
    tensor([[ 0.6000, -0.8000,  0.0000]])
    """
    if how not in NORMS:
        allowed = ", ".join(map(repr, NORMS))
        raise ValueError(f"normalize must be one of {allowed}, got {how!r}.")
    values = torch.where(mask, scores, 0.0)
    if how is None or scores.shape[1] == 0:
        return values
    if how == "softmax":
        lowest = torch.finfo(scores.dtype).min
        return torch.where(mask, torch.where(mask, scores, lowest).softmax(dim=1), 0.0)
    if how == "minmax":
        return _minmax(scores, mask)
    size = values.abs().amax(dim=1, keepdim=True)
    if how == "max":
        return _divide(values, size)
    # Dividing by the largest score first keeps squares and sums of tiny scores from underflowing.
    # Both norms ignore the scale, so no gradient is lost by holding it constant.
    values = _divide(values, size.detach())
    if how == "sum":
        return _divide(values, values.abs().sum(dim=1, keepdim=True))
    squared = values.square().sum(dim=1, keepdim=True)
    return values / torch.where(squared > 0, squared, 1.0).sqrt()


def normalize_ragged(scores: np.ndarray, offsets: np.ndarray, how: str | None) -> np.ndarray:
    """Normalise the scores of texts of different lengths, stored one after the other.

    Parameters
    ----------
    scores : ndarray of float32, shape (n_words of all texts,)
        NaN for words without a score.
    offsets : ndarray of int64, shape (n_texts + 1,)
        The scores of text i are ``scores[offsets[i] : offsets[i + 1]]``.
    how : str or None
        As for :func:`normalize_scores`.

    Returns
    -------
    ndarray of float32, shape (n_words of all texts,)
        NaN where `scores` is.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.utils.norms import normalize_ragged
    >>> normalize_ragged(np.array([3, np.nan, -4, 2], np.float32), np.array([0, 3, 4]), "l2")
    array([ 0.6,  nan, -0.8,  1. ], dtype=float32)
    """
    n_words = np.diff(offsets)
    normed = np.full_like(scores, np.nan)
    # Texts of one length at a time: nothing is padded, so a text's result depends on that text
    # alone, and one long text costs the others no memory.
    for length in np.unique(n_words).tolist():
        rows = np.flatnonzero(n_words == length)
        step = max(1, _CELLS // max(1, length))
        for start in range(0, len(rows), step):
            places = offsets[rows[start : start + step], None] + np.arange(length)
            block = torch.from_numpy(scores[places]).double()
            mask = ~torch.isnan(block)
            result = normalize_scores(block, mask, how).masked_fill(~mask, torch.nan)
            normed[places] = result.float().numpy()
    return normed


def _minmax(scores: Tensor, mask: Tensor) -> Tensor:
    largest = torch.finfo(scores.dtype).max
    low = torch.where(mask, scores, largest).amin(dim=1, keepdim=True)
    high = torch.where(mask, scores, -largest).amax(dim=1, keepdim=True)
    spread = mask.any(dim=1, keepdim=True) & (high > low)
    return _divide(
        torch.where(mask & spread, scores - low, 0.0), torch.where(spread, high - low, 0.0)
    )


def _divide(numerator: Tensor, size: Tensor) -> Tensor:
    """Divide by a size that is not negative, or by 1 where it is practically zero.

    The size is replaced before the division, since an infinity would turn the gradients of
    ``torch.where`` into NaN even on the side that it does not choose.
    """
    return numerator / torch.where(size > torch.finfo(size.dtype).tiny, size, 1.0)
