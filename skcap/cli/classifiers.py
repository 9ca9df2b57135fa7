"""From the options of the command line to a classifier."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skcap.cli.console import console

if TYPE_CHECKING:
    from skcap import GuidedTextClassifier

__all__ = ["ENCODER", "is_saved_classifier", "load_classifier", "make_classifier"]

ENCODER = "all-minilm-l6-v2"


def make_classifier(model: str, guidance: str, epochs: int, seed: int, **more: Any) -> Any:
    """Make a classifier that is not fitted yet.

    Raises
    ------
    typer.BadParameter
        If there is no such guidance, or the model is a trained classifier.
    ValueError
        If there is no such model.
    """
    from skcap import GuidedTextClassifier
    from skcap.guidance.resolve import GUIDANCE
    from skcap.models import model_fingerprint

    if guidance not in (*GUIDANCE, "none"):
        names = ", ".join((*GUIDANCE, "none"))
        raise typer.BadParameter(f"--guidance must be one of {names}, got {guidance}.")
    if is_saved_classifier(model):
        raise typer.BadParameter(
            f"--model must be an encoder, but {model} holds a trained classifier. The encoder "
            "of one lies in its folder 0_Transformer."
        )
    model_fingerprint(model)  # a misspelt name is to cost no work
    return GuidedTextClassifier(
        model,
        guidance=None if guidance == "none" else guidance,
        max_epochs=epochs,
        random_state=seed,
        verbose=console.verbose,
        **more,
    )


def is_saved_classifier(folder: Path | str) -> bool:
    """Whether a folder is one that ``skcap train``, or ``save_pretrained``, wrote."""
    from skcap.export.folder import RECORD

    return (Path(os.path.expanduser(folder)) / RECORD).is_file()


def load_classifier(folder: Path, verbose: int | None = None) -> GuidedTextClassifier:
    """Read a classifier that ``skcap train`` wrote.

    Parameters
    ----------
    folder : pathlib.Path
    verbose : int or None, default=None
        None goes by ``--quiet``.
    """
    from skcap import GuidedTextClassifier

    if not is_saved_classifier(folder):
        raise ValueError(f"{folder} does not hold a trained model; skcap train writes one.")
    verbose = console.verbose if verbose is None else verbose
    return GuidedTextClassifier.from_pretrained(folder).set_params(verbose=verbose)
