"""Labels: what counts as one, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

__all__ = ["check_labels", "name_labels"]


def check_labels(texts: list[str], y: Any) -> np.ndarray:
    """Validate the labels of some texts.

    Parameters
    ----------
    texts : list of str
    y : array-like, shape (n_texts,)

    Returns
    -------
    ndarray, shape (n_texts,)

    Raises
    ------
    ValueError
        If there are no texts, lengths differ, a label is missing, or `y` is not a one-dimensional
        set of classes.
    """
    import pandas as pd

    if y is None:
        raise ValueError("y must hold one label a text, got None.")
    labels = column_or_1d(y, warn=True)
    missing = np.flatnonzero(pd.isna(labels))
    if missing.size:
        raise ValueError(
            f"y must hold one label a text; row {missing[0]} is {labels[missing[0]]!r}. Fill or "
            "drop missing labels first."
        )
    check_classification_targets(labels)
    check_consistent_length(texts, labels)
    if not len(labels):
        raise ValueError("X holds no texts; at least one is needed.")
    return labels


def name_labels(
    classes: np.ndarray, label_names: Mapping[Any, str] | Callable[[Any], str] | None
) -> list[str]:
    """Turn class labels into what the language model is to say.

    Parameters
    ----------
    classes : ndarray, shape (n_classes,)
    label_names : mapping, callable or None
        From a label to its name. None takes the label itself with underscores made spaces:
        ``card_arrival`` becomes ``card arrival``.

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
    >>> name_labels(np.array(["card_arrival", "top_up"]), None)
    ['card arrival', 'top up']
    >>> name_labels(np.array([0, 1]), {0: "no", 1: "yes"})
    ['no', 'yes']
    """
    labels = classes.tolist()
    if label_names is None:
        names = [" ".join(str(label).replace("_", " ").split()) for label in labels]
    elif isinstance(label_names, Mapping):
        absent = [label for label in labels if label not in label_names]
        if absent:
            raise ValueError(
                f"label_names lacks {len(absent)} of the {len(labels)} classes, such as "
                f"{absent[0]!r}. Its keys must be the labels of y, of the same type."
            )
        names = [label_names[label] for label in labels]
    elif callable(label_names):
        names = [label_names(label) for label in labels]
    else:
        raise TypeError(
            f"label_names must be a mapping, a callable or None, got {type(label_names).__name__}."
        )
    owner: dict[str, Any] = {}
    for label, name in zip(labels, names, strict=True):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"The name of label {label!r} must be a non-empty string, got {name!r}."
            )
        if name != name.strip():
            raise ValueError(
                f"The name of label {label!r} begins or ends with white space, got {name!r}. "
                "Strip it: where the space goes is the language model's affair."
            )
        if name in owner:
            raise ValueError(
                f"The labels {owner[name]!r} and {label!r} share the name {name!r}, so a language "
                "model cannot tell them apart. Give them different label_names."
            )
        owner[name] = label
    return names
