"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from skcap.utils.words import show_surrogates

__all__ = ["replacing", "write_text"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path; what is written there takes the place of `path` at the end.

    A process that is killed, or a full disk, leaves the old file as it was.

    Parameters
    ----------
    path : path-like
        The file to write or replace. Nothing is appended to its name.

    Yields
    ------
    pathlib.Path
        In the same folder. It is removed if the block raises.

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
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a whole text file in UTF-8, or none; lone surrogates are shown as escapes.

    Parameters
    ----------
    path : path-like
    text : str
    """
    with replacing(path) as temporary:
        temporary.write_bytes(show_surrogates(text).encode())
