"""EGAT for texts: adversarial examples on the fly, whose explanation should stay what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skcap.attribution import BASELINES, baseline_embeddings, words_from_tokens
from skcap.guidance.base import BaseGuidance, Step, Task
from skcap.guidance.explaining import attribute_tokens, find_baseline
from skcap.utils.norms import normalize_scores
from skcap.utils.seeds import seeded
from skcap.utils.validation import StrOptions, integer, number

__all__ = ["AdversarialGuidance", "find_perturbation"]


class AdversarialGuidance(BaseGuidance):
    """Withstand adversarial changes of word embeddings, in what is predicted and in why.

    In each step the word embeddings of each text are moved to where its loss rises most. The class
    should still be recognised there, and the attributions to words should be those of the text as
    it was and, where the texts have a prior, those of the prior.

    Parameters
    ----------
    epsilon : float, default=0.1
        Length of the change, as a share of the length (the Euclidean norm) of the embeddings of
        all words of the text together.
    n_steps : int, default=1
        Steps in which the change is found: one is the fast gradient method (FGM), more are
        projected gradient descent (PGD). Each costs a forward and a backward pass.
    explanation_weight : float, default=0.1
        Weight of the squared difference of the attributions of the changed text and those of the
        text as it was, where the cross-entropy of the changed text counts 1.
    prior_weight : float, default=0.1
        Weight of the squared difference of the attributions of the changed text and the prior. It
        plays no part where texts have no prior.
    baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for every word at the start of the path of attributions: the embedding of
        the padding or mask token, or zeros. Try "mask" where "pad" is an all-zero embedding.

    Examples
    --------
    >>> from skcap import GuidedTextClassifier
    >>> from skcap.guidance import AdversarialGuidance
    >>> clf = GuidedTextClassifier(guidance=AdversarialGuidance(epsilon=0.2, n_steps=3))
    >>> clf.get_params()["guidance__epsilon"]
    0.2
    >>> clf.fit(["wake me at six", "play jazz"], ["alarm", "music"])  # doctest: +SKIP
    """

    _points: Mapping[str, Any] = {"n_steps": 1, "path": "random"}  # of the path of attributions
    _parameter_constraints = {
        "epsilon": [number(0)],
        "n_steps": [integer(1)],
        "explanation_weight": [number(0)],
        "prior_weight": [number(0)],
        "baseline": [StrOptions(set(BASELINES))],
    }

    def __init__(
        self,
        *,
        epsilon: float = 0.1,
        n_steps: int = 1,
        explanation_weight: float = 0.1,
        prior_weight: float = 0.1,
        baseline: str = "pad",
    ) -> None:
        self.epsilon = epsilon
        self.n_steps = n_steps
        self.explanation_weight = explanation_weight
        self.prior_weight = prior_weight
        self.baseline = baseline

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the losses."""
        explained = self.explanation_weight or self.prior_weight
        return ("adversarial", "explanation") if explained else ("adversarial",)

    def prepare(self, task: Task) -> Mapping[str, Sequence[np.ndarray]]:
        """Look up the baseline."""
        self.baseline_token_ = find_baseline(task, self)
        return {}

    def losses(self, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Yield the loss of the changed texts, then that of their explanations."""
        batch = step.batch
        change = self._change(step)
        logits = step.module(
            attention_mask=batch["attention_mask"],
            inputs_embeds=step.module.embed(batch["input_ids"]) + change,
        )
        yield "adversarial", step.mean(step.criterion(logits.float(), step.classes))
        has_prior = "prior" in batch and self.prior_weight
        if self.explanation_weight or has_prior:
            yield "explanation", step.mean(self._explanation_errors(step, change))

    def _change(self, step: Step) -> Tensor:
        return find_perturbation(
            step.module,
            step.batch,
            step.classes,
            step.criterion,
            epsilon=self.epsilon,
            n_steps=self.n_steps,
        )

    def _explanation_errors(self, step: Step, change: Tensor) -> Tensor:
        """Weighted squared errors of each text's explanation, shape (n_texts,)."""
        # The same point of the path and the same dropout for both, or they would differ in those.
        seed = int(torch.randint(2**31 - 1, ()).item())
        changed, there = self._explain(step, change, seed, create_graph=True)
        errors = torch.zeros_like(step.batch["weight"])
        if self.explanation_weight:
            clean, _ = self._explain(step, torch.zeros_like(change), seed, create_graph=False)
            errors = errors + self.explanation_weight * _squared_error(changed, clean, there)
        if self.prior_weight and "prior" in step.batch:
            prior = step.batch["prior"]
            scored = ~prior.isnan()
            errors = errors + self.prior_weight * _squared_error(changed, prior, scored)
        return errors

    def _explain(
        self, step: Step, change: Tensor, seed: int, *, create_graph: bool
    ) -> tuple[Tensor, Tensor]:
        """Attribute to words, and tell which words have tokens; both (n_texts, n_words)."""
        batch = step.batch
        embeddings = step.module.embed(batch["input_ids"])
        baseline = baseline_embeddings(
            step.module, embeddings, batch["special"], self.baseline_token_
        )
        with seeded(seed, change.device):
            tokens = attribute_tokens(
                step.module,
                batch["attention_mask"],
                embeddings + change,
                baseline,
                step.classes,
                create_graph=create_graph,
                **self._points,
            )
        n_words = batch["prior"].shape[1] if "prior" in batch else int(batch["word_ids"].max()) + 1
        counts = words_from_tokens(torch.ones_like(tokens), batch["word_ids"], n_words)
        return words_from_tokens(tokens, batch["word_ids"], n_words), counts > 0


def find_perturbation(
    module: Any,
    batch: Mapping[str, Tensor],
    classes: Tensor,
    criterion: Callable[[Tensor, Tensor], Tensor],
    *,
    epsilon: float,
    n_steps: int = 1,
) -> Tensor:
    """Find the change of a text's word embeddings that raises its loss most.

    Special tokens stay as they are.

    Parameters
    ----------
    module : skcap.classifier.encoder.TextEncoderClassifier
        Its gradients stay as they are.
    batch : mapping of Tensor
        See :class:`skcap.guidance.Step`.
    classes : Tensor of int64, shape (n_texts,)
    criterion : callable
        Loss of each row, from logits and classes, not reduced.
    epsilon : float
        Greatest length of the change, as a share of the length of the embeddings of all words of
        the text.
    n_steps : int, default=1
        One is the fast gradient method (FGM), more are projected gradient descent (PGD).

    Returns
    -------
    Tensor of float, shape (n_texts, n_tokens, width)
        Without a graph.
    """
    embeddings = module.embed(batch["input_ids"]).detach()
    moved = ~batch["special"].unsqueeze(2)
    radius = epsilon * _length(embeddings * moved)
    change = torch.zeros_like(embeddings)
    for _ in range(n_steps):
        point = (embeddings + change).requires_grad_()
        with torch.enable_grad():
            logits = module(attention_mask=batch["attention_mask"], inputs_embeds=point)
            loss = criterion(logits.float(), classes).sum()
            (slope,) = torch.autograd.grad(loss, point)
        # Steps of this length reach the far side of the ball; one step is cut to its radius.
        change = change + 2.5 / n_steps * _resize(slope * moved, radius)
        change = _resize(change, torch.minimum(radius, _length(change)))
    return change


def _length(vectors: Tensor) -> Tensor:
    """Euclidean norm of all that belongs to a text, shape (n_texts, 1, 1)."""
    return vectors.square().sum(dim=(1, 2), keepdim=True).sqrt()


def _resize(vectors: Tensor, length: Tensor) -> Tensor:
    """Bring all that belongs to a text to a length; zeros stay zeros."""
    least = torch.finfo(vectors.dtype).tiny
    # Dividing by the largest entry first keeps the squares of tiny slopes from underflowing.
    vectors = vectors / vectors.abs().amax(dim=(1, 2), keepdim=True).clamp(min=least)
    return vectors / _length(vectors).clamp(min=least) * length


def _squared_error(changed: Tensor, wanted: Tensor, there: Tensor) -> Tensor:
    """Squared error of each text's words, both sides brought to unit length; (n_texts,)."""
    found = normalize_scores(changed, there, "l2")
    return (found - normalize_scores(wanted, there, "l2")).square().sum(dim=1)
