"""A classifier as one ONNX file: tokens in, probabilities out."""

from __future__ import annotations

import logging
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skcap.utils.files import check_file_target
from skcap.utils.optional import import_optional

__all__ = ["write_onnx"]

INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("probabilities", "logits")
_LARGEST = 1_900_000_000  # bytes of weights in one file; protocol buffers end at 2 GiB


class _Served(nn.Module):
    """The module, with the outputs of the file."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.module(input_ids, attention_mask)
        return torch.softmax(logits, dim=1), logits


def write_onnx(path: Path, module: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write a classifier as ONNX, and check it where onnxruntime is installed.

    Parameters
    ----------
    path : pathlib.Path
        Written whole or not at all. Weights of more than 1.9 GB go to a second file beside it,
        ``<name>.data``. Of a symbolic link, the file that it leads to is replaced.
    module : skcap.classifier.encoder.TextEncoderClassifier
        On the CPU, not training.
    metadata : mapping of str to str

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If no file can be written there.
    ImportError
        If onnxscript is missing or torch is too old.
    RuntimeError
        If the file does not compute what the module computes.
    """
    check_file_target(path)
    path = path.resolve()
    _check_packages()
    served = _Served(module).eval()
    program = _export(served)
    program.model.metadata_props.update(metadata)
    size = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    # Weights in a second file are found by its name, so the folder is temporary, not the name.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir(parents=True)
    try:
        program.save(str(temporary / path.name), external_data=size > _LARGEST)
        _check(temporary / path.name, served)
        for file in sorted(temporary.iterdir(), reverse=True):  # weights first
            file.replace(path.with_name(file.name))
    finally:
        for file in temporary.iterdir():
            file.unlink()
        temporary.rmdir()


def _check_packages() -> None:
    release = tuple(int(part) for part in version("torch").split(".")[:2])
    if release < (2, 6):
        raise ImportError(f"Exporting to ONNX needs torch 2.6 or later, got {version('torch')}.")
    import_optional("onnxscript", "onnx", "Exporting to ONNX needs")


def _export(served: nn.Module) -> Any:
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    dynamic = {0: batch, 1: length}
    with _quiet_exporter(), torch.no_grad():
        return torch.onnx.export(
            served,
            _example(2, 7),
            dynamo=True,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_shapes=(dynamic, dynamic),
            verbose=False,
        )


def _example(n_texts: int, n_tokens: int) -> tuple[Tensor, Tensor]:
    """Give tokens and a mask; the first text is padded."""
    ids = torch.arange(n_texts * n_tokens).reshape(n_texts, n_tokens) % 5 + 5
    mask = torch.ones_like(ids)
    mask[0, n_tokens // 2 + 1 :] = 0
    return ids, mask


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks on itself from the user: names of axes, torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _check(path: Path, served: nn.Module) -> None:
    """Compare with the module on other shapes than the one it was traced with."""
    try:
        import onnxruntime
    except ImportError:
        return
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for shape in ((1, 3), (3, 12)):
        inputs = _example(*shape)
        with torch.inference_mode():
            expected = served(*inputs)
        feed: Sequence[tuple[str, Tensor]] = list(zip(INPUTS, inputs, strict=True))
        found = session.run(OUTPUTS, {name: tensor.numpy() for name, tensor in feed})
        for ours, theirs in zip(expected, found, strict=True):
            if not np.allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4):
                raise RuntimeError(
                    "The ONNX file does not compute what the classifier computes: logits or "
                    f"probabilities of a batch of shape {shape} differ by up to "
                    f"{np.abs(ours.numpy() - theirs).max():.2g}. The encoder's architecture does "
                    "not export well; other versions of torch and transformers may."
                )
