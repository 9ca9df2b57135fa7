"""From the option ``--prior`` to a prior."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from skcap.cli.console import console

if TYPE_CHECKING:
    from skcap import CAPPriorTransformer, PriorMatrix

__all__ = ["FAKE", "find_prior", "make_prior", "read_scores", "with_labels"]

_LABELS = "labels_sha256"  # in the provenance
FAKE = "fake"
"""Name of a language model without weights, to try a command out."""


def make_prior(
    model: str,
    *,
    unit: str = "word",
    masks: int = 32,
    jobs: int | None = None,
    cache: str | None = None,
    label_names: Mapping[Any, str] | None = None,
) -> CAPPriorTransformer:
    """Make the prior of a language model.

    Raises
    ------
    typer.BadParameter
        If the unit is not known.
    """
    from skcap import CAPPriorTransformer, FakeLLM
    from skcap.priors.units import UNITS

    if unit not in UNITS:
        raise typer.BadParameter(f"--unit must be one of {', '.join(UNITS)}, got {unit}.")
    return CAPPriorTransformer(
        FakeLLM() if model == FAKE else model,
        label_names=label_names,
        unit=unit,
        n_masks=masks,
        n_jobs=jobs,
        cache=cache,
        verbose=console.verbose,
    )


def with_labels(matrix: PriorMatrix, labels: Sequence[str]) -> PriorMatrix:
    """Note in the provenance of scores which labels they are for."""
    from skcap import PriorMatrix

    provenance = {**matrix.provenance, _LABELS: _digest(labels)}
    return PriorMatrix(matrix.texts, matrix.scores, provenance=provenance)


def _digest(labels: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(labels)).encode()).hexdigest()


def find_prior(
    prior: str | None,
    labels: Sequence[str],
    cache: str | None = None,
    label_names: Mapping[Any, str] | None = None,
) -> PriorMatrix | Any | None:
    """Read a file of scores, or make the prior of a language model.

    Parameters
    ----------
    prior : str or None
        A file that ``skcap extract`` wrote, whose name ends in ``.npz``, or a language model.
    labels : sequence of str
        Of the texts that it is for.
    cache : str or None, default=None
    label_names : mapping of label to str, or None, default=None

    Returns
    -------
    PriorMatrix, prior transformer or None

    Raises
    ------
    typer.BadParameter
        If it is another file.
    ValueError
        If the scores of a file are for other labels, or there is no such language model.
    """
    from skcap.models import model_fingerprint

    if prior is None:
        return None
    if prior.endswith(".npz"):
        return read_scores(prior, labels)
    if Path(prior).is_file():
        raise typer.BadParameter(
            f"--prior must be a language model or a .npz file of skcap extract, got {prior}."
        )
    if prior != FAKE:
        model_fingerprint(prior)  # a misspelt name is to cost no work
    return make_prior(prior, cache=cache, label_names=label_names)


def read_scores(path: str | Path, labels: Sequence[str]) -> PriorMatrix:
    """Read a file that ``skcap extract`` wrote.

    Raises
    ------
    ValueError
        If its scores are for other labels.
    """
    from skcap import PriorMatrix

    matrix = PriorMatrix.load(path)
    if matrix.provenance.get(_LABELS, _digest(labels)) != _digest(labels):
        raise ValueError(
            f"{path} was extracted for other labels, or another order of texts, so its scores "
            "do not hold for these. Run skcap extract again; it takes from the cache what has "
            "not changed."
        )
    return matrix
