"""What a trained model withstands, and whether it needs the words that it says it goes by.

Attacked texts are test texts with a keyword of another class added, or put in place of one of
their own. Keywords are the training texts' own, by CAP, the same for all methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks._intents import keywords_and_targets
from benchmarks.natural.sets import TextSet
from benchmarks.paper.cell import faithfulness
from benchmarks.paper.teachers import make_source
from skcap.adversarial import AdversarialSet, keyword_addition, keyword_replacement

N_TARGETS = 1  # classes whose keywords a text may get, those most like its own


def attack(data: TextSet) -> AdversarialSet:
    """Attack the test texts in scope by both ways."""
    keywords, targets = keywords_and_targets(data.X, data.y, N_TARGETS, make_source("cap"))
    made = [
        item
        for way in (keyword_addition, keyword_replacement)
        for item in way(data.X_in, data.y_in, keywords, targets).made
    ]
    return AdversarialSet(made)


def withstood(model: Any, attacked: AdversarialSet) -> dict[str, float]:
    """Give the accuracy on attacked texts."""
    return {"adversarial": float(np.mean(model.predict(attacked.texts) == attacked.labels))}


def explained(model: Any, data: TextSet) -> dict[str, float]:
    """Give comprehensiveness and sufficiency, ERASER's bins and signs, if a model explains."""
    if not hasattr(model, "explain"):
        return {}
    found = faithfulness(model, data.X_in)
    return {name: found[f"{name}_eraser"] for name in ("comprehensiveness", "sufficiency")}
