"""Word scores that you already have, as a prior."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.utils.keyed import as_mapping
from skcap.utils.labels import value_of
from skcap.utils.validation import StrOptions, number
from skcap.utils.words import bare, split_words

__all__ = ["PrecomputedPrior"]

_Scores = (
    PriorMatrix
    | str
    | PathLike[str]
    | Mapping[str, ArrayLike]
    | Mapping[Any, Mapping[str, float]]
    | Callable[[str], ArrayLike | None]
    | Sequence[ArrayLike]
)


class PrecomputedPrior(BasePrior):
    """Word scores from anywhere: human rationales, a lexicon, a file.

    Scores are looked up by text, or by word, never by row, so a cross-validation may split the
    texts as it likes.

    Parameters
    ----------
    scores : PriorMatrix, path, mapping, callable or list
        With ``by="text"``, for each text one number per word of ``split_words(text)``, where NaN
        means no supervision:

        * a PriorMatrix, or the path of one that its ``save`` wrote;
        * a mapping of text to scores;
        * a callable that takes a text and returns its scores, or None if it has none;
        * a list (or object array) of scores, in the order of the texts given to `fit`, all of
          them. A cross-validation fits on a part of the texts, where a list is an error.

        A Series counts as a mapping, one that is numbered from 0 as a list.

        With ``by="word"``, a lexicon:

        * a mapping of word to weight, for all classes alike; or
        * a mapping of label to such a mapping, a lexicon for each class.

        Words are compared in lower case, without punctuation and possessive ending
        (:func:`skcap.utils.words.bare`): ``"card"`` also finds ``"Card's?"``.
    by : {"text", "word"}, default="text"
        What `scores` are looked up by.
    missing : {"error", "nan"}, default="error"
        What to do with texts that have no scores, or with classes that have no lexicon: raise an
        error, or leave the texts without supervision.
    default : float or None, default=None
        With ``by="word"``, the score of words that are not in the lexicon. None leaves them
        without supervision; 0 says that they do not matter.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)

    Raises
    ------
    ValueError
        In `fit`, if a text occurs twice with different scores, a list does not fit the texts, a
        lexicon gives two weights to one word, or a class has no lexicon; when texts are scored,
        if one has no scores, or not one score per word.
    FileNotFoundError
        In `fit`, if there is no such file.

    Notes
    -----
    With ``by="text"``, labels play no part: a text cannot have different scores for different
    labels.

    Examples
    --------
    >>> from skcap.priors import PrecomputedPrior
    >>> texts, y = ["cancel the alarm", "Wake me!"], ["cancel", "set"]
    >>> PrecomputedPrior([[0.5, 0.0, 1.0], [1.0, 0.0]]).fit_transform(texts, y).to_dense()
    array([[0.5, 0. , 1. ],
           [1. , 0. , nan]], dtype=float32)

    A lexicon for each class:

    >>> lexicon = {"cancel": {"cancel": 1.0, "alarm": 0.5}, "set": {"wake": 1.0}}
    >>> prior = PrecomputedPrior(lexicon, by="word", default=0.0)
    >>> prior.fit_transform(texts, y).to_dense()
    array([[1. , 0. , 0.5],
           [1. , 0. , nan]], dtype=float32)
    """

    _required_parameters = ("scores",)  # for checks of scikit-learn before 1.6
    _parameter_constraints: dict[str, Any] = {
        "scores": [PriorMatrix, str, PathLike, Mapping, callable, "array-like"],
        "by": [StrOptions({"text", "word"})],
        "missing": [StrOptions({"error", "nan"})],
        "default": [number(-math.inf), None],
    }

    def __init__(
        self,
        scores: _Scores,
        *,
        by: Literal["text", "word"] = "text",
        missing: Literal["error", "nan"] = "error",
        default: float | None = None,
    ):
        self.scores = scores
        self.by = by
        self.missing = missing
        self.default = default

    def _fit(self, texts: list[str], labels: np.ndarray) -> None:
        self._origin_: dict[str, Any] = {}
        scores = as_mapping("scores", self.scores)
        if self.by == "word":
            self._lexicons_ = _lexicons(scores, self.classes_.tolist(), self.missing)
            return
        if isinstance(scores, str | PathLike):
            scores = PriorMatrix.load(scores)
        if isinstance(scores, PriorMatrix):
            self._origin_ = scores.provenance
            self._lookup_: Any = _by_text(scores)
        elif isinstance(scores, Mapping):
            self._lookup_ = scores.get
        elif callable(scores):
            self._lookup_ = scores
        else:
            self._lookup_ = _by_text(_aligned(texts, scores))

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        by_word = hasattr(self, "_lexicons_")  # as it was in fit, whatever has been set since
        found = self._by_word(texts, classes) if by_word else self._by_text(texts)
        provenance = {
            "source": "precomputed",
            "scores": type(self.scores).__name__,
            "by": "word" if by_word else "text",
            "origin": self._origin_,
        }
        return PriorMatrix(texts, found, provenance=provenance)

    def _by_word(self, texts: list[str], classes: np.ndarray) -> list[list[float]]:
        default = math.nan if self.default is None else self.default
        scores = []
        for text, label in zip(texts, self.classes_[classes].tolist(), strict=True):
            lexicon, words = self._lexicons_[label], split_words(text)
            if lexicon is None:
                scores.append([math.nan] * len(words))
            else:
                scores.append([lexicon.get(bare(word), default) for word in words])
        return scores

    def _by_text(self, texts: list[str]) -> list[Any]:
        found = [self._lookup_(text) for text in texts]
        missing = [row for row, scores in enumerate(found) if scores is None]
        if missing and self.missing == "error":
            hint = " If its keys are words, pass by='word'."
            raise ValueError(
                f"PrecomputedPrior has no scores for {len(missing)} of {len(texts)} texts, such as "
                f"row {missing[0]}: {texts[missing[0]]!r:.80}. Add them, or pass missing='nan' to "
                f"leave such texts without supervision.{hint * isinstance(self.scores, Mapping)}"
            )
        for row in missing:
            found[row] = np.full(len(split_words(texts[row])), np.nan)
        return found


def _aligned(texts: list[str], scores: Any) -> PriorMatrix:
    """Take a list of scores for those of `texts`, in their order."""
    if len(scores) != len(texts):
        raise ValueError(
            f"scores is a list for {len(scores)} texts, but fit got {len(texts)}. A list goes by "
            "row, so it cannot follow a cross-validation or a split: pass a mapping of text to "
            "scores, or a PriorMatrix, which are looked up by text."
        )
    return PriorMatrix(texts, scores)


def _by_text(matrix: PriorMatrix) -> Callable[[str], np.ndarray | None]:
    lookup: dict[str, np.ndarray] = {}
    for text, scores in zip(matrix.texts.tolist(), matrix.scores, strict=True):
        if not np.array_equal(lookup.setdefault(text, scores), scores, equal_nan=True):
            raise ValueError(
                f"scores holds the text {text!r:.80} twice, with different scores, so it is "
                "ambiguous which to take. Keep one of them."
            )
    return lookup.get


def _lexicons(scores: Any, labels: list[Any], missing: str) -> dict[Any, dict[str, float] | None]:
    """Give the lexicon of each class; None for a class without one."""
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError(
            "With by='word', scores must be a mapping of word to weight, or of label to such a "
            f"mapping, and must not be empty; got {scores!r:.80}."
        )
    nested = {isinstance(value, Mapping) for value in scores.values()}
    if nested == {False}:
        return dict.fromkeys(labels, _lexicon(scores, "scores"))
    if nested == {True, False}:
        raise ValueError(
            "With by='word', scores must map either words to weights or labels to mappings, but "
            "it holds both."
        )
    scores = {value_of(label): lexicon for label, lexicon in scores.items()}
    absent = [label for label in labels if label not in scores]
    if absent and missing == "error":
        raise ValueError(
            f"scores has no lexicon for {len(absent)} of the {len(labels)} classes, such as "
            f"{absent[0]!r}. Add them, or pass missing='nan' to leave their texts without "
            "supervision."
        )
    return {
        label: _lexicon(scores[label], f"scores[{label!r}]") if label in scores else None
        for label in labels
    }


def _lexicon(weights: Mapping[Any, Any], where: str) -> dict[str, float]:
    """Check a mapping of word to weight, and bring its words to the form they are compared in."""
    lexicon: dict[str, float] = {}
    for word, weight in weights.items():
        if not isinstance(word, str) or not bare(word) or len(split_words(word)) != 1:
            raise ValueError(f"{where} must have single words as keys, got {word!r:.80}.")
        if not isinstance(weight, Real) or math.isinf(weight):
            raise ValueError(f"{where}[{word!r}] must be a finite number or NaN, got {weight!r}.")
        value = float(weight)
        known = lexicon.setdefault(bare(word), value)
        if not np.array_equal(known, value, equal_nan=True):
            raise ValueError(
                f"{where} gives the word {bare(word)!r} two weights, {known:g} and {value:g}. "
                "Words are compared in lower case and without punctuation; keep one of them."
            )
    return lexicon
