"""A model's errors, and what a second model changed about them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.utils.labels import label_column, value_of
from skcap.utils.validation import check_number, integer
from skcap.utils.words import is_mark

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["class_report", "confusion_pairs", "corrected_by_lexical_overlap", "errors_by_overlap"]

_SHARES = 5  # bins of by="share": fifths


def errors_by_overlap(y_true: ArrayLike, y_pred: ArrayLike, overlap: pd.DataFrame) -> pd.DataFrame:
    """Count a model's errors for each pair of classes, next to the overlap of the two classes.

    Parameters
    ----------
    y_true, y_pred : array-like of str or int, shape (n_texts,)
    overlap : pandas.DataFrame, shape (n_classes, n_classes)
        As :func:`keyword_overlap` or :func:`class_similarity` returns it.

    Returns
    -------
    pandas.DataFrame, shape (n_classes * (n_classes - 1), 4)
        One row for every ordered pair of classes, including those without an error, since they are
        needed to see how common an overlap is: columns ``true``, ``predicted``, ``overlap`` and
        ``errors``, the number of texts. Most errors first.

    Raises
    ------
    ValueError
        If the lengths differ, or `overlap` is not square or lacks a class.

    Examples
    --------
    >>> from skcap.inspection import errors_by_overlap, keyword_overlap
    >>> overlap = keyword_overlap({"fee": {"card": 1, "fee": 3}, "lost": {"card": 1}})
    >>> errors_by_overlap(["fee", "fee", "lost"], ["fee", "lost", "lost"], overlap)
       true predicted  overlap  errors
    0   fee      lost     0.25       1
    1  lost       fee     0.25       0
    """
    import pandas as pd

    labels = overlap.index.tolist()
    if labels != overlap.columns.tolist() or len(set(labels)) < len(labels):
        raise ValueError(
            "overlap must have the same labels in rows and columns, in the same order, each once."
        )
    truth, predicted = _same_length(y_true=y_true, y_pred=y_pred)
    errors = _confusion(truth, predicted, labels, "overlap")
    row, column = np.nonzero(~np.eye(len(labels), dtype=bool))
    table = pd.DataFrame(
        {
            "true": [labels[i] for i in row],
            "predicted": [labels[i] for i in column],
            "overlap": overlap.to_numpy(dtype=np.float64)[row, column],
            "errors": errors[row, column],
        }
    )
    order = np.lexsort((-table["overlap"], -table["errors"]))
    return table.iloc[order].reset_index(drop=True)


def confusion_pairs(
    y_true: ArrayLike,
    pred_before: ArrayLike,
    pred_after: ArrayLike | None = None,
    *,
    top: int | None = None,
) -> pd.DataFrame:
    """List the pairs of classes that one or two models confuse most often.

    Parameters
    ----------
    y_true, pred_before : array-like of str or int, shape (n_texts,)
    pred_after : array-like of str or int, shape (n_texts,), default=None
        Predictions of another model for the same texts.
    top : int or None, default=None
        Number of pairs; None lists all that are confused at least once.

    Returns
    -------
    pandas.DataFrame
        Columns ``first``, ``second``, ``before`` and, if given, ``after``: number of texts of
        either class that are mistaken for the other. Sorted by the confusions of both models
        together, since the pairs that are hardest for one model look easier with any other one.

    Raises
    ------
    ValueError
        If the lengths differ, or `top` is neither None nor an integer from 1.

    Examples
    --------
    >>> from skcap.inspection import confusion_pairs
    >>> confusion_pairs(["a", "a", "b", "c"], ["b", "b", "a", "b"], ["a", "b", "b", "b"])
      first second  before  after
    0     a      b       3      1
    1     b      c       1      1
    """
    import pandas as pd

    if top is not None:
        check_number("top", top, integer(1))
    given = {"before": pred_before} if pred_after is None else _both(pred_before, pred_after)
    truth, *predictions = _same_length(y_true=y_true, **given)
    classes = _classes(truth, *predictions)
    row, column = np.triu_indices(len(classes), k=1)
    counts = {}
    for name, predicted in zip(given, predictions, strict=True):
        confusion = _confusion(truth, predicted, classes, "the labels")
        counts[name] = confusion[row, column] + confusion[column, row]
    total = np.sum(list(counts.values()), axis=0)
    order = np.argsort(-total, kind="stable")[: np.count_nonzero(total)][:top]
    pairs = {
        "first": [classes[i] for i in row[order]],
        "second": [classes[i] for i in column[order]],
    }
    return pd.DataFrame({**pairs, **{name: count[order] for name, count in counts.items()}})


def corrected_by_lexical_overlap(
    y_true: ArrayLike,
    pred_before: ArrayLike,
    pred_after: ArrayLike,
    label_names: Mapping[Any, str] | None = None,
    *,
    by: str = "words",
) -> pd.DataFrame:
    """Count what a second model corrects, by how many words the confused labels share.

    Parameters
    ----------
    y_true, pred_before, pred_after : array-like of str or int, shape (n_texts,)
    label_names : mapping of label to str, default=None
        Names whose words are compared, such as "card arrival"; None takes the labels themselves.
        Words are runs of letters, with their accents and vowel signs, and digits, in lower case,
        each counted once.
    by : {"words", "share"}, default="words"
        Levels of overlap: the number of words that the names of the true and of the wrongly
        predicted label share, or their share of all words in both names, in fifths.

    Returns
    -------
    pandas.DataFrame
        One row per level, from none to the highest that occurs (all levels for "share"). Columns
        ``wrong_before``; ``corrected``, how many of these the second model gets right; and
        ``newly_wrong``, the texts that only the second model gets wrong, by the overlap of its own
        error. Compare the corrected with the newly wrong: any other model corrects some errors and
        makes new ones.

    Raises
    ------
    TypeError
        If `label_names` is no mapping, or holds anything else than strings.
    ValueError
        If the lengths differ, `by` is unknown, or `label_names` lacks a label.

    Examples
    --------
    >>> from skcap.inspection import corrected_by_lexical_overlap
    >>> corrected_by_lexical_overlap(
    ...     ["card_lost", "card_lost", "top_up", "top_up"],
    ...     ["card_fee", "card_fee", "top_up", "card_fee"],
    ...     ["card_lost", "card_fee", "card_fee", "top_up"],
    ... )
                  wrong_before  corrected  newly_wrong
    shared_words
    0                        1          1            1
    1                        2          1            0
    """
    import pandas as pd

    if by not in ("words", "share"):
        raise ValueError(f"by must be 'words' or 'share', got {by!r}.")
    truth, before, after = _same_length(y_true=y_true, **_both(pred_before, pred_after))
    words = _label_words(_classes(truth, before, after), label_names)
    wrong_before, wrong_after = before != truth, after != truth

    def levels(wrong: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        pairs = zip(truth[wrong].tolist(), predicted[wrong].tolist(), strict=True)
        return np.array([_level(words[a], words[b], by) for a, b in pairs], dtype=np.int64)

    cases = {
        "wrong_before": levels(wrong_before, before),
        "corrected": levels(wrong_before & ~wrong_after, before),
        "newly_wrong": levels(~wrong_before & wrong_after, after),
    }
    highest = max(level.max(initial=0) for level in cases.values()) if by == "words" else _SHARES
    index = pd.RangeIndex(highest + 1) if by == "words" else pd.Index(_share_names())
    counts = {name: np.bincount(level, minlength=highest + 1) for name, level in cases.items()}
    return pd.DataFrame(
        counts, index=index.rename(f"shared_{'words' if by == 'words' else 'share'}")
    )


def class_report(y_true: ArrayLike, pred_before: ArrayLike, pred_after: ArrayLike) -> pd.DataFrame:
    """Compare two models class by class: accuracy, and what each class is mistaken for.

    Parameters
    ----------
    y_true, pred_before, pred_after : array-like of str or int, shape (n_texts,)

    Returns
    -------
    pandas.DataFrame, one row for each class of `y_true`
        Index: label. Columns: ``n_texts``; ``accuracy_before``, ``accuracy_after`` and ``change``,
        on the class's texts; ``confused_before`` and ``confused_after``, the label that they are
        most often mistaken for (None if never; of several, the first in order), and
        ``n_confused_before`` and ``n_confused_after``, how often. The most improved class comes
        first.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from skcap.inspection import class_report
    >>> report = class_report(["a", "a", "b", "b"], ["b", "b", "b", "b"], ["a", "b", "b", "b"])
    >>> report[["accuracy_before", "accuracy_after", "confused_after"]]
       accuracy_before  accuracy_after confused_after
    a              0.0             0.5              b
    b              1.0             1.0           None
    """
    import pandas as pd

    truth, before, after = _same_length(y_true=y_true, **_both(pred_before, pred_after))
    classes = _classes(truth, before, after)
    columns: dict[str, Any] = {}
    for name, predicted in (("before", before), ("after", after)):
        confusion = _confusion(truth, predicted, classes, "the labels")
        n_texts = confusion.sum(axis=1)
        right = np.diag(confusion).copy()
        np.fill_diagonal(confusion, 0)
        most, partner = confusion.max(axis=1), confusion.argmax(axis=1)
        columns["n_texts"] = n_texts
        columns[f"accuracy_{name}"] = right / np.maximum(n_texts, 1)
        names = [classes[p] if count else None for p, count in zip(partner, most, strict=True)]
        # object: pandas would make NaN of None, and floats of ints
        columns[f"confused_{name}"] = pd.Series(names, index=classes, dtype=object)
        columns[f"n_confused_{name}"] = most
    table = pd.DataFrame(columns, index=classes)
    table.insert(3, "change", table["accuracy_after"] - table["accuracy_before"])
    table = table[table["n_texts"] > 0]
    order = ["n_texts", "accuracy_before", "accuracy_after", "change"]
    order += [
        f"{kind}_{name}" for name in ("before", "after") for kind in ("confused", "n_confused")
    ]
    return table[order].sort_values("change", ascending=False, kind="stable")


def _both(pred_before: ArrayLike, pred_after: ArrayLike) -> dict[str, ArrayLike]:
    return {"before": pred_before, "after": pred_after}


def _same_length(**labels: ArrayLike) -> list[np.ndarray]:
    columns = [label_column(name, values) for name, values in labels.items()]
    lengths = {name: len(column) for name, column in zip(labels, columns, strict=True)}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"Labels and predictions must go together text by text; got {listed}.")
    return columns


def _classes(*labels: np.ndarray) -> list[Any]:
    from sklearn.utils.multiclass import unique_labels

    return unique_labels(*labels).tolist()


def _confusion(
    truth: np.ndarray, predicted: np.ndarray, labels: list[Any], where: str
) -> np.ndarray:
    """Count, shape (n_labels, n_labels): true labels in rows, predicted ones in columns."""
    position = {label: code for code, label in enumerate(labels)}
    unknown = sorted({repr(x) for x in [*truth.tolist(), *predicted.tolist()] if x not in position})
    if unknown:
        raise ValueError(
            f"{len(unknown)} labels of y_true and y_pred are not in {where}, such as {unknown[0]}."
        )
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    rows = [position[label] for label in truth.tolist()]
    np.add.at(counts, (rows, [position[label] for label in predicted.tolist()]), 1)
    return counts


def _label_words(labels: list[Any], names: Mapping[Any, str] | None) -> dict[Any, set[str]]:
    if names is not None:
        if not hasattr(names, "items"):  # which a Series has, too
            raise TypeError(
                f"label_names must map labels to names, or be None, got {type(names).__name__}."
            )
        names = {value_of(label): name for label, name in names.items()}
    words = {}
    for label in labels:
        if names is not None and label not in names:
            raise ValueError(f"label_names has no name for the label {label!r}.")
        name = str(label) if names is None else names[label]
        if not isinstance(name, str):
            raise TypeError(f"label_names must hold strings, got {name!r:.60} for {label!r}.")
        letters = unicodedata.normalize("NFC", name.lower())
        kept = [char if char.isalnum() or is_mark(char) else " " for char in letters]
        words[label] = set("".join(kept).split())
    return words


def _level(first: set[str], second: set[str], by: str) -> int:
    shared = len(first & second)
    if by == "words" or not shared:
        return shared
    # In integers: 0.2 * 5 must not come out above 1.
    return -(-shared * _SHARES // len(first | second))


def _share_names() -> list[str]:
    step = 100 // _SHARES
    return ["0 %", *(f"{low + 1}-{low + step} %" for low in range(0, 100, step))]
