"""Checks of parameters, the same for every estimator and function of the package.

An estimator lists what each of its parameters may be in ``_parameter_constraints``, as
scikit-learn's own do, and calls :func:`check_parameters` at the start of `fit`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    Options,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = [
    "JOBS",
    "HasMethods",
    "Options",
    "StrOptions",
    "check_choice",
    "check_jobs",
    "check_number",
    "check_parameters",
    "integer",
    "number",
]


class _Number(Interval):
    """An interval of finite numbers. Booleans are no numbers here: ``n_steps=True`` is a slip."""

    def is_satisfied_by(self, val: Any) -> bool:
        if isinstance(val, bool) or not isinstance(val, self.type):
            return False
        return math.isfinite(val) and val in self


def integer(least: int, most: int | None = None) -> Interval:
    """Constrain a parameter to integers from `least` to `most`, both included.

    Parameters
    ----------
    least : int
    most : int or None, default=None
        None sets no upper limit.

    Returns
    -------
    Interval
        For a list in ``_parameter_constraints``.

    Examples
    --------
    >>> from skcap.utils.validation import integer
    >>> integer(1).is_satisfied_by(3), integer(1).is_satisfied_by(0)
    (True, False)
    """
    return _Number(Integral, least, most, closed="left" if most is None else "both")


def number(least: float, most: float | None = None, *, above: bool = False) -> Interval:
    """Constrain a parameter to finite real numbers from `least` to `most`.

    Parameters
    ----------
    least : float
    most : float or None, default=None
        Included; None sets no upper limit.
    above : bool, default=False
        Leave out `least` itself.

    Returns
    -------
    Interval
        For a list in ``_parameter_constraints``.

    Examples
    --------
    >>> from skcap.utils.validation import number
    >>> number(0, 1).is_satisfied_by(0.5), number(0, above=True).is_satisfied_by(0)
    (True, False)
    """
    if most is None:
        return _Number(Real, least, None, closed="neither" if above else "left")
    return _Number(Real, least, most, closed="right" if above else "both")


JOBS: list[Any] = [integer(1), Interval(Integral, None, -1, closed="right"), None]
"""What ``n_jobs`` parameters accept: any integer but 0, or None."""


def check_parameters(estimator: Any, **values: Any) -> None:
    """Check an estimator's parameters against its ``_parameter_constraints``.

    Parameters
    ----------
    estimator : estimator
    **values
        Arguments of one of its methods, checked instead, by constraints of the same name.

    Raises
    ------
    ValueError
        Names the parameter, what it was and what is allowed. (scikit-learn's
        ``InvalidParameterError``, which is a TypeError as well.)

    Examples
    --------
    >>> from skcap.utils.validation import check_parameters, integer
    >>> from sklearn.base import BaseEstimator
    >>> class Draw(BaseEstimator):
    ...     _parameter_constraints = {"n_draws": [integer(1)]}
    ...
    ...     def __init__(self, n_draws=1):
    ...         self.n_draws = n_draws
    >>> check_parameters(Draw(0))
    Traceback (most recent call last):
        ...
    sklearn.utils._param_validation.InvalidParameterError: The 'n_draws' parameter of Draw must be
    an int in the range [1, inf). Got 0 instead.
    """
    validate_parameter_constraints(
        estimator._parameter_constraints,
        values or estimator.get_params(deep=False),
        caller_name=type(estimator).__name__,
    )


def check_choice(name: str, value: object, allowed: Iterable[Any], more: str = "") -> None:
    """Check an argument of a function that may have one of several values.

    Parameters
    ----------
    name : str
    value : object
    allowed : iterable
    more : str, default=""
        What else is allowed, in words.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> from skcap.utils.validation import check_choice
    >>> check_choice("how", "median", ("mean", "max"))
    Traceback (most recent call last):
        ...
    ValueError: how must be one of 'mean', 'max', got 'median'.
    """
    options = tuple(allowed)
    if not any(
        value is option or (type(value) is type(option) and value == option) for option in options
    ):
        listed = ", ".join(map(repr, options))
        raise ValueError(f"{name} must be one of {f'{listed} {more}'.strip()}, got {value!r}.")


def check_number(name: str, value: Any, constraint: Interval) -> None:
    """Check an argument of a function that must be a number.

    Parameters
    ----------
    name : str
    value : object
    constraint : Interval
        What :func:`integer` or :func:`number` makes.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> from skcap.utils.validation import check_number, integer
    >>> check_number("n_steps", 0, integer(1))
    Traceback (most recent call last):
        ...
    ValueError: n_steps must be an int in the range [1, inf), got 0.
    """
    if not constraint.is_satisfied_by(value):
        raise ValueError(f"{name} must be {constraint}, got {value!r}.")


def check_jobs(n_jobs: Any, caller: str) -> None:
    """Check the argument `n_jobs` of a function.

    Parameters
    ----------
    n_jobs : object
    caller : str
        Name of the function.

    Raises
    ------
    ValueError
        If it is neither an integer other than 0 nor None.

    Examples
    --------
    >>> from skcap.utils.validation import check_jobs
    >>> check_jobs(-1, "compare_guidance")
    """
    validate_parameter_constraints({"n_jobs": JOBS}, {"n_jobs": n_jobs}, caller_name=caller)
