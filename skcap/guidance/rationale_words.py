"""Texts of only the words that a prior speaks for, or only of the others.

A model should be able to decide by the first, and have nothing to decide by in the second.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from skcap.guidance.distractors import choose_words, tokens_of_words

__all__ = ["keep_words", "leave_words"]


def keep_words(batch: Mapping[str, Tensor], share: float) -> tuple[Tensor, Tensor]:
    """Hide the words of each text that its prior says little for; what is left keeps its place.

    The words are drawn, those of a high score rather than others
    (:func:`skcap.guidance.distractors.choose_words`), so that a text is not cut to the same words in every
    epoch. Drawn from torch's global generator.

    Parameters
    ----------
    batch : mapping of Tensor
        What :class:`skcap.classifier.encoder.PadCollate` makes of texts with priors.
    share : float, from 0 to 1
        Of the words with a score, how many stay: rounded, and one at least.

    Returns
    -------
    attention_mask : Tensor of int64, shape (n_made, n_tokens)
        That of the batch without the tokens of hidden words. Special tokens stay.
    rows : Tensor of int64, shape (n_made,)
        The text that each is of; texts without scores are left out.

    Examples
    --------
    >>> import torch
    >>> from skcap.guidance.rationale_words import keep_words
    >>> batch = {
    ...     "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    ...     "word_ids": torch.tensor([[-1, 0, 1, -1], [-1, 0, -1, -1]]),
    ...     "prior": torch.tensor([[-9.0, 1.0], [float("nan")] * 2]),
    ... }
    >>> mask, rows = keep_words(batch, 0.5)
    >>> mask.sum(dim=1).tolist(), rows.tolist()
    ([3], [0])
    """
    return _only(batch, _draw(batch, share))


def leave_words(batch: Mapping[str, Tensor], share: float) -> tuple[Tensor, Tensor]:
    """Hide the words of each text that its prior speaks for: the complement of a rationale.

    Parameters
    ----------
    batch, share
        See :func:`keep_words`. The words that it would keep are hidden here, in a draw of its own.

    Returns
    -------
    attention_mask : Tensor of int64, shape (n_made, n_tokens)
    rows : Tensor of int64, shape (n_made,)
        The text that each is of; texts of which no word with a score would be left are left out.

    Examples
    --------
    >>> import torch
    >>> from skcap.guidance.rationale_words import leave_words
    >>> batch = {
    ...     "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    ...     "word_ids": torch.tensor([[-1, 0, 1, -1], [-1, 0, -1, -1]]),
    ...     "prior": torch.tensor([[-9.0, 1.0], [5.0, float("nan")]]),
    ... }
    >>> mask, rows = leave_words(batch, 0.5)
    >>> mask.tolist(), rows.tolist()
    ([[1, 1, 0, 1]], [0])
    """
    return _only(batch, ~batch["prior"].isnan() & ~_draw(batch, share))


def _draw(batch: Mapping[str, Tensor], share: float) -> Tensor:
    """Draw the words of each rationale, shape (n_texts, n_words)."""
    counts = (~batch["prior"].isnan()).sum(dim=1, keepdim=True)
    return choose_words(batch["prior"], (share * counts).round().clamp(min=1))


def _only(batch: Mapping[str, Tensor], words: Tensor) -> tuple[Tensor, Tensor]:
    """Hide all words but these, in the texts that have any of them."""
    rows = words.any(dim=1).nonzero().squeeze(1)
    word_ids = batch["word_ids"][rows]
    shown = tokens_of_words(word_ids, words[rows]) | (word_ids < 0)
    return batch["attention_mask"][rows] * shown, rows
