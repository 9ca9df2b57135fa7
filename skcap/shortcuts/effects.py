"""What a candidate does to predictions, where it is put in and where it is taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from tqdm.auto import tqdm

from skcap.shortcuts.candidates import Candidates
from skcap.shortcuts.patterns import Pattern
from skcap.utils.words import split_words

__all__ = ["measure_effects"]

_ROWS = 4096  # texts of one call of predict_proba: few calls, and progress is seen


class _Edit(NamedTuple):
    """A text with a candidate put in or taken away."""

    candidate: int
    inserted: bool
    text: int
    edited: str


def measure_effects(
    predict_proba: Callable[[list[str]], Any],
    texts: Sequence[str],
    candidates: Candidates,
    *,
    n_texts: int,
    least: float,
    seed: int,
    verbose: int = 0,
) -> pd.DataFrame:
    """Put candidates into texts of other classes, and take them out of those of their own.

    Parameters
    ----------
    predict_proba : callable
        From a list of texts to probabilities, shape (n_texts, n_classes), classes in the order of
        the candidates' codes.
    texts : sequence of str, length n_texts
    candidates : Candidates
        Whose column `code` says which class they go with; texts of other classes are those that
        the model takes for another one.
    n_texts : int
        Most texts that a candidate is put into, and that it is taken out of.
    least : float
        What p-values compare the mean gain with.
    seed : int
        Of the texts that are drawn.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, 5)
        Columns `gain`, what the class's probability rises by where the candidate is put in, on
        average; `flips`, the share of these predictions that turn into that class; `loss` and
        `unflips`, the same where it is taken away, for the class's probability and for predictions
        that were of that class; and `p_reliance`, of a one-sided t-test that the gain is above
        `least`. NaN (and 1 for the p-value) where nothing could be put in or taken away.
    """
    before = np.asarray(predict_proba(list(texts)))
    edits = list(_make_edits(texts, candidates, before.argmax(axis=1), n_texts, seed))
    after = _predict(predict_proba, [edit.edited for edit in edits], before.shape[1], verbose)
    frame = pd.DataFrame(edits, columns=_Edit._fields)
    code = candidates.table["code"].to_numpy()[frame["candidate"]]
    rows = np.arange(len(frame))
    frame["change"] = after[rows, code] - before[frame["text"], code]
    was = before.argmax(axis=1)[frame["text"]] == code
    frame["turned"] = was != (after.argmax(axis=1) == code)
    return _summarise(frame, len(candidates.table), least)


def _summarise(frame: pd.DataFrame, n_candidates: int, least: float) -> pd.DataFrame:
    """Average over the texts of each candidate."""
    every = range(n_candidates)
    put, taken = frame[frame["inserted"]], frame[~frame["inserted"]]
    gains = put.groupby("candidate")["change"]
    return pd.DataFrame(
        {
            "gain": gains.mean().reindex(every),
            "flips": put.groupby("candidate")["turned"].mean().reindex(every),
            "loss": -taken.groupby("candidate")["change"].mean().reindex(every),
            "unflips": taken.groupby("candidate")["turned"].mean().reindex(every),
            "p_reliance": gains.agg(lambda gain: _p_above(gain.to_numpy(), least))
            .reindex(every)
            .fillna(1.0),
        }
    )


def _p_above(values: np.ndarray, least: float) -> float:
    """Test whether the mean is above `least`; with no spread there is nothing left to chance."""
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return float(len(values) < 2 or values[0] <= least)
    return float(ttest_1samp(values, least, alternative="greater").pvalue)


def _predict(
    predict_proba: Callable[[list[str]], Any], texts: list[str], n_classes: int, verbose: int
) -> np.ndarray:
    """Predict in few calls, equal texts once."""
    unique = list(dict.fromkeys(texts))
    starts = range(0, len(unique), _ROWS)
    parts = [
        np.asarray(predict_proba(unique[start : start + _ROWS]))
        for start in tqdm(starts, desc="audit", unit="call", disable=not verbose)
    ]
    row_of = {text: row for row, text in enumerate(unique)}
    rows = np.array([row_of[text] for text in texts], dtype=np.int64)
    return np.concatenate([np.empty((0, n_classes)), *parts])[rows]


def _make_edits(
    texts: Sequence[str], candidates: Candidates, predicted: np.ndarray, n_texts: int, seed: int
) -> Iterator[_Edit]:
    """Make the texts whose predictions say what each candidate does."""
    words = [split_words(text) for text in texts]
    full = np.array([len(row) > 0 for row in words])
    for candidate, places in candidates.places.groupby("candidate"):
        kind, word, code = candidates.table.loc[candidate, ["kind", "word", "code"]]
        pattern = candidates.patterns[word] if kind == "pattern" else None
        if pattern is not None and pattern.insert is None:
            continue
        rng = np.random.default_rng([seed, candidate])
        at = {text: group.to_numpy() for text, group in places.groupby("text")["position"]}
        own = np.array(list(at))
        others = np.setdiff1d(np.flatnonzero(full & (predicted != code)), own)
        for text in rng.permutation(others)[:n_texts].tolist():
            source = int(rng.choice(own))
            edited = _insert(kind, pattern, words[text], words[source], int(at[source][0]))
            yield _Edit(candidate, True, text, " ".join(edited))
        for text in rng.permutation(own[predicted[own] == code])[:n_texts].tolist():
            edited = _remove(pattern, words[text], at[text])
            if edited:
                yield _Edit(candidate, False, text, " ".join(edited))


def _insert(
    kind: str, pattern: Pattern | None, words: list[str], source: list[str], place: int
) -> list[str]:
    """Put what stands at a place of the source into other words, at about the same place."""
    if pattern is not None and pattern.insert is not None:
        return pattern.insert(words, source[place])
    n_words = 2 if kind == "phrase" else 1
    before = place / max(1, len(source) - n_words)
    at = round(before * len(words))
    return [*words[:at], *source[place : place + n_words], *words[at:]]


def _remove(pattern: Pattern | None, words: list[str], places: np.ndarray) -> list[str]:
    """Take what stands at some places away from the words."""
    remove = pattern.remove if pattern is not None and pattern.remove is not None else _drop
    gone = set(places.tolist())
    edited = [remove(word) if place in gone else word for place, word in enumerate(words)]
    return [word for word in edited if word]


def _drop(word: str) -> str:
    return ""
