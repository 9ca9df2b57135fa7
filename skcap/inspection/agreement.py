"""Agreement of priors with one another."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from skcap.prior_matrix import PriorMatrix, check_same_texts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["correlation_table", "prior_correlation"]


def prior_correlation(
    a: PriorMatrix, b: PriorMatrix, *, normalize: str | None = None, per_text: bool = False
) -> float | np.ndarray:
    """Correlate the word scores of two priors of the same texts (Pearson's r).

    Priors that agree closely ("homogenisation") teach a model little more together than each alone.

    Parameters
    ----------
    a, b : PriorMatrix of length n_texts
        Words without a score in one of them are left out.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default=None
        Norm of each text's scores before they are correlated. None takes the scores as they are: if
        all words are pooled, texts with large scores count most, and agreement within texts cannot
        be separated from agreement between them. "l2" gives all texts the same weight, as training
        does by default.
    per_text : bool, default=False
        Correlate the words within each text, instead of all words of all texts at once.

    Returns
    -------
    float, or ndarray of float64 of shape (n_texts,) if `per_text`
        From -1 to 1. NaN where fewer than two words have both scores, or all scores of one prior
        are the same; over all words, this comes with a warning.

    Raises
    ------
    TypeError
        If one of the priors is no PriorMatrix.
    ValueError
        If the texts differ, or `normalize` is unknown.

    Examples
    --------
    >>> from skcap.inspection import prior_correlation
    >>> from skcap.prior_matrix import PriorMatrix
    >>> texts = ["lost my card", "play jazz"]
    >>> cap = PriorMatrix(texts, [[3, 1, 2], [1, 2]])
    >>> lime = PriorMatrix(texts, [[2, 1, 3], [2, 4]])
    >>> prior_correlation(cap, lime, per_text=True)
    array([0.5, 1. ])
    """
    check_same_texts([a, b], ["a", "b"])
    a, b = a.normalize(normalize), b.normalize(normalize)
    if per_text:
        return np.array([_pearson(x, y) for x, y in zip(a.scores, b.scores, strict=True)])
    r = _pearson(_all_scores(a), _all_scores(b))
    if np.isnan(r):
        warnings.warn(
            "The correlation is undefined, NaN: fewer than two words have a score in both priors, "
            "or all scores of one of them are the same.",
            stacklevel=2,
        )
    return r


def _all_scores(prior: PriorMatrix) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=np.float32), *prior.scores])


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    both = ~(np.isnan(x) | np.isnan(y))
    # Not by the standard deviation: that of equal numbers need not be exactly zero.
    if both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(x[both].astype(np.float64), y[both].astype(np.float64))[0, 1])


def correlation_table(
    sources: Mapping[str, PriorMatrix], *, normalize: str | None = None
) -> pd.DataFrame:
    """Correlate every prior with every other, over all words.

    Parameters
    ----------
    sources : mapping of str to PriorMatrix, n sources
        Priors of the same texts by name.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default=None
        As for :func:`prior_correlation`.

    Returns
    -------
    pandas.DataFrame, shape (n, n)
        Pearson's r, symmetric, with ones on the diagonal.

    Raises
    ------
    TypeError
        If one of the priors is no PriorMatrix.
    ValueError
        If the texts differ, or `normalize` is unknown.

    Examples
    --------
    >>> from skcap.inspection import correlation_table
    >>> from skcap.prior_matrix import PriorMatrix
    >>> cap = PriorMatrix(["lost my card"], [[3, 1, 2]])
    >>> lime = PriorMatrix(["lost my card"], [[2, 1, 3]])
    >>> correlation_table({"CAP": cap, "LIME": lime})
          CAP  LIME
    CAP   1.0   0.5
    LIME  0.5   1.0
    """
    import pandas as pd

    names = list(sources)
    check_same_texts(list(sources.values()), [str(name) for name in names])
    table = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for row, first in enumerate(names):
        for column, second in enumerate(names[:row]):
            r = prior_correlation(sources[first], sources[second], normalize=normalize)
            table.iloc[row, column] = table.iloc[column, row] = r
    return table
