"""What a saved classifier is besides its weights: labels, parameters, guidance, data, versions."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from numbers import Real
from typing import Any

import numpy as np

from skcap.export.plain import (
    OPEN,
    NotSaved,
    columns_for_json,
    from_plain,
    parameters_to_plain,
    to_plain,
)
from skcap.utils.labels import name_labels, value_of

__all__ = [
    "check_card",
    "check_saved",
    "check_scores",
    "copy_parameters",
    "make_record",
    "restore_guidance",
    "restore_parameters",
]

_PACKAGES = ("skcap", "torch", "transformers", "scikit-learn", "skorch", "numpy")
_LEARNED = ("shortcuts_", "n_rounds_")  # attributes of a fitted guidance that are kept


def copy_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Copy parameters, so that one that is changed in place later stays here as it was.

    Parameters
    ----------
    parameters : mapping
        Of an estimator.

    Returns
    -------
    dict
        Members of enumerations as keys are their values. What JSON cannot hold is not copied, since
        no more than its type is ever recorded.
    """
    copied = {}
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            value = {value_of(key): item for key, item in value.items()}
        try:
            copied[name] = from_plain(to_plain(value))
        except TypeError:
            copied[name] = value
    return copied


def make_record(classifier: Any) -> tuple[dict[str, Any], list[str]]:
    """Describe a fitted classifier in what JSON holds.

    Parameters
    ----------
    classifier : GuidedTextClassifier
        Fitted.

    Returns
    -------
    record : dict
    lost : list of str
        Names of what JSON cannot hold, or is secret: parameters, and columns of tables.

    Raises
    ------
    ValueError
        If the labels are of a type that JSON cannot hold.
    """
    parameters = dict(classifier._fitted_with_)
    if not isinstance(parameters["label_names"], Mapping | list | tuple | None):
        parameters["label_names"] = _by_class(parameters["label_names"], classifier.classes_)
    plain, lost = parameters_to_plain(parameters)
    guidance = [_describe_guidance(item, lost) for item in classifier.guidance_]
    record = {
        "versions": {name: version(name) for name in _PACKAGES} | {"python": _python()},
        "labels": classifier.classes_.tolist(),  # for whoever reads the file without skcap
        "classes": _plain_classes(classifier.classes_),
        "parameters": plain,
        "max_length": classifier.max_length_,
        "guidance": guidance,
        "audit": _describe_audit(classifier),
        "training_data": classifier.training_data_,
    }
    return record, lost


def _by_class(label_names: Any, classes: np.ndarray) -> Any:
    """Give the names that a function or a column has, which say as much, and can be written."""
    try:
        names = name_labels(classes, label_names)
    except Exception:  # of the user's own; with label_weight=0 no fit has ever called it
        return label_names
    return dict(zip(classes.tolist(), names, strict=True))


def _python() -> str:
    return platform.python_version()


def _plain_classes(classes: np.ndarray) -> Any:
    try:
        return to_plain(classes)
    except TypeError as error:
        raise ValueError(
            f"Labels of type {classes.dtype} cannot be saved: {error} Train on strings, integers "
            "or booleans."
        ) from error


def _describe_guidance(guidance: Any, lost: list[str]) -> dict[str, Any]:
    learned = {name: getattr(guidance, name) for name in _LEARNED if hasattr(guidance, name)}
    if "shortcuts_" in learned:
        learned["shortcuts_"], columns = columns_for_json(learned["shortcuts_"])
        lost += [f"guidance_.shortcuts_[{name!r}]" for name in columns]
    try:
        kind = to_plain(guidance)
    except TypeError:
        kind = to_plain(NotSaved(type(guidance).__name__))
    return {"kind": kind, "learned": to_plain(learned)}


def _describe_audit(classifier: Any) -> dict[str, Any] | None:
    audit = getattr(classifier, "audit_", None)
    if audit is None:  # what was loaded has what was saved of it
        return getattr(classifier, "_saved_audit_", None)
    summary, *sentences = audit.sentences()
    return {"summary": summary, "sentences": sentences, "shortcuts": to_plain(audit.shortcuts_)}


def restore_parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the constructor's parameters; those that were not saved are :class:`NotSaved`."""
    parameters = {name: from_plain(value) for name, value in record["parameters"].items()}
    if kwargs := parameters.get("model_kwargs"):
        # Whoever made the folder must not decide that code is run when the user fits again.
        parameters["model_kwargs"] = {name: kwargs[name] for name in kwargs if name in OPEN}
    return parameters


def restore_guidance(record: Mapping[str, Any]) -> list[Any]:
    """Give the guidance as it was used, with what is kept of what it learned."""
    fitted = []
    for item in record["guidance"]:
        guidance = from_plain(item["kind"])
        for name, value in from_plain(item["learned"]).items():
            if name in _LEARNED:
                setattr(guidance, name, value)
        fitted.append(guidance)
    return fitted


def check_saved(parameters: Mapping[str, Any]) -> None:
    """Refuse to fit with parameters that a folder could not hold.

    Parameters
    ----------
    parameters : mapping
        Of an estimator.

    Raises
    ------
    ValueError
        Names them.
    """
    lost = [name for name, value in parameters.items() if isinstance(value, NotSaved)]
    if lost:
        raise ValueError(
            f"{lost[0]} is {parameters[lost[0]]}: the folder that this classifier was loaded from "
            f"cannot hold it. Before fitting, set {', '.join(lost)} with set_params."
        )


def check_card(card: Any) -> dict[str, Any]:
    """Check the fields that a user wants in the header of the model card.

    Parameters
    ----------
    card : mapping of str to what JSON can hold, or None

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it is no such mapping.
    """
    fields = {} if card is None else card
    are_named = isinstance(fields, Mapping) and all(isinstance(name, str) for name in fields)
    if not are_named or not _is_json(dict(fields)):
        raise ValueError(
            "card must map names of fields to strings, numbers or lists of these, such as "
            f"{{'license': 'mit'}}, got {card!r:.80}."
        )
    return dict(fields)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def check_scores(scores: Any) -> dict[str, float]:
    """Check the scores that a user wants in the model card.

    Parameters
    ----------
    scores : mapping of str to float, or None

    Returns
    -------
    dict of str to float

    Raises
    ------
    ValueError
        If it is no such mapping.
    """
    scores = {} if scores is None else scores
    valid = isinstance(scores, Mapping) and all(
        isinstance(name, str) and isinstance(value, Real) and math.isfinite(value)
        for name, value in scores.items()
    )
    if not valid:
        raise ValueError(
            "scores must map names to finite numbers, such as {'accuracy': 0.93}, got "
            f"{scores!r:.80}."
        )
    return {name: float(value) for name, value in scores.items()}
