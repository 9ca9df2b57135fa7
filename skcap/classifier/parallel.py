"""Training by several processes at once, one per device: each takes a part of every batch."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

__all__ = ["ALONE", "Team", "find_team"]


@dataclass(frozen=True)
class Team:
    """The processes that train one model, and this one's place among them.

    All of them hold all texts, draw the same batches and keep equal weights. Losses are means over
    a batch, so that gradients averaged over the processes are those of the whole batch.

    Attributes
    ----------
    rank : int
        Place of this process, from 0.
    size : int
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    def part_of(
        self, batch: Mapping[str, Tensor], classes: Tensor
    ) -> tuple[Mapping[str, Tensor], Tensor]:
        """Take this process's texts of a batch, with weights that make up for uneven parts.

        A process for which no text is left takes one with weight 0, and no values by word.
        """
        if self.size == 1:
            return batch, classes
        n_texts = len(classes)
        rows = torch.arange(n_texts, device=classes.device)[self.rank :: self.size]
        if not len(rows):
            own = {name: _without_values(values[:1]) for name, values in batch.items()}
            return {**own, "weight": batch["weight"].new_zeros(1)}, classes[:1]
        own = {name: values[rows] for name, values in batch.items()}
        scale = len(rows) * self.size / n_texts
        return {**own, "weight": own["weight"] * scale}, classes[rows]

    def mean(self, values: Tensor) -> Tensor:
        """Average values over the processes; all of them must ask."""
        if self.size == 1:
            return values
        summed = _sendable(values.detach().clone())
        distributed.all_reduce(summed)
        return (summed / self.size).to(values.device)

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Average gradients over the processes, in place."""
        if self.size == 1:
            return
        learned = [parameter for parameter in parameters if parameter.requires_grad]
        slopes = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
        together = self.mean(torch.cat([slope.flatten() for slope in slopes]))
        parts = together.split([slope.numel() for slope in slopes])
        for parameter, part in zip(learned, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def share_seed(self) -> None:
        """Have all processes draw the same from here on, as the order of the texts."""
        if self.size > 1:
            drawn = _sendable(torch.randint(2**31 - 1, ()))
            distributed.broadcast(drawn, 0)
            torch.manual_seed(int(drawn))


def _without_values(values: Tensor) -> Tensor:
    """Take away what is said of words; tokens and their places stay."""
    return torch.full_like(values, torch.nan) if values.is_floating_point() else values


def _sendable(values: Tensor) -> Tensor:
    """Put a tensor where the processes can send it: NCCL takes none from the CPU."""
    return values.cuda() if distributed.get_backend() == "nccl" else values


ALONE = Team()


def find_team() -> Team:
    """Find the processes that this one was started with, by torchrun or ``accelerate launch``.

    Returns
    -------
    Team
        Of one, where a process was started by itself.

    Raises
    ------
    ImportError
        If processes were started together, but accelerate is missing.
    """
    if not distributed.is_available():
        return ALONE
    if not distributed.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return ALONE
        _join()
    return Team(distributed.get_rank(), distributed.get_world_size())


def _join() -> None:
    """Join the others, on the devices that accelerate gives out."""
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise ImportError(
            "Several processes were started to train together, which needs accelerate: "
            "pip install accelerate."
        ) from error
    PartialState(cpu=not torch.cuda.is_available())
    atexit.register(_leave)


def _leave() -> None:
    """Take leave of the others: threads that still serve them can end the process in an error."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
