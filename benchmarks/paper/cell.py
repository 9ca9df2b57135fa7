"""One run: a row on one data set with one seed, from training to all four measures."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.paper.attack import by_attack, make_attack
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.settings import (
    EXPLAIN_STEPS,
    N_EXPLAINED,
    RATIONALE,
    ROWS,
    SHARED,
)
from benchmarks.paper.teachers import make_prior
from skcap.classifier import GuidedTextClassifier
from skcap.metrics import ERASER_BINS, RationaleRules, faithfulness_curve
from skcap.utils.seeds import content_seed


@dataclass(frozen=True)
class Cell:
    """What tells one run from another."""

    dataset: str
    row: str
    seed: int
    shots: int | None = 5
    split: str = "test"
    extra: str = "{}"  # JSON of parameters over those of the row: for studies

    def parameters(self) -> dict[str, Any]:
        """Parameters of the classifier."""
        row = ROWS[self.row]
        own = {"beta": 0} if row.kind == "unguided" else {}
        return {**SHARED, **row.parameters, **json.loads(self.extra), **own}

    def settings(self, draw: Draw, attack_hash: str) -> dict[str, Any]:
        """Everything that the figures depend on, versions aside."""
        row = ROWS[self.row]
        return {
            "dataset": self.dataset,
            "row": self.row,
            "seed": self.seed,
            "shots": self.shots,
            "split": self.split,
            "sources": list(row.sources),
            "control": row.control,
            # Not the defaults: those stand in the code of the commit, and may get other names.
            "parameters": self.parameters(),
            "data": draw.data_hash,
            "attack": attack_hash,
        }


def key_of(settings: dict[str, Any], versions: dict[str, Any]) -> str:
    """Name settings and versions by 16 digits."""
    text = json.dumps([settings, versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_cell(cell: Cell, draw: Draw, attacked: Any) -> dict[str, Any]:
    """Train and measure; all figures are shares of 1."""
    parameters = {**cell.parameters(), "random_state": cell.seed}
    row = ROWS[cell.row]
    start = time.perf_counter()
    if row.kind == "probe":
        clf, X = _probe(parameters), draw.X
    elif row.kind == "setfit":
        from benchmarks.paper.peers import SetFitClassifier

        clf, X = SetFitClassifier(**row.parameters, random_state=cell.seed), draw.X
    elif row.kind == "unguided":
        clf, X = GuidedTextClassifier().set_params(**parameters), draw.X
    else:
        clf = GuidedTextClassifier().set_params(**parameters)
        X = make_prior(row, draw, cell.seed, parameters)
    prior_seconds = time.perf_counter() - start
    clf.fit(X, draw.y)
    fit_seconds = time.perf_counter() - start - prior_seconds
    is_right = np.asarray(clf.predict(draw.X_eval)) == draw.y_eval
    withstood = np.asarray(clf.predict(attacked.texts)) == attacked.labels
    figures = {"accuracy": float(is_right.mean()), **by_attack(withstood, attacked)}
    if hasattr(clf, "explain"):
        figures |= faithfulness(clf, draw.X_eval)
    seconds = {
        "prior": round(prior_seconds, 1),
        "fit": round(fit_seconds, 1),
        "all": round(time.perf_counter() - start, 1),
    }
    return {
        "figures": {k: round(v, 5) for k, v in figures.items()},
        # Text by text, for a bootstrap over texts as well as seeds.
        "right": {"accuracy": pack(is_right), "adversarial": pack(withstood)},
        "seconds": seconds,
    }


def pack(flags: np.ndarray) -> str:
    """Write flags as hexadecimal digits, the first flag the highest bit."""
    return np.packbits(flags).tobytes().hex()


def to_explain(texts: list[str]) -> list[str]:
    """Draw the texts whose explanations are measured: by content, the same wherever they stand."""
    return sorted(texts, key=lambda text: content_seed(0, "explained", text))[:N_EXPLAINED]


def faithfulness(clf: Any, X_eval: list[str]) -> dict[str, float]:
    """Comprehensiveness and sufficiency by the model's own explanation of what it predicts."""
    texts = to_explain(X_eval)
    explained = clf.explain(texts, n_steps=EXPLAIN_STEPS)
    rules = RationaleRules(k=(RATIONALE, *ERASER_BINS))
    curve = faithfulness_curve(clf.predict_proba, texts, explained, rules=rules)
    taken = np.asarray(curve.full)[:, None] - curve.without
    alone = np.asarray(curve.full)[:, None] - curve.only
    return {
        "comprehensiveness": float(taken[:, 0].mean()),
        "sufficiency": float(alone[:, 0].mean()),
        "comprehensiveness_eraser": float(taken[:, 1:].mean()),
        "sufficiency_eraser": float(alone[:, 1:].mean()),
    }


def _probe(parameters: dict[str, Any]) -> GuidedTextClassifier:
    """Make the head's start, a logistic regression on the frozen encoder, all of the model."""
    frozen = {"beta": 0, "lr": 0.0, "head_lr": 0.0, "max_epochs": 1, "head_init": "probe"}
    return GuidedTextClassifier().set_params(**{**parameters, **frozen})


@functools.lru_cache(maxsize=8)  # rows of one draw come soon after one another
def prepare(dataset: str, shots: int | None, seed: int, split: str) -> tuple[Draw, Any]:
    """Load what cells are trained on and tested with."""
    draw = make_draw(dataset, shots, seed, split)
    return draw, make_attack(dataset, draw)
