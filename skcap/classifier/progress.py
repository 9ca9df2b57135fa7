"""Progress of training, counted in texts over all epochs."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from skcap.utils.progress import show_progress

__all__ = ["TrainingProgress"]


class TrainingProgress(Callback):
    """Show on stderr how much of the training is done, where it takes more than two seconds."""

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        """Forget an earlier training, which may have ended in an error."""
        self.shown_: Any = None

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Any = None, **kwargs: Any) -> None:
        """Count the texts to come, once the validation texts are split off."""
        if self.shown_ is None:
            n_texts = net.max_epochs * len(dataset_train)
            self.shown_ = show_progress(n_texts, "training", "text", verbose=1)

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Count the texts of a step."""
        if training:
            self.shown_.update(len(batch[1]))

    def on_train_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        """End the bar, which does not pickle."""
        if self.shown_ is not None:
            self.shown_.__exit__(None, None, None)
        self.shown_ = None
