"""An audit in words: one sentence for each finding, and one for what was not found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skcap.shortcuts.denial import ALONE
from skcap.shortcuts.verdict import is_not_understood, is_too_rare, is_undecided
from skcap.utils.listing import list_some

__all__ = ["describe", "summarise"]

_PLACES = {"first": "start", "last": "end"}


def describe(row: Mapping[str, Any]) -> str:
    """Say what was found about one candidate.

    Parameters
    ----------
    row : mapping
        A row of ``ShortcutAudit.words_``.

    Returns
    -------
    str
    """
    parts = [_association(row), _reliance(row), _denial(row)]
    return " ".join(part for part in parts if part)


def _name(row: Mapping[str, Any]) -> str:
    return f"The pattern '{row['word']}'" if row["kind"] == "pattern" else f"'{row['word']}'"


def _association(row: Mapping[str, Any]) -> str:
    n_texts, n_label, label = row["n_texts"], row["n_label"], row["label"]
    share = f"all of class {label}" if n_label == n_texts else f"{n_label} of them of class {label}"
    if row["kind"] == "pattern":
        return f"{_name(row)} shows in {n_texts} texts, {share}."
    if row["kind"] in _PLACES:
        return f"{_name(row)} is at the {_PLACES[row['kind']]} of {n_texts} texts, {share}."
    # Of a word, the texts count in which it stands anywhere.
    place = f", usually at the {_PLACES[row['place']]}" if row["place"] else ""
    mark = f", as part of '{row['mark']}'" if row.get("mark") else ""
    return f"{_name(row)} occurs in {n_texts} texts, {share}{place}{mark}."


def _reliance(row: Mapping[str, Any]) -> str:
    log_odds = row.get("log_odds", np.nan)
    if pd.isna(log_odds):
        return ""
    flips = row["flips"]
    turned = f" and flips {flips:.0%} of the predictions to it" if round(flips, 2) > 0 else ""
    return (
        f"Added to texts of other classes, it multiplies the odds of {row['label']} by "
        f"{np.exp(log_odds):.3g}{turned}."
    )


def _denial(row: Mapping[str, Any]) -> str:
    share = row.get("prior", np.nan)
    if pd.isna(share):
        return "The prior says nothing about it." if "n_scored" in row else ""
    said = (
        f"Its share of the prior's scores is {share:+.2f}, against {row['expected']:+.2f} by chance"
    )
    if row["by"] == "family":
        said += f"; the prior denies words of its kind ({row['family']})"
    return f"{said}."


def _were(n: int) -> str:
    return "1 was" if n == 1 else f"{n} were"


def summarise(words: pd.DataFrame, fdr: float) -> str:
    """Say how many candidates were tested and flagged, and what the audit cannot tell.

    Parameters
    ----------
    words : pandas.DataFrame
        ``ShortcutAudit.words_``.
    fdr : float

    Returns
    -------
    str
    """
    n_tested, n_flagged = int(words["tested"].sum()), int(words["shortcut"].sum())
    found = {0: "No shortcut was found", 1: "1 shortcut was found"}.get(
        n_flagged, f"{n_flagged} shortcuts were found"
    )
    parts = [
        f"{found} among {n_tested} candidates that go with a class "
        f"(false discovery rate {fdr:g}; {len(words)} candidates in all)."
    ]
    n_left_out = int(words["left_out"].sum())
    if n_left_out:
        parts.append(f"{n_left_out} more, less strongly associated, were not tested.")
    if "p_reliance" not in words:
        parts.append("There was no classifier, so it is not known whether one relies on them.")
    if "p_denied" in words:
        parts += [*_undecided(words), *_not_judged(words)]
    else:
        parts.append(
            "There was no prior, so real keywords cannot be told from shortcuts: "
            "the list holds both."
        )
    return " ".join(parts)


def _undecided(words: pd.DataFrame) -> Iterator[str]:
    """Name what is left for a person to judge."""
    undecided = is_undecided(words) & ~is_too_rare(words)
    names = [repr(word) for word in words.loc[undecided, "word"].unique()]
    if names:
        them = "it" if len(names) == 1 else "them"
        yield (
            f"{_were(len(names))} not flagged, though the prior does not support {them} either: "
            f"{list_some(names, most=10)}. Those that are there by accident can be listed, as in "
            "SwapGuidance([...])."
        )


def _not_judged(words: pd.DataFrame) -> Iterator[str]:
    """Say what a prior could not be heard on."""
    unheard, rare = words[is_not_understood(words)], words[is_too_rare(words)]
    if len(unheard):
        labels = unheard["label"].unique()
        yield (
            f"{_were(len(unheard))} not judged, since the prior does not understand "
            f"{'class' if len(labels) == 1 else 'classes'} {list_some(labels)}: in half of these "
            "texts or more, no other words speak for the class. Pass the prior label_names that "
            "say what it is about."
        )
    if len(rare):
        yield (
            f"{_were(len(rare))} not judged, since the prior scores them in fewer than {ALONE} "
            f"texts: {list_some([repr(word) for word in rare['word']])}."
        )
