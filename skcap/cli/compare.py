"""``skcap compare``: whether guidance is worth having on these texts."""

from __future__ import annotations

from typing import Annotated

import typer

from skcap.cli import options
from skcap.cli.classifiers import ENCODER, make_classifier
from skcap.cli.console import console
from skcap.cli.priors import find_prior
from skcap.cli.tables import Table

__all__ = ["compare"]


def compare(
    data: options.Data,
    prior: Annotated[
        str,
        typer.Option(
            "--prior", metavar="NAME", help="A language model, or a .npz file of extract."
        ),
    ],
    text: options.Text = "text",
    label: options.Label = "label",
    guidance: options.Guidance = "swap",
    model: options.Model = ENCODER,
    epochs: options.Epochs = 10,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Folds, drawn twice.")] = 5,
    jobs: Annotated[int | None, typer.Option("--jobs", help="Splits that run at once.")] = None,
    seed: options.Seed = 0,
    cache: options.Cache = None,
    input_format: options.InputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Find out whether guidance helps on these texts.

    Compares guided training with none and with a shuffled prior, by cross-validation.
    """
    from skcap.inspection import compare_guidance

    if guidance == "none":
        raise typer.BadParameter("--guidance none leaves nothing to compare.")
    classifier = make_classifier(model, guidance, epochs, seed).set_params(verbose=0)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    comparison = compare_guidance(
        classifier,
        texts,
        labels,
        prior=find_prior(prior, cache),
        cv=folds,
        n_jobs=jobs,
        random_state=seed,
        verbose=console.verbose,
    )
    print(comparison.to_frame().round(4).to_string())
    print(comparison.summary())
