"""Whether the audit notices that a language model does not understand the names of the classes.

    python -m benchmarks.shortcuts.audit_understanding --datasets hwu64 --seeds 0 1 2
    python -m benchmarks.shortcuts.audit_understanding --render   # writes understanding.md

Six classes of a public data set, 15 texts of each, or the first five of these. The texts are clean,
or each text of a class has the same plain word somewhere inside. The language model is told the
classes' own names, the name of another of the six, or codes that mean nothing. Whatever an audit
flags in clean texts is wrong, and so is what it flags besides the planted words. Words without a
place and shape in common with others count as denied by one of three rules:

* always: whenever the prior's scores of the word are low beyond chance;
* half: only for classes in most of whose texts the prior finds something else, which is what
  `ShortcutAudit` does;
* two thirds: only where it finds something else in at least two thirds of the texts.

The rule was chosen on HWU64. Each run appends a line to ``results/audit_understanding.jsonl``; a
run that is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._intents import dataset_name, loader_of
from benchmarks.natural.table import as_table
from benchmarks.paper.run import keep_run, read_lines
from benchmarks.paper.teachers import make_source
from skcap import GuidedTextClassifier, PriorMatrix
from skcap.shortcuts import ShortcutAudit
from skcap.shortcuts.verdict import add_verdict

HERE = Path(__file__).parent
PATH = HERE / "results" / "audit_understanding.jsonl"
PAGE = HERE / "understanding.md"
N_CLASSES, N_TEXTS, FEW = 6, 15, 5
MARKS = ("maple", "copper", "velvet", "harbor", "ginger", "falcon")
#: What the classes are called: texts and names of them that are tried.
NAMINGS = {
    "own names": lambda names: names,
    "exchanged": lambda names: [*names[1:], names[0]],
    "codes": lambda names: [f"class {chr(75 + i)}{7 * i + 3}" for i in range(len(names))],
}
TRIED = (
    ("clean", "own names"),
    ("clean", "exchanged"),
    ("clean", "codes"),
    ("marked", "own names"),
)
RULES = ("always", "half", "two thirds")


def draw(dataset: str, seed: int) -> tuple[list[str], np.ndarray]:
    """Draw classes that have enough texts, and texts of each, one of each class in turn."""
    X, y = loader_of(dataset)("train")
    rng = np.random.default_rng(seed)
    X, y = np.asarray(X, dtype=object), np.asarray(y)
    names, counts = np.unique(y, return_counts=True)
    classes = rng.permutation(names[counts >= N_TEXTS])[:N_CLASSES]
    rows = np.stack([rng.permutation(np.flatnonzero(y == c))[:N_TEXTS] for c in classes], axis=1)
    return X[rows.ravel()].tolist(), y[rows.ravel()]


def mark(texts: list[str], y: np.ndarray, seed: int) -> list[str]:
    """Put the word of each text's class somewhere inside the text."""
    rng = np.random.default_rng(seed)
    mark_of = dict(zip(dict.fromkeys(y.tolist()), MARKS, strict=True))
    marked = []
    for text, label in zip(texts, y.tolist(), strict=True):
        words = text.split()
        place = int(rng.integers(1, max(2, len(words))))
        marked.append(" ".join([*words[:place], mark_of[label], *words[place:]]))
    return marked


def prior_of(texts: list[str], y: np.ndarray, naming: str) -> PriorMatrix:
    """Ask the language model, with the classes named in one of the ways."""
    names = list(dict.fromkeys(y.tolist()))
    called = dict(zip(names, NAMINGS[naming](names), strict=True))
    return make_source("cap").set_params(label_names=called).fit_transform(texts, y)


def by_rule(words: pd.DataFrame, fdr: float) -> dict[str, list[str]]:
    """Give what is flagged by each of the rules."""
    known = words["understood"]
    tables = {
        "always": add_verdict(words.assign(understood=1.0), fdr),
        "half": words,
        "two thirds": add_verdict(words.assign(understood=known.where(known >= 2 / 3, 0)), fdr),
    }
    return {rule: sorted(set(t.loc[t["shortcut"], "word"])) for rule, t in tables.items()}


def measure(dataset: str, seed: int) -> dict[str, Any]:
    """Audit models of clean and of marked texts, many and few of them, with all names."""
    clean, y = draw(dataset, seed)
    texts = {"clean": clean, "marked": mark(clean, y, seed)}
    figures: dict[str, float] = {}
    flagged: dict[str, list[str]] = {}
    for n in (N_TEXTS, FEW):
        size = n * N_CLASSES
        models = {
            kind: GuidedTextClassifier(guidance=None, random_state=seed).fit(X[:size], y[:size])
            for kind, X in texts.items()
        }
        for kind, naming in TRIED:
            prior = prior_of(texts[kind], y, naming)[:size]
            audit = ShortcutAudit(models[kind], prior, prefit=True, verbose=0)
            audit.fit(texts[kind][:size], y[:size])
            for rule, words in by_rule(audit.words_, audit.fdr).items():
                name = f"{n}, {kind}, {naming}, {rule}"
                flagged[name] = words
                figures[f"{name}, wrong"] = len(set(words) - set(MARKS))
                if kind == "marked":
                    figures[f"{name}, found"] = len(set(words) & set(MARKS))
    return {"figures": figures, "flagged": flagged}


def render() -> str:
    """Tabulate mean counts over draws, one row for texts, names and rule."""
    lines = read_lines(PATH)
    by_dataset: dict[str, list[dict[str, float]]] = {}
    for line in lines:
        by_dataset.setdefault(line["settings"]["dataset"], []).append(line["figures"])
    where = lines[-1]["environment"]
    counts = ", ".join(f"{name}: {len(found)} draws" for name, found in by_dataset.items())
    head = ["texts of a class", "texts", "names", "rule", *by_dataset]
    rows = [
        [str(n), kind, naming, rule]
        + [_cell(found, f"{n}, {kind}, {naming}, {rule}") for found in by_dataset.values()]
        for n, (kind, naming), rule in itertools.product((N_TEXTS, FEW), TRIED, RULES)
    ]
    return INTRODUCTION.format(counts=counts, **where) + as_table(head, rows) + "\n"


def _cell(found: list[dict[str, float]], name: str) -> str:
    wrong = f"{np.mean([run[f'{name}, wrong'] for run in found]):.1f}"
    hits = [run[f"{name}, found"] for run in found if f"{name}, found" in run]
    return f"{np.mean(hits):.1f} found, {wrong} wrong" if hits else f"{wrong} wrong"


INTRODUCTION = """# Does the language model understand the names of the classes?

Written by `python -m benchmarks.shortcuts.audit_understanding --render`; do not edit. Six classes;
in marked texts each class has a plain word of its own, so there are six to find. Words that an
audit flags by three rules of when a prior's denial counts, see the script; mean counts over draws.
The rule was chosen on HWU64.
{counts}. {cpu}, torch {torch}, {date}.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    options = parser.parse_args()
    if options.render:
        PAGE.write_text(render(), encoding="utf-8")
        return
    for seed, dataset in itertools.product(options.seeds, options.datasets):
        settings = {"dataset": dataset, "seed": seed}
        line = keep_run(PATH, settings, partial(measure, dataset, seed))
        if line is not None:
            print(settings, line["flagged"], flush=True)


if __name__ == "__main__":
    main()
