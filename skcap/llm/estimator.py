"""A scikit-learn classifier behind the contract of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np

from skcap.llm.base import BaseLLM

__all__ = ["LEAST_LOG_PROB", "EstimatorLLM"]

LEAST_LOG_PROB = float(np.log(np.finfo(np.float64).tiny))


class EstimatorLLM(BaseLLM):
    """A fitted text classifier, asked for the probability of a class by the class's name.

    It reads the body alone: prefix and suffix, which put a question to a language model, change
    nothing. Probability 0, which has no logarithm, is told as `LEAST_LOG_PROB`.

    Parameters
    ----------
    estimator : object
        Fitted classifier whose ``predict_proba`` takes a list of texts.
    columns : mapping of str to int
        Column of ``predict_proba`` for each continuation that may be asked for.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.llm.estimator import EstimatorLLM
    >>> model = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> model = model.fit(["wake me", "play jazz"], ["alarm", "music"])
    >>> llm = EstimatorLLM(model, {"alarm": 0, "music": 1})
    >>> llm.log_likelihood(["wake me", ""], ["alarm", "alarm"]).round(3)
    array([-0.223, -0.693])
    """

    def __init__(self, estimator: Any, columns: Mapping[str, int]) -> None:
        self.estimator = estimator
        self.columns = columns

    def log_likelihood(  # noqa: D102  (documented by the contract)
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:  # fmt: skip
        probabilities = np.asarray(self.estimator.predict_proba(list(bodies)), dtype=np.float64)
        columns = [self.columns[continuation] for continuation in continuations]
        with np.errstate(divide="ignore"):
            log_p = np.log(probabilities[np.arange(len(columns)), columns])
        return np.maximum(log_p, LEAST_LOG_PROB)

    def fingerprint(self) -> str:
        """Identify the classifier by all it holds.

        Returns
        -------
        str
            Two classifiers of one fingerprint are the same. The reverse does not hold: copies of
            one classifier, or the same fit in another process, may differ in what does not matter
            (scikit-learn's vectorizers hold a memory address), and then find no cached figures.

        Raises
        ------
        ValueError
            If the classifier does not pickle.
        """
        try:
            return f"estimator:{joblib.hash(self.estimator)}"
        except PicklingError as error:
            raise ValueError(
                "estimator cannot be identified, as part of it does not pickle: lambdas and what "
                f"functions define inside do not. Define it at the top of a module. ({error})"
            ) from error
