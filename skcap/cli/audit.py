"""``skcap audit``: words that a classifier relies on but should not."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from skcap.cli import options
from skcap.cli.classifiers import (
    ENCODER,
    is_saved_classifier,
    load_classifier,
    make_classifier,
)
from skcap.cli.console import console
from skcap.cli.labels import check_classes, known_labels, known_names, read_label_names
from skcap.cli.output import open_writer
from skcap.cli.priors import find_prior
from skcap.cli.tables import Table
from skcap.cli.wording import in_options
from skcap.utils.files import check_file_target, write_text

__all__ = ["audit"]

_TFIDF = "tfidf"


def audit(
    data: options.Data,
    text: options.Text = "text",
    label: options.Label = "label",
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            metavar="NAME",
            help="Source of word scores: a language model, such as smollm2-135m, or a .npz file of "
            "extract. Without one, real keywords are listed, too.",
        ),
    ] = None,
    label_names: options.LabelNames = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help=f"What is audited: the folder of a trained model, an encoder to train on the "
            f'data, or "{_TFIDF}", a logistic regression on words.',
        ),
    ] = ENCODER,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page, too.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help='Write the table of all candidates: .csv, .tsv, .jsonl or .parquet; "-" is '
            "stdout.",
        ),
    ] = None,
    fdr: Annotated[
        float, typer.Option("--fdr", min=0, max=1, help="Share of false findings that is accepted.")
    ] = 0.1,
    epochs: options.Epochs = 10,
    seed: options.Seed = 0,
    cache: options.Cache = None,
    input_format: options.InputFormat = None,
    output_format: options.OutputFormat = None,
    skip_bad_rows: options.SkipBadRows = False,
) -> None:
    """Find the words that a classifier relies on but should not.

    Prints each flagged word with a sentence that says why; to stderr, where the table goes to
    stdout.
    """
    from skcap import ShortcutAudit

    if html is not None:
        check_file_target(html)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    check_classes(labels, table.name)
    names = read_label_names(label_names)
    classifier, is_trained = _find_classifier(model, epochs, seed, names)
    known = known_labels(classifier, labels) if is_trained else labels
    if prior is None:
        console.warn(
            "There is no prior, so real keywords are listed with the shortcuts. Give --prior, such "
            "as --prior smollm2-135m."
        )
    auditor = ShortcutAudit(
        classifier,
        find_prior(prior, labels, cache, known_names(classifier, names) if is_trained else names),
        fdr=fdr,
        prefit=is_trained,
        random_state=seed,
        verbose=console.verbose,
    )
    # Opened first: a table that cannot be written is to cost no audit.
    with nullcontext() if output is None else open_writer(output, output_format) as writer:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is no prior", UserWarning)  # said already
            auditor.fit(texts, known)
        # On stdout, the table would not be one with sentences before it.
        tell = console.say if output == "-" else print
        tell(in_options("\n".join(auditor.sentences())))
        if writer is not None:
            writer.start(auditor.words_.columns.tolist())
            writer.write(auditor.words_.astype(object).to_dict("records"))
    if html is not None:
        write_text(html, auditor.to_html())
        console.say(f"skcap: wrote {html}")
    if output not in (None, "-"):
        console.say(f"skcap: wrote {output}")


def _find_classifier(
    model: str, epochs: int, seed: int, names: dict[str, str] | None
) -> tuple[Any, bool]:
    """Give a classifier, and whether it is trained."""
    if model == _TFIDF:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        return make_pipeline(TfidfVectorizer(), LogisticRegression(C=100, max_iter=1000)), False
    if is_saved_classifier(model):
        return load_classifier(Path(model)), True
    return make_classifier(model, "none", epochs, seed, label_names=names), False
