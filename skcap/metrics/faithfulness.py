"""Faithfulness: what a model says without the words that an explanation names, and with them alone.

Nothing here knows an estimator: a model is a function from texts to probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics._checks import check_choice, check_length, over_texts, ratio
from skcap.metrics.rationales import (
    check_mode,
    check_sizes,
    keep_words,
    rationale_masks,
    remove_words,
    score_arrays,
    without,
)
from skcap.prior_matrix import PriorMatrix
from skcap.utils.words import check_texts, split_words

__all__ = [
    "ERASER_BINS",
    "FaithfulnessCurve",
    "comprehensiveness",
    "faithfulness_curve",
    "leave_one_out",
    "sufficiency",
]

#: Shares of the words that ERASER (DeYoung et al., 2020) averages over.
ERASER_BINS = (0.01, 0.05, 0.10, 0.20, 0.50)

# Probabilities are kept this far from 0 and 1 before a logarithm: float32 cannot come closer to 1.
_SMALLEST = 1e-7

SCALES = ("probability", "log_probability", "log_odds", "normalized")

PredictProba = Callable[[list[str]], ArrayLike]


@dataclass(frozen=True, eq=False)
class FaithfulnessCurve:
    """Probability of one class a text, with and without rationales of several sizes.

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
        """Tell what taking the rationale away costs; higher is better.

        Parameters
        ----------
        scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
            As for :func:`comprehensiveness`.

        Returns
        -------
        ndarray of float64, shape (n, K)
        """
        return _comprehensiveness(self.full, self.empty, self.without, scale)

    def sufficiency(self, scale: str = "probability") -> np.ndarray:
        """Tell what the rationale alone lacks; lower is better but for "normalized".

        Parameters
        ----------
        scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
            As for :func:`sufficiency`.

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
    k: int | float | Sequence[int | float] = ERASER_BINS,
    rounding: str = "ceil",
    at_least: int = 0,
    mode: str = "delete",
    mask_token: str | None = None,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
) -> FaithfulnessCurve:
    """Ask a model for the class of each text with and without its rationales.

    Everything that has to be asked goes into one call of `predict_proba`, each distinct text once:
    never more than ``2 * K + 2`` texts for one, and about half of it for short texts, whose
    smallest rationales are the same.

    Parameters
    ----------
    predict_proba : callable
        Takes a list of texts, returns probabilities of shape (n_texts, n_classes), such as the
        ``predict_proba`` of a fitted classifier. It meets texts without any word.
    texts : sequence of str, length n
    attributions : PriorMatrix or sequence of 1-D arrays, length n
        Scores of the words for the class that `target` means.
    k : int, float or sequence of them, default=ERASER_BINS
        Sizes of the rationale, see :func:`rationale_masks`.
    rounding, at_least
        As for :func:`rationale_masks`.
    mode, mask_token
        As for :func:`remove_words`.
    target : "predicted" or array of shape (n,), default="predicted"
        The class whose probability is followed: the most probable one for the whole text, or the
        one given for each text.
    classes : array of shape (n_classes,), optional
        Class of each column of the probabilities. Without it, `target` holds column numbers.

    Returns
    -------
    FaithfulnessCurve

    Raises
    ------
    TypeError
        If `predict_proba` cannot be called.
    ValueError
        If the arguments do not fit one another or the texts, there is no text, or the
        probabilities have the wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import faithfulness_curve
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> curve = faithfulness_curve(predict_proba, ["play some jazz"], [[0.1, 0.0, 0.9]], k=[1, 2])
    >>> curve.comprehensiveness(), curve.sufficiency()
    (array([[1., 1.]]), array([[0., 0.]]))
    """
    answers = _ask(
        (remove_words, keep_words),
        predict_proba,
        texts,
        attributions,
        k,
        rounding,
        at_least,
        mode,
        mask_token,
        target,
        classes,
    )
    without, only = answers.changed
    return FaithfulnessCurve(
        k=answers.k,
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
    k: int | float | Sequence[int | float] = ERASER_BINS,
    rounding: str = "ceil",
    at_least: int = 0,
    mode: str = "delete",
    mask_token: str | None = None,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
    scale: str = "probability",
    per_text: bool = False,
) -> float | np.ndarray:
    """Drop of the class's probability when the rationale is taken away; higher is better.

    ``p(y | x) - p(y | x without r)``, averaged over the sizes of the rationale (the area over
    the perturbation curve, "AOPC", as ERASER computes it: the plain mean) and over the texts.

    Parameters
    ----------
    predict_proba, texts, attributions
        As for :func:`faithfulness_curve`. Called once, with at most ``K + 2`` texts for one.
    k : int, float or sequence of them, default=ERASER_BINS
        Sizes of the rationale. ERASER's figure is the default with ``rounding="floor"``.
    rounding, at_least, mode, mask_token, target, classes
        As for :func:`faithfulness_curve`.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        What is compared: probabilities; their natural logarithms; the log-odds
        ``log(p / (1 - p))``; or, "normalized" (Carton et al., 2020), the drop as a share of the
        drop to the text without words: ``max(0, p(y|x) - p(y|x without r))
        / max(0, p(y|x) - p(y|empty))``, at most 1, undefined (NaN) where the text is no better
        than the empty one. Before logarithms, probabilities are kept within 1e-7 of 0 and 1.
    per_text : bool, default=False
        Return one figure a text.

    Returns
    -------
    float or ndarray of float64, shape (n,)
        Texts whose figure is undefined are left out of the mean, with a warning.

    Raises
    ------
    TypeError, ValueError
        As :func:`faithfulness_curve`.

    Notes
    -----
    A text without words loses nothing and counts as 0, and so does an empty rationale.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import comprehensiveness
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> comprehensiveness(predict_proba, ["play jazz", "soft jazz"], [[0, 1], [1, 0]], k=1)
    0.5
    """
    check_choice("scale", scale, SCALES)
    answers = _ask(
        (remove_words,),
        predict_proba,
        texts,
        attributions,
        k,
        rounding,
        at_least,
        mode,
        mask_token,
        target,
        classes,
    )
    values = _comprehensiveness(answers.full, answers.empty, answers.changed[0], scale)
    return over_texts(values.mean(axis=1), per_text, "comprehensiveness")


def sufficiency(
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    *,
    k: int | float | Sequence[int | float] = ERASER_BINS,
    rounding: str = "ceil",
    at_least: int = 0,
    mode: str = "delete",
    mask_token: str | None = None,
    target: str | ArrayLike = "predicted",
    classes: ArrayLike | None = None,
    scale: str = "probability",
    per_text: bool = False,
) -> float | np.ndarray:
    """Drop of the class's probability when the rationale alone is left; lower is better.

    ``p(y | x) - p(y | r)``, averaged over the sizes of the rationale (the plain mean, as ERASER
    does) and over the texts. It is below 0 where the rationale alone convinces the model more
    than the text.

    Parameters
    ----------
    predict_proba, texts, attributions
        As for :func:`faithfulness_curve`. Called once, with at most ``K + 2`` texts for one.
    k : int, float or sequence of them, default=ERASER_BINS
        Sizes of the rationale. ERASER's figure is the default with ``rounding="floor"``.
    rounding, at_least, mode, mask_token, target, classes
        As for :func:`faithfulness_curve`.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        As for :func:`comprehensiveness`; but "normalized" (Carton et al., 2020) is
        ``1 - max(0, p(y|x) - p(y|r)) / max(0, p(y|x) - p(y|empty))``, at least 0, and there
        *higher* is better. It is published as ``(S(r) - S(empty)) / (1 - S(empty))`` with
        ``S(r) = 1 - max(0, p(y|x) - p(y|r))``, which is the same.
    per_text : bool, default=False
        Return one figure a text.

    Returns
    -------
    float or ndarray of float64, shape (n,)
        Texts whose figure is undefined are left out of the mean, with a warning.

    Raises
    ------
    TypeError, ValueError
        As :func:`faithfulness_curve`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import sufficiency
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> sufficiency(predict_proba, ["play jazz", "soft jazz"], [[0, 1], [1, 0]], k=1)
    0.5
    """
    check_choice("scale", scale, SCALES)
    answers = _ask(
        (keep_words,),
        predict_proba,
        texts,
        attributions,
        k,
        rounding,
        at_least,
        mode,
        mask_token,
        target,
        classes,
    )
    values = _sufficiency(answers.full, answers.empty, answers.changed[0], scale)
    return over_texts(values.mean(axis=1), per_text, "sufficiency")


def leave_one_out(
    predict_proba: PredictProba,
    texts: Iterable[str],
    target: str | ArrayLike = "predicted",
    *,
    classes: ArrayLike | None = None,
    mode: str = "delete",
    mask_token: str | None = None,
) -> PriorMatrix:
    """Explain any classifier: what each word's absence costs the class's probability.

    All texts, and all of them without each one of their words, go into one call of
    `predict_proba`, each distinct text once.

    Parameters
    ----------
    predict_proba : callable
        As for :func:`faithfulness_curve`.
    texts : sequence of str, length n
    target : "predicted" or array of shape (n,), default="predicted"
        As for :func:`faithfulness_curve`.
    classes : array of shape (n_classes,), optional
        Class of each column of the probabilities. Without it, `target` holds column numbers.
    mode, mask_token
        As for :func:`remove_words`.

    Returns
    -------
    PriorMatrix of length n
        ``p(y | x) - p(y | x without the word)`` for each word.

    Raises
    ------
    TypeError, ValueError
        As :func:`faithfulness_curve`.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.metrics import leave_one_out
    >>> def predict_proba(texts):
    ...     jazz = np.array([float("jazz" in text) for text in texts])
    ...     return np.column_stack([1 - jazz, jazz])
    >>> leave_one_out(predict_proba, ["play some jazz"]).scores
    [array([0., 0., 1.], dtype=float32)]
    """
    check_mode(mode, mask_token)
    rows = check_texts(texts, "texts")
    variants = [
        [
            without(text, gone, mode, mask_token)
            for gone in np.eye(len(split_words(text)), dtype=bool)
        ]
        for text in rows
    ]
    probabilities = _probabilities(predict_proba, [*rows, *(v for row in variants for v in row)])
    columns = _target_columns(probabilities[: len(rows)], target, classes)
    lengths = [len(row) for row in variants]
    full = probabilities[np.arange(len(rows)), columns]
    left = probabilities[np.arange(len(rows), len(probabilities)), np.repeat(columns, lengths)]
    scores = np.split(np.repeat(full, lengths) - left, np.cumsum(lengths)[:-1])
    provenance = {"method": "leave_one_out", "mode": mode, "mask_token": mask_token}
    return PriorMatrix(rows, scores, provenance=provenance)


class _Answers(NamedTuple):
    """Probabilities of one class a text: n texts, K sizes of the rationale."""

    k: tuple[int | float, ...]
    sizes: np.ndarray  # (n, K)
    full: np.ndarray  # (n,)
    empty: np.ndarray  # (n,)
    changed: list[np.ndarray]  # one (n, K) for each kind of change


def _ask(
    changes: Sequence[Callable[..., list[str]]],
    predict_proba: PredictProba,
    texts: Iterable[str],
    attributions: PriorMatrix | Sequence[ArrayLike],
    k: int | float | Sequence[int | float],
    rounding: str,
    at_least: int,
    mode: str,
    mask_token: str | None,
    target: str | ArrayLike,
    classes: ArrayLike | None,
) -> _Answers:
    """Ask a model, in one call, about the texts, the empty texts and all changed texts."""
    check_mode(mode, mask_token)
    rows = check_texts(texts, "texts")
    scores = score_arrays(attributions, rows)
    sizes = check_sizes(k, rounding, at_least)
    masks = [rationale_masks(scores, size, rounding=rounding, at_least=at_least) for size in sizes]
    nothing = [np.zeros(row.size, dtype=bool) for row in scores]
    columns = [rows, keep_words(rows, nothing, mode=mode, mask_token=mask_token)]
    for change in changes:
        columns += [change(rows, column, mode=mode, mask_token=mask_token) for column in masks]
    answers = _probabilities(predict_proba, [text for column in columns for text in column])
    by_column = answers.reshape(len(columns), len(rows), -1)
    chosen = _target_columns(by_column[0], target, classes)
    p = by_column[:, np.arange(len(rows)), chosen].T
    return _Answers(
        k=sizes,
        sizes=np.array([[mask.sum() for mask in column] for column in masks], dtype=np.int64).T,
        full=p[:, 0],
        empty=p[:, 1],
        changed=np.split(p[:, 2:], len(changes), axis=1),
    )


def _probabilities(predict_proba: PredictProba, texts: list[str]) -> np.ndarray:
    """Ask about each distinct text once; shape (n_texts, n_classes)."""
    if not callable(predict_proba):
        raise TypeError(
            f"predict_proba must be callable, got {type(predict_proba).__name__}; pass the method "
            "of a fitted classifier, as in classifier.predict_proba."
        )
    if not texts:
        raise ValueError("texts is empty; there is nothing to average over.")
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    answers = np.asarray(predict_proba(list(place)), dtype=np.float64)
    if answers.ndim != 2 or len(answers) != len(place):
        raise ValueError(
            f"predict_proba returned shape {answers.shape} for {len(place)} texts; it must return "
            "(n_texts, n_classes)."
        )
    return answers[[place[text] for text in texts]]


def _target_columns(
    probabilities: np.ndarray, target: str | ArrayLike, classes: ArrayLike | None
) -> np.ndarray:
    """Find the column of the class to follow for each row of `probabilities`."""
    n_texts, n_classes = probabilities.shape
    if isinstance(target, str):
        check_choice("target", target, ("predicted",), "or an array of one class a text")
        return probabilities.argmax(axis=1)
    wanted = np.asarray(target)
    check_length("target", wanted, n_texts)
    known = np.arange(n_classes) if classes is None else np.asarray(classes)
    if len(known) != n_classes:
        raise ValueError(f"classes has {len(known)} items for {n_classes} columns.")
    place = {label: column for column, label in enumerate(known.tolist())}
    unknown = sorted({str(label) for label in wanted.tolist() if label not in place})
    if unknown:
        raise ValueError(
            f"target holds classes that the model does not know: {', '.join(unknown[:5])}; it "
            f"knows {', '.join(map(str, list(place)[:5]))}{', ...' if len(place) > 5 else ''}. "
            "Labels other than column numbers need classes=classifier.classes_."
        )
    return np.array([place[label] for label in wanted.tolist()], dtype=np.int64)


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
    """Drop as a share of the drop to the empty text, 0 to 1; NaN where the latter is none."""
    drop = np.maximum(0.0, full[:, None] - changed)
    most = np.broadcast_to(np.maximum(0.0, full - empty)[:, None], drop.shape)
    return np.minimum(ratio(drop, most), 1.0)


def _rescale(p: np.ndarray, scale: str) -> np.ndarray:
    if scale == "probability":
        return p
    p = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.log(p) if scale == "log_probability" else np.log(p) - np.log1p(-p)
