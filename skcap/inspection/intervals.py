"""Intervals of paired differences over the splits of a cross-validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skcap.utils.validation import check_number, number

__all__ = ["Interval", "resampled_interval"]


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def resampled_interval(
    differences: ArrayLike, test_to_train: float, *, confidence: float = 0.95
) -> Interval:
    """Compute the corrected resampled t interval of paired differences.

    The training sets of a cross-validation overlap, so its differences vary less than those of
    independent draws, and the usual t interval is too narrow. Nadeau and Bengio correct the
    variance of the mean of J differences from ``s**2 / J`` to ``(1 / J + n_test / n_train) *
    s**2`` [1]_; Bouckaert and Frank use it for repeated folds, as here [2]_.

    Parameters
    ----------
    differences : array of float, shape (n_splits,)
        Score of one method less that of another, split by split.
    test_to_train : float
        Number of test texts over number of training texts: ``1 / (k - 1)`` for k folds.
    confidence : float, default=0.95

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If there are fewer than two differences, or `confidence` is not from 0 to 1.

    References
    ----------
    .. [1] Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    .. [2] Bouckaert and Frank, "Evaluating the Replicability of Significance Tests for Comparing
       Learning Algorithms", PAKDD 2004.

    Examples
    --------
    >>> from skcap.inspection.intervals import resampled_interval
    >>> low, high = resampled_interval([0.02, 0.04, 0.03, 0.03], 0.25)[1:]
    >>> round(low, 4), round(high, 4)
    (0.0116, 0.0484)
    """
    check_number("confidence", confidence, number(0, 1))
    values = np.asarray(differences, dtype=np.float64)
    if values.size < 2:
        raise ValueError(f"an interval needs at least two splits, got {values.size}.")
    mean = float(values.mean())
    error = np.sqrt((1 / values.size + test_to_train) * values.var(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, values.size - 1) * error)
    return Interval(mean, mean - reach, mean + reach)
