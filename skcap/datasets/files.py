"""The CSV files of a data set in a local folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

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
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = {text, "label"}.difference(reader.fieldnames or ())
        if missing:
            raise ValueError(
                f"{path} lacks the column {' and '.join(sorted(missing))}: it must be a CSV file "
                f"with the header '{text},label', and its first line is {reader.fieldnames}."
            )
        rows = list(reader)
    for number, row in enumerate(rows, start=1):
        for column, other in ((text, "label"), ("label", text)):
            if row[column] is None:
                raise ValueError(f"{path}: row {number} has no {column}: {row[other]!r:.80}.")
    return rows
