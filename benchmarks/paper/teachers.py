"""Priors by name, fused, and the controls that take the sense out of them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from tqdm.auto import tqdm

from benchmarks import packed_models
from benchmarks.paper.draws import Draw
from benchmarks.paper.settings import Row
from skcap import (
    CAPPriorTransformer,
    HybridPrior,
    IGPriorTransformer,
    LimePriorTransformer,
    PriorMatrix,
    TransformersLLM,
)
from skcap.classifier import GuidedTextClassifier
from skcap.priors.cap import PAPER_FORM
from skcap.priors.precomputed import PrecomputedPrior
from skcap.utils.words import bare, split_words

SCORED_BY_LLM = ("cap", "cap_rivals", "cap_paper", "cap_bfloat16", "cap_gemma", "lime")


def make_prior(row: Row, draw: Draw, seed: int, parameters: dict[str, Any]) -> PriorMatrix:
    """Fuse a row's sources on the training texts of a draw, and apply its control."""
    if row.control in ("random", "uniform"):  # no source is asked for what is then lost
        blank = [np.zeros(len(split_words(text))) for text in draw.X]
        return spoil(PriorMatrix(draw.X, blank), row.control, seed)
    sources = [(name, make_source(name, draw, seed, parameters)) for name in row.sources]
    matrix = HybridPrior(sources).fit_transform(draw.X, draw.y)
    if row.control in ("surest", "least_sure"):
        return half(matrix, confidence(tuple(draw.X), tuple(draw.y)), row.control)
    return matrix if row.control is None else spoil(matrix, row.control, seed)


def make_source(
    name: str,
    draw: Draw | None = None,
    seed: int = 0,
    parameters: dict[str, Any] | None = None,
) -> Any:
    """Make a source of priors; what a language model scores needs no more than its name."""
    if name == "cap":
        return CAPPriorTransformer(teacher(), verbose=1)
    if name == "cap_bfloat16":
        return CAPPriorTransformer(teacher("bfloat16"), verbose=1)
    if name == "cap_rivals":
        return CAPPriorTransformer(teacher(), n_rivals=4, verbose=1)
    if name == "cap_gemma":
        return CAPPriorTransformer(teacher(model=packed_models.folder("gemma-3-270m")), verbose=1)
    if name == "cap_paper":
        return CAPPriorTransformer(teacher(), **PAPER_FORM, verbose=1)
    if name == "lime":
        return LimePriorTransformer(teacher(), num_samples=64, verbose=1)
    if name == "ig":
        own = {**(parameters or {}), "beta": 0, "random_state": seed}
        return IGPriorTransformer(GuidedTextClassifier(**own), n_steps=20)
    if name == "oracle" and draw is not None:
        return PrecomputedPrior(oracle(draw))
    raise ValueError(f"There is no source {name!r}.")


def teacher(dtype: str = "float32", model: str = "smollm2-135m") -> TransformersLLM:
    """Make a language model; of the same type on all machines, so that figures compare."""
    batch_size = 4096 if torch.cuda.is_available() else 512
    return TransformersLLM(model, dtype=dtype, batch_size=batch_size)


def read_prior(
    folder: str, dataset: str, kinds: tuple[str, ...], seed: int, texts: list[str]
) -> PriorMatrix:
    """Collect a prior of `texts` from the files ``<dataset>-<kind>-<seed>.npz`` of a folder.

    Raises
    ------
    KeyError
        If none of the files holds a text.
    """
    scores: dict[str, np.ndarray] = {}
    for kind in kinds:
        made = PriorMatrix.load(Path(folder) / f"{dataset}-{kind}-{seed}.npz")
        scores |= zip(made.texts.tolist(), made.scores, strict=True)
    return PriorMatrix(texts, [scores[text] for text in texts])


def spoil(matrix: PriorMatrix, control: str, seed: int) -> PriorMatrix:
    """Keep the texts and the norm of a prior and lose what it says."""
    rng = np.random.default_rng(seed)
    how = {
        "shuffled": rng.permutation,
        "random": lambda scores: rng.standard_normal(len(scores)),
        "uniform": np.ones_like,
    }[control]
    return PriorMatrix(matrix.texts, [how(scores) for scores in matrix.scores])


def half(matrix: PriorMatrix, confidences: np.ndarray, which: str) -> PriorMatrix:
    """Keep the priors of the half of the texts whose labels the teacher is surest of, or least."""
    order = np.argsort(confidences, kind="stable")
    n_dropped = len(order) // 2
    dropped = {*(order[:n_dropped] if which == "surest" else order[-n_dropped:]).tolist()}
    scores = [
        np.full_like(row, np.nan) if place in dropped else row
        for place, row in enumerate(matrix.scores)
    ]
    return PriorMatrix(matrix.texts, scores)


@functools.lru_cache(maxsize=1)  # both halves of a draw are asked for one after the other
def confidence(texts: tuple[str, ...], labels: tuple[Any, ...]) -> np.ndarray:
    """Log-probability that the teacher gives each text's label, among all labels."""
    prior = make_source("cap").fit(list(texts), np.asarray(labels))
    names, prompt = prior.label_names_, prior.prompt_
    codes = np.searchsorted(prior.classes_, np.asarray(labels))
    scores = np.stack(
        [
            teacher().log_likelihood(
                [text] * len(names), names, prefix=prompt.prefix, suffix=prompt.suffix
            )
            for text in tqdm(texts, desc="confidence", unit="text")
        ]
    )
    n_right = (scores.argmax(axis=1) == codes).sum()
    print(f"The teacher itself is right on {n_right} of {len(texts)} training texts.", flush=True)
    return np.asarray(log_softmax(scores, axis=1)[np.arange(len(texts)), codes])


def oracle(draw: Draw) -> PriorMatrix:
    """Weigh words by a linear model of all training texts: what no teacher could know so well."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(analyzer=bare_words, sublinear_tf=True)
    model = LogisticRegression(C=30, max_iter=500)
    model.fit(vectorizer.fit_transform(draw.X_pool), draw.y_pool)
    weights = (model.coef_ - model.coef_.mean(axis=0)) * vectorizer.idf_
    row_of = {label: row for row, label in enumerate(model.classes_)}
    column = vectorizer.vocabulary_
    scores = [
        np.array([weights[row_of[y], column[w]] if w in column else 0.0 for w in bare_words(text)])
        for text, y in zip(draw.X, draw.y, strict=True)
    ]
    return PriorMatrix(draw.X, scores)


def bare_words(text: str) -> list[str]:
    """Give the words of a text in the form in which they are compared, "" for punctuation."""
    return [bare(word) for word in split_words(text)]
