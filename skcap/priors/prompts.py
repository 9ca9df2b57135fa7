"""Prompt templates and label names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Prompt", "build_prompt", "name_labels"]

_PLACEHOLDERS = ("instruction", "labels", "text")


class Prompt(NamedTuple):
    """A template filled in but for the text: what stands before it and what after."""

    prefix: str
    suffix: str


def build_prompt(
    template: str, *, instruction: str, labels: Sequence[str], required: Sequence[str] = ("text",)
) -> Prompt:
    """Fill a template in and split it at the text.

    The text itself never passes through string formatting, so braces in it mean nothing.

    Parameters
    ----------
    template : str
        With ``{text}`` exactly once and, as wanted, ``{instruction}`` and ``{labels}``. Literal
        braces are doubled, as in ``str.format``.
    instruction : str
    labels : sequence of str
        Joined by commas.
    required : sequence of str, default=("text",)
        Placeholders that must be there.

    Returns
    -------
    Prompt

    Raises
    ------
    ValueError
        If a placeholder is unknown, missing or formatted, or ``{text}`` stands there twice.
    TypeError
        If `template` or `instruction` is not a string.

    Examples
    --------
    >>> from skcap.priors.prompts import build_prompt
    >>> build_prompt("{labels}? {text} =", instruction="", labels=["yes", "no"])
    Prompt(prefix='yes, no? ', suffix=' =')
    """
    for parameter, value in (("template", template), ("instruction", instruction)):
        if not isinstance(value, str):
            raise TypeError(f"{parameter} must be a string, got {type(value).__name__}.")
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"template is malformed ({error}): {template!r}. Double the braces that are meant "
            "literally, as in '{{'."
        ) from error
    if any(form or conversion for _, _, form, conversion in parsed):
        raise ValueError(
            f"template formats a placeholder ({template!r}); placeholders are filled in as they "
            "are, so write {text} and not {text!r} or {text:>9}."
        )
    pieces = [(literal, name) for literal, name, _, _ in parsed]
    names = [name for _, name in pieces if name is not None]
    unknown = sorted(set(names) - set(_PLACEHOLDERS))
    if unknown:
        raise ValueError(
            f"template has the unknown placeholder {{{unknown[0]}}}; allowed are "
            "{instruction}, {labels} and {text}. Double the braces that are meant literally."
        )
    missing = [name for name in required if name not in names]
    if missing or names.count("text") != 1:
        wanted = missing[0] if missing else "text"
        raise ValueError(
            f"template must hold {{{wanted}}} "
            f"{'exactly once' if wanted == 'text' else 'at least once'}, got {template!r}."
        )
    values = {"instruction": instruction, "labels": ", ".join(labels)}
    sides = ["", ""]
    side = 0
    for literal, name in pieces:
        sides[side] += literal
        if name == "text":
            side = 1
        elif name is not None:
            sides[side] += values[name]
    return Prompt(*sides)


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
    >>> from skcap.priors.prompts import name_labels
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
