"""Out-of-scope detection: whether a classifier notices texts that belong to none of its classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score, roc_curve

from skcap.metrics._checks import check_probabilities, finite_array
from skcap.utils.validation import check_choice, check_number, number

__all__ = ["auroc_out_of_scope", "fpr_at_95_tpr", "out_of_scope_scores"]


def out_of_scope_scores(
    outputs: ArrayLike, method: str = "max_probability", *, temperature: float = 1.0
) -> np.ndarray:
    """Score how likely each text is out of scope; higher is more likely.

    Parameters
    ----------
    outputs : array of float, shape (n_texts, n_classes), or (n_texts,) for logits of two classes
        Probabilities, as ``predict_proba`` returns them, for "max_probability"; logits, as
        ``decision_function`` returns them, for "energy", which cannot be computed from
        probabilities, since softmax removes their scale. For two classes ``decision_function``
        returns one number, the difference ``d`` of the logits; they are taken to be ``-d / 2`` and
        ``d / 2``, so that the energy ranks texts as "max_probability" does.
    method : {"max_probability", "energy"}, default="max_probability"
        "max_probability" is ``1 - max(probabilities)`` [1]_. "energy" is
        ``-T * log(sum(exp(logits / T)))`` [2]_.
    temperature : float, default=1.0
        T of "energy". The default is that of [2]_; "max_probability" does not use it.

    Returns
    -------
    ndarray of float64, shape (n_texts,)

    Raises
    ------
    ValueError
        If `method` is unknown, `temperature` is not positive, `outputs` have another shape or are
        not finite, or they are logits for "max_probability" or probabilities for "energy".

    References
    ----------
    .. [1] Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
       Examples in Neural Networks", ICLR 2017.
    .. [2] Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.

    Examples
    --------
    >>> from skcap.metrics import out_of_scope_scores
    >>> out_of_scope_scores([[0.9, 0.1], [0.5, 0.5]])
    array([0.1, 0.5])
    >>> out_of_scope_scores([[5.0, -5.0], [0.0, 0.0]], "energy").round(2)
    array([-5.  , -0.69])
    """
    check_choice("method", method, ("max_probability", "energy"))
    check_number("temperature", temperature, number(0, above=True))
    if method == "max_probability":
        return 1.0 - check_probabilities("outputs", outputs).max(axis=1)
    if np.ndim(outputs) == 1:
        half = finite_array("outputs", outputs, ndim=1) / 2
        logits = np.stack([-half, half], axis=1)
    else:
        logits = finite_array("outputs", outputs, ndim=2)
    if logits.size and (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError(
            "outputs are probabilities, but the energy needs logits, the scores before softmax; "
            "use method='max_probability' if the classifier does not give them."
        )
    return -temperature * logsumexp(logits / temperature, axis=1)


def auroc_out_of_scope(scores_in: ArrayLike, scores_out: ArrayLike) -> float:
    """Area under the ROC curve of telling out-of-scope texts from texts in scope.

    It is the probability that an out-of-scope text has a higher score than a text in scope; ties
    count one half. It needs no threshold, and does not depend on how many texts are out of scope.

    Parameters
    ----------
    scores_in : array of float, shape (n_in,)
        Of texts that belong to one of the classes, such as :func:`out_of_scope_scores` returns.
    scores_out : array of float, shape (n_out,)
        Of texts that belong to none.

    Returns
    -------
    float
        From 0 to 1; higher is better, 0.5 is chance.

    Raises
    ------
    ValueError
        If either side is empty, not 1-D or not finite.

    Examples
    --------
    >>> from skcap.metrics import auroc_out_of_scope
    >>> auroc_out_of_scope([0.1, 0.2, 0.4], [0.3, 0.5])
    0.8333333333333334
    """
    is_out, scores = _both(scores_in, scores_out)
    return float(roc_auc_score(is_out, scores))


def fpr_at_95_tpr(scores_in: ArrayLike, scores_out: ArrayLike) -> float:
    """Share of out-of-scope texts that are accepted when 95 % of the texts in scope are ("FPR95").

    The threshold is the lowest one at which at least 95 % of the texts in scope are accepted: as in
    the literature on this measure [1]_, texts in scope are the positives.

    Parameters
    ----------
    scores_in : array of float, shape (n_in,)
        Of texts that belong to one of the classes, such as :func:`out_of_scope_scores` returns.
    scores_out : array of float, shape (n_out,)
        Of texts that belong to none.

    Returns
    -------
    float
        From 0 to 1; lower is better, 0.95 is chance.

    Raises
    ------
    ValueError
        If either side is empty, not 1-D or not finite.

    References
    ----------
    .. [1] Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.

    Examples
    --------
    >>> from skcap.metrics import fpr_at_95_tpr
    >>> fpr_at_95_tpr([0.1, 0.2, 0.4], [0.3, 0.5])
    0.5
    """
    is_out, scores = _both(scores_in, scores_out)
    # Every threshold: by default the one wanted may be left out, as the curve is straight there.
    fpr, tpr, _ = roc_curve(~is_out, -scores, drop_intermediate=False)
    return float(fpr[np.argmax(tpr >= 0.95)])


def _both(scores_in: ArrayLike, scores_out: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Put both sides into one array, with a mask of those out of scope."""
    sides = [
        finite_array(name, scores, ndim=1)
        for name, scores in (("scores_in", scores_in), ("scores_out", scores_out))
    ]
    for name, side in zip(("scores_in", "scores_out"), sides, strict=True):
        if not side.size:
            raise ValueError(f"{name} is empty; texts of both kinds are needed.")
    return np.repeat([False, True], [len(side) for side in sides]), np.concatenate(sides)
