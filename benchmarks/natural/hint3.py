"""Questions of real users to two chatbots (HINT3): accuracy, and what is out of scope.

    python -m benchmarks.natural.hint3 --bots SOFMattress --seeds 0 1 2
    python -m benchmarks.natural.hint3 --render

Trained on the full training sets of version v1, which the makers of the bots wrote; tested on what
users sent. CAP by SmolLM2-135M; parameters are the defaults everywhere, so that nothing is chosen
on test texts. Each run appends a line to ``results/hint3.jsonl``; a run that is there is not
repeated. ``--render`` writes the table of means and paired differences to ``hint3.md``.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks._record import environment
from benchmarks.natural.methods import METHODS, data_for, make
from benchmarks.paper.run import add_line, read_lines
from benchmarks.paper.teachers import make_source
from skcap import PriorMatrix
from skcap.datasets import load_hint3
from skcap.metrics import (
    auroc_out_of_scope,
    expected_calibration_error,
    fpr_at_95_tpr,
    out_of_scope_scores,
)

HERE = Path(__file__).parent
PATH = HERE / "results" / "hint3.jsonl"
BOTS = ("SOFMattress", "Curekart")
SHOWN = ("accuracy", "auroc", "fpr95", "auroc_energy", "ece")
PUBLISHED = {"SOFMattress": 73.6, "Curekart": 83.6}  # BERT of the paper, in scope, in %


def prior_of(bot: str, folder: Path | None) -> tuple[PriorMatrix, np.ndarray]:
    """Make the prior of a bot's training texts, or read the one that was made before."""
    X, y = load_hint3(bot, return_X_y=True)
    path = None if folder is None else folder / f"hint3-{bot}.npz"
    if path is not None and path.exists():
        return PriorMatrix.load(path), y
    made = make_source("cap").fit_transform(X, y)
    if path is not None:
        made.save(path)
    return made, y


def measure(bot: str, method: str, seed: int, prior: PriorMatrix, y: np.ndarray) -> dict[str, Any]:
    """Train one method with one seed, and ask it about users' texts in and out of scope."""
    start = time.perf_counter()
    classifier = make(method, seed).fit(data_for(method, prior, seed), y)
    fit_seconds = time.perf_counter() - start
    X_in, y_in = load_hint3(bot, "test", return_X_y=True)
    both, labels = load_hint3(bot, "test", out_of_scope=True, return_X_y=True)
    X_out = [text for text, label in zip(both, labels, strict=True) if label not in set(y)]
    p_in, p_out = classifier.predict_proba(X_in), classifier.predict_proba(X_out)
    doubts = [out_of_scope_scores(p, method="max_probability") for p in (p_in, p_out)]
    figures = {
        "accuracy": np.mean(classifier.classes_[p_in.argmax(axis=1)] == y_in),
        "auroc": auroc_out_of_scope(*doubts),
        "fpr95": fpr_at_95_tpr(*doubts),
        "ece": expected_calibration_error(y_in, p_in, classes=classifier.classes_),
    }
    if method != "tfidf":  # a linear model's scores are its logits as well, but of another scale
        logits = [classifier.decision_function(X) for X in (X_in, X_out)]
        energies = [out_of_scope_scores(each, method="energy") for each in logits]
        figures["auroc_energy"] = auroc_out_of_scope(*energies)
        figures["fpr95_energy"] = fpr_at_95_tpr(*energies)
    figures = {name: round(float(value), 5) for name, value in figures.items()}
    if hasattr(classifier, "audit_"):
        flagged = classifier.audit_.shortcuts_
        figures["flagged"] = len(flagged)
        figures["flagged_words"] = flagged["word"].tolist()
    return {"figures": figures, "seconds": round(fit_seconds, 1)}


def render(lines: list[dict[str, Any]]) -> str:
    """Write a table for each bot: means over seeds, and differences to the unguided model."""
    parts = []
    for bot in BOTS:
        own = [line for line in lines if line["settings"]["bot"] == bot]
        if not own:
            continue
        parts += [
            f"## {bot}\n",
            "| method | seeds | " + " | ".join(SHOWN) + " | accuracy, paired |",
        ]
        parts += ["|---" * (len(SHOWN) + 3) + "|"]
        runs = {
            (line["settings"]["method"], line["settings"]["seed"]): line["figures"] for line in own
        }
        for method in METHODS:
            seeds = sorted(seed for name, seed in runs if name == method)
            if seeds:
                parts.append(_row(method, seeds, runs))
        parts.append("")
    return "\n".join(parts)


def _row(method: str, seeds: list[int], runs: dict[tuple[str, int], dict[str, Any]]) -> str:
    cells = []
    for name in SHOWN:
        values = [100 * runs[method, seed][name] for seed in seeds if name in runs[method, seed]]
        cells.append(f"{np.mean(values):.1f}" if values else "")
    pairs = [
        100 * (runs[method, seed]["accuracy"] - runs["unguided", seed]["accuracy"])
        for seed in seeds
        if ("unguided", seed) in runs
    ]
    return f"| {method} | {len(seeds)} | " + " | ".join(cells) + f" | {_interval(pairs)} |"


def _interval(differences: list[float]) -> str:
    """Mean of paired differences with a 95 % interval over seeds."""
    if len(differences) < 2 or not np.std(differences):
        return f"{np.mean(differences):+.1f}" if differences else ""
    error = stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    mean = np.mean(differences)
    return f"{mean:+.1f} ({mean - error:+.1f} to {mean + error:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bots", nargs="+", choices=BOTS, default=list(BOTS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--priors", type=Path, help="folder to keep priors in")
    parser.add_argument("--render", action="store_true", help="only write the table")
    options = parser.parse_args()
    if options.render:
        (HERE / "hint3.md").write_text(render(read_lines(PATH)))
        return
    for bot in options.bots:
        prior, y = prior_of(bot, options.priors)
        for seed, method in itertools.product(options.seeds, options.methods):
            settings = {"bot": bot, "method": method, "seed": seed, "version": "v1"}
            if any(line["settings"] == settings for line in read_lines(PATH)):
                continue
            found = measure(bot, method, seed, prior, y)
            add_line(PATH, {"settings": settings, **found, "environment": environment()})
            print(settings, found["figures"], found["seconds"], flush=True)


if __name__ == "__main__":
    main()
