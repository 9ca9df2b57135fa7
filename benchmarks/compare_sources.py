"""What the sources of priors have in common: top words, and pairwise correlation.

    python benchmarks/compare_sources.py [--texts 385] [--samples 64]

CAP (the paper's form, and ours), LIME, SHAP and integrated gradients on the published 5-shot
draw of Banking77, SmolLM2-135M and all-MiniLM-L6-v2; LIME and SHAP with about as many variants of a
text as CAP asks for. Writes `benchmarks/sources.md`. Texts that are scored already come from the
prior cache, so the run can be stopped and started again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from _intents import load_banking77
from _record import environment, save

from skcap import (
    CAPPriorTransformer,
    IGPriorTransformer,
    LimePriorTransformer,
    PriorMatrix,
    ShapPriorTransformer,
)
from skcap.inspection import correlation_table
from skcap.priors.cap import PAPER_FORM

PAGE = Path(__file__).parent / "sources.md"
SHOWN = range(0, 385, 39)  # ten texts, spread over the classes


def top_words(matrix: PriorMatrix, row: int, n_words: int = 3) -> str:
    record = matrix[row]
    best = np.argsort(-record.scores, kind="stable")[:n_words]
    return ", ".join(record.words[position] for position in best)


def render(sources: Mapping[str, PriorMatrix], y: np.ndarray, table: pd.DataFrame) -> str:
    names = list(sources)
    lines = [
        "# What the sources see",
        "",
        "Made by `benchmarks/compare_sources.py` on the published 5-shot draw of Banking77",
        "(lower-cased in its source): the three top words of ten texts by each source.",
        "",
        "| text | label | " + " | ".join(names) + " |",
        "|---" * (2 + len(names)) + "|",
    ]
    first = next(iter(sources.values()))
    for row in SHOWN:
        if row < len(first):
            cells = [top_words(matrix, row) for matrix in sources.values()]
            lines.append(f"| {first[row].text} | {y[row]} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Pearson correlation over all words of {len(first)} texts, scores L2-normalised per text:",
        "",
        "| | " + " | ".join(names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    lines += [
        f"| {one} | " + " | ".join(f"{table.loc[one, other]:.2f}" for other in names) + " |"
        for one in names
    ]
    where = environment()
    lines += ["", "Measured with " + ", ".join(f"{k} {v}" for k, v in where.items()) + "."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=385)
    parser.add_argument("--samples", type=int, default=64, help="variants of a text, LIME and SHAP")
    options = parser.parse_args()
    X, y = load_banking77("train", shots="published", return_X_y=True)
    makers = {
        "CAP, the paper's form": CAPPriorTransformer(**PAPER_FORM, verbose=1),
        "CAP": CAPPriorTransformer(verbose=1),
        "LIME": LimePriorTransformer(num_samples=options.samples, verbose=1),
        "SHAP": ShapPriorTransformer(max_evals=options.samples, verbose=1),
        "IG": IGPriorTransformer(verbose=1),
    }
    sources = {}
    for name, maker in makers.items():
        matrix = maker.fit(X, y).attribute(X[: options.texts], y[: options.texts])
        sources[name] = matrix.normalize("l2")
    table = correlation_table(sources)
    save(
        "sources",
        {"n_texts": options.texts, "samples": options.samples, "pearson": table.round(3).to_dict()},
    )
    PAGE.write_text(render(sources, y, table), encoding="utf-8")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
