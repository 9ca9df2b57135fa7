"""Find planted marks: the audit, and what each of its three tests finds alone.

    python -m benchmarks.shortcuts.audit_planted --datasets hwu64 --seeds 0 1 --share 1.0 0.6
    python -m benchmarks.shortcuts.audit_planted --classes 6 --share 1.0 0.0   # of few classes
    python -m benchmarks.shortcuts.audit_planted --render   # print what few classes come to

The training texts are those of `benchmarks.paper.shortcut`: a share of the texts of each class has
the mark of its class. An unguided model learns them and is audited: with CAP by SmolLM2-135M, with
its scores shuffled within each text (five times), without a prior, and without the model.
``--source cap_gemma`` asks a larger language model. Each run appends a line to
``results/audit_planted.jsonl``; a run that is there is not repeated. ``--priors`` reads the priors
of fully marked and of clean texts, which do not depend on one another, from files.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._intents import dataset_name
from benchmarks.natural.table import as_table
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import keep_run, read_lines
from benchmarks.paper.shortcut import CHOICES, sign, words_of
from benchmarks.paper.teachers import make_source, read_prior
from skcap import GuidedTextClassifier, PriorMatrix
from skcap.shortcuts import ShortcutAudit

PATH = Path(__file__).parent / "results" / "audit_planted.jsonl"
N_SHUFFLED = 5
TEACHERS = {"cap": "SmolLM2-135M", "cap_gemma": "Gemma 3 270M"}  # by the source of the prior


def plant(setting: dict[str, Any], folder: str | None) -> tuple[PriorMatrix, np.ndarray, set[str]]:
    """Mark a share of each class's texts; give the prior of all texts, labels and marks."""
    dataset, kind, seed = setting["dataset"], setting["kind"], setting["seed"]
    share = setting["share"]
    draw = some_classes(make_draw(dataset, 5, seed, "test"), setting.get("classes"), seed)
    draw, marks = sign(draw, seed, kind, share)
    if folder is None:
        prior = make_source(setting.get("source", "cap")).fit_transform(draw.X, draw.y)
    else:
        kinds = {0.0: ("clean",), 1.0: (kind,)}.get(share, (kind, "clean"))
        prior = read_prior(folder, dataset, kinds, seed, draw.X)
    return prior, draw.y, words_of(marks) if share else set()


def some_classes(draw: Draw, n_classes: int | None, seed: int) -> Draw:
    """Keep the training texts of some classes, drawn by the seed."""
    if n_classes is None:
        return draw
    chosen = np.random.default_rng(seed).permutation(np.unique(draw.y))[:n_classes]
    kept = np.isin(draw.y, chosen)
    return replace(draw, X=np.asarray(draw.X, dtype=object)[kept].tolist(), y=draw.y[kept])


def found_by(audit: ShortcutAudit, X: Any, y: np.ndarray, marks: set[str]) -> dict[str, Any]:
    """Count what an audit flags, and which of it are marks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing prior: that is the control
        flagged = set(audit.fit(X, y).shortcuts_["word"])
    hits = len(flagged & marks)
    return {
        "flagged": len(flagged),
        "precision": round(hits / len(flagged), 3) if flagged else None,
        "recall": round(hits / len(marks), 3) if marks else None,
        "false": sorted(flagged - marks)[:10],
    }


def measure(setting: dict[str, Any], folder: str | None) -> dict[str, Any]:
    """Audit one unguided model, with its controls."""
    prior, y, marks = plant(setting, folder)
    X = prior.texts.tolist()
    model = GuidedTextClassifier(guidance=None, random_state=setting["seed"]).fit(X, y)

    def audit(classifier: Any, of: Any) -> dict[str, Any]:
        used = ShortcutAudit(classifier, of, prefit=classifier is not None)
        return found_by(used, X, y, marks)

    figures = {
        "n_marks": len(marks),
        "audit": audit(model, prior),
        "shuffled": [audit(model, prior.shuffle(seed))["flagged"] for seed in range(N_SHUFFLED)],
        "no_prior": audit(model, None),
        "no_model": audit(None, prior),
        "association_alone": audit(None, None),
    }
    return {"figures": figures}


def few_classes() -> str:
    """Tabulate what audits of few classes flag, over all draws of a set and a kind of marks."""
    runs = defaultdict(list)
    for line in read_lines(PATH):
        own = line["settings"]
        if "classes" in own:
            kind = own["kind"] if own["share"] else "clean texts"
            teacher = TEACHERS[own.get("source", "cap")]
            runs[own["dataset"], kind, teacher, own["classes"]].append(line["figures"])
    rows = []
    for (dataset, kind, teacher, n_classes), found in sorted(runs.items()):
        hits = [round((run["audit"]["recall"] or 0) * run["n_marks"]) for run in found]
        others = sum(run["audit"]["flagged"] for run in found) - sum(hits)
        counted = [f"{n} of {run['n_marks']}" for n, run in zip(hits, found, strict=True)]
        shuffled = np.mean([run["shuffled"] for run in found])
        cells = [", ".join(counted) if any(hits) else "", str(others), f"{shuffled:.1f}"]
        rows.append([dataset, str(n_classes), kind, teacher, str(len(found)), *cells])
    head = [
        "data",
        "classes",
        "mark",
        "language model",
        "draws",
        "marks flagged",
        "other words, in all",
        "shuffled",
    ]
    return as_table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--kind", choices=CHOICES, default="speaker")
    parser.add_argument("--share", nargs="+", type=float, default=[1.0], help="0 is clean texts")
    parser.add_argument("--classes", type=int, help="take so many classes, instead of all")
    parser.add_argument("--source", choices=list(TEACHERS), default="cap")
    parser.add_argument("--render", action="store_true", help="only print a table of few classes")
    parser.add_argument("--priors", help="folder with <dataset>-<kind>-<seed>.npz, made before")
    options = parser.parse_args()
    if options.render:
        print(few_classes())
        return
    for seed, dataset, share in itertools.product(options.seeds, options.datasets, options.share):
        setting = {"dataset": dataset, "seed": seed, "kind": options.kind, "share": share}
        setting |= {} if options.classes is None else {"classes": options.classes}
        setting |= {} if options.source == "cap" else {"source": options.source}
        line = keep_run(PATH, setting, partial(measure, setting, options.priors))
        if line is not None:
            print(setting, {k: line["figures"][k] for k in ("audit", "shuffled")}, flush=True)


if __name__ == "__main__":
    main()
