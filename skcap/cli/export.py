"""``skcap export``: a trained model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skcap.cli import options
from skcap.cli.classifiers import load_classifier

__all__ = ["export"]


def export(
    model: options.Trained,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .onnx file to write.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write a trained model as ONNX.

    Tokens in, probabilities out, labels in the metadata. A tokenizer.json is written beside it. For
    sentence-transformers, the folder that train writes needs no export.
    """
    if output.suffix != ".onnx":
        raise typer.BadParameter(f"--output must end in .onnx, got {output}.")
    if output.exists() and not overwrite:
        raise ValueError(f"{output} is there already. Replace it with --overwrite.")
    classifier = load_classifier(model)
    try:
        classifier.export_onnx(output, overwrite=overwrite)
    except FileExistsError as error:
        raise ValueError(str(error).replace("Pass overwrite=True", "Give --overwrite")) from error
    print(output)
