"""Faults are injected into the library: what survives, what is told, what is wrong or lost."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any


def _faults_of(area: str) -> Callable[[bool], Iterator[Any]]:
    return lambda short: importlib.import_module(f"{__name__}.{area}").faults(short)


AREAS = {
    area: _faults_of(area)
    for area in (
        "kills",
        "cache_damage",
        "disks",
        "servers",
        "texts",
        "labels",
        "parameters",
        "prior_files",
    )
}
"""Gives the faults of each area, few of them if the argument is True."""
