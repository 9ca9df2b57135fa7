"""The audit itself, on texts and codes: what an estimator wraps and a guidance calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts.candidates import Candidates, find_candidates, select_candidates
from skcap.shortcuts.denial import deny_families, mean_shares, measure_denial
from skcap.shortcuts.effects import Predict, measure_effects
from skcap.shortcuts.patterns import Pattern

__all__ = ["audit_words"]

_LEVEL = 0.05  # of the tests of association and reliance, which come before that of denial


def audit_words(
    predict: Sequence[Predict],
    texts: Sequence[str],
    codes: np.ndarray,
    classes: np.ndarray,
    attribute: Callable[[np.ndarray], PriorMatrix] | None = None,
    *,
    explain: Callable[[np.ndarray], PriorMatrix] | None = None,
    folds: np.ndarray | None = None,
    fdr: float = 0.1,
    kinds: Sequence[str] = ("word", "first", "last", "pattern"),
    min_texts: int = 2,
    min_purity: float = 0.8,
    least_odds: float = 2.0,
    max_candidates: int | None = 500,
    n_texts: int = 16,
    n_permutations: int = 1999,
    seed: int = 0,
    verbose: int = 0,
) -> pd.DataFrame:
    """Audit texts, what predicts their classes, and what a prior says about them.

    Parameters
    ----------
    predict : sequence of callables
        Each from a list of texts to probabilities, shape (n_texts, n_classes). One for each fold,
        or none: then reliance is not tested.
    texts : sequence of str, length n_texts
    codes : ndarray of int, shape (n_texts,)
        Class of each text, as a position in `classes`.
    classes : ndarray, shape (n_classes,)
    attribute : callable or None, default=None
        From rows of `texts` to their prior, asked once at most. None tests no denial.
    explain : callable or None, default=None
        From rows of `texts` to the classifier's own attribution. None reports none.
    folds : ndarray of int, shape (n_texts,), or None, default=None
        Which of `predict` speaks about a text. None is the first for all.
    fdr, kinds, min_texts, min_purity, least_odds, max_candidates, n_texts, n_permutations, verbose
        As in :class:`skcap.shortcuts.ShortcutAudit`.
    seed : int, default=0

    Returns
    -------
    pandas.DataFrame, shape (n_candidates, n_columns)
        See ``ShortcutAudit.words_``.
    """
    every = find_candidates(texts, codes, len(classes), kinds=kinds, min_texts=min_texts)
    table = every.table
    table.insert(2, "label", pd.Series(classes[table["code"]], dtype=object))
    goes = _goes_with_class(table, min_purity)
    rank = table["z"].where(goes).rank(ascending=False, method="first")
    table["tested"] = goes if max_candidates is None else goes & (rank <= max_candidates)
    table["left_out"] = goes & ~table["tested"]
    if predict:
        folds = np.zeros(len(texts), dtype=np.int64) if folds is None else folds
        effects = measure_effects(
            predict,
            folds,
            texts,
            select_candidates(every, table["tested"]),
            n_texts=n_texts,
            least_odds=least_odds,
            seed=seed,
            verbose=verbose,
        )
        table = _join(table, effects, table["tested"])
    relied = table["tested"] & (table.get("p_reliance", 0.0) <= _LEVEL)
    candidates = select_candidates(every, relied)
    if explain is not None:
        own = mean_shares(_ask(explain, candidates, codes, n_texts, seed), candidates, codes)
        table = _join(table, own.to_frame("explained"), relied)
    if attribute is not None:
        denial = measure_denial(
            _ask(attribute, candidates, codes, n_texts, seed),
            candidates,
            codes,
            n_permutations=n_permutations,
            seed=seed,
        )
        families = deny_families(denial.assign(family=candidates.table["family"]), fdr)
        table = _join(table, denial.join(families), relied)
    return _decide(table, every.patterns, fdr)


def _goes_with_class(table: pd.DataFrame, min_purity: float) -> pd.Series:
    return (table["p_association"] <= _LEVEL) & (table["purity"] >= min_purity)


def _join(table: pd.DataFrame, values: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """Add what was measured for some rows; p-values of the others are 1."""
    values = values.set_index(table.index[rows]).reindex(table.index)
    p_values = [name for name in values if name.startswith("p_")]
    return table.join(values.fillna(dict.fromkeys(p_values, 1.0)))


def _ask(
    attribute: Callable[[np.ndarray], PriorMatrix],
    candidates: Candidates,
    codes: np.ndarray,
    n_texts: int,
    seed: int,
) -> dict[int, np.ndarray]:
    """Get shares of the words in texts that have candidates, at most so many for each of these."""
    pairs = candidates.places[["candidate", "text"]].drop_duplicates()
    code = candidates.table["code"].to_numpy()[pairs["candidate"]]
    pairs = pairs[codes[pairs["text"]] == code].sample(frac=1, random_state=seed % 2**32)
    rows = np.unique(pairs.groupby("candidate").head(n_texts)["text"])
    if not len(rows):
        return {}
    return dict(zip(rows.tolist(), attribute(rows).normalize("sum").scores, strict=True))


def _decide(table: pd.DataFrame, patterns: Mapping[str, Pattern], fdr: float) -> pd.DataFrame:
    """Bring the tests together: a p-value, a q-value and a verdict for each candidate."""
    reliance = np.maximum(table["p_association"], table.get("p_reliance", 0.0))
    relied = table["tested"] & (reliance <= _LEVEL)
    judged = np.array([name not in patterns or patterns[name].whole for name in table["word"]])
    table["p"], table["q"], table["by"] = 1.0, 1.0, ""
    if "p_denied" not in table:
        tests = [("reliance", table["tested"], reliance)]
    else:
        by_family = table["q_family"].notna()
        table.loc[by_family, ["p", "q"]] = table.loc[by_family, ["p_family", "q_family"]].values
        table.loc[by_family, "by"] = "family"
        tests = [
            ("denial", relied & judged & ~by_family, table["p_denied"]),
            ("reliance", table["tested"] & ~judged, reliance),
        ]
    for name, rows, p in tests:
        if rows.any():
            table.loc[rows, "p"] = p[rows]
            table.loc[rows, "q"] = false_discovery_control(p[rows])
            table.loc[rows, "by"] = name
    table["shortcut"] = (table["q"] <= fdr) & (reliance <= _LEVEL) & ~_is_part(table, fdr)
    return table.sort_values(["q", "z"], ascending=[True, False], ignore_index=True, kind="stable")


def _is_part(table: pd.DataFrame, fdr: float) -> pd.Series:
    """Find words at a place, and phrases, whose word is flagged wherever it stands."""
    flagged = set(table.loc[(table["q"] <= fdr) & (table["kind"] == "word"), "word"])
    return pd.Series(
        [
            kind in ("first", "last", "phrase") and not flagged.isdisjoint(word.split())
            for kind, word in zip(table["kind"], table["word"], strict=True)
        ],
        index=table.index,
        dtype=bool,
    )
