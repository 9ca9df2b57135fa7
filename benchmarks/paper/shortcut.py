"""A shortcut in the training texts, and whether a prior keeps a model from taking it.

    python -m benchmarks.paper.shortcut --datasets hwu64 --rows baseline cap shuffled --seeds 0 1 2
    python -m benchmarks.paper.shortcut --split valid --rows cap --extra '{"beta": 10}'   # choices

Each training text begins with who says it, and all of one class are said by one person, as happens
where few people wrote the training texts. The model is tested on texts of the same speakers, on
texts with no speaker, and on texts said by the speaker of another class. Nothing but the words of
the text tells the class there, so what a model loses is what it had taken from the speaker.

Each run appends a line to ``benchmarks/paper/results/shortcut.jsonl``; a run that is there is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._intents import LOADERS
from benchmarks._record import environment
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import RESULTS, add_line, read_lines
from benchmarks.paper.settings import N_EXPLAINED, ROWS, SHARED
from benchmarks.paper.teachers import make_prior
from skcap.classifier import GuidedTextClassifier
from skcap.priors.masks import content_seed

PATH = RESULTS / "shortcut.jsonl"
SPEAKERS = """

    adam alan albert alice amy andrew angela anna anthony barbara betty brian bruce carl carol
    catherine charles cheryl christine daniel david deborah dennis diana donald dorothy douglas
    edward elizabeth emily eric eugene frank gary george gerald gloria gregory harold heather helen
    henry howard jack jacob james janet jason jeffrey jennifer jessica joan john joseph joyce julia
    karen keith kelly kenneth kevin kimberly larry laura lawrence linda lisa louis margaret maria
    marie martin mary matthew melissa michael nancy nicole olivia pamela patricia patrick paul peter
    philip rachel ralph raymond rebecca richard robert roger ronald roy russell ruth ryan samantha
    samuel sandra sara scott sean sharon shirley stephanie stephen steven susan teresa terry theresa
    thomas timothy tyler victoria vincent virginia walter wayne willie abigail agnes alfred arthur
    beatrice bernard cecilia claire clara conrad cynthia dominic edith edmund eleanor ernest esther
    felix florence frances francis frederick gilbert grace harriet herbert hilda hugo ida irene
    isaac ivan jasper josephine leonard lillian lucy mabel marcus martha maurice mildred miriam
"""


def speakers_of(classes: np.ndarray, seed: int) -> np.ndarray:
    """Give each class a speaker of its own."""
    return np.random.default_rng(seed).permutation(SPEAKERS.split())[: len(classes)]


def said_by(texts: list[str], speakers: np.ndarray) -> list[str]:
    return [f"{speaker}: {text}" for speaker, text in zip(speakers, texts, strict=True)]


def sign(draw: Draw, seed: int) -> tuple[Draw, np.ndarray]:
    """Put its class's speaker before each training text; and give the speakers, by class."""
    classes = np.unique(draw.y)
    speakers = speakers_of(classes, seed)
    X = said_by(draw.X, speakers[np.searchsorted(classes, draw.y)])
    return replace(draw, X=X), speakers


def others(codes: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """Draw another class for each text."""
    return (codes + np.random.default_rng(seed).integers(1, n_classes, codes.size)) % n_classes


def measure(draw: Draw, row_name: str, seed: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Train on texts with a shortcut and test with it, without it, and with a misleading one."""
    row = ROWS[row_name]
    classes = np.unique(draw.y)
    start = time.perf_counter()
    signed, speakers = sign(draw, seed)
    clf = GuidedTextClassifier(**parameters, random_state=seed)
    prior = None if row.kind == "unguided" else make_prior(row, signed, seed, parameters)
    clf.fit(signed.X if prior is None else prior, draw.y)
    codes = np.searchsorted(classes, draw.y_eval)
    misled = said_by(draw.X_eval, speakers[others(codes, len(classes), seed)])
    tests = {
        "same": said_by(draw.X_eval, speakers[codes]),
        "none": draw.X_eval,
        "misleading": misled,
    }
    figures = {name: float(clf.score(texts, draw.y_eval)) for name, texts in tests.items()}
    some = sorted(misled, key=lambda text: content_seed(0, "explained", text))[:N_EXPLAINED]
    figures["attributed"] = speakers_share(list(clf.explain(some, n_steps=8).scores))
    if prior is not None:
        figures["attributed_by_prior"] = speakers_share(list(prior.scores))
    seconds = round(time.perf_counter() - start, 1)
    return {"figures": {k: round(v, 5) for k, v in figures.items()}, "seconds": seconds}


def speakers_share(scores: list[np.ndarray]) -> float:
    """Mean share that the first word, the speaker, has in all that is attributed."""
    sizes = [np.abs(row) for row in scores]
    return float(np.mean([size[0] / size.sum() for size in sizes if size.sum() > 0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=list(LOADERS), default=["hwu64"])
    parser.add_argument("--rows", nargs="+", default=["baseline", "cap", "shuffled"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--extra", nargs="+", default=["{}"], help="JSON of more parameters")
    parser.add_argument("--split", choices=["test", "valid"], default="test")
    options = parser.parse_args()
    for seed, dataset, row, extra in itertools.product(
        options.seeds, options.datasets, options.rows, options.extra
    ):
        own = {"beta": 0} if ROWS[row].kind == "unguided" else json.loads(extra)
        parameters = {**SHARED, **own}
        draw = make_draw(dataset, 5, seed, options.split)
        setting = {"dataset": dataset, "row": row, "seed": seed, "split": options.split}
        setting |= {"parameters": parameters, "data": draw.data_hash}
        if any(run["settings"] == setting for run in read_lines(PATH)):
            continue
        found = measure(draw, row, seed, parameters)
        record = {"settings": setting, **found, "environment": environment()}
        add_line(PATH, record)
        print(f"{dataset}, {row}, seed {seed}, {parameters}: {found}", flush=True)


if __name__ == "__main__":
    main()
