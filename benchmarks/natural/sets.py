"""Data sets with questions out of scope, by name: what is trained on, and what is asked.

Besides those in `SETS` a folder of yours, see `benchmarks._intents`: ``<name>`` is all of its
training texts, ``<name>-5`` a draw of five per class. Its texts out of scope are those of
``oos_test.csv``, if it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks._intents import check_name
from benchmarks.natural.splits import hold_out_fifth
from benchmarks.paper.draws import make_draw
from skcap.datasets import load_banking77_oos, load_clinc150, load_hint3
from skcap.datasets.files import find_folder, read_files

BOTS = ("SOFMattress", "Curekart", "Powerplay11")


@dataclass(frozen=True)
class TextSet:
    """What a model is trained on and tested with; `outside` holds texts out of scope by kind."""

    X: list[str]
    y: np.ndarray
    X_in: list[str]
    y_in: np.ndarray
    outside: dict[str, list[str]]

    def for_choices(self) -> TextSet:
        """Hold out a fifth of the training texts to choose by; test texts are not looked at."""
        X, X_held, y, y_held = hold_out_fifth(self.X, self.y, seed=0)
        return TextSet(X, y, X_held, y_held, {})


def _hint3(bot: str, version: str, variant: str, seed: int) -> TextSet:
    X, y = load_hint3(bot, version=version, variant=variant, return_X_y=True)
    X_in, y_in = load_hint3(bot, "test", version=version, return_X_y=True)
    both, _ = load_hint3(bot, "test", version=version, out_of_scope=True, return_X_y=True)
    return TextSet(X, y, X_in, y_in, {"": both[len(X_in) :]})


def _banking77_oos(shots: int | None, seed: int) -> TextSet:
    X, y = load_banking77_oos(shots=shots, random_state=seed, return_X_y=True)
    X_in, y_in = load_banking77_oos("test", return_X_y=True)
    outside = {
        kind: load_banking77_oos("test", out_of_scope=kind, return_X_y=True)[0][len(X_in) :]
        for kind in ("in_domain", "other_domains")
    }
    return TextSet(X, y, X_in, y_in, outside)


def _clinc150(shots: int | None, seed: int) -> TextSet:
    draw = make_draw("clinc150", shots, seed, "test")
    both, _ = load_clinc150("test", out_of_scope=True, return_X_y=True)
    return TextSet(draw.X, draw.y, draw.X_eval, draw.y_eval, {"": both[len(draw.X_eval) :]})


def _folder(name: str, shots: int | None, seed: int) -> TextSet:
    draw = make_draw(name, shots, seed, "test")
    folder = find_folder(name, None)
    outside = {}
    if folder and (folder / "oos_test.csv").is_file():
        outside[""] = [text for text, _ in read_files(folder, ["oos_test.csv"])]
    return TextSet(draw.X, draw.y, draw.X_eval, draw.y_eval, outside)


#: Loaders by name, given a seed. Of "...-5" that is the seed of the draw of five texts per class;
#: the others have the same texts for all seeds.
SETS: dict[str, Callable[[int], TextSet]] = {
    **{
        f"hint3-{bot}-{version}": partial(_hint3, bot, version, "full")
        for version in ("v1", "v2")
        for bot in BOTS
    },
    **{f"hint3-{bot}-v1-subset": partial(_hint3, bot, "v1", "subset") for bot in BOTS},
    "banking77_oos-5": partial(_banking77_oos, 5),
    "banking77_oos": partial(_banking77_oos, None),
    "clinc150-5": partial(_clinc150, 5),
    "clinc150": partial(_clinc150, None),
}


def loader_of(name: str) -> Callable[[int], TextSet]:
    """Give the loader of a set."""
    if name in SETS:
        return SETS[name]
    folder = name.removesuffix("-5")
    return partial(_folder, folder, None if folder == name else 5)


def set_name(name: str) -> str:
    """Check the name of a set, as argparse's `type`."""
    return check_name(name, SETS, name.removesuffix("-5"))
