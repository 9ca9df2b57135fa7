"""ALIGN for texts: a masker and the classifier, trained in turns, teach each other what matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from skcap.attribution import BASELINES, baseline_embeddings, words_from_tokens
from skcap.guidance.base import BaseGuidance, Step, Task
from skcap.guidance.explaining import attribute_tokens, find_baseline
from skcap.prior_matrix import PriorMatrix
from skcap.utils.norms import normalize_scores
from skcap.utils.validation import StrOptions, integer, number
from skcap.utils.words import check_some_texts

__all__ = ["MaskerGuidance"]

_ROWS = 64  # texts of one forward pass without training
_LEAST = 0.05  # attributions are shares from this to one less it, so that their logs are finite


class MaskerGuidance(BaseGuidance):
    """A masker learns which words decide; the classifier's attribution should agree with it.

    The masker is a small network over the encoder's token states. It gives each word of a text a
    mask from 0 to 1, without knowing the label. In each step after the warm-up the two learn in
    turns. The masker, the classifier held fixed, learns masks whose words alone speak for the
    true class while all other words do not. Then the classifier, the masks held fixed, learns to
    have attributions like the masks, and like attributions for texts of one class.

    Parameters
    ----------
    sparsity : float, default=0.5
        Weight of the mean mask of a text's words: few words should be enough. At 0.1 the masks of
        nearly all words were seen to stay at 1, and then they say nothing.
    smoothness : float, default=0.1
        Weight of the mean difference of the masks of neighbouring words.
    prior_weight : float, default=0.0
        Weight of the cross-entropy between masks and prior. 0 is the paper's own masker, which
        needs no prior; above 0 a PriorMatrix with scores is needed.
    temperature : float, default=0.2
        A prior's scores, scaled so that the largest of a text is 1 in size, are divided by this
        and become masks by the logistic function: 1 becomes 0.99 at the default, 0 becomes 0.5.
    attribution_weight : float, default=0.1
        Weight of the classifier's loss "masker": the cross-entropy between its attributions,
        scaled from 0 to 1 in each text, and the masks.
    consistency_weight : float, default=0.1
        Weight of the classifier's loss "consistency": if the embeddings of two texts of one class
        are mixed, the attributions of the mixture should be the mixture of their attributions.
    warmup : float, from 0 to 1, default=0.2
        Share of the training that is done with the cross-entropy of the labels alone.
    n_hidden : int, default=64
        Width of the masker's hidden layer.
    masker_lr : float, default=0.01
        Learning rate of the masker's own optimiser, Adam.
    baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for a word that is masked out, and for every word at the start of the path
        of attributions: the embedding of the padding or mask token, or zeros. Try "mask" where
        "pad" is an all-zero embedding.

    Attributes
    ----------
    masker_ : torch.nn.Module
        The trained masker, from token states to the logits of masks.
    masker_losses_ : list of float
        The masker's loss in each of its steps.

    Examples
    --------
    >>> from skcap import GuidedTextClassifier
    >>> from skcap.guidance import MaskerGuidance
    >>> clf = GuidedTextClassifier(guidance=MaskerGuidance(sparsity=1.0))
    >>> clf.fit(["wake me at six", "play jazz"], ["alarm", "music"])  # doctest: +SKIP
    >>> clf.guidance_[0].masks(clf, ["play some jazz"]).scores  # doctest: +SKIP
    """

    parts = ("masker", "consistency")
    _parameter_constraints = {
        "sparsity": [number(0)],
        "smoothness": [number(0)],
        "prior_weight": [number(0)],
        "temperature": [number(0, above=True)],
        "attribution_weight": [number(0)],
        "consistency_weight": [number(0)],
        "warmup": [number(0, 1)],
        "n_hidden": [integer(1)],
        "masker_lr": [number(0)],
        "baseline": [StrOptions(set(BASELINES))],
    }

    def __init__(
        self,
        *,
        sparsity: float = 0.5,
        smoothness: float = 0.1,
        prior_weight: float = 0.0,
        temperature: float = 0.2,
        attribution_weight: float = 0.1,
        consistency_weight: float = 0.1,
        warmup: float = 0.2,
        n_hidden: int = 64,
        masker_lr: float = 0.01,
        baseline: str = "pad",
    ) -> None:
        self.sparsity = sparsity
        self.smoothness = smoothness
        self.prior_weight = prior_weight
        self.temperature = temperature
        self.attribution_weight = attribution_weight
        self.consistency_weight = consistency_weight
        self.warmup = warmup
        self.n_hidden = n_hidden
        self.masker_lr = masker_lr
        self.baseline = baseline

    @property
    def needs_prior(self) -> bool:
        """Whether it needs a PriorMatrix with scores: if `prior_weight` is above 0."""
        return self.prior_weight > 0

    def prepare(self, task: Task) -> Mapping[str, Sequence[np.ndarray]]:
        """Make the masker and its optimiser."""
        self.baseline_token_ = find_baseline(task, self)
        head = task.module.head
        self.masker_ = nn.Sequential(
            nn.LayerNorm(head.in_features),
            nn.Linear(head.in_features, self.n_hidden),
            nn.GELU(),
            nn.Linear(self.n_hidden, 1),
        ).to(head.weight)  # its device and dtype
        self.masker_losses_: list[float] = []
        self._optimizer = torch.optim.Adam(self.masker_.parameters(), lr=self.masker_lr)
        return {}

    def review(self, task: Task, classifier: Any) -> bool:
        """Drop the masker's optimiser; ask for no other round."""
        del self._optimizer
        self.masker_.requires_grad_(False)
        return False

    def losses(self, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Train the masker by one step, then yield what the classifier learns from its masks."""
        if step.progress < self.warmup:
            return
        logits, there = self._train_masker(step)
        if there.any():
            yield from self._teach(step, logits.sigmoid(), there)

    # -- the masker -------------------------------------------------------------------------------

    def _train_masker(self, step: Step) -> tuple[Tensor, Tensor]:
        """Train by one step; give the logits of the masks from before, and which words there are.

        Gradients are taken with respect to the masker's weights alone, so that none is added to
        those of the classifier.
        """
        logits, there = self._logits(step.module, step.batch, _count_words(step.batch))
        loss = step.mean(self._masker_losses(step, logits, there))
        weights = list(self.masker_.parameters())
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = step.average(slope)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.masker_losses_.append(loss.item())
        return logits.detach(), there

    def _logits(
        self, module: Any, batch: Mapping[str, Tensor], n_words: int
    ) -> tuple[Tensor, Tensor]:
        """Give the logit of each word's mask, and which words have tokens; (n_texts, n_words)."""
        with torch.no_grad():
            states = module.encoder(
                inputs_embeds=module.embed(batch["input_ids"]),
                attention_mask=batch["attention_mask"],
            ).last_hidden_state
        tokens = self.masker_(states).squeeze(2).float()
        counts = words_from_tokens(torch.ones_like(tokens), batch["word_ids"], n_words)
        sums = words_from_tokens(tokens, batch["word_ids"], n_words)
        return sums / counts.clamp(min=1), counts > 0

    def _masker_losses(self, step: Step, logits: Tensor, there: Tensor) -> Tensor:
        """Loss of each text's masks, shape (n_texts,)."""
        mask = logits.sigmoid()
        both = there[:, 1:] & there[:, :-1]
        losses = (self._gap(step, mask) - 1).square()
        losses = losses + self.sparsity * _mean_over(mask, there)
        losses = losses + self.smoothness * _mean_over((mask[:, 1:] - mask[:, :-1]).abs(), both)
        if self.prior_weight:
            prior = step.batch["prior"][:, : there.shape[1]]
            scored = there & ~prior.isnan()
            wanted = (normalize_scores(prior, scored, "max") / self.temperature).sigmoid()
            errors = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
            losses = losses + self.prior_weight * _mean_over(errors, scored)
        return losses

    def _gap(self, step: Step, mask: Tensor) -> Tensor:
        """Probability of the true class by the words of the mask, less that by all others."""
        batch = step.batch
        embeddings, baseline = self._ends(step)
        difference = embeddings - baseline
        shown = torch.cat([_of_tokens(mask, batch), _of_tokens(1 - mask, batch)])
        logits = step.module(
            attention_mask=batch["attention_mask"].repeat(2, 1),
            inputs_embeds=baseline.repeat(2, 1, 1) + shown * difference.repeat(2, 1, 1),
        )
        found = logits.float().softmax(dim=1).gather(1, step.classes.repeat(2).unsqueeze(1))
        with_mask, without = found.squeeze(1).chunk(2)
        return with_mask - without

    def _ends(self, step: Step) -> tuple[Tensor, Tensor]:
        embeddings = step.module.embed(step.batch["input_ids"])
        token = self.baseline_token_
        return embeddings, baseline_embeddings(
            step.module, embeddings, step.batch["special"], token
        )

    # -- the classifier ---------------------------------------------------------------------------

    def _teach(self, step: Step, mask: Tensor, there: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield the classifier's losses, given masks."""
        batch = step.batch
        tokens = attribute_tokens(
            step.module,
            batch["attention_mask"],
            *self._ends(step),
            step.classes,
            create_graph=self.attribution_weight > 0,
        )
        words = words_from_tokens(tokens, batch["word_ids"], there.shape[1])
        errors = _cross_entropy(normalize_scores(words, there, "minmax"), mask)
        yield "masker", self.attribution_weight * step.mean(_mean_over(errors, there))
        if self.consistency_weight:
            errors = self._inconsistency(step, tokens.detach())
            yield "consistency", self.consistency_weight * errors

    def _inconsistency(self, step: Step, tokens: Tensor) -> Tensor:
        """Squared errors of the attributions of mixed texts, on average."""
        rows, others = _pairs(step.classes)
        if not len(rows):
            return tokens.new_zeros(())
        there = step.batch["attention_mask"].bool()
        own, lent = there[rows], there[others]
        drawn = torch.rand(len(rows), 1, dtype=torch.float32, device=tokens.device)
        # Where one text is longer than the other, it stays as it is.
        share = torch.where(own & lent, drawn.expand(own.shape), own.float())

        def mix(values: Tensor) -> Tensor:
            weight = share if values.dim() == 2 else share.unsqueeze(2)
            return weight * values[rows] + (1 - weight) * values[others]

        embeddings, baseline = self._ends(step)
        seen = own | lent
        found = attribute_tokens(
            step.module,
            seen.long(),
            mix(embeddings),
            mix(baseline),
            step.classes[rows],
            create_graph=True,
        )
        errors = normalize_scores(found, seen, "l2") - normalize_scores(mix(tokens), seen, "l2")
        return step.mean(errors.square().sum(dim=1), rows)

    # -- after training ---------------------------------------------------------------------------

    def masks(self, classifier: Any, X: Any) -> PriorMatrix:
        """Give the learned masks of texts.

        Parameters
        ----------
        classifier : GuidedTextClassifier
            The one that was trained with this guidance, which is found in its ``guidance_``.
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts

        Returns
        -------
        PriorMatrix
            A score from 0 to 1 for each word, NaN for words that the model does not see whole.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If this guidance was not used in a fit.
        ValueError
            If the classifier was not trained with it, or there are no texts.
        """
        if not hasattr(self, "masker_"):
            raise NotFittedError(
                "This MaskerGuidance has no masker. Fit a classifier with it, and ask the copy "
                "that was used: clf.guidance_[0].masks(clf, X). What from_pretrained loads has "
                "none, since save_pretrained does not keep it."
            )
        if not any(item is self for item in getattr(classifier, "guidance_", ())):
            raise ValueError(
                "classifier must be the one that was trained with this guidance, got "
                f"{classifier!r:.60}. Ask as in clf.guidance_[0].masks(clf, X)."
            )
        texts = check_some_texts(X)
        encoded = classifier._encode(texts)
        module = classifier.net_.module_.eval()
        scores: list[np.ndarray] = [np.empty(0)] * len(texts)
        order = np.argsort([-text.input_ids.size for text in encoded], kind="stable")
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            own = [encoded[row] for row in rows]
            n_words = max(text.truncated.size for text in own)
            with torch.no_grad():
                logits, _ = self._logits(module, _pad(own, module.head.weight.device), n_words)
            values = logits.sigmoid().cpu().numpy()
            for row, text, value in zip(rows, own, values, strict=True):
                scores[row] = np.where(text.seen, value[: text.seen.size], np.nan)
        provenance = {"source": "masker", "model": str(classifier._fitted_with_["model"])}
        return PriorMatrix(texts, scores, provenance=provenance)


def _count_words(batch: Mapping[str, Tensor]) -> int:
    return max(1, int(batch["word_ids"].max()) + 1)


def _of_tokens(mask: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
    """Spread masks of words to their tokens, 1 for tokens of no word; (n_texts, n_tokens, 1)."""
    word_ids = batch["word_ids"]
    return torch.where(word_ids < 0, 1.0, mask.gather(1, word_ids.clamp(min=0))).unsqueeze(2)


def _mean_over(values: Tensor, there: Tensor) -> Tensor:
    """Mean of each text over some of its words, 0 if there is none; shape (n_texts,)."""
    return torch.where(there, values, 0.0).sum(dim=1) / there.sum(dim=1).clamp(min=1)


def _cross_entropy(shares: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of each word, without an infinite slope at the ends."""
    shares = _LEAST + (1 - 2 * _LEAST) * shares
    return -(mask * shares.log() + (1 - mask) * (1 - shares).log())


def _pairs(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Draw for each text another of its class, if the batch has any: rows, and their others."""
    same = classes.unsqueeze(0) == classes.unsqueeze(1)
    same.fill_diagonal_(False)
    drawn = torch.where(same, torch.rand(same.shape, device=same.device), -1.0).argmax(dim=1)
    rows = same.any(dim=1).nonzero().squeeze(1)
    return rows, drawn[rows]


def _pad(encoded: Sequence[Any], device: torch.device) -> dict[str, Tensor]:
    """Make a batch of texts, as far as masks need it."""

    def column(rows: Sequence[np.ndarray], filler: int) -> Tensor:
        tensors = [torch.from_numpy(row) for row in rows]
        padded = nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=filler)
        return padded.to(device)

    return {
        "input_ids": column([text.input_ids for text in encoded], 0),
        "attention_mask": column([np.ones_like(text.input_ids) for text in encoded], 0),
        "word_ids": column([text.word_ids for text in encoded], -1),
    }
