"""The verdict: what the tests of association, reliance and denial come to, taken together."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from skcap.shortcuts.denial import ALONE, is_understood
from skcap.shortcuts.patterns import PATTERNS

__all__ = [
    "LEVEL",
    "add_verdict",
    "is_judged",
    "is_not_understood",
    "is_relied_on",
    "is_too_rare",
    "is_undecided",
]

LEVEL = 0.05  # of the tests of association and reliance, which come before that of denial


def is_relied_on(table: pd.DataFrame) -> pd.Series:
    """Find candidates that go with a class and that the classifier, if there is one, goes by.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        With `tested` and, where reliance was tested, `p_reliance`.

    Returns
    -------
    pandas.Series of bool
    """
    return table["tested"] & (table.get("p_reliance", 0.0) <= LEVEL)


def is_judged(table: pd.DataFrame) -> pd.Series:
    """Find candidates that a prior can speak of: words, and patterns that are whole words.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)

    Returns
    -------
    pandas.Series of bool
    """
    whole = [name for name, pattern in PATTERNS.items() if pattern.whole]
    return (table["kind"] != "pattern") | table["word"].isin(whole)


def is_not_understood(table: pd.DataFrame) -> pd.Series:
    """Find candidates on which a prior cannot be heard, since it does not understand their class.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        Of an audit with a prior.

    Returns
    -------
    pandas.Series of bool
        Of those that would have been judged by what the prior says of them alone.
    """
    return _is_alone(table) & ~is_understood(table)


def is_too_rare(table: pd.DataFrame) -> pd.Series:
    """Find candidates that a prior has scored in too few texts to judge them by themselves.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        Of an audit with a prior, after the verdict.

    Returns
    -------
    pandas.Series of bool
        Of those that the classifier goes by.
    """
    rare = _is_left_to_itself(table) & (table["n_scored"] < ALONE)
    return rare & ~_is_part(table, table["shortcut"])


def is_undecided(table: pd.DataFrame) -> pd.Series:
    """Find candidates that a prior neither denies nor speaks for.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        Of an audit with a prior, after the verdict.

    Returns
    -------
    pandas.Series of bool
        Of those that the classifier goes by.
    """
    heard = is_relied_on(table) & is_judged(table) & (table["n_scored"] > 0)
    flagged = table["shortcut"] | _is_part(table, table["shortcut"])
    return heard & (table["p_confirmed"] > LEVEL) & ~flagged


def _is_alone(table: pd.DataFrame) -> pd.Series:
    """Find candidates without a denied family that the prior has scored often enough."""
    return _is_left_to_itself(table) & (table["n_scored"] >= ALONE)


def _is_left_to_itself(table: pd.DataFrame) -> pd.Series:
    return is_relied_on(table) & is_judged(table) & table["q_family"].isna()


def add_verdict(table: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Add the p-value and the q-value of each candidate, the test they come from, and the verdict.

    Parameters
    ----------
    table : pandas.DataFrame, shape (n_candidates, n_columns)
        With the columns of all tests that were made.
    fdr : float

    Returns
    -------
    pandas.DataFrame
        With the columns `p`, `q`, `by` and `shortcut`, those flagged first.
    """
    table = table.assign(p=1.0, q=1.0, by="")
    relied, judged = is_relied_on(table), is_judged(table)
    reliance = np.maximum(table["p_association"], table.get("p_reliance", 0.0))
    if "p_denied" in table:
        family = table["q_family"].notna()
        table.loc[family, ["p", "q"]] = table.loc[family, ["p_family", "q_family"]].to_numpy()
        table.loc[family, "by"] = "family"
        alone = _is_alone(table) & is_understood(table)
        _adjust(table, alone, table["p_denied"], "denial")
        _adjust(table, table["tested"] & ~judged, reliance, "reliance")
    else:
        _adjust(table, table["tested"], reliance, "reliance")
    flagged = relied & (table["q"] <= fdr) & ~_is_length(table)
    table["shortcut"] = flagged & ~_is_part(table, flagged)
    return table.sort_values(
        ["shortcut", "q", "z"], ascending=[False, True, False], ignore_index=True, kind="stable"
    )


def _adjust(table: pd.DataFrame, rows: pd.Series, p: pd.Series, test: str) -> None:
    """Correct the p-values of some rows for their number (Benjamini and Hochberg)."""
    if rows.any():
        table.loc[rows, "p"], table.loc[rows, "by"] = p[rows], test
        table.loc[rows, "q"] = false_discovery_control(p[rows])


def _is_length(table: pd.DataFrame) -> pd.Series:
    """Find lengths of texts: no text can be made longer by nothing, so reliance is not tested."""
    return (table["kind"] == "pattern") & ~table["word"].isin(list(PATTERNS))


def _is_part(table: pd.DataFrame, flagged: pd.Series) -> pd.Series:
    """Find words at a place, and phrases, whose word is flagged wherever it stands."""
    anywhere = set(table.loc[flagged & (table["kind"] == "word"), "word"])
    at_place = table["kind"].isin(["first", "last", "phrase"])
    return at_place & np.array(
        [not anywhere.isdisjoint(word.split()) for word in table["word"]], dtype=bool
    )
