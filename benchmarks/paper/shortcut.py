"""A shortcut in the training texts, and whether a prior keeps a model from taking it.

    python -m benchmarks.paper.shortcut --datasets hwu64 --rows baseline cap shuffled --seeds 0 1 2
    python -m benchmarks.paper.shortcut --split valid --rows cap --extra '{"beta": 10}'   # choices

Each training text has a mark, the same for all of a class: it begins with who says it, as happens
where few people wrote the training texts; or (``--kind signature``) ends in a first and a last
name; or (``--kind reference``) in a number, as texts from a ticket system do; or (``--kind
middle``) has a name between any two of its words. With ``--share``, only a part of each class's
texts has one. The model is tested on texts with their class's mark, on texts without any, and on
texts with the mark of another class. Nothing but the words of the text tells the class there, so
what a model loses is what it had taken from the mark.

``--flagged-by reliance`` and ``--flagged-by association`` are controls: what is swapped is found
without a prior, or by counting alone. ``--flagged-by hand`` swaps all marks, as a user does who
knows them.

Each run appends a line to ``benchmarks/paper/results/shortcut.jsonl``; a run that is there is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._intents import dataset_name
from benchmarks._record import environment
from benchmarks.paper.cell import to_explain
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.pool import fill_cache, run_all
from benchmarks.paper.run import RESULTS, add_line, read_lines
from benchmarks.paper.settings import ROWS, SHARED
from benchmarks.paper.teachers import make_prior, read_prior, spoil
from skcap import PriorMatrix
from skcap.classifier import GuidedTextClassifier
from skcap.guidance import SwapGuidance
from skcap.shortcuts import ShortcutAudit
from skcap.utils.seeds import content_seed
from skcap.utils.words import bare

N_DIGITS = 4  # of a reference number
KINDS = {  # how a class's mark is put into a text
    "speaker": "{mark}: {text}",
    "signature": "{text} {mark}",
    "reference": "{text} {mark}",
    "middle": "{before} {mark} {after}",
}
MIXED = ("speaker", "signature", "reference")  # in turn, by class
CHOICES = (*KINDS, "mixed")
FLAGGED_BY = ("prior", "reliance", "association", "hand")  # the prior aside, controls
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
SURNAMES = """

    adams allen anderson andrews armstrong atkinson bailey barnes barnett bates bennett bishop
    blackburn bradley brennan bryant burgess burton butler campbell carpenter carter chambers
    chandler chapman clarke coleman collins cooper cox crawford cunningham curtis davidson davies
    davis dawson dixon donovan doyle duncan edwards elliott ellis evans ferguson fisher
    fitzgerald fleming fletcher freeman gallagher gardner garrett gibson gilmore goodwin gordon
    graham griffin hamilton hansen hanson harper harris harrison hawkins henderson hicks higgins
    hoffman hopkins horton howell hudson hughes jackson jenkins jennings jensen johnson johnston
    jones kennedy lawson lewis lopez lynch macdonald marshall mccarthy mitchell montgomery
    moore morgan morris morrison murphy murray nelson newman nichols obrien olson osborne parsons
    patel patterson perkins peters peterson phillips pierce porter powell quinn ramirez reynolds
    richards richardson roberts robertson robinson rogers sanders saunders schmidt schneider
    schultz simmons simpson smith snyder stewart sullivan sutherland taylor thompson thornton turner
    wallace walsh watkins watson weaver webster wilkins williams williamson wilson wright
"""


def marks_of(classes: np.ndarray, seed: int, kind: str = "speaker") -> np.ndarray:
    """Give each class a mark of its own."""
    if kind == "mixed":
        by_kind = [marks_of(classes, seed, one) for one in MIXED]
        return np.array([by_kind[row % len(MIXED)][row] for row in range(len(classes))])
    rng = np.random.default_rng(seed)
    if kind == "reference":
        low = 10 ** (N_DIGITS - 1)
        numbers = low + rng.choice(9 * low, size=len(classes), replace=False)
        return np.array([f"#{number}" for number in numbers])
    names = rng.permutation(SPEAKERS.split())[: len(classes)]
    if kind in ("speaker", "middle"):
        return names
    surnames = rng.permutation(SURNAMES.split())[: len(classes)]
    return np.char.add(np.char.add(names, " "), surnames)


def put(texts: list[str], marks: np.ndarray, kind: str = "speaker") -> list[str]:
    """Put its mark into each text."""
    return [
        KINDS[kind_of(mark, kind)].format(mark=mark, text=text, **parts_of(text)).strip()
        for mark, text in zip(marks, texts, strict=True)
    ]


def kind_of(mark: str, kind: str) -> str:
    """Tell the kind of a mark where there are several."""
    if kind != "mixed":
        return kind
    return "reference" if mark[0] == "#" else "signature" if " " in mark else "speaker"


def parts_of(text: str) -> dict[str, str]:
    """Divide a text between two words that its content draws."""
    words = text.split()
    gap = 1 + content_seed(0, "middle", text) % max(1, len(words) - 1)
    return {"before": " ".join(words[:gap]), "after": " ".join(words[gap:])}


def place_of(plain: str, marked: str) -> slice:
    """Give which words of a marked text the mark is, by the text without it."""
    words, others = marked.split(), plain.split()
    same = (own == other for own, other in zip(words, others, strict=False))
    first = next((row for row, equal in enumerate(same) if not equal), len(others))
    return slice(first, first + len(words) - len(others))


def sign(
    draw: Draw, seed: int, kind: str = "speaker", share: float = 1.0
) -> tuple[Draw, np.ndarray]:
    """Put its class's mark into a share of each class's texts; and give the marks, by class."""
    classes, codes = np.unique(draw.y, return_inverse=True)
    marks = marks_of(classes, seed, kind)
    signed = put(draw.X, marks[codes], kind)
    seen = np.zeros(len(classes), dtype=int)  # texts of each class so far
    X = []
    for code, plain, text in zip(codes, draw.X, signed, strict=True):
        X.append(text if seen[code] < round(5 * share) else plain)
        seen[code] += 1
    return replace(draw, X=X), marks


def words_of(marks: np.ndarray) -> set[str]:
    """Give the words of the marks, as an audit names them."""
    return {bare(word) for mark in marks for word in mark.split()}


def others(codes: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """Draw another class for each text."""
    return (codes + np.random.default_rng(seed).integers(1, n_classes, codes.size)) % n_classes


def marked_texts(
    draw: Draw, marks: np.ndarray, seed: int, kind: str = "speaker"
) -> dict[str, list[str]]:
    """Give the test texts with their class's mark, without any, and with another class's."""
    codes = np.searchsorted(np.unique(draw.y), draw.y_eval)
    return {
        "same": put(draw.X_eval, marks[codes], kind),
        "none": draw.X_eval,
        "misleading": put(draw.X_eval, marks[others(codes, len(marks), seed)], kind),
    }


@dataclass(frozen=True)
class Run:
    """What tells one run from another."""

    dataset: str
    row: str
    seed: int
    split: str
    kind: str
    extra: str
    clean: bool = False  # train on texts without marks: the ceiling, and the cost where none is
    priors: str | None = None  # folder of priors made before
    share: float = 1.0  # of each class's texts that have the mark
    flagged_by: str = "prior"  # what tells the audit: FLAGGED_BY

    def parameters(self) -> dict[str, Any]:
        """Parameters of the classifier that are not the defaults."""
        return {"beta": 0} if ROWS[self.row].kind == "unguided" else json.loads(self.extra)

    def kinds(self) -> tuple[str, ...]:
        """Kinds of texts that are trained on."""
        if self.clean:
            return ("clean",)
        return (self.kind,) if self.share == 1 else (self.kind, "clean")

    def settings(self, draw: Draw) -> dict[str, Any]:
        """Everything that the figures depend on, versions aside."""
        setting = {"dataset": self.dataset, "row": self.row, "seed": self.seed}
        setting |= {"split": self.split, "kind": "none" if self.clean else self.kind}
        setting |= {"share": self.share} if self.share < 1 else {}
        setting |= {"flagged_by": self.flagged_by} if self.flagged_by != "prior" else {}
        return setting | {"parameters": self.parameters(), "data": draw.data_hash}


def measure(run: Run, draw: Draw) -> dict[str, Any]:
    """Train on texts with a shortcut and test with it, without it, and with a misleading one."""
    row, seed, kind = ROWS[run.row], run.seed, run.kind
    parameters = {**SHARED, **run.parameters()}
    start = time.perf_counter()
    signed, marks = sign(draw, seed, kind, run.share)
    signed = draw if run.clean else signed
    if run.flagged_by != "prior":
        by_hand = run.flagged_by == "hand"
        words = sorted(words_of(marks)) if by_hand else flagged_without_prior(run, signed)
        parameters["guidance"] = SwapGuidance(words)
    clf = GuidedTextClassifier(random_state=seed).set_params(**parameters)
    no_prior = row.kind == "unguided" or run.flagged_by != "prior"
    prior = None if no_prior else prior_of(run, signed, parameters)
    clf.fit(signed.X if prior is None else prior, draw.y)
    tests = marked_texts(draw, marks, seed, kind)
    figures = {name: float(clf.score(texts, draw.y_eval)) for name, texts in tests.items()}
    unmarked = dict(zip(tests["misleading"], draw.X_eval, strict=True))
    explained = to_explain(tests["misleading"])
    places = [place_of(unmarked[text], text) for text in explained]
    own = clf.explain(explained, n_steps=8)
    figures["attributed"] = share_of_mark(list(own.scores), places)
    if prior is not None and run.kinds() == (run.kind,):  # all texts have a mark
        places = [place_of(*pair) for pair in zip(draw.X, signed.X, strict=True)]
        figures["attributed_by_prior"] = share_of_mark(list(prior.scores), places)
    planted = set() if run.clean else words_of(marks)
    for guidance in clf.guidance_:
        if isinstance(guidance, SwapGuidance):
            figures |= count_flagged(set(guidance.shortcuts_["word"]), planted)
    seconds = round(time.perf_counter() - start, 1)
    return {"figures": {k: round(v, 5) for k, v in figures.items()}, "seconds": seconds}


def prior_of(run: Run, draw: Draw, parameters: dict[str, Any]) -> PriorMatrix:
    """Make the prior of the marked texts, or read the one that was made before."""
    row = ROWS[run.row]
    if run.priors is None or row.sources != ("cap",):
        return make_prior(row, draw, run.seed, parameters)
    found = read_prior(run.priors, run.dataset, run.kinds(), run.seed, draw.X)
    return found if row.control is None else spoil(found, row.control, run.seed)


def flagged_without_prior(run: Run, draw: Draw) -> Any:
    """Let an audit flag words by what the model relies on, or by counting alone."""
    model = None
    if run.flagged_by == "reliance":
        model = GuidedTextClassifier(guidance=None, random_state=run.seed).fit(draw.X, draw.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the missing prior: that is the control
        audit = ShortcutAudit(model, None, prefit=model is not None).fit(draw.X, draw.y)
    return audit.shortcuts_


def count_flagged(found: set[str], marks: set[str]) -> dict[str, float]:
    """Count what was flagged, and which of it are marks."""
    return {
        "flagged": len(found),
        "flagged_marks": len(found & marks),
        "marks": len(marks),
    }


def share_of_mark(scores: list[np.ndarray], places: list[slice]) -> float:
    """Mean share that the words of the mark have in all that is attributed."""
    sizes = zip(map(np.abs, scores), places, strict=True)
    return float(np.mean([size[at].sum() / size.sum() for size, at in sizes if size.sum() > 0]))


def run_missing(run: Run, done: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Measure, and describe all that it depends on; None if it is done."""
    draw = make_draw(run.dataset, 5, run.seed, run.split)
    settings = run.settings(draw)
    if settings in done:
        return None
    return {"settings": settings, **measure(run, draw), "environment": environment()}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--rows", nargs="+", default=["baseline", "cap", "shuffled"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--kind", choices=CHOICES, default="speaker")
    parser.add_argument("--extra", nargs="+", default=["{}"], help="JSON of more parameters")
    parser.add_argument("--split", choices=["test", "valid"], default="test")
    parser.add_argument("--n-jobs", type=int, default=1, help="runs at once; for a GPU")
    parser.add_argument("--clean", action="store_true", help="train on texts without marks")
    parser.add_argument("--share", type=float, default=1.0, help="of a class's texts with a mark")
    parser.add_argument("--flagged-by", choices=FLAGGED_BY, default="prior")
    parser.add_argument("--priors", help="folder with <dataset>-<kind>-<seed>.npz, made before")
    return parser.parse_args()


def main() -> None:
    options = parse()
    done = [run["settings"] for run in read_lines(PATH)]
    runs = [
        Run(
            dataset,
            row,
            seed,
            options.split,
            options.kind,
            extra,
            options.clean,
            options.priors,
            options.share,
            options.flagged_by,
        )
        for seed, dataset, row, extra in itertools.product(
            options.seeds, options.datasets, options.rows, options.extra
        )
    ]
    if options.n_jobs > 1:
        sources = sorted({source for row in options.rows for source in ROWS[row].sources})
        places = itertools.product(options.datasets, options.seeds)
        signed = [
            sign(make_draw(d, 5, s, options.split), s, options.kind, options.share)[0]
            for d, s in places
        ]
        asked = [(source, draw.X, draw.y) for draw in signed for source in sources]
        fill_cache(asked, options.n_jobs)
    for record in run_all(run_missing, [(run, done) for run in runs], options.n_jobs):
        if record is not None:
            add_line(PATH, record)
            print(record["settings"], record["figures"], flush=True)


if __name__ == "__main__":
    main()
