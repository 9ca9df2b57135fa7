"""Reading labelled texts from CSV, TSV, JSON lines and Parquet files, row by row."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import typer

from skcap.cli.console import console
from skcap.utils.files import allow_long_fields
from skcap.utils.optional import import_optional
from skcap.utils.spelling import check_spelling
from skcap.utils.words import is_encodable

__all__ = ["Row", "Table", "chunks", "find_format", "import_parquet"]

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_NAMED = 20  # bad rows that are named; the others are counted
_BATCH = 1024  # rows of a Parquet file in memory


class Row(NamedTuple):
    """A row of a table.

    Attributes
    ----------
    number : int
        Of its first line in the file; of the row, from 1, in Parquet files.
    values : dict of str
        By column, in the order of the file.
    problem : str
        Why it cannot be used, or "".
    last_line : int
        Of a broken record of CSV, which may have swallowed good rows; else 0.
    """

    number: int
    values: dict[str, Any]
    problem: str = ""
    last_line: int = 0


class Table:
    """A file of texts, checked as a whole and then read row by row.

    Rows are read a few at a time, and none is kept. What comes from stdin is first copied to a
    temporary file, since it is read twice: once to check it, once to work on it.

    Parameters
    ----------
    path : str
        "-" is stdin.
    text : str
        Column with the texts.
    label : str or None, default=None
        Column with the labels; None needs none.
    format : str or None, default=None
        "csv", "tsv", "jsonl" or "parquet"; None goes by the end of the file's name.
    skip_bad_rows : bool, default=False
    advice : str, default=""
        What to do if a column is missing; "" names the option for another one.

    Raises
    ------
    ValueError
        If a column is missing, the table is empty, or rows are bad and not to be skipped.
    typer.BadParameter
        If the format is not known, or texts and labels are to be in the same column.
    """

    def __init__(
        self,
        path: str,
        *,
        text: str,
        label: str | None = None,
        format: str | None = None,
        skip_bad_rows: bool = False,
        advice: str = "",
    ) -> None:
        self.name = "stdin" if path == "-" else path
        if text == label:
            raise typer.BadParameter(
                f"--text and --label must name two columns, but both name {text!r}."
            )
        self.text, self.label, self.advice = text, label, advice
        self.format = find_format(path, format)
        self.path = self._copy_stdin() if path == "-" else Path(path)
        self._check_columns()
        self.n_rows = self._check_rows(skip_bad_rows)

    def rows(self) -> Iterator[Row]:
        """Yield the rows that can be used."""
        return (row for row in self._read() if not row.problem)

    def texts_and_labels(self) -> tuple[list[str], list[str]]:
        """Read all texts and their labels, as strings.

        Raises
        ------
        ValueError
            If labels differ by white space only.
        """
        assert self.label is not None
        pairs = [(row.values[self.text], str(row.values[self.label])) for row in self.rows()]
        check_spelling(self.name, (label for _, label in pairs))
        return [text for text, _ in pairs], [label for _, label in pairs]

    def _copy_stdin(self) -> Path:
        """Copy stdin to a file that lives as long as the table, so that it can be read twice."""
        folder = tempfile.mkdtemp(prefix="skcap-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / "stdin"
        with open(path, "xb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return path

    def _check_columns(self) -> None:
        if self.format != "jsonl":
            self.columns = _find_columns(self.path, self.format)
        else:
            # Objects may lack what is null in them, so all are looked at. Without any, all rows
            # are bad, and `_check_rows` says why.
            rows = (row.values for row in _read_json_lines(self.path) if not row.problem)
            self.columns = list(dict.fromkeys(name for values in rows for name in values))
            if not self.columns:
                return
        # Columns that are not kept may have any names, unless those wanted hide among them.
        wanted = {self.text} if self.label is None else {self.text, self.label}
        if not _is_utf8(self.columns) and (self.label is None or wanted.difference(self.columns)):
            raise ValueError(
                f"{self.name} is not UTF-8: its columns are {self.columns!r:.200}. Save it as "
                "UTF-8."
            )
        if repeated := {name for name in self.columns if self.columns.count(name) > 1}:
            raise ValueError(f"{self.name} has several columns named {sorted(repeated)[0]!r}.")
        for option, name in (("--text", self.text), ("--label", self.label)):
            if name is not None and name not in self.columns:
                shown = ", ".join(map(repr, self.columns)) or "none"
                raise ValueError(
                    f"{self.name} has no column {name!r}. Its columns are: {shown}. "
                    f"{self.advice or f'Name the right one with {option}.'}"
                )

    def _check_rows(self, skip: bool) -> int:
        """Count the rows that can be used; name the others."""
        n_good, n_bad, named = 0, 0, []
        for row in self._read():
            if not row.problem:
                n_good += 1
                continue
            if row.last_line > row.number:
                raise ValueError(_explain_quote(self.name, row))
            n_bad += 1
            if n_bad <= _NAMED:
                named.append(f"  {self._place} {row.number}: {row.problem}")
        if n_bad > _NAMED:
            named.append(f"  and {n_bad - _NAMED:,} more")
        listed = "\n".join(named)
        if n_bad and not skip:
            raise ValueError(
                f"{n_bad:,} of {n_good + n_bad:,} rows of {self.name} cannot be used:\n{listed}\n"
                "Repair them, or leave them out with --skip-bad-rows."
            )
        if n_bad:
            console.warn(
                f"{n_bad:,} of {n_good + n_bad:,} rows of {self.name} are left out:\n{listed}"
            )
        if not n_good:
            raise ValueError(f"{self.name} holds no rows with texts.")
        return n_good

    @property
    def _place(self) -> str:
        return "row" if self.format == "parquet" else "line"

    def _read(self) -> Iterator[Row]:
        readers = {"jsonl": _read_json_lines, "parquet": _read_parquet}
        if self.format in _DELIMITERS:
            raw = _read_csv(self.path, _DELIMITERS[self.format])
        else:
            raw = readers[self.format](self.path)
        for row in raw:
            yield row if row.problem else row._replace(problem=self._problem(row.values))

    def _problem(self, values: dict[str, Any]) -> str:
        text = values.get(self.text)
        if text is None or (isinstance(text, str) and not text.strip()):
            return "the text is empty"
        if not isinstance(text, str):
            return f"the text is {text!r:.40}, which is not a string"
        if self.label is None:  # all columns are kept, so all of them must be writable
            broken = next((name for name, value in values.items() if not _is_utf8(value)), None)
            return "" if broken is None else f"its column {broken!r} is not valid UTF-8"
        label = values.get(self.label)
        if label is None or (isinstance(label, str) and not label.strip()):
            return "the label is missing"
        if not isinstance(label, str | int):
            return f"the label is {label!r:.40}, which is neither a string nor an integer"
        return "" if is_encodable(text + str(label)) else "it is not valid UTF-8"


def find_format(path: str, format: str | None, default: str = "csv") -> str:
    """Find the format of a file by an option, or else by how its name ends.

    Raises
    ------
    typer.BadParameter
        Names the formats that there are.
    """
    known = sorted(set(_FORMATS.values()))
    guess = default if path == "-" else _FORMATS.get(Path(path).suffix.lower())
    found = guess if format is None else format
    if found is None:
        raise typer.BadParameter(
            f"the format of {path} is not known: its name should end in {', '.join(_FORMATS)}. "
            "Otherwise give --input-format, or --output-format for what is written."
        )
    if found not in known:
        raise typer.BadParameter(f"a format must be one of {', '.join(known)}, got {found}.")
    return found


def chunks(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Yield lists of up to `size` rows."""
    rows = iter(rows)
    while chunk := list(itertools.islice(rows, size)):
        yield chunk


def import_parquet() -> Any:
    """Import ``pyarrow.parquet``, an optional dependency."""
    return import_optional("pyarrow.parquet", "parquet", "Parquet files need")


def _is_utf8(value: Any) -> bool:
    """Whether all strings of a value can be written as UTF-8; JSON lines nest them."""
    if isinstance(value, str):
        return is_encodable(value)
    if isinstance(value, dict):
        return all(map(_is_utf8, value)) and all(map(_is_utf8, value.values()))
    return not isinstance(value, list) or all(map(_is_utf8, value))


def _explain_quote(name: str, row: Row) -> str:
    return (
        f"{name}: {row.problem}. A quotation mark in line {row.number} begins a text that goes on "
        f"to line {row.last_line}, and does not end as it should, so that these lines cannot be "
        "told apart. Write a quotation mark within a text as two, or leave out a stray one; "
        "--skip-bad-rows cannot help."
    )


def _open_text(path: Path) -> IO[str]:
    # Bytes that are not UTF-8 become surrogates, so that the rows that hold them can be named.
    return open(path, newline="", encoding="utf-8-sig", errors="surrogateescape")


def _csv_reader(file: IO[str], delimiter: str, **options: Any) -> Any:
    """Make a reader for texts of any length."""
    allow_long_fields()
    return csv.reader(file, delimiter=delimiter, **options)


def _find_columns(path: Path, format: str) -> list[str]:
    if format == "parquet":
        return list(import_parquet().read_schema(path).names)
    with _open_text(path) as file:
        return next(_csv_reader(file, _DELIMITERS[format]), [])


def _read_csv(path: Path, delimiter: str) -> Iterator[Row]:
    with _open_text(path) as file:
        reader = _csv_reader(file, delimiter, strict=True)
        header: list[str] = next(reader, [])
        while True:
            number = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                yield Row(number, {}, f"broken CSV ({error})", reader.line_num)
                continue
            if fields is None:
                return
            if len(fields) == len(header):
                yield Row(number, dict(zip(header, fields, strict=True)))
            elif fields:  # a blank line is no row
                yield Row(number, {}, f"{len(fields)} fields, not {len(header)} as in the header")


def _read_json_lines(path: Path) -> Iterator[Row]:
    with _open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Row(number, {}, f"broken JSON ({error})")
                continue
            if isinstance(values, dict):
                yield Row(number, values)
            else:
                yield Row(number, {}, "no JSON object")


def _read_parquet(path: Path) -> Iterator[Row]:
    file = import_parquet().ParquetFile(path)
    numbers = itertools.count(1)
    for batch in file.iter_batches(batch_size=_BATCH):
        for values in batch.to_pylist():
            yield Row(next(numbers), values)
