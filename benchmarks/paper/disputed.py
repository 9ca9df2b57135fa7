"""Find a shortcut by where a model and a prior disagree.

    python -m benchmarks.paper.disputed --datasets hwu64 --seeds 0 1 2

The training texts are those of `shortcut.py`: all of a class begin with one speaker's name. An
unguided model learns them, and words are ranked by how much more the model decides by them than
the prior would (`skcap.shortcuts.disputed_words`), by the model's own attribution alone, and by the
prior alone. As many of the top words as there are speakers should be speakers.

Each run appends a line to ``benchmarks/paper/results/disputed.jsonl``; a run that is there is not
repeated.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from typing import Any

from benchmarks._intents import dataset_name
from benchmarks.paper.draws import make_draw
from benchmarks.paper.run import RESULTS, keep_run
from benchmarks.paper.settings import ROWS
from benchmarks.paper.shortcut import sign
from benchmarks.paper.teachers import make_prior
from skcap.classifier import GuidedTextClassifier
from skcap.shortcuts import disputed_words

PATH = RESULTS / "disputed.jsonl"


def find_speakers(dataset: str, seed: int, source: str) -> dict[str, Any]:
    """Count the speakers among the words that each ranking puts first."""
    draw, speakers = sign(make_draw(dataset, 5, seed, "test"), seed)
    prior = make_prior(ROWS[source], draw, seed, {})
    clf = GuidedTextClassifier(beta=0, random_state=seed).fit(draw.X, draw.y)
    table = disputed_words(clf.explain(prior, draw.y, n_steps=8), prior)
    found = {"n_words": len(table), "n_speakers": int(table.index.isin(speakers).sum())}
    for name, ranked in (
        ("by_difference", table),
        ("by_explanation", table.sort_values("explained", ascending=False)),
        ("by_prior", table.sort_values("prior")),
    ):
        found[name] = int(ranked.index[: found["n_speakers"]].isin(speakers).sum())
    return {"figures": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--source", choices=["cap", "cap_paper"], default="cap")
    options = parser.parse_args()
    for seed, dataset in itertools.product(options.seeds, options.datasets):
        setting = {"dataset": dataset, "seed": seed, "source": options.source}
        line = keep_run(PATH, setting, partial(find_speakers, dataset, seed, options.source))
        if line is not None:
            print(f"{setting}: {line['figures']}", flush=True)


if __name__ == "__main__":
    main()
