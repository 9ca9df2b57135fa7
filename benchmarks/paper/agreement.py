"""How well each source of priors knows the telling words, before anything is trained with it.

    python -m benchmarks.paper.agreement --datasets hwu64 --rows cap lime cap_gemma shuffled

The measure is the word weights of a linear model of all training texts (the ceiling of the tables):
Spearman's correlation within each text, and how often the first word is the same. Writes
`results/agreement.json`; what a language model scores comes from the prior cache.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks._intents import LOADERS
from benchmarks._record import save
from benchmarks.paper.draws import make_draw
from benchmarks.paper.run import RESULTS
from benchmarks.paper.settings import ROWS, SHARED
from benchmarks.paper.teachers import make_prior
from skcap import PriorMatrix

PATH = RESULTS / "agreement.json"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=list(LOADERS), default=["hwu64"])
    parser.add_argument("--rows", nargs="+", default=["cap", "cap_paper", "lime", "shuffled"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figures: dict[str, Any] = json.loads(PATH.read_text()) if PATH.exists() else {}
    figures.pop("environment", None)
    for dataset in options.datasets:
        draw = make_draw(dataset, 5, options.seed, "test")
        truth = make_prior(ROWS["oracle"], draw, options.seed, SHARED)
        for row in options.rows:
            prior = make_prior(ROWS[row], draw, options.seed, SHARED)
            found = agreement(prior, truth)
            figures.setdefault(f"{dataset}, draw {options.seed}", {})[ROWS[row].title] = found
            print(dataset, row, found, flush=True)
            save("agreement", figures, RESULTS)


if __name__ == "__main__":
    main()
