"""Which words stand for a class, how much two classes share them, which class to attack with."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from skcap.adversarial.lexicon import NUMBER_WORDS
from skcap.adversarial.word_forms import is_function_word
from skcap.prior_matrix import PriorMatrix, PriorRecord
from skcap.utils.labels import check_labels
from skcap.utils.norms import NORMS
from skcap.utils.seeds import content_seed
from skcap.utils.validation import check_choice, check_number, integer
from skcap.utils.words import bare

__all__ = ["check_weights", "class_keywords", "class_overlap", "hard_targets"]

_WORDLIKE = re.compile(r"[^\W\d_]+([-'][^\W\d_]+)*")  # letters, hyphens and apostrophes


def class_keywords(
    prior: PriorMatrix,
    y: Any,
    *,
    n_keywords: int = 20,
    normalize: str | None = "max",
    stop_words: str | Iterable[str] | None = "english",
) -> dict[Any, dict[str, float]]:
    """Aggregate the word scores of each class into a list of keywords.

    A keyword's weight is its *mean score* over the texts of the class (0 where it is not in the
    text or its score is negative, the highest score where it repeats), times its *specificity*:
    1 minus the entropy of its mean scores over the classes, divided by the largest possible
    entropy. A word that speaks for one class alone has the specificity 1. One that speaks for all
    classes alike has 0 and is left out. One that two or three similar classes share keeps most of
    its weight: these are the words by which classes are confused.

    Parameters
    ----------
    prior : PriorMatrix, n_texts
        With scores, preferably those of CAP. Words are compared in lower case, without punctuation
        and possessive ending.
    y : array-like, shape (n_texts,)
        The class of each text.
    n_keywords : int, default=20
        Largest number of keywords per class.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default="max"
        How each text's scores are normalised before they are averaged, so that texts with large
        scores do not dominate.
    stop_words : "english", iterable of str, or None, default="english"
        Words that are never keywords. "english" is a list of function words; with a few texts per
        class, some of them look specific by chance, which no statistic can prevent. Single
        letters, words with characters other than letters, hyphens and apostrophes, and (unless
        None) spelt-out numbers are left out as well.

    Returns
    -------
    dict of label to dict of word to float
        Classes in sorted order, words by decreasing weight. For a class without keywords there is
        a warning.

    Raises
    ------
    TypeError
        If `prior` is no PriorMatrix.
    ValueError
        If `prior` has no scores, `y` has another length, or a parameter is out of range.

    Examples
    --------
    >>> from skcap.adversarial import class_keywords
    >>> from skcap.prior_matrix import PriorMatrix
    >>> prior = PriorMatrix(
    ...     ["Cancel my alarm!", "set an alarm"], [[1.0, 0.25, 0.5], [1.0, 0.25, 0.5]]
    ... )
    >>> class_keywords(prior, ["remove", "set"])
    {'remove': {'cancel': 1.0}, 'set': {'set': 1.0}}
    """
    if not isinstance(prior, PriorMatrix):
        raise TypeError(
            f"prior must be a PriorMatrix, got {type(prior).__name__}. Make one with "
            "CAPPriorTransformer().fit_transform(X, y)."
        )
    if not prior.has_scores:
        raise ValueError(
            "prior has no scores. `transform` returns none; use fit_transform(X, y) or "
            "attribute(X, y)."
        )
    check_number("n_keywords", n_keywords, integer(1))
    check_choice("normalize", normalize, NORMS)
    classes, codes = np.unique(check_labels(prior.texts.tolist(), y), return_inverse=True)
    is_stopped = _stop_rule(stop_words)
    means: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(classes)))
    n_texts = np.bincount(codes, minlength=len(classes))
    for record, code in zip(prior.normalize(normalize), codes, strict=True):
        for word, score in _word_scores(record).items():
            if _is_wordlike(word) and not is_stopped(word):
                means[word][code] += score / n_texts[code]
    weights = {word: mean * _specificity(mean) for word, mean in means.items()}
    keywords = {
        label: _strongest({word: float(row[code]) for word, row in weights.items()}, n_keywords)
        for code, label in enumerate(classes.tolist())
    }
    if empty := [label for label, words in keywords.items() if not words]:
        warnings.warn(
            f"{len(empty)} of {len(classes)} classes have no keywords, such as {empty[0]!r}: only "
            "function words speak for them. Their texts cannot be attacked by replacement, and "
            "they cannot be targets.",
            UserWarning,
            stacklevel=2,
        )
    return keywords


def class_overlap(
    keywords: Mapping[Any, Mapping[str, float]],
) -> tuple[np.ndarray, np.ndarray]:
    """Measure how much the keywords of each pair of classes overlap: the pair's difficulty.

    The weights of a class are scaled to sum to 1; the overlap is the sum over all words of the
    smaller of the two weights (1 minus the total variation distance of the two distributions).

    Parameters
    ----------
    keywords : mapping of label to mapping of word to float
        As :func:`class_keywords` returns it.

    Returns
    -------
    classes : ndarray, shape (n_classes,)
        In the order of `keywords`.
    matrix : ndarray of float64, shape (n_classes, n_classes)
        Symmetric, with values from 0 to 1 and ones on the diagonal. A class without keywords
        overlaps with no other.

    Raises
    ------
    TypeError
        If `keywords` is no mapping of mappings.
    ValueError
        If a weight is negative or not finite.

    Examples
    --------
    >>> from skcap.adversarial import class_overlap
    >>> class_overlap({"a": {"card": 3.0, "lost": 1.0}, "b": {"card": 1.0, "new": 1.0}})[1]
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    check_weights("keywords", keywords)
    columns = {word: i for i, word in enumerate(sorted(set().union(*keywords.values())))}
    shares = np.zeros((len(keywords), len(columns)))
    for row, words in zip(shares, keywords.values(), strict=True):
        row[[columns[word] for word in words]] = list(words.values())
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    matrix = np.array([np.minimum(row, shares).sum(axis=1) for row in shares])
    matrix = matrix.reshape(len(keywords), len(keywords))  # of no classes, too
    np.fill_diagonal(matrix, 1.0)
    return _label_array(keywords), matrix


def hard_targets(
    overlap: tuple[np.ndarray, np.ndarray],
    n_targets: int,
    *,
    how: str = "hardest",
    random_state: int = 0,
) -> dict[Any, list[Any]]:
    """Choose, for each class, the classes whose keywords are to mislead the classifier.

    Parameters
    ----------
    overlap : (classes, matrix)
        As :func:`class_overlap` returns it.
    n_targets : int
        Targets per class. The paper has 1 for HWU64, 2 for Banking77 and 3 for CLINC150.
    how : {"hardest", "proportional", "uniform"}, default="hardest"
        The classes with the largest overlap; a draw with probabilities proportional to the
        overlap; or a draw with equal probabilities. (The paper measures the overlap and samples at
        random, without saying how the one enters the other.) If too few classes overlap at all, or
        some overlap equally, chance decides in all three.
    random_state : int, default=0
        Seeds the draws, together with each class's label.

    Returns
    -------
    dict of label to list of labels, length n_targets each
        Never the class itself; for "hardest", by decreasing overlap.

    Raises
    ------
    TypeError
        If `overlap` is no pair.
    ValueError
        If there are too few classes, or a parameter is out of range.

    Examples
    --------
    >>> from skcap.adversarial import class_overlap, hard_targets
    >>> overlap = class_overlap({"a": {"card": 1.0}, "b": {"card": 1.0}, "c": {"jazz": 1.0}})
    >>> hard_targets(overlap, 1)["a"]
    ['b']
    """
    if not isinstance(overlap, tuple | list) or len(overlap) != 2:
        raise TypeError(
            "overlap must be the pair (classes, matrix) that class_overlap(keywords) returns, got "
            f"{type(overlap).__name__}."
        )
    classes, matrix = overlap
    check_choice("how", how, ("hardest", "proportional", "uniform"))
    check_number("random_state", random_state, integer(0))
    check_number("n_targets", n_targets, integer(1))
    if n_targets >= len(classes):
        raise ValueError(
            f"n_targets must be less than the number of classes ({len(classes)}), got {n_targets}."
        )
    labels = classes.tolist()
    targets = {}
    for row, label in enumerate(labels):
        rng = np.random.default_rng(content_seed(random_state, "targets", str(label)))
        # The order of independent exponential variables with rates w is that of draws without
        # replacement in proportion to w; a rate of 0 comes last.
        arrivals = rng.exponential(size=len(labels))
        others = [other for other in range(len(labels)) if other != row]
        if how == "hardest":
            others.sort(key=lambda o: (-matrix[row, o], arrivals[o]))
        elif how == "proportional":
            rates = matrix[row]
            others.sort(key=lambda o: (rates[o] <= 0, arrivals[o] / (rates[o] or 1.0)))
        else:
            others.sort(key=lambda o: arrivals[o])
        targets[label] = [labels[other] for other in others[:n_targets]]
    return targets


def check_weights(name: str, keywords: Any) -> None:
    """Check that classes have words, and words weights that add up.

    Parameters
    ----------
    name : str
        Of the parameter, for errors.
    keywords : mapping of label to mapping of word to float

    Raises
    ------
    TypeError
        If `keywords` is no mapping of mappings.
    ValueError
        If a weight is negative or not finite.
    """
    if not isinstance(keywords, Mapping):
        raise TypeError(
            f"{name} must map labels to words with weights, got {type(keywords).__name__}."
        )
    for label, words in keywords.items():
        if not isinstance(words, Mapping):
            raise TypeError(
                f"{name}[{label!r}] must be a mapping of words to weights, got {words!r:.60}. "
                "For equal weights, pass dict.fromkeys(words, 1.0)."
            )
        for word, weight in words.items():
            if not 0 <= weight < np.inf:
                raise ValueError(
                    f"{name}[{label!r}][{word!r}] must be a finite weight of at least 0, got "
                    f"{weight!r}. Leave out words that speak against the class."
                )


def _label_array(labels: Iterable[Hashable]) -> np.ndarray:
    labels = list(labels)
    kinds = {type(label) for label in labels}
    return np.array(labels, dtype=None if len(kinds) == 1 else object)


def _stop_rule(stop_words: str | Iterable[str] | None) -> Callable[[str], bool]:
    """Return which bare words are left out, besides those that are not like words."""
    if stop_words is None:
        return lambda word: False
    if not isinstance(stop_words, str):
        chosen = {bare(word) for word in stop_words} | NUMBER_WORDS
        return lambda word: word in chosen
    if stop_words == "english":
        return lambda word: is_function_word(word) or word in NUMBER_WORDS
    raise ValueError(f"stop_words must be 'english', a list of words, or None, got {stop_words!r}.")


def _is_wordlike(word: str) -> bool:
    letters = word if word.isascii() else _without_marks(word)
    return len(word) > 1 and _WORDLIKE.fullmatch(letters) is not None


def _without_marks(word: str) -> str:
    """Leave out vowel signs, accents and joiners, which are parts of letters, not letters."""
    return "".join(
        letter for letter in word if not unicodedata.category(letter).startswith(("M", "Cf"))
    )


def _word_scores(record: PriorRecord) -> dict[str, float]:
    """Positive scores of the bare words of a text; a word that repeats has the highest one."""
    best: dict[str, float] = {}
    for word, score in zip(record.words, record.scores.tolist(), strict=True):
        if score > 0:  # neither negative nor NaN
            best[bare(word)] = max(score, best.get(bare(word), 0.0))
    return best


def _specificity(means: np.ndarray) -> float:
    """1 where one class has all of a word's score, 0 where all classes have the same."""
    if len(means) == 1:
        return 1.0
    shares = means[means > 0] / means.sum()
    return max(0.0, 1.0 + float((shares * np.log(shares)).sum()) / float(np.log(len(means))))


def _strongest(weights: Mapping[str, float], n_keywords: int) -> dict[str, float]:
    positive = [(word, weight) for word, weight in weights.items() if weight > 1e-12]
    return dict(sorted(positive, key=lambda pair: (-pair[1], pair[0]))[:n_keywords])
