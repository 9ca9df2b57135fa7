"""From the scores of variants to the scores of words: ridge regression for many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["solve_ridge"]

# Numbers in a batch of padded mask matrices (64 MB of float64): the longer the texts, the fewer.
_BATCH_NUMBERS = 8_000_000


def solve_ridge(
    masks: Sequence[np.ndarray],
    targets: Sequence[np.ndarray],
    *,
    alpha: float,
    fit_intercept: bool = False,
) -> list[np.ndarray]:
    r"""Solve the paper's equation 3 for many texts, by batched Cholesky factorisation.

    For each text it is :math:`\min_a \|Ma - z\|^2 + \lambda \|a\|^2`, that is
    :math:`(M^\top M + \lambda I) a = M^\top z`.

    Parameters
    ----------
    masks : sequence of ndarray, shape (n_variants, n_words) each
        The numbers of variants and of words may differ from text to text.
    targets : sequence of ndarray of float, shape (n_variants,) each
    alpha : float
        The ridge :math:`\lambda`, greater than 0.
    fit_intercept : bool, default=False
        Whether to add an intercept, which is not penalised, by centring masks and targets. The
        paper has none.

    Returns
    -------
    list of ndarray of float32, shape (n_words,) each

    Raises
    ------
    ValueError
        If `alpha` is so small that rounding errors would decide the weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.priors.ridge import solve_ridge
    >>> masks, targets = [np.array([[0, 1], [1, 0]])], [np.array([1.0, 3.0])]
    >>> solve_ridge(masks, targets, alpha=1.0)
    [array([1.5, 0.5], dtype=float32)]
    """
    solutions: list[np.ndarray] = [np.zeros(mask.shape[1], np.float32) for mask in masks]
    # Sorted by number of words, so that the last has the most of all that are left.
    by_size = sorted(
        (row for row, mask in enumerate(masks) if mask.shape[1]),
        key=lambda row: masks[row].shape[::-1],
    )
    while by_size:
        n_variants = max(len(masks[row]) for row in by_size)
        n_words = masks[by_size[-1]].shape[1]
        n_texts = max(1, _BATCH_NUMBERS // (n_variants * n_words + n_words**2))
        batch, by_size = by_size[-n_texts:], by_size[:-n_texts]
        solved = _solve_batch(
            [masks[row] for row in batch], [targets[row] for row in batch], alpha, fit_intercept
        )
        for row, solution in zip(batch, solved, strict=True):
            solutions[row] = solution[: masks[row].shape[1]].astype(np.float32)
    return solutions


def _solve_batch(
    masks: list[np.ndarray], targets: list[np.ndarray], alpha: float, fit_intercept: bool
) -> np.ndarray:
    import torch

    n_variants = max(len(mask) for mask in masks)
    n_words = max(mask.shape[1] for mask in masks)
    # Padded rows have no weight; a padded word has a column of zeros, and so a score of zero.
    M = np.zeros((len(masks), n_variants, n_words))
    z = np.zeros((len(masks), n_variants))
    weight = np.zeros((len(masks), n_variants))
    for place, (mask, target) in enumerate(zip(masks, targets, strict=True)):
        M[place, : len(mask), : mask.shape[1]] = mask
        z[place, : len(mask)] = target
        weight[place, : len(mask)] = 1
    if fit_intercept:
        total = weight.sum(axis=1, keepdims=True)
        M -= ((weight[..., None] * M).sum(axis=1) / total)[:, None]
        z -= (weight * z).sum(axis=1, keepdims=True) / total
        M *= weight[..., None]
    design, values = torch.from_numpy(M), torch.from_numpy(z)
    normal = design.mT @ design + alpha * torch.eye(n_words, dtype=torch.float64)
    right = design.mT @ values[..., None]
    root, failed = torch.linalg.cholesky_ex(normal)
    _check_pivots(alpha, normal, root, failed=bool(failed.any()))
    return torch.cholesky_solve(right, root)[..., 0].numpy()


def _check_pivots(alpha: float, normal: Any, root: Any, *, failed: bool) -> None:
    """Refuse what rounding errors decide: some LAPACKs fail there, others give any numbers."""
    import torch

    squares = normal.diagonal(dim1=-2, dim2=-1)
    pivots = root.diagonal(dim1=-2, dim2=-1) ** 2
    eps = 100 * torch.finfo(torch.float64).eps  # weights err by a percent at most
    least = eps * normal.shape[-1] * squares.amax(dim=1, keepdim=True)
    is_word = squares > alpha  # a column of zeros disturbs no other
    if failed or (is_word & (pivots < least)).any():
        raise ValueError(
            f"alpha: {alpha:g} is too small for texts with fewer masks than words, whose weights "
            "rounding errors would decide. Take alpha=1e-6 or more, or more masks (n_masks)."
        )
