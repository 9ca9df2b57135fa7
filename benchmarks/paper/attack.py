"""The adversarial texts of a data set: the same for every row and every draw."""

from __future__ import annotations

import functools

import numpy as np

from benchmarks._intents import LOADERS, N_TARGETS, keywords_and_targets
from benchmarks.paper.draws import Draw
from benchmarks.paper.settings import N_ATTACKED
from benchmarks.paper.teachers import make_source
from skcap.adversarial import AdversarialSet, keyword_addition, keyword_replacement
from skcap.utils.seeds import content_seed


@functools.cache
def _plan(dataset: str) -> tuple[dict[str, dict[str, float]], dict[str, list[str]]]:
    X, y = LOADERS[dataset]("train", shots="published", return_X_y=True)
    return keywords_and_targets(X, y, N_TARGETS[dataset], make_source("cap_paper"))


def make_attack(dataset: str, draw: Draw) -> AdversarialSet:
    """Attack the texts to evaluate on with keywords of the published draw, by both ways."""
    return _attack(dataset, tuple(draw.X_eval), tuple(draw.y_eval.tolist()))


@functools.lru_cache(maxsize=16)  # the test split is attacked once for all draws
def _attack(dataset: str, X: tuple[str, ...], y: tuple[str, ...]) -> AdversarialSet:
    keywords, targets = _plan(dataset)
    items = []
    for attack in (keyword_addition, keyword_replacement):
        made = attack(list(X), np.array(y), keywords, targets).made
        # By content, so that the same texts are drawn wherever they stand.
        made.sort(key=lambda item: content_seed(0, item.original, str(item.target), item.text))
        items += made[: N_ATTACKED // 2]
    return AdversarialSet(items)


def by_attack(is_right: np.ndarray, attacked: AdversarialSet) -> dict[str, float]:
    """Accuracy on both attacks together, and on each."""
    kinds = np.array([item.attack for item in attacked.made])
    return {
        "adversarial": float(is_right.mean()),
        **{kind: float(is_right[kinds == kind].mean()) for kind in np.unique(kinds).tolist()},
    }
