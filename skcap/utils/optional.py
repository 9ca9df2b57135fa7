"""Optional dependencies: imported where they are used, with a hint where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["import_optional"]


def import_optional(module: str, extra: str, purpose: str) -> Any:
    """Import a module that one of skcap's extras brings.

    Parameters
    ----------
    module : str
        Such as "pyarrow.parquet".
    extra : str
        Such as "parquet", for ``pip install 'skcap[parquet]'``.
    purpose : str
        Begins the error, such as "Plots need".

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If it is missing; says what to install.

    Examples
    --------
    >>> from skcap.utils.optional import import_optional
    >>> import_optional("no_such.module", "plots", "Plots need")
    Traceback (most recent call last):
        ...
    ImportError: Plots need no_such, an optional dependency. Install it with pip install ...
    """
    package = module.partition(".")[0]
    try:
        import_module(package)  # a loaded submodule would hide that its package cannot be imported
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{purpose} {package}, an optional dependency. Install it with "
            f"pip install 'skcap[{extra}]'."
        ) from error
