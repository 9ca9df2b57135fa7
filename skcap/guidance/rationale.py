"""Decide by the words that a prior favours, and have nothing to decide by in the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from skcap.guidance.base import BaseGuidance, Step
from skcap.guidance.tokens import choose_words, merge_texts, tokens_of_words
from skcap.utils.validation import StrOptions, number

__all__ = ["RationaleGuidance", "draw_rationales"]

COMPLEMENTS = ("hide", "compose")


class RationaleGuidance(BaseGuidance):
    """Learn each text from its rationale too, and learn that the rest of the text says nothing.

    A *rationale* is the share of a text's words that its prior favours, drawn anew in each step,
    words of a high score rather than others. The class should be recognised from the rationale
    without the other words, and the other words alone should leave all classes equally likely.
    For training texts with a shortcut in them: a word that goes with the label by accident, and
    that the prior does not favour, is not learned.

    Parameters
    ----------
    share : float, from 0 to 1, default=0.5
        Share of a text's words that a rationale keeps, at least one word.
    complement : {"hide", "compose"}, default="hide"
        What stands in place of the other words when the rationale is learned: nothing, or the
        words of another text of the batch that are outside of *its* rationale. Composed texts
        also show the model misleading words, with the class of the rationale.
    complement_weight : float, default=0.3
        Weight of the loss on the other words alone, where the loss on the rationale counts 1: the
        divergence of the predicted probabilities from the uniform distribution. 0 leaves it out.

    Notes
    -----
    Related: UNIREX (Chan et al., ICML 2022) trains on sufficiency and comprehensiveness losses of
    extracted rationales; MASKER (Moon et al., AAAI 2021) masks keywords or their context, and asks
    for uniform predictions where only the context is left.

    Examples
    --------
    >>> from skcap import GuidedTextClassifier
    >>> from skcap.guidance import RationaleGuidance
    >>> clf = GuidedTextClassifier(guidance=RationaleGuidance(share=0.75))
    >>> clf.get_params()["guidance__share"]
    0.75
    """

    _parameter_constraints = {
        "share": [number(0, 1)],
        "complement": [StrOptions(set(COMPLEMENTS))],
        "complement_weight": [number(0)],
    }

    def __init__(
        self, *, share: float = 0.5, complement: str = "hide", complement_weight: float = 0.3
    ) -> None:
        self.share = share
        self.complement = complement
        self.complement_weight = complement_weight

    @property
    def needs_prior(self) -> bool:
        """Whether it can only be used with a PriorMatrix that has scores: yes."""
        return True

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the losses."""
        return ("rationale", "complement") if self.complement_weight else ("rationale",)

    def losses(self, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Yield the loss of the rationales, then that of the words outside of them."""
        yield "rationale", self._of_rationales(step)
        if self.complement_weight:
            yield "complement", self.complement_weight * self._of_complements(step)

    def _of_rationales(self, step: Step) -> Tensor:
        kept = draw_rationales(step.batch, self.share)
        if self.complement == "hide":
            mask, rows = only_words(step.batch, kept)
            return step.cross_entropy(step.batch["input_ids"][rows], mask, rows)
        ids, mask, rows = compose(step.batch, kept, step.max_length)
        return step.cross_entropy(ids, mask, rows)

    def _of_complements(self, step: Step) -> Tensor:
        batch = step.batch
        others = ~batch["prior"].isnan() & ~draw_rationales(batch, self.share)
        mask, rows = only_words(batch, others)
        if not len(rows):
            return batch["weight"].new_zeros(())
        log_p = step.module(batch["input_ids"][rows], mask).float().log_softmax(dim=1)
        return step.mean(-log_p.mean(dim=1) - math.log(log_p.shape[1]), rows)


def draw_rationales(batch: Mapping[str, Tensor], share: float) -> Tensor:
    """Draw the words of each text's rationale, from torch's global generator.

    Parameters
    ----------
    batch : mapping of Tensor
        See :class:`skcap.guidance.Step`.
    share : float, from 0 to 1
        Of the words with a score, rounded, at least one.

    Returns
    -------
    Tensor of bool, shape (n_texts, n_words)
        All False for texts without scores.
    """
    counts = (~batch["prior"].isnan()).sum(dim=1, keepdim=True)
    return choose_words(batch["prior"], (share * counts).round().clamp(min=1))


def only_words(batch: Mapping[str, Tensor], words: Tensor) -> tuple[Tensor, Tensor]:
    """Hide all words but these, in the texts that have any of them; words keep their places.

    Returns
    -------
    attention_mask : Tensor of int64, shape (n_made, n_tokens)
        Special tokens stay.
    rows : Tensor of int64, shape (n_made,)
        The text that each is of.
    """
    rows = words.any(dim=1).nonzero().squeeze(1)
    word_ids = batch["word_ids"][rows]
    shown = tokens_of_words(word_ids, words[rows]) | (word_ids < 0)
    return batch["attention_mask"][rows] * shown, rows


def compose(
    batch: Mapping[str, Tensor], kept: Tensor, max_length: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Put each text's rationale among the words that another text has outside of its own.

    Parameters
    ----------
    batch : mapping of Tensor
    kept : Tensor of bool, shape (n_texts, n_words)
        The rationales.
    max_length : int
        Longer results are left out.

    Returns
    -------
    input_ids, attention_mask : Tensor of int64, shape (n_made, n_tokens)
    rows : Tensor of int64, shape (n_made,)
        The text whose rationale each holds.
    """
    # A permutation that moves every row: each text lends its other words once.
    shuffled = torch.randperm(len(kept), device=kept.device)
    lender = torch.empty_like(shuffled)
    lender[shuffled] = shuffled.roll(1)
    word_ids = batch["word_ids"]
    own = tokens_of_words(word_ids, kept) | ((word_ids < 0) & batch["attention_mask"].bool())
    others = ~kept & ~batch["prior"].isnan()
    lent = tokens_of_words(word_ids, others)[lender]
    rows = kept.any(dim=1).nonzero().squeeze(1)
    return merge_texts(batch["input_ids"], own, lent, lender, rows, max_length)
