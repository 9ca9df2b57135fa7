"""The skorch net under GuidedTextClassifier: cross-entropy plus beta times the alignment loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import ConcatDataset

from skcap.attribution import attribute_words
from skcap.classifier.encoder import TOKEN_COLUMNS, TextDataset
from skcap.classifier.head import probe_head
from skcap.guidance.distractors import add_distractors
from skcap.guidance.rationale_words import keep_words, leave_words
from skcap.utils.norms import alignment_loss, normalize_scores

__all__ = ["BETA_SCHEDULES", "GUIDANCE", "Guidance", "GuidedNet", "WarmupDecay"]

#: What ``guidance`` parameters accept, and what each adds to the loss, by its name in the history.
GUIDANCE = {
    "alignment": ("train_alignment",),
    "distraction": ("train_distracted",),
    "both": ("train_alignment", "train_distracted"),
    "rationale": ("train_rationale", "train_complement"),
}

#: What ``beta_schedule`` accepts: what is used of beta, by the share of the training that is over.
BETA_SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "rise": lambda progress: progress,
    "fall": lambda progress: 1 - progress,
}


@dataclass(frozen=True)
class Guidance:
    """What priors teach in training, how, and how much that counts."""

    kind: str  # of GUIDANCE
    beta: float
    beta_schedule: str  # of BETA_SCHEDULES
    alignment_loss: str
    normalize: str | None
    n_steps: int
    path: str
    baseline_token: int | None
    output: str
    limit: float | None
    n_distractors: int
    share: float
    complement_weight: float

    @property
    def measures(self) -> tuple[str, ...]:
        """What it adds to the loss, by its name in the history."""
        unused = () if self.complement_weight else ("train_complement",)
        return tuple(name for name in GUIDANCE[self.kind] if name not in unused)

    def beta_at(self, progress: float) -> float:
        """Weight at a share of the training that is over, from 0 to 1."""
        return self.beta * BETA_SCHEDULES[self.beta_schedule](progress)


class GuidedNet(NeuralNetClassifier):
    """A net over batches of :class:`skcap.classifier.encoder.PadCollate`.

    The training loss is the weighted cross-entropy plus beta times what guides it: the alignment
    loss, the cross-entropy of distracted texts, both, or the cross-entropy of rationales and what
    the words outside of them tell. The validation loss is the cross-entropy alone. The history has
    the parts by batch, as ``train_ce`` and the names in `GUIDANCE`.

    Parameters
    ----------
    guidance : Guidance or None, default=None
        None computes no attributions.
    amp : bool, default=False
        Compute in bfloat16 where that is safe.
    head_init : {"probe", "random"}, default="probe"
        Where the head starts from, see :func:`skcap.classifier.head.probe_head`.
    names : TextDataset or None, default=None
        Texts that are learnt besides those given and never held out: the names of the labels.
    *args, **kwargs
        Those of ``skorch.NeuralNetClassifier``. The criterion must not reduce.
    """

    def __init__(
        self,
        *args: Any,
        guidance: Guidance | None = None,
        amp: bool = False,
        head_init: str = "probe",
        names: TextDataset | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.guidance = guidance
        self.amp = amp
        self.head_init = head_init
        self.names = names

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split off what is held out, and start the head from the rest alone."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        if self.names is not None:
            train = ConcatDataset([train, self.names])
        if self.head_init == "probe":
            probe_head(self, train)
        return train, valid

    def _autocast(self) -> AbstractContextManager[None]:
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.amp)

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Tensor:
        """Compute the logits of a batch, shape (n_texts, n_classes)."""
        batch = to_tensor(x, device=self.device)
        return self._logits(batch["input_ids"], batch["attention_mask"])

    def get_loss(
        self, y_pred: Tensor, y_true: Tensor, X: Any = None, training: bool = False
    ) -> Tensor:
        """Compute the cross-entropy of a batch, shape ()."""
        weight = to_tensor(X["weight"], device=self.device)
        classes = to_tensor(y_true, device=self.device)
        # Weights have mean one over the training set, so the mean over batches is unbiased.
        loss = (self.criterion_(y_pred, classes) * weight).mean()
        if training:
            self.history.record_batch("train_ce", loss.item())
        return loss

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Add the gradients of a batch's cross-entropy, then those of what its priors say.

        One after the other: the graph of each part is gone when the next is built.
        """
        step = super().train_step_single(batch, **fit_params)
        if self.guidance is None:
            return step
        inputs, classes = to_tensor(unpack_data(batch), device=self.device)
        total = step["loss"].detach()
        # The middle of this epoch's place among all epochs; further fits stay at the end.
        over = min(1.0, (len(self.history) - 0.5) / self.max_epochs)
        beta = self.guidance.beta_at(over)
        for name in self.guidance.measures:
            limit = None
            if name == "train_alignment":
                parts, limit = self._alignment(inputs, classes, self.guidance), self.guidance.limit
            elif name == "train_distracted":
                parts = iter([self._distracted(inputs, classes, step["y_pred"], self.guidance)])
            elif name == "train_rationale":
                parts = iter([self._by_rationale(inputs, classes, self.guidance)])
            else:
                parts = iter([self._by_complement(inputs, self.guidance)])
            loss = torch.zeros_like(total)
            with self._limited(limit):
                for part in parts:
                    loss = loss + part.detach()
                    if part.requires_grad:  # not if the batch has nothing to learn from here
                        (beta * part).backward()
            self.history.record_batch(name, loss.item())
            total = total + beta * loss
        return {**step, "loss": total}

    @contextmanager
    def _limited(self, limit: float | None) -> Iterator[None]:
        """Add the gradients made inside, no larger than `limit` times those that are there."""
        if limit is None:
            yield
            return
        parameters = [p for p in self.module_.parameters() if p.requires_grad]
        most = limit * float(clip_grad_norm_(parameters, math.inf))  # clips nothing, and measures
        own = [p.grad for p in parameters]
        for parameter in parameters:
            parameter.grad = None
        yield
        clip_grad_norm_(parameters, most)
        for parameter, gradient in zip(parameters, own, strict=True):
            if parameter.grad is None:
                parameter.grad = gradient
            elif gradient is not None:
                parameter.grad += gradient

    def _distracted(
        self, batch: dict[str, Tensor], classes: Tensor, logits: Tensor, how: Guidance
    ) -> Tensor:
        """Compute the cross-entropy of the texts with words of other classes put in."""
        ids, mask, rows = add_distractors(
            batch, classes, logits, how.n_distractors, self.module_.max_tokens
        )
        return self._cross_entropy_of(ids, mask, classes[rows], batch["weight"][rows])

    def _by_rationale(self, batch: dict[str, Tensor], classes: Tensor, how: Guidance) -> Tensor:
        """Compute the cross-entropy of the texts with only the words that their prior favours."""
        mask, rows = keep_words(batch, how.share)
        return self._cross_entropy_of(
            batch["input_ids"][rows], mask, classes[rows], batch["weight"][rows]
        )

    def _by_complement(self, batch: dict[str, Tensor], how: Guidance) -> Tensor:
        """Compute what the texts without their rationales tell of the class.

        That is the divergence of the model's probabilities from all classes being as likely.
        """
        mask, rows = leave_words(batch, how.share)
        if not len(rows):
            return batch["weight"].new_zeros(())
        log_p = self._logits(batch["input_ids"][rows], mask).log_softmax(dim=1)
        told = -log_p.mean(dim=1) - math.log(log_p.shape[1])
        return how.complement_weight * (told * batch["weight"][rows]).mean()

    def _cross_entropy_of(
        self, ids: Tensor, mask: Tensor, classes: Tensor, weight: Tensor
    ) -> Tensor:
        if not len(ids):
            return weight.new_zeros(())
        return (self.criterion_(self._logits(ids, mask), classes) * weight).mean()

    def _logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        with self._autocast():
            logits = self.module_(ids, mask)
        return logits.float()

    def _alignment(
        self, batch: dict[str, Tensor], classes: Tensor, how: Guidance
    ) -> Iterator[Tensor]:
        """Yield the alignment loss of a batch in parts that add up to it.

        The graph of attributions that are differentiated again takes about three times the memory
        of a plain forward pass, so no part has more rows, texts times points, than half a batch.
        """
        supervised = ~batch["prior"].isnan()
        lengths = batch["attention_mask"].sum(dim=1)
        rows = lengths.argsort(stable=True)  # so that parts have less padding than the batch
        rows = rows[supervised.any(dim=1)[rows]]
        counts = (supervised * batch["weight"].unsqueeze(1)).sum(dim=1)
        texts = max(1, math.ceil(len(classes) / 2) // how.n_steps)
        for part in rows.split(texts) if len(rows) else ():
            own = {name: column[part] for name, column in batch.items()}
            for name in TOKEN_COLUMNS:
                own[name] = own[name][:, : int(lengths[part].max())]
            loss = self._alignment_of(own, classes[part], supervised[part], how)
            # Where all weights are zero, all losses are.
            yield loss * counts[part].sum() / counts.sum().clamp(min=torch.finfo(counts.dtype).tiny)

    def _alignment_of(
        self, batch: dict[str, Tensor], classes: Tensor, supervised: Tensor, how: Guidance
    ) -> Tensor:
        prior = batch["prior"]
        with self._autocast():
            attribution = attribute_words(
                self.module_,
                batch,
                classes,
                n_words=prior.shape[1],
                n_steps=how.n_steps,
                path=how.path,
                baseline_token=how.baseline_token,
                output=how.output,
                create_graph=True,
            )
        return alignment_loss(
            normalize_scores(prior, supervised, how.normalize),
            normalize_scores(attribution, supervised, how.normalize),
            supervised,
            batch["weight"],
            how.alignment_loss,
        )


class WarmupDecay(Callback):
    """Learning rates that rise linearly from 0 and then fall linearly to 0, step by step."""

    def __init__(self, warmup: float) -> None:
        self.warmup = warmup

    def on_train_begin(self, net: GuidedNet, *args: Any, **kwargs: Any) -> None:
        """Note the peak rates."""
        self.step_, self.n_steps_ = 0, 0
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_epoch_begin(self, net: GuidedNet, dataset_train: Any = None, **kwargs: Any) -> None:
        """Count the steps to come, once the validation texts are split off."""
        if not self.n_steps_:
            batches = len(net.get_iterator(dataset_train, training=True))
            self.n_steps_ = net.max_epochs * batches

    def on_batch_begin(self, net: GuidedNet, training: bool = False, **kwargs: Any) -> None:
        """Set the rates of the step to come."""
        if not training:
            return
        rising = round(self.warmup * self.n_steps_)
        up = (self.step_ + 1) / max(rising, 1)
        down = (self.n_steps_ - self.step_) / max(self.n_steps_ - rising, 1)
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = rate * min(up, down, 1)
        self.step_ += 1
