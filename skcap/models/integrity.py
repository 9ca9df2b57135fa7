"""Which bytes a model's files hold, and whether they are still those that were written."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["MODEL_FILES", "changed_files", "file_digest", "file_digests", "folder_digest"]

# All that from_pretrained reads from a folder when pickles are refused. A README or checkpoints in
# subfolders change nothing about the model.
MODEL_FILES = (
    "*.json",
    "*.safetensors",
    "*.model",
    "*.txt",
    "*.jinja",
    "*.py",
    "additional_chat_templates/*.jinja",
)
_SECONDS_UNTIL_SETTLED = 2  # more than any file system's clock is coarse


def folder_digest(folder: Path) -> str:
    """Hash the names and contents of a model's files; where the folder lies does not matter."""
    digest = hashlib.sha256()
    for name, content in file_digests(folder).items():
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Hash each of a model's files, in the order of their names."""
    paths = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


def changed_files(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """Name the files of a model that are missing, not expected or of another content."""
    found = file_digests(folder)
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def file_digest(path: Path) -> str:
    """Hash a file, or remember its hash while nothing has touched it.

    Time and size of a file can be made to look as before, but the time at which its inode was
    changed cannot. It does not exist on Windows, and says nothing within a tick of the clock.
    """
    status = path.stat()
    changed = status.st_ctime_ns
    if os.name == "nt" or time.time_ns() - changed < _SECONDS_UNTIL_SETTLED * 10**9:
        return _hash(str(path.resolve()))
    version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, changed)
    return _remembered_hash(str(path.resolve()), version)


@functools.lru_cache(maxsize=1024)
def _remembered_hash(path: str, version: tuple[int, ...]) -> str:
    return _hash(path)


def _hash(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
