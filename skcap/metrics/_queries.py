"""Questions to a model: probabilities of texts, and the columns of the classes in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from skcap.metrics._checks import check_length, unmasked
from skcap.utils.labels import label_column
from skcap.utils.validation import check_choice

PredictProba = Callable[[list[str]], ArrayLike]


def ask(predict_proba: PredictProba, texts: list[str]) -> np.ndarray:
    """Ask about each distinct text once; returns shape (n_texts, n_classes)."""
    if not callable(predict_proba):
        raise TypeError(
            f"predict_proba must be callable, got {type(predict_proba).__name__}; pass the method "
            "of a fitted classifier, as in classifier.predict_proba."
        )
    if not texts:
        raise ValueError("texts is empty; there is nothing to average over.")
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    answers = np.asarray(predict_proba(list(place)), dtype=np.float64)
    if answers.ndim != 2 or len(answers) != len(place):
        raise ValueError(
            f"predict_proba returned shape {answers.shape} for {len(place)} texts; it must return "
            "(n_texts, n_classes)."
        )
    return answers[[place[text] for text in texts]]


def target_columns(
    probabilities: np.ndarray, target: str | ArrayLike, classes: ArrayLike | None
) -> np.ndarray:
    """Find the column of the class to follow for each row of `probabilities`."""
    if isinstance(target, str):
        check_choice("target", target, ("predicted",), "or an array of one class per text")
        return probabilities.argmax(axis=1)
    return class_columns(target, classes, probabilities.shape, "target")


def class_columns(
    labels: ArrayLike, classes: ArrayLike | None, shape: tuple[int, ...], name: str
) -> np.ndarray:
    """Find the column of each label among probabilities of shape (n_texts, n_classes)."""
    n_texts, n_classes = shape
    values = unmasked(name, labels)
    # A column vector passes, as in scikit-learn's metrics, also one of lists.
    wanted = label_column(name, values if values.ndim == 2 else labels)
    check_length(name, wanted, n_texts)
    known = np.arange(n_classes) if classes is None else np.asarray(classes)
    if len(known) != n_classes:
        raise ValueError(f"classes has {len(known)} items for {n_classes} columns.")
    place = {label: column for column, label in enumerate(known.tolist())}
    unknown = sorted({str(label) for label in wanted.tolist() if label not in place})
    if unknown:
        raise ValueError(
            f"{name} holds classes that the model does not know: {', '.join(unknown[:5])}; it "
            f"knows {', '.join(map(str, list(place)[:5]))}{', ...' if len(place) > 5 else ''}. "
            "Labels other than column numbers need classes=classifier.classes_."
        )
    return np.array([place[label] for label in wanted.tolist()], dtype=np.int64)
