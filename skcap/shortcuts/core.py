"""The audit itself, on texts and codes: what an estimator wraps and a guidance calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts.candidates import (
    Candidates,
    find_candidates,
    select_candidates,
    whole_marks,
)
from skcap.shortcuts.denial import (
    deny_families,
    mean_shares,
    measure_denial,
    measure_understanding,
)
from skcap.shortcuts.effects import Predict, measure_effects, predict_texts
from skcap.shortcuts.verdict import LEVEL, add_verdict, is_judged, is_relied_on

__all__ = ["audit_words", "shares_of"]


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
    least_odds: float = 1.5,
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

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.shortcuts import audit_words
    >>> texts = ["ann: a b", "ann: c d", "bob: a d", "bob: c b"]
    >>> words = audit_words([], texts, np.array([0, 0, 1, 1]), np.array(["x", "y"]))
    >>> sorted(words.loc[words["purity"] == 1, "word"])
    ['ann', 'bob']
    """
    every = find_candidates(texts, codes, len(classes), kinds=kinds, min_texts=min_texts)
    table = _test_association(every.table.copy(), classes, min_purity, max_candidates)
    if predict:
        candidates = select_candidates(every, table["tested"])
        folds = np.zeros(len(texts), dtype=np.int64) if folds is None else folds
        measure = partial(
            measure_effects,
            predict,
            folds,
            texts,
            before=predict_texts(predict, folds, texts, verbose),
            n_texts=n_texts,
            least_odds=least_odds,
            seed=seed,
            verbose=verbose,
        )
        # No word of "sent from my phone" may sway a model, and all of them together may.
        effects = _measure(candidates, measure, lambda found: found["p_reliance"] > LEVEL)
        table = _join(table, effects, table["tested"])
    relied = is_relied_on(table)
    if explain is not None:
        candidates = select_candidates(every, relied)
        holding = _rows_holding(candidates, codes, n_texts, seed)
        own = mean_shares(_ask(explain, holding), candidates, codes)
        table = _join(table, own.to_frame("explained"), relied)
    if attribute is not None:
        judged = relied & is_judged(table)
        candidates = select_candidates(every, judged)
        drawn = _rows_of_classes(candidates, codes, n_texts, seed)
        holding = _rows_holding(candidates, codes, n_texts, seed)
        shares = _ask(attribute, np.union1d(holding, drawn))
        of_drawn = {row: shares[row] for row in drawn.tolist()}

        def measure_prior(some: Candidates) -> pd.DataFrame:
            found = measure_denial(shares, some, codes, n_permutations=n_permutations, seed=seed)
            return found.assign(understood=measure_understanding(of_drawn, some, codes))

        # A word that the prior speaks for is no part of the mark that it stands beside.
        denial = _measure(
            candidates, measure_prior, lambda found: found["prior"] <= found["expected"]
        )
        families = deny_families(denial.join(candidates.table[["family", "code"]]), fdr)
        table = _join(table, denial.join(families), judged)
    return add_verdict(table, fdr)


def _measure(
    candidates: Candidates,
    measure: Callable[[Candidates], pd.DataFrame],
    is_part: Callable[[pd.DataFrame], pd.Series],
) -> pd.DataFrame:
    """Measure candidates, and anew as one those that are parts of the same mark."""
    found = measure(candidates)
    rows, marks = whole_marks(candidates, is_part(found).to_numpy())
    if rows.any():
        found[rows] = measure(marks).to_numpy()
    return found


def _test_association(
    table: pd.DataFrame, classes: np.ndarray, min_purity: float, most: int | None
) -> pd.DataFrame:
    """Name the class of each candidate, and choose which to test, the strongest first."""
    table.insert(0, "label", pd.Series(classes[table.pop("code")], dtype=object))
    table.insert(0, "word", table.pop("word"))
    goes = (table["p_association"] <= LEVEL) & (table["purity"] >= min_purity)
    rank = table["z"].where(goes).rank(ascending=False, method="first")
    table["tested"] = goes if most is None else goes & (rank <= most)
    table["left_out"] = goes & ~table["tested"]
    return table


def _join(table: pd.DataFrame, values: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """Add what was measured for some rows; p-values of the others are 1, counts 0."""
    values = values.set_index(table.index[rows]).reindex(table.index)
    fill = dict.fromkeys([name for name in values if name.startswith("p_")], 1.0)
    values = values.fillna(fill | {"n_scored": 0} if "n_scored" in values else fill)
    return table.join(values.astype({"n_scored": np.int64} if "n_scored" in values else {}))


def _rows_holding(candidates: Candidates, codes: np.ndarray, n_texts: int, seed: int) -> np.ndarray:
    """Draw texts of its class that hold a candidate, at most so many for each."""
    pairs = candidates.places[["candidate", "text"]].drop_duplicates()
    code = candidates.table["code"].to_numpy()[pairs["candidate"]]
    pairs = pairs[codes[pairs["text"]] == code]
    return _draw(pairs, "candidate", n_texts, seed)


def _rows_of_classes(
    candidates: Candidates, codes: np.ndarray, n_texts: int, seed: int
) -> np.ndarray:
    """Draw texts of the classes that candidates go with, at most so many of each class."""
    rows = np.flatnonzero(np.isin(codes, candidates.table["code"]))
    return _draw(pd.DataFrame({"text": rows, "code": codes[rows]}), "code", n_texts, seed)


def _draw(texts: pd.DataFrame, by: str, n_texts: int, seed: int) -> np.ndarray:
    """Draw at most so many texts of each group, and give all of them in order."""
    mixed = texts.sample(frac=1, random_state=seed % 2**32)
    return np.unique(mixed.groupby(by).head(n_texts)["text"])


def _ask(attribute: Callable[[np.ndarray], PriorMatrix], rows: np.ndarray) -> dict[int, np.ndarray]:
    """Get shares of the words in some of the texts."""
    if not len(rows):
        return {}
    return dict(zip(rows.tolist(), map(shares_of, attribute(rows).scores), strict=True))


def shares_of(scores: np.ndarray) -> np.ndarray:
    """Divide by the sum of absolute scores, in float64, where equal sums come out as equal.

    Parameters
    ----------
    scores : ndarray of float, shape (n_words,)
        Of one text; NaN for a word without a score.

    Returns
    -------
    ndarray of float64, shape (n_words,)
    """
    scores = scores.astype(np.float64)
    return scores / (np.nansum(np.abs(scores)) or 1.0)
