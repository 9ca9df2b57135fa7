"""The CSV files of a data set in a local folder."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from skcap.utils.files import allow_long_fields
from skcap.utils.spelling import check_spelling

__all__ = ["Row", "find_folder", "read_files", "read_rows"]

Row = tuple[str, str]  # text, label


def find_folder(name: str, data_home: str | os.PathLike[str] | None) -> Path | None:
    """Find the folder of a data set: in `data_home`, else in SKCAP_DATA, else None."""
    named = {"data_home": data_home, "SKCAP_DATA": os.environ.get("SKCAP_DATA") or None}
    for source, value in named.items():
        if value is not None:
            folder = Path(value).expanduser() / name
            if not folder.is_dir():
                raise FileNotFoundError(
                    f"{source} is {str(value)!r}, but there is no folder {folder} in it that holds "
                    "the CSV files of this data set, such as train.csv."
                )
            return folder
    return None


def read_files(folder: Path, names: Iterable[str], text: str = "text") -> list[Row]:
    """Read CSV files of a folder one after the other; `text` is the header of their texts."""
    rows: list[Row] = []
    for name in names:
        path = folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"The folder {folder} lacks the file {name}, a CSV file with the header "
                f"'{text},label'."
            )
        rows += [(row[text], row["label"]) for row in read_rows(path, text)]
    return rows


def read_rows(path: Path, text: str = "text") -> list[dict[str, str]]:
    """Read a CSV file that has a column of texts and a column ``label``."""
    allow_long_fields()
    # Strict: else a stray quotation mark makes one text of all rows up to the next one.
    reader = csv.DictReader(io.StringIO(_decode(path), newline=""), strict=True)
    missing = {text, "label"}.difference(reader.fieldnames or ())
    if missing:
        raise ValueError(
            f"{path} lacks the column {' and '.join(sorted(missing))}: it must be a CSV file "
            f"with the header '{text},label', and its first line is {reader.fieldnames}."
        )
    rows = []
    try:
        for row in reader:
            _check_row(row, text, f"{path}: line {reader.line_num}")
            rows.append(row)
    except csv.Error as error:
        raise ValueError(
            f"{path}: the row that ends in line {reader.reader.line_num} is broken ({error}). "
            "Write a quotation mark within a text as two, and put that text in quotation marks."
        ) from error
    if not rows:
        raise ValueError(f"{path} holds no rows below its header.")
    check_spelling(str(path), (row["label"] for row in rows))
    return rows


def _decode(path: Path) -> str:
    """Read a text file, with or without the mark of UTF-8 that spreadsheets put first."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line} is not valid UTF-8 ({error.reason}). Save the file as UTF-8."
        ) from error


def _check_row(row: dict[Any, Any], text: str, where: str) -> None:
    """Refuse a row from which a text or a label would be missing or cut."""
    if None in row:  # csv's key of what the header has no name for
        expected = len(row) - 1
        raise ValueError(
            f"{where} has {expected + len(row[None])} fields, not {expected} as in the header: "
            f"{row[text]!r:.80}. Put texts that hold a comma in quotation marks."
        )
    if row[text] is None:  # published sets have a few texts that are empty
        raise ValueError(f"{where} has no {text}: {row['label']!r:.80}.")
    if not (row["label"] or "").strip():
        raise ValueError(f"{where} has no label: {row[text]!r:.80}.")
