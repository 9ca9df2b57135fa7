"""``skcap train``: a classifier, to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from skcap.cli import options
from skcap.cli.classifiers import ENCODER, is_saved_classifier, make_classifier
from skcap.cli.priors import find_prior
from skcap.cli.tables import Table

__all__ = ["train"]


def train(
    data: options.Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the model.")
    ],
    text: options.Text = "text",
    label: options.Label = "label",
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            metavar="NAME",
            help="Scores of words to train with: a .npz file of extract, or a language model.",
        ),
    ] = None,
    guidance: options.Guidance = "swap",
    model: options.Model = ENCODER,
    epochs: options.Epochs = 10,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Texts per step.")] = 32,
    beta: Annotated[float, typer.Option("--beta", min=0, help="Weight of the guidance.")] = 1.0,
    device: Annotated[str, typer.Option("--device", help='"auto" is a GPU if there is one.')] = (
        "auto"
    ),
    seed: options.Seed = 0,
    cache: options.Cache = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a model that is there.")
    ] = False,
    input_format: options.InputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Train a classifier, and save it to a folder.

    The default guidance, swap, audits the texts and makes the words that it flags independent of
    the labels.
    """
    classifier = make_classifier(
        model, guidance, epochs, seed, beta=beta, batch_size=batch_size, device=device
    )
    _check_guidance(guidance, prior)
    _check_folder(output, overwrite)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    classifier.fit(_with_scores(texts, labels, find_prior(prior, cache)), labels)
    classifier.save_pretrained(output, overwrite=overwrite)
    print(f"{output}: {len(texts):,} texts of {len(classifier.classes_):,} classes")
    if hasattr(classifier, "audit_"):
        print("\n".join(classifier.audit_.sentences()))


def _check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something, before the work whose result goes there."""
    from skcap.export.folder import check_target

    if is_saved_classifier(folder) and not overwrite:
        raise ValueError(
            f"{folder} holds a model already. Replace it with --overwrite, or name another folder."
        )
    check_target(folder, overwrite=True)


def _check_guidance(guidance: str, prior: str | None) -> None:
    """Refuse a guidance without the prior that it needs, before any work."""
    from skcap.guidance.resolve import GUIDANCE

    if guidance != "none" and prior is None and GUIDANCE[guidance]().needs_prior:
        raise typer.BadParameter(
            f"--guidance {guidance} needs a prior: give --prior, such as --prior smollm2-135m, or "
            "train with --guidance none."
        )


def _with_scores(texts: list[str], labels: list[str], prior: Any) -> Any:
    """Give the texts with a prior's scores, if there is one."""
    from skcap.prior_matrix import PriorMatrix, check_same_texts

    if prior is None:
        return texts
    if isinstance(prior, PriorMatrix):
        check_same_texts([PriorMatrix(texts), prior], ["DATA", "--prior"])
        return prior
    return prior.fit_transform(texts, labels)
