"""Parameters and labels as JSON, and back without loss: types that JSON lacks carry a tag."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from skcap.guidance import GUIDANCE, BaseGuidance
from skcap.shortcuts import ShortcutAudit

__all__ = ["OPEN", "NotSaved", "from_plain", "parameters_to_plain", "to_plain"]

_ARRAY_KINDS = "biufU"  # of numpy: booleans, integers, floats and strings
# The entries of `model_kwargs` that may be read by all. Others may hold a secret, as `token` and
# `proxies` do, lead to a place on this machine, or let a model run code of its own.
OPEN = ("revision", "local_files_only", "subfolder", "variant", "attn_implementation")


class NotSaved:
    """Stands in for a parameter that JSON cannot hold; a fit refuses it, as it would any object.

    Parameters
    ----------
    what : str
        What the parameter was.
    """

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"<not saved: {self.what}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NotSaved) and other.what == self.what

    def __hash__(self) -> int:
        return hash(self.what)


def to_plain(value: Any) -> Any:
    """Turn a value into what JSON holds, with a tag where its type would be lost.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, path, torch device, numpy number, 1-D array, table, list,
        tuple, mapping, a guidance of skcap, or an audit without classifier and prior; nested at
        will.

    Returns
    -------
    None, bool, int, float, str, list or dict

    Raises
    ------
    TypeError
        If the value is of another type.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.export import from_plain, to_plain
    >>> to_plain((0.9, np.int32(3)))
    {'tuple': [0.9, {'number': ['<i4', 3]}]}
    >>> from_plain(to_plain({1: None}))
    {1: None}
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is list:
        return [to_plain(item) for item in value]
    for tag, kind in _KINDS.items():
        if kind.holds(value):
            return {tag: to_plain(kind.pack(value))}
    raise TypeError(f"JSON cannot hold {type(value).__name__} objects.")


def from_plain(value: Any) -> Any:
    """Turn what :func:`to_plain` gave back into the value.

    Parameters
    ----------
    value : None, bool, int, float, str, list or dict

    Returns
    -------
    object
        Paths and devices come back as str. Nothing in a value can name code to be run: a guidance
        is found by its name among those of skcap.

    Raises
    ------
    ValueError
        If :func:`to_plain` cannot have given it.
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or next(iter(value)) not in _KINDS:
        raise ValueError(f"{value!r:.60} is not a value that skcap writes")
    ((tag, packed),) = value.items()
    return _KINDS[tag].unpack(from_plain(packed))


def parameters_to_plain(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Turn an estimator's parameters into what JSON holds.

    Parameters
    ----------
    parameters : mapping

    Returns
    -------
    plain : dict
        By name; what JSON cannot hold is a :class:`NotSaved`, and so is the path of an encoder.
    lost : list of str
        The names of what JSON cannot hold, and of entries of `model_kwargs` that may be private.
    """
    plain, lost = {}, []
    for name, value in parameters.items():
        if name == "model":
            value = _without_path(value)
        if name == "model_kwargs" and value:
            lost += [f"model_kwargs[{key!r}]" for key in value if key not in OPEN]
            value = {key: item for key, item in value.items() if key in OPEN}
        try:
            plain[name] = to_plain(value)
        except TypeError:
            plain[name] = to_plain(NotSaved(type(value).__name__))
            lost.append(name)
    return plain, lost


def _without_path(model: Any) -> Any:
    """Keep of an encoder's folder its name: where it lies on this machine is nobody's business.

    The name alone must not come back as the parameter: at the next fit it could mean another model.
    """
    if not isinstance(model, str | os.PathLike):
        return model
    path = os.path.expanduser(os.fspath(model))
    name = os.path.basename(os.path.normpath(path))
    is_path = os.path.isdir(path) or os.path.isabs(path) or path.count("/") > 1  # else an id
    return NotSaved(f"the path of the folder {name!r}") if is_path and name != path else model


def columns_for_json(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Keep the columns of a table that JSON can hold.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    table : pandas.DataFrame
    lost : list of str
        The names of the other columns.
    """
    lost = []
    for name in table.columns:
        try:
            to_plain(table[[name]])
        except TypeError:
            lost.append(name)
    return table.drop(columns=lost), list(map(str, lost))


class _Kind(NamedTuple):
    """A type that JSON lacks: how to know it, and how to make it simpler and back."""

    holds: Callable[[Any], bool]
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


def _is(*types: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types)


def _pack_array(array: np.ndarray) -> list[Any]:
    if array.ndim != 1 or array.dtype.kind not in _ARRAY_KINDS + "O":
        raise TypeError(f"JSON cannot hold arrays of {array.dtype} and shape {array.shape}.")
    return [array.dtype.str, array.tolist()]


def _unpack_array(packed: Any) -> np.ndarray:
    name, values = packed
    dtype = np.dtype(str(name))
    if dtype.kind not in _ARRAY_KINDS + "O":
        raise ValueError(f"arrays of {dtype} are never written here")
    array = np.empty(len(values), dtype=dtype)
    array[:] = values
    return array


def _pack_table(table: pd.DataFrame) -> list[Any]:
    if table.index.name is not None:  # such as the words of `disputed_words`
        table = table.reset_index()
    cells = table.astype(object).where(table.notna(), None)
    rows = [list(row) for row in cells.itertuples(index=False)]
    return [list(map(str, table.columns)), rows, list(map(str, table.dtypes))]


def _unpack_table(packed: Any) -> pd.DataFrame:
    columns, rows, *dtypes = packed
    if not dtypes:  # as skcap 0.2 wrote it
        return pd.DataFrame(rows, columns=columns)
    table = pd.DataFrame(rows, columns=range(len(columns)), dtype=object)
    # "str" is a type of columns from pandas 3 on; before, it makes None a string.
    kinds = {place: pd.api.types.pandas_dtype(name) for place, name in enumerate(*dtypes)}
    table = table.astype({place: kind for place, kind in kinds.items() if kind.kind != "U"})
    return table.set_axis(columns, axis=1)


def _pack_guidance(guidance: BaseGuidance) -> list[Any]:
    return [type(guidance).__name__, guidance.get_params(deep=False)]


def _unpack_guidance(packed: Any) -> BaseGuidance:
    name, parameters = packed
    return {kind.__name__: kind for kind in GUIDANCE.values()}[name](**parameters)


def _pack_audit(audit: ShortcutAudit) -> dict[str, Any]:
    parameters = audit.get_params(deep=False)
    if parameters.pop("classifier") is not None or parameters.pop("prior") is not None:
        raise TypeError("JSON cannot hold the classifier or the prior of a ShortcutAudit.")
    return parameters


_KINDS: dict[str, _Kind] = {
    "tuple": _Kind(_is(tuple), list, tuple),
    "mapping": _Kind(_is(Mapping), lambda value: [list(pair) for pair in value.items()], dict),
    "path": _Kind(_is(os.PathLike), os.fspath, str),
    "device": _Kind(_is(torch.device), str, str),
    "float": _Kind(lambda value: type(value) is float, repr, float),  # inf or NaN
    "number": _Kind(
        lambda value: isinstance(value, np.generic) and value.dtype.kind in _ARRAY_KINDS,
        lambda value: [value.dtype.str, value.item()],
        lambda packed: _unpack_array([packed[0], [packed[1]]])[0],
    ),
    "array": _Kind(_is(np.ndarray), _pack_array, _unpack_array),
    "table": _Kind(_is(pd.DataFrame), _pack_table, _unpack_table),
    "guidance": _Kind(lambda v: type(v) in GUIDANCE.values(), _pack_guidance, _unpack_guidance),
    "audit": _Kind(
        lambda value: type(value) is ShortcutAudit,
        _pack_audit,
        lambda parameters: ShortcutAudit(**parameters),
    ),
    "not saved": _Kind(_is(NotSaved), lambda value: value.what, NotSaved),
}
