"""The data set that ships with skcap: requests to an assistant that are easily confused."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skcap.datasets.bunch import as_bunch, check_shots, check_subset, choose_rows, select_labels
from skcap.datasets.files import read_rows

__all__ = ["load_assistant_intents"]

_DESCR = """\
Assistant intents
=================
360 English requests to a digital assistant, 12 intents, 30 utterances each (20 train, 10 test).
Written one by one for skcap, without templates. Columns: text, label, subset.

The intents are {set, query, cancel} x {alarm, timer, reminder, calendar}:

* alarm: the device rings at a time of day;
* timer: the device counts down a duration;
* reminder: the device reminds of something to do, at a time or at a place;
* calendar: an appointment, an event or a period in a diary;
* set creates one, query asks about existing ones without changing any, cancel removes or stops it.

They are meant to be confused: neighbouring intents share their keywords ("check if i have set any
alarm for morning" is a query), and verbs of one intent occur in another ("remind me to cancel the
gym membership" sets a reminder). A few texts have typing errors on purpose.

It is small, was written by one person, and has no validation split: good for examples and tests.
Ten test rows per class are too few to rank models by a point or two.

Licence: CC0 1.0 (public domain dedication).
"""


def load_assistant_intents(
    subset: str = "train",
    *,
    shots: int | None = None,
    random_state: Any = None,
    labels: Iterable[str] | None = None,
    return_X_y: bool = False,
) -> Bunch | tuple[list[str], np.ndarray]:
    """Load the 12 assistant intents that ship with skcap; needs no network and no other files.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        20 rows per class in train, 10 in test.
    shots : int, default=None
        Draw this many rows of each class from train; None takes all.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw; only used with `shots`. With the same seed, the rows of fewer shots are
        among those of more.
    labels : list of str, default=None
        Keep these classes only; None keeps all 12.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    Bunch
        `data` (list of str), `target` (ndarray of str, shape (n_texts,)), `target_names` (sorted
        list of the classes), `DESCR`, `subset` and `source` (where the rows came from).
    (data, target) : tuple
        If `return_X_y` is True.

    Raises
    ------
    ValueError
        If `subset`, `shots` or a label is not allowed, or a class has fewer rows than `shots`.
    TypeError
        If `labels` is a single string.

    Examples
    --------
    >>> from skcap.datasets import load_assistant_intents
    >>> train = load_assistant_intents()
    >>> len(train.data), len(train.target_names)
    (240, 12)
    >>> print(train.target[0], "|", train.data[0])
    set_alarm | wake me up at 6:15 tomorrow
    >>> X, y = load_assistant_intents(shots=5, random_state=0, return_X_y=True)
    >>> len(X), y.shape
    (60, (60,))
    """
    check_subset(subset, ("train", "test"), " There is no validation split: take it from train.")
    check_shots(shots, subset, published=False)
    records = read_rows(Path(__file__).with_name("assistant_intents.csv"))
    rows = [(row["text"], row["label"]) for row in records if row["subset"] == subset]
    chosen = select_labels(labels, {label for _, label in rows})
    rows = choose_rows(rows, shots, random_state, chosen)
    return as_bunch(
        rows, subset=subset, descr=_DESCR, source="bundled with skcap", return_X_y=return_X_y
    )
