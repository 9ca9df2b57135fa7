"""Prompt templates and label names."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import NamedTuple

__all__ = ["Prompt", "build_prompt"]

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
