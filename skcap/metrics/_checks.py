"""Checks and means that the metrics share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def word_mask(mask: ArrayLike, name: str, row: int, n_words: int | None = None) -> np.ndarray:
    """Validate a mask of words: 1-D, of bools (or 0 and 1), and of the right length."""
    values = unmasked(name, mask)
    if values.ndim != 1 or (n_words is not None and values.size != n_words):
        needed = "one-dimensional" if n_words is None else f"({n_words},), one item per word"
        raise ValueError(f"{name} has shape {values.shape} in row {row}; it must be {needed}.")
    if values.size and not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"{name} must hold booleans, got {values.dtype} in row {row}; "
            "rationale_masks makes masks from scores."
        )
    return values.astype(bool)


def mask_pairs(
    rationales: Sequence[ArrayLike], human: Sequence[ArrayLike]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Validate two masks for each text and pair them."""
    check_length("human", human, len(rationales))
    pairs = []
    for row, (left, right) in enumerate(zip(rationales, human, strict=True)):
        mask = word_mask(left, "rationales", row)
        pairs.append((mask, word_mask(right, "human", row, mask.size)))
    return pairs


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def over_texts(values: np.ndarray, per_text: bool, name: str) -> float | np.ndarray:
    """Average over the texts that have a value, and warn of those that have none."""
    if per_text:
        return values
    if not values.size:
        raise ValueError(f"{name} needs at least one text.")
    undefined = int(np.isnan(values).sum())
    if undefined == values.size:
        warnings.warn(f"{name} is undefined for every text; returning NaN.", stacklevel=3)
        return float("nan")
    if undefined:
        warnings.warn(
            f"{name} is undefined for {undefined} of {values.size} texts; they are left out of "
            "the mean (per_text=True shows which).",
            stacklevel=3,
        )
    return float(np.nanmean(values))


def check_length(name: str, values: Sized, expected: int) -> None:
    """Check that there is one row for each text."""
    if len(values) != expected:
        raise ValueError(
            f"{name} has {len(values)} rows for {expected} texts; it needs one row per text, in "
            "the same order."
        )


def unmasked(name: str, values: Any) -> np.ndarray:
    """Return an array. Of a masked one, NumPy would read what is masked as well."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} holds masked values. Fill them in, or leave them out first.")
    return np.asarray(values)


def finite_array(name: str, values: ArrayLike, ndim: int) -> np.ndarray:
    """Return `values` as finite float64 numbers of `ndim` dimensions, or say what is wrong."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = type(values).__name__
        raise ValueError(f"{name} must be an array of numbers, got {kind} ({error}).") from error
    unmasked(name, values)
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinite values.")
    return array


def check_probabilities(name: str, values: ArrayLike) -> np.ndarray:
    """Check for rows of probabilities that add up to 1, within the precision of bfloat16."""
    array = finite_array(name, values, ndim=2)
    if (array < 0).any() or not np.allclose(array.sum(axis=1), 1.0, atol=1e-2):
        raise ValueError(
            f"{name} must hold probabilities, rows of numbers from 0 that add up to 1, such as "
            "predict_proba returns; apply softmax to logits."
        )
    return array
