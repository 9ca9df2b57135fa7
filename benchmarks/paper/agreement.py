"""How well each source of priors knows the telling words, before anything is trained with it.

    python -m benchmarks.paper.agreement --datasets hwu64 --rows cap lime cap_gemma shuffled
    python -m benchmarks.paper.agreement --rows --cap '{"alpha": 10}' '{"n_masks": 8}'

The measure is the word weights of a linear model of all training texts (the ceiling of the tables):
Spearman's correlation within each text, and how often the first word is the same. Writes
`results/agreement.json`; what a language model scores comes from the prior cache.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

import numpy as np
from scipy.stats import spearmanr

from benchmarks._intents import dataset_name
from benchmarks._record import load, save
from benchmarks.paper.draws import Draw, make_draw
from benchmarks.paper.run import RESULTS
from benchmarks.paper.settings import ROWS, SHARED
from benchmarks.paper.teachers import make_prior, make_source
from skcap import PriorMatrix


def agreement(prior: PriorMatrix, truth: PriorMatrix) -> dict[str, float]:
    """Mean over the texts of three words and more in which both sides tell words apart."""
    correlations, hits = [], []
    for one, other in zip(prior.scores, truth.scores, strict=True):
        if len(one) > 2 and np.ptp(one) > 0 and np.ptp(other) > 0:
            correlations.append(spearmanr(one, other).statistic)
            hits.append(int(np.argmax(one)) == int(np.argmax(other)))
    return {
        "spearman": round(float(np.mean(correlations)), 4),
        "same_first_word": round(float(np.mean(hits)), 4),
        "n_texts": len(hits),
    }


def priors(draw: Draw, options: argparse.Namespace) -> Iterator[tuple[str, PriorMatrix]]:
    """Make what is asked for, one after the other."""
    for row in options.rows:
        yield ROWS[row].title, make_prior(ROWS[row], draw, options.seed, SHARED)
    for parameters in options.cap:
        source = make_source("cap").set_params(**json.loads(parameters))
        yield f"CAP, {parameters}", source.fit_transform(draw.X, draw.y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--rows", nargs="*", default=["cap", "cap_paper", "lime", "shuffled"])
    parser.add_argument("--cap", nargs="*", default=[], help="JSON of CAP's parameters")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures = load("agreement", RESULTS)
    for dataset in options.datasets:
        draw = make_draw(dataset, 5, options.seed, "test")
        truth = make_prior(ROWS["oracle"], draw, options.seed, SHARED)
        here = figures.setdefault(f"{dataset}, draw {options.seed}", {})
        for title, prior in priors(draw, options):
            here[title] = agreement(prior, truth)
            print(dataset, title, here[title], flush=True)
            save("agreement", figures, RESULTS)


if __name__ == "__main__":
    main()
