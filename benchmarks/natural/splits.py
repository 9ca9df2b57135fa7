"""A fifth of labelled texts held out, with the same classes on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split


def hold_out_fifth(
    X: Any, y: Any, seed: int
) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """Split texts by class; give both parts' texts, then both parts' labels.

    A class of one text stays in the larger part.
    """
    X, y = np.asarray(X, dtype=object), np.asarray(y)
    rare = np.isin(y, [label for label in np.unique(y) if np.sum(y == label) < 2])
    own, held, y_own, y_held = train_test_split(
        X[~rare], y[~rare], test_size=0.2, stratify=y[~rare], random_state=seed
    )
    return [*own, *X[rare]], list(held), np.append(y_own, y[rare]), y_held
