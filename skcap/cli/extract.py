"""``skcap extract``: a language model's scores of words, to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skcap.cli import options
from skcap.cli.console import console
from skcap.cli.labels import read_label_names
from skcap.cli.priors import make_prior, with_labels
from skcap.cli.tables import Table
from skcap.utils.files import check_file_target

__all__ = ["extract"]


def extract(
    data: options.Data,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .npz file to write; only --dry-run does without.",
        ),
    ] = None,
    text: options.Text = "text",
    label: options.Label = "label",
    prior: Annotated[
        str,
        typer.Option(
            "--prior",
            metavar="NAME",
            help='Language model: an alias (skcap models), a folder or a hub id; "fake" needs no '
            "weights.",
        ),
    ] = "smollm2-135m",
    label_names: options.LabelNames = None,
    unit: options.Unit = "word",
    masks: options.Masks = 32,
    jobs: options.Jobs = None,
    cache: options.Cache = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the cost and stop there.")
    ] = False,
    input_format: options.InputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Score the words of labelled texts with a language model.

    Each text's answers go to the cache at once, so an interrupted run resumes.
    """
    if output is not None:
        if output.suffix != ".npz":
            raise typer.BadParameter(f"--output must end in .npz, got {output}.")
        check_file_target(output)
    elif not dry_run:
        raise typer.BadParameter("--output must name a .npz file, unless --dry-run is given.")
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    transformer = make_prior(
        prior,
        unit=unit,
        masks=masks,
        jobs=jobs,
        cache=cache,
        label_names=read_label_names(label_names),
    )
    if output is None or dry_run:
        print(transformer.estimate_cost(texts, labels))
        return
    if not console.quiet:  # nobody would see the estimate, whose trial costs some seconds
        console.say(f"skcap: {transformer.estimate_cost(texts, labels)}")
    matrix = with_labels(transformer.fit_transform(texts, labels), labels)
    matrix.save(output)
    print(f"{output}: {len(matrix):,} texts, {int(matrix.n_words.sum()):,} words")
