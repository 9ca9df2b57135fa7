"""One HTML file about one model: its scores, its errors, and what it looks at."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.inspection.errors import class_report, confusion_pairs
from skcap.metrics.scorers import (
    explain_texts,
    make_comprehensiveness_scorer,
    make_neg_sufficiency_scorer,
)
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.shortcuts import disputed_words
from skcap.utils.html import color_words, legend, page
from skcap.utils.words import check_texts, split_words

__all__ = ["write_report"]

_TOP = 15  # pairs of classes, classes, and words listed


def write_report(
    path: str | os.PathLike[str],
    classifier: Any,
    X: Any,
    y: ArrayLike,
    *,
    prior: PriorMatrix | None = None,
    baseline: Any = None,
    n_texts: int = 20,
    title: str = "Report of a text classifier",
) -> Path:
    """Write what one model scores, confuses and looks at into one HTML file.

    The page needs no network and no script, and fits a phone. Whatever comes from texts and labels
    is escaped.

    Parameters
    ----------
    path : path-like
        An existing file is replaced.
    classifier : fitted classifier
        With ``predict``, ``predict_proba`` and ``classes_``, such as GuidedTextClassifier, a
        Pipeline that ends in one, or any other classifier of texts, which is then explained by
        leaving out one word at a time.
    X : sequence of str, length n
        Texts that it was not trained on. All of them are explained, for comprehensiveness and
        sufficiency; a few hundred give a fair figure if that takes too long.
    y : array-like of str or int, shape (n,)
    prior : PriorMatrix of length n, default=None
        Scores of the same texts, shown under the model's own. Words that the model goes by and the
        prior does not are listed, as a shortcut is one of them.
    baseline : fitted classifier, default=None
        Another model, such as an unguided one, to compare with: adds its scores, its confusions
        and the classes in which the two differ most.
    n_texts : int, default=20
        Number of texts to show, wrong ones first: the most confident errors, then the least
        confident right answers.
    title : str, default="Report of a text classifier"

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError
        If a classifier has no ``predict_proba``.
    ValueError
        If `X`, `y` and `prior` do not fit together, or `n_texts` is negative.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.inspection.report import write_report
    >>> texts = ["play some jazz", "play the blues", "book a table", "book a room"]
    >>> model = make_pipeline(CountVectorizer(), MultinomialNB())
    >>> model = model.fit(texts, ["music", "music", "place", "place"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write_report(
    ...         os.path.join(folder, "report.html"), model, ["play a table"], ["music"]
    ...     )
    ...     file.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    from skcap.inspection.plots._matplotlib import import_pyplot

    import_pyplot()  # refuses before the work, not after it
    texts = check_texts(X)
    labels = np.asarray(y)
    if labels.shape != (len(texts),):
        raise ValueError(f"y must hold one label a text, {len(texts)}, got shape {labels.shape}.")
    if n_texts < 0:
        raise ValueError(f"n_texts must be at least 0, got {n_texts}.")
    if prior is not None:
        check_same_texts([PriorMatrix(texts), prior], ["X", "prior"])
    predicted = np.asarray(classifier.predict(texts))
    own = _explained(classifier, texts)  # once, for all parts of the page
    before = None if baseline is None else np.asarray(baseline.predict(texts))
    scores = [_score("this model", classifier, texts, labels, predicted, own)]
    if before is not None:
        theirs = _explained(baseline, texts)
        scores.append(_score("baseline", baseline, texts, labels, before, theirs))
    document = page(
        title,
        ("Scores", _scores(scores, labels)),
        ("Hardest pairs of classes", _pairs(labels, predicted, before)),
        *(
            []
            if before is None
            else [("Against the baseline", _changes(labels, before, predicted))]
        ),
        *([] if prior is None else [("Words", _words(own, labels, predicted, prior))]),
        ("Texts", _texts(classifier, own, labels, predicted, prior, n_texts)),
        ("Model", f"<pre>{escape(repr(classifier))}</pre>"),
    )
    target = Path(path)
    # A lone surrogate in a label cannot be written as UTF-8: it is shown as \udXXX.
    target.write_bytes(document.encode("utf-8", "backslashreplace"))
    return target


def _table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Lay out cells as an HTML table, all of them escaped; not DataFrame.to_html, which cuts."""

    def line(cells: Iterable[Any], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"


def _image(figure: Any, description: str) -> str:
    """Embed a figure, which is closed, into the page itself."""
    from matplotlib import pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<p><img alt="{escape(description)}" src="data:image/png;base64,{data}"></p>'


def _explained(classifier: Any, texts: list[str]) -> PriorMatrix:
    """Explain the predicted class of each text."""
    own = explain_texts(classifier, texts)
    return own if isinstance(own, PriorMatrix) else PriorMatrix(texts, list(own))


def _score(
    name: str,
    classifier: Any,
    texts: list[str],
    y: np.ndarray,
    predicted: np.ndarray,
    own: PriorMatrix,
) -> list[str]:
    """Fill a line of the scores, from explanations that are there."""

    def known(*_: Any) -> PriorMatrix:
        return own

    comprehensiveness = make_comprehensiveness_scorer(attribution=known)(classifier, texts)
    sufficiency = -make_neg_sufficiency_scorer(attribution=known)(classifier, texts)
    accuracy = f"{np.mean(predicted == y):.1%}"
    return [name, accuracy, f"{comprehensiveness:.3f}", f"{sufficiency:.3f}"]


def _scores(lines: list[list[str]], y: np.ndarray) -> str:
    header = ["", "accuracy", "comprehensiveness ↑", "sufficiency ↓"]
    note = (
        f"{len(y)} texts, {len(np.unique(y))} classes. Comprehensiveness: what the predicted "
        "class loses when the words that the explanation names are taken away; higher is better. "
        "Sufficiency: what it loses when only they are left; lower is better. Both are averages "
        "over 1, 5, 10, 20 and 50 % of the words."
    )
    return f"{_table(header, lines)}<p><small>{note}</small></p>"


def _pairs(y: np.ndarray, predicted: np.ndarray, before: np.ndarray | None) -> str:
    from matplotlib import pyplot as plt

    from skcap.inspection.plots import ConfusionPairsDisplay

    first, second = (predicted, None) if before is None else (before, predicted)
    pairs = confusion_pairs(y, first, second, top=_TOP)
    if pairs.empty:
        return "<p>No text is mistaken for another class.</p>"
    names = ("this model", "") if before is None else ("baseline", "this model")
    # Narrow, so that a phone does not have to shrink it much.
    _, ax = plt.subplots(figsize=(5.2, 1.2 + 0.36 * len(pairs)), layout="constrained")
    display = ConfusionPairsDisplay(pairs).plot(names=names, ax=ax)
    header = ["class", "class", *names[: len(pairs.columns) - 2]]
    picture = _image(display.figure_, "Confusions of the hardest pairs of classes, as in the table")
    listed = _table(header, pairs.itertuples(index=False))
    note = "Texts of either class that are taken for the other."
    return (
        f"<p><small>{note}</small></p>{picture}<details><summary>Table</summary>{listed}</details>"
    )


def _changes(y: np.ndarray, before: np.ndarray, predicted: np.ndarray) -> str:
    from skcap.inspection.plots import CorrectionsDisplay

    display = CorrectionsDisplay.from_predictions(y, before, predicted)
    picture = _image(display.figure_, "Errors of the baseline, corrected ones and new ones")
    report = class_report(y, before, predicted)
    report = report[report["change"] != 0]
    shown = report.loc[report["change"].abs().nlargest(_TOP).index].sort_values(
        "change", ascending=False, kind="stable"
    )
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
    header = ["class", "texts", "baseline", "this model"]
    header += ["baseline takes it for", "this model takes it for"]
    note = f"The classes whose accuracy differs most: {len(shown)} of {len(report)} that differ."
    return f"{picture}<p><small>{note}</small></p>{_table(header, rows)}"


def _words(own: PriorMatrix, y: np.ndarray, predicted: np.ndarray, prior: PriorMatrix) -> str:
    """List what the model goes by and the prior does not, in texts of which both tell the truth."""
    rows = np.flatnonzero(predicted == y)
    if not len(rows):
        return "<p>No text is right.</p>"
    table = disputed_words(own[rows], prior[rows]).head(_TOP)
    if table.empty:
        return "<p>No word is in two texts that the model gets right.</p>"
    header = ["word", "texts", "model", "prior", "difference"]
    note = (
        f"Words that the model goes by more than the prior would, in the {len(rows)} texts that "
        "it gets right: their mean share of all that is attributed in a text. One that says "
        "nothing about the class is a shortcut that the model has taken from its training texts."
    )
    listed = [
        [word, n_texts, *(f"{share:+.0%}" for share in shares)]
        for word, n_texts, *shares in table.itertuples()
    ]
    return f"<p><small>{note}</small></p>{_table(header, listed)}"


def _partner(label: Any, count: int) -> str:
    return f"{label} ({count})" if count else "none"


def _texts(
    classifier: Any,
    own: PriorMatrix,
    y: np.ndarray,
    predicted: np.ndarray,
    prior: PriorMatrix | None,
    n_texts: int,
) -> str:
    texts, wrong = own.texts.tolist(), predicted != y
    confidence = np.asarray(classifier.predict_proba(texts)).max(axis=1)
    order = np.lexsort((np.where(wrong, -confidence, confidence), ~wrong))[:n_texts]
    note = f"{len(order)} of {len(texts)} texts; {np.count_nonzero(wrong)} are wrong. "
    note += "Coloured is what speaks for the predicted class in the eyes of the model"
    note += ", and below it what the prior says of the true one." if prior is not None else "."
    parts = [f"<p><small>{note}</small></p>", legend()]
    for row in order.tolist():
        words, label = split_words(texts[row]), escape(str(predicted[row]))
        truth = f", in truth {escape(str(y[row]))}" if wrong[row] else ""
        verdict = f"{'✗' if wrong[row] else '✓'} {label}{truth} · {confidence[row]:.0%}"
        parts.append(f"<p><small>{verdict}</small></p>{color_words(words, own[row].scores)}")
        if prior is not None:
            parts.append(f"<small>prior</small>{color_words(words, prior[row].scores)}")
    return "\n".join(parts)
