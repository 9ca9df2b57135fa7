"""From an installed package to a folder that ``from_pretrained`` takes."""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from skcap.models.errors import ModelLoadError
from skcap.models.integrity import MODEL_FILES, changed_files, file_digest, file_digests
from skcap.models.packages import ModelPackage
from skcap.models.quiet import no_loading_bars

__all__ = ["check_gguf_readers", "package_folder"]

# A file of the safetensors copy: written last, it says what the copy was made from, and the hash
# of each of its files.
_RECORD = "skcap_source.json"

_RECIPE = "2"  # raised whenever _convert_gguf writes something else, so that copies are remade


def package_folder(package: ModelPackage) -> Path:
    """Return the folder to load an installed alias from; a copy is made on first use if need be."""
    locations = package.locations()
    assert locations is not None, "the package is not installed"
    for location in locations:
        if not location.exists():
            raise _spoilt(package, f"{location} is missing although the package is installed")
    if package.is_split:
        return _safetensors_copy(package, locations, package.alias, {})
    if package.is_gguf:
        # Configurations that transformers 5 writes are misread by transformers 4.
        major = importlib.metadata.version("transformers").split(".")[0]
        made_with = {"transformers": major, "recipe": _RECIPE}
        return _safetensors_copy(
            package, locations, f"{package.alias}-transformers{major}", made_with
        )
    _check_installed(package)
    return locations[0]


def _check_installed(package: ModelPackage) -> None:
    """Raise if the files of a package are not what was installed."""
    for wheel in package.wheels:
        for path, expected in wheel.recorded_hashes().items():
            if not path.is_file() or file_digest(path) != expected:
                raise _spoilt(package, f"{path} is damaged")


def _spoilt(package: ModelPackage, problem: str) -> ModelLoadError:
    names = " ".join(wheel.distribution for wheel in package.wheels)
    return ModelLoadError(
        f"Model {package.alias!r}: {problem}. Run: python -m pip uninstall {names}, "
        f"and then: python -m skcap install {package.alias}"
    )


def _safetensors_copy(
    package: ModelPackage, locations: list[Path], name: str, made_with: dict[str, str]
) -> Path:
    """Return the copy of a GGUF file or of a model in parts; the first process to ask makes it.

    That takes half a minute, so it is done once. A copy that is damaged is made again.
    """
    import filelock
    import platformdirs

    first = package.wheels[0]
    source = {
        "package": first.distribution,
        "version": first.version,
        "sha256": package.digest,
        **made_with,
    }
    models = platformdirs.user_cache_path("skcap") / "models"
    folder = models / name
    if _problem(folder, source) is None:
        return folder
    if package.is_gguf:
        check_gguf_readers(package.alias)
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not os.access(models, os.W_OK):
            raise PermissionError(f"{models} is not writable")
    except OSError as error:
        raise ModelLoadError(
            f"Model {package.alias!r} is unpacked once before it is used, but not to {models}: "
            f"{error}. Set XDG_CACHE_HOME to a folder that can be written to, or make the copy "
            "where it can be made."
        ) from error
    with filelock.FileLock(f"{folder}.lock"):
        problem = _problem(folder, source)
        if problem is not None:  # else another process made it while we waited
            _check_installed(package)
            if problem:
                warnings.warn(
                    f"The copy of model {package.alias!r} in {folder} is damaged ({problem}). It "
                    "is removed and made again from what is installed.",
                    RuntimeWarning,
                    stacklevel=2,
                )
            with no_loading_bars():
                _make_copy(locations, folder, source)
    return folder


def _problem(folder: Path, source: dict[str, str]) -> str | None:
    """Say what is wrong with a copy; "" if it was never made or made from something else."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
        expected = record.pop("files", {})
        if record != source:
            return ""
        changed = changed_files(folder, {**expected, _RECORD: file_digest(folder / _RECORD)})
    except FileNotFoundError:
        return f"{_RECORD} is missing" if folder.exists() else ""
    except (ValueError, AttributeError, TypeError):
        return f"{_RECORD} cannot be read"
    return f"changed or missing: {', '.join(changed)}" if changed else None


def _make_copy(locations: list[Path], folder: Path, source: dict[str, str]) -> None:
    unfinished = Path(f"{folder}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    if len(locations) > 1:
        _unpack(locations, unfinished)
    else:
        _convert_gguf(locations[0], unfinished)
    record = {**source, "files": file_digests(unfinished)}
    (unfinished / _RECORD).write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)


def _unpack(parts: list[Path], target: Path) -> None:
    """Join the parts of a zipped folder, and write those of its files that make up the model.

    Folders inside, such as sentence-transformers has for its own layers, are left out.
    """
    target.mkdir()
    with tempfile.TemporaryFile(dir=target.parent) as joined:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, joined)
        with zipfile.ZipFile(joined) as archive:
            for member in archive.infolist():
                _, _, name = member.filename.partition("/")
                if any(PurePosixPath(name).match(own) for own in MODEL_FILES) and "/" not in name:
                    with archive.open(member) as source, (target / name).open("wb") as file:
                        shutil.copyfileobj(source, file)


def check_gguf_readers(alias: str) -> None:
    """Raise if a package that reads GGUF files is missing."""
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
    # What was read from GGUF counts as quantized and refuses to be saved, so a new model takes it.
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
