"""What priors have in common, where a model errs, and what guidance changed.

Pure functions of priors, labels and predictions; those that answer with a table answer with a
DataFrame. :mod:`skcap.plotting` draws them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.words import check_texts, split_words

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "class_report",
    "class_similarity",
    "confusion_pairs",
    "corrected_by_lexical_overlap",
    "correlation_table",
    "disputed_words",
    "embed_texts",
    "errors_by_overlap",
    "keyword_overlap",
    "prior_correlation",
]

_SHARES = 5  # bins of by="share": fifths
_LABEL_WORD = re.compile(r"[^\W_]+")


# ------------------------------------------------------------------------------- priors


def prior_correlation(
    a: PriorMatrix, b: PriorMatrix, *, normalize: str | None = None, per_text: bool = False
) -> float | np.ndarray:
    """Correlate the word scores of two priors of the same texts (Pearson's r).

    Priors that agree closely ("homogenisation") teach a model little more together than alone.

    Parameters
    ----------
    a, b : PriorMatrix of length n_texts
        Words that lack a score in either are left out.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default=None
        Norm of each text's scores before they are correlated. None takes the scores as they are:
        if all words are pooled, texts with large scores then count most, and what part of the
        agreement is between texts and what within them cannot be told. "l2" weighs the texts
        alike, as training does by default.
    per_text : bool, default=False
        Correlate the words within each text, instead of all words of all texts at once.

    Returns
    -------
    float, or ndarray of float64 of shape (n_texts,) if `per_text`
        From -1 to 1. NaN where fewer than two words have both scores, or all of them the same
        one; of the pooled figure a warning tells.

    Raises
    ------
    ValueError
        If the texts differ, or `normalize` is unknown.

    Examples
    --------
    >>> from skcap.analysis import prior_correlation
    >>> from skcap.prior_matrix import PriorMatrix
    >>> texts = ["lost my card", "play jazz"]
    >>> cap = PriorMatrix(texts, [[3, 1, 2], [1, 2]])
    >>> lime = PriorMatrix(texts, [[2, 1, 3], [2, 4]])
    >>> prior_correlation(cap, lime, per_text=True)
    array([0.5, 1. ])
    """
    check_same_texts([a, b], ["a", "b"])
    a, b = a.normalize(normalize), b.normalize(normalize)
    if per_text:
        return np.array([_pearson(x, y) for x, y in zip(a.scores, b.scores, strict=True)])
    r = _pearson(_all_scores(a), _all_scores(b))
    if np.isnan(r):
        warnings.warn(
            "The correlation is undefined, NaN: fewer than two words have a score in both priors, "
            "or all scores of one of them are the same.",
            stacklevel=2,
        )
    return r


def _all_scores(prior: PriorMatrix) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=np.float32), *prior.scores])


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    both = ~(np.isnan(x) | np.isnan(y))
    # Not by the standard deviation: that of equal numbers need not be exactly zero.
    if both.sum() < 2 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
        return float("nan")
    return float(np.corrcoef(x[both].astype(np.float64), y[both].astype(np.float64))[0, 1])


def correlation_table(
    sources: Mapping[str, PriorMatrix], *, normalize: str | None = None
) -> pd.DataFrame:
    """Correlate every prior with every other, over all words.

    Parameters
    ----------
    sources : mapping of str to PriorMatrix, n sources
        Priors of the same texts by name.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default=None
        As for :func:`prior_correlation`.

    Returns
    -------
    pandas.DataFrame, shape (n, n)
        Pearson's r, symmetric, with ones on the diagonal.

    Raises
    ------
    ValueError
        If the texts differ, or `normalize` is unknown.

    Examples
    --------
    >>> from skcap.analysis import correlation_table
    >>> from skcap.prior_matrix import PriorMatrix
    >>> cap = PriorMatrix(["lost my card"], [[3, 1, 2]])
    >>> lime = PriorMatrix(["lost my card"], [[2, 1, 3]])
    >>> correlation_table({"CAP": cap, "LIME": lime})
          CAP  LIME
    CAP   1.0   0.5
    LIME  0.5   1.0
    """
    import pandas as pd

    names = list(sources)
    check_same_texts(list(sources.values()), [str(name) for name in names])
    table = pd.DataFrame(np.eye(len(names)), index=names, columns=names)
    for row, first in enumerate(names):
        for column, second in enumerate(names[:row]):
            r = prior_correlation(sources[first], sources[second], normalize=normalize)
            table.iloc[row, column] = table.iloc[column, row] = r
    return table


def disputed_words(
    explained: PriorMatrix, prior: PriorMatrix, *, min_texts: int = 2
) -> pd.DataFrame:
    """List words by how much more a model decides by them than a prior would.

    A word at the top that says nothing about the classes is a shortcut: it goes with a label by
    accident of the training texts, and the model has taken it for a reason. For that there is
    ``GuidedTextClassifier(guidance="rationale")``.

    Parameters
    ----------
    explained : PriorMatrix of length n_texts
        The model's own attribution: ``clf.explain(X, y)`` for the labels of training texts.
    prior : PriorMatrix of length n_texts
        Scores of the same texts that do not come from the model.
    min_texts : int, default=2
        Words in fewer texts are left out.

    Returns
    -------
    pandas.DataFrame of shape (n_words, 4), indexed by word
        Columns `n_texts`; `explained` and `prior`, the word's mean share of all that is attributed
        in a text that has it, from -1 to 1; and `difference` between these, largest first. Words
        are compared in lower case and without punctuation. Those without a score in either matrix
        do not count.

    Raises
    ------
    ValueError
        If the texts differ, or `min_texts` is below 1.

    Examples
    --------
    >>> from skcap.analysis import disputed_words
    >>> from skcap.prior_matrix import PriorMatrix
    >>> texts = ["Ann: lost my card", "Ann: card is gone", "Bob: play jazz", "Bob: jazz, please"]
    >>> explained = PriorMatrix(texts, [[3, 0, 0, 1], [3, 1, 0, 0], [3, 0, 1], [3, 1, 0]])
    >>> prior = PriorMatrix(texts, [[0, 1, 0, 3], [0, 3, 0, 1], [0, 1, 3], [0, 4, 0]])
    >>> disputed_words(explained, prior)
          n_texts  explained  prior  difference
    word
    ann         2       0.75  0.000       0.750
    bob         2       0.75  0.000       0.750
    card        2       0.25  0.750      -0.500
    jazz        2       0.25  0.875      -0.625
    """
    import pandas as pd

    from skcap.adversarial.word_forms import bare

    if min_texts < 1:
        raise ValueError(f"min_texts must be at least 1, got {min_texts!r}.")
    check_same_texts([explained, prior], ["explained", "prior"])
    shares = pd.DataFrame(
        {
            "word": [bare(word) for text in explained.texts for word in split_words(text)],
            "text": np.repeat(np.arange(len(explained)), explained.n_words),
            "explained": _all_scores(explained.normalize("sum")),
            "prior": _all_scores(prior.normalize("sum")),
        }
    ).dropna()
    words = shares[shares["word"] != ""].groupby("word")
    table = words["text"].nunique().rename("n_texts").to_frame()
    table[["explained", "prior"]] = words[["explained", "prior"]].mean()
    table["difference"] = table["explained"] - table["prior"]
    table = table[table["n_texts"] >= min_texts]
    return table.sort_values("difference", ascending=False, kind="stable")


# ------------------------------------------------------------------------------ classes


def keyword_overlap(class_keywords: Mapping[Hashable, Mapping[str, float]]) -> pd.DataFrame:
    """Tell how much of their keywords' weight two classes share, for every two.

    Parameters
    ----------
    class_keywords : mapping of label to {word: weight}, n classes
        Weights of at least 0. They are divided by their sum in each class.

    Returns
    -------
    pandas.DataFrame, shape (n, n)
        Sum over the words of the smaller of both weights: 0 without a common word, 1 for equal
        keywords with equal weights. Symmetric, with ones on the diagonal. A class without keywords
        (or with zeros only) overlaps with no other.

    Raises
    ------
    ValueError
        If a weight is negative or not finite.

    Examples
    --------
    >>> from skcap.analysis import keyword_overlap
    >>> keywords = {"lost": {"card": 1, "lost": 3}, "fee": {"card": 2, "fee": 2}, "pin": {"pin": 1}}
    >>> keyword_overlap(keywords)
          lost   fee  pin
    lost  1.00  0.25  0.0
    fee   0.25  1.00  0.0
    pin   0.00  0.00  1.0
    """
    import pandas as pd

    from skcap.adversarial import class_overlap

    for label, weights in class_keywords.items():
        for word, weight in weights.items():
            if not 0 <= weight < np.inf:
                raise ValueError(
                    f"class_keywords[{label!r}][{word!r}] must be a finite weight of at least 0, "
                    f"got {weight!r}. Leave words out that speak against the class."
                )
    labels = list(class_keywords)
    overlap = class_overlap(class_keywords)[1]
    return pd.DataFrame(overlap, index=labels, columns=labels)


def class_similarity(embeddings: ArrayLike, y: ArrayLike) -> pd.DataFrame:
    """Compare classes by the direction of their texts' mean embedding.

    Parameters
    ----------
    embeddings : array-like of float, shape (n_texts, dim)
        Such as :func:`embed_texts` gives.
    y : array-like of str or int, shape (n_texts,)

    Returns
    -------
    pandas.DataFrame, shape (n_classes, n_classes)
        Cosine similarity, labels sorted. A class whose mean is zero has similarity 0 to all.

    Raises
    ------
    ValueError
        If `embeddings` is not a finite matrix with one row a label.

    Examples
    --------
    >>> from skcap.analysis import class_similarity
    >>> class_similarity([[1, 0], [3, 0], [1, 1], [0, 5]], ["a", "a", "b", "c"]).round(2)
          a     b     c
    a  1.00  0.71  0.00
    b  0.71  1.00  0.71
    c  0.00  0.71  1.00
    """
    import pandas as pd
    from sklearn.metrics.pairwise import cosine_similarity
    from sklearn.utils import check_array, check_consistent_length
    from sklearn.utils.validation import column_or_1d

    matrix = check_array(embeddings, dtype=np.float64, input_name="embeddings")
    labels = column_or_1d(y)
    check_consistent_length(matrix, labels)
    classes, codes = np.unique(labels, return_inverse=True)
    means = np.array([matrix[codes == code].mean(axis=0) for code in range(len(classes))])
    return pd.DataFrame(cosine_similarity(means), index=classes, columns=classes)


def embed_texts(
    texts: Any, model: Any = "all-minilm-l6-v2", *, batch_size: int = 64, device: str = "cpu"
) -> np.ndarray:
    """Embed texts: the mean of an encoder's last states over the tokens of each text.

    Parameters
    ----------
    texts : list, tuple, 1-D array, Series of str, or PriorMatrix, length n_texts
        What exceeds the length that the encoder can take is cut, with a warning.
    model : str or fitted GuidedTextClassifier, default="all-minilm-l6-v2"
        Alias, folder or hub id of a pretrained encoder; or a classifier, whose own states before
        its head are taken, pooled as it pools, on its own device.
    batch_size : int, default=64
    device : str, default="cpu"
        Where a pretrained encoder runs.

    Returns
    -------
    ndarray of float32, shape (n_texts, dim)

    Raises
    ------
    TypeError
        If `model` is neither a name nor a fitted GuidedTextClassifier.
    skcap.models.ModelLoadError
        If the model cannot be loaded.

    Examples
    --------
    >>> from skcap.analysis import embed_texts
    >>> embed_texts(["play some jazz", "is it raining?"]).shape  # doctest: +SKIP
    (2, 384)
    """
    import torch

    from skcap.encoder import PadCollate, TextDataset, encode_texts

    module, tokenizer, max_length, device = _encoder(model, device)
    encoded = encode_texts(tokenizer, check_texts(texts, "texts"), max_length)
    cut = sum(text.truncated.any() for text in encoded)
    if cut:
        warnings.warn(
            f"{cut} of {len(encoded)} texts are longer than {max_length} tokens and are cut.",
            stacklevel=2,
        )
    # Texts of like length share a batch, so that little is spent on padding.
    order = np.argsort([text.input_ids.size for text in encoded], kind="stable")
    rows, collate = TextDataset(encoded), PadCollate(tokenizer.pad_token_id or 0)
    pooled: list[torch.Tensor] = []
    hook = module.head.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0].cpu()))
    module.eval()
    try:
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                batch, _ = collate([rows[row] for row in order[start : start + batch_size]])
                module(batch["input_ids"].to(device), batch["attention_mask"].to(device))
    finally:
        hook.remove()
    embeddings = np.empty((len(order), module.head.in_features), dtype=np.float32)
    if pooled:
        embeddings[order] = torch.cat(pooled).float().numpy()
    return embeddings


def _encoder(model: Any, device: str) -> tuple[Any, Any, int, str]:
    """Give the module, its tokenizer, the most tokens of a text, and the device."""
    from skcap.encoder import TextEncoderClassifier, load_tokenizer
    from skcap.models import explain_load_errors, resolve_model

    if hasattr(model, "net_") and hasattr(model, "tokenizer_"):
        return model.net_.module_, model.tokenizer_, model.max_length_, model.net_.device
    if not isinstance(model, str):
        raise TypeError(
            "model must be the name of an encoder or a fitted GuidedTextClassifier, got "
            f"{type(model).__name__}. For other models embed the texts yourself."
        )
    with explain_load_errors(model):
        folder = resolve_model(model)
        tokenizer = load_tokenizer(folder)
        module = TextEncoderClassifier(folder, n_classes=1).to(device)
    max_length = int(min(module.max_tokens, tokenizer.model_max_length))
    return module, tokenizer, max_length, device


# ---------------------------------------------------------------------- errors, before and after


def errors_by_overlap(y_true: ArrayLike, y_pred: ArrayLike, overlap: pd.DataFrame) -> pd.DataFrame:
    """Set a model's errors beside the overlap of the true and the predicted class.

    Parameters
    ----------
    y_true, y_pred : array-like of str or int, shape (n_texts,)
    overlap : pandas.DataFrame, shape (n_classes, n_classes)
        As :func:`keyword_overlap` or :func:`class_similarity` gives it.

    Returns
    -------
    pandas.DataFrame, shape (n_classes * (n_classes - 1), 4)
        One row for every ordered pair of classes, those without an error included, since only
        they tell how common an overlap is: columns ``true``, ``predicted``, ``overlap`` and
        ``errors``, the number of texts. Most errors first.

    Raises
    ------
    ValueError
        If the lengths differ, or `overlap` is not square or lacks a class.

    Examples
    --------
    >>> from skcap.analysis import errors_by_overlap, keyword_overlap
    >>> overlap = keyword_overlap({"fee": {"card": 1, "fee": 3}, "lost": {"card": 1}})
    >>> errors_by_overlap(["fee", "fee", "lost"], ["fee", "lost", "lost"], overlap)
       true predicted  overlap  errors
    0   fee      lost     0.25       1
    1  lost       fee     0.25       0
    """
    import pandas as pd

    labels = overlap.index.tolist()
    if labels != overlap.columns.tolist():
        raise ValueError("overlap must have the same labels in rows and columns, in one order.")
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
    """List the pairs of classes that a model, or two, take for one another most often.

    Parameters
    ----------
    y_true, pred_before : array-like of str or int, shape (n_texts,)
    pred_after : array-like of str or int, shape (n_texts,), default=None
        Predictions of another model for the same texts.
    top : int or None, default=None
        Number of pairs; None gives all that are confused at least once.

    Returns
    -------
    pandas.DataFrame
        Columns ``first``, ``second``, ``before`` and, if given, ``after``: texts of either class
        that are taken for the other. Ordered by the confusions of both models together: the pairs
        that are hardest for one model alone look easier with any other, guided or not.

    Raises
    ------
    ValueError
        If the lengths differ, or `top` is less than 1.

    Examples
    --------
    >>> from skcap.analysis import confusion_pairs
    >>> confusion_pairs(["a", "a", "b", "c"], ["b", "b", "a", "b"], ["a", "b", "b", "b"])
      first second  before  after
    0     a      b       3      1
    1     b      c       1      1
    """
    import pandas as pd

    if top is not None and top < 1:
        raise ValueError(f"top must be None or at least 1, got {top}.")
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
    """Count what a second model corrects, by how alike the confused labels are in words.

    Parameters
    ----------
    y_true, pred_before, pred_after : array-like of str or int, shape (n_texts,)
    label_names : mapping of label to str, default=None
        Names whose words are compared, such as "card arrival"; None takes the labels. Words are
        runs of letters and digits, in lower case, each counted once.
    by : {"words", "share"}, default="words"
        Levels of overlap: the number of words that the names of the true and of the wrongly
        predicted label share, or their share of all words in both names, in fifths.

    Returns
    -------
    pandas.DataFrame
        One row a level, from none to the highest that occurs (all for "share"). Columns
        ``wrong_before``, of them ``corrected``, and ``newly_wrong``: texts that only the second
        model errs on, by the overlap of its own error. Judge the corrected with the newly wrong:
        any other model, guided or not, corrects some and errs anew on others.

    Raises
    ------
    ValueError
        If the lengths differ, `by` is unknown, or `label_names` lacks a label.

    Examples
    --------
    >>> from skcap.analysis import corrected_by_lexical_overlap
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
    """Report class by class what a second model, such as a guided one, untangled.

    Parameters
    ----------
    y_true, pred_before, pred_after : array-like of str or int, shape (n_texts,)

    Returns
    -------
    pandas.DataFrame, one row for each class of `y_true`
        Index: label. Columns: ``n_texts``; ``accuracy_before``, ``accuracy_after`` and ``change``,
        of the class's texts; ``confused_before`` and ``confused_after``, the label that they are
        most often mistaken for (None if never; the first of several in order), and
        ``n_confused_before`` and ``n_confused_after``, how often. The most improved class first.

    Raises
    ------
    ValueError
        If the lengths differ.

    Examples
    --------
    >>> from skcap.analysis import class_report
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


# --------------------------------------------------------------------------------- shared


def _both(pred_before: ArrayLike, pred_after: ArrayLike) -> dict[str, ArrayLike]:
    return {"before": pred_before, "after": pred_after}


def _same_length(**labels: ArrayLike) -> list[np.ndarray]:
    from sklearn.utils.validation import column_or_1d

    columns = [column_or_1d(values) for values in labels.values()]
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
    words = {}
    for label in labels:
        if names is not None and label not in names:
            raise ValueError(f"label_names has no name for the label {label!r}.")
        name = str(label) if names is None else names[label]
        words[label] = set(_LABEL_WORD.findall(name.lower()))
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
