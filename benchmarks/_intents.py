"""Data sets by name, and whose keywords attack which of their classes.

A name is one of `LOADERS`, or that of a folder of yours: put ``train.csv`` and ``test.csv`` with
the header ``text,label`` into ``$SKCAP_DATA/<name>/``, and every script that takes ``--datasets``
runs on them as it does on the others.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skcap import CAPPriorTransformer
from skcap.adversarial import class_keywords, class_overlap, hard_targets
from skcap.datasets import load_banking77, load_clinc150, load_hwu64
from skcap.datasets.bunch import choose_rows
from skcap.datasets.files import find_folder, read_files

# Scripts that are started without make find the files beside the checkout too.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("SKCAP_DATA", str(_BESIDE))

LOADERS = {"hwu64": load_hwu64, "banking77": load_banking77, "clinc150": load_clinc150}
N_TARGETS = {"hwu64": 1, "banking77": 2, "clinc150": 3}  # as in the paper


def loader_of(dataset: str) -> Callable[..., Any]:
    """Give the loader of a data set: takes "train" or "test", and gives texts and labels."""
    if dataset in LOADERS:
        return partial(LOADERS[dataset], return_X_y=True)
    return partial(_load_folder, dataset)


def dataset_name(name: str) -> str:
    """Check the name of a data set, as argparse's `type`."""
    return check_name(name, LOADERS, name)


def check_name(name: str, known: Iterable[str], folder: str) -> str:
    """Check that a name is known, or that there is the folder of a user's own which it means."""
    home = os.environ.get("SKCAP_DATA")
    parts = [Path(home, folder, file) for file in ("train.csv", "test.csv")] if home else []
    if name not in known and not (parts and all(part.is_file() for part in parts)):
        raise argparse.ArgumentTypeError(
            f"{name!r} is neither one of {', '.join(known)}, nor a folder in SKCAP_DATA with "
            "train.csv and test.csv (header text,label)"
        )
    return name


def _load_folder(
    name: str, subset: str, *, shots: int | None = None, random_state: int = 0
) -> tuple[list[str], np.ndarray]:
    folder = find_folder(name, None)
    rows = read_files(folder, [f"{subset}.csv"]) if folder else []
    chosen = choose_rows(rows, shots, random_state, {label for _, label in rows})
    return [text for text, _ in chosen], np.array([label for _, label in chosen])


def keywords_and_targets(
    X: list[str], y: np.ndarray, n_targets: int, prior: CAPPriorTransformer
) -> tuple[dict[Any, dict[str, float]], dict[Any, list[Any]]]:
    """Aggregate priors into keywords of each class, and choose the hardest targets by them."""
    keywords = class_keywords(prior.fit_transform(X, y), y)
    return keywords, hard_targets(class_overlap(keywords), n_targets)
