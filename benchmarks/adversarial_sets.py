"""Adversarial test sets of the three public data sets, and what they cost an unguided model.

    python benchmarks/adversarial_sets.py [--dataset hwu64 banking77 clinc150] [--limit 100]

For each data set: CAP priors of the published 5-shot draw, keywords and hard targets (1, 2 and 3 a
class), both attacks on the test split by rules, and the accuracy of an unguided classifier on the
same texts before and after. As a control, neutral words in the same asides tell how much of the
addition's effect is the aside's alone.

The sets go to ``benchmarks/results/adversarial/*.parquet`` (not under version control, since they
hold the data sets' texts), hashes, counts and accuracies to ``results/adversarial_NAME.json``, and
50 sampled items of all sets that are there to ``benchmarks/adversarial_examples.md``. With
``--limit``, for a quick look, only the printed figures are made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from _intents import LOADERS, N_TARGETS, keywords_and_targets
from _record import RESULTS, save

from skcap import CAPPriorTransformer, GuidedTextClassifier
from skcap.adversarial import (
    AdversarialItem,
    AdversarialSet,
    keyword_addition,
    keyword_replacement,
)
from skcap.priors.cap import PAPER_FORM
from skcap.utils.seeds import content_seed

NEUTRAL = ("wooden", "window", "yellow", "pencil", "curtain", "basket", "pebble", "lantern")
FOLDER = RESULTS / "adversarial"
EXAMPLES = Path(__file__).parent / "adversarial_examples.md"
ATTACKS = ("addition", "replacement")


def build_sets(
    X: list[str],
    y: np.ndarray,
    X_test: list[str],
    y_test: np.ndarray,
    *,
    n_targets: int,
    prior: CAPPriorTransformer,
) -> dict[str, AdversarialSet]:
    """Both attacks, and the control: the asides of the addition with neutral words."""
    keywords, targets = keywords_and_targets(X, y, n_targets, prior)
    taken = {word for words in keywords.values() for word in words}
    neutral = {word: 1.0 for word in NEUTRAL if word not in taken}
    return {
        "addition": keyword_addition(X_test, y_test, keywords, targets),
        "replacement": keyword_replacement(X_test, y_test, keywords, targets),
        "control": keyword_addition(
            X_test,
            y_test,
            {**keywords, "no class": neutral},
            {label: ["no class"] for label in keywords},
        ),
    }


def accuracies(
    clf: Any, X_test: list[str], y_test: np.ndarray, sets: dict[str, AdversarialSet]
) -> dict[str, dict[str, float]]:
    """Accuracy on the attacked texts, before and after; each text counts as often as attacked."""
    is_right = clf.predict(X_test) == y_test
    figures = {}
    for name, attacked in sets.items():
        if len(attacked) == 0:
            continue
        misled = clf.predict(attacked.texts)
        targets = np.array([item.target for item in attacked.made])
        figures[name] = {
            "before": float(is_right[attacked.rows].mean()),
            "after": float((misled == attacked.labels).mean()),
            "predicted_as_target": float((misled == targets).mean()),
        }
    return figures


def sample_items(
    sets: dict[tuple[str, str], AdversarialSet], n: int
) -> list[tuple[str, AdversarialItem]]:
    """Draw items evenly over the sets, by content, so that the same sets show the same ones."""
    drawn = []
    for number, ((name, _), attacked) in enumerate(sorted(sets.items())):
        share = n // len(sets) + (number < n % len(sets))
        ranked = sorted(attacked.made, key=lambda i: content_seed(0, i.attack, i.original, i.text))
        drawn += [(name, item) for item in ranked[:share]]
    return drawn


def examples_page(
    sets: dict[tuple[str, str], AdversarialSet], figures: dict[str, dict[str, Any]], n: int = 50
) -> str:
    """Show sampled items as Markdown, with what was made and rejected, and what it costs."""
    lines = [
        "# Adversarial examples",
        "",
        "Written by `benchmarks/adversarial_sets.py`; do not edit. The sets are made from the",
        "test splits of HWU64 and Banking77 (CC BY 4.0) and CLINC150 (CC BY 3.0), whose texts are",
        "quoted here; see `skcap.datasets` for their authors. The writer is `RuleWriter`.",
        "",
        "Accuracy is that of an unguided all-MiniLM-L6-v2, trained on the published 5-shot draw,",
        "on the texts of a set before and after the attack. The control is the addition with",
        "neutral words, such as *window* and *pencil*: what an aside costs by itself.",
        "",
        "| set | made | rejected | most frequent reason | accuracy | under attack | content hash |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, attack), attacked in sorted(sets.items()):
        report = attacked.report()
        reason = next((f"{why} ({count})" for why, count in report["reasons"].items()), "")
        lines.append(
            f"| {name}, {attack} | {report['made']} | {report['rejected']} | {reason} | "
            f"{cost(figures[name][attack])} | `{attacked.content_hash[:16]}` |"
        )
    lines += [
        f"| {name}, control | {of['control']['made']} | | | {cost(of['control'])} | |"
        for name, of in sorted(figures.items())
    ]
    items = sample_items(sets, n)
    lines += [
        "",
        f"{len(items)} items drawn at random. In, out: the keywords put in and taken out.",
    ]
    for number, (name, item) in enumerate(items, 1):
        out = f", out: {escape(', '.join(item.removed))}" if item.removed else ""
        lines += [
            "",
            f"{number}. {name}, {item.attack}: {escape(str(item.label))} with keywords of "
            f"{escape(str(item.target))} (in: {escape(', '.join(item.added))}{out})",
            f"   - {escape(item.original)}",
            f"   - {escape(item.text)}",
        ]
    return "\n".join(lines) + "\n"


def cost(figures: dict[str, float]) -> str:
    """Write accuracy before and after an attack as two cells of a table."""
    return f"{100 * figures['before']:.1f} % | {100 * figures['after']:.1f} %"


def escape(text: str) -> str:
    """Make Markdown show a text as it is."""
    for sign in "\\`*_{}[]<>#|&~":
        text = text.replace(sign, "\\" + sign)
    return text


def run(name: str, limit: int | None) -> None:
    X, y = LOADERS[name]("train", shots="published", return_X_y=True)
    X_test, y_test = LOADERS[name]("test", return_X_y=True)
    if limit is not None:
        rows = np.sort(np.random.default_rng(0).permutation(len(X_test))[:limit])
        X_test, y_test = [X_test[row] for row in rows], y_test[rows]
    prior = CAPPriorTransformer(**PAPER_FORM, verbose=1)
    sets = build_sets(X, y, X_test, y_test, n_targets=N_TARGETS[name], prior=prior)
    clf = GuidedTextClassifier(beta=0, random_state=0).fit(X, y)
    measured = accuracies(clf, X_test, y_test, sets)
    for attack, attacked in sets.items():
        print(f"{name}, {attack}: {attacked.report()}")
        if attack in measured:
            figures = ", ".join(f"{k} {100 * v:.1f} %" for k, v in measured[attack].items())
            print(f"  accuracy {figures}", flush=True)
    if limit is not None:
        return
    for attack in ATTACKS:
        sets[attack].save(FOLDER / f"{name}_{attack}.parquet")
    record = {
        attack: {"content_hash": attacked.content_hash, **attacked.report(), **measured[attack]}
        for attack, attacked in sets.items()
        if attack in measured
    }
    save(f"adversarial_{name}", {"n_targets": N_TARGETS[name], "n_test": len(X_test), **record})


def saved_sets() -> dict[tuple[str, str], AdversarialSet]:
    paths = {(name, a): FOLDER / f"{name}_{a}.parquet" for name in LOADERS for a in ATTACKS}
    return {key: AdversarialSet.load(path) for key, path in paths.items() if path.exists()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", nargs="+", choices=sorted(LOADERS), default=list(LOADERS))
    parser.add_argument("--limit", type=int, help="attack so many test texts, and save nothing")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.dataset:
        run(name, options.limit)
    if options.limit is None:
        sets = saved_sets()
        figures = {
            name: json.loads((RESULTS / f"adversarial_{name}.json").read_text()) for name, _ in sets
        }
        EXAMPLES.write_text(examples_page(sets, figures), encoding="utf-8")


if __name__ == "__main__":
    main()
