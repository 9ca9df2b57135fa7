"""Labels: what counts as one, and what it is called."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Set, ValuesView
from enum import Enum
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from skcap.utils.keyed import as_mapping
from skcap.utils.words import is_encodable

__all__ = [
    "LabelNames",
    "as_values",
    "check_labels",
    "closest_label",
    "label_column",
    "meaningless_labels",
    "name_labels",
    "value_of",
]

_UNLIKE_OBJECTS = (bool, int, np.bool_, np.integer, Enum)
_TIMES = (datetime.date, datetime.time, datetime.timedelta)

LabelNames = Mapping[Any, str] | Callable[[Any], str] | ArrayLike | None
"""What ``label_names`` parameters accept."""


#: Where a new word of a label begins: behind underscores, and at capitals as in "GetATMCode".
_BETWEEN_WORDS = re.compile(r"_|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def check_labels(texts: list[str], y: Any) -> np.ndarray:
    """Check the labels of some texts.

    Parameters
    ----------
    texts : list of str, length n_texts
    y : array-like, shape (n_texts,)
        One label per text: strings, integers or booleans, all of one kind. Members of an
        enumeration stand for their values.

    Returns
    -------
    ndarray, shape (n_texts,)

    Raises
    ------
    ValueError
        If there are no texts; if `y` has another length, more than one label per text, a missing
        label, labels of different kinds, dates, or continuous values.
    TypeError
        If `y` is a generator.

    Examples
    --------
    >>> from skcap.utils.labels import check_labels
    >>> check_labels(["stop", "play jazz"], ["alarm", "music"])
    array(['alarm', 'music'], dtype='<U5')
    >>> check_labels(["stop", "play jazz"], ["alarm", float("nan")])
    Traceback (most recent call last):
        ...
    ValueError: y must hold one label per text, but row 1 is nan. Fill in or drop missing labels ...
    """
    labels = label_column("y", y, warn=True)
    if len(labels) != len(texts):
        raise ValueError(
            f"X and y have inconsistent numbers of samples: {len(texts)} texts and {len(labels)} "
            "labels. y must hold one label per text, in the order of the texts."
        )
    if not len(labels):
        raise ValueError("X holds no texts; at least one is needed.")
    _refuse_dates(labels)
    _refuse_continuous(labels)
    return labels


def as_values(y: Any) -> Any:
    """Make a list of what NumPy would take for something else.

    Parameters
    ----------
    y : array-like
        Labels: pandas' nullable numbers and booleans, of which NumPy makes floats, objects that are
        numbers or booleans all the same, masked arrays, views of mappings, members of enumerations,
        which stand for their values, or any others.

    Returns
    -------
    array-like
        `y` itself, where NumPy reads it as it is meant. What is masked is None.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcap.utils.labels import as_values
    >>> as_values(pd.Series([1, 0], dtype="Int64"))
    [1, 0]
    """
    import pandas as pd

    if isinstance(y, np.ma.MaskedArray):
        values, hidden = y.data.astype(object), np.ma.getmaskarray(y)
        values[hidden] = None
        y = values
    dtype = getattr(y, "dtype", None)
    is_nullable = isinstance(dtype, pd.api.extensions.ExtensionDtype) and dtype.kind in "iufb"
    is_column = getattr(dtype, "kind", "") == "O" and len(getattr(y, "shape", ())) == 1
    if isinstance(y, ValuesView):
        y = list(y)
    elif is_nullable or (is_column and all(isinstance(x, _UNLIKE_OBJECTS) for x in y)):
        y = y.tolist()
    if isinstance(y, list | tuple) and any(isinstance(label, Enum) for label in y):
        y = [value_of(label) for label in y]
    return y


def label_column(name: str, values: Any, *, warn: bool = False) -> np.ndarray:
    """Make an array of labels of one kind: integers of nullable ones, and none of missing ones.

    Parameters
    ----------
    name : str
        Of the parameter, for errors.
    values : array-like of str, int or bool, shape (n_labels,) or (n_labels, 1)
    warn : bool, default=False
        Whether to warn of a column vector, as scikit-learn's estimators do and its metrics do not.

    Returns
    -------
    ndarray, shape (n_labels,)

    Raises
    ------
    ValueError
        If a label is missing, there is more than one column, or labels are of different kinds.
    TypeError
        If `values` is a generator.

    Examples
    --------
    >>> import pandas as pd
    >>> from skcap.utils.labels import label_column
    >>> label_column("y_true", pd.Series([1, 0], dtype="Int64"))
    array([1, 0])
    """
    if values is None or isinstance(values, str | Number | Mapping | Set):
        raise ValueError(f"{name} must hold one label per text, got {values!r:.60}.")
    if isinstance(values, Iterator):
        raise TypeError(
            f"{name} is a {type(values).__name__}, which can be read only once; pass a list, as in "
            f"list({name})."
        )
    values = as_values(values)
    is_list = isinstance(values, list | tuple)
    # Before NumPy sees a list: it would turn ["a", nan] and ["a", 1] into strings.
    raw = np.fromiter(values, dtype=object, count=len(values)) if is_list else values
    _refuse_several_labels(name, raw)
    labels = column_or_1d(raw, warn=warn)
    _refuse_missing(name, labels)
    _refuse_mixed(name, labels)
    return np.asarray(values) if is_list and len(values) else labels


def value_of(label: Any) -> Any:
    """Give the value of a member of an enumeration, and anything else as it is.

    Examples
    --------
    >>> from enum import Enum
    >>> from skcap.utils.labels import value_of
    >>> value_of(Enum("Intent", {"CARD": "card"}).CARD), value_of("card")
    ('card', 'card')
    """
    return label.value if isinstance(label, Enum) else label


def _refuse_several_labels(name: str, y: Any) -> None:
    """Refuse what multi-label problems have: a matrix, or a collection for each text."""
    shape: tuple[int, ...] = getattr(y, "shape", ())
    advice = "Choose one label per text, or train one model for each label."
    if len(shape) > 1 and shape[1] != 1:
        raise ValueError(
            f"{name} should be a 1d array with one label per text, got shape {tuple(shape)}. "
            f"{advice}"
        )
    if len(shape) == 1 and y.dtype == object:
        for row, label in enumerate(y):
            if isinstance(label, list | tuple | set | frozenset | np.ndarray | Mapping):
                raise ValueError(
                    f"{name} should be a 1d array with one label per text, but row {row} is a "
                    f"{type(label).__name__} ({label!r:.60}). {advice}"
                )


def _refuse_missing(name: str, labels: np.ndarray) -> None:
    import pandas as pd

    missing = np.flatnonzero(pd.isna(labels))
    if missing.size:
        raise ValueError(
            f"{name} must hold one label per text, but row {missing[0]} is {labels[missing[0]]}. "
            "Fill in or drop missing labels first."
        )


def _refuse_mixed(name: str, labels: np.ndarray) -> None:
    if labels.dtype != object:
        return
    first: dict[type, int] = {}
    for row, label in enumerate(labels):
        first.setdefault(_kind(label), row)
    if len(first) > 1:
        found = " and ".join(f"{labels[row]!r} (row {row})" for row in list(first.values())[:2])
        raise ValueError(
            f"{name} holds labels of different kinds, such as {found}. Make them all strings, as "
            f"in [str(label) for label in {name}]."
        )


def _refuse_dates(labels: np.ndarray) -> None:
    """Refuse times: as plain objects, of which names are made, NumPy's may be bare numbers."""
    if labels.dtype.kind in "mM" or isinstance(labels[0], _TIMES):
        raise ValueError(
            f"y holds dates or times, starting with {labels[0]}. Make strings of them, as in "
            "[str(label) for label in y]."
        )


def _refuse_continuous(labels: np.ndarray) -> None:
    try:
        is_infinite = labels.dtype.kind == "f" and np.isinf(labels).any()
        kind = "infinite in places" if is_infinite else type_of_target(labels)
    except ValueError as error:  # complex numbers
        kind = f"no list of classes ({error})"
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"Unknown label type: y is {kind}, starting with {labels[0]}. Labels must be classes, "
            "such as strings or integers; sort continuous values into classes first."
        )


def _kind(label: Any) -> type:
    if isinstance(label, bool | np.bool_):
        return bool
    return next((kind for kind in (str, Number) if isinstance(label, kind)), type(label))


def closest_label(label: Any, others: Collection[Any]) -> Any:
    """Find what a label is most likely a misspelling of.

    Parameters
    ----------
    label : object
    others : collection

    Returns
    -------
    object
        One of `others`, or None if none is close.

    Examples
    --------
    >>> from skcap.utils.labels import closest_label
    >>> closest_label("rian", ["rain", "music"]), closest_label("1", [0, 1])
    ('rain', 1)
    """
    by_text = {str(other): other for other in others}
    close = difflib.get_close_matches(str(label), by_text, n=1)
    return by_text[close[0]] if close else None


def meaningless_labels(classes: np.ndarray) -> str | None:
    """Say what the labels are, if they do not say what they mean.

    Parameters
    ----------
    classes : ndarray, shape (n_classes,)

    Returns
    -------
    str or None
        "booleans"; "numbers", which may be written as strings; or None for any others.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.utils.labels import meaningless_labels
    >>> meaningless_labels(np.array(["0", "1"])), meaningless_labels(np.array(["play", "1"]))
    ('numbers', None)
    """
    if classes.dtype.kind == "b":
        return "booleans"
    try:
        classes.astype(float)
    except (TypeError, ValueError):
        return None
    return "numbers"


def name_labels(classes: np.ndarray, label_names: LabelNames) -> list[str]:
    """Turn class labels into the names that a language model is asked for.

    Parameters
    ----------
    classes : ndarray, shape (n_classes,)
        In sorted order.
    label_names : mapping, callable, array-like of str, shape (n_classes,), or None
        From a label to its name, or one name per class in sorted order. None takes the words of
        the label itself: ``card_arrival`` becomes ``card arrival``, ``PlayMusic`` becomes
        ``Play Music``.

    Returns
    -------
    list of str, length n_classes

    Raises
    ------
    ValueError
        If a name is missing, empty, begins or ends with white space, or is given to two classes.
    TypeError
        If `label_names` is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.utils.labels import name_labels
    >>> name_labels(np.array(["PlayMusic", "card_arrival"]), None)
    ['Play Music', 'card arrival']
    >>> name_labels(np.array([0, 1]), {0: "no", 1: "yes"})
    ['no', 'yes']
    >>> name_labels(np.array([0, 1]), ["no", "yes"])
    ['no', 'yes']
    """
    labels = classes.tolist()
    names = _given_names(labels, label_names)
    owner: dict[str, Any] = {}
    for label, name in zip(labels, names, strict=True):
        _check_name(label, name)
        if name in owner:
            raise ValueError(
                f"The labels {owner[name]!r} and {label!r} share the name {name!r}, so a language "
                "model cannot tell them apart. Give them different label_names."
            )
        owner[name] = label
    return names


def _given_names(labels: list[Any], label_names: Any) -> list[str]:
    if label_names is None:
        return [" ".join(_BETWEEN_WORDS.sub(" ", str(label)).split()) for label in labels]
    label_names = as_mapping("label_names", label_names)
    if isinstance(label_names, Mapping):
        label_names = {value_of(label): name for label, name in label_names.items()}
        absent = [label for label in labels if label not in label_names]
        if absent:
            near = closest_label(absent[0], [key for key in label_names if key not in labels])
            meant = "" if near is None else f" Did you write {near!r} for it?"
            raise ValueError(
                f"label_names lacks {len(absent)} of the {len(labels)} classes, such as "
                f"{absent[0]!r}.{meant} Its keys must be the labels of y, of the same type."
            )
        return [label_names[label] for label in labels]
    if callable(label_names):
        return [label_names(label) for label in labels]
    if isinstance(label_names, str) or np.ndim(label_names) != 1:
        raise TypeError(
            "label_names must be a mapping, a callable, a list with one name per class, or None, "
            f"got {type(label_names).__name__}."
        )
    names = np.asarray(label_names, dtype=object).tolist()
    if len(names) != len(labels):
        raise ValueError(
            f"label_names must hold one name for each of the {len(labels)} classes in sorted "
            f"order ({', '.join(map(repr, labels[:5]))}{', ...' * (len(labels) > 5)}), got "
            f"{len(names)} names. A mapping of label to name is safer."
        )
    return names


def _check_name(label: Any, name: Any) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ValueError(
            f"label_names must give each class a non-empty string, got {name!r} for the label "
            f"{label!r}."
        )
    if not is_encodable(name):
        raise ValueError(
            f"label_names gives the label {label!r} a name that is not valid Unicode, "
            f"{name!r:.60}, which no tokenizer can read. Give it another name."
        )
    if name != name.strip():
        raise ValueError(
            f"label_names gives the label {label!r} a name that begins or ends with white space, "
            f"{name!r}. Strip it: skcap puts a space before a name where the prompt needs one."
        )
