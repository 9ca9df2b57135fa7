"""Lists within a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["list_some"]


def list_some(items: Sequence[Any], most: int = 5) -> str:
    """List the first of some items, and say how many more there are.

    Examples
    --------
    >>> from skcap.utils.listing import list_some
    >>> list_some(["alarm", "music", "rain"], most=2)
    'alarm, music and 1 more'
    """
    names = ", ".join(map(str, items[:most]))
    return f"{names} and {len(items) - most} more" if len(items) > most else names
