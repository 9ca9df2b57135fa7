"""Does a model's explanation say what it goes by? Compare it with leaving words out, one by one.

    python -m benchmarks.paper.leaving_out --rows baseline cap_paper uniform
    python -m benchmarks.paper.leaving_out --rows cap --extra '{"label_weight": 0}' '{}'

What a word is worth when it alone is left out needs no gradient and no baseline, so a training that
bends the gradients and nothing else shows here: the words that the explanation names are then not
those that the model misses. How large the gradients of each epoch were is measured, too. Writes
`results/leaving_out.json` as each run ends.
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from skorch.callbacks import Callback

from benchmarks._intents import dataset_name
from benchmarks._record import load, save
from benchmarks.paper.cell import to_explain
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import RESULTS
from benchmarks.paper.settings import EXPLAIN_STEPS, RATIONALE, ROWS, SHARED
from benchmarks.paper.teachers import make_prior
from skcap.classifier import GuidedTextClassifier
from skcap.metrics import RationaleRules, faithfulness_curve, leave_one_out


class GradientNorm(Callback):
    """Keep the norm of each step's gradient in the history."""

    def on_grad_computed(self, net: Any, named_parameters: Any, **kwargs: Any) -> None:
        """Measure it as the optimizer gets it."""
        sizes = [p.grad.norm() for _, p in named_parameters if p.grad is not None]
        net.history.record_batch("gradient_norm", float(torch.stack(sizes).norm()))


def compare(clf: Any, texts: list[str]) -> dict[str, float]:
    """Measure the model's explanation and leaving words out in the same way, and both together."""
    told = clf.explain(texts, n_steps=EXPLAIN_STEPS)
    found = leave_one_out(clf.predict_proba, texts)
    figures = {}
    for name, scores in {"explanation": told, "leaving_out": found}.items():
        rules = RationaleRules(k=RATIONALE)
        curve = faithfulness_curve(clf.predict_proba, texts, scores, rules=rules)
        full = np.asarray(curve.full)
        figures[f"comprehensiveness, {name}"] = float((full - curve.without[:, 0]).mean())
        figures[f"sufficiency, {name}"] = float((full - curve.only[:, 0]).mean())
    pairs = zip(told.scores, found.scores, strict=True)
    same = [spearmanr(one, other).statistic for one, other in pairs if len(one) > 2]
    middle = clf.explain(texts, n_steps=1)
    return {
        **{name: round(100 * value, 1) for name, value in figures.items()},
        "rank correlation": round(float(np.nanmean(same)), 2),
        "sum of scores": round(float(np.mean([row.sum() for row in told.scores])), 2),
        "sum by the middle alone": round(float(np.mean([row.sum() for row in middle.scores])), 2),
    }


def measure(draw: Draw, row: str, extra: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train a row and compare; norms of gradients are [median, largest] of each epoch."""
    guided = ROWS[row].kind != "unguided"
    parameters = {**SHARED, **extra, **({} if guided else {"beta": 0})}
    prior = make_prior(ROWS[row], draw, seed, parameters) if guided else draw.X
    clf = GuidedTextClassifier(**parameters, callbacks=[GradientNorm()], random_state=seed)
    clf.fit(prior, draw.y)
    norms = clf.net_.history[:, "batches", :, "gradient_norm"]
    return {
        "accuracy": round(100 * float(clf.score(draw.X_eval, draw.y_eval)), 1),
        **compare(clf, to_explain(draw.X_eval)),
        "gradient norm": [[round(float(f(epoch)), 2) for f in (np.median, max)] for epoch in norms],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=dataset_name, default="hwu64")
    parser.add_argument("--rows", nargs="+", default=["baseline", "cap", "cap_paper", "uniform"])
    parser.add_argument("--extra", nargs="+", default=["{}"], help="JSON of more parameters")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = make_draw(options.dataset, 5, options.seed, "valid")
    for row, extra in itertools.product(options.rows, options.extra):
        found = measure(draw, row, json.loads(extra), options.seed)
        print(row, extra, found, flush=True)
        name = f"{options.dataset}, draw {options.seed}, {ROWS[row].title}, {extra}"
        save("leaving_out", load("leaving_out", RESULTS) | {name: found}, RESULTS)


if __name__ == "__main__":
    main()
