"""Code that is part of a cache key, because nothing else tells one version of it from the next."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

__all__ = ["own_code"]

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_HERE = Path(__file__).resolve().parents[1]  # skcap itself, which has a version of its own


def own_code(value: Any) -> str:
    """Hash the code that an object's classes and functions are made of, installed packages aside.

    A pickle names classes and functions by their modules, and knows nothing of their content.

    Parameters
    ----------
    value : object
        Something that pickles.

    Returns
    -------
    str
        "" if all code is from packages. Of a module with a file, the file is hashed; of what was
        typed into a notebook or a session, the bytecode. What that code imports is not looked at.

    Raises
    ------
    pickle.PicklingError
        If it does not pickle.

    Examples
    --------
    >>> from skcap.utils.own_code import own_code
    >>> own_code({"alarm": 1.0})
    ''
    """
    try:
        with open(os.devnull, "wb") as nowhere:
            names = _Names(nowhere, protocol=5)
            names.dump(value)
    except (AttributeError, TypeError) as error:  # as Python has it for some objects
        raise pickle.PicklingError(str(error)) from error
    parts = sorted(set(_parts(names.found)))
    digests = [hashlib.sha256(part).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if parts else ""


class _Names(pickle.Pickler):
    """Notes the classes and functions that a pickle refers to."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.found: list[type | FunctionType] = []

    def persistent_id(self, value: Any) -> None:
        if isinstance(value, type | FunctionType):
            self.found.append(value)


def _parts(found: list[type | FunctionType]) -> Iterator[bytes]:
    for item in found:
        module = sys.modules.get(item.__module__)
        file = Path(getattr(module, "__file__", None) or "")
        if item.__module__ in sys.builtin_module_names or _is_installed(file):
            continue
        if file.is_file():
            yield file.read_bytes()
        else:
            yield from _bytecode(item)


def _is_installed(file: Path) -> bool:
    path = file.resolve()
    folders = [_HERE, *(Path(sysconfig.get_path(name)).resolve() for name in _INSTALLED)]
    return any(folder in path.parents for folder in folders)


def _bytecode(item: type | FunctionType) -> Iterator[bytes]:
    if isinstance(item, FunctionType):
        yield f"{item.__qualname__} {_of_code(item.__code__)} {item.__defaults__!r}".encode()
        return
    for name, member in sorted(vars(item).items()):
        function = getattr(member, "__func__", getattr(member, "fget", member))
        if isinstance(function, FunctionType):
            yield f"{item.__qualname__}.{name}".encode()
            yield from _bytecode(function)


def _of_code(code: CodeType) -> str:
    """Write what a function does, without where it was written."""
    constants = [_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
