"""Runs of methods at several places: what is missing, what is chosen, and where it is kept.

A *place* is what a method is trained on, such as a data set with a share of marked texts. Each run
appends a line to ``results/<name>.jsonl``; a run that is there is not repeated. Every method has
the same budget to choose its main parameter: at most three values, with seed 0, on validation
texts. ``results/<name>_choices.json`` holds what was chosen, and test runs read it; where nothing
was chosen, they take the default.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.natural.methods import METHODS, defaults, tuned
from benchmarks.natural.table import Columns, tables
from benchmarks.paper.run import keep_run, read_lines

HERE = Path(__file__).parent
Line = dict[str, Any]
Choices = dict[str, dict[str, dict[str, float]]]  # by place, then by method


@dataclass(frozen=True)
class Run:
    """What tells one run from another."""

    place: dict[str, Any]
    method: str
    seed: int
    parameters: dict[str, float]  # that of the method's which is chosen
    split: str = "test"  # or "valid", for choices

    def settings(self) -> dict[str, Any]:
        own = {"method": self.method, "seed": self.seed, "split": self.split}
        return {**self.place, **own, "parameters": self.parameters}


@dataclass(frozen=True)
class Study:
    """A family of runs: `measure` makes one, `judge` says how good one on validation texts is."""

    name: str
    measure: Callable[[Run], Line]
    judge: Callable[[dict[str, float]], float]
    columns: Columns
    folder: Path = HERE

    @property
    def lines_path(self) -> Path:
        return self.folder / "results" / f"{self.name}.jsonl"

    @property
    def choices_path(self) -> Path:
        return self.folder / "results" / f"{self.name}_choices.json"

    def choices(self) -> Choices:
        path = self.choices_path
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def parameters(self, place: dict[str, Any], method: str) -> dict[str, float]:
        """Give what was chosen for a method, or its default."""
        return chosen_for(self.choices(), place, method)

    def run_missing(self, run: Run) -> None:
        line = keep_run(self.lines_path, run.settings(), lambda: self.measure(run))
        if line is not None:
            print(line["settings"], line["figures"], line["seconds"], flush=True)

    def tune(self, place: dict[str, Any], method: str) -> None:
        """Try a method's values on validation texts, and keep the choice."""
        own = tuned(method)
        for value in () if own is None else own.values:
            self.run_missing(Run(place, method, 0, {own.parameter: value}, "valid"))
        self._keep_choices()

    def _keep_choices(self) -> None:
        """Write all choices anew from all lines: what another process does is not lost."""
        text = json.dumps(choose(read_lines(self.lines_path), self.judge), indent=2, sort_keys=True)
        self.choices_path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.choices_path.with_suffix(".tmp")
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(self.choices_path)

    def lines(self) -> list[Line]:
        """Read all runs on test texts with the parameters that hold now."""
        choices = self.choices()
        return [
            line
            for line in read_lines(self.lines_path)
            if line["settings"]["split"] == "test"
            and line["settings"]["parameters"]
            == chosen_for(choices, place_of(line), line["settings"]["method"])
        ]

    def render(self) -> None:
        """Write the tables of all runs."""
        by_place: dict[str, list[Line]] = {}
        for line in self.lines():
            by_place.setdefault(name_of(place_of(line)), []).append(line)
        page = tables(by_place, METHODS, self.columns)
        (self.folder / f"{self.name}.md").write_text(page, encoding="utf-8")

    def main(self, places: Iterable[dict[str, Any]], options: argparse.Namespace) -> None:
        """Do what the command line asks for; seeds go round outside, so that all have as many."""
        if options.render:
            self.render()
            return
        places = list(places)
        if options.tune:
            for place, method in itertools.product(places, options.methods):
                self.tune(place, method)
            return
        for seed, place, method in itertools.product(options.seeds, places, options.methods):
            self.run_missing(Run(place, method, seed, self.parameters(place, method)))


def choose(lines: list[Line], judge: Callable[[dict[str, float]], float]) -> Choices:
    """Choose the value of each method at each place that validation texts are in favour of.

    The default wins a draw. A method whose values were not all tried is left out.
    """
    scores: dict[tuple[str, str], dict[float, float]] = {}
    for line in lines:
        settings = line["settings"]
        if settings["split"] == "valid":
            (value,) = settings["parameters"].values()
            key = name_of(place_of(line)), settings["method"]
            scores.setdefault(key, {})[value] = judge(line["figures"])
    chosen: Choices = {}
    for (place, method), found in scores.items():
        own = tuned(method)
        if own is not None and set(own.values) <= found.keys():
            best = max(own.values, key=lambda value: (found[value], value == own.default))
            chosen.setdefault(place, {})[method] = {own.parameter: best}
    return chosen


def chosen_for(choices: Choices, place: dict[str, Any], method: str) -> dict[str, float]:
    """Give what was chosen for a method at a place, or its default."""
    return choices.get(name_of(place), {}).get(method, defaults(method))


def flagged_by(model: Any) -> dict[str, list[str]]:
    """Give the words that a model's audit flagged, and those that were swapped, if it made one."""
    if not hasattr(model, "audit_"):
        return {}
    words = {"flagged": model.audit_.shortcuts_["word"].tolist()}
    for guidance in model.guidance_:
        if hasattr(guidance, "shortcuts_"):
            words["swapped"] = guidance.shortcuts_["word"].tolist()
    return words


def place_of(line: Line) -> dict[str, Any]:
    """Give the settings of a run that are the place's."""
    own = ("method", "seed", "split", "parameters")
    return {name: value for name, value in line["settings"].items() if name not in own}


def name_of(place: dict[str, Any]) -> str:
    """Name a place by its values."""
    return ", ".join(map(str, place.values()))


def parser_of(doc: str) -> argparse.ArgumentParser:
    """Make the options that all studies have."""
    epilog = f"Methods: {'; '.join(METHODS)}."
    parser = argparse.ArgumentParser(description=doc.splitlines()[0], epilog=epilog)
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--tune", action="store_true", help="choose on validation texts instead")
    parser.add_argument("--render", action="store_true", help="only write the tables")
    return parser
