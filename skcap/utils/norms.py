"""Norms of word scores, shared by priors and self-attributions, and the alignment losses."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ALIGNMENT_LOSSES", "NORMS", "alignment_loss", "normalize_scores"]

NORMS = ("l2", "max", "sum", "minmax", "softmax", None)
"""What ``normalize`` parameters accept."""

ALIGNMENT_LOSSES = ("mse", "cosine", "rank", "kl")
"""What ``alignment_loss`` parameters accept."""


def normalize_scores(scores: Tensor, mask: Tensor, how: str | None = "l2") -> Tensor:
    """Bring the word scores of each text to a common scale.

    Parameters
    ----------
    scores : Tensor of float, shape (n_texts, n_words)
        Padded word scores. What stands outside of `mask` is never read, so it may be NaN.
    mask : Tensor of bool, shape (n_texts, n_words)
        True at the words that count.
    how : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        The norm, taken over the masked words of each text: ``a / ||a||``, ``a / max|a|``,
        ``a / sum|a|``, ``(a - min) / (max - min)``, softmax, or the scores as they are. The
        default keeps signs and bounds the squared error of two texts, however long they are.

    Returns
    -------
    Tensor of float, shape (n_texts, n_words)
        Zero outside of `mask`. A text without masked words gives zeros, and so does one that a
        norm cannot scale: all zero, or, for "minmax", constant. ("softmax" makes such a text
        uniform.) Gradients are finite in all of these cases.

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
    # Dividing by the largest entry first keeps squares and sums of tiny scores from underflowing.
    # Both norms ignore the scale, so no gradient is lost by holding it constant.
    values = _divide(values, size.detach())
    if how == "sum":
        return _divide(values, values.abs().sum(dim=1, keepdim=True))
    squared = values.square().sum(dim=1, keepdim=True)
    return values / torch.where(squared > 0, squared, 1.0).sqrt()


def alignment_loss(
    prior: Tensor,
    attribution: Tensor,
    mask: Tensor,
    weight: Tensor | None = None,
    kind: str = "mse",
) -> Tensor:
    """How far attributions are from priors, over the masked words of a batch.

    Parameters
    ----------
    prior, attribution : Tensor of float, shape (n_texts, n_words)
        Normalised word scores; NaN is fine outside of `mask`.
    mask : Tensor of bool, shape (n_texts, n_words)
        True at the supervised words.
    weight : Tensor of float, shape (n_texts,), default=None
        How much the words of each text count; None weighs all the same.
    kind : {"mse", "cosine", "rank", "kl"}, default="mse"
        What the two sides of a text are compared by. "mse": their mean squared error, the
        paper's. "cosine": one less their cosine. "rank": of each pair of words, how much less the
        attribution sets them apart, the right way round, than the prior does; no more is asked.
        "kl": the divergence from the prior to the attribution, both of them shares of one, as
        the norm "softmax" makes them.

    Returns
    -------
    Tensor of float, shape ()
        The mean over texts, weighted by their words and by `weight`. Exactly 0, with a graph, if
        no word is supervised.

    Raises
    ------
    ValueError
        If `kind` is unknown.

    Examples
    --------
    >>> import torch
    >>> from skcap.utils.norms import alignment_loss
    >>> prior = torch.tensor([[1.0, float("nan")]])
    >>> alignment_loss(prior, torch.tensor([[0.5, 0.5]]), ~prior.isnan())
    tensor(0.2500)
    """
    if kind not in ALIGNMENT_LOSSES:
        allowed = ", ".join(map(repr, ALIGNMENT_LOSSES))
        raise ValueError(f"alignment_loss must be one of {allowed}, got {kind!r}.")
    prior, attribution = torch.where(mask, prior, 0.0), torch.where(mask, attribution, 0.0)
    words = mask.sum(dim=1).to(attribution.dtype)
    if kind == "mse":
        distance = _divide((prior - attribution).square().sum(dim=1), words)
    elif kind == "cosine":
        distance = _cosine_distance(prior, attribution)
    elif kind == "rank":
        distance = _missing_gaps(prior, attribution, mask)
    else:
        distance = _divergence(prior, attribution)
    share = words if weight is None else words * weight.to(words.dtype)
    return _divide((distance * share).sum(), share.sum())


def _cosine_distance(prior: Tensor, attribution: Tensor) -> Tensor:
    sides = [
        normalize_scores(side, torch.ones_like(side, dtype=torch.bool), "l2")
        for side in (prior, attribution)
    ]
    return 1 - (sides[0] * sides[1]).sum(dim=1)


def _missing_gaps(prior: Tensor, attribution: Tensor, mask: Tensor) -> Tensor:
    """Mean over the pairs of words of a text, each the way round that the prior has it."""
    wanted = prior.unsqueeze(2) - prior.unsqueeze(1)
    there = attribution.unsqueeze(2) - attribution.unsqueeze(1)
    pairs = mask.unsqueeze(2) & mask.unsqueeze(1) & (wanted > 0)
    missing = torch.where(pairs, (wanted - there).relu(), 0.0).sum(dim=(1, 2))
    return _divide(missing, pairs.sum(dim=(1, 2)).to(missing.dtype))


def _divergence(prior: Tensor, attribution: Tensor) -> Tensor:
    """Kullback-Leibler divergence; no share is taken for smaller than rounding makes it."""
    least = torch.finfo(attribution.dtype).eps
    ratio = prior.clamp(min=least).log() - attribution.clamp(min=least).log()
    return (prior * ratio).sum(dim=1)


def _minmax(scores: Tensor, mask: Tensor) -> Tensor:
    largest = torch.finfo(scores.dtype).max
    low = torch.where(mask, scores, largest).amin(dim=1, keepdim=True)
    high = torch.where(mask, scores, -largest).amax(dim=1, keepdim=True)
    spread = mask.any(dim=1, keepdim=True) & (high > low)
    return _divide(
        torch.where(mask & spread, scores - low, 0.0), torch.where(spread, high - low, 0.0)
    )


def _divide(numerator: Tensor, size: Tensor) -> Tensor:
    """Divide by a size that is not negative, or by one where it is as good as zero.

    The replacement comes before the division, since an infinity would turn the gradients of
    ``torch.where`` into NaN even on the side that it does not choose.
    """
    return numerator / torch.where(size > torch.finfo(size.dtype).tiny, size, 1.0)
