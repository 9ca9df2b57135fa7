"""``skcap train``: a classifier, to a folder."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from skcap.cli import options
from skcap.cli.classifiers import ENCODER, is_saved_classifier, make_classifier
from skcap.cli.console import console
from skcap.cli.labels import check_classes, read_label_names
from skcap.cli.priors import find_prior
from skcap.cli.shortcuts import read_shortcuts
from skcap.cli.tables import Table
from skcap.cli.wording import in_options

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
    label_names: options.LabelNames = None,
    guidance: Annotated[
        str,
        typer.Option(
            "--guidance",
            metavar="NAME",
            help="swap, alignment, rationale, masker, adversarial or none.",
        ),
    ] = "swap",
    shortcuts: Annotated[
        Path | None,
        typer.Option(
            "--shortcuts",
            metavar="FILE",
            help="What to swap, in place of an audit: the table of skcap audit -o, edited, or a "
            ".txt file with a word on each line. Needs no prior.",
        ),
    ] = None,
    plain_words: Annotated[
        bool,
        typer.Option(
            "--plain-words",
            help="Swap all that the audit flags, plain words too, which may be keywords.",
        ),
    ] = False,
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
        bool, typer.Option("--overwrite", help="Replace an existing model.")
    ] = False,
    input_format: options.InputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Train a classifier, and save it to a folder.

    The default guidance, swap, audits the texts and makes the words that it flags independent of
    the labels.
    """
    names = read_label_names(label_names)
    more = {"beta": beta, "batch_size": batch_size, "device": device, "label_names": names}
    classifier = make_classifier(model, guidance, epochs, seed, **more)
    if shortcuts is not None or plain_words:
        classifier.set_params(guidance=_swap(guidance, shortcuts, plain_words))
    _check_parameters(classifier)
    _check_prior(classifier, guidance, prior)
    output = Path(os.path.expanduser(output))
    _check_folder(output, overwrite)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    check_classes(labels, table.name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The audit flags", UserWarning)  # see _tell_of_audit
        classifier.fit(_with_scores(texts, labels, find_prior(prior, labels, cache, names)), labels)
    classifier.save_pretrained(output, overwrite=overwrite)
    print(f"{output}: {len(texts):,} texts of {len(classifier.classes_):,} classes")
    if hasattr(classifier, "audit_"):
        _tell_of_audit(classifier)


def _swap(guidance: str, shortcuts: Path | None, plain_words: bool) -> Any:
    """Make the guidance that swaps what the user says."""
    from skcap.guidance import SwapGuidance

    if guidance != "swap":
        raise typer.BadParameter(
            f"--shortcuts and --plain-words are for --guidance swap, got --guidance {guidance}."
        )
    listed = None if shortcuts is None else read_shortcuts(shortcuts)
    return SwapGuidance(listed, plain_words=plain_words)


def _tell_of_audit(classifier: Any) -> None:
    """Print what the audit found, and warn of what training left as it was."""
    print(in_options("\n".join(classifier.audit_.sentences())))
    flagged = classifier.audit_.shortcuts_["word"]
    swapped = set(classifier.guidance_[0].shortcuts_["word"])
    if left := [word for word in flagged if word not in swapped]:
        console.warn(
            "Flagged plain words were not swapped, since some may be keywords: "
            f"{', '.join(map(repr, left))}. List the shortcuts among them in a file for "
            "--shortcuts, or train with --plain-words to swap all."
        )


def _check_parameters(classifier: Any) -> None:
    """Refuse what a fit would refuse, but only after the prior was made."""
    from skcap.models import resolve_device
    from skcap.utils.validation import check_parameters

    try:
        check_parameters(classifier)
        resolve_device(classifier.device)
    except ValueError as error:
        raise typer.BadParameter(in_options(str(error))) from None


def _check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something, before the work whose result goes there."""
    from skcap.export.folder import check_target

    if is_saved_classifier(folder) and not overwrite:
        raise ValueError(
            f"{folder} holds a model already. Replace it with --overwrite, or name another folder."
        )
    try:
        check_target(folder, overwrite=True)
    except OSError as error:
        raise ValueError(f"--output: {error}") from error


def _check_prior(classifier: Any, guidance: str, prior: str | None) -> None:
    """Refuse a guidance without the prior that it needs, or a prior that nothing needs."""
    if prior is None and classifier.needs_prior:
        raise typer.BadParameter(
            f"--guidance {guidance} needs a prior: give --prior, such as --prior smollm2-135m, "
            f"{'list what to swap with --shortcuts, ' if guidance == 'swap' else ''}or train with "
            "--guidance none."
        )
    if prior is not None and not classifier.needs_prior:
        raise typer.BadParameter(
            "--prior would be made for nothing: this training needs none. Leave it out."
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
