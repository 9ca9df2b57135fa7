"""Calibration: whether a classifier is right as often as its probabilities say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics._checks import check_probabilities
from skcap.metrics._queries import class_columns
from skcap.utils.validation import check_number, integer

__all__ = ["expected_calibration_error"]


def expected_calibration_error(
    y_true: ArrayLike, proba: ArrayLike, n_bins: int = 15, *, classes: ArrayLike | None = None
) -> float:
    """Mean gap between confidence and accuracy, over bins of confidence; lower is better.

    The texts are sorted into bins of equal width by the probability of the predicted class. The gap
    of a bin is the difference between its mean probability and its accuracy, and bins are weighted
    by their number of texts [1]_.

    Parameters
    ----------
    y_true : array of shape (n_texts,)
        True labels.
    proba : array of float, shape (n_texts, n_classes)
        As ``predict_proba`` returns them.
    n_bins : int, default=15
        Number of bins from 0 to 1. The default is that of [1]_; the value depends on it, so compare
        values of the same number only.
    classes : array of shape (n_classes,), default=None
        Class of each column of `proba`. Without it, `y_true` holds column numbers.

    Returns
    -------
    float
        From 0 to 1; 0 for perfect calibration. With few texts it is above 0 by chance.

    Raises
    ------
    ValueError
        If there is no text, `proba` does not hold probabilities, `n_bins` is below 1, or `y_true`
        holds a label that is not in `classes`.

    References
    ----------
    .. [1] Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Examples
    --------
    >>> from skcap.metrics import expected_calibration_error
    >>> proba = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]
    >>> y_true, classes = ["fee", "pin", "pin"], ["fee", "pin"]
    >>> round(expected_calibration_error(y_true, proba, classes=classes), 3)  # (2 * 0.4 + 0.4) / 3
    0.4
    """
    check_number("n_bins", n_bins, integer(1))
    probabilities = check_probabilities("proba", proba)
    if not len(probabilities):
        raise ValueError("proba is empty; there is nothing to average over.")
    columns = class_columns(y_true, classes, probabilities.shape, "y_true")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == columns
    # A confidence on an edge belongs to the bin below it, as in [1].
    edges = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
    bins = np.searchsorted(edges, confidence, side="left")
    gaps = np.bincount(bins, weights=confidence - right, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(confidence))
