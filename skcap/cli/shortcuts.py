"""From the option ``--shortcuts`` to what is swapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skcap.cli.tables import Table

__all__ = ["read_shortcuts"]

_READ = ("word", "label", "kind", "shortcut")  # columns


def read_shortcuts(path: Path) -> Any:
    """Read the table that ``skcap audit -o`` wrote, or a .txt file with a shortcut on each line.

    Returns
    -------
    pandas.DataFrame
        Of a table, the rows whose column `shortcut` says yes, if it has one.

    Raises
    ------
    ValueError
        If nothing is left, something is no shortcut, or `shortcut` says neither yes nor no.
    """
    import pandas as pd

    from skcap.shortcuts import check_shortcuts

    if path.suffix.lower() == ".txt":
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"--shortcuts: {path} is not UTF-8: {error}. Save it as UTF-8."
            ) from None
        found = check_shortcuts([line.strip() for line in lines if line.strip()])
    else:
        advice = "A table of shortcuts (--shortcuts) has them there; skcap audit -o writes one."
        table = Table(str(path), text="word", advice=advice)
        columns = [name for name in _READ if name in table.columns]
        rows = [row.values for row in table.rows()]
        found = check_shortcuts(pd.DataFrame(rows, columns=columns, dtype=object))
    if found.empty:
        raise ValueError(f"--shortcuts: {path} names no shortcut, so there is nothing to swap.")
    return found
