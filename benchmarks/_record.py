"""What every benchmark writes beside its figures: machine, versions, date."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("skcap", "torch", "transformers", "scikit-learn", "skorch", "captum", "numpy")


def environment() -> dict[str, Any]:
    """Describe where figures were measured."""
    import torch

    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        **({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def save(name: str, figures: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Write figures and environment to ``<name>.json`` in ``benchmarks/results`` or a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    record = {"environment": environment(), **figures}
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """Read the figures that `save` wrote, none if it did not, to add to them."""
    path = folder / f"{name}.json"
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    figures.pop("environment", None)
    return figures


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), "")
