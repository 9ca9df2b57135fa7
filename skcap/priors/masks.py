"""Word masks: which words a variant of a text keeps."""

from __future__ import annotations

import numpy as np

__all__ = ["apply_mask", "draw_masks"]


def draw_masks(n_words: int, n_masks: int, seed: int) -> np.ndarray:
    """Draw the perturbations of the paper's section 4.1 for one text.

    The first `n_words` masks remove one word each (the paper's case s = 1). Then follow `n_masks`
    random ones: the number s of removed words is uniform in {2, ..., floor(n_words / 2) + 1}, and
    their positions are uniform without replacement. A random mask may be drawn several times, and
    counts each time.

    Parameters
    ----------
    n_words : int
        For one word, the only mask would be the empty text; the full text is added, as a single
        equation says nothing about the word. For two words, the random masks are all empty.
    n_masks : int
        Random masks to draw.
    seed : int

    Returns
    -------
    ndarray of bool, shape (n_variants, n_words)
        False removes the word. ``n_variants`` is ``n_words + n_masks``, but 2 for one word and 0
        for none.

    Examples
    --------
    >>> from skcap.priors.masks import draw_masks
    >>> draw_masks(3, 1, seed=0).astype(int)
    array([[0, 1, 1],
           [1, 0, 1],
           [1, 1, 0],
           [0, 1, 0]])
    """
    if n_words == 0:
        return np.zeros((0, 0), dtype=bool)
    if n_words == 1:
        return np.array([[True], [False]])
    rng = np.random.default_rng(seed)
    n_removed = rng.integers(2, n_words // 2 + 1, size=n_masks, endpoint=True)
    masks = np.ones((n_masks, n_words), dtype=bool)
    for mask, s in zip(masks, n_removed, strict=True):
        mask[rng.permutation(n_words)[:s]] = False
    return np.concatenate([~np.eye(n_words, dtype=bool), masks])


def apply_mask(words: list[str], mask: np.ndarray) -> str:
    """Keep the words of a mask, joined by single spaces.

    Parameters
    ----------
    words : list of str
    mask : ndarray of bool, shape (n_words,)

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.priors.masks import apply_mask
    >>> apply_mask(["where", "is", "it"], [True, False, True])
    'where it'
    """
    return " ".join(word for word, keep in zip(words, mask, strict=True) if keep)
