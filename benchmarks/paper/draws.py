"""Draws of training texts, what is held out for choices, and the test split."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from benchmarks._intents import LOADERS, loader_of
from benchmarks.paper.settings import N_VALID


@dataclass(frozen=True)
class Draw:
    """Training texts and texts to evaluate on; `pool` is all training texts, for the oracle."""

    X: list[str]
    y: np.ndarray
    X_eval: list[str]
    y_eval: np.ndarray
    X_pool: list[str]
    y_pool: np.ndarray

    @property
    def data_hash(self) -> str:
        """Tell data apart: 16 digits of a hash of all that a run is trained and tested on."""
        rows = [*zip(self.X, self.y, strict=True), *zip(self.X_eval, self.y_eval, strict=True)]
        return hashlib.sha256("\n".join(f"{t}\t{label}" for t, label in rows).encode()).hexdigest()[
            :16
        ]


def make_draw(dataset: str, shots: int | None, seed: int, split: str) -> Draw:
    """Draw training texts.

    Seed 0 is the published 5-shot draw, where there is one, any other (or another number of shots)
    a draw of our own; no `shots` takes all training texts. `split` is "test", or "valid" for
    `N_VALID` training texts that are not in the draw, the same for all draws as far as they can be;
    of all training texts they are taken out.
    """
    load = loader_of(dataset)
    X_pool, y_pool = load("train")
    if shots is None:
        X, y = X_pool, y_pool
    elif shots == 5 and seed == 0 and dataset in LOADERS:
        X, y = load("train", shots="published")
    else:
        X, y = load("train", shots=shots, random_state=seed)
    if split == "test":
        X_eval, y_eval = load("test")
    else:
        X_eval, y_eval = _held_out(X_pool, y_pool, [] if shots is None else X)
        if shots is None:
            left = ~np.isin([text.lower() for text in X], [text.lower() for text in X_eval])
            X, y = np.asarray(X, dtype=object)[left].tolist(), np.asarray(y)[left]
    return Draw(list(X), np.asarray(y), X_eval, y_eval, list(X_pool), np.asarray(y_pool))


def _held_out(X: list[str], y: np.ndarray, drawn: list[str]) -> tuple[list[str], np.ndarray]:
    taken = {text.lower() for text in drawn}
    order = np.random.default_rng(0).permutation(len(X))
    rows = [row for row in order if X[row].lower() not in taken][:N_VALID]
    if not rows:
        raise ValueError("All training texts are drawn: there is none to make choices on.")
    return [X[row] for row in rows], np.asarray(y)[rows]
