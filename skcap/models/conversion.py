"""GGUF files to folders that ``from_pretrained`` takes."""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from skcap.models.errors import ModelLoadError
from skcap.models.packages import ModelPackage

__all__ = ["check_gguf_readers", "package_folder"]

# A file of the safetensors copy: written last, it tells what the copy was made from.
_RECORD = "skcap_source.json"


_RECIPE = "1"  # raised whenever _convert_gguf writes something else, so that copies are remade


def package_folder(package: ModelPackage) -> Path:
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
    check_gguf_readers(package.alias)
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


def check_gguf_readers(alias: str) -> None:
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
