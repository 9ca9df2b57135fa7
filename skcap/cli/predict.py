"""``skcap predict`` and ``skcap explain``: labels, and words that decide, for files of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skcap.cli import options
from skcap.cli.classifiers import load_classifier
from skcap.cli.console import console
from skcap.cli.output import open_writer
from skcap.cli.parquet import PythonTypes
from skcap.cli.tables import Table, chunks
from skcap.utils.files import check_file_target, write_text
from skcap.utils.progress import show_progress

if TYPE_CHECKING:
    from skcap import GuidedTextClassifier

__all__ = ["explain", "predict"]

_CHUNK = 1024  # texts in memory
_FIXED = {"words": list[str], "scores": list[float]}  # columns of `explain`
_SHOWN = 200  # texts on a page

Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help='File to write; "-" is stdout.')
]
Column = Annotated[
    str, typer.Option("--column", metavar="NAME", help="Column for the predicted label.")
]


def predict(
    model: options.Trained,
    data: options.Data,
    output: Output = "-",
    text: options.Text = "text",
    column: Column = "prediction",
    all_classes: Annotated[
        bool, typer.Option("--all-classes", help="Add a column with the probability of each class.")
    ] = False,
    input_format: options.InputFormat = None,
    output_format: options.OutputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Predict the labels of texts.

    All columns of the file are kept. The file is read in pieces, so it may be larger than memory.
    """
    _check_column(column)
    table = Table(data, text=text, format=input_format, skip_bad_rows=skip_bad_rows)
    classifier = load_classifier(model, verbose=0)  # progress is shown by piece
    names = [f"{column}_probability"]
    if all_classes:
        names += [f"{column}_probability_{label}" for label in classifier.classes_.tolist()]
    kinds = {column: _kind_of_label(classifier), **dict.fromkeys(names, float)}
    _check_new(table, list(kinds))

    def add(texts: list[str]) -> list[dict[str, Any]]:
        p = classifier.predict_proba(texts)
        labels = classifier.classes_[p.argmax(axis=1)].tolist()
        values = [[row.max(), *(row if all_classes else ())] for row in p.astype(float).round(6)]
        return [
            {column: label, **dict(zip(names, map(float, row), strict=True))}
            for label, row in zip(labels, values, strict=True)
        ]

    _stream(table, add, kinds, "predict", output, output_format)


def explain(
    model: options.Trained,
    data: options.Data,
    output: Output = "-",
    text: options.Text = "text",
    column: Column = "prediction",
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help=f"Write a page with the first {_SHOWN} texts, too."
        ),
    ] = None,
    input_format: options.InputFormat = None,
    output_format: options.OutputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Attribute predictions to words, by integrated gradients.

    Adds the words of each text, and what each adds to the predicted label's logit.
    """
    _check_column(column, others=tuple(_FIXED))
    if html is not None:
        check_file_target(html)
    table = Table(data, text=text, format=input_format, skip_bad_rows=skip_bad_rows)
    classifier = load_classifier(model, verbose=0)  # progress is shown by piece
    kinds = {column: _kind_of_label(classifier), **_FIXED}
    _check_new(table, list(kinds))

    def add(texts: list[str]) -> list[dict[str, Any]]:
        labels = classifier.predict(texts)
        matrix = classifier.explain(texts, labels)
        return [
            {column: label, "words": record.words, "scores": _numbers(record.scores)}
            for label, record in zip(labels.tolist(), matrix, strict=True)
        ]

    _stream(table, add, kinds, "explain", output, output_format, default="jsonl")
    if html is not None:
        _write_page(html, classifier, table)


def _stream(
    table: Table,
    add: Callable[[list[str]], list[dict[str, Any]]],
    kinds: PythonTypes,
    step: str,
    output: str,
    output_format: str | None,
    default: str = "csv",
) -> None:
    """Write all rows with columns added, piece by piece."""
    with (
        open_writer(output, output_format, default, table=table, added=kinds) as writer,
        show_progress(table.n_rows, step, "text", verbose=console.verbose) as progress,
    ):
        for rows in chunks(table.rows(), _CHUNK):
            added = add([row.values[table.text] for row in rows])
            writer.write([{**row.values, **more} for row, more in zip(rows, added, strict=True)])
            progress.update(len(rows))
    if output != "-":
        console.say(f"skcap: wrote {output}")


def _kind_of_label(classifier: GuidedTextClassifier) -> type:
    return type(classifier.classes_.tolist()[0])


def _check_column(column: str, others: Sequence[str] = ()) -> None:
    """Refuse a name for the column of labels that is none, or that of another new column."""
    if not column.strip():
        raise typer.BadParameter("--column must be a name, got an empty one.")
    if column in others:
        raise typer.BadParameter(
            f"--column must not be {' or '.join(others)}, which are columns of the result "
            f"themselves, got {column}. The default is prediction."
        )


def _check_new(table: Table, names: Sequence[str]) -> None:
    """Refuse to overwrite columns of the file."""
    if taken := [name for name in names if name in table.columns]:
        other = "" if taken[0] in _FIXED else ", or give another --column"
        raise ValueError(
            f"{table.name} has a column {taken[0]!r} already, which would be overwritten. Rename "
            f"it{other}."
        )


def _numbers(scores: Any) -> list[float | None]:
    """Give None for a word that was cut off: JSON has no NaN."""
    return [None if score != score else round(float(score), 6) for score in scores]


def _write_page(html: Path, classifier: GuidedTextClassifier, table: Table) -> None:
    texts = [row.values[table.text] for row in next(chunks(table.rows(), _SHOWN))]
    write_text(html, classifier.explain(texts).to_html())
    console.say(f"skcap: wrote {html}")
