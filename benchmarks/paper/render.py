"""Tables of the runs that are there, and their picture: ``python -m benchmarks.paper.render``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._intents import LOADERS
from benchmarks.paper import disputed, shortcut
from benchmarks.paper.run import FROZEN, read_cells, read_lines
from benchmarks.paper.settings import ROWS, SHARED

PAGES = Path(__file__).parent
MEASURES = ("accuracy", "adversarial", "comprehensiveness", "sufficiency")
MISLED = 10  # points of sufficiency
MISLED_CAPTION = (
    f"Runs whose sufficiency is more than {MISLED} points worse than the unguided model's:"
)
CONTROLLED = [("cap", "shuffled"), ("hybrid", "hybrid_shuffled")]  # rows and what they must beat
CAPTION = "Differences in points over the seeds that both have, with 95 % bootstrap intervals:"
SHORTCUT_FIGURES = {
    "same": "same mark",
    "none": "no mark",
    "misleading": "another's mark",
    "attributed": "attributed to the mark",
    "attributed_by_prior": "by the prior",
}
DISPUTED_FIGURES = {
    "by_difference": "of the most disputed words",
    "by_explanation": "of the model's highest",
    "by_prior": "of the prior's lowest",
}
N_RESAMPLES = 10_000
PICTURE = "images/table1.png"
# What makes no difference to a model that is not guided.
OF_GUIDANCE = (
    "alignment_limit",
    "alignment_loss",
    "beta",
    "beta_schedule",
    "complement_weight",
    "guidance",
    "ig_path",
    "ig_steps",
    "n_distractors",
    "normalize",
    "rationale_share",
)

PARAMETERS_OF_BARE = ", ".join(f"{k}={v}" for k, v in ROWS["bare"].parameters.items())

Cells = dict[tuple[str, str], dict[Any, dict[str, Any]]]  # (dataset, row) -> seed -> run


def collect(records: Iterable[dict[str, Any]]) -> dict[tuple[int | None, str], Cells]:
    """Arrange the runs on test splits by shots and parameters, the rows' own left out."""
    found: dict[tuple[int | None, str], Cells] = {}
    for record in records:
        settings = record["settings"]
        if settings["split"] == "test":
            cells = found.setdefault((settings["shots"], changed(settings)), {})
            place = cells.setdefault((settings["dataset"], settings["row"]), {})
            place[settings["seed"]] = record
    share_unguided(found)
    # 5-shot by default first, as it is what most runs are of.
    return dict(sorted(found.items(), key=lambda item: (item[0][0] != 5, str(item[0]))))


def share_unguided(found: dict[tuple[int | None, str], Cells]) -> None:
    """Put the rows that guidance does not touch into each table that they can be compared in."""
    shared = set()
    for (shots, parameters), cells in found.items():
        parts = [part for part in parameters.split(", ") if part.split("=")[0] not in OF_GUIDANCE]
        home = (shots, ", ".join(parts))
        if home != (shots, parameters) and home in found:
            shared.add(home)
            datasets = {dataset for dataset, _ in cells}
            for (dataset, row), runs in found[home].items():
                if ROWS[row].kind != "guided" and dataset in datasets:
                    cells.setdefault((dataset, row), runs)
        if ", ".join(parts) == PARAMETERS_OF_BARE:
            for (dataset, row), runs in found.get((shots, ""), {}).items():
                if row == "bare":
                    cells[dataset, "baseline"] = runs
    for home in shared:
        if all(ROWS[row].kind != "guided" for _, row in found[home]):
            del found[home]


def most_runs(records: Iterable[dict[str, Any]]) -> Cells:
    """Choose the 5-shot table of one machine that most runs are in."""
    machines = by_machine(records)
    found = collect(next(iter(machines.values()), []))
    of_shots = [cells for (shots, _), cells in found.items() if shots == 5]
    return max(of_shots, key=lambda cells: sum(map(len, cells.values())), default={})


def by_machine(records: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Part runs by machine and code, most runs first: differences are of one of each."""
    places: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        made = record["environment"]
        code = f", code of {made['commit']}" if "commit" in made else ""
        places.setdefault(made.get("gpu", "CPU") + code, []).append(record)
    return dict(sorted(places.items(), key=lambda place: -len(place[1])))


def difference(ours: dict[Any, Any], base: dict[Any, Any], measure: str) -> str:
    """Write the mean difference, with its interval if there are two seeds."""
    found = interval(ours, base, measure)
    if found is None:
        return ""
    mean, low, high = found
    return f"{mean:+.1f}" if np.isnan(low) else f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def interval(
    ours: dict[Any, Any], base: dict[Any, Any], measure: str
) -> tuple[float, float, float] | None:
    """Mean difference over the seeds that both have, and the ends of a 95 % bootstrap interval.

    Seeds are drawn with replacement, and where each text's answer is on record, texts within them.
    """
    seeds = sorted(set(ours) & set(base))
    runs = [run for seed in seeds for run in (ours[seed], base[seed])]
    if not seeds or any(measure not in run["figures"] for run in runs):
        return None
    figures = [100 * (ours[s]["figures"][measure] - base[s]["figures"][measure]) for s in seeds]
    mean = float(np.mean(figures))
    if len(seeds) < 2:
        return mean, np.nan, np.nan
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(seeds), size=(N_RESAMPLES, len(seeds)))
    noise = np.array([text_noise(ours[s], base[s], measure) for s in seeds])
    values = np.array(figures)[drawn] + noise[drawn] * rng.standard_normal(drawn.shape)
    low, high = np.percentile(values.mean(axis=1), [2.5, 97.5])
    return mean, float(low), float(high)


def text_noise(ours: dict[str, Any], base: dict[str, Any], measure: str) -> float:
    """Give the standard error, in points, of a paired difference over the choice of texts."""
    if measure not in ours.get("right", {}):
        return 0.0
    one, other = unpack(ours["right"][measure]), unpack(base["right"][measure])
    return float(100 * (one - other).std() / np.sqrt(one.size))


def unpack(digits: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), dtype=np.uint8)).astype(float)


def table(cells: Cells, dataset: str) -> list[str]:
    """One data set's table in Markdown: mean and standard deviation over the seeds."""
    lines = [
        "| row | seeds | accuracy | adversarial | compr. | suff. |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        runs = cells.get((dataset, name), {})
        if runs:
            figures = [spread(runs, measure) for measure in MEASURES]
            lines.append("| " + " | ".join([row.title, str(len(runs)), *figures]) + " |")
    return lines


def contrasts(cells: Cells, dataset: str) -> list[str]:
    """Differences in Markdown: each row to the unguided one, and what has a control to that."""
    pairs = [(name, "baseline") for name in ROWS if name != "baseline"] + CONTROLLED
    lines = [
        "| row | against | seeds | accuracy | adversarial | compr. | suff. |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, other in pairs:
        ours, base = (cells.get((dataset, row), {}) for row in (name, other))
        figures = [difference(ours, base, measure) for measure in MEASURES]
        if any(figures):
            n_seeds = str(len(set(ours) & set(base)))
            head = [ROWS[name].title, ROWS[other].title, n_seeds]
            lines.append("| " + " | ".join([*head, *figures]) + " |")
    return lines if len(lines) > 2 else []


def spread(runs: dict[int, Any], measure: str) -> str:
    values = [100 * run["figures"][measure] for run in runs.values() if measure in run["figures"]]
    if not values:
        return ""
    return f"{np.mean(values):.1f}" + (
        f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    )


def repeated(machines: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Tabulate by how many points runs of the same settings differ between two machines."""
    one, other = (
        {json.dumps(run["settings"], sort_keys=True): run["figures"] for run in runs}
        for runs in list(machines.values())[:2]
    )
    rows = []
    for dataset in LOADERS:
        both = [s for s in one if s in other and json.loads(s)["dataset"] == dataset]
        for measure in MEASURES:
            found = [
                100 * (one[s][measure] - other[s][measure])
                for s in both
                if measure in one[s] and measure in other[s]
            ]
            if found:
                size = [f"{np.mean(found):+.1f}", f"{np.mean(np.abs(found)):.1f}"]
                rows.append([dataset, measure, len(found), *size, f"{np.max(np.abs(found)):.1f}"])
    return as_markdown(("data", "measure", "runs", "mean", "mean size", "largest"), rows)


def misled(cells: Cells) -> list[str]:
    """Count the runs whose explanations are far less sufficient than the unguided model's."""
    base, rows = cells.get(("all", "baseline"), {}), []
    for name, row in ROWS.items():
        runs = cells.get(("all", name), {}) if row.kind == "guided" else {}
        both = [(runs[place], base[place]) for place in runs if place in base]
        worse = [ours["figures"]["sufficiency"] - of["figures"]["sufficiency"] for ours, of in both]
        if worse:
            rows.append([row.title, len(worse), sum(100 * gap > MISLED for gap in worse)])
    return as_markdown(("row", "runs", "misled"), rows)


def choices(records: Iterable[dict[str, Any]]) -> list[str]:
    """Tabulate the runs on validation texts, with the parameters that are not the defaults."""
    places: dict[tuple[str, ...], dict[int, dict[str, Any]]] = {}
    for record in records:
        settings = record["settings"]
        if settings["split"] == "valid":
            where = "GPU" if "gpu" in record["environment"] else "CPU"
            key = (settings["dataset"], ROWS[settings["row"]].title, changed(settings), where)
            places.setdefault(key, {})[settings["seed"]] = record
    measures = (*MEASURES[:2], "addition", *MEASURES[2:])
    head = (
        "data",
        "row",
        "parameters",
        "on",
        "seeds",
        *MEASURES[:2],
        "addition",
        "compr.",
        "suff.",
    )
    rows = [[*key, len(runs), *(spread(runs, m) for m in measures)] for key, runs in places.items()]
    return as_markdown(head, rows)


def shortcut_table(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Tabulate the runs with a shortcut in the training texts, a line per row and parameters."""
    places: dict[tuple[Any, ...], list[dict[str, float]]] = {}
    for run in runs:
        settings = run["settings"]
        title, parameters = ROWS[settings["row"]].title, settings["parameters"]
        shown = ", ".join(f"{name}={value}" for name, value in parameters.items())
        if "flagged_by" in settings:  # no prior tells what to swap
            title = f"control: flagged by {settings['flagged_by']} alone"
        marked = f"{settings['kind']}, {100 * settings.get('share', 1):.0f} % of texts"
        place = [settings["dataset"], marked, settings["split"]]
        key = (*place, title, "" if shown == "beta=0" else shown)
        places.setdefault(key, []).append(run["figures"])
    head = ("data", "mark", "split", "row", "parameters", "seeds", *SHORTCUT_FIGURES.values())
    rows = []
    for key, found in sorted(places.items(), key=lambda place: place[0][:3]):
        runs_of = {seed: {"figures": figures} for seed, figures in enumerate(found)}
        rows.append([*key, len(found), *(spread(runs_of, m) for m in SHORTCUT_FIGURES)])
    return as_markdown(head, rows)


def disputed_table(runs: Iterable[dict[str, Any]]) -> list[str]:
    """Tabulate how many speakers are among as many words of each ranking."""
    head = ("data", "prior", "seed", "words", "speakers", *DISPUTED_FIGURES.values())
    rows = []
    for run in runs:
        settings, found = run["settings"], run["figures"]
        figures = [found[name] for name in ("n_words", "n_speakers", *DISPUTED_FIGURES)]
        title = ROWS[settings["source"]].title
        rows.append([settings["dataset"], title, settings["seed"], *figures])
    return as_markdown(head, rows)


def as_markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Write a table, a line per row."""
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


def changed(settings: dict[str, Any]) -> str:
    """Name the classifier's parameters that are neither its defaults nor its row's."""
    row = ROWS[settings["row"]]
    own = {"beta": 0} if row.kind == "unguided" else {}
    expected = {**SHARED, **row.parameters, **own}
    given = settings["parameters"].items()
    found = {k: v for k, v in given if k not in expected or expected[k] != v}
    if row.kind != "guided":
        found = {k: v for k, v in found.items() if k.split("__")[0] not in OF_GUIDANCE}
    return ", ".join(f"{name}={value}" for name, value in found.items())


def tables(of_shots: dict[tuple[int | None, str], Cells], where: str) -> list[str]:
    """Write one machine's tables of results, each under its heading."""
    lines = []
    for (shots, parameters), cells in of_shots.items():
        title = "Full data" if shots is None else f"{shots}-shot"
        for dataset in LOADERS:
            if any(place == dataset for place, _ in cells):
                heading = ", ".join(filter(None, [title, dataset, parameters, where]))
                lines += ["", f"## {heading}", "", *table(cells, dataset)]
                differences = contrasts(cells, dataset)
                lines += ["", CAPTION, "", *differences] if differences else []
        if len({dataset for dataset, _ in cells}) > 1:
            heading = ", ".join(filter(None, [title, "all data sets", parameters, where]))
            together = pooled(cells)
            lines += ["", f"## {heading}", "", CAPTION, "", *contrasts(together, "all")]
            lines += ["", MISLED_CAPTION, "", *misled(together)]
    return lines


def pooled(cells: Cells) -> Cells:
    """Take the seeds of all data sets together, each run still paired with its own."""
    together: Cells = {}
    for (dataset, row), runs in cells.items():
        place = together.setdefault(("all", row), {})
        place.update({f"{dataset} {seed}": run for seed, run in runs.items()})
    return together


def page(
    records: list[dict[str, Any]],
    shortcuts: Sequence[dict[str, Any]] = (),
    disputed: Sequence[dict[str, Any]] = (),
) -> str:
    """Write tables.md."""
    lines = ["# Tables", "", "Made by `benchmarks/paper/render.py` from the runs that are there."]
    if most_runs(records):
        lines += ["", f"![Differences to the unguided model]({PICTURE})"]
    machines = by_machine(records)
    for machine, runs in machines.items():
        lines += tables(collect(runs), f"on {machine}" if len(machines) > 1 else "")
    if len(machines) > 1:
        lines += ["", "## The same runs on two machines", "", *repeated(machines)]
    if shortcuts:
        lines += ["", "## A shortcut in the training texts", "", *shortcut_table(shortcuts)]
    if disputed:
        lines += ["", "## Speakers found", "", *disputed_table(disputed)]
    if any(record["settings"]["split"] == "valid" for record in records):
        lines += ["", "## Choices", "", "On training texts outside of the draw, never on the test"]
        lines += ["split.", "", *choices(records)]
    for runs in machines.values():
        where = ", ".join(f"{k} {v}" for k, v in runs[-1]["environment"].items())
        lines += ["", f"Last run with {where}."]
    return "\n".join(lines) + "\n"


def draw_differences(cells: Cells, path: Path) -> None:
    """Draw each row's differences to the unguided model, a panel a measure."""
    import matplotlib.pyplot as plt

    there = {name for _, name in cells} - {"baseline"}
    rows = [name for name in ROWS if name in there]
    size = (3.4 * len(MEASURES), 1.5 + 0.42 * len(rows))
    figure, axes = plt.subplots(1, len(MEASURES), figsize=size, sharey=True, layout="constrained")
    for ax, measure in zip(axes, MEASURES, strict=True):
        ax.axvline(0, color="black", linewidth=0.8)
        for place, (dataset, marker) in enumerate(zip(LOADERS, "osD", strict=True)):
            base = cells.get((dataset, "baseline"), {})
            found = [interval(cells.get((dataset, row), {}), base, measure) for row in rows]
            points = [(row + 0.22 * (place - 1), *ends) for row, ends in enumerate(found) if ends]
            y, mean, low, high = np.array(points).reshape(-1, 4).T
            ends = np.nan_to_num([mean - low, high - mean])  # one seed has no interval
            ax.errorbar(mean, y, xerr=ends, fmt=marker, markersize=5, capsize=2, label=dataset)
        ax.set(title=measure, xlabel="points over unguided")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(rows)), [ROWS[row].title for row in rows])
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    records = read_cells()
    shortcuts = [*read_lines(shortcut.PATH), *read_lines(FROZEN / "shortcut.jsonl")]
    found = [*read_lines(disputed.PATH), *read_lines(FROZEN / "disputed.jsonl")]
    text = page(records, shortcuts, found)
    (PAGES / "tables.md").write_text(text, encoding="utf-8")
    pictured = most_runs(records)
    if pictured:
        draw_differences(pictured, PAGES / PICTURE)
    print(text)


if __name__ == "__main__":
    main()
