"""What all priors have in common: they teach in `fit_transform`, and step aside in `transform`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcap.prior_matrix import PriorMatrix
from skcap.utils.labels import check_labels
from skcap.utils.words import check_texts

__all__ = ["BasePrior"]


class BasePrior(TransformerMixin, BaseEstimator, ABC):
    """A transformer from labelled texts to word scores.

    ``fit_transform(X, y)`` differs from ``fit(X, y).transform(X)``, as in scikit-learn's
    ``TargetEncoder``: priors supervise training, they are not features. At prediction time there
    is no label, and no language model should run.
    """

    def fit(self, X: Any, y: Any) -> BasePrior:
        """Learn the label space.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        self
        """
        texts = check_texts(X)
        self.classes_ = np.unique(check_labels(texts, y))
        self._fit(texts)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> PriorMatrix:
        """Learn the label space and score the texts for their labels.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        PriorMatrix, shape (n_texts,)
        """
        if y is None:
            raise ValueError(
                f"{type(self).__name__}.fit_transform needs y, as a prior is a prior for a label."
            )
        return self.fit(X, y).attribute(X, y)

    def transform(self, X: Any) -> PriorMatrix:
        """Pass texts on without scores; calls no model.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)

        Returns
        -------
        PriorMatrix, shape (n_texts,)
            All scores are NaN. :meth:`attribute` gives the scores of labelled texts.
        """
        check_is_fitted(self)
        return PriorMatrix(check_texts(X))

    def attribute(self, X: Any, y: Any) -> PriorMatrix:
        """Score any labelled texts.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)
            Labels known from :meth:`fit`.

        Returns
        -------
        PriorMatrix, shape (n_texts,)
        """
        check_is_fitted(self)
        texts = check_texts(X)
        labels = check_labels(texts, y)
        unknown = np.setdiff1d(labels, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y holds {unknown.size} labels that fit did not see, such as "
                f"{unknown.tolist()[0]!r}. Fit on all labels first."
            )
        return self._attribute(texts, np.searchsorted(self.classes_, labels))

    def _fit(self, texts: list[str]) -> None:
        """Validate parameters and learn what the source needs besides `classes_`."""

    @abstractmethod
    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        """Score texts for their classes, given as positions in `classes_`."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.target_tags.required = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # the same for scikit-learn before 1.6
        return {"X_types": ["string", "1darray"], "requires_y": True}
