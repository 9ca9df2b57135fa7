"""Several priors made into one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.priors.base import BasePrior
from skcap.utils.labels import check_labels
from skcap.utils.norms import NORMS
from skcap.utils.words import check_texts

__all__ = ["HybridPrior"]

_AGGREGATIONS = ("mean", "max")


class HybridPrior(BasePrior, _BaseComposition):
    """Several sources of word scores, made into one prior.

    The scores of each source are brought to the same norm, text by text, and then averaged (or
    their largest taken) word by word.

    Parameters
    ----------
    transformers : list of (str, transformer or "drop")
        Sources by name, such as ``[("cap", CAPPriorTransformer()), ("ig", IGPriorTransformer())]``.
        "drop" leaves a source out, so that ``GridSearchCV`` can, through ``prior__cap="drop"``.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        Norm of each source's scores of a text, before they are aggregated; see
        :func:`skcap.utils.norms.normalize_scores`. Without one the source with the largest numbers
        decides.
    aggregation : {"mean", "max"} or callable, default="mean"
        How the scores of a word become one. "max" takes the largest with its sign. A callable gets
        an array of one text, shape (n_sources, n_words), in the order of the sources that are not
        dropped, NaN where one has no score, and returns shape (n_words,).
    weights : list, mapping of str to float, or None, default=None
        Weights of the mean: one for each of `transformers`, dropped ones included, or by name,
        where sources that are not named count 1. None weighs all the same. A source of weight 0
        gives no scores. Only for the mean.
    n_jobs : int or None, default=None
        Sources that are computed at once, each in a process of its own. A source's own `n_jobs`
        then starts no processes but threads, so set the one or the other.
    verbose : int, default=0
        Above 0 tells how long each source took.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    transformers_ : list of (str, transformer or "drop")
        Fitted clones of the sources.
    named_transformers_ : Bunch
        The same by name.

    Notes
    -----
    A word that one source has no score for (NaN) gets that of the others, as the mean or maximum
    of those there are; only where no source has one it stays NaN.

    The result is not normalised again: where sources contradict each other, the mean is small, and
    its size tells. (The classifier normalises what it is given in any case.)

    Examples
    --------
    >>> from skcap.priors.hybrid import HybridPrior
    >>> from skcap.priors.precomputed import PrecomputedPrior
    >>> prior = HybridPrior(
    ...     [
    ...         ("verbs", PrecomputedPrior({"cancel the alarm": [1.0, 0.0, 0.0]})),
    ...         ("nouns", PrecomputedPrior({"cancel the alarm": [float("nan"), 0.0, 2.0]})),
    ...     ]
    ... )
    >>> prior.fit_transform(["cancel the alarm"], ["cancel_alarm"]).to_dense()
    array([[1. , 0. , 0.5]], dtype=float32)
    >>> prior.set_params(aggregation="max").fit_transform(
    ...     ["cancel the alarm"], ["cancel_alarm"]
    ... ).to_dense()
    array([[1., 0., 1.]], dtype=float32)
    """

    _required_parameters = ("transformers",)  # for checks of scikit-learn before 1.6

    def __init__(
        self,
        transformers: list[tuple[str, Any]],
        *,
        normalize: str | None = "l2",
        aggregation: Literal["mean", "max"] | Callable[[np.ndarray], np.ndarray] = "mean",
        weights: Sequence[float] | Mapping[str, float] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.transformers = transformers
        self.normalize = normalize
        self.aggregation = aggregation
        self.weights = weights
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- parameters -----------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters; with `deep`, the sources and theirs too, as ``cap__alpha``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("transformers", deep=deep)

    def set_params(self, **params: Any) -> HybridPrior:
        """Set parameters, sources (``cap="drop"``) or parameters of sources (``cap__alpha=2``).

        Parameters
        ----------
        **params

        Returns
        -------
        self
        """
        return self._set_params("transformers", **params)

    def _check_parameters(self) -> None:
        self._check_transformers()
        if self.normalize not in NORMS:
            raise ValueError(
                f"normalize must be one of {', '.join(map(repr, NORMS))}, got {self.normalize!r}."
            )
        if self.aggregation not in _AGGREGATIONS and not callable(self.aggregation):
            raise ValueError(
                f"aggregation must be 'mean', 'max' or a callable, got {self.aggregation!r}."
            )
        if self.weights is not None and self.aggregation != "mean":
            raise ValueError(
                f"weights are for aggregation='mean' only, got aggregation={self.aggregation!r}. "
                "Set weights=None."
            )
        self._weights_by_name()

    def _check_transformers(self) -> None:
        pairs = self.transformers
        if not isinstance(pairs, list) or not pairs or any(_is_no_pair(pair) for pair in pairs):
            raise ValueError(
                "transformers must be a list of (name, transformer), as in "
                f"[('cap', CAPPriorTransformer())], got {pairs!r:.200}."
            )
        self._validate_names([name for name, _ in pairs])
        for name, transformer in pairs:
            if _dropped(transformer):
                continue
            if isinstance(transformer, type) or not hasattr(transformer, "attribute"):
                raise TypeError(
                    f"The source {name!r} must be a prior transformer (an instance with fit, "
                    f"fit_transform and attribute), or 'drop' to leave it out, got "
                    f"{transformer!r:.80}."
                )
        if not self._active():
            raise ValueError(
                f"All sources of HybridPrior are 'drop' ({', '.join(name for name, _ in pairs)}), "
                "so there is no prior; keep at least one. To search over no guidance at all, set "
                "the classifier's beta to 0 instead."
            )

    def _active(self) -> list[tuple[str, Any]]:
        return [(name, source) for name, source in self.transformers if not _dropped(source)]

    def _weights_by_name(self) -> dict[str, float]:
        """Weights of the sources that are not dropped."""
        names = [name for name, _ in self.transformers]
        if self.weights is None:
            given: Mapping[str, float] = {}
        elif isinstance(self.weights, Mapping):
            given = self.weights
            if unknown := sorted(set(given) - set(names)):
                raise ValueError(f"weights names no sources: {unknown}. There are {names}.")
        elif np.shape(self.weights) == (len(names),):
            given = dict(zip(names, self.weights, strict=True))
        else:
            raise ValueError(
                f"weights must hold one weight for each of the {len(names)} transformers, dropped "
                f"ones included, got {self.weights!r:.80}. A dict by name may leave some out."
            )
        weights = {name: float(given.get(name, 1.0)) for name, _ in self._active()}
        values = np.array(list(weights.values()))
        if not np.isfinite(values).all() or values.min() < 0 or values.max() == 0:
            raise ValueError(f"weights must be finite, not negative, not all 0, got {weights}.")
        return weights

    # -- learning -------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any) -> HybridPrior:
        """Fit all sources.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        self
        """
        self._fit_sources(X, y, "fit")
        return self

    def fit_transform(self, X: Any, y: Any = None) -> PriorMatrix:
        """Fit all sources, score the texts with each, once, and aggregate their scores.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        PriorMatrix, shape (n_texts,)

        Raises
        ------
        ValueError
            If all sources are dropped, a parameter is not valid, or a source returns other texts.
        """
        return self._aggregate(check_texts(X), self._fit_sources(X, y, "fit_transform"))

    def _fit_sources(self, X: Any, y: Any, method: str) -> list[Any]:
        self._check_parameters()
        texts = check_texts(X)
        labels = check_labels(texts, y)
        active = [(name, clone(source)) for name, source in self._active()]
        results = self._run(active, method, texts, labels)
        self.classes_ = np.unique(labels)
        fitted = {name: source for (name, _), (source, _) in zip(active, results, strict=True)}
        self.transformers_ = [(name, fitted.get(name, "drop")) for name, _ in self.transformers]
        self.named_transformers_ = Bunch(**dict(self.transformers_))
        return [output for _, output in results]

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        active = [(name, source) for name, source in self.transformers_ if not _dropped(source)]
        results = self._run(active, "attribute", texts, self.classes_[classes])
        return self._aggregate(texts, [output for _, output in results])

    def _run(
        self, active: list[tuple[str, Any]], method: str, texts: list[str], labels: np.ndarray
    ) -> list[tuple[Any, Any]]:
        """Call one method of each source; give the sources, perhaps copies, and the outputs."""
        return Parallel(n_jobs=self.n_jobs)(
            delayed(_call)(name, source, method, texts, labels, self.verbose)
            for name, source in active
        )

    def _aggregate(self, texts: list[str], outputs: Sequence[Any]) -> PriorMatrix:
        names = [name for name, source in self.transformers_ if not _dropped(source)]
        for name, output in zip(names, outputs, strict=True):
            if not isinstance(output, PriorMatrix):
                raise TypeError(
                    f"The source {name!r} gave {type(output).__name__} instead of a PriorMatrix."
                )
        matrices = [output.normalize(self.normalize) for output in outputs]
        check_same_texts([PriorMatrix(texts), *matrices], ["X", *names])
        weights = self._weights_by_name()
        scores = self._merge(matrices, np.array([weights[name] for name in names]))
        aggregation = self.aggregation
        provenance = {
            "source": "hybrid",
            "aggregation": getattr(aggregation, "__name__", str(aggregation)),
            "weights": weights if aggregation == "mean" else None,
            "sources": {n: matrix.provenance for n, matrix in zip(names, matrices, strict=True)},
        }
        return PriorMatrix(texts, scores, provenance=provenance)

    def _merge(self, matrices: Sequence[PriorMatrix], weights: np.ndarray) -> list[np.ndarray]:
        """Merge matrices of the same texts word by word."""
        n_words = matrices[0].n_words
        flat = np.stack([np.concatenate([np.empty(0), *m.scores]) for m in matrices])
        ends = np.cumsum(n_words)[:-1]
        if callable(self.aggregation):
            blocks = np.split(flat, ends, axis=1)
            return [
                _checked(self.aggregation(block), text)
                for block, text in zip(blocks, matrices[0].texts, strict=True)
            ]
        merged = np.fmax.reduce(flat) if self.aggregation == "max" else _mean(flat, weights)
        return np.split(merged, ends)

    def _sk_visual_block_(self) -> Any:
        return FeatureUnion(self.transformers)._sk_visual_block_()


def _is_no_pair(pair: Any) -> bool:
    return not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str))


def _dropped(source: Any) -> bool:
    return isinstance(source, str) and source == "drop"


def _call(
    name: str, source: Any, method: str, texts: list[str], labels: np.ndarray, verbose: int
) -> tuple[Any, Any]:
    start = time.perf_counter()
    try:
        output = getattr(source, method)(texts, labels)
    except Exception as error:
        error.add_note(f"This happened in the source {name!r} of a HybridPrior.")
        raise
    if verbose:
        print(f"[HybridPrior] {name}: {method} took {time.perf_counter() - start:.1f} s")
    return source, output


def _mean(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over sources, shape (n_words,), of the scores there are."""
    share = np.where(np.isnan(scores), 0.0, weights[:, None])
    total = share.sum(axis=0)
    sums = (np.where(share > 0, scores, 0.0) * share).sum(axis=0)
    return np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)


def _checked(merged: Any, text: str) -> np.ndarray:
    values = np.asarray(merged, dtype=np.float64)
    n_words = len(text.split())
    if values.shape != (n_words,):
        raise ValueError(
            f"The callable aggregation must return one score a word, shape ({n_words},) for "
            f"{text!r:.80}, got shape {values.shape}."
        )
    return values
