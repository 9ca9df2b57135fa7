"""The three public data sets, and whose keywords attack which of their classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from skcap import CAPPriorTransformer
from skcap.adversarial import class_keywords, class_overlap, hard_targets
from skcap.datasets import load_banking77, load_clinc150, load_hwu64

# Scripts that are started without make find the files beside the checkout too.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("SKCAP_DATA", str(_BESIDE))

LOADERS = {"hwu64": load_hwu64, "banking77": load_banking77, "clinc150": load_clinc150}
N_TARGETS = {"hwu64": 1, "banking77": 2, "clinc150": 3}  # as in the paper


def keywords_and_targets(
    X: list[str], y: np.ndarray, n_targets: int, prior: CAPPriorTransformer
) -> tuple[dict[Any, dict[str, float]], dict[Any, list[Any]]]:
    """Aggregate priors into keywords of each class, and choose the hardest targets by them."""
    keywords = class_keywords(prior.fit_transform(X, y), y)
    return keywords, hard_targets(class_overlap(keywords), n_targets)
