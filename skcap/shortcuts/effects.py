"""What a candidate does to predictions, where it is put in and where it is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from skcap.shortcuts.candidates import NEAR, Candidates
from skcap.shortcuts.patterns import Pattern
from skcap.utils.progress import show_progress
from skcap.utils.seeds import content_seed
from skcap.utils.words import split_words

__all__ = ["Predict", "measure_effects", "predict_texts"]

#: From texts to probabilities of the classes, shape (n_texts, n_classes).
Predict: TypeAlias = Callable[[list[str]], Any]

_ROWS = 4096  # texts of one call: few calls, and progress is seen
_LEAST = 1e-6  # probabilities below it count as it: float32 rounds 1 - p


class _Edit(NamedTuple):
    """A text with a candidate put in or taken away."""

    candidate: int
    inserted: bool
    text: int
    edited: str


def measure_effects(
    predict: Sequence[Predict],
    folds: np.ndarray,
    texts: Sequence[str],
    candidates: Candidates,
    *,
    n_texts: int,
    least_odds: float,
    seed: int,
    verbose: int = 0,
    before: np.ndarray | None = None,
) -> pd.DataFrame:
    """Put candidates into texts of other classes, and take them out of those of their own.

    Parameters
    ----------
    predict : sequence of callables
        From texts to probabilities, classes in the order of the candidates' codes.
    folds : ndarray of int, shape (n_texts,)
        Which of `predict` speaks about a text.
    texts : sequence of str, length n_texts
    candidates : Candidates
        Texts of other classes are those that are taken for another class than the candidate's.
    n_texts : int
        Most texts that a candidate is put into, and that it is taken out of.
    least_odds : float
        The odds of the class must rise by more than this factor for a low p-value.
    seed : int
        Of the texts that are drawn.
    verbose : int, default=0
        1 shows progress.
    before : ndarray of float, shape (n_texts, n_classes), or None, default=None
        What :func:`predict_texts` gives for `texts`; None asks for it.

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, 6)
        `gain`, what the probability of the class rises by where the candidate is put in, on
        average; `log_odds`, the same for the natural logarithm of its odds; `flips`, the share of
        these predictions that turn into the class; `loss` and `unflips`, what the probability
        falls by where the candidate is taken away, and the share of predictions of the class that
        turn into another; and `p_reliance`, of a one-sided t-test that `log_odds` is above
        ``log(least_odds)``. NaN, and 1 for the p-value, where there was no text for it.
    """
    if before is None:
        before = predict_texts(predict, folds, texts, verbose)
    edits = pd.DataFrame(
        _make_edits(texts, candidates, before.argmax(axis=1), n_texts, seed), columns=_Edit._fields
    ).astype({"candidate": np.int64, "inserted": bool, "text": np.int64})
    text = edits["text"].to_numpy()
    after = predict_texts(predict, folds[text], edits["edited"].tolist(), verbose)
    code = candidates.table["code"].to_numpy()[edits["candidate"]]
    was, now = before[text, code], after[np.arange(len(edits)), code]
    edits["change"], edits["log_odds"] = now - was, _log_odds(now) - _log_odds(was)
    edits["turned"] = (before[text].argmax(axis=1) == code) != (after.argmax(axis=1) == code)
    return _summarise(edits, len(candidates.table), float(np.log(least_odds)))


def _log_odds(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, _LEAST, 1 - _LEAST)
    return np.log(p) - np.log1p(-p)


def _summarise(edits: pd.DataFrame, n_candidates: int, least: float) -> pd.DataFrame:
    """Average over the texts of each candidate."""
    put = edits[edits["inserted"]].groupby("candidate")
    taken = edits[~edits["inserted"]].groupby("candidate")
    summary = pd.DataFrame(
        {
            "gain": put["change"].mean(),
            "log_odds": put["log_odds"].mean(),
            "flips": put["turned"].mean(),
            "loss": -taken["change"].mean(),
            "unflips": taken["turned"].mean(),
            "p_reliance": put["log_odds"].agg(lambda rise: _p_above(rise.to_numpy(), least)),
        },
        index=range(n_candidates),
        dtype=float,
    )
    return summary.fillna({"p_reliance": 1.0})


def _p_above(values: np.ndarray, least: float) -> float:
    """Test whether the mean is above `least`; with no spread there is nothing left to chance."""
    if len(values) < 2:
        return 1.0
    if np.ptp(values) < 1e-9:
        return float(values[0] <= least + 1e-9)  # rounding must not decide a tie
    return float(ttest_1samp(values, least, alternative="greater").pvalue)


def predict_texts(
    predict: Sequence[Predict], folds: np.ndarray, texts: Sequence[str], verbose: int
) -> np.ndarray:
    """Predict in few calls, equal texts once.

    Parameters
    ----------
    predict, folds, texts, verbose
        As in :func:`measure_effects`.

    Returns
    -------
    ndarray of float, shape (n_texts, n_classes)
    """
    pairs = list(zip(folds.tolist(), texts, strict=True))
    row_of = {pair: row for row, pair in enumerate(sorted(set(pairs)))}
    unique = list(row_of)
    calls = [
        (fold, [text for f, text in unique[start : start + _ROWS] if f == fold])
        for start in range(0, len(unique), _ROWS)
        for fold in sorted({fold for fold, _ in unique[start : start + _ROWS]})
    ]
    parts = []
    with show_progress(len(unique), "audit", "text", verbose=verbose) as progress:
        for fold, batch in calls:
            parts.append(np.asarray(predict[fold](batch), dtype=float))
            progress.update(len(batch))
    rows = [row_of[pair] for pair in pairs]
    return np.concatenate(parts)[rows] if parts else np.empty((0, 1))


def _make_edits(
    texts: Sequence[str], candidates: Candidates, predicted: np.ndarray, n_texts: int, seed: int
) -> Iterator[_Edit]:
    """Make the texts whose predictions say what each candidate does."""
    words = [split_words(text) for text in texts]
    full = np.array([len(row) > 0 for row in words])
    columns = ("kind", "word", "code", "mark")
    kinds, names, codes, marks = (candidates.table[column].tolist() for column in columns)
    for candidate, places in candidates.places.groupby("candidate"):
        kind, code = kinds[candidate], codes[candidate]
        pattern = candidates.patterns[names[candidate]] if kind == "pattern" else None
        if pattern is not None and pattern.insert is None:
            continue
        # All words of a mark get the same edits, of which each is asked for once.
        name = marks[candidate] if kind == "mark" else names[candidate]
        rng = np.random.default_rng(content_seed(seed, kind, name))
        at = {text: group.to_numpy() for text, group in places.groupby("text")["position"]}
        own = np.array(list(at))
        others = np.setdiff1d(np.flatnonzero(full & (predicted != code)), own)
        for text in rng.permutation(others)[:n_texts].tolist():
            source = int(rng.choice(own))
            n_words = 2 if kind == "phrase" else 1
            run = _longest_run(at[source]) if kind == "mark" else at[source][:n_words]
            edited = _insert(kind, pattern, words[text], words[source], run)
            yield _Edit(candidate, True, text, " ".join(edited))
        for text in rng.permutation(own[predicted[own] == code])[:n_texts].tolist():
            edited = _remove(pattern, words[text], at[text])
            if edited:
                yield _Edit(candidate, False, text, " ".join(edited))


def _longest_run(places: np.ndarray) -> np.ndarray:
    """Give those of some places that are near each other: the words of one mark."""
    return max(np.split(places, np.flatnonzero(np.diff(places) > NEAR) + 1), key=len)


def _insert(
    kind: str, pattern: Pattern | None, words: list[str], source: list[str], places: np.ndarray
) -> list[str]:
    """Put what stands at some places of the source into other words, where the first of it is."""
    put = [source[place] for place in places]
    if pattern is not None and pattern.insert is not None:
        return pattern.insert(words, put[0])
    # Where a text is nothing but the word, its first place is its last one, too.
    before = 1.0 if kind == "last" else int(places[0]) / max(1, len(source) - len(put))
    at = round(before * len(words))
    return [*words[:at], *put, *words[at:]]


def _remove(pattern: Pattern | None, words: list[str], places: np.ndarray) -> list[str]:
    """Take what stands at some places away from the words."""
    gone = set(places.tolist())
    if pattern is None or pattern.remove is None:
        return [word for place, word in enumerate(words) if place not in gone]
    edited = [pattern.remove(w) if place in gone else w for place, w in enumerate(words)]
    return [word for word in edited if word]
