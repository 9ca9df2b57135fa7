"""Scorers for scikit-learn: how faithful a fitted classifier's explanations are.

They go wherever scikit-learn takes ``scoring=``. scikit-learn keeps its own list of scorer names
private, so ours are in a dictionary, :data:`SCORERS`.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import joblib
import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from skcap.metrics import ERASER_BINS, FaithfulnessCurve, faithfulness_curve, leave_one_out
from skcap.metrics._checks import check_choice, over_texts
from skcap.metrics.faithfulness import SCALES
from skcap.metrics.rationales import check_mode, check_sizes
from skcap.prior_matrix import PriorMatrix
from skcap.utils.words import check_texts

__all__ = [
    "SCORERS",
    "FaithfulnessScorer",
    "comprehensiveness_scorer",
    "explain_texts",
    "faithfulness_scores",
    "make_comprehensiveness_scorer",
    "make_neg_sufficiency_scorer",
    "neg_sufficiency_scorer",
]

Attribution = str | Callable[..., PriorMatrix | Sequence[ArrayLike]]


def explain_texts(
    estimator: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    attribution: Attribution = "auto",
    mode: str = "delete",
    mask_token: str | None = None,
) -> PriorMatrix | Sequence[ArrayLike]:
    """Explain what any fitted text classifier says, word by word.

    Parameters
    ----------
    estimator : fitted classifier
        Takes texts and has ``predict_proba`` and ``classes_``. Of a fitted search, the best
        estimator is explained. Of a Pipeline whose last step has ``explain``, that step is
        explained, on what the earlier steps make of `X`.
    X : sequence of str, length n
    y : array of shape (n,), optional
        The classes to explain. Without it, the class that the estimator predicts for each text.
    attribution : {"auto", "leave_one_out"} or callable, default="auto"
        "auto" calls the classifier's own ``explain`` and falls back on
        :func:`skcap.metrics.leave_one_out`, which works for any classifier. A callable is called as
        ``attribution(classifier, texts, y)`` and returns a PriorMatrix, or one array a text.
    mode, mask_token
        How leave-one-out removes a word, see :func:`skcap.metrics.remove_words`.

    Returns
    -------
    PriorMatrix of length n
        Or what `attribution` returned.

    Raises
    ------
    TypeError
        If `estimator` has no ``predict_proba``, or `X` does not hold texts.
    ValueError
        If `attribution` is unknown, or `y` holds a class that `estimator` does not know.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.metrics.scorers import explain_texts
    >>> texts = ["play some jazz", "play the blues", "book a table", "book a room"]
    >>> model = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> model = model.fit(texts, ["music", "music", "place", "place"])
    >>> scores = explain_texts(model, ["please play"]).scores[0]
    >>> bool(scores[0] == 0 < scores[1])
    True
    """
    classifier, texts = _classifier_and_texts(estimator, X)
    return _explain(classifier, texts, y, attribution, mode, mask_token)


def _check_attribution(attribution: Attribution) -> None:
    if not callable(attribution):
        more = "or a function of (classifier, texts, y)"
        check_choice("attribution", attribution, ("auto", "leave_one_out"), more)


@dataclass(frozen=True, repr=False, eq=False)
class FaithfulnessScorer:
    """Score how faithful a classifier's explanations are; higher is better.

    Made by :func:`make_comprehensiveness_scorer` and :func:`make_neg_sufficiency_scorer`, which
    explain the parameters. It can be pickled, and goes wherever scikit-learn takes ``scoring=``,
    alone or in a dictionary.

    Parameters
    ----------
    measure : {"comprehensiveness", "neg_sufficiency"}
    k, rounding, at_least, mode, mask_token, target, scale, attribution
        As for :func:`make_comprehensiveness_scorer`.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Notes
    -----
    Scorers that are called one after the other on the same estimator and texts, as scikit-learn
    does with several of them, share their work: attributions are computed once, and so are the
    probabilities for settings that differ in `measure` and `scale` alone. The last few results
    are kept for this, under the estimator's identity *and* a hash of all it holds, so that an
    estimator that was fitted again, or changed in place, is asked again. An estimator that
    cannot be pickled cannot be hashed: then each scorer does its own work. Estimators are not
    kept alive.

    Examples
    --------
    >>> from skcap.metrics.scorers import FaithfulnessScorer
    >>> FaithfulnessScorer("neg_sufficiency", k=0.3)
    make_neg_sufficiency_scorer(k=0.3)
    """

    measure: str
    k: int | float | Sequence[int | float] = ERASER_BINS
    rounding: str = "ceil"
    at_least: int = 0
    mode: str = "delete"
    mask_token: str | None = None
    target: str = "predicted"
    scale: str = "probability"
    attribution: Attribution = "auto"

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, ("comprehensiveness", "neg_sufficiency"))
        check_sizes(self.k, self.rounding, self.at_least)
        check_mode(self.mode, self.mask_token)
        check_choice("target", self.target, ("predicted", "true"))
        check_choice("scale", self.scale, SCALES)
        _check_attribution(self.attribution)

    def __call__(self, estimator: Any, X: Any, y: ArrayLike | None = None) -> float:
        """Score a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
            As for :func:`explain_texts`.
        X : sequence of str, length n
        y : array of shape (n,), optional
            The true classes. Needed if ``target="true"``, else not looked at.

        Returns
        -------
        float
            Mean over the texts; higher is better.
        """
        return self._score(_curve(self, estimator, X, y))

    def _score(self, curve: FaithfulnessCurve) -> float:
        if self.measure == "comprehensiveness":
            values = curve.comprehensiveness(self.scale)
        else:
            values = curve.sufficiency(self.scale)
            # The normalised measure is published as higher-is-better already.
            values = values if self.scale == "normalized" else -values
        return float(over_texts(values.mean(axis=1), False, self.measure))

    def __repr__(self) -> str:
        changed = [
            f"{setting.name}={getattr(self, setting.name)!r}"
            for setting in fields(self)[1:]
            if repr(getattr(self, setting.name)) != repr(setting.default)
        ]
        return f"make_{self.measure}_scorer({', '.join(changed)})"


def make_comprehensiveness_scorer(
    *,
    k: int | float | Sequence[int | float] = ERASER_BINS,
    rounding: str = "ceil",
    at_least: int = 0,
    mode: str = "delete",
    mask_token: str | None = None,
    target: str = "predicted",
    scale: str = "probability",
    attribution: Attribution = "auto",
) -> FaithfulnessScorer:
    """Make a scorer of comprehensiveness: what taking the rationale away costs.

    Parameters
    ----------
    k : int, float or sequence of them, default=ERASER_BINS
        Sizes of the rationale in words (int) or as share of the words (float); the figure is
        the mean over them. ERASER's own figure is the default with ``rounding="floor"``.
    rounding : {"ceil", "round", "floor"}, default="ceil"
    at_least : int, default=0
        See :func:`skcap.metrics.rationale_masks`.
    mode : {"delete", "mask"}, default="delete"
    mask_token : str, optional
        See :func:`skcap.metrics.remove_words`.
    target : {"predicted", "true"}, default="predicted"
        Whether the class that is explained and followed is the one that the estimator predicts
        for the whole text, or the true one.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        See :func:`skcap.metrics.comprehensiveness`.
    attribution : {"auto", "leave_one_out"} or callable, default="auto"
        See :func:`explain_texts`.

    Returns
    -------
    FaithfulnessScorer

    Raises
    ------
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> from skcap.metrics.scorers import make_comprehensiveness_scorer
    >>> scorer = make_comprehensiveness_scorer(k=1, target="true")
    >>> scorer
    make_comprehensiveness_scorer(k=1, target='true')
    """
    return FaithfulnessScorer(
        "comprehensiveness",
        k=k,
        rounding=rounding,
        at_least=at_least,
        mode=mode,
        mask_token=mask_token,
        target=target,
        scale=scale,
        attribution=attribution,
    )


def make_neg_sufficiency_scorer(
    *,
    k: int | float | Sequence[int | float] = ERASER_BINS,
    rounding: str = "ceil",
    at_least: int = 0,
    mode: str = "delete",
    mask_token: str | None = None,
    target: str = "predicted",
    scale: str = "probability",
    attribution: Attribution = "auto",
) -> FaithfulnessScorer:
    """Make a scorer of sufficiency: what the rationale alone lacks, with the sign turned.

    Parameters
    ----------
    k, rounding, at_least, mode, mask_token, target, attribution
        As for :func:`make_comprehensiveness_scorer`.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        See :func:`skcap.metrics.sufficiency`. The sign is turned, so that higher is better, for all
        but "normalized", where higher is better to begin with.

    Returns
    -------
    FaithfulnessScorer

    Raises
    ------
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> from skcap.metrics.scorers import make_neg_sufficiency_scorer
    >>> make_neg_sufficiency_scorer(mode="mask", mask_token="[MASK]")
    make_neg_sufficiency_scorer(mode='mask', mask_token='[MASK]')
    """
    return FaithfulnessScorer(
        "neg_sufficiency",
        k=k,
        rounding=rounding,
        at_least=at_least,
        mode=mode,
        mask_token=mask_token,
        target=target,
        scale=scale,
        attribution=attribution,
    )


#: Comprehensiveness with the default settings.
comprehensiveness_scorer = make_comprehensiveness_scorer()

#: Sufficiency with the sign turned, with the default settings.
neg_sufficiency_scorer = make_neg_sufficiency_scorer()

#: The scorers by name, as in ``scoring={"accuracy": "accuracy", **SCORERS}``.
SCORERS: dict[str, FaithfulnessScorer] = {
    "comprehensiveness": comprehensiveness_scorer,
    "neg_sufficiency": neg_sufficiency_scorer,
}


def faithfulness_scores(estimator: Any, X: Any, y: ArrayLike | None = None) -> dict[str, float]:
    """Compute all of :data:`SCORERS` at once.

    It can be passed to scikit-learn as ``scoring=`` itself.

    Parameters
    ----------
    estimator : fitted classifier
        As for :func:`explain_texts`.
    X : sequence of str, length n
    y : array of shape (n,), optional
        Not looked at: explained is the class that the estimator predicts.

    Returns
    -------
    dict of str to float
        Name of the scorer to its figure; higher is better.

    Raises
    ------
    TypeError, ValueError
        As :func:`explain_texts`.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.metrics.scorers import faithfulness_scores
    >>> texts = ["play some jazz", "play the blues", "book a table", "book a room"]
    >>> model = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> model = model.fit(texts, ["music", "music", "place", "place"])
    >>> sorted(faithfulness_scores(model, texts))
    ['comprehensiveness', 'neg_sufficiency']
    """
    curve = _curve(comprehensiveness_scorer, estimator, X, y)
    return {name: scorer._score(curve) for name, scorer in SCORERS.items()}


# ------------------------------------------------------------------------- what scorers share


def _classifier_and_texts(estimator: Any, X: Any) -> tuple[Any, list[str]]:
    """Find the step that can explain itself, and the texts as that step meets them."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba, which faithfulness is measured on; "
            "wrap it, as in CalibratedClassifierCV(classifier), or choose one that has it."
        )
    if isinstance(estimator, Pipeline) and _can_explain(estimator):
        for _, step in estimator.steps[:-1]:
            if step not in (None, "passthrough"):
                X = step.transform(X)
        return _classifier_and_texts(estimator.steps[-1][1], X)
    return estimator, check_texts(X, "X")


def _can_explain(estimator: Any) -> bool:
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        return _can_explain(estimator.steps[-1][1])
    return hasattr(estimator, "explain")


def _explain(
    classifier: Any,
    texts: list[str],
    y: ArrayLike | None,
    attribution: Attribution,
    mode: str,
    mask_token: str | None,
) -> PriorMatrix | Sequence[ArrayLike]:
    _check_attribution(attribution)
    if callable(attribution):
        return attribution(classifier, texts, y)
    if attribution == "auto" and hasattr(classifier, "explain"):
        return classifier.explain(texts) if y is None else classifier.explain(texts, y)
    return leave_one_out(
        classifier.predict_proba,
        texts,
        "predicted" if y is None else y,
        classes=None if y is None else classifier.classes_,
        mode=mode,
        mask_token=mask_token,
    )


def _curve(
    scorer: FaithfulnessScorer, estimator: Any, X: Any, y: ArrayLike | None
) -> FaithfulnessCurve:
    """Compute the probabilities that a scorer needs, or take them from the scorer before it."""
    classifier, texts = _classifier_and_texts(estimator, X)
    if scorer.target == "true" and y is None:
        raise ValueError("target='true' needs y, the true classes; pass y, or target='predicted'.")
    target = None if scorer.target == "predicted" else np.asarray(y).tolist()
    how = (scorer.attribution, scorer.mode, scorer.mask_token)
    work = _recent.find(classifier, (texts, target, how))
    if work.attributions is None:
        work.attributions = _explain(classifier, texts, target, *how)
    sizes = repr((scorer.k, scorer.rounding, scorer.at_least))  # repr: 1 is one word, 1.0 are all
    if sizes not in work.curves:
        work.curves[sizes] = faithfulness_curve(
            classifier.predict_proba,
            texts,
            work.attributions,
            k=scorer.k,
            rounding=scorer.rounding,
            at_least=scorer.at_least,
            mode=scorer.mode,
            mask_token=scorer.mask_token,
            target="predicted" if target is None else target,
            classes=None if target is None else classifier.classes_,
        )
        # Asking may change what an estimator holds (a network goes from training to evaluation
        # mode), but not what it answers: the work stands for the state after it, too.
        work.states.add(_state(classifier))
    return work.curves[sizes]


@dataclass(eq=False)
class _Work:
    """What was computed for one estimator, some texts and one way of explaining."""

    estimator: weakref.ref
    states: set[str | None]
    key: tuple
    attributions: PriorMatrix | Sequence[ArrayLike] | None = None
    curves: dict[str, FaithfulnessCurve] = field(default_factory=dict)


class _Recent:
    """The work of the last few scorers, each for one state of one estimator.

    Work is found again for the same object holding the same content. Identity alone would not
    notice a refit, nor weights changed in place; content alone would mistake an estimator for one
    of another class of the same name, as redefined in a notebook.
    """

    def __init__(self, size: int) -> None:
        self._works: deque[_Work] = deque(maxlen=size)
        self._lock = threading.Lock()

    def find(self, estimator: Any, key: tuple) -> _Work:
        """Give the work that others began, or a new one; one that cannot be shared is not kept."""
        state = _state(estimator)
        with self._lock:
            alive = [work for work in self._works if work.estimator() is not None]
            for work in alive:
                same = work.estimator() is estimator and state is not None and state in work.states
                if same and work.key == key:
                    return work
            new = _Work(weakref.ref(estimator), {state}, key)
            self._works.clear()
            self._works.extend(alive if state is None else [*alive, new])
        return new


def _state(estimator: Any) -> str | None:
    """Hash all that an estimator holds; None if that is not possible."""
    try:
        return joblib.hash(estimator)
    except Exception:  # whatever a part of the estimator raises when it cannot be pickled
        return None


_recent = _Recent(size=8)
