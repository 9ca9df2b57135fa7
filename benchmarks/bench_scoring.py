"""Shared-prefix scoring against padded full prompts: equal figures, and how much faster.

    python benchmarks/bench_scoring.py [--texts 16] [--threads 2]

The peer is what a plain loop over a Hugging Face model does: every variant's full prompt, in
padded batches. Both score the variants of the same Banking77 texts (77 labels in the prompt) in
one run, in alternation, each warmed up before.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from _record import save

from skcap import CAPPriorTransformer, TransformersLLM
from skcap.datasets import load_banking77
from skcap.priors.masks import apply_mask


def variants_of(prior: CAPPriorTransformer, text: str, name: str) -> list[str]:
    words = text.split()
    return list(dict.fromkeys(apply_mask(words, m) for m in prior._masks(text, name)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=16)
    parser.add_argument("--masks", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    X, y = load_banking77("train", shots="published", return_X_y=True)
    prior = CAPPriorTransformer(n_masks=options.masks, cache=False).fit(X, y)
    rows = np.random.default_rng(0).choice(len(X), options.texts, replace=False)
    names = dict(zip(prior.classes_, prior.label_names_, strict=True))
    fast = TransformersLLM()
    slow = TransformersLLM(reuse_prefix=False, batch_size=4096)
    fast.log_likelihood(["warm up"], ["yes"])
    slow.log_likelihood(["warm up"], ["yes"])

    seconds = {"fast": 0.0, "slow": 0.0}
    worst, n_variants = 0.0, 0
    for done, row in enumerate(rows, 1):
        name = names[y[row]]
        variants = variants_of(prior, X[row], name)
        scores = {}
        for which, llm in (("fast", fast), ("slow", slow)):
            start = time.perf_counter()
            scores[which] = llm.log_likelihood(
                variants,
                [name] * len(variants),
                prefix=prior.prompt_.prefix,
                suffix=prior.prompt_.suffix,
            )
            seconds[which] += time.perf_counter() - start
        worst = max(worst, float(np.abs(scores["fast"] - scores["slow"]).max()))
        n_variants += len(variants)
        ratio = seconds["slow"] / seconds["fast"]
        print(f"{done}/{len(rows)} texts: {ratio:.1f} times faster, off by {worst:.1e}", flush=True)
    path = save(
        "scoring",
        {
            "model": "smollm2-135m",
            "dtype": "float32",
            "n_texts": len(rows),
            "n_variants": n_variants,
            "seconds_shared_prefix": round(seconds["fast"], 2),
            "seconds_padded_full_prompts": round(seconds["slow"], 2),
            "times_faster": round(seconds["slow"] / seconds["fast"], 1),
            "largest_difference_in_log_p": worst,
        },
    )
    print(path.read_text())


if __name__ == "__main__":
    main()
