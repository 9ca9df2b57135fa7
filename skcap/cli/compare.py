"""``skcap compare``: whether guidance is worth having on these texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any

import typer

from skcap.cli import options
from skcap.cli.classifiers import ENCODER, make_classifier
from skcap.cli.console import console
from skcap.cli.labels import check_classes, read_label_names
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
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="FILE",
            help="Labelled texts from elsewhere to score on, in place of held-out texts of DATA.",
        ),
    ] = None,
    label_names: options.LabelNames = None,
    guidance: Annotated[
        str,
        typer.Option(
            "--guidance", metavar="NAME", help="swap, alignment, rationale, masker or adversarial."
        ),
    ] = "swap",
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

    Compares guided training with none and with a shuffled prior, by cross-validation. Held-out
    texts of the same file share its accidents, so only --test shows what guidance saves.
    """
    from skcap.inspection import compare_guidance

    if guidance == "none":
        raise typer.BadParameter("--guidance none leaves nothing to compare.")
    names = read_label_names(label_names)
    classifier = make_classifier(model, guidance, epochs, seed, label_names=names)
    table = Table(data, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows)
    texts, labels = table.texts_and_labels()
    check_classes(labels, table.name)
    _check_folds(folds, labels)
    elsewhere = None
    if test is not None:
        other = Table(
            test, text=text, label=label, format=input_format, skip_bad_rows=skip_bad_rows
        )
        elsewhere = _Elsewhere(*other.texts_and_labels())
        _check_known(elsewhere.labels, labels)
    comparison = compare_guidance(
        classifier.set_params(verbose=0),
        texts,
        labels,
        prior=find_prior(prior, labels, cache, names),
        scoring=None if elsewhere is None else elsewhere.score,
        cv=folds,
        n_jobs=jobs,
        random_state=seed,
        verbose=console.verbose,
    )
    print(comparison.to_frame().round(4).to_string())
    print(comparison.summary())
    if test is None:
        print(
            "Held-out texts share the accidents of this file: a model that goes by them is right "
            "there. Score on texts from elsewhere with --test FILE, and audit."
        )


def _check_folds(folds: int, labels: list[str]) -> None:
    """Refuse more folds than a class has texts."""
    label, n_texts = min(Counter(labels).items(), key=itemgetter(1))
    if n_texts < folds:
        raise typer.BadParameter(
            f"--folds {folds} needs as many texts of each class, but {label!r} has {n_texts}. "
            "Lower --folds, or leave out classes with so few texts."
        )


def _check_known(test_labels: list[str], labels: list[str]) -> None:
    """Refuse to score on labels that no model is trained on."""
    known = dict.fromkeys(labels)
    if unknown := [label for label in dict.fromkeys(test_labels) if label not in known]:
        raise ValueError(
            f"--test holds {len(unknown)} labels that DATA does not have, such as {unknown[0]!r}; "
            f"DATA has {', '.join(map(repr, list(known)[:5]))}{', ...' if len(known) > 5 else ''}."
        )


@dataclass(frozen=True)
class _Elsewhere:
    """Scores classifiers on texts of another file, whatever a split holds out."""

    texts: list[str]
    labels: list[str]

    def score(self, estimator: Any, X: Any, y: Any) -> float:
        return float(estimator.score(self.texts, self.labels))
