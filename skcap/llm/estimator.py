"""A scikit-learn classifier behind the contract of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np

from skcap.llm.base import BaseLLM, check_pairs
from skcap.utils.own_code import own_code
from skcap.utils.validation import HasMethods, check_parameters

__all__ = ["LEAST_LOG_PROB", "EstimatorLLM"]

LEAST_LOG_PROB = float(np.log(np.finfo(np.float64).tiny))
"""What stands for the logarithm of the probability 0."""

_ROUNDING = 1e-6  # above 1, where no probability is


class EstimatorLLM(BaseLLM):
    """A fitted text classifier, asked for the probability of a class by the class's name.

    It reads the body alone: prefix and suffix, which put a question to a language model, change
    nothing. For the probability 0, which has no logarithm, it returns `LEAST_LOG_PROB`.

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

    _parameter_constraints: dict[str, Any] = {
        "estimator": [HasMethods("predict_proba")],
        "columns": [Mapping],
    }

    def __init__(self, estimator: Any, columns: Mapping[str, int]) -> None:
        self.estimator = estimator
        self.columns = columns

    def log_likelihood(  # noqa: D102  (documented by the contract)
        self, bodies: Sequence[str], continuations: Sequence[str], *, prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:  # fmt: skip
        check_parameters(self)
        pairs = check_pairs(bodies, continuations)
        if not pairs:
            return np.zeros(0)
        probabilities = self._predict([body for body, _ in pairs])
        columns = [self._column(name, probabilities.shape[1]) for _, name in pairs]
        with np.errstate(divide="ignore"):
            log_p = np.log(probabilities[np.arange(len(columns)), columns])
        return np.maximum(log_p, LEAST_LOG_PROB)

    def _predict(self, bodies: list[str]) -> np.ndarray:
        found = np.asarray(self.estimator.predict_proba(bodies), dtype=np.float64)
        name = f"estimator: {type(self.estimator).__name__}.predict_proba"
        if found.ndim != 2 or len(found) != len(bodies):
            raise ValueError(
                f"{name} must give one row per text and one column per class, but for "
                f"{len(bodies)} texts it gave the shape {found.shape}."
            )
        n_classes = len(getattr(self.estimator, "classes_", found.T))
        if found.shape[1] != n_classes:
            raise ValueError(
                f"{name} must give one column for each of its {n_classes} classes_, but gave "
                f"{found.shape[1]}. Make the two agree."
            )
        if not ((found >= 0) & (found <= 1 + _ROUNDING)).all():
            raise ValueError(
                f"{name} must give probabilities, but gave NaN or negative numbers, or numbers "
                "above 1."
            )
        return found

    def _column(self, continuation: str, n_classes: int) -> int:
        column: Any = self.columns.get(continuation)
        if isinstance(column, bool) or column not in range(n_classes):
            raise ValueError(
                f"columns must give the column of {continuation!r}, an integer from 0 to "
                f"{n_classes - 1}, got {column!r}."
            )
        return int(column)

    def fingerprint(self) -> str:
        """Identify the classifier by everything it holds, and the columns that are asked for.

        Returns
        -------
        str
            Two classifiers with the same fingerprint are the same, and so is the code of their
            classes, as far as it is not from installed packages; what that code imports is not
            looked at. The reverse does not hold: copies of a classifier, or the same fit in
            another process, may differ in what does not matter (scikit-learn's vectorizers hold a
            memory address), and then cached values are not found.

        Raises
        ------
        ValueError
            If the classifier does not pickle.
        """
        check_parameters(self)
        try:
            state, code = joblib.hash(self.estimator), own_code(self.estimator)
            columns = joblib.hash(sorted((str(k), str(v)) for k, v in self.columns.items()))
            return f"estimator:{state}{code and f'|code={code}'}|columns={columns}"
        except PicklingError as error:
            raise ValueError(
                "estimator cannot be identified, as part of it does not pickle: lambdas, and "
                "functions defined inside functions, do not. Define them at the top level of a "
                f"module, or keep nothing with cache=False. ({error})"
            ) from error
