"""Which prompt makes the better prior: with or without the model's chat template.

    python benchmarks/bench_prompts.py [--every 10]

Two signs that need no training, on the published 5-shot draw of Banking77: how often a text's top
word is a function word, and how often it shares its stem with the label's name. Both for the
paper's form and for the centred one (log p, intercept).
"""

from __future__ import annotations

import argparse

import numpy as np
from _intents import load_banking77
from _record import save
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from skcap import CAPPriorTransformer, PriorMatrix, TransformersLLM

FORMS = {"paper": ("neg_inverse_log", False), "centred": ("log_prob", True)}


def stem(word: str) -> str:
    word = word.lower().strip(".,?!'\"")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def signs(matrix: PriorMatrix, y: np.ndarray) -> dict[str, float]:
    tops = [record.words[int(record.scores.argmax())] for record in matrix]
    names = [{stem(word) for word in label.split("_")} for label in y]
    function = [top.lower().strip(".,?!'\"") in ENGLISH_STOP_WORDS for top in tops]
    shared = [stem(top) in name for top, name in zip(tops, names, strict=True)]
    return {
        "top_is_function_word": round(float(np.mean(function)), 3),
        "top_shares_stem_with_label": round(float(np.mean(shared)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=10, help="take every n-th text")
    options = parser.parse_args()
    X, y = load_banking77("train", shots="published", return_X_y=True)
    rows = np.arange(2, len(X), options.every)
    figures = {}
    for chat in (True, False):
        prior = CAPPriorTransformer(TransformersLLM(chat_template=chat), verbose=1).fit(X, y)
        for form, (target, fit_intercept) in FORMS.items():
            prior.set_params(target=target, fit_intercept=fit_intercept)
            matrix = prior.attribute([X[row] for row in rows], y[rows])
            figures[f"{'chat template' if chat else 'plain'}, {form}"] = signs(matrix, y[rows])
    print(save("prompts", {"n_texts": len(rows), "figures": figures}).read_text())


if __name__ == "__main__":
    main()
