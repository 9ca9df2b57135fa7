"""Seeds: from content, from scikit-learn's `random_state`, and for torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["content_seed", "draw_seed", "seeded"]


def content_seed(random_state: int, *content: str) -> int:
    """Derive a seed from what a text *is*, so that neither its row nor its neighbours matter.

    Parameters
    ----------
    random_state : int
    *content : str
        The text, its label, and whatever else tells two requests apart.

    Returns
    -------
    int
        In the range of unsigned 64-bit integers, the same in every process.
    """
    digest = hashlib.sha256(str(random_state).encode())
    for part in content:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return int.from_bytes(digest.digest()[:8], "little")


def draw_seed(random_state: Any) -> int:
    """Take one integer from whatever scikit-learn accepts as `random_state`.

    Parameters
    ----------
    random_state : int, RandomState or None
        An int is given back as it is.

    Returns
    -------
    int
    """
    if isinstance(random_state, int | np.integer) and not isinstance(random_state, bool):
        return int(random_state)
    from sklearn.utils import check_random_state

    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's generators for a while, and leave them as they were before.

    Even a data loader that does not shuffle draws from torch's global generator.
    """
    import torch

    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not torch.manual_seed, which would also reset the devices that are not restored.
        torch.default_generator.manual_seed(seed)
        for gpu in devices:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
