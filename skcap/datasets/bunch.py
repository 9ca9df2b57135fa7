"""From labelled rows to what every loader returns: check, select, draw, bunch."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skcap.datasets.files import Row

__all__ = ["as_bunch", "check_shots", "check_subset", "choose_rows", "scope_hint", "select_labels"]


def check_subset(subset: str, allowed: Collection[str], hint: str = "") -> None:
    """Raise if `subset` is not one of the splits that a data set has."""
    if not isinstance(subset, str) or subset not in allowed:
        raise ValueError(f"subset must be one of {list(allowed)}, got {subset!r}.{hint}")


def check_shots(shots: Any, subset: str, *, published: bool) -> None:
    """Raise if `shots` is neither a number of rows nor a published draw, or not for train."""
    if shots is None:
        return
    is_count = isinstance(shots, Integral) and not isinstance(shots, bool) and int(shots) >= 1
    if not is_count and not (published and shots == "published"):
        allowed = "None, an int >= 1" + (", or 'published'" if published else "")
        raise ValueError(f"shots must be {allowed}, got {shots!r}.")
    if subset != "train":
        raise ValueError(
            f"shots={shots!r} draws from the train split, got subset={subset!r}. "
            "Leave shots=None to load all rows of that split."
        )


def choose_rows(
    rows: Sequence[Row], shots: int | None, random_state: Any, chosen: set[str]
) -> list[Row]:
    """Keep the rows of the chosen classes, or draw `shots` of each, in the order of the source."""
    if shots is None:
        return [row for row in rows if row[1] in chosen]
    return _draw_shots(rows, shots, random_state, chosen)


def _draw_shots(rows: Sequence[Row], shots: int, random_state: Any, chosen: set[str]) -> list[Row]:
    """Draw `shots` rows of each chosen class.

    Every row gets a random key, and each class gives its rows with the smallest keys. So the draw
    of a class depends neither on which other classes are chosen nor on rows that follow, and with
    the same seed 5 shots are among 10.
    """
    keys = check_random_state(random_state).random_sample(len(rows))
    members: dict[str, list[int]] = {label: [] for label in sorted(chosen)}
    for i, (_, label) in enumerate(rows):
        if label in chosen:
            members[label].append(i)
    drawn = []
    for label, indices in members.items():
        if len(indices) < shots:
            raise ValueError(
                f"shots={shots}, but class {label!r} has only {len(indices)} rows in train. "
                "Pass fewer shots, or leave the class out with labels=[...]."
            )
        drawn += sorted(indices, key=keys.__getitem__)[:shots]
    return [rows[i] for i in sorted(drawn)]


def select_labels(
    labels: Iterable[str] | None, available: Collection[str], hint: str = ""
) -> set[str]:
    """Return the set of classes to keep, after checking that each of them exists."""
    if labels is None:
        return set(available)
    if isinstance(labels, str):
        raise TypeError(f"labels is a single string; pass a list, as in labels=[{labels!r}].")
    if not isinstance(labels, Iterable):
        raise TypeError(f"labels must be a list of classes, or None for all, got {labels!r:.60}.")
    wanted = [str(label) for label in labels]
    if not wanted:
        raise ValueError("labels is empty; name at least one class, or leave labels=None for all.")
    for label in wanted:
        if label not in available:
            close = difflib.get_close_matches(label, sorted(available), n=3, cutoff=0.5)
            means = f"Did you mean {' or '.join(map(repr, close))}?" if close else "None is close."
            raise ValueError(
                f"labels: there is no class {label!r} among the {len(available)} classes. "
                f"{means}{hint} All names: target_names of the data loaded with labels=None."
            )
    return set(wanted)


def scope_hint(label: str, out_of_scope: bool) -> str:
    """Say how rows out of scope come in, for whoever names their label among the classes."""
    if out_of_scope:
        return f" out_of_scope=True adds the rows of {label!r}; leave it out of labels."
    return " For rows out of scope, pass out_of_scope=True."


def as_bunch(
    rows: Sequence[Row], *, subset: str, descr: str, source: str, return_X_y: bool
) -> Bunch | tuple[list[str], np.ndarray]:
    """Pack rows as scikit-learn's loaders do."""
    data = [text for text, _ in rows]
    target = np.array([label for _, label in rows], dtype=str)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=sorted(set(target.tolist())),
        DESCR=descr,
        subset=subset,
        source=source,
    )
