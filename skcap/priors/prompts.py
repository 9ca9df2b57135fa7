"""Prompt templates."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import NamedTuple

__all__ = ["Prompt", "build_prompt"]

_PLACEHOLDERS = ("instruction", "labels", "text")


class Prompt(NamedTuple):
    """A template with everything filled in but the text: what stands before it and after it."""

    prefix: str
    suffix: str


def build_prompt(
    template: str, *, instruction: str, labels: Sequence[str], required: Sequence[str] = ("text",)
) -> Prompt:
    """Fill in a template and split it at the text.

    The text itself is never formatted, so braces in it have no meaning.

    Parameters
    ----------
    template : str
        With ``{text}`` exactly once and, optionally, ``{instruction}`` and ``{labels}``. Literal
        braces are doubled, as in ``str.format``.
    instruction : str
    labels : sequence of str
        Joined by commas.
    required : sequence of str, default=("text",)
        Placeholders that the template must have.

    Returns
    -------
    Prompt

    Raises
    ------
    ValueError
        If a placeholder is unknown, missing or formatted, or ``{text}`` occurs twice.

    Examples
    --------
    >>> from skcap.priors.prompts import build_prompt
    >>> build_prompt("{labels}? {text} =", instruction="", labels=["yes", "no"])
    Prompt(prefix='yes, no? ', suffix=' =')
    """
    pieces = _parse(template)
    _check_placeholders(template, [name for _, name in pieces if name is not None], required)
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


def _parse(template: str) -> list[tuple[str, str | None]]:
    """Split a template into literal texts and the placeholders that follow them."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"template is malformed ({error}): {template!r}. Double the braces that are no "
            "placeholders, as in '{{'."
        ) from error
    if any(form or conversion for _, _, form, conversion in parsed):
        raise ValueError(
            f"template formats a placeholder ({template!r}), which is not supported: write "
            "{text} and not {text!r} or {text:>9}."
        )
    return [(literal, name) for literal, name, _, _ in parsed]


def _check_placeholders(template: str, names: list[str], required: Sequence[str]) -> None:
    if unknown := sorted(set(names) - set(_PLACEHOLDERS)):
        raise ValueError(
            f"template has the unknown placeholder {{{unknown[0]}}}; allowed are "
            "{instruction}, {labels} and {text}. Double the braces that are no placeholders."
        )
    missing = [name for name in required if name not in names]
    if missing or names.count("text") != 1:
        wanted = missing[0] if missing else "text"
        raise ValueError(
            f"template must hold {{{wanted}}} "
            f"{'exactly once' if wanted == 'text' else 'at least once'}, got {template!r}."
        )
