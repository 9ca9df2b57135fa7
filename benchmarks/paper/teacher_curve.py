"""What a larger teacher is worth: agreement, audit, and the accuracy of what it guides.

    python -m benchmarks.packed_models gemma-3-270m qwen2.5-coder-0.5b   # once
    python -m benchmarks.paper.teacher_curve --teachers smollm2-135m gemma-3-270m --seeds 0
    python -m benchmarks.paper.teacher_curve --teachers qwen2.5-coder-0.5b --chat
    python -m benchmarks.paper.teacher_curve --render   # writes teacher_curve.md

HWU64, five texts per class, each with a speaker's name that goes with its class, as in
`benchmarks.paper.shortcut`. For each teacher, with its chat template (``--chat``) or without:

* agreement with the word weights of a model of all training texts, names aside;
* what the audit flags, with the teacher's prior and with the same prior shuffled;
* accuracy of ``guidance="swap"``, tested as in `benchmarks.paper.shortcut`;
* seconds for a text, on texts that the cache does not hold.

Each run appends a line to ``results/teacher_curve.jsonl``; a run that is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
import time
from functools import partial
from typing import Any, Literal

import numpy as np

from benchmarks import packed_models
from benchmarks.natural.table import as_table, spread
from benchmarks.paper import teachers
from benchmarks.paper.agreement import agreement
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import RESULTS, keep_run, read_lines
from benchmarks.paper.settings import SHARED
from benchmarks.paper.shortcut import count_flagged, marked_texts, sign, words_of
from skcap import CAPPriorTransformer, GuidedTextClassifier, PriorMatrix
from skcap.shortcuts import ShortcutAudit

PATH = RESULTS / "teacher_curve.jsonl"
PAGE = RESULTS.parent / "teacher_curve.md"
PARAMETERS = {  # millions of weights
    "smollm2-135m": 135,
    "gemma-3-270m": 268,
    "qwen2.5-coder-0.5b": 494,
    "qwen2.5-coder-1.5b": 1544,
}
N_TIMED = 4  # texts


def teacher(name: str, chat: bool, cache: Literal[False] | None = None) -> CAPPriorTransformer:
    """Make CAP with a teacher, in float32 so that machines compare."""
    model = packed_models.folder(name) if name in packed_models.PACKED else name
    llm = teachers.teacher(model=model).set_params(chat_template=chat)
    return CAPPriorTransformer(llm, cache=cache, verbose=1)


def without_mark(prior: PriorMatrix, draw: Draw) -> PriorMatrix:
    """Give the scores of the words that were there before the name was put in front."""
    return PriorMatrix(draw.X, [scores[1:] for scores in prior.scores])


def measure(name: str, chat: bool, seed: int) -> dict[str, Any]:
    """Make a teacher's prior of marked texts, and see what it is good for."""
    draw = make_draw("hwu64", 5, seed, "test")
    signed, marks = sign(draw, seed)
    planted = words_of(marks)
    cap = teacher(name, chat)
    prior = cap.fit_transform(signed.X, signed.y)
    seconds = seconds_a_text(name, chat, signed)
    clf = GuidedTextClassifier(random_state=seed).set_params(**{**SHARED, "guidance": "swap"})
    clf.fit(prior, signed.y)
    shuffled = ShortcutAudit(None, prior.shuffle(seed)).fit(signed.X, signed.y)
    tests = marked_texts(draw, marks, seed)
    scores = {test: float(clf.score(texts, draw.y_eval)) for test, texts in tests.items()}
    found = count_flagged(set(clf.audit_.shortcuts_["word"]), planted)
    agreed = agreement(without_mark(prior, draw), teachers.oracle(draw))
    figures = {
        **{key: agreed[key] for key in ("spearman", "same_first_word")},
        "mark_last": float(np.mean([np.argmin(scores) == 0 for scores in prior.scores])),
        **found,
        "flagged_shuffled": len(shuffled.shortcuts_),
        **scores,
        "seconds_a_text": seconds,
    }
    return {"figures": {key: round(value, 4) for key, value in figures.items()}}


def seconds_a_text(name: str, chat: bool, draw: Draw) -> float:
    """Time a few texts without the cache; the prefix that all share is scored before."""
    cap = teacher(name, chat, cache=False).fit(draw.X, draw.y)
    cap.attribute(draw.X[:1], draw.y[:1])
    start = time.perf_counter()
    cap.attribute(draw.X[1 : 1 + N_TIMED], draw.y[1 : 1 + N_TIMED])
    return (time.perf_counter() - start) / N_TIMED


def render() -> str:
    """Write one row per teacher and prompt, the smallest teacher first."""
    lines = read_lines(PATH)
    where = lines[-1]["environment"]
    by_row: dict[tuple[str, bool], list[dict[str, float]]] = {}
    for line in lines:
        key = (line["settings"]["teacher"], line["settings"]["chat"])
        by_row.setdefault(key, []).append(line["figures"])
    head = [
        "teacher (millions of weights)",
        "chat template",
        "draws",
        "agreement",
        "same first word",
        "name is last",
        "flagged, of them names, names",
        "flagged, prior shuffled",
        "own name",
        "no name",
        "another's name",
        "s a text",
    ]
    rows = []
    for (name, chat), found in sorted(by_row.items(), key=lambda item: PARAMETERS[item[0][0]]):
        percent = ("same_first_word", "mark_last", "same", "none", "misleading")
        cell = {key: spread([100 * run[key] for run in found]) for key in percent}
        counts = ("flagged", "flagged_marks", "marks")
        rows.append(
            [
                f"{name} ({PARAMETERS[name]})",
                "yes" if chat else "no",
                str(len(found)),
                f"{np.mean([run['spearman'] for run in found]):.3f}",
                cell["same_first_word"],
                cell["mark_last"],
                "; ".join(", ".join(f"{run[key]:.0f}" for key in counts) for run in found),
                ", ".join(f"{run['flagged_shuffled']:.0f}" for run in found),
                *(cell[key] for key in ("same", "none", "misleading")),
                f"{np.mean([run['seconds_a_text'] for run in found]):.2f}",
            ]
        )
    return INTRODUCTION.format(**where) + as_table(head, rows) + "\n"


INTRODUCTION = """# What a larger teacher is worth

Written by `python -m benchmarks.paper.teacher_curve --render`; do not edit. HWU64, five texts per
class, each beginning with a name that goes with its class. *Agreement*: Spearman's correlation,
within texts, with the word weights of a model of all training texts. *Name is last*: share of texts
whose name has the lowest score, in %. Accuracies (%) are of `guidance="swap"`; mean ± standard
deviation over draws. Seconds are of one thread in float32, beside another job, a hint at best.
{cpu}, torch {torch}, {date}.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", nargs="+", choices=list(PARAMETERS), default=["smollm2-135m"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--chat", action="store_true", help="wrap prompts in the chat template")
    parser.add_argument("--render", action="store_true", help="only write the page")
    options = parser.parse_args()
    if options.render:
        PAGE.write_text(render(), encoding="utf-8")
        return
    for seed, name in itertools.product(options.seeds, options.teachers):
        settings = {"teacher": name, "chat": options.chat, "seed": seed}
        line = keep_run(PATH, settings, partial(measure, name, options.chat, seed))
        if line is not None:
            print(settings, line["figures"], flush=True)


if __name__ == "__main__":
    main()
