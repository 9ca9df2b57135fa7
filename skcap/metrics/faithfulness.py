"""Faithfulness: what a model says without the words that an explanation names, and with them alone.

Nothing here knows an estimator: a model is a function from texts to probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics._checks import over_texts, ratio
from skcap.metrics._queries import PredictProba, ask, target_columns
from skcap.metrics.rationales import score_arrays
from skcap.metrics.rules import DEFAULT_RULES, RationaleRules, check_rules
from skcap.prior_matrix import PriorMatrix
from skcap.utils.validation import check_choice
from skcap.utils.words import check_texts

__all__ = ["FaithfulnessCurve", "comprehensiveness", "faithfulness_curve", "sufficiency"]

# Probabilities are kept this far from 0 and 1 before a logarithm: float32 cannot come closer to 1.
_SMALLEST = 1e-7

_ROUNDING = 1e-2  # of probabilities in bfloat16

SCALES = ("probability", "log_probability", "log_odds", "normalized")

_Change = Callable[[RationaleRules, list[str], list[np.ndarray]], list[str]]


@dataclass(frozen=True, eq=False)
class FaithfulnessCurve:
    """Probability of one class per text, with and without rationales of several sizes.

    Made by :func:`faithfulness_curve`. n texts, K sizes.

    Attributes
    ----------
    k : tuple of int or float, length K
        The sizes that were asked for.
    sizes : ndarray of int64, shape (n, K)
        Number of words in each rationale, after rounding.
    full : ndarray of float64, shape (n,)
        Probability of the class given the text.
    empty : ndarray of float64, shape (n,)
        Given none of its words.
    without : ndarray of float64, shape (n, K)
        Given all words but the rationale.
    only : ndarray of float64, shape (n, K)
        Given the rationale alone.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import FaithfulnessCurve
    >>> curve = FaithfulnessCurve(
    ...     k=(1, 2),
    ...     sizes=np.array([[1, 2]]),
    ...     full=np.array([0.75]),
    ...     empty=np.array([0.25]),
    ...     without=np.array([[0.5, 0.25]]),
    ...     only=np.array([[0.625, 0.75]]),
    ... )
    >>> curve.comprehensiveness()
    array([[0.25, 0.5 ]])
    >>> curve.sufficiency("normalized")
    array([[0.75, 1.  ]])
    """

    k: tuple[int | float, ...]
    sizes: np.ndarray
    full: np.ndarray
    empty: np.ndarray
    without: np.ndarray
    only: np.ndarray

    def comprehensiveness(self, scale: str = "probability") -> np.ndarray:
        """Compute what removing the rationale costs; higher is better.

        Parameters
        ----------
        scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
            See :func:`comprehensiveness`.

        Returns
        -------
        ndarray of float64, shape (n, K)
        """
        return _comprehensiveness(self.full, self.empty, self.without, scale)

    def sufficiency(self, scale: str = "probability") -> np.ndarray:
        """Compute what the rationale alone lacks; lower is better, except for "normalized".

        Parameters
        ----------
        scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
            See :func:`sufficiency`.

        Returns
        -------
        ndarray of float64, shape (n, K)
        """
        return _sufficiency(self.full, self.empty, self.only, scale)


def faithfulness_curve(
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    *,
    rules: RationaleRules = DEFAULT_RULES,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
) -> FaithfulnessCurve:
    """Ask a model for the class of each text with and without its rationales.

    All questions go into one call of `predict_proba`, each distinct text once: at most ``2 * K +
    2`` texts for each one, and about half of it for short texts, whose smallest rationales are the
    same.

    Parameters
    ----------
    predict_proba : callable
        Takes a list of texts, returns probabilities of shape (n_texts, n_classes), such as the
        ``predict_proba`` of a fitted classifier. Some of the texts have no words.
    texts : sequence of str, length n
    attributions : PriorMatrix or sequence of 1-D arrays, length n
        One score per word, for the class that `target` means.
    rules : RationaleRules, default=RationaleRules()
        Sizes of the rationales, and how they are taken out of the texts.
    target : "predicted" or array of shape (n,), default="predicted"
        The class whose probability is followed: the most probable one for the whole text, or the
        one given for each text.
    classes : array of shape (n_classes,), default=None
        Class of each column of the probabilities. Without it, `target` holds column numbers.

    Returns
    -------
    FaithfulnessCurve

    Raises
    ------
    TypeError
        If `predict_proba` cannot be called, or `rules` are not RationaleRules.
    ValueError
        If the arguments do not fit one another or the texts, there is no text, or the
        probabilities have the wrong shape or are none, as logits are.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import RationaleRules, faithfulness_curve
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> curve = faithfulness_curve(
    ...     predict_proba, ["play some jazz"], [[0.1, 0.0, 0.9]], rules=RationaleRules(k=[1, 2])
    ... )
    >>> curve.comprehensiveness(), curve.sufficiency()
    (array([[1., 1.]]), array([[0., 0.]]))
    """
    changes = (RationaleRules.remove, RationaleRules.keep)
    answers = _answers(predict_proba, texts, attributions, rules, target, classes, changes)
    without, only = answers.changed
    return FaithfulnessCurve(
        k=rules.sizes,
        sizes=answers.sizes,
        full=answers.full,
        empty=answers.empty,
        without=without,
        only=only,
    )


def comprehensiveness(
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    *,
    rules: RationaleRules = DEFAULT_RULES,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
    scale: str = "probability",
    per_text: bool = False,
) -> float | np.ndarray:
    """Drop of the class's probability when the rationale is removed; higher is better.

    ``p(y | x) - p(y | x without r)``, averaged over the sizes of the rationale (the area over
    the perturbation curve, "AOPC", as ERASER computes it: the plain mean) and over the texts.

    Parameters
    ----------
    predict_proba, texts, attributions
        See :func:`faithfulness_curve`. `predict_proba` is called once, with at most ``K + 2`` texts
        for each one.
    rules : RationaleRules, default=RationaleRules()
        Sizes of the rationales, and how they are taken out of the texts. ``rules=ERASER`` gives
        ERASER's value.
    target, classes
        See :func:`faithfulness_curve`.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        What is compared: probabilities; their natural logarithms; the log-odds
        ``log(p / (1 - p))``; or, "normalized" (Carton et al., 2020), the drop as a share of the
        drop to the text without words: ``max(0, p(y|x) - p(y|x without r))
        / max(0, p(y|x) - p(y|empty))``, at most 1, undefined (NaN) where the text is no better
        than the empty one. Before logarithms, probabilities are kept within 1e-7 of 0 and 1.
    per_text : bool, default=False
        Return one value per text.

    Returns
    -------
    float or ndarray of float64, shape (n,)
        Texts whose value is undefined are left out of the mean, with a warning.

    Raises
    ------
    TypeError, ValueError
        As :func:`faithfulness_curve`.

    Notes
    -----
    A text without words loses nothing and counts as 0, and so does an empty rationale.

    References
    ----------
    .. [1] DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models", ACL 2020.
    .. [2] Carton, Rathore and Tan, "Evaluating and Characterizing Human Rationales", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import RationaleRules, comprehensiveness
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> texts, attributions = ["play jazz", "soft jazz"], [[0, 1], [1, 0]]
    >>> comprehensiveness(predict_proba, texts, attributions, rules=RationaleRules(k=1))
    0.5
    """
    check_choice("scale", scale, SCALES)
    changes = (RationaleRules.remove,)
    answers = _answers(predict_proba, texts, attributions, rules, target, classes, changes)
    values = _comprehensiveness(answers.full, answers.empty, answers.changed[0], scale)
    return over_texts(values.mean(axis=1), per_text, "comprehensiveness")


def sufficiency(
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    *,
    rules: RationaleRules = DEFAULT_RULES,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
    scale: str = "probability",
    per_text: bool = False,
) -> float | np.ndarray:
    """Drop of the class's probability when only the rationale is left; lower is better.

    ``p(y | x) - p(y | r)``, averaged over the sizes of the rationale (the plain mean, as ERASER
    does) and over the texts. It is below 0 where the rationale alone convinces the model more
    than the text.

    Parameters
    ----------
    predict_proba, texts, attributions
        See :func:`faithfulness_curve`. `predict_proba` is called once, with at most ``K + 2`` texts
        for each one.
    rules : RationaleRules, default=RationaleRules()
        Sizes of the rationales, and how they are taken out of the texts. ``rules=ERASER`` gives
        ERASER's value.
    target, classes
        See :func:`faithfulness_curve`.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        See :func:`comprehensiveness`; but "normalized" (Carton et al., 2020) is
        ``1 - max(0, p(y|x) - p(y|r)) / max(0, p(y|x) - p(y|empty))``, at least 0, and there
        *higher* is better. It is published as ``(S(r) - S(empty)) / (1 - S(empty))`` with
        ``S(r) = 1 - max(0, p(y|x) - p(y|r))``, which is the same.
    per_text : bool, default=False
        Return one value per text.

    Returns
    -------
    float or ndarray of float64, shape (n,)
        Texts whose value is undefined are left out of the mean, with a warning.

    Raises
    ------
    TypeError, ValueError
        As :func:`faithfulness_curve`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import RationaleRules, sufficiency
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> texts, attributions = ["play jazz", "soft jazz"], [[0, 1], [1, 0]]
    >>> sufficiency(predict_proba, texts, attributions, rules=RationaleRules(k=1))
    0.5
    """
    check_choice("scale", scale, SCALES)
    changes = (RationaleRules.keep,)
    answers = _answers(predict_proba, texts, attributions, rules, target, classes, changes)
    values = _sufficiency(answers.full, answers.empty, answers.changed[0], scale)
    return over_texts(values.mean(axis=1), per_text, "sufficiency")


class _Answers(NamedTuple):
    """Probabilities of one class per text: n texts, K sizes of the rationale."""

    sizes: np.ndarray  # (n, K)
    full: np.ndarray  # (n,)
    empty: np.ndarray  # (n,)
    changed: list[np.ndarray]  # one (n, K) for each kind of change


def _answers(
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    rules: RationaleRules,
    target: str | ArrayLike,
    classes: ArrayLike | None,
    changes: Sequence[_Change],
) -> _Answers:
    """Ask a model, in one call, about the texts, the empty texts and all changed texts."""
    check_rules(rules)
    rows = check_texts(texts, "texts")
    scores = score_arrays(attributions, rows)
    masks = rules.masks(scores)
    nothing = [np.zeros(row.size, dtype=bool) for row in scores]
    columns = [rows, rules.keep(rows, nothing)]
    for change in changes:
        columns += [change(rules, rows, column) for column in masks]
    probabilities = ask(predict_proba, [text for column in columns for text in column])
    if (probabilities < -_ROUNDING).any() or (probabilities > 1 + _ROUNDING).any():
        raise ValueError(
            "predict_proba must return probabilities, got numbers from "
            f"{probabilities.min():.3g} to {probabilities.max():.3g}; apply softmax to logits."
        )
    by_column = probabilities.reshape(len(columns), len(rows), -1)
    chosen = target_columns(by_column[0], target, classes)
    p = by_column[:, np.arange(len(rows)), chosen].T
    return _Answers(
        sizes=np.array([[mask.sum() for mask in column] for column in masks], dtype=np.int64).T,
        full=p[:, 0],
        empty=p[:, 1],
        changed=np.split(p[:, 2:], len(changes), axis=1),
    )


def _comprehensiveness(
    full: np.ndarray, empty: np.ndarray, without: np.ndarray, scale: str
) -> np.ndarray:
    check_choice("scale", scale, SCALES)
    if scale == "normalized":
        return _share_of_drop(full, empty, without)
    return _rescale(full, scale)[:, None] - _rescale(without, scale)


def _sufficiency(full: np.ndarray, empty: np.ndarray, only: np.ndarray, scale: str) -> np.ndarray:
    check_choice("scale", scale, SCALES)
    if scale == "normalized":
        return 1.0 - _share_of_drop(full, empty, only)
    return _rescale(full, scale)[:, None] - _rescale(only, scale)


def _share_of_drop(full: np.ndarray, empty: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """Drop as a share of the drop to the empty text, 0 to 1; NaN where there is no such drop."""
    drop = np.maximum(0.0, full[:, None] - changed)
    most = np.broadcast_to(np.maximum(0.0, full - empty)[:, None], drop.shape)
    return np.minimum(ratio(drop, most), 1.0)


def _rescale(p: np.ndarray, scale: str) -> np.ndarray:
    if scale == "probability":
        return p
    p = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.log(p) if scale == "log_probability" else np.log(p) - np.log1p(-p)
