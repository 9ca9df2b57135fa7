"""What all priors have in common: `fit_transform` gives scores, `transform` does not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcap.prior_matrix import PriorMatrix
from skcap.utils.fitting import fitting
from skcap.utils.labels import check_labels
from skcap.utils.validation import check_parameters
from skcap.utils.words import check_texts

__all__ = ["BasePrior"]


class BasePrior(TransformerMixin, BaseEstimator, ABC):
    """A transformer from labelled texts to word scores.

    ``fit_transform(X, y)`` differs from ``fit(X, y).transform(X)``, as in scikit-learn's
    ``TargetEncoder``: priors supervise training, they are not features. At prediction time there
    is no label, and no language model should run.

    A prior of your own needs a constructor and `_attribute`; what it learns from the training
    texts goes into `_fit`, and what its parameters may be into `_parameter_constraints`.

    Examples
    --------
    >>> from skcap import PriorMatrix
    >>> from skcap.priors import BasePrior
    >>> class LongWords(BasePrior):
    ...     def _attribute(self, texts, classes):
    ...         return PriorMatrix(texts, [[len(w) > 3 for w in t.split()] for t in texts])
    >>> LongWords().fit_transform(["cancel my alarm"], ["alarm"]).to_dense()
    array([[1., 0., 1.]], dtype=float32)
    """

    _parameter_constraints: dict[str, Any] = {}

    def fit(self, X: Any, y: Any) -> BasePrior:
        """Learn the label space.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If a parameter, a text or a label is not valid. The prior is then not fitted, even if
            it was before.
        """
        with fitting(self):
            self._check_parameters()
            texts = check_texts(X)
            labels = check_labels(texts, y)
            self.classes_ = np.unique(labels)
            self._fit(texts, labels)
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
        with fitting(self):
            return self.fit(X, y).attribute(X, y)

    def set_output(self, *, transform: str | None = None) -> BasePrior:
        """Take scikit-learn's wish for another container of the output, and change nothing.

        A pipeline passes it on to all of its steps; what a prior gives stays a PriorMatrix.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None

        Returns
        -------
        self
        """
        return self

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

        Raises
        ------
        ValueError
            If `y` holds a label that was not in `fit`.
        """
        check_is_fitted(self)
        self._check_parameters()  # they may have been set since fit
        texts = check_texts(X)
        labels = check_labels(texts, y)
        known = set(self.classes_.tolist())
        if unknown := [label for label in dict.fromkeys(labels.tolist()) if label not in known]:
            raise ValueError(
                f"y holds {len(unknown)} labels that fit did not see, such as {unknown[0]!r}. Fit "
                "on all labels first."
            )
        return self._attribute(texts, np.searchsorted(self.classes_, labels))

    def _check_parameters(self) -> None:
        check_parameters(self)

    def _fit(self, texts: list[str], labels: np.ndarray) -> None:
        """Learn what the source needs besides `classes_`, into attributes that end in ``_``."""

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
