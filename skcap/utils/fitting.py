"""What a failed fit leaves behind: an estimator that is not fitted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["fitting"]


@contextmanager
def fitting(estimator: Any) -> Iterator[None]:
    """Leave an estimator unfitted unless the block ends without an error.

    The fitted attributes of an earlier fit are dropped first: a refit that fails halfway would
    otherwise answer from a mixture of old and new.

    Parameters
    ----------
    estimator : estimator
        Its fitted attributes are those whose names end in an underscore, as scikit-learn has it.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from skcap.utils.fitting import fitting
    >>> class Mean(BaseEstimator):
    ...     def fit(self, X):
    ...         with fitting(self):
    ...             self.n_ = len(X)
    ...             self.mean_ = sum(X) / self.n_
    ...         return self
    >>> mean = Mean().fit([1, 2])
    >>> mean.fit([])
    Traceback (most recent call last):
        ...
    ZeroDivisionError: division by zero
    >>> vars(mean)
    {}
    """
    _drop_fitted(estimator)
    try:
        yield
    except BaseException:  # KeyboardInterrupt, too
        _drop_fitted(estimator)
        raise


def _drop_fitted(estimator: Any) -> None:
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)
