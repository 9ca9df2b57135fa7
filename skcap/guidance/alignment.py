"""The paper's guidance: the model's own attribution should agree with the prior."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from skcap.attribution import BASELINES, PATHS, attribute_words
from skcap.guidance.base import BaseGuidance, Step, Task
from skcap.guidance.explaining import find_baseline
from skcap.utils.norms import NORMS, normalize_scores
from skcap.utils.validation import StrOptions, integer

__all__ = ["AlignmentGuidance"]

_TOKEN_COLUMNS = ("input_ids", "attention_mask", "special", "word_ids")


class AlignmentGuidance(BaseGuidance):
    """Mean squared error between the prior and the model's own attribution (the paper, 4.3).

    The model's own attribution is integrated gradients of the true class's logit, summed into
    words. Both sides are brought to the same norm, text by text.

    Parameters
    ----------
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        Norm of priors and attributions, see :func:`skcap.utils.norms.normalize_scores`. The
        default keeps signs, and bounds the error of a text however long it is.
    n_steps : int, default=1
        Points on the path of integrated gradients in each training step; cost grows with it.
    path : {"gausslegendre", "random"}, default="random"
        Where these points lie: drawn anew in each step, which is unbiased, but far off in each
        step if there are few; or at the fixed nodes of a quadrature, for one point the middle of
        the path. A model can learn to have gradients at fixed nodes that please the prior and
        others elsewhere, so that its explanations no longer say what it goes by: use eight nodes
        or so.
    baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for every token at the start of the path: the embedding of the padding or
        mask token, or zeros. Try "mask" where "pad" is an all-zero embedding.

    Examples
    --------
    >>> from skcap import GuidedTextClassifier
    >>> from skcap.guidance import AlignmentGuidance
    >>> GuidedTextClassifier(guidance=AlignmentGuidance(n_steps=4), beta=0.5)
    GuidedTextClassifier(beta=0.5, guidance=AlignmentGuidance(n_steps=4))
    """

    parts = ("alignment",)
    _parameter_constraints = {
        "normalize": [StrOptions({norm for norm in NORMS if norm}), None],
        "n_steps": [integer(1)],
        "path": [StrOptions(set(PATHS))],
        "baseline": [StrOptions(set(BASELINES))],
    }

    def __init__(
        self,
        *,
        normalize: str | None = "l2",
        n_steps: int = 1,
        path: str = "random",
        baseline: str = "pad",
    ) -> None:
        self.normalize = normalize
        self.n_steps = n_steps
        self.path = path
        self.baseline = baseline

    @property
    def needs_prior(self) -> bool:
        """Whether it can only be used with a PriorMatrix that has scores: yes."""
        return True

    def prepare(self, task: Task) -> Mapping[str, Sequence[np.ndarray]]:
        """Look up the baseline, and warn where a path from it would be flat."""
        self.baseline_token_ = find_baseline(task, self)
        return {}

    def losses(self, step: Step) -> Iterator[tuple[str, Tensor]]:
        """Yield the alignment loss of a batch in parts that add up to it.

        The graph of attributions that are differentiated again takes about three times the memory
        of a plain forward pass, so no part has more rows, texts times points, than half a batch.
        """
        batch = step.batch
        supervised = ~batch["prior"].isnan()
        n_words = supervised.sum(dim=1)
        lengths = batch["attention_mask"].sum(dim=1)
        rows = lengths.argsort(stable=True)  # so that parts have less padding than the batch
        rows = rows[supervised.any(dim=1)[rows]]
        # Errors are averaged over the words of the supervised texts; texts without supervision
        # count as zero, so that a lone supervised text is not made to count for its whole batch.
        # Words are counted over all processes, since parts of a batch need not have as many each.
        counts = batch["weight"].new_tensor([len(rows), int(n_words.sum())])
        n_rows, n_all_words = step.average(counts)
        scale = n_rows / (len(lengths) * n_all_words)
        for part in rows.split(max(1, math.ceil(len(lengths) / 2) // self.n_steps)):
            if len(part):
                errors = self._errors(step, part, int(lengths[part].max()))
                yield "alignment", (errors * batch["weight"][part]).sum() * scale

    def _errors(self, step: Step, rows: Tensor, longest: int) -> Tensor:
        """Squared errors of some texts, summed over their words; shape (n_rows,)."""
        own: dict[str, Any] = {name: column[rows] for name, column in step.batch.items()}
        for name in _TOKEN_COLUMNS:
            own[name] = own[name][:, :longest]
        prior = own["prior"]
        supervised = ~prior.isnan()
        attribution = attribute_words(
            step.module,
            own,
            step.classes[rows],
            n_words=prior.shape[1],
            n_steps=self.n_steps,
            path=self.path,
            baseline_token=self.baseline_token_,
            create_graph=True,
        )
        wanted = normalize_scores(prior, supervised, self.normalize)
        found = normalize_scores(attribution, supervised, self.normalize)
        return (wanted - found).square().sum(dim=1)
