"""Questions of real users: accuracy in scope, and what is out of scope.

    python -m benchmarks.natural.scope --sets hint3-SOFMattress-v1 --seeds 0 1 2
    python -m benchmarks.natural.scope --sets hint3-SOFMattress-v1 --tune   # before: choices
    python -m benchmarks.natural.scope --render

HINT3: trained on what the makers of three chatbots wrote, tested on what their users sent. Further
sets with questions out of scope: Banking77-OOS and CLINC150. CAP by SmolLM2-135M. ``--tune``
chooses each method's main parameter by the accuracy on a fifth of the training texts, held out;
nothing is chosen on test texts. Where a model is tested, it is attacked and its explanations are
measured as well, see `benchmarks.natural.robust`. ``--render`` writes ``scope.md``. See
`benchmarks.natural.study` for what is kept where.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.natural.methods import data_for, make
from benchmarks.natural.robust import attack, explained, withstood
from benchmarks.natural.sets import TextSet, loader_of, set_name
from benchmarks.natural.study import Run, Study, flagged_by, parser_of
from benchmarks.natural.table import Columns
from benchmarks.paper.teachers import make_source
from skcap import PriorMatrix
from skcap.adversarial import AdversarialSet
from skcap.metrics import (
    auroc_out_of_scope,
    expected_calibration_error,
    fpr_at_95_tpr,
    out_of_scope_scores,
)

KINDS = ("", ", in_domain", ", other_domains")  # of texts out of scope, as columns name them
SHOWN = (
    "accuracy",
    *(f"{name}{kind}" for name in ("auroc", "fpr95", "auroc_energy") for kind in KINDS),
    "ece",
    "adversarial",
    "comprehensiveness",
    "sufficiency",
)


@lru_cache(maxsize=2)
def load(name: str, seed: int, split: str) -> TextSet:
    """Load a set, or the part of its training texts that choices are made with."""
    data = loader_of(name)(seed)
    return data if split == "test" else data.for_choices()


@lru_cache(maxsize=2)
def prior_of(name: str, seed: int, split: str) -> PriorMatrix:
    """Make the prior of a set's training texts; what was scored before is in the cache."""
    data = load(name, seed, split)
    return make_source("cap").fit_transform(data.X, data.y)


@lru_cache(maxsize=2)
def attack_on(name: str, seed: int) -> AdversarialSet:
    """Attack a set's test texts, the same for all methods."""
    return attack(load(name, seed, "test"))


def measure(run: Run, **classifier: Any) -> dict[str, Any]:
    """Train one method with one seed, and ask it about texts in and out of scope."""
    where = (run.place["set"], run.seed, run.split)
    data = load(*where)
    texts = data_for(run.method, data.X, lambda: prior_of(*where), run.seed)
    start = time.perf_counter()
    model = make(run.method, run.seed, run.parameters, **classifier).fit(texts, data.y)
    seconds = round(time.perf_counter() - start, 1)
    p_in = model.predict_proba(data.X_in)
    energy = run.method != "tfidf"  # a linear model's scores have another scale than logits
    inside = doubts_of(model, data.X_in, p_in, energy)
    figures = {
        "accuracy": np.mean(model.classes_[p_in.argmax(axis=1)] == data.y_in),
        "ece": expected_calibration_error(data.y_in, p_in, classes=model.classes_),
    }
    for kind, X in data.outside.items():
        outside = doubts_of(model, X, model.predict_proba(X), energy)
        end = f", {kind}" if kind else ""
        for name, own in inside.items():
            figures[f"auroc{name}{end}"] = auroc_out_of_scope(own, outside[name])
            figures[f"fpr95{name}{end}"] = fpr_at_95_tpr(own, outside[name])
    if run.split == "test":
        figures |= withstood(model, attack_on(where[0], run.seed)) | explained(model, data)
    figures = {name: round(float(value), 5) for name, value in figures.items()}
    return {"figures": figures, **flagged_by(model), "seconds": seconds}


def doubts_of(model: Any, X: list[str], p: np.ndarray, energy: bool) -> dict[str, np.ndarray]:
    """Say how much each text looks out of scope, by the ending of a figure's name.

    By the highest probability, and by the energy if asked for and if there are logits.
    """
    doubts = {"": out_of_scope_scores(p, method="max_probability")}
    if energy and hasattr(model, "decision_function"):
        doubts["_energy"] = out_of_scope_scores(model.decision_function(X), method="energy")
    return doubts


STUDY = Study(
    "scope",
    measure,
    judge=lambda figures: figures["accuracy"],
    columns=Columns(SHOWN, paired=("accuracy", "auroc", "adversarial")),
)


def main() -> None:
    parser = parser_of(__doc__)
    first = ["hint3-SOFMattress-v1", "hint3-Curekart-v1"]
    parser.add_argument("--sets", nargs="+", type=set_name, default=first)
    options = parser.parse_args()
    STUDY.main([{"set": name} for name in options.sets], options)


if __name__ == "__main__":
    main()
