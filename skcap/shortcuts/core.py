"""The audit itself, on texts and codes: what an estimator wraps and a guidance calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts.candidates import Candidates, find_candidates
from skcap.shortcuts.denial import measure_denial
from skcap.shortcuts.effects import measure_effects

__all__ = ["audit_words"]


def audit_words(
    predict_proba: Callable[[list[str]], Any] | None,
    texts: Sequence[str],
    codes: np.ndarray,
    classes: np.ndarray,
    prior: PriorMatrix | Callable[[np.ndarray], PriorMatrix] | None = None,
    *,
    fdr: float = 0.1,
    min_texts: int = 3,
    min_purity: float = 0.8,
    least_gain: float = 0.05,
    kinds: Sequence[str] = ("word", "first", "last", "pattern"),
    n_texts: int = 16,
    n_permutations: int = 999,
    random_state: int = 0,
    verbose: int = 0,
) -> pd.DataFrame:
    """Audit texts and what predicts their classes."""
    candidates = find_candidates(texts, codes, len(classes), kinds=kinds, min_texts=min_texts)
    table = candidates.table
    p = [table["p_association"]]
    table.insert(3, "label", pd.Series(classes[table["code"]], dtype=object))
    tested = (table["purity"] >= min_purity).to_numpy()
    if predict_proba is not None:
        some = select_candidates(candidates, tested)
        effects = measure_effects(
            predict_proba,
            texts,
            some,
            n_texts=n_texts,
            least=least_gain,
            seed=random_state,
            verbose=verbose,
        )
        table = add_columns(table, effects, tested)
        p.append(table["p_reliance"])
    if prior is not None:
        some = select_candidates(candidates, tested)
        denial = measure_denial(
            prior, some, codes, n_permutations=n_permutations, seed=random_state
        )
        table = add_columns(table, denial, tested)
        p.append(table["p_denial"])
    table["p"] = np.where(tested, np.max(p, axis=0), 1.0)
    table["q"] = 1.0
    table.loc[tested, "q"] = false_discovery_control(table.loc[tested, "p"])
    return table


def select_candidates(candidates: Candidates, kept: np.ndarray) -> Candidates:
    """Keep some candidates, numbered anew."""
    number = np.cumsum(kept) - 1
    places = candidates.places[kept[candidates.places["candidate"]]]
    places = places.assign(candidate=number[places["candidate"]])
    return Candidates(candidates.table[kept].reset_index(drop=True), places, candidates.patterns)


def add_columns(table: pd.DataFrame, values: pd.DataFrame, tested: np.ndarray) -> pd.DataFrame:
    """Add what was measured for some rows; the p-values of the others are 1."""
    rows = table.index[tested]
    values = values.set_index(rows).reindex(table.index)
    p = [name for name in values if name.startswith("p_")]
    return table.join(values.fillna(dict.fromkeys(p, 1.0)))
