"""Draw the pictures, and print the tables, of README.md and docs/evidence.md.

They come from the runs on record: ``python -m benchmarks.pictures``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.natural.table import interval, spread
from benchmarks.paper.run import read_lines
from benchmarks.paper.shortcut import PATH as PLANTED

IMAGES = Path(__file__).parents[1] / "docs" / "images"
TESTS = {"same": "its own", "none": "none", "misleading": "another"}
BLUE, ORANGE, GREY, LIGHT = "#1f5fa8", "#d9822b", "#6b6b6b", "#b5c7dd"
DATASETS = {"hwu64": "HWU64", "banking77": "Banking77", "clinc150": "CLINC150"}


def runs(dataset: str, kind: str, row: str, **wanted: Any) -> list[dict[str, float]]:
    """Figures of the runs on the test split with these settings, and no other than the defaults."""
    return list(by_seed(dataset, kind, row, **wanted).values())


def by_seed(dataset: str, kind: str, row: str, **wanted: Any) -> dict[int, dict[str, float]]:
    """Figures of these runs, by the seed of their draw."""
    expected = {"share": 1.0, "flagged_by": "prior", **wanted}
    found = {}
    for line in read_lines(PLANTED):
        settings = line["settings"]
        own = (settings["dataset"], settings["kind"], settings["row"], settings["split"])
        swaps = settings["parameters"] in ({"guidance": "swap"}, {"beta": 0})
        special = {"share": settings.get("share", 1.0)}
        special["flagged_by"] = settings.get("flagged_by", "prior")
        if own == (dataset, kind, row, "test") and swaps and special == expected:
            found[settings["seed"]] = line["figures"]
    return found


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


def softer_table() -> str:
    """Write accuracy with a misleading mark, by the share of the training texts that have one."""
    lines = [
        "| texts marked | draws | unguided | swap | difference, paired |",
        "|---|---|---|---|---|",
    ]
    for share in (1.0, 0.8, 0.6, 0.4):
        sides = [by_seed("hwu64", "speaker", row, share=share) for row in ("baseline", "cap")]
        both = sorted(sides[0].keys() & sides[1].keys())
        one, other = ([100 * side[seed]["misleading"] for seed in both] for side in sides)
        cells = [spread(one), spread(other), interval(np.subtract(other, one).tolist())]
        lines.append(f"| {share:.0%} | {len(both)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def clean_cost() -> str:
    """Write what swap costs on clean texts, paired, and how many words each audit flagged."""
    differences, flagged = [], []
    for dataset in DATASETS:
        sides = [by_seed(dataset, "none", row) for row in ("baseline", "cap")]
        for seed in sorted(sides[0].keys() & sides[1].keys()):
            one, other = (side[seed] for side in sides)
            differences.append(100 * (other["none"] - one["none"]))
            flagged.append(f"{DATASETS[dataset]} {seed}: {other['flagged']:.0f}")
    return (
        f"Clean texts, swap less unguided, {len(differences)} draws: "
        f"{interval(differences, digits=2)} points; "
        f"largest loss {-min(differences):.1f}. Words flagged: {', '.join(flagged)}."
    )


def main_table() -> str:
    """Write accuracy by mark: mean, standard deviation over draws where there are several."""
    kinds = {"speaker": "a writer's name", "reference": "a number"}
    rows: list[tuple[str, str, str, dict[str, Any]]] = []
    for dataset, kind in [(d, "speaker") for d in DATASETS] + [("hwu64", "reference")]:
        what = f"{DATASETS[dataset]}, {kinds[kind]}"
        rows += [
            (f"{what}, unguided", dataset, kind, {"row": "baseline"}),
            (f'{what}, `guidance="swap"`', dataset, kind, {"row": "cap"}),
            (f"{what}, swap by the shuffled prior", dataset, kind, {"row": "shuffled"}),
            (
                f"{what}, swap by reliance, no prior",
                dataset,
                kind,
                {"row": "cap", "flagged_by": "reliance"},
            ),
            (
                f"{what}, swap by association alone",
                dataset,
                kind,
                {"row": "cap", "flagged_by": "association"},
            ),
        ]
        if kind == "speaker":
            rows += [(f"{what}, clean texts, unguided", dataset, "none", {"row": "baseline"})]
            rows += [(f"{what}, clean texts, swap", dataset, "none", {"row": "cap"})]
    lines = ["| accuracy in %, tested with the mark of ... | draws | own class | none | another |"]
    lines += ["|---|---|---|---|---|"]
    for title, dataset, kind, wanted in rows:
        found = runs(dataset, kind, **wanted)
        if found:
            cells = [spread([100 * run[test] for run in found]) for test in TESTS]
            lines.append(f"| {title} | {len(found)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    print(main_table(), softer_table(), clean_cost(), sep="\n\n")
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
