"""Results of a search over parameters: a tidy table and a plot."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import hash as hash_of
from sklearn.utils.validation import check_is_fitted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_search", "search_frame"]

# Okabe and Ito's colours, which colour-blind people can tell apart; markers help on grey paper.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_RESULTS = ("metric", "mean", "std", "rank", "n_splits", "fit_seconds")
_FIXED = ("candidate", "iter", "n_resources", *_RESULTS)  # columns that are no parameters
_DODGE = 0.06  # of the distance of two points, so that error bars do not hide each other


def search_frame(search: Any) -> pd.DataFrame:
    """Lay out the results of a search as a table, one row per candidate and metric.

    Parameters
    ----------
    search : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, ...
        A fitted search, one metric or several.

    Returns
    -------
    pandas.DataFrame, shape (n_candidates * n_metrics, n_parameters + 7)
        ``candidate`` (its row in ``cv_results_``), ``iter`` and ``n_resources`` if the search is a
        halving one, one column per parameter, ``metric``, ``mean`` and ``std`` over the test splits
        (not standard errors), ``rank``, ``n_splits``, and ``fit_seconds``, the mean over the
        splits. A parameter that is called like one of the other columns, such as `metric`, is in
        ``param_metric``. Estimators and functions are shown by their names, or, if two in a column
        would look the same, with the parameters that differ from the defaults, and with a number
        where these are too long to be shown. A parameter that is not in a candidate's grid is
        ``pandas.NA``.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If `search` is not fitted.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skcap.inspection.search import search_frame
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0]
    >>> search = GridSearchCV(
    ...     Ridge(), {"alpha": [0.0, 10.0]}, cv=2, scoring="neg_mean_absolute_error"
    ... )
    >>> search_frame(search.fit(X, y))[["alpha", "metric", "mean", "rank"]].round(2)
       alpha                   metric  mean  rank
    0    0.0  neg_mean_absolute_error   0.0     1
    1   10.0  neg_mean_absolute_error  -1.9     2
    """
    import pandas as pd

    check_is_fitted(search, "cv_results_")
    results = search.cv_results_
    shared = {name: results[name] for name in ("iter", "n_resources") if name in results}
    shared.update({_column(name): _short(results[f"param_{name}"]) for name in _parameters(search)})
    parts = [
        pd.DataFrame(
            {
                "candidate": np.arange(len(results["params"])),
                **shared,
                "metric": name,
                "mean": results[f"mean_test_{key}"],
                "std": results[f"std_test_{key}"],
                "rank": results[f"rank_test_{key}"],
                "n_splits": search.n_splits_,
                "fit_seconds": results["mean_fit_time"],
            }
        )
        for key, name in _metrics(search).items()
    ]
    return pd.concat(parts, ignore_index=True)


def plot_search(
    search: Any,
    x: str | None = None,
    line: str | None = None,
    metric: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot a score against one parameter of a search, one line for each value of another.

    Each point is the best candidate among those that share `x` and `line`; the title names the
    other parameters that it was chosen over. The best of many candidates looks better than it is:
    compare winners on data that the search has not seen.

    Parameters
    ----------
    search : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV, ...
        A fitted search. In a halving search, the last iteration of each candidate counts.
    x : str or None, default=None
        The parameter on the horizontal axis. Its values are evenly spaced, in ascending order if
        they are numbers, since no scale suits 0, 0.1, 1, 10. None takes two of the parameters that
        have several values in the search, numbers first: one for `x` and, if it is None, one for
        `line`.
    line : str or None, default=None
        The parameter that has one line per value. None draws a single line, if `x` is given.
    metric : str or None, default=None
        Which metric to plot; None takes the one that the search refits on, or the only one.
    ax : matplotlib.axes.Axes or None, default=None
        Where to draw; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        Error bars are one standard deviation over the test splits in each direction. Candidates
        that failed (a NaN score) are left out.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no such parameter or metric, or nothing to plot.

    Examples
    --------
    >>> from skcap.inspection import plot_search
    >>> search = GridSearchCV(pipe, {"clf__beta": [0.3, 1.0]}).fit(X, y)  # doctest: +SKIP
    >>> plot_search(search)  # doctest: +SKIP
    """
    from skcap.inspection.plots._matplotlib import import_pyplot, label_ticks

    pyplot = import_pyplot()
    if x is None:
        x, line = _choose_axes(search, line)
    points, others = _best_points(search, x, line, metric)
    ax = pyplot.subplots(layout="constrained")[1] if ax is None else ax
    ticks, lines = _in_order(points["x"]), _in_order(points["line"])
    for number, value in enumerate(lines):
        rows = points[points["line"] == value]
        places = np.array([ticks.index(tick) for tick in rows["x"]], dtype=float)
        order = np.argsort(places)
        ax.errorbar(
            places[order] + _DODGE * (number - (len(lines) - 1) / 2),
            rows["mean"].to_numpy()[order],
            yerr=rows["std"].to_numpy()[order],
            label=value,
            color=_COLORS[number % len(_COLORS)],
            marker=_MARKERS[number % len(_MARKERS)],
            capsize=3,
        )
    label_ticks(ax, "x", range(len(ticks)), ticks)
    ax.set_xlabel(x)
    ax.set_ylabel(f"{points['metric'].iloc[0]} (mean ± sd of {search.n_splits_} splits)")
    if line is not None:
        ax.legend(title=line)
    if others:
        ax.set_title(f"each point is the best over {', '.join(others)}", fontsize="medium")
    return ax


def _choose_axes(search: Any, line: str | None) -> tuple[str, str | None]:
    """Choose a parameter for the horizontal axis, and one for the lines if none is given."""
    frame, names = search_frame(search), _parameters(search)
    if not names:
        raise ValueError("There is nothing to plot: the search has no parameters.")
    columns = {name: frame[_column(name)] for name in names if name != line or len(names) == 1}
    varied = [name for name, values in columns.items() if values.map(_name).nunique() > 1]
    varied.sort(key=lambda name: not _are_numbers(columns[name]))  # else in their order
    x = varied[0] if varied else next(iter(columns))
    return x, varied[1] if line is None and len(varied) > 1 else line


def _are_numbers(values: pd.Series) -> bool:
    known = values.dropna()  # a parameter need not be in every grid
    return all(isinstance(v, numbers.Real) and not isinstance(v, bool | np.bool_) for v in known)


def _best_points(
    search: Any, x: str, line: str | None, metric: str | None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the best candidate of each point, and the parameters that it was chosen over."""
    import pandas as pd

    frame, parameters = search_frame(search), _parameters(search)
    for role, name in (("x", x), ("line", line)):
        if name is not None and name not in parameters:
            raise ValueError(
                f"{role} must be a parameter of the search ({', '.join(map(repr, parameters))}"
                f"{' or None' if role == 'line' else ''}), got {name!r}."
            )
    frame = frame[frame["metric"] == _choose_metric(search, metric)].dropna(subset=["mean"])
    if frame.empty:
        raise ValueError("There is nothing to plot: all candidates failed (their scores are NaN).")
    if "iter" in search.cv_results_:  # a halving search runs its survivors again, in later rows
        runs = [id(search.cv_results_["params"][row]) for row in frame["candidate"]]
        frame = frame[~pd.Index(runs).duplicated(keep="last")]
    named = frame[list(map(_column, parameters))].map(_name).set_axis(parameters, axis=1)
    others = [name for name in parameters if name not in (x, line) and named[name].nunique() > 1]
    points = frame[["metric", "mean", "std"]].assign(
        x=named[x], line=named[line] if line is not None else ""
    )
    best = points.sort_values("mean").drop_duplicates(["x", "line"], keep="last")
    return best.sort_index(), others


def _choose_metric(search: Any, metric: str | None) -> str:
    metrics = list(_metrics(search).values())
    if metric is None:
        metric = metrics[0] if len(metrics) == 1 else getattr(search, "refit", None)
        if metric not in metrics:
            raise ValueError(
                f"The search refits on none of its metrics, so say which to plot, as in "
                f"metric={metrics[0]!r}."
            )
    if metric not in metrics:
        raise ValueError(f"metric must be one of {', '.join(map(repr, metrics))}, got {metric!r}.")
    return metric


def _parameters(search: Any) -> list[str]:
    prefix = "param_"
    return [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]


def _column(parameter: str) -> str:
    """Name the column of a parameter: as `cv_results_` does where there is another of its name."""
    return f"param_{parameter}" if parameter in _FIXED else parameter


def _metrics(search: Any) -> dict[str, str]:
    """Name of each metric by the name it has in `cv_results_`."""
    prefix = "mean_test_"
    keys = [key.removeprefix(prefix) for key in search.cv_results_ if key.startswith(prefix)]
    if keys == ["score"] and isinstance(search.scoring, str):
        return {"score": search.scoring}
    return {key: key for key in keys}


def _short(values: np.ma.MaskedArray) -> pd.Series:
    """Make a column of the values of a parameter, with objects shown by their names."""
    import pandas as pd

    items = [pd.NA if value is np.ma.masked else value for value in values]
    plain = [item.item() if isinstance(item, np.generic) else item for item in items]
    if all(isinstance(item, numbers.Real) for item in plain):
        return pd.Series(plain)
    long, short = _distinct_names(plain), [_short_name(item) for item in plain]
    clear = len(set(short)) == len(set(long))
    shown = [
        item if item is None or item is pd.NA or isinstance(item, str | numbers.Real) else name
        for item, name in zip(plain, short if clear else long, strict=True)
    ]
    return pd.Series(shown, dtype=object)


def _distinct_names(values: Sequence[Any]) -> list[str]:
    """Give long names, with a number where values differ in what an abbreviated name leaves out."""
    known: dict[str, list[Any]] = {}  # the different values of each name
    places = []
    for value in values:
        same_name = known.setdefault(_long_name(value), [])
        place = next((n for n, other in enumerate(same_name) if _same(value, other)), None)
        if place is None:
            place = len(same_name)
            same_name.append(value)
        places.append((_long_name(value), place + 1))
    return [f"{name} (no. {n})" if len(known[name]) > 1 else name for name, n in places]


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return hash_of(one) == hash_of(other)
    except Exception:  # pickle's errors are of many types; what it cannot read is like nothing else
        return False


def _short_name(value: Any) -> str:
    if hasattr(value, "get_params"):
        return type(value).__name__
    return getattr(value, "__name__", _long_name(value))


def _long_name(value: Any) -> str:
    return " ".join(repr(value).split())


def _name(value: Any) -> str:
    """Write a value of the table for a tick or a legend."""
    import pandas as pd

    if value is pd.NA:
        return "not set"
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _in_order(names: Sequence[str]) -> list[str]:
    """Sort names: numbers by size, then the others in order of appearance."""

    def place(name: str) -> tuple[bool, float]:
        try:
            return False, float(name)
        except ValueError:
            return True, 0.0

    return sorted(dict.fromkeys(names), key=place)
