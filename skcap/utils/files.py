"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from skcap.utils.words import show_surrogates

__all__ = ["allow_long_fields", "check_file_target", "replacing", "write_text"]

_LONGEST = 2**31 - 1  # characters of a field; csv takes no more on all systems


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path; what is written there takes the place of `path` at the end.

    A process that is killed, or a full disk, leaves the old file as it was.

    Parameters
    ----------
    path : path-like
        The file to write or replace. Nothing is appended to its name. Of a symbolic link, the file
        that it leads to is replaced. A pipe or a device is written to at the end.

    Yields
    ------
    pathlib.Path
        In the same folder, for a file. It is removed if the block raises.

    Raises
    ------
    FileNotFoundError
        If there is no folder to write the file into.
    IsADirectoryError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skcap.utils.files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "scores.txt") as temporary:
    ...         _ = temporary.write_text("0.5")
    ...     (Path(folder) / "scores.txt").read_text()
    '0.5'
    """
    check_file_target(path)
    if _is_pipe_or_device(path):
        with tempfile.TemporaryDirectory(prefix="skcap-") as folder:
            temporary = Path(folder) / Path(path).name
            yield temporary
            with open(temporary, "rb") as whole, open(path, "wb") as target:
                shutil.copyfileobj(whole, target)
        return
    target_path = Path(os.path.realpath(path))
    temporary = target_path.with_name(f".{target_path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if target_path.exists():
            shutil.copymode(target_path, temporary)
        os.replace(temporary, target_path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def check_file_target(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to, before the work whose result goes there.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    FileNotFoundError
        If there is no folder to write the file into.
    IsADirectoryError
        If `path` is a folder.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder. Name a file in it.")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(
            f"{os.fspath(path)} cannot be written, since there is no folder {folder}. Make it "
            "first, or name another file."
        )


def _is_pipe_or_device(path: str | os.PathLike[str]) -> bool:
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a whole text file in UTF-8, or none; lone surrogates are shown as escapes.

    Parameters
    ----------
    path : path-like
    text : str
    """
    with replacing(path) as temporary:
        temporary.write_bytes(show_surrogates(text).encode())


def allow_long_fields() -> None:
    """Let csv read texts of any length; by default, it takes fields for broken from 131,073 on.

    The limit is the whole process's, so each reader asks for it anew: something else may have
    lowered it.
    """
    csv.field_size_limit(_LONGEST)
