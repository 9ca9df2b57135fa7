"""Texts with words of other classes put in: what a model should not be misled by."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["add_distractors", "choose_words", "tokens_of_words"]

# Share of a text's largest score that counts as a difference: words are drawn, not just the best
# taken, or a text would lend the same words in every epoch.
_TEMPERATURE = 0.2


def add_distractors(
    batch: Mapping[str, Tensor],
    classes: Tensor,
    logits: Tensor,
    n_words: int,
    max_length: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Put telling words of another class into each text of a batch; its class stays.

    Each text gets words of one other text of the batch, drawn by that text's prior, before its
    first word or after its last. The other text is of another class, drawn with the probability
    that the model gives this class for the text: classes that it confuses teach most. Drawn from
    torch's global generator.

    Parameters
    ----------
    batch : mapping of Tensor
        What :class:`skcap.classifier.encoder.PadCollate` makes of texts with priors.
    classes : Tensor of int64, shape (n_texts,)
    logits : Tensor of float, shape (n_texts, n_classes)
        Of the texts as they are; no gradient flows through them.
    n_words : int
        Words put into a text; fewer where the other text has not as many with a score.
    max_length : int
        Texts that would get longer, in tokens, are left out.

    Returns
    -------
    input_ids, attention_mask : Tensor of int64, shape (n_made, n_tokens)
    rows : Tensor of int64, shape (n_made,)
        The text that each was made of. Left out are texts without words and those that no other
        text can lend a word.

    Examples
    --------
    >>> import torch
    >>> from skcap.guidance.distractors import add_distractors
    >>> batch = {
    ...     "input_ids": torch.tensor([[101, 7, 8, 102], [101, 9, 102, 0]]),
    ...     "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
    ...     "word_ids": torch.tensor([[-1, 0, 1, -1], [-1, 0, -1, -1]]),
    ...     "prior": torch.tensor([[0.0, 1.0], [1.0, float("nan")]]),
    ... }
    >>> ids, mask, rows = add_distractors(
    ...     batch, torch.tensor([0, 1]), torch.zeros(2, 2), n_words=1, max_length=8
    ... )
    >>> sorted(ids[0].tolist())
    [7, 8, 9, 101, 102]
    """
    lends = ~batch["prior"].isnan().all(dim=1)
    lender, has_lender = _draw_rivals(classes, logits.detach(), lends)
    lent_words = choose_words(batch["prior"], n_words)[lender]
    word_ids = batch["word_ids"]
    lent = tokens_of_words(word_ids[lender], lent_words)
    own = batch["attention_mask"].bool()
    length = own.sum(dim=1) + lent.sum(dim=1)
    has_words = (word_ids >= 0).any(dim=1)
    made = has_lender & has_words & lent.any(dim=1) & (length <= max_length)
    rows = made.nonzero().squeeze(1)
    ids = torch.cat([batch["input_ids"], batch["input_ids"][lender]], dim=1)
    order = torch.cat([_positions(own), _places(word_ids).expand_as(lent)], dim=1)
    there = torch.cat([own, lent], dim=1)
    order = order.masked_fill(~there, torch.inf).sort(dim=1, stable=True).indices[rows]
    width = int(length[rows].max()) if len(rows) else 0
    order = order[:, :width]
    mask = torch.arange(width, device=ids.device) < length[rows, None]
    return ids[rows].gather(1, order) * mask, mask.long(), rows


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


def _draw_rivals(classes: Tensor, logits: Tensor, lends: Tensor) -> tuple[Tensor, Tensor]:
    """Draw for each text one of another class that lends, and tell whether there is any."""
    other = (classes[:, None] != classes[None, :]) & lends
    weights = logits.log_softmax(dim=1)[:, classes]  # of each text's class, for each text
    keys = (weights + _gumbel(weights)).masked_fill(~other, -torch.inf)
    return keys.argmax(dim=1), other.any(dim=1)


def _gumbel(like: Tensor) -> Tensor:
    """Draw noise: added to log-weights, the largest sum is a draw in proportion to the weights."""
    return -torch.empty_like(like).exponential_().log()


def tokens_of_words(word_ids: Tensor, words: Tensor) -> Tensor:
    """Tell which tokens belong to the given words."""
    found = words.gather(1, word_ids.clamp(min=0))
    return found & (word_ids >= 0)


def _positions(own: Tensor) -> Tensor:
    """Give the position of each token, shape (n_texts, n_tokens)."""
    return torch.arange(own.shape[1], device=own.device, dtype=torch.float32).expand(own.shape)


def _places(word_ids: Tensor) -> Tensor:
    """Draw the place before the first word of each text or after its last; shape (n_texts, 1)."""
    columns = torch.arange(word_ids.shape[1], device=word_ids.device)
    in_words = word_ids >= 0
    first = torch.where(in_words, columns, word_ids.shape[1]).amin(dim=1, keepdim=True) - 0.5
    last = torch.where(in_words, columns, -1).amax(dim=1, keepdim=True) + 0.5
    return torch.where(torch.rand(first.shape, device=first.device) < 0.5, first, last)
