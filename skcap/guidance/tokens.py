"""Words and tokens of a batch: drawing words, finding their tokens, merging texts."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["choose_words", "merge_texts", "tokens_of_words"]

# Share of a text's largest score that counts as a difference: words are drawn, not just the best
# taken, or a text would show the same words in every epoch.
_TEMPERATURE = 0.2


def choose_words(prior: Tensor, n_words: int | Tensor) -> Tensor:
    """Draw words of each text without replacement, those of a high score rather than others.

    Parameters
    ----------
    prior : Tensor of float, shape (n_texts, n_columns)
        NaN where there is no score; such a word is never drawn.
    n_words : int, or Tensor of shape (n_texts, 1)
        For all texts, or for each.

    Returns
    -------
    Tensor of bool, shape (n_texts, n_columns)
    """
    scored = ~prior.isnan()
    scores = torch.where(scored, prior, 0.0)
    scale = scores.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)
    keys = torch.where(scored, scores / scale / _TEMPERATURE + _gumbel(scores), -torch.inf)
    ranks = keys.argsort(dim=1, descending=True).argsort(dim=1)
    return (ranks < n_words) & scored


def _gumbel(like: Tensor) -> Tensor:
    """Draw noise: added to log-weights, the largest sum is a draw in proportion to the weights."""
    return -torch.empty_like(like).exponential_().log()


def tokens_of_words(word_ids: Tensor, words: Tensor) -> Tensor:
    """Tell which tokens belong to the given words.

    Parameters
    ----------
    word_ids : Tensor of int64, shape (n_texts, n_tokens)
        -1 for a token of no word.
    words : Tensor of bool, shape (n_texts, n_words)

    Returns
    -------
    Tensor of bool, shape (n_texts, n_tokens)
    """
    return words.gather(1, word_ids.clamp(min=0)) & (word_ids >= 0)


def merge_texts(
    ids: Tensor, own: Tensor, lent: Tensor, lender: Tensor, rows: Tensor, max_length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Merge tokens of each text with tokens of another, in the order of their places.

    Parameters
    ----------
    ids : Tensor of int64, shape (n_texts, n_tokens)
    own : Tensor of bool, shape (n_texts, n_tokens)
        Tokens of a text that stay.
    lent : Tensor of bool, shape (n_texts, n_tokens)
        Tokens of ``lender[row]`` that are added to the text of that row. Special tokens must not
        be among them.
    lender : Tensor of int64, shape (n_texts,)
    rows : Tensor of int64, shape (n_rows,)
        Texts that are wanted.
    max_length : int
        Longer results are left out.

    Returns
    -------
    input_ids, attention_mask : Tensor of int64, shape (n_made, n_tokens)
    rows : Tensor of int64, shape (n_made,)
    """
    n_tokens = own.sum(dim=1) + lent.sum(dim=1)
    rows = rows[n_tokens[rows] <= max_length]
    there = torch.cat([own, lent], dim=1)[rows]
    # A token's place is its position as a share of its text's length: both texts are spread over
    # the merged one alike. What is lent stays between the first and the last special token.
    place = torch.cat([_places(own), _places(lent) * 0.998 + 0.001], dim=1)[rows]
    order = place.masked_fill(~there, torch.inf).sort(dim=1, stable=True).indices
    width = int(n_tokens[rows].max()) if len(rows) else 0
    order = order[:, :width]
    merged = torch.cat([ids[rows], ids[lender[rows]]], dim=1).gather(1, order)
    mask = torch.arange(width, device=ids.device) < n_tokens[rows, None]
    return merged * mask, mask.long(), rows


def _places(there: Tensor) -> Tensor:
    """Position of each token from 0 (the first there is) to 1 (the last)."""
    columns = torch.arange(there.shape[1], device=there.device, dtype=torch.float32)
    spots = columns.expand(there.shape)
    first = spots.masked_fill(~there, torch.inf).amin(dim=1, keepdim=True).clamp(max=there.shape[1])
    last = spots.masked_fill(~there, -torch.inf).amax(dim=1, keepdim=True).clamp(min=0)
    return (spots - first) / (last - first).clamp(min=1)
