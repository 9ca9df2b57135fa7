"""Rationales: which words of a text they are, and texts with or without them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics._checks import check_length, word_mask
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.validation import check_choice
from skcap.utils.words import check_texts, split_words

__all__ = ["keep_words", "rationale_masks", "remove_words"]

_ROUNDING: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "round": round,
    "ceil": math.ceil,
}


def rationale_masks(
    attributions: PriorMatrix | Sequence[ArrayLike],
    k: int | float,
    *,
    rounding: str = "ceil",
    at_least: int = 0,
) -> list[np.ndarray]:
    """Choose the words with the highest scores of each text.

    Parameters
    ----------
    attributions : PriorMatrix or sequence of 1-D arrays, length n_texts
        One score per word. The sign counts: the rationale speaks *for* the class. Words with a
        score of NaN are never part of it.
    k : int or float
        An int (such as 1) is a number of words, a float (such as 1.0) a share of the words, above
        0 and at most 1.
    rounding : {"ceil", "round", "floor"}, default="ceil"
        How ``k * n_words`` becomes a whole number, if `k` is a share. ``n_words`` counts all words
        of the text, including those with NaN. Products that are whole numbers but for floating
        point noise (``0.1 * 30``) count as whole, and "round" rounds halves to the even neighbour.
        The default never gives an empty rationale, which "floor" does for most shares of a short
        text.
    at_least : int, default=0
        Number of words of the smallest rationale.

    Returns
    -------
    list of ndarray of bool, length n_texts
        True for the words of the rationale. Of words with the same score the earlier one comes
        first. If fewer words have a score than the rationale needs, it holds all of them.

    Raises
    ------
    ValueError
        If `k`, `rounding` or `at_least` is out of range, or an attribution is not 1-D.

    Notes
    -----
    The rules of published benchmarks are :data:`skcap.metrics.ERASER` and
    :data:`skcap.metrics.ER_TEST`. To leave out words that speak against the class, as ferret does,
    set their scores to NaN.

    Examples
    --------
    >>> from skcap.metrics import rationale_masks
    >>> rationale_masks([[0.1, 0.7, 0.2]], k=0.5)
    [array([False,  True,  True])]
    >>> rationale_masks([[0.1, 0.7, 0.2]], k=0.5, rounding="floor")
    [array([False,  True, False])]
    """
    check_size(k, rounding, at_least)
    masks = []
    for scores in score_arrays(attributions):
        mask = np.zeros(scores.size, dtype=bool)
        mask[_ranked_words(scores)[: _rationale_size(scores.size, k, rounding, at_least)]] = True
        masks.append(mask)
    return masks


def remove_words(
    texts: Iterable[str],
    masks: Sequence[ArrayLike],
    *,
    mode: str = "delete",
    mask_token: str | None = None,
) -> list[str]:
    """Remove the marked words from each text.

    Parameters
    ----------
    texts : sequence of str, length n_texts
    masks : sequence of 1-D bool arrays, length n_texts
        True for the words to remove.
    mode : {"delete", "mask"}, default="delete"
        "delete" joins the words that stay with single spaces, "mask" puts `mask_token` in the
        place of each word that goes.
    mask_token : str or None, default=None
        Required for ``mode="mask"``: the token that the model was trained to take for a gap, such
        as ``"[MASK]"`` for BERT or ``"<mask>"`` for RoBERTa. A wrong one would be read as a word.

    Returns
    -------
    list of str, length n_texts
        A text that loses no word is returned as it is, with its own white space.

    Raises
    ------
    ValueError
        If a mask does not have one item per word, or `mode` and `mask_token` do not go together.

    Examples
    --------
    >>> from skcap.metrics import remove_words
    >>> remove_words(["where is my card"], [[False, False, False, True]])
    ['where is my']
    >>> remove_words(["my card"], [[False, True]], mode="mask", mask_token="[MASK]")
    ['my [MASK]']
    """
    check_mode(mode, mask_token)
    rows = check_texts(texts, "texts")
    check_length("masks", masks, len(rows))
    return [
        without(text, word_mask(mask, "masks", row, len(split_words(text))), mode, mask_token)
        for row, (text, mask) in enumerate(zip(rows, masks, strict=True))
    ]


def keep_words(
    texts: Iterable[str],
    masks: Sequence[ArrayLike],
    *,
    mode: str = "delete",
    mask_token: str | None = None,
) -> list[str]:
    """Remove all words but the marked ones from each text.

    Parameters
    ----------
    texts : sequence of str, length n_texts
    masks : sequence of 1-D bool arrays, length n_texts
        True for the words to keep.
    mode, mask_token
        As for :func:`remove_words`.

    Returns
    -------
    list of str, length n_texts

    Raises
    ------
    ValueError
        As :func:`remove_words`.

    Examples
    --------
    >>> from skcap.metrics import keep_words
    >>> keep_words(["where is my card"], [[False, False, False, True]])
    ['card']
    """
    inverse = [~word_mask(mask, "masks", row) for row, mask in enumerate(masks)]
    return remove_words(texts, inverse, mode=mode, mask_token=mask_token)


def score_arrays(
    attributions: PriorMatrix | Sequence[ArrayLike], texts: list[str] | None = None
) -> list[np.ndarray]:
    """Return one 1-D float array per text, checked against `texts` if these are known."""
    rows = attributions.scores if isinstance(attributions, PriorMatrix) else attributions
    try:  # words whose score is masked have none
        arrays = [np.ma.filled(np.ma.asarray(row, dtype=np.float64), np.nan) for row in rows]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"attributions must hold one array of numbers per text, got {rows!r:.60} ({error})."
        ) from error
    for row, scores in enumerate(arrays):
        if scores.ndim != 1:
            raise ValueError(
                "attributions must hold one 1-D array per text; "
                f"row {row} has shape {scores.shape}."
            )
    if texts is None:
        return arrays
    check_length("attributions", arrays, len(texts))
    if isinstance(attributions, PriorMatrix):
        check_same_texts([attributions, PriorMatrix(texts)], ["attributions", "texts"])
    for row, (scores, text) in enumerate(zip(arrays, texts, strict=True)):
        n_words = len(split_words(text))
        if scores.size != n_words:
            raise ValueError(
                f"attributions has {scores.size} scores in row {row}, whose text has {n_words} "
                f"words ({text!r:.60}); one score per whitespace-separated word is needed."
            )
    return arrays


def _ranked_words(scores: np.ndarray) -> np.ndarray:
    """Sort the positions of the words that have a score: highest first, ties by position."""
    scored = np.flatnonzero(~np.isnan(scores))
    return scored[np.argsort(-scores[scored], kind="stable")]


def _rationale_size(n_words: int, k: int | float, rounding: str, at_least: int) -> int:
    if isinstance(k, Integral):
        return max(int(k), at_least)
    # Nine digits: 0.1 * 3 is 0.30000000000000004, and 0.29 * 100 is 28.999999999999996.
    return max(_ROUNDING[rounding](round(float(k) * n_words, 9)), at_least)


def without(text: str, gone: np.ndarray, mode: str, mask_token: str | None) -> str:
    """Take the words marked in `gone` out of one text."""
    if not gone.any():
        return text
    words = split_words(text)
    if mode == "mask":
        return " ".join(
            str(mask_token) if hide else word for word, hide in zip(words, gone, strict=True)
        )
    return " ".join(word for word, drop in zip(words, gone, strict=True) if not drop)


def check_size(k: int | float, rounding: str, at_least: int) -> None:
    """Validate one size of a rationale and how it is rounded."""
    is_count = isinstance(k, Integral) and not isinstance(k, bool) and k >= 1
    is_share = isinstance(k, Real) and not isinstance(k, Integral) and 0 < k <= 1
    if not (is_count or is_share):
        raise ValueError(
            f"k must be a number of words (an int from 1) or a share of them (a float above 0, at "
            f"most 1.0), got {k!r}."
        )
    check_choice("rounding", rounding, tuple(_ROUNDING))
    if not isinstance(at_least, Integral) or at_least < 0:
        raise ValueError(f"at_least must be an int from 0, got {at_least!r}.")


def check_mode(mode: str, mask_token: str | None) -> None:
    """Validate how words are removed."""
    check_choice("mode", mode, ("delete", "mask"))
    if mode == "mask" and not mask_token:
        raise ValueError(
            "mode='mask' needs the mask_token that the model was trained with, such as '[MASK]' "
            "(BERT) or '<mask>' (RoBERTa)."
        )
    if mode == "delete" and mask_token is not None:
        raise ValueError(
            f"mask_token={mask_token!r} is not used with mode='delete'; did you mean mode='mask'?"
        )
