"""Explanations of any fitted text classifier: its own, or what leaving out each word costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline

from skcap.metrics._queries import PredictProba, ask, target_columns
from skcap.metrics.rationales import without
from skcap.metrics.rules import DEFAULT_RULES, RationaleRules, check_rules
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.validation import check_choice
from skcap.utils.words import check_texts, split_words

__all__ = ["explain_texts", "explained_step", "leave_one_out"]

Attribution = str | PriorMatrix | Callable[..., PriorMatrix | Sequence[ArrayLike]]


def leave_one_out(
    predict_proba: PredictProba,
    texts: Iterable[str],
    target: str | ArrayLike = "predicted",
    *,
    classes: ArrayLike | None = None,
    rules: RationaleRules = DEFAULT_RULES,
) -> PriorMatrix:
    """Explain any classifier: what each word's absence costs the class's probability.

    All texts, and all of them without each one of their words, go into one call of
    `predict_proba`, each distinct text once.

    Parameters
    ----------
    predict_proba : callable
        See :func:`faithfulness_curve`.
    texts : sequence of str, length n
    target : "predicted" or array of shape (n,), default="predicted"
        See :func:`faithfulness_curve`.
    classes : array of shape (n_classes,), default=None
        Class of each column of the probabilities. Without it, `target` holds column numbers.
    rules : RationaleRules, default=RationaleRules()
        Whether a word is deleted or masked; the sizes of rationales do not matter here.

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
    check_rules(rules)
    rows = check_texts(texts, "texts")
    variants = [_each_word_removed(text, rules) for text in rows]
    probabilities = ask(predict_proba, [*rows, *(v for row in variants for v in row)])
    columns = target_columns(probabilities[: len(rows)], target, classes)
    lengths = [len(row) for row in variants]
    full = probabilities[np.arange(len(rows)), columns]
    left = probabilities[np.arange(len(rows), len(probabilities)), np.repeat(columns, lengths)]
    scores = np.split(np.repeat(full, lengths) - left, np.cumsum(lengths)[:-1])
    provenance = {"method": "leave_one_out", "mode": rules.mode, "mask_token": rules.mask_token}
    return PriorMatrix(rows, scores, provenance=provenance)


def _each_word_removed(text: str, rules: RationaleRules) -> list[str]:
    words = np.eye(len(split_words(text)), dtype=bool)
    return [without(text, gone, rules.mode, rules.mask_token) for gone in words]


def explain_texts(
    estimator: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    attribution: Attribution = "auto",
    rules: RationaleRules = DEFAULT_RULES,
) -> PriorMatrix | Sequence[ArrayLike]:
    """Explain the decisions of any fitted text classifier, word by word.

    Parameters
    ----------
    estimator : fitted classifier
        Takes texts and has ``predict_proba`` and ``classes_``. If it is a fitted search, its best
        estimator is explained; if it is a Pipeline whose last step has ``explain``, that step is
        explained, on what the earlier steps make of `X`.
    X : sequence of str, length n
    y : array of shape (n,), default=None
        The classes to explain. Without it, the class that the estimator predicts for each text.
    attribution : {"auto", "leave_one_out"}, PriorMatrix or callable, default="auto"
        "auto" calls the classifier's own ``explain`` and falls back on
        :func:`skcap.metrics.leave_one_out`, which works for any classifier. A PriorMatrix is an
        explanation of these texts that was made before; it is returned as it is. A callable is
        called as ``attribution(classifier, texts, y)`` and returns a PriorMatrix, or one array per
        text.
    rules : RationaleRules, default=RationaleRules()
        Whether leave-one-out deletes or masks a word.

    Returns
    -------
    PriorMatrix of length n
        Or what `attribution` returned.

    Raises
    ------
    TypeError
        If `estimator` has no ``predict_proba``, or `X` does not hold texts.
    ValueError
        If `attribution` is unknown or explains other texts, or `y` holds a class that `estimator`
        does not know.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.metrics import explain_texts
    >>> texts = ["play some jazz", "play the blues", "book a table", "book a room"]
    >>> model = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> model = model.fit(texts, ["music", "music", "place", "place"])
    >>> scores = explain_texts(model, ["please play"]).scores[0]
    >>> bool(scores[0] == 0 < scores[1])
    True
    """
    check_attribution(attribution)
    classifier, texts = explained_step(estimator, X)
    if isinstance(attribution, PriorMatrix):
        check_same_texts([attribution, PriorMatrix(texts)], ["attribution", "X"])
        return attribution
    if callable(attribution):
        return attribution(classifier, texts, y)
    if attribution == "auto" and hasattr(classifier, "explain"):
        return classifier.explain(texts) if y is None else classifier.explain(texts, y)
    if y is None:
        return leave_one_out(classifier.predict_proba, texts, rules=rules)
    return leave_one_out(
        classifier.predict_proba, texts, y, classes=classifier.classes_, rules=rules
    )


def check_attribution(attribution: Any) -> None:
    """Check that an attribution is one that :func:`explain_texts` knows."""
    if not callable(attribution) and not isinstance(attribution, PriorMatrix):
        more = "a PriorMatrix or a function of (classifier, texts, y)"
        check_choice("attribution", attribution, ("auto", "leave_one_out"), more)


def explained_step(estimator: Any, X: Any) -> tuple[Any, list[str]]:
    """Find the step of an estimator that can explain itself, and the texts that reach it.

    Parameters
    ----------
    estimator : fitted classifier
        As for :func:`explain_texts`.
    X : sequence of str, length n

    Returns
    -------
    classifier : fitted classifier
        `estimator` itself, the best estimator of a search, or the last step of a Pipeline.
    texts : list of str, length n
        What earlier steps of a Pipeline make of `X`.

    Raises
    ------
    TypeError
        If `estimator` has no ``predict_proba``, or `X` does not hold texts.
    """
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
        return explained_step(estimator.steps[-1][1], X)
    return estimator, check_texts(X, "X")


def _can_explain(estimator: Any) -> bool:
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        return _can_explain(estimator.steps[-1][1])
    return hasattr(estimator, "explain")
