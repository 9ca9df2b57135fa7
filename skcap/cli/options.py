"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Cache",
    "Data",
    "Epochs",
    "InputFormat",
    "Jobs",
    "Label",
    "LabelNames",
    "Masks",
    "Model",
    "OutputFormat",
    "Seed",
    "SkipBadRows",
    "Text",
    "Trained",
    "Unit",
]

Data = Annotated[
    str, typer.Argument(metavar="DATA", help='A .csv, .tsv, .jsonl or .parquet file; "-" is stdin.')
]
Trained = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A folder that train, or save_pretrained, wrote.")
]
Text = Annotated[str, typer.Option("--text", metavar="COLUMN", help="Column with the texts.")]
Label = Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column with the labels.")]
LabelNames = Annotated[
    Path | None,
    typer.Option(
        "--label-names",
        metavar="FILE",
        help='What the labels mean: a JSON object such as {"0": "spam"}. By default the labels '
        "themselves, with spaces for underscores.",
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="FORMAT",
        help="csv, tsv, jsonl or parquet. By default, by the file's extension; csv for stdin.",
    ),
]
OutputFormat = Annotated[
    str | None,
    typer.Option("--output-format", metavar="FORMAT", help="Like --input-format, for the output."),
]
SkipBadRows = Annotated[
    bool,
    typer.Option(
        "--skip-bad-rows",
        help="Leave out rows without text or label, or with broken syntax, and name them. By "
        "default they are an error.",
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model", metavar="NAME", help="Encoder: an alias (skcap models), a folder or a hub id."
    ),
]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the texts.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Random seed.")]
Unit = Annotated[
    str,
    typer.Option(
        "--unit", metavar="UNIT", help="What the prior removes at a time: word, clause or sentence."
    ),
]
Masks = Annotated[
    int, typer.Option("--masks", min=0, help="Random variants of a text, besides one per unit.")
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Processes that share the texts; each loads the model.")
]
Cache = Annotated[
    str | None,
    typer.Option(
        "--cache",
        metavar="FOLDER",
        help="Where a language model's answers are kept, so that an interrupted run "
        "resumes. By default the user's cache folder.",
    ),
]
