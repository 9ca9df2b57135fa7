"""Folders of saved classifiers: written whole or not at all, checked file by file when read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skcap.models import ModelLoadError
from skcap.models.integrity import changed_files, file_digest
from skcap.utils.listing import list_some

__all__ = [
    "RECORD",
    "check_not_recorded",
    "check_target",
    "read_record",
    "version_of_writer",
    "write_record",
    "writing_folder",
]

RECORD = "skcap.json"
"""The file that makes a folder one of skcap's: what is not weights, and the hashes of the rest."""

_FORMAT = "skcap.GuidedTextClassifier"
_VERSION = 1  # raise it when the layout changes
_FREE = {RECORD, "README.md"}  # the model card may be edited by hand


@contextmanager
def writing_folder(folder: str | os.PathLike[str], overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder that takes the place of `folder` at the end.

    Parameters
    ----------
    folder : path-like
        Its parent folders are made where they are missing. Of a symbolic link, the folder that it
        leads to is meant.
    overwrite : bool
        Whether `folder` may be one that skcap wrote before, which is then replaced. An empty folder
        may always be there; one with any other files is never replaced.

    Yields
    ------
    pathlib.Path
        Beside `folder`. It is removed if the block raises, and `folder` is left as it was.

    Raises
    ------
    FileExistsError
        If there is something at `folder` that must not be replaced.
    OSError
        If no folder can be made there.

    Notes
    -----
    A folder that cannot be exchanged as a whole, which mounted volumes and the working directory
    are, is emptied and filled file by file, its record last. If that is interrupted, it holds no
    record, so that nothing loads it.
    """
    target = Path(os.path.expanduser(folder)).resolve()
    check_target(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    fixed = _is_fixed(target)
    beside = target if fixed else target.parent
    temporary = beside / f".{target.name}.{secrets.token_hex(4)}.tmp"
    temporary.mkdir()
    try:
        yield temporary
        (_fill if fixed else _put_in_place)(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(folder: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a folder that cannot be written, before the work whose result goes there.

    Parameters
    ----------
    folder : path-like
    overwrite : bool

    Raises
    ------
    FileExistsError
        If there is something at `folder` that must not be replaced: what is not a saved classifier,
        or any without `overwrite`.
    OSError
        If no folder can be made there.
    """
    target = Path(os.path.expanduser(folder))
    _check_content(target, overwrite)
    target = target.resolve()
    _check_writable(target if _is_fixed(target) else target.parent, target)


def _check_writable(place: Path, target: Path) -> None:
    """Find out by trying whether folders can be made in a place, or where it is to be made."""
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".skcap-", dir=place))
    except OSError as error:  # permissions do not tell: a disk may be read-only, /proc is no disk
        reason = "that is not a folder" if place.is_file() else error.strerror
        raise type(error)(
            f"The folder {str(target)!r} cannot be written, since nothing can be made in "
            f"{str(place)!r}: {reason}. Choose a folder in a place that you may write to."
        ) from error


def _check_content(target: Path, overwrite: bool) -> None:
    """Refuse to replace what is not a saved classifier, or any without being asked to."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / RECORD).is_file():
        raise FileExistsError(
            f"{str(target)!r} is there already and was not written by save_pretrained (it has no "
            f"{RECORD}), so it is never replaced. Choose another folder."
        )
    if not overwrite:
        raise FileExistsError(
            f"{str(target)!r} holds a saved classifier. Pass overwrite=True to replace all of it, "
            "or choose another folder."
        )
    if others := _other_files(target):
        raise FileExistsError(
            f"{str(target)!r} holds files besides the saved classifier, which replacing it would "
            f"remove: {list_some([repr(name) for name in others])}. Move them, or choose another "
            "folder."
        )


def check_not_recorded(path: Path) -> None:
    """Refuse to write over a file of a saved classifier, which would then not load any more.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    FileExistsError
        If the record beside it lists the file.
    """
    if path.name in _recorded(path.parent) and path.exists():
        raise FileExistsError(
            f"{str(path)!r} belongs to a saved classifier, which would not load any more if it "
            "changed. Choose another folder."
        )


def _recorded(folder: Path) -> set[str]:
    """List the files that are a classifier's; none if the folder's record does not say."""
    try:
        return set(json.loads((folder / RECORD).read_bytes())["files"])
    except (OSError, ValueError, LookupError, RecursionError, TypeError):
        return set()


def _other_files(folder: Path) -> list[str]:
    """List what a folder holds besides the classifier that its record describes."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    return sorted(
        {path.relative_to(folder).as_posix() for path in paths} - _FREE - _recorded(folder)
    )


def _is_fixed(target: Path) -> bool:
    """Whether a folder must stay where it is."""
    here = Path.cwd()
    return target.is_dir() and (target.is_mount() or target in (here, *here.parents))


def _fill(new: Path, target: Path) -> None:
    """Put what is in a folder inside `target` in place of all else there."""
    (target / RECORD).unlink(missing_ok=True)  # from here on, it is no saved classifier
    for old in target.iterdir():
        if old == new:
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for path in sorted(new.iterdir(), key=lambda path: path.name == RECORD):
        os.replace(path, target / path.name)


def _put_in_place(new: Path, target: Path) -> None:
    """Swap folders by renaming them, so that there is never half of one."""
    old = new.with_suffix(".old")
    had_one = target.exists()
    if had_one:
        os.replace(target, old)
    try:
        os.replace(new, target)
    except BaseException:
        if had_one:
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a folder that is complete but for it.

    Parameters
    ----------
    folder : pathlib.Path
    record : mapping
        What JSON holds. Format, version and the hashes of all files are added.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _FREE)
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
    whole = {"format": _FORMAT, "format_version": _VERSION, **record, "files": files}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / RECORD).write_bytes(text.encode("utf-8", "surrogatepass"))


def read_record(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the record of a folder, and check that every file is as it was written.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    dict

    Raises
    ------
    skcap.models.ModelLoadError
        If there is no such folder, it was not written by skcap or by a version with another format,
        or a file is missing or changed.
    """
    path = Path(folder)
    record = _parse(path)
    if record.get("format") != _FORMAT:
        raise ModelLoadError(f"{str(path / RECORD)!r} was not written by save_pretrained.")
    if record.get("format_version") != _VERSION:
        raise ModelLoadError(
            f"{str(path)!r} has format version {record.get('format_version')!r}, but this version "
            f"of skcap reads {_VERSION}. Use the version of skcap that wrote it "
            f"({version_of_writer(record)}), or save the model again."
        )
    _check_files(path, record)
    return record


def version_of_writer(record: Mapping[str, Any]) -> str:
    """Name the version of skcap that wrote a record, which may be damaged."""
    versions = record.get("versions")
    return str(versions.get("skcap", "unknown")) if isinstance(versions, dict) else "unknown"


def _parse(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ModelLoadError(f"There is no folder {str(folder)!r}.")
    try:
        record = json.loads((folder / RECORD).read_bytes().decode("utf-8", "surrogatepass"))
    except FileNotFoundError:
        raise ModelLoadError(
            f"{str(folder)!r} has no {RECORD}, so it was not written by save_pretrained. To train "
            "a classifier that starts from an encoder in a folder, pass the folder as model=..."
        ) from None
    except (RecursionError, ValueError) as error:
        raise ModelLoadError(f"{str(folder / RECORD)!r} is damaged: {error}.") from error
    if not isinstance(record, dict):
        raise ModelLoadError(f"{str(folder / RECORD)!r} is damaged: it holds no mapping.")
    return record


def _check_files(folder: Path, record: Mapping[str, Any]) -> None:
    """Name what is missing or changed, and what transformers would read besides."""
    try:
        files: dict[str, str] = dict(record["files"])
        encoder = str(record["encoder"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(f"{str(folder / RECORD)!r} is damaged: {error!r}.") from error
    outside = [name for name in (*files, encoder) if Path(name).is_absolute() or ".." in name]
    if outside:
        raise ModelLoadError(f"{str(folder / RECORD)!r} names files elsewhere: {outside[0]!r}.")
    missing = [name for name in files if not (folder / name).is_file()]
    changed = [
        name
        for name, digest in files.items()
        if name not in missing and file_digest(folder / name) != digest
    ]
    for what, names in (
        ("lacks", missing),
        ("has changed files", changed),
        (
            "has files that were not written with it",
            _added(folder, encoder, files),
        ),
    ):
        if names:
            raise ModelLoadError(
                f"{str(folder)!r} {what}: {', '.join(names[:5])}. Save the model again, or copy "
                "the folder anew from where it is whole."
            )


def _added(folder: Path, encoder: str, files: Mapping[str, str]) -> list[str]:
    """Name the files in the encoder's folder that were not written here."""
    prefix = f"{encoder}/" if encoder else ""
    known = {name.removeprefix(prefix): digest for name, digest in files.items()}
    found = changed_files(folder / encoder, known)
    return [
        name
        for name in found
        if name not in known and name not in _FREE and (folder / encoder / name).is_file()
    ]
