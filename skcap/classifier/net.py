"""The skorch net under GuidedTextClassifier: cross-entropy, plus what guidance adds to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor
from torch.utils.data import ConcatDataset

from skcap.classifier.batches import TextDataset
from skcap.classifier.head import probe_head
from skcap.classifier.parallel import find_team
from skcap.guidance import BaseGuidance, Step

__all__ = ["GuidedNet"]


class GuidedNet(NeuralNetClassifier):
    """A net over batches of :class:`skcap.classifier.batches.PadCollate`.

    The training loss is the weighted cross-entropy plus `beta` times what each guidance yields.
    The validation loss is the cross-entropy alone. The history has the parts by batch, as
    ``train_ce`` and ``train_<name>`` for each name in the `parts` of a guidance.

    Parameters
    ----------
    guidance : sequence of BaseGuidance, default=()
        Prepared. Empty, nothing but the cross-entropy is computed.
    beta : float, default=1.0
        Weight of the losses of all guidance.
    amp : bool, default=False
        Compute in bfloat16 where that is safe.
    head_init : {"probe", "random"}, default="probe"
        Where the head starts from, see :func:`skcap.classifier.head.probe_head`.
    max_length : int, default=10**9
        Most tokens of a text; what guidance changes must keep to it.
    names : TextDataset or None, default=None
        Texts that are learned besides those given and never held out: the label names. Their
        weights are relative to the mean weight of the others.
    *args, **kwargs
        Those of ``skorch.NeuralNetClassifier``. The criterion must not reduce.
    """

    def __init__(
        self,
        *args: Any,
        guidance: Sequence[BaseGuidance] = (),
        beta: float = 1.0,
        amp: bool = False,
        head_init: str = "probe",
        max_length: int = 10**9,
        names: TextDataset | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.guidance = guidance
        self.beta = beta
        self.amp = amp
        self.head_init = head_init
        self.max_length = max_length
        self.names = names

    is_training_ = False

    def initialize(self) -> GuidedNet:
        """Make everything anew; the head is probed when training next begins."""
        super().initialize()
        self.head_is_set_ = self.head_init != "probe"
        return self

    def load_params(self, *args: Any, **kwargs: Any) -> None:
        """Load what was saved; a head that comes from there is not probed anew."""
        if not self.initialized_:
            self.initialize()
        before = self.module_.head.weight.detach().clone()
        super().load_params(*args, **kwargs)
        if not torch.equal(before, self.module_.head.weight):  # it may have been the history alone
            self.head_is_set_ = True

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Train on. Unlike in skorch, an interrupt by the user leaves as KeyboardInterrupt."""
        if not self.initialized_:
            self.initialize()
        fit_params.pop("_routing_method", None)
        self.team_ = find_team()
        self.is_training_ = True
        try:
            self.notify("on_train_begin", X=X, y=y)
            self._fit_until_stopped(X, y, **fit_params)
            self.notify("on_train_end", X=X, y=y)
        finally:
            self.is_training_ = False
        return self

    def _fit_until_stopped(self, X: Any, y: Any, **fit_params: Any) -> None:
        try:
            self.fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            if not self._stopped_early():
                raise

    def _stopped_early(self) -> bool:
        """Tell whether it was an EarlyStopping that raised KeyboardInterrupt, its way to stop."""
        callbacks = [callback for _, callback in self.callbacks_]
        early = [callback for callback in callbacks if isinstance(callback, EarlyStopping)]
        return any(callback.misses_ == callback.patience for callback in early)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Make a loader; one that predicts leaves the process's generators alone.

        A loader draws a number in each pass, whether it shuffles or not. Threads may predict at the
        same time, so these must not seed a generator that they share.
        """
        loader = super().get_iterator(dataset, training=training)
        has_none = getattr(loader, "generator", loader) is None  # a user's own may not know it
        if not self.is_training_ and has_none:
            loader.generator = torch.Generator()
        return loader

    def get_split_datasets(self, X: Any, y: Any = None, **fit_params: Any) -> tuple[Any, Any]:
        """Split off what is held out; add label names; probe the head, once, on the rest."""
        train, valid = super().get_split_datasets(X, y, **fit_params)
        self.mean_weight_ = 1.0
        weights = weights_of(train)
        if self.names is not None:
            scaled = self.names.scaled(weights.mean())
            train, weights = ConcatDataset([train, scaled]), np.append(weights, scaled.weights)
        self._check_rows(len(X), train)
        self.mean_weight_ = float(weights.mean())
        if not self.head_is_set_:
            probe_head(self, train)
            self.head_is_set_ = True
        return train, valid

    def _check_rows(self, n_texts: int, train: Any) -> None:
        """Refuse loaders that would leave out rows without a word, or all of them."""
        options = self.get_params_for("iterator_train")
        if options.get("sampler") is not None and len(train) != n_texts:
            raise ValueError(
                f"iterator_train__sampler draws from the {n_texts} texts of X, but training has "
                f"{len(train)} rows: train_split holds texts out, and label names are further "
                "texts. Pass train_split=None and label_weight=0, or leave the sampler out."
            )
        if options.get("drop_last") and not len(self.get_iterator(train, training=True)):
            raise ValueError(
                f"iterator_train__drop_last=True leaves out the only batch: there are {len(train)} "
                f"texts for a batch of {options.get('batch_size', self.batch_size)}. Pass a "
                "smaller batch_size, or leave drop_last out."
            )

    def run_single_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Train or validate once; processes that train together go through the same batches."""
        self.team_.share_seed()
        super().run_single_epoch(*args, **kwargs)

    def changed(self, step: Step) -> Step:
        """Give the batch as guidance changes it: what is really learned."""
        for guidance in self.guidance:
            step = replace(step, batch=guidance.change(step))
        return step

    def step_of(self, batch: Any) -> Step:
        """Make what guidance sees of a training batch."""
        inputs, classes = to_tensor(unpack_data(batch), device=self.device)
        # Weights have mean one over what is trained, so that the mean over batches is unbiased.
        inputs = {**inputs, "weight": inputs["weight"] / self.mean_weight_}
        # The middle of this epoch's place among all epochs; further fits stay at the end.
        over = min(1.0, max(0.0, len(self.history) - 0.5) / self.max_epochs)
        return Step(
            module=self.module_,
            batch=inputs,
            classes=classes,
            criterion=self.criterion_,
            progress=over,
            average=self.team_.mean,
            max_length=self.max_length,
        )

    def _autocast(self) -> AbstractContextManager[None]:
        kind = torch.device(self.device).type
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.amp)

    def infer(self, x: Mapping[str, Tensor], **fit_params: Any) -> Tensor:
        """Compute the logits of a batch, shape (n_texts, n_classes)."""
        batch = to_tensor(x, device=self.device)
        with self._autocast():
            logits = self.module_(batch["input_ids"], batch["attention_mask"])
        return logits.float()

    def get_loss(
        self, y_pred: Tensor, y_true: Tensor, X: Any = None, training: bool = False
    ) -> Tensor:
        """Compute the cross-entropy of a batch, shape ()."""
        weight = to_tensor(X["weight"], device=self.device)
        classes = to_tensor(y_true, device=self.device)
        return (self.criterion_(y_pred, classes) * weight).mean()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Add the gradients of a batch's cross-entropy, then those of what guidance yields.

        One after the other: the graph of each part is gone when the next is built.
        """
        whole = self.step_of(batch)
        own, classes = self.team_.part_of(whole.batch, whole.classes)
        seen = self.changed(replace(whole, batch=own, classes=classes))
        step = super().train_step_single((seen.batch, seen.classes), **fit_params)
        sums = {name: 0.0 for guidance in self.guidance for name in guidance.parts}
        for guidance in self.guidance:
            for name, part in self._parts(guidance, seen):
                if part.requires_grad:  # not if the batch has nothing to learn from here
                    (self.beta * part).backward()
                sums[name] += part.item()
        self.team_.average_gradients(self.module_.parameters())
        ce, *parts = self.team_.mean(torch.tensor([step["loss"].item(), *sums.values()])).tolist()
        self.history.record_batch("train_ce", ce)
        for name, value in zip(sums, parts, strict=True):
            self.history.record_batch(f"train_{name}", value)
        return {**step, "loss": torch.tensor(ce + self.beta * sum(parts))}

    def _parts(self, guidance: BaseGuidance, seen: Step) -> Iterator[tuple[str, Tensor]]:
        """Give the losses of a guidance, computed in the precision that is asked for."""
        parts = guidance.losses(seen)
        while True:
            with self._autocast():  # for what is computed, not for the backward pass in between
                part = next(parts, None)
            if part is None:
                return
            if part[0] not in guidance.parts:
                raise ValueError(
                    f"{type(guidance).__name__} yields a loss named {part[0]!r}, which is not "
                    f"among its parts, {guidance.parts}. Add it to the class attribute `parts`."
                )
            yield part


def weights_of(dataset: Any) -> np.ndarray:
    """Collect the weights of a TextDataset or of a subset of one."""
    if isinstance(dataset, TextDataset):
        return np.asarray(dataset.weights)
    return np.array([dataset[row][0]["weight"] for row in range(len(dataset))])
