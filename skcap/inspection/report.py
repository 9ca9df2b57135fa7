"""One HTML page about one model: its scores, its errors, and the words that it relies on."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.inspection.report_sections import (
    Judged,
    changes_section,
    judge,
    pairs_section,
    scores_section,
    texts_section,
    words_section,
)
from skcap.metrics.explanations import explained_step
from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.utils.files import check_file_target, write_text
from skcap.utils.html import page
from skcap.utils.labels import check_labels
from skcap.utils.validation import check_number, integer
from skcap.utils.words import check_texts, split_words

__all__ = ["write_report"]


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
    """Write one HTML page about a model: its scores, its confusions, and the words it relies on.

    The page needs no network and no scripts, and is readable on a phone. Everything that comes from
    texts and labels is escaped.

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
        sufficiency; if that takes too long, a few hundred texts are enough for a fair estimate.
    y : array-like of str or int, shape (n,)
    prior : PriorMatrix of length n, default=None
        Scores of the same texts, shown below the model's own. Words that the model relies on and
        the prior does not are listed, since shortcuts are among them.
    baseline : fitted classifier, default=None
        Another model to compare with, such as an unguided one: adds its scores, its confusions
        and the classes for which the two differ most.
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
        If a classifier has no ``predict_proba``, `prior` is no PriorMatrix, or `title` no string.
    ValueError
        If `X`, `y`, `prior` and the models do not fit together, earlier steps of a pipeline change
        the number of words that `prior` scores, or `n_texts` is no integer from 0.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.naive_bayes import MultinomialNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcap.inspection import write_report
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

    import_pyplot()  # both raise before the work, not after it
    check_file_target(path)
    texts = check_texts(X)
    labels = check_labels(texts, y)
    check_number("n_texts", n_texts, integer(0))
    if not isinstance(title, str):
        raise TypeError(f"title must be a string, got {title!r:.60}.")
    if prior is not None:
        prior = _check_prior(prior, texts, explained_step(classifier, texts)[1])
    for estimator in (classifier, baseline):
        _check_labels_of(estimator, texts, labels)
    model = judge("this model", classifier, texts, labels)
    other = None if baseline is None else judge("baseline", baseline, texts, labels)
    sections = _sections(model, other, prior, n_texts)
    document = page(title, *sections, ("Model", f"<pre>{escape(repr(classifier))}</pre>"))
    target = Path(path)
    write_text(target, document)
    return target


def _check_labels_of(estimator: Any, texts: list[str], labels: np.ndarray) -> None:
    """Refuse labels of another kind than the model's before its texts are explained."""
    if estimator is None:
        return
    (predicted,) = np.asarray(estimator.predict(texts[:1])).tolist()
    if isinstance(predicted, str) != isinstance(labels[0], str):
        raise ValueError(
            f"y holds labels such as {labels.tolist()[0]!r}, but {type(estimator).__name__} was "
            f"trained on labels such as {predicted!r}. Pass labels of the same type."
        )


def _check_prior(prior: PriorMatrix, texts: list[str], seen: list[str]) -> PriorMatrix:
    """Check a prior, and give its scores to the texts that earlier steps of a pipeline make."""
    check_same_texts([PriorMatrix(texts), prior], ["X", "prior"])
    if not prior.has_scores:
        raise ValueError(
            "prior has no scores, so it cannot be compared with what the model relies on. "
            "Pass what a prior's attribute(X, y) gives."
        )
    if [len(split_words(text)) for text in seen] != prior.n_words.tolist():
        raise ValueError(
            "prior has one score for each word of X, but earlier steps of the pipeline add or "
            "remove words before they are explained. Leave prior out."
        )
    return PriorMatrix(seen, prior.scores)


def _sections(
    model: Judged, other: Judged | None, prior: PriorMatrix | None, n_texts: int
) -> list[tuple[str, str]]:
    sections = [
        ("Scores", scores_section(model, other)),
        ("Hardest pairs of classes", pairs_section(model, other)),
    ]
    if other is not None:
        sections.append(("Against the baseline", changes_section(model, other)))
    if prior is not None:
        sections.append(("Words", words_section(model, prior)))
    return [*sections, ("Texts", texts_section(model, prior, n_texts))]
