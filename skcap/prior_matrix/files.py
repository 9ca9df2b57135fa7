"""The npz files of PriorMatrix: written all or nothing, and read as if a stranger had sent them.

Nothing in such a file is ever unpickled, and no more memory is used than the file's own directory
promises, which must not exceed a limit.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import zipfile
import zlib
from typing import Any

import numpy as np

from skcap.prior_matrix.parts import (
    canonical,
    check_provenance,
    cumulative,
    object_array,
    to_json,
    word_offsets,
)
from skcap.utils.files import replacing

__all__ = ["LARGEST_FILE", "read_prior", "write_prior"]

LARGEST_FILE = 2**30
"""Bytes that a file may have when unpacked, if the reader says nothing else."""

_FORMAT = 1  # raise it when the layout changes
_KEYS = ("format", "utf8", "utf8_offsets", "scores", "offsets", "provenance")

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    RuntimeError,  # encrypted, or packed in some other way
    OSError,  # a directory of members that points to before the start
)


def write_prior(
    path: str | os.PathLike[str],
    texts: np.ndarray,
    scores: np.ndarray,
    offsets: np.ndarray,
    provenance: dict[str, Any],
) -> None:
    """Write the parts of a PriorMatrix to one compressed npz file.

    Parameters
    ----------
    path : path-like
        Nothing is appended to its name.
    texts : ndarray of object, shape (n_texts,)
    scores : ndarray of float32, shape (n_words of all texts,)
    offsets : ndarray of int64, shape (n_texts + 1,)
    provenance : dict
    """
    # surrogatepass: a str may hold lone surrogates, which plain UTF-8 refuses
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    with replacing(path) as temporary, open(temporary, "xb") as file:
        np.savez_compressed(
            file,
            format=np.int64(_FORMAT),
            utf8=np.frombuffer(b"".join(encoded), dtype=np.uint8),
            utf8_offsets=cumulative([len(text) for text in encoded]),
            scores=scores,
            offsets=offsets,
            provenance=np.frombuffer(to_json(provenance).encode(), dtype=np.uint8),
        )


def read_prior(
    path: str | os.PathLike[str], max_bytes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
    """Read what :func:`write_prior` wrote, and check all of it.

    Parameters
    ----------
    path : path-like
    max_bytes : int
        Largest size of the unpacked file.

    Returns
    -------
    texts, scores, offsets, provenance
        As given to :func:`write_prior`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is too large, damaged, of another format version, or no such file.
    """
    name = repr(os.fspath(path))
    arrays = _read_arrays(path, name, max_bytes)
    version = arrays["format"]
    if version.shape == () and version != _FORMAT:
        raise ValueError(
            f"{name} has format version {version}, but this version of skcap reads {_FORMAT}. Use "
            "the version of skcap that wrote it, or make the file again."
        )
    try:
        texts = _texts(arrays)
        offsets, scores = word_offsets(texts), arrays["scores"]
        if not np.array_equal(offsets, arrays["offsets"]) or scores.shape != (offsets[-1],):
            raise ValueError("the scores do not fit the words of the texts")
        if scores.dtype != np.float32 or np.isinf(scores).any():
            raise ValueError("the scores are not finite float32 numbers")
        provenance = check_provenance(json.loads(arrays["provenance"].tobytes()))
    except (ValueError, TypeError, IndexError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: {error}.") from error
    return texts, canonical(scores), offsets, provenance


def _texts(arrays: dict[str, np.ndarray]) -> np.ndarray:
    blob, ends = arrays["utf8"].tobytes(), arrays["utf8_offsets"].tolist()
    if ends[0] != 0 or ends[-1] != len(blob):
        raise ValueError("the texts are incomplete")
    pieces = (blob[a:b] for a, b in itertools.pairwise(ends))
    return object_array([piece.decode("utf-8", "surrogatepass") for piece in pieces])


def _read_arrays(path: str | os.PathLike[str], name: str, max_bytes: int) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as stream, zipfile.ZipFile(stream) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if missing := [key for key in _KEYS if key not in members]:
                raise ValueError(f"{', '.join(missing)} missing")
            _check_size([members[key] for key in _KEYS], max_bytes)
            return {key: _read_array(archive, members[key]) for key in _KEYS}
    except _TooLargeError as error:
        raise ValueError(f"{name} {error}") from None
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the file could not be opened
        raise ValueError(
            f"{name} is damaged, or was not written by PriorMatrix.save: {error}."
        ) from error


class _TooLargeError(Exception):
    pass


def _check_size(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    # zipfile reads no more of a member than this size, even if more is packed.
    total = sum(info.file_size for info in members)
    if total > max_bytes:
        raise _TooLargeError(
            f"unpacks to {total:,} bytes, more than max_bytes={max_bytes:,}. If you trust the "
            "file, pass a larger max_bytes."
        )


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Read one array whose header agrees with the size of its member."""
    with archive.open(info) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{info.filename} has an array format that is never written here")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or fortran_order:
            raise ValueError(f"{info.filename} holds something else than plain numbers")
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{info.filename} does not have the size that its header names")
        return np.frombuffer(file.read(), dtype=dtype).reshape(shape)
