"""Draw the pictures of README.md and docs/evidence.md, from the runs on record.

``make figures`` runs this, and writes the tables of `benchmarks.account`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.account import NAMES as DATASETS
from benchmarks.account import runs_by_seed

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TESTS = {"same": "its own", "none": "none", "misleading": "another"}
BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#d9822b", "#6b6b6b", "#b5c7dd"


def runs(dataset: str, kind: str, row: str, **wanted: Any) -> list[dict[str, float]]:
    """Figures of the runs on the test split with these settings, and no other than the defaults."""
    return list(runs_by_seed(dataset, kind, row, **wanted).values())


def shortcut(axes: Any) -> None:
    """Accuracy with the class's own mark, none, and another class's, for each data set."""
    rows: dict[str, tuple[str, Callable[[str], list[dict[str, float]]]]] = {
        "unguided": (ORANGE, lambda d: runs(d, "speaker", "baseline")),
        'guidance="swap"': (BLUE, lambda d: runs(d, "speaker", "cap")),
        "swap, prior shuffled (control)": (LIGHT, lambda d: runs(d, "speaker", "shuffled")),
        "unguided, trained on texts without marks": (GREY, lambda d: runs(d, "none", "baseline")),
    }
    for ax, dataset in zip(axes, DATASETS, strict=True):
        for place, (label, (color, find)) in enumerate(rows.items()):
            figures = find(dataset)
            if not figures:
                continue
            values = np.array([[100 * run[test] for test in TESTS] for run in figures])
            at = np.arange(len(TESTS)) + 0.2 * (place - 1.5)
            ax.bar(at, values.mean(axis=0), 0.19, color=color, label=label)
            if len(values) > 1:
                error = values.std(axis=0, ddof=1)
                ax.errorbar(at, values.mean(axis=0), error, fmt="none", color="black", lw=1)
        ax.set(title=DATASETS[dataset], xticks=range(len(TESTS)), ylim=(0, 104))
        ax.set_xticklabels(TESTS.values())
    axes[0].set_ylabel("accuracy (%)")
    axes[1].set_xlabel("class whose writer is named at the start of a test text")


def softer(ax: Any) -> None:
    """Accuracy with another class's mark, by the share of the training texts that have one."""
    for row, color, label in (
        ("baseline", ORANGE, "unguided"),
        ("cap", BLUE, 'guidance="swap"'),
    ):
        points = []
        for share in (1.0, 0.8, 0.6, 0.4):
            found = runs("hwu64", "speaker", row, share=share)
            points += [(100 * share, 100 * np.mean([run["misleading"] for run in found]))]
        ax.plot(*zip(*points, strict=True), color=color, marker="o", label=label)
    clean = [100 * run["misleading"] for run in runs("hwu64", "none", "baseline")]
    ax.axhline(np.mean(clean), color=GREY, ls="--", label="trained on texts without marks")
    ax.set(xlabel="texts of a class with its mark (%)", ylabel="accuracy, misleading mark (%)")
    ax.set(title="HWU64", ylim=(0, 100), xticks=(40, 60, 80, 100))
    ax.legend(frameon=False, loc="lower left")


def controls(ax: Any) -> None:
    """Accuracy with another class's mark, by what tells the audit which words to swap."""
    rows = {
        "nothing:\nunguided": runs("hwu64", "speaker", "baseline"),
        "the prior,\nshuffled": runs("hwu64", "speaker", "shuffled"),
        "counting\nalone": runs("hwu64", "speaker", "cap", flagged_by="association"),
        "the model's\nreliance": runs("hwu64", "speaker", "cap", flagged_by="reliance"),
        "the prior": runs("hwu64", "speaker", "cap"),
    }
    for place, (label, found) in enumerate(rows.items()):
        values = [100 * run["misleading"] for run in found]
        color = BLUE if label == "the prior" else LIGHT
        ax.bar(place, np.mean(values), 0.7, color=color)
        ax.plot([place] * len(values), values, ".", color="black", ms=4)
    clean = [100 * run["misleading"] for run in runs("hwu64", "none", "baseline")]
    ax.axhline(np.mean(clean), color=GREY, ls="--", label="trained on texts without marks")
    ax.set(title="HWU64: words to swap are found by ...", ylim=(0, 100))
    ax.set(ylabel="accuracy, misleading mark (%)", xticks=range(len(rows)))
    ax.set_xticklabels(rows)
    ax.legend(frameon=False, loc="upper left")


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
    shortcut(axes)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(IMAGES / "shortcut.png", dpi=110)
    figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
    softer(ax)
    figure.savefig(IMAGES / "softer.png", dpi=110)
    figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
    controls(ax)
    figure.savefig(IMAGES / "controls.png", dpi=110)


if __name__ == "__main__":
    main()
