"""Word scores that the user already has, as a prior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.utils.labels import check_labels
from skcap.utils.words import check_texts, split_words

__all__ = ["PrecomputedPrior"]

_Scores = (
    PriorMatrix
    | str
    | PathLike[str]
    | Mapping[str, ArrayLike]
    | Callable[[str], ArrayLike | None]
    | Sequence[ArrayLike]
)


class PrecomputedPrior(BasePrior):
    """Word scores from anywhere: human rationales, a lexicon, a file.

    Scores are looked up by text, so that a cross-validation may split the texts as it likes.

    Parameters
    ----------
    scores : PriorMatrix, path, mapping, callable or list
        One number a word of ``split_words(text)``, NaN for no supervision, for each text:

        * a PriorMatrix, or the path of one that its ``save`` wrote;
        * a mapping of text to scores;
        * a callable that takes a text and returns its scores, or None if it has none;
        * a list (or object array) of scores, in the order of the texts that are given to `fit`,
          all of them. In a cross-validation, which fits on a part of the texts, it is an error.
    missing : {"error", "nan"}, default="error"
        What to do with texts that have no scores: raise, or leave them without supervision.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)

    Raises
    ------
    ValueError
        In `fit`, if one text comes twice with different scores, or a list does not fit the texts;
        where texts are scored, if one has no scores, or has not one score a word.
    FileNotFoundError
        In `fit`, if there is no such file.

    Notes
    -----
    Labels play no part: a text that has different scores for different labels needs a source for
    each.

    Examples
    --------
    >>> import numpy as np
    >>> from skcap.priors.precomputed import PrecomputedPrior
    >>> lexicon = {"alarm": 1.0, "wake": 1.0, "the": 0.0}
    >>> def look_up(text):
    ...     return [lexicon.get(word, np.nan) for word in text.split()]
    >>> PrecomputedPrior(look_up).fit_transform(["cancel the alarm"], ["alarm"]).to_dense()
    array([[nan,  0.,  1.]], dtype=float32)
    """

    _required_parameters = ("scores",)  # for checks of scikit-learn before 1.6

    def __init__(self, scores: _Scores, *, missing: Literal["error", "nan"] = "error"):
        self.scores = scores
        self.missing = missing

    def fit(self, X: Any, y: Any) -> PrecomputedPrior:
        """Read the scores.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        self
        """
        if self.missing not in ("error", "nan"):
            raise ValueError(f"missing must be 'error' or 'nan', got {self.missing!r}.")
        texts = check_texts(X)
        self.classes_ = np.unique(check_labels(texts, y))
        self._origin: dict[str, Any] = {}
        scores = self.scores
        if isinstance(scores, str | PathLike):
            scores = PriorMatrix.load(scores)
        if isinstance(scores, PriorMatrix):
            self._origin = scores.provenance
            self._lookup: Any = _by_text(scores)
        elif isinstance(scores, Mapping) or callable(scores):
            self._lookup = scores
        else:
            self._lookup = _by_text(_aligned(texts, scores))
        return self

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        find = self._lookup.get if isinstance(self._lookup, Mapping) else self._lookup
        found = [find(text) for text in texts]
        missing = [row for row, scores in enumerate(found) if scores is None]
        if missing and self.missing == "error":
            raise ValueError(
                f"PrecomputedPrior has no scores for {len(missing)} of {len(texts)} texts, such as "
                f"row {missing[0]}: {texts[missing[0]]!r:.80}. Add them, or pass missing='nan' to "
                "leave such texts without supervision."
            )
        for row in missing:
            found[row] = np.full(len(split_words(texts[row])), np.nan)
        provenance = {"source": "precomputed", "scores": type(self.scores).__name__}
        return PriorMatrix(texts, found, provenance={**provenance, "origin": self._origin})


def _aligned(texts: list[str], scores: Any) -> PriorMatrix:
    """Take a list of scores for those of `texts`, in their order."""
    if not isinstance(scores, Sequence | np.ndarray):
        raise TypeError(
            "scores must be a PriorMatrix, the path of a saved one, a mapping of text to scores, a "
            f"callable or a list, got {type(scores).__name__}."
        )
    if len(scores) != len(texts):
        raise ValueError(
            f"scores is a list for {len(scores)} texts, but fit got {len(texts)}. A list goes by "
            "row, so it cannot follow a cross-validation or a split: pass a mapping of text to "
            "scores, or a PriorMatrix, which are looked up by text."
        )
    return PriorMatrix(texts, scores)


def _by_text(matrix: PriorMatrix) -> dict[str, np.ndarray]:
    lookup: dict[str, np.ndarray] = {}
    for text, scores in zip(matrix.texts.tolist(), matrix.scores, strict=True):
        if not np.array_equal(lookup.setdefault(text, scores), scores, equal_nan=True):
            raise ValueError(
                f"scores holds the text {text!r:.80} twice, with different scores, so it is "
                "ambiguous which to take. Keep one of them."
            )
    return lookup
