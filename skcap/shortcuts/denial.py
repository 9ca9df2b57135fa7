"""Whether a prior denies what a model goes by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts.candidates import Candidates

__all__ = ["measure_denial"]


def measure_denial(
    prior: PriorMatrix, candidates: Candidates, codes: np.ndarray, *, n_permutations: int, seed: int
) -> pd.DataFrame:
    """Compare what a prior gives to candidates with what it would give if it were shuffled.

    Parameters
    ----------
    prior : PriorMatrix of length n_texts
    candidates : Candidates
        Of these texts.
    codes : ndarray of int, shape (n_texts,)
        Class of each text: only texts of a candidate's own class speak, since a prior's scores are
        for a text's label.
    n_permutations : int
        Number of times that the scores of each text are shuffled.
    seed : int

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, 3)
        `prior`, the mean share of all that the prior attributes in a text, from -1 to 1;
        `expected`, the mean share under shuffling; `p_denial`, of shares as low as these under
        shuffling. NaN and 1 where the prior has no scores for a candidate.
    """
    shares = prior.normalize("sum").scores
    rng = np.random.default_rng(seed)
    label = candidates.table["code"].to_numpy()
    results = np.full((len(label), 3), [np.nan, np.nan, 1.0])
    for candidate, places in candidates.places.groupby("candidate"):
        own = places[codes[places["text"]] == label[candidate]]
        groups = [(shares[text], at.to_numpy()) for text, at in own.groupby("text")["position"]]
        scored = [(row, at) for row, at in groups if np.isfinite(row[at]).any() and len(row) > 1]
        if scored:
            results[candidate] = _shuffled(scored, n_permutations, rng)
    return pd.DataFrame(results, columns=["prior", "expected", "p_denial"])


def _shuffled(
    scored: list[tuple[np.ndarray, np.ndarray]], n_permutations: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Mean share, mean expected share, and permutation p-value of one candidate."""
    observed, expected, null = 0.0, 0.0, np.zeros(n_permutations)
    for row, at in scored:
        known = row[np.isfinite(row)]
        n_places = min(int(np.isfinite(row[at]).sum()), len(known))
        observed += np.nansum(row[at]) / n_places
        expected += known.mean()
        drawn = rng.random((n_permutations, len(known))).argsort(axis=1)[:, :n_places]
        null += known[drawn].mean(axis=1)
    # A tolerance, so that equal sums in another order of adding count as equal.
    p = (1 + np.count_nonzero(null <= observed + 1e-9)) / (1 + n_permutations)
    return observed / len(scored), expected / len(scored), p
