"""Scorers for scikit-learn: how faithful a fitted classifier's explanations are.

They go wherever scikit-learn takes ``scoring=``. scikit-learn accepts the names of its own scorers
only, so ``scoring="comprehensiveness"`` is an error there: pass ``get_scorer("comprehensiveness")``
or an entry of :data:`SCORERS`.

Each scorer explains the texts anew. To measure comprehensiveness and sufficiency by one
explanation, pass one function that returns all scores, as scikit-learn allows::

    def scores(estimator, X, y):
        return {"accuracy": estimator.score(X, y), **faithfulness_scores(estimator, X, y)}

    GridSearchCV(pipeline, grid, scoring=scores, refit="accuracy")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sklearn.metrics
from numpy.typing import ArrayLike

from skcap.metrics._checks import over_texts
from skcap.metrics.explanations import (
    Attribution,
    check_attribution,
    explain_texts,
    explained_step,
)
from skcap.metrics.faithfulness import SCALES, comprehensiveness, faithfulness_curve, sufficiency
from skcap.metrics.rules import DEFAULT_RULES, RationaleRules, check_rules
from skcap.prior_matrix import PriorMatrix
from skcap.utils.labels import label_column
from skcap.utils.validation import check_choice

__all__ = ["SCORERS", "FaithfulnessScorer", "faithfulness_scores", "get_scorer"]


def _check_settings(rules: Any, target: Any, scale: Any, attribution: Any) -> None:
    check_rules(rules)
    check_choice("target", target, ("predicted", "true"))
    check_choice("scale", scale, SCALES)
    check_attribution(attribution)


@dataclass(frozen=True, repr=False, eq=False)
class FaithfulnessScorer:
    """Score how faithful a classifier's explanations are; higher is better.

    It can be pickled, and goes wherever scikit-learn takes ``scoring=``, alone or in a dictionary.

    Parameters
    ----------
    measure : {"comprehensiveness", "neg_sufficiency"}
        What removing the rationale costs; or what the rationale alone lacks, with the sign turned
        so that higher is better.
    rules : RationaleRules, default=RationaleRules()
        Sizes of the rationales, and how they are taken out of the texts. ``rules=ERASER`` gives
        ERASER's value.
    target : {"predicted", "true"}, default="predicted"
        Whether the class that is explained and followed is the one that the estimator predicts
        for the whole text, or the true one.
    scale : {"probability", "log_probability", "log_odds", "normalized"}, default="probability"
        See :func:`skcap.metrics.comprehensiveness` and :func:`skcap.metrics.sufficiency`. The sign
        of "normalized" sufficiency is not turned: higher is better to begin with.
    attribution : {"auto", "leave_one_out"}, PriorMatrix or callable, default="auto"
        See :func:`explain_texts`. A PriorMatrix explains one set of texts, so it is of no use in a
        cross-validation.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of range.

    See Also
    --------
    faithfulness_scores : Both measures, from one explanation.

    Examples
    --------
    >>> from skcap.metrics import FaithfulnessScorer, RationaleRules
    >>> scorer = FaithfulnessScorer("neg_sufficiency", target="true")
    >>> scorer
    FaithfulnessScorer('neg_sufficiency', target='true')
    """

    measure: str
    rules: RationaleRules = DEFAULT_RULES
    target: str = "predicted"
    scale: str = "probability"
    attribution: Attribution = "auto"

    def __post_init__(self) -> None:
        check_choice("measure", self.measure, ("comprehensiveness", "neg_sufficiency"))
        _check_settings(self.rules, self.target, self.scale, self.attribution)

    def __call__(self, estimator: Any, X: Any, y: ArrayLike | None = None) -> float:
        """Score a fitted classifier.

        Parameters
        ----------
        estimator : fitted classifier
            As for :func:`explain_texts`.
        X : sequence of str, length n
        y : array of shape (n,), default=None
            The true classes. Needed if ``target="true"``, otherwise not looked at.

        Returns
        -------
        float
            Mean over the texts; higher is better.
        """
        asked = _explained(estimator, X, y, self.rules, self.target, self.attribution)
        if self.measure == "comprehensiveness":
            return float(comprehensiveness(**asked, scale=self.scale))
        return _sign(self.scale) * float(sufficiency(**asked, scale=self.scale))

    def __repr__(self) -> str:
        changed = [
            f"{setting.name}={getattr(self, setting.name)!r}"
            for setting in fields(self)[1:]
            if repr(getattr(self, setting.name)) != repr(setting.default)
        ]
        return f"FaithfulnessScorer({', '.join([repr(self.measure), *changed])})"


#: The scorers by name, as in ``scoring={"accuracy": "accuracy", **SCORERS}``.
SCORERS: dict[str, FaithfulnessScorer] = {
    name: FaithfulnessScorer(name) for name in ("comprehensiveness", "neg_sufficiency")
}


def get_scorer(name: str) -> Callable[..., float]:
    """Look up a scorer by its name: one of :data:`SCORERS`, or one of scikit-learn's.

    Parameters
    ----------
    name : str

    Returns
    -------
    callable
        Called as ``scorer(estimator, X, y)``.

    Raises
    ------
    ValueError
        If there is no such scorer.

    Examples
    --------
    >>> from skcap.metrics import get_scorer
    >>> get_scorer("comprehensiveness")
    FaithfulnessScorer('comprehensiveness')
    """
    if name in SCORERS:
        return SCORERS[name]
    try:
        return sklearn.metrics.get_scorer(name)
    except ValueError as error:
        raise ValueError(
            f"there is no scorer {name!r}: skcap has {', '.join(map(repr, SCORERS))}, and "
            "sklearn.metrics.get_scorer_names() lists those of scikit-learn."
        ) from error


def faithfulness_scores(
    estimator: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    rules: RationaleRules = DEFAULT_RULES,
    target: str = "predicted",
    scale: str = "probability",
    attribution: Attribution = "auto",
) -> dict[str, float]:
    """Compute comprehensiveness and sufficiency from one explanation and one pass of the model.

    It can be passed to scikit-learn as ``scoring=`` itself; with parameters through
    :func:`functools.partial`, and together with other scores in a function of your own.

    Parameters
    ----------
    estimator : fitted classifier
        As for :func:`explain_texts`.
    X : sequence of str, length n
    y : array of shape (n,), default=None
        The true classes. Needed if ``target="true"``, otherwise not looked at.
    rules, target, scale, attribution
        See :class:`FaithfulnessScorer`.

    Returns
    -------
    dict of str to float
        ``comprehensiveness`` and ``neg_sufficiency``; higher is better.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of range, or as :func:`explain_texts`.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.metrics import faithfulness_scores
    >>> def scores(estimator, X, y):
    ...     return {"accuracy": estimator.score(X, y), **faithfulness_scores(estimator, X, y)}
    >>> texts = ["play some jazz", "play the blues", "book a table", "book a room"]
    >>> search = GridSearchCV(
    ...     make_pipeline(CountVectorizer(), MultinomialNB()),
    ...     {"multinomialnb__alpha": [0.1, 1.0]},
    ...     scoring=scores,
    ...     refit="comprehensiveness",
    ...     cv=2,
    ... )
    >>> search = search.fit(texts, ["music", "music", "place", "place"])
    >>> search.best_params_
    {'multinomialnb__alpha': 0.1}
    """
    _check_settings(rules, target, scale, attribution)
    curve = faithfulness_curve(**_explained(estimator, X, y, rules, target, attribution))
    values = {
        "comprehensiveness": curve.comprehensiveness(scale),
        "neg_sufficiency": _sign(scale) * curve.sufficiency(scale),
    }
    return {
        name: float(over_texts(value.mean(axis=1), False, name)) for name, value in values.items()
    }


def _sign(scale: str) -> int:
    """Give the sign that makes sufficiency higher-is-better, as "normalized" is published."""
    return 1 if scale == "normalized" else -1


def _explained(
    estimator: Any,
    X: Any,
    y: ArrayLike | None,
    rules: RationaleRules,
    target: str,
    attribution: Attribution,
) -> dict[str, Any]:
    """Explain a classifier; gives the arguments of the functions in `faithfulness`."""
    if target == "true" and y is None:
        raise ValueError("target='true' needs y, the true classes; pass y, or target='predicted'.")
    classifier, texts = explained_step(estimator, X)
    labels = None if target == "predicted" else label_column("y", y).tolist()
    attributions: PriorMatrix | Sequence[ArrayLike] = explain_texts(
        classifier, texts, labels, attribution=attribution, rules=rules
    )
    return {
        "predict_proba": classifier.predict_proba,
        "texts": texts,
        "attributions": attributions,
        "rules": rules,
        "target": "predicted" if labels is None else labels,
        "classes": None if labels is None else classifier.classes_,
    }
