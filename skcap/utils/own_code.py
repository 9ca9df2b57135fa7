"""Code that is part of a cache key, because nothing else tells one version of it from the next."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import joblib

__all__ = ["own_code"]

_INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
_HERE = Path(__file__).resolve().parents[1]  # skcap itself, which has a version of its own
#: Of a class: what says nothing about what it does, or differs from process to process.
_NO_CODE = {"__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl"}
_NO_CODE |= {"__firstlineno__", "__static_attributes__", "__slotnames__"}

_WRAPPERS = (classmethod, staticmethod, property, cached_property)
_WRAPPED = ("__func__", "fget", "func")  # the function in each of these


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
        "" if all code is from packages. Else a hash of the code as it is loaded, whatever has been
        written to its file since: of the classes and functions, all others of their module, and
        what these refer to by name, base classes and constants included. Constants that do not
        pickle are left out.

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
    parts = sorted(set(_parts(_names_in(value))))
    digests = [hashlib.sha256(part.encode()).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16] if parts else ""


def _names_in(value: Any) -> list[type | FunctionType]:
    """List the classes and functions that a pickle of the object refers to."""
    try:
        with open(os.devnull, "wb") as nowhere:
            names = _Names(nowhere, protocol=5)
            names.dump(value)
    except (AttributeError, TypeError) as error:  # as Python has it for some objects
        raise pickle.PicklingError(str(error)) from error
    return names.found


class _Names(pickle.Pickler):
    """Notes the classes and functions that a pickle refers to."""

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol)
        self.found: list[type | FunctionType] = []

    def persistent_id(self, value: Any) -> None:
        if isinstance(value, type | FunctionType):
            self.found.append(value)


def _parts(found: Iterable[Any]) -> Iterator[str]:
    """Write each piece of own code once, and what it refers to."""
    queue, seen = list(found), set[int]()
    while queue:
        item = queue.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if _is_of_package(item):
            continue
        queue += _neighbours(item)
        for name, value in _members(item):
            if not isinstance(value, type | FunctionType):
                value = getattr(value, "__wrapped__", value)  # as lru_cache leaves a function
            if isinstance(value, type | FunctionType):
                own, text = [value], f"{value.__module__}.{value.__qualname__}"
            elif isinstance(value, ModuleType):
                own, text = [], value.__name__
            else:
                own, text = _of_data(value)
            queue += own
            yield f"{item.__qualname__} {name} {text}"
        code = _of_code(item.__code__) if isinstance(item, FunctionType) else "class"
        yield f"{item.__qualname__} {code}"


def _is_of_package(item: Any) -> bool:
    name = str(item.__module__)
    if name.partition(".")[0] in (*sys.stdlib_module_names, *sys.builtin_module_names):
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return False
    return not _package_folders().isdisjoint(Path(file).resolve().parents)


@cache
def _package_folders() -> set[Path]:
    return {_HERE, *(Path(sysconfig.get_path(name)).resolve() for name in _INSTALLED)}


def _neighbours(item: Any) -> list[Any]:
    """Give the other classes and functions of a module; what is typed in has none."""
    module = sys.modules.get(item.__module__)
    if item.__module__ == "__main__" or not getattr(module, "__file__", None):
        return []
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type | FunctionType) and value.__module__ == item.__module__
    ]


def _members(item: type | FunctionType) -> Iterator[tuple[str, Any]]:
    """Give what a class consists of, or what a function refers to, by name."""
    if isinstance(item, FunctionType):
        yield "defaults", [item.__defaults__, item.__kwdefaults__]
        for cell in item.__closure__ or ():
            yield "closure", cell.cell_contents
        yield from _named_globals(item)
        return
    yield from (("base", base) for base in item.__bases__)
    for name, member in vars(item).items():
        if name not in _NO_CODE:
            if isinstance(member, _WRAPPERS):
                member = next(filter(None, (getattr(member, n, None) for n in _WRAPPED)), member)
            yield name, member


def _named_globals(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give the global values that a function names, and those of modules that it names."""
    names = set(_all_names(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield name, value
        if isinstance(value, ModuleType) and not _is_of_package(_Located(value.__name__)):
            yield from ((n, vars(value)[n]) for n in sorted(names & vars(value).keys()))


class _Located:
    """Stands for something of a module."""

    def __init__(self, module: str) -> None:
        self.__module__ = module


def _all_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_names(constant)


def _of_data(value: Any) -> tuple[list[Any], str]:
    """Give the classes and functions in a value, and a hash of the rest; none if it has none."""
    try:
        return list(_names_in(value)), joblib.hash(value)
    except Exception:  # a lock, a lambda in a list: objects may raise whatever they like here
        return [], ""


def _of_code(code: CodeType) -> str:
    """Write what a function does, without where it was written."""
    constants = [_of_constant(constant) for constant in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _of_constant(constant: Any) -> str:
    if isinstance(constant, CodeType):
        return _of_code(constant)
    if isinstance(constant, frozenset):  # whose order differs from process to process
        return str(sorted(map(repr, constant)))
    return repr(constant)
