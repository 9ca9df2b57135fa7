"""What units larger than words cost on long texts, and what they lose.

    OMP_NUM_THREADS=1 python -m benchmarks.long_texts [--texts 20] [--parts 6]

Each text joins a question of Banking77 with five requests to a home assistant from HWU64, in random
order, as sentences; the label is the question's, among ten intents. `CAPPriorTransformer` scores it
word by word and sentence by sentence (SmolLM2-135M). Beside the cost, it is measured whether
sentences keep what words say: the rank correlation of the sentences' scores (for words, the sum
over the sentence), whether the best sentence is the same, whether it holds the best word, and
whether it is the question. Prompts are counted for longer texts, too. Writes
`benchmarks/results/long_texts.json`. Nothing is cached.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks._intents import load_banking77, load_hwu64
from benchmarks._record import save
from skcap import CAPPriorTransformer, FakeLLM, PriorMatrix, TransformersLLM
from skcap.priors.units import find_units

N_LABELS = 10


def long_texts(n_texts: int, n_parts: int) -> tuple[list[str], np.ndarray, list[int]]:
    """Make texts of several sentences; give them, their labels, and which sentence decides."""
    rng = np.random.default_rng(0)
    X, y = load_banking77("test", return_X_y=True)
    kept = np.isin(y, rng.choice(np.unique(y), N_LABELS, replace=False))
    rows = rng.permutation(np.flatnonzero(kept))[:n_texts]
    others, _ = load_hwu64("test", return_X_y=True)
    texts, places = [], []
    for row in rows:
        place = int(rng.integers(n_parts))
        parts = [others[other] for other in rng.choice(len(others), n_parts - 1, replace=False)]
        parts.insert(place, X[row])
        texts.append(" ".join(_sentence(part) for part in parts))
        places.append(place)
    return texts, y[rows], places


def _sentence(text: str) -> str:
    inside = " ".join(text.split()).rstrip(".?!").replace(". ", ", ").replace("? ", ", ")
    return inside.replace("! ", ", ") + "."


def score(unit: str, texts: list[str], y: np.ndarray) -> tuple[PriorMatrix, float]:
    """Score the texts; give the scores and the CPU seconds per text."""
    llm = TransformersLLM(dtype="float32")
    prior = CAPPriorTransformer(llm, unit=unit, cache=False, verbose=0).fit(texts, y)
    prior.attribute(["where is my card"], y[:1])  # loads the model, computes what prompts share
    start = time.process_time()  # other processes do not count, as they would by the clock
    matrix = prior.attribute(texts, y)
    return matrix, round((time.process_time() - start) / len(texts), 2)


def count(n_parts: int) -> dict[str, Any]:
    """Count the words of texts of so many sentences, and the prompts that they take."""
    texts, y, _ = long_texts(20, n_parts)
    figures: dict[str, Any] = {"n_words": round(float(np.mean([len(t.split()) for t in texts])))}
    for unit in ("word", "sentence"):
        prior = CAPPriorTransformer(FakeLLM(), unit=unit, cache=False, verbose=0).fit(texts, y)
        work = [prior._work(text, name) for text, name in zip(texts, y, strict=True)]
        figures[unit] = {
            "prompts_per_text": round(float(np.mean([n_prompts for n_prompts, _ in work])), 1),
            "words_in_prompts_per_text": round(float(np.mean([n_words for _, n_words in work]))),
        }
    return figures


def compare(by_word: PriorMatrix, by_sentence: PriorMatrix, places: list[int]) -> dict[str, float]:
    """Compare the scores of sentences with those of words, summed over each sentence."""
    rows = []
    for words, sentences, place in zip(by_word, by_sentence, places, strict=True):
        units = find_units(words.text, "sentence")
        sums, scores = (np.bincount(units, record.scores) for record in (words, sentences))
        best = scores.argmax()
        rows.append(
            {
                "rank_correlation": spearmanr(sums, scores).statistic,
                "same_best_sentence": best == sums.argmax(),
                "best_sentence_holds_best_word": best == units[words.scores.argmax()],
                "best_sentence_is_the_question": best == place,
                "best_word_is_in_the_question": units[words.scores.argmax()] == place,
                "best_sum_of_words_is_the_question": sums.argmax() == place,
            }
        )
    return {name: round(float(np.mean([row[name] for row in rows])), 3) for name in rows[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20)
    parser.add_argument("--parts", type=int, default=6, help="sentences of a text")
    options = parser.parse_args()
    figures: dict[str, Any] = {
        "n_texts": options.texts,
        "n_sentences": options.parts,
        "by_number_of_sentences": {n_parts: count(n_parts) for n_parts in (2, 6, 12, 24)},
    }
    print(figures, flush=True)
    texts, y, places = long_texts(options.texts, options.parts)
    by_sentence, seconds = score("sentence", texts, y)
    figures["cpu_seconds_per_text"] = {"sentence": seconds}
    print(seconds, flush=True)
    by_word, figures["cpu_seconds_per_text"]["word"] = score("word", texts, y)
    figures["agreement"] = compare(by_word, by_sentence, places)
    print(figures, save("long_texts", figures))


if __name__ == "__main__":
    main()
