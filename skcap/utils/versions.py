"""What a bug report needs to know of the machine: versions and devices."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

__all__ = ["describe_versions", "show_versions"]

_REQUIRED = (
    "skcap", "captum", "filelock", "joblib", "lime", "numpy", "pandas", "platformdirs",
    "safetensors", "scikit-learn", "scipy", "skorch", "torch", "tqdm", "transformers", "typer",
)  # fmt: skip
_OPTIONAL = (
    "accelerate", "datasets", "gguf", "httpx", "matplotlib", "onnx", "onnxruntime", "polars",
    "pyarrow", "sentence-transformers", "shap",
)  # fmt: skip


def show_versions() -> None:
    """Print what a bug report needs: versions of skcap, Python and the libraries, and devices.

    Nothing is sent anywhere, and no path or user name is printed.

    Examples
    --------
    >>> import skcap
    >>> skcap.show_versions()  # doctest: +ELLIPSIS
    System
      python ...
    """
    print(describe_versions())


def describe_versions() -> str:
    """Give the text that :func:`show_versions` prints.

    Returns
    -------
    str
    """
    system = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    required = {name: _version(name) or "MISSING" for name in _REQUIRED}
    optional = {name: _version(name) or "not installed" for name in _OPTIONAL}
    sections = {
        "System": system,
        "Required": required,
        "Optional": optional,
        "Devices of torch": _devices(),
    }
    return "\n".join(
        line
        for title, rows in sections.items()
        for line in (title, *(f"  {name:<22} {value}" for name, value in rows.items()))
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    if torch.cuda.is_available():
        devices["cuda (torch's)"] = str(torch.version.cuda)
        for place in range(torch.cuda.device_count()):
            devices[f"cuda:{place}"] = torch.cuda.get_device_name(place)
    if torch.backends.mps.is_available():
        devices["mps"] = "available"
    return devices
