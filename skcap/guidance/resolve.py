"""From the `guidance` parameter to guidance objects."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from skcap.guidance.adversarial import AdversarialGuidance
from skcap.guidance.alignment import AlignmentGuidance
from skcap.guidance.base import BaseGuidance
from skcap.guidance.masker import MaskerGuidance
from skcap.guidance.rationale import RationaleGuidance
from skcap.guidance.swap import SwapGuidance

__all__ = ["GUIDANCE", "make_guidance", "resolve_guidance"]

# The history has each loss as train_<name>, and these besides.
_TAKEN = ("ce", "loss", "batch_size", "batch_count")

#: What a name stands for: the guidance with its defaults.
GUIDANCE: dict[str, type[BaseGuidance]] = {
    "alignment": AlignmentGuidance,
    "rationale": RationaleGuidance,
    "swap": SwapGuidance,
    "masker": MaskerGuidance,
    "adversarial": AdversarialGuidance,
}


def make_guidance(guidance: Any) -> BaseGuidance:
    """Give the guidance that a name or an instance stands for.

    Parameters
    ----------
    guidance : str or BaseGuidance

    Returns
    -------
    BaseGuidance
        An instance as it is.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither.

    Examples
    --------
    >>> from skcap.guidance import make_guidance
    >>> make_guidance("rationale")
    RationaleGuidance()
    """
    if isinstance(guidance, BaseGuidance):
        return guidance
    allowed = (
        f"guidance must be one of {', '.join(map(repr, GUIDANCE))}, an instance of BaseGuidance, a "
        "list of these, or None"
    )
    if isinstance(guidance, str):
        if guidance not in GUIDANCE:
            hint = " For none, pass None." if guidance.lower() in ("", "none", "no") else ""
            raise ValueError(f"{allowed}, got {guidance!r}.{hint}")
        return GUIDANCE[guidance]()
    hint = ""
    if isinstance(guidance, type) and issubclass(guidance, BaseGuidance):
        hint = f" Pass an instance: {guidance.__name__}()."
    raise TypeError(f"{allowed}, got {guidance!r:.80}.{hint}")


def resolve_guidance(guidance: Any) -> list[BaseGuidance]:
    """Turn the `guidance` parameter into checked copies.

    Parameters
    ----------
    guidance : str, BaseGuidance, list of these, or None

    Returns
    -------
    list of BaseGuidance
        Clones, so that what a fit prepares stays out of the parameter.

    Raises
    ------
    ValueError, TypeError
        As :func:`make_guidance`, or if a parameter of a guidance is not valid, its parts are a
        string, a loss has a name that is taken, or SwapGuidance is there twice.

    Examples
    --------
    >>> from skcap.guidance import resolve_guidance
    >>> resolve_guidance(["swap", "alignment"])
    [SwapGuidance(), AlignmentGuidance()]
    """
    if guidance is None:
        return []
    given = guidance if isinstance(guidance, list | tuple) else [guidance]
    resolved = [clone(make_guidance(item)) for item in given]
    for item in resolved:
        item.check()
        _check_parts(item)
    n_swaps = sum(isinstance(item, SwapGuidance) for item in resolved)
    if n_swaps > 1:
        raise ValueError(
            f"guidance lists SwapGuidance {n_swaps} times, but one of them would swap what another "
            "has put in. Pass one with all shortcuts: SwapGuidance(shortcuts=[*first, *second])."
        )
    return resolved


def _check_parts(guidance: BaseGuidance) -> None:
    if isinstance(guidance.parts, str):
        raise TypeError(
            f"parts of {type(guidance).__name__} must be a tuple of names, got the string "
            f"{guidance.parts!r}. A tuple of one name has a comma: ({guidance.parts!r},)."
        )
    for name in guidance.parts:
        if name in _TAKEN:
            raise ValueError(
                f"{type(guidance).__name__} names a loss {name!r} in its parts, but the history of "
                f"a training has its own train_{name}. Give the loss another name than "
                f"{', '.join(map(repr, _TAKEN))}."
            )
