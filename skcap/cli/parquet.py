"""The types of columns, which a Parquet file needs to know before its first row is written."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from skcap.cli.tables import Table, import_parquet

__all__ = ["PythonTypes", "column_types"]

PythonTypes = Mapping[str, Any]
"""By column: str, int, float, bool, list[str] or list[float]."""

_ROWS = 1024  # of which types are found at once


def column_types(table: Table, added: PythonTypes) -> dict[str, Any]:
    """Find the types of a table's columns, and of those that are added to it.

    Parameters
    ----------
    table : Table
        Of a Parquet file, its own types are taken; cells of CSV files are strings; of JSON lines,
        all rows are read.
    added : mapping of str to type

    Returns
    -------
    dict of str to pyarrow.DataType

    Raises
    ------
    ValueError
        If a column of JSON lines holds values of different kinds.
    """
    parquet = import_parquet()
    import pyarrow

    if table.format == "parquet":
        types = {field.name: field.type for field in parquet.read_schema(table.path)}
    elif table.format == "jsonl":
        types = _types_of_rows(table)
    else:
        types = dict.fromkeys(table.columns, pyarrow.string())
    return types | {name: _arrow_type(kind) for name, kind in added.items()}


def _types_of_rows(table: Table) -> dict[str, Any]:
    """Find types that all values of a column fit: numbers may turn out to be fractions late."""
    import pyarrow

    types = dict.fromkeys(table.columns, pyarrow.null())
    rows = (row.values for row in table.rows())
    while some := list(itertools.islice(rows, _ROWS)):
        for name in types:
            try:
                new = pyarrow.array([row.get(name) for row in some]).type
                types[name] = _common(types[name], new)
            except (pyarrow.ArrowException, OverflowError, TypeError, ValueError) as error:
                raise ValueError(
                    f"The column {name!r} of {table.name} does not fit a Parquet file, whose "
                    f"columns hold values of one kind ({error}). Write JSON lines instead "
                    "(--output-format jsonl)."
                ) from None
    strings = pyarrow.string()  # for what no row has a value of
    return {name: strings if pyarrow.types.is_null(t) else t for name, t in types.items()}


def _common(first: Any, second: Any) -> Any:
    import pyarrow

    schemas = [pyarrow.schema([("", own)]) for own in (first, second)]
    return pyarrow.unify_schemas(schemas, promote_options="permissive").field(0).type


def _arrow_type(kind: Any) -> Any:
    import pyarrow

    return {
        str: pyarrow.string(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        bool: pyarrow.bool_(),
        list[str]: pyarrow.list_(pyarrow.string()),
        list[float]: pyarrow.list_(pyarrow.float64()),
    }[kind]
