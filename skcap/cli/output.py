"""Writing results: rows to CSV, TSV, JSON lines and Parquet files or stdout."""

from __future__ import annotations

import base64
import contextlib
import csv
import datetime
import decimal
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import typer

from skcap.cli.parquet import PythonTypes, column_types
from skcap.cli.tables import Table, find_format, import_parquet
from skcap.utils.files import replacing

__all__ = ["RowWriter", "open_writer"]


_ONLY_PARQUET = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, bytes)


class RowWriter(Protocol):
    """Takes rows, chunk by chunk; all of them have the same columns."""

    def start(self, columns: Sequence[str]) -> None:
        """Name the columns, which a table without rows has, too."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write some rows."""


@contextlib.contextmanager
def open_writer(
    path: str,
    format: str | None,
    default: str = "csv",
    *,
    table: Table | None = None,
    added: PythonTypes | None = None,
) -> Iterator[RowWriter]:
    """Open a file for rows; it takes the place of an older one once it is complete.

    Parameters
    ----------
    path : str
        "-" is stdout.
    format : str or None
        None goes by the end of the file's name.
    default : str, default="csv"
        The format on stdout.
    table : Table or None, default=None
        Whose rows are written. None takes the columns and their types from the first rows.
    added : mapping of str to type, or None, default=None
        Columns that these rows have besides, see :data:`skcap.cli.parquet.PythonTypes`.

    Yields
    ------
    RowWriter

    Raises
    ------
    ValueError
        If the columns of `table` do not fit the format.
    """
    format = find_format(path, format, default)
    if format == "parquet":
        if path == "-":
            raise typer.BadParameter("parquet cannot be written to stdout; name a file.")
        types = {} if table is None else column_types(table, added or {})
        with replacing(path) as temporary:
            writer = _Parquet(temporary, types)
            with contextlib.closing(writer):
                yield writer
        return
    columns = [] if table is None else [*table.columns, *(added or {})]
    if path == "-":
        yield _make(format, sys.stdout, columns)
        return
    with replacing(path) as temporary, open(temporary, "x", newline="", encoding="utf-8") as file:
        yield _make(format, file, columns)


def _make(format: str, file: Any, columns: list[str]) -> RowWriter:
    if format == "jsonl":
        return _JsonLines(file)
    return _Csv(file, "\t" if format == "tsv" else ",", columns)


class _LineFeeds:
    """Ends lines with a line feed, where csv is told to end them with two characters.

    Only then do all versions of Python quote a carriage return, at which readers break a line.
    """

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + "\n")


class _Csv:
    def __init__(self, file: Any, delimiter: str, columns: list[str]) -> None:
        self.writer = csv.writer(_LineFeeds(file), delimiter=delimiter, lineterminator="\r\n")
        self.columns: list[str] = []
        if columns:
            self.start(columns)

    def start(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.writer.writerow(self.columns)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        if not self.columns and rows:
            self.start(list(rows[0]))
        _check_columns(rows, self.columns)
        for row in rows:
            self.writer.writerow([_cell(row.get(name)) for name in self.columns])


class _JsonLines:
    def __init__(self, file: Any) -> None:
        self.file = file

    def start(self, columns: Sequence[str]) -> None:
        """Do nothing: each line names its fields."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            self.file.write(_json(row) + "\n")


class _Parquet:
    def __init__(self, path: Path, types: Mapping[str, Any]) -> None:
        import_parquet()
        self.path = path
        self.file: Any = None
        self.columns: Sequence[str] = ()
        if types:
            self._open(types)

    def start(self, columns: Sequence[str]) -> None:
        self.columns = columns

    def _open(self, types: Mapping[str, Any]) -> None:
        import pyarrow

        self.schema = pyarrow.schema(list(types.items()))
        self.file = import_parquet().ParquetWriter(self.path, self.schema)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        import pyarrow

        if not rows:
            return
        if self.file is None:
            schema = _without_nulls(pyarrow.Table.from_pylist(list(rows)).schema)
            self._open({field.name: field.type for field in schema})
        _check_columns(rows, self.schema.names)
        self.file.write_table(pyarrow.Table.from_pylist(list(rows), schema=self.schema))

    def close(self) -> None:
        import pyarrow

        if self.file is None:  # there were no rows to tell the types by
            self._open(dict.fromkeys(self.columns, pyarrow.string()))
        self.file.close()


def _check_columns(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Refuse what the first row has no column for; JSON lines may hold such rows."""
    for row in rows:
        if extra := [name for name in row if name not in columns]:
            raise ValueError(
                f"Not all rows have the same columns: {extra[0]!r} is not in the first one. Write "
                "JSON lines instead (--output-format jsonl)."
            )


def _cell(value: Any) -> Any:
    """Write lists and objects as JSON into one cell."""
    if isinstance(value, list | dict):
        return _json(value)
    return _plain(value) if isinstance(value, _ONLY_PARQUET) else value


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=_plain)


def _finite(value: Any) -> Any:
    """Put null where a number is NaN or infinite, which JSON cannot hold, at any depth."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    """Write what Parquet files hold and JSON does not know."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if hasattr(value, "isoformat"):  # pandas' Timedelta, for nanoseconds
        return value.isoformat()
    if isinstance(value, decimal.Decimal | datetime.timedelta):
        return str(value)
    if isinstance(value, bytes):
        return _in_base64(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable.")


def _in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _without_nulls(schema: Any) -> Any:
    """Take a column that is empty in the first rows for one of strings."""
    import pyarrow

    for place, field in enumerate(schema):
        if pyarrow.types.is_null(field.type):
            schema = schema.set(place, field.with_type(pyarrow.string()))
    return schema
