"""Writing results: rows to CSV, TSV, JSON lines and Parquet files or stdout."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import typer

from skcap.cli.tables import find_format, import_parquet
from skcap.utils.files import replacing

__all__ = ["RowWriter", "open_writer"]


class RowWriter(Protocol):
    """Takes rows, chunk by chunk; all of them have the same columns."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write some rows."""


@contextlib.contextmanager
def open_writer(path: str, format: str | None, default: str = "csv") -> Iterator[RowWriter]:
    """Open a file for rows; it takes the place of an older one once it is complete.

    Parameters
    ----------
    path : str
        "-" is stdout.
    format : str or None
        None goes by the end of the file's name.
    default : str, default="csv"
        The format on stdout.

    Yields
    ------
    RowWriter
    """
    format = find_format(path, format, default)
    if format == "parquet":
        if path == "-":
            raise typer.BadParameter("parquet cannot be written to stdout; name a file.")
        with replacing(path) as temporary, contextlib.closing(_Parquet(temporary)) as writer:
            yield writer
        return
    make = _JsonLines if format == "jsonl" else _Csv
    delimiter = "\t" if format == "tsv" else ","
    if path == "-":
        yield make(sys.stdout, delimiter)
        return
    with replacing(path) as temporary, open(temporary, "x", newline="", encoding="utf-8") as file:
        yield make(file, delimiter)


class _Csv:
    def __init__(self, file: Any, delimiter: str) -> None:
        self.writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self.columns: list[str] = []

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        if not self.columns and rows:
            self.columns = list(rows[0])
            self.writer.writerow(self.columns)
        _check_columns(rows, self.columns)
        for row in rows:
            self.writer.writerow([_cell(row.get(name)) for name in self.columns])


class _JsonLines:
    def __init__(self, file: Any, _: str) -> None:
        self.file = file

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        self.file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class _Parquet:
    def __init__(self, path: Path) -> None:
        self.parquet = import_parquet()
        self.path = path
        self.file: Any = None

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        import pyarrow

        if self.file is None:
            self.schema = _without_nulls(pyarrow.Table.from_pylist(list(rows)).schema)
            self.file = self.parquet.ParquetWriter(self.path, self.schema)
        _check_columns(rows, self.schema.names)
        self.file.write_table(pyarrow.Table.from_pylist(list(rows), schema=self.schema))

    def close(self) -> None:
        if self.file is not None:
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
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _without_nulls(schema: Any) -> Any:
    """Take a column that is empty in the first rows for one of strings."""
    import pyarrow

    for place, field in enumerate(schema):
        if pyarrow.types.is_null(field.type):
            schema = schema.set(place, field.with_type(pyarrow.string()))
    return schema
