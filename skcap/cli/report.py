"""``skcap report``: one page about a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skcap.cli import options
from skcap.cli.classifiers import load_classifier
from skcap.cli.labels import known_labels
from skcap.cli.priors import read_scores
from skcap.cli.tables import Table
from skcap.utils.files import check_file_target, replacing

__all__ = ["report"]


def report(
    model: options.Trained,
    data: options.Data,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .html file to write.")
    ],
    text: options.Text = "text",
    label: options.Label = "label",
    prior: Annotated[
        Path | None,
        typer.Option("--prior", metavar="FILE", help="Scores of the same texts, from extract."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="MODEL", help="Another model, to compare with."),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the page.")] = (
        "Report of a text classifier"
    ),
    input_format: options.InputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Write a page about a trained model.

    It shows scores, errors, and the words that the model goes by. DATA should be texts that it was
    not trained on; all of them are explained, which takes a while.
    """
    from skcap.inspection import write_report

    if output.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"--output must end in .html, got {output}.")
    check_file_target(output)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    classifier = load_classifier(model)
    known = known_labels(classifier, labels)
    scores = None if prior is None else read_scores(prior, labels)
    with replacing(output) as temporary:
        write_report(
            temporary,
            classifier,
            texts,
            known,
            prior=scores,
            baseline=None if baseline is None else load_classifier(baseline),
            title=title,
        )
    print(f"{output}: accuracy {classifier.score(texts, known):.3f} on {len(texts):,} texts")
