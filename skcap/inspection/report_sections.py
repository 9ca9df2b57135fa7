"""The sections of the report page: what is known about a model, as HTML."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from skcap.inspection.errors import class_report, confusion_pairs
from skcap.metrics import FaithfulnessCurve, explain_texts, faithfulness_curve
from skcap.metrics.explanations import explained_step
from skcap.prior_matrix import PriorMatrix
from skcap.shortcuts import disputed_words
from skcap.utils.html import color_words, html_table, legend
from skcap.utils.words import split_words

__all__ = [
    "Judged",
    "changes_section",
    "judge",
    "pairs_section",
    "scores_section",
    "texts_section",
    "words_section",
]

_TOP = 15  # number of pairs of classes, classes, and words listed


@dataclass(frozen=True, eq=False)
class Judged:
    """What the sections need to know about one model, computed once; n texts.

    Attributes
    ----------
    name : str
        How the page calls the model.
    y, predicted : ndarray, shape (n,)
        True and predicted labels.
    explained : PriorMatrix of length n
        The model's own explanation of what it predicts.
    curve : FaithfulnessCurve
        By that explanation, for the predicted classes.
    """

    name: str
    y: np.ndarray
    predicted: np.ndarray
    explained: PriorMatrix
    curve: FaithfulnessCurve

    @property
    def accuracy(self) -> float:
        """Share of the texts that are predicted right."""
        return float(np.mean(self.predicted == self.y))


def judge(name: str, estimator: Any, texts: list[str], y: np.ndarray) -> Judged:
    """Predict and explain the texts, and measure how faithful the explanation is.

    Parameters
    ----------
    name : str
    estimator : fitted classifier
        As for :func:`skcap.metrics.explain_texts`.
    texts : list of str, length n
    y : ndarray, shape (n,)

    Returns
    -------
    Judged
    """
    predicted = np.asarray(estimator.predict(texts))
    classifier, seen = explained_step(estimator, texts)
    explained = explain_texts(classifier, seen)
    if not isinstance(explained, PriorMatrix):
        explained = PriorMatrix(seen, list(explained))
    curve = faithfulness_curve(classifier.predict_proba, seen, explained)
    return Judged(name, y, predicted, explained, curve)


def scores_section(model: Judged, other: Judged | None) -> str:
    """Tabulate accuracy, comprehensiveness and sufficiency."""
    models = [model] if other is None else [model, other]
    lines = [
        [
            judged.name,
            f"{judged.accuracy:.1%}",
            f"{judged.curve.comprehensiveness().mean():.3f}",
            f"{judged.curve.sufficiency().mean():.3f}",
        ]
        for judged in models
    ]
    header = ["", "accuracy", "comprehensiveness ↑", "sufficiency ↓"]
    note = (
        f"{len(model.y)} texts, {len(np.unique(model.y))} classes. Comprehensiveness: how much "
        "probability the predicted class loses when the words that the explanation names are "
        "removed; higher is better. Sufficiency: how much it loses when only these words are left; "
        "lower is better. Both are averages over rationales of 1, 5, 10, 20 and 50 % of the words."
    )
    return f"{html_table(header, lines)}{_note(note)}"


def pairs_section(model: Judged, other: Judged | None) -> str:
    """Draw the pairs of classes that are confused most often, with a table to unfold."""
    from matplotlib import pyplot as plt

    from skcap.inspection.plots import ConfusionPairsDisplay

    first, second = (model, None) if other is None else (other, model)
    after = None if second is None else second.predicted
    pairs = confusion_pairs(model.y, first.predicted, after, top=_TOP)
    if pairs.empty:
        return "<p>No text is mistaken for another class.</p>"
    names = (first.name, "" if second is None else second.name)
    # Narrow, so that a phone does not have to shrink it much.
    _, ax = plt.subplots(figsize=(5.2, 1.2 + 0.36 * len(pairs)), layout="constrained")
    display = ConfusionPairsDisplay(pairs).plot(names=names, ax=ax)
    picture = _image(display.figure_, "Confusions of the hardest pairs of classes, as in the table")
    header = ["class", "class", *names[: len(pairs.columns) - 2]]
    listed = html_table(header, pairs.itertuples(index=False))
    note = _note("Number of texts of either class that are mistaken for the other.")
    return f"{note}{picture}<details><summary>Table</summary>{listed}</details>"


def changes_section(model: Judged, other: Judged) -> str:
    """Draw and list what the model gets right and wrong where the other does not."""
    from skcap.inspection.plots import CorrectionsDisplay

    display = CorrectionsDisplay.from_predictions(model.y, other.predicted, model.predicted)
    picture = _image(display.figure_, "Errors of the baseline, corrected ones and new ones")
    report = class_report(model.y, other.predicted, model.predicted)
    report = report[report["change"] != 0]
    # By position: labels that are booleans would select rows as a mask does.
    largest = np.argsort(-report["change"].abs().to_numpy(), kind="stable")[:_TOP]
    shown = report.iloc[largest].sort_values("change", ascending=False, kind="stable")
    rows = [
        [
            label,
            row.n_texts,
            f"{row.accuracy_before:.0%}",
            f"{row.accuracy_after:.0%}",
            _partner(row.confused_before, row.n_confused_before),
            _partner(row.confused_after, row.n_confused_after),
        ]
        for label, row in shown.iterrows()
    ]
    header = ["class", "texts", other.name, model.name]
    header += [f"{other.name} mistakes it for", f"{model.name} mistakes it for"]
    note = f"The classes whose accuracy differs most: {len(shown)} of {len(report)} that differ."
    return f"{picture}{_note(note)}{html_table(header, rows)}"


def _partner(label: Any, count: int) -> str:
    return f"{label} ({count})" if count else "none"


def words_section(model: Judged, prior: PriorMatrix) -> str:
    """List words that the model relies on and the prior does not."""
    # Only texts that the model gets right: there, explanation and prior are about one label.
    rows = np.flatnonzero(model.predicted == model.y)
    if not len(rows):
        return "<p>No text is predicted right.</p>"
    table = disputed_words(model.explained[rows], prior[rows])
    table = table[table["difference"] > 0].head(_TOP)
    if table.empty:
        return "<p>The model relies on no word, of those in two texts, more than the prior.</p>"
    note = (
        f"Words that the model relies on more than the prior does, in the {len(rows)} texts that "
        "it predicts right, by their mean share of all that is attributed in a text. A word that "
        "says nothing about the class is a shortcut that the model learnt from its training texts."
    )
    listed = [
        [word, n_texts, *(f"{share:+.0%}" for share in shares)]
        for word, n_texts, *shares in table.itertuples()
    ]
    return f"{_note(note)}{html_table(['word', 'texts', 'model', 'prior', 'difference'], listed)}"


def texts_section(model: Judged, prior: PriorMatrix | None, n_texts: int) -> str:
    """Show texts with coloured words: confident errors first, then unsure right answers."""
    wrong, confidence = model.predicted != model.y, model.curve.full
    order = np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))[:n_texts]
    note = (
        f"{len(order)} of {len(wrong)} texts; {np.count_nonzero(wrong)} of all are wrong. Colours "
        "show what speaks for the predicted class according to the model"
    )
    note += "; below it, for the true class according to the prior." if prior is not None else "."
    parts = [_note(note), legend()]
    for row in order.tolist():
        words = split_words(model.explained.texts[row])
        truth = f", in truth {model.y[row]}" if wrong[row] else ""
        verdict = f"{'✗' if wrong[row] else '✓'} {model.predicted[row]}{truth}"
        parts.append(_note(f"{verdict} · {confidence[row]:.0%}", gap="1.3rem"))
        parts.append(color_words(words, model.explained[row].scores))
        if prior is not None:
            parts.append(f"<small>prior</small>{color_words(words, prior[row].scores)}")
    return "\n".join(parts)


def _note(text: str, gap: str = ".5rem") -> str:
    return f'<p style="margin-top:{gap}"><small>{escape(text)}</small></p>'


def _image(figure: Any, description: str) -> str:
    """Embed a figure, which is closed, into the page itself."""
    from matplotlib import pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<p><img alt="{escape(description)}" src="data:image/png;base64,{data}"></p>'
