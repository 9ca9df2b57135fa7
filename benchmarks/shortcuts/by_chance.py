"""How often an audit denies a family of names by chance: with the prior shuffled, many times.

    python -m benchmarks.shortcuts.by_chance --datasets hwu64 stackoverflow snips --seeds 0

Each class has a name that begins its texts, as in `benchmarks.shortcuts.audit_planted`, and CAP by
SmolLM2-135M scores them. The scores of each text are shuffled, so what is denied then is denied by
chance. Signed ranks of normal scores, as `ShortcutAudit` takes them, are compared with signed ranks
of the shares, which are skewed: one word of a text mostly has the largest part. Each run appends a
line to ``results/by_chance.jsonl``; a run that is there is not repeated.
"""

from __future__ import annotations

import argparse
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from benchmarks._intents import dataset_name
from benchmarks.paper.run import keep_run
from benchmarks.shortcuts.audit_planted import plant
from skcap.shortcuts.candidates import find_candidates, select_candidates
from skcap.shortcuts.core import shares_of
from skcap.shortcuts.denial import deny_families, measure_denial

PATH = Path(__file__).parent / "results" / "by_chance.jsonl"
N_PERMUTATIONS = 199
LEVELS = (0.01, 0.05)


def measure(setting: dict[str, Any]) -> dict[str, Any]:
    """Shuffle a prior many times; give how often both tests reject, by level."""
    prior, y, _ = plant({**setting, "kind": "speaker", "share": 1.0}, None)
    classes, codes = np.unique(y, return_inverse=True)
    found = find_candidates(prior.texts, codes, len(classes), kinds=("word",), min_texts=5)
    names = select_candidates(found, found.table["family"] == "first tag")
    p: dict[str, list[float]] = {"normal scores": [], "shares": []}
    for seed in range(setting["shuffles"]):
        shares = dict(enumerate(map(shares_of, prior.shuffle(seed).scores)))
        table = measure_denial(shares, names, codes, n_permutations=N_PERMUTATIONS, seed=seed)
        table = table.join(names.table[["family", "code"]]).assign(understood=1.0)
        # Which members are denied by themselves is another test, so none is.
        ranked = deny_families(table.assign(n_scored=1), fdr=0.1)
        p["normal scores"].append(float(ranked["p_family"].min()))
        p["shares"].append(wilcoxon(table["prior"] - table["expected"], alternative="less").pvalue)
    figures = {
        f"{name}, {level:.0%}": round(float(np.mean(np.array(values) <= level)), 4)
        for name, values in p.items()
        for level in LEVELS
    }
    return {"figures": {"names": len(names.table), **figures}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", type=dataset_name, default=["hwu64"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--shuffles", type=int, default=1000)
    options = parser.parse_args()
    for dataset, seed in itertools.product(options.datasets, options.seeds):
        setting = {"dataset": dataset, "seed": seed, "shuffles": options.shuffles}
        line = keep_run(PATH, setting, partial(measure, setting))
        if line is not None:
            print(setting, line["figures"], flush=True)


if __name__ == "__main__":
    main()
