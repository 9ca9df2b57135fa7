"""The learning rates over a training: warm-up, then linear decay."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

__all__ = ["WarmupDecay"]


class WarmupDecay(Callback):
    """Learning rates that rise linearly from 0 and then fall linearly to 0, step by step.

    Parameters
    ----------
    warmup : float, from 0 to 1
        Share of the steps in which the rates rise.
    """

    def __init__(self, warmup: float) -> None:
        self.warmup = warmup

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        """Note the peak rates."""
        self.step_, self.n_steps_ = 0, 0
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        """Count the steps to come, once the validation texts are split off."""
        if not self.n_steps_:
            batches = len(net.get_iterator(dataset_train, training=True))
            self.n_steps_ = net.max_epochs * batches

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the rates of the step to come."""
        if not training:
            return
        rising = round(self.warmup * self.n_steps_)
        up = (self.step_ + 1) / max(rising, 1)
        down = (self.n_steps_ - self.step_) / max(self.n_steps_ - rising, 1)
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = rate * min(up, down, 1)
        self.step_ += 1
