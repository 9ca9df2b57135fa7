"""What people call spurious, and whether an audit's three measures know it.

    python -m benchmarks.shortcuts.audit_people

Wang and Culotta (Findings of EMNLP 2020) marked which of the strongest words of a sentiment
classifier of Kindle reviews are spurious; the others count as genuine. Here each of these words
gets the three measures of an audit: association (z, purity), reliance (its weight in the
classifier, a logistic regression on word counts as theirs) and denial (how little a prior by CAP
attributes to it, in up to eight texts). The area under the ROC curve says how well each ranks
spurious words first. The control is the prior with its scores shuffled within each text. The texts
have no licence and stay where they are; only numbers are written, to
``results/audit_people.json``.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks._record import environment
from benchmarks.paper.teachers import make_source
from skcap import PriorMatrix

PATH = Path(__file__).parent / "results" / "audit_people.json"
STRONG = 1.0  # weight from which a word is one of the strongest, as in the paper
MOST_TEXTS = 8  # of a word and its class that the prior is asked about
N_SHUFFLED, N_BOOTSTRAP = 20, 1000
PUBLISHED = {  # printed in the authors' notebook, for 219 words; supervised, with folds or transfer
    "five folds on Kindle": 0.657,
    "trained on IMDB": 0.699,
}


def read(folder: Path) -> tuple[list[str], np.ndarray, set[str]]:
    """Texts, their labels (1 or -1), and the words that people marked."""
    sentences = pd.read_csv(folder / "sentences.csv", keep_default_na=False)
    marked = set(pd.read_csv(folder / "spurious_words.csv")["word"])
    return sentences["text"].tolist(), sentences["label"].to_numpy(), marked


def strongest(texts: list[str], y: np.ndarray) -> tuple[CountVectorizer, Any, pd.DataFrame]:
    """Fit the classifier; give its strongest words with association and reliance."""
    vectorizer = CountVectorizer(min_df=5, max_df=0.8, binary=True)
    counts = vectorizer.fit_transform(texts).tocsc()
    weights = LogisticRegression(max_iter=1000).fit(counts, y).coef_[0]
    rows = []
    for column in np.flatnonzero(np.abs(weights) >= STRONG):
        label, holding = int(np.sign(weights[column])), counts[:, column].nonzero()[0]
        purity, base = np.mean(y[holding] == label), np.mean(y == label)
        rows.append(
            {
                "word": vectorizer.get_feature_names_out()[column],
                "column": column,
                "label": label,
                "n_texts": len(holding),
                "purity": purity,
                "z": (purity - base) / np.sqrt(base * (1 - base) / len(holding)),
                "reliance": abs(weights[column]),
            }
        )
    return vectorizer, counts, pd.DataFrame(rows)


def texts_of(words: pd.DataFrame, counts: Any, y: np.ndarray) -> list[int]:
    """Draw the texts that the prior is asked about."""
    rng, chosen = np.random.default_rng(0), set()
    for column, label in zip(words["column"], words["label"], strict=True):
        holding = counts[:, column].nonzero()[0]
        drawn = rng.permutation(holding[y[holding] == label])
        chosen |= set(drawn[:MOST_TEXTS].tolist())
    return sorted(chosen)


def denial(words: pd.DataFrame, prior: PriorMatrix, labels: Any, split: Any) -> np.ndarray:
    """Minus the mean share of what the prior attributes that falls on each word, above chance."""
    found: dict[tuple[str, int], list[float]] = {}
    shares = prior.normalize("sum").scores
    for text, scores, label in zip(prior.texts, shares, labels, strict=True):
        for word, share in zip(text.split(), scores, strict=True):
            for token in split(word):
                found.setdefault((token, label), []).append(share - scores.mean())
    pairs = zip(words["word"], words["label"], strict=True)
    return -np.array([np.mean(found.get(pair, [np.nan])) for pair in pairs])


def areas(words: pd.DataFrame) -> dict[str, float]:
    """Area under the curve of each measure, and of mean ranks."""
    rank = {name: words[name].rank() for name in ("z", "purity", "reliance", "denial")}
    measures = {
        "association (z)": rank["z"],
        "association, weak first": -rank["z"],
        "impurity": -rank["purity"],
        "reliance": rank["reliance"],
        "reliance, weak first": -rank["reliance"],
        "denial": rank["denial"],
        "z, reliance and denial": rank["z"] + rank["reliance"] + rank["denial"],
        "denial and impurity": rank["denial"] - rank["purity"],
    }
    return {k: round(float(roc_auc_score(words["spurious"], v)), 3) for k, v in measures.items()}


def measure(folder: Path, prior: Path | None) -> dict[str, Any]:
    texts, y, marked = read(folder)
    vectorizer, counts, words = strongest(texts, y)
    words["spurious"] = words["word"].isin(marked)
    rows = texts_of(words, counts, y)
    if prior is None:
        names = np.where(y[rows] > 0, "positive", "negative")
        matrix = make_source("cap").fit_transform([texts[row] for row in rows], names)
    else:
        made = PriorMatrix.load(prior)
        known = dict(zip(made.texts.tolist(), made.scores, strict=True))
        own = [texts[row] for row in rows]
        matrix = PriorMatrix(own, [known[text] for text in own])
    split = vectorizer.build_analyzer()
    words["denial"] = denial(words, matrix, y[rows], split)
    shuffled = [
        roc_auc_score(words["spurious"], denial(words, matrix.shuffle(seed), y[rows], split))
        for seed in range(N_SHUFFLED)
    ]
    samples = [words.sample(frac=1, replace=True, random_state=k) for k in range(N_BOOTSTRAP)]
    drawn = [roc_auc_score(sample["spurious"], sample["denial"]) for sample in samples]
    often = words[words["n_texts"] >= 10]
    return {
        "n_words": len(words),
        "n_spurious": int(words["spurious"].sum()),
        "n_texts_scored": len(rows),
        "auroc": areas(words),
        "denial_95": np.percentile(drawn, [2.5, 97.5]).round(3).tolist(),
        "denial_shuffled": {"mean": round(np.mean(shuffled), 3), "sd": round(np.std(shuffled), 3)},
        "auroc_in_10_texts_or_more": {"n_words": len(often), **areas(often)},
        "published": PUBLISHED,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(os.environ.get("SKCAP_DATA", "data")) / "kindle_spurious"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--prior", type=Path, help="npz of these texts' prior, made before")
    options = parser.parse_args()
    figures = {**measure(options.data, options.prior), "environment": environment()}
    PATH.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
