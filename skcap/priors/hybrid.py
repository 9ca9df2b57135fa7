"""Several priors combined into one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from skcap.prior_matrix import PriorMatrix, check_same_texts
from skcap.priors.base import BasePrior
from skcap.priors.cost import CostEstimate
from skcap.utils.cache import resolve_cache
from skcap.utils.fitting import fitting
from skcap.utils.keyed import as_mapping
from skcap.utils.labels import check_labels
from skcap.utils.norms import NORMS
from skcap.utils.validation import JOBS, StrOptions, check_number, number
from skcap.utils.words import check_texts, split_words

__all__ = ["HybridPrior"]


class HybridPrior(BasePrior, _BaseComposition):
    """Several sources of word scores, combined into one prior (the paper's section 4.2).

    The scores of each source are normalised, text by text, and then combined word by word: by
    their mean or their maximum.

    Parameters
    ----------
    transformers : list of (str, transformer or "drop")
        Sources by name, such as ``[("cap", CAPPriorTransformer()), ("ig", IGPriorTransformer())]``.
        "drop" leaves a source out, which a ``GridSearchCV`` can do by ``prior__cap="drop"``.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        How the scores that a source gives a text are normalised before they are combined; see
        :func:`skcap.utils.norms.normalize_scores`. With None, the source with the largest scores
        dominates.
    aggregation : {"mean", "max", "absmax"} or callable, default="mean"
        How the normalised scores of a word become one.

        * "mean": their mean, weighted by `weights`.
        * "max": the largest, so that a word counts as soon as one source speaks for it; what
          another source holds *against* it is lost (0.2 and -0.9 give 0.2). The paper's other
          choice.
        * "absmax": the one that is largest in size, with its sign (0.2 and -0.9 give -0.9; of 0.5
          and -0.5 the positive one). For sources that can speak against a class, as CAP, LIME and
          SHAP do with negative scores.
        * A callable: it gets an array of one text, shape (n_sources, n_words), in the order of
          the sources that are not dropped, NaN where one has no score, and returns shape
          (n_words,).
    weights : array-like of float, mapping of str to float, or None, default=None
        Weights of the mean: one for each of `transformers`, dropped ones included, or by name (a
        Series with names as its index, too), where sources that are not named count 1. None weighs
        all alike. A source of weight 0 gives no scores. For ``aggregation="mean"`` only.
    n_jobs : int or None, default=None
        Sources that are computed at once, each in a process of its own. A source's own `n_jobs`
        then starts threads instead of processes, so set only one of them.
    verbose : int, default=0
        Above 0 prints how long each source took.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    transformers_ : list of (str, transformer or "drop")
        Fitted clones of the sources.
    named_transformers_ : Bunch
        The same by name.

    Notes
    -----
    If a source has no score for a word (NaN), the scores of the others are combined; only if no
    source has one, the word has none.

    The result is not normalised again: where sources contradict each other, the mean is small, as
    it should be. (Training normalises the scores it is given in any case.)

    Examples
    --------
    >>> from skcap.priors import HybridPrior, PrecomputedPrior
    >>> prior = HybridPrior(
    ...     [
    ...         ("verbs", PrecomputedPrior({"cancel the alarm": [1.0, 0.0, 0.0]})),
    ...         ("nouns", PrecomputedPrior({"cancel the alarm": [float("nan"), -1.0, 0.0]})),
    ...     ]
    ... )
    >>> prior.fit_transform(["cancel the alarm"], ["cancel_alarm"]).to_dense()
    array([[ 1. , -0.5,  0. ]], dtype=float32)
    >>> for aggregation in ("max", "absmax"):
    ...     prior = prior.set_params(aggregation=aggregation)
    ...     print(prior.fit_transform(["cancel the alarm"], ["cancel_alarm"]).to_dense())
    [[1. 0. 0.]]
    [[ 1. -1.  0.]]
    """

    _required_parameters = ("transformers",)  # for checks of scikit-learn before 1.6
    _parameter_constraints: dict[str, Any] = {
        "transformers": [list],
        "normalize": [StrOptions({norm for norm in NORMS if norm}), None],
        "aggregation": [StrOptions({"mean", "max", "absmax"}), callable],
        "weights": ["array-like", Mapping, None],
        "n_jobs": JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        transformers: list[tuple[str, Any]],
        *,
        normalize: str | None = "l2",
        aggregation: (
            Literal["mean", "max", "absmax"] | Callable[[np.ndarray], np.ndarray]
        ) = "mean",
        weights: ArrayLike | Mapping[str, float] | None = None,
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
        """Get the parameters; with `deep`, also the sources and theirs, as ``cap__alpha``.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict
        """
        return self._get_params("transformers", deep=deep)

    def set_params(self, **params: Any) -> HybridPrior:
        """Set parameters, sources (``cap="drop"``), or a source's parameters (``cap__alpha=2``).

        Sources and their parameters hold from the next fit on, which clones them.

        Parameters
        ----------
        **params

        Returns
        -------
        self
        """
        return self._set_params("transformers", **params)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_transformers()
        if self.weights is not None and self.aggregation != "mean":
            raise ValueError(
                f"weights are for aggregation='mean' only, got aggregation={self.aggregation!r}. "
                "Set weights=None."
            )
        self._weights_of(self.transformers)

    def _check_transformers(self) -> None:
        pairs = self.transformers
        if not pairs or any(_is_no_pair(pair) for pair in pairs):
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
                    f"The source {name!r} of transformers must be a prior (an instance with fit, "
                    f"fit_transform and attribute), or 'drop' to leave it out, got "
                    f"{transformer!r:.80}."
                )
        if not self._active():
            raise ValueError(
                f"All sources of HybridPrior are 'drop' ({', '.join(name for name, _ in pairs)}), "
                "so there is no prior; keep at least one. To include training without a prior in a "
                "search, set the classifier's beta to 0."
            )

    def _active(self) -> list[tuple[str, Any]]:
        return [(name, source) for name, source in self.transformers if not _dropped(source)]

    def _weights_of(self, transformers: list[tuple[str, Any]]) -> dict[str, float]:
        """Give the weights of sources by their names, those that are not dropped."""
        names = [name for name, _ in transformers]
        weights = as_mapping("weights", self.weights)
        if weights is None:
            given: Mapping[str, float] = {}
        elif isinstance(weights, Mapping):
            given = weights
            if unknown := sorted(set(given) - set(names), key=str):
                raise ValueError(f"weights names no sources: {unknown}. There are {names}.")
        elif np.shape(weights) == (len(names),):
            given = dict(zip(names, np.asarray(weights, dtype=object), strict=True))
        else:
            raise ValueError(
                f"weights must hold one weight for each of the {len(names)} transformers, dropped "
                f"ones included, got {weights!r:.80}. A mapping by name may leave some out."
            )
        chosen = {n: given.get(n, 1.0) for n, source in transformers if not _dropped(source)}
        for name, weight in chosen.items():
            check_number(f"weights[{name!r}]", weight, number(0))
        if not any(chosen.values()):
            raise ValueError(f"weights must not be all 0, got {chosen}.")
        return {name: float(weight) for name, weight in chosen.items()}

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
        with fitting(self):
            self._fit_sources(X, y, "fit")
        return self

    def fit_transform(self, X: Any, y: Any = None) -> PriorMatrix:
        """Fit all sources, score the texts with each, and combine the scores.

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
        with fitting(self):
            outputs = self._fit_sources(X, y, "fit_transform")
            return self._aggregate(check_texts(X), outputs)

    def estimate_cost(self, X: Any, y: Any) -> CostEstimate:
        """Estimate what scoring labelled texts will cost, as the sum over the sources.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        CostEstimate
            Each source that questions a language model counts each text, cached or not. Other
            sources, such as integrated gradients, count nothing. See
            :meth:`skcap.CAPPriorTransformer.estimate_cost`.
        """
        self._check_parameters()
        sources = [source for _, source in self._active() if hasattr(source, "estimate_cost")]
        estimates = [source.estimate_cost(X, y) for source in sources]
        return sum(estimates, CostEstimate(0, 0, 0, 0, 0.0))

    def _fit_sources(self, X: Any, y: Any, method: str) -> list[Any]:
        self._check_parameters()
        texts = check_texts(X)
        labels = check_labels(texts, y)
        active = [(name, clone(source)) for name, source in self._active()]
        for name, source in active:
            _prepare(name, source)
        results = self._run(active, method, texts, labels)
        self.classes_ = np.unique(labels)
        self.transformers_ = [(name, "drop") for name, _ in self.transformers]
        self._keep([(name, source) for (name, _), (source, _) in zip(active, results, strict=True)])
        return [output for _, output in results]

    def _keep(self, fitted: list[tuple[str, Any]]) -> None:
        new = dict(fitted)
        self.transformers_ = [(name, new.get(name, source)) for name, source in self.transformers_]
        self.named_transformers_ = Bunch(**dict(self.transformers_))

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        active = [(name, source) for name, source in self.transformers_ if not _dropped(source)]
        results = self._run(active, "attribute", texts, self.classes_[classes])
        # Copies from other processes, where a source may have trained what it had only to look up.
        self._keep([(name, source) for (name, _), (source, _) in zip(active, results, strict=True)])
        return self._aggregate(texts, [output for _, output in results])

    def _run(
        self, active: list[tuple[str, Any]], method: str, texts: list[str], labels: np.ndarray
    ) -> list[tuple[Any, Any]]:
        """Call one method of each source; return the sources (or copies) and their outputs."""
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
        weights = self._weights_of(self.transformers_)
        scores = self._merge(matrices, np.array([weights[name] for name in names]))
        aggregation = self.aggregation
        provenance = {
            "source": "hybrid",
            "aggregation": _name_of(aggregation),
            "weights": weights if aggregation == "mean" else None,
            "sources": {n: matrix.provenance for n, matrix in zip(names, matrices, strict=True)},
        }
        return PriorMatrix(texts, scores, provenance=provenance)

    def _merge(self, matrices: Sequence[PriorMatrix], weights: np.ndarray) -> list[np.ndarray]:
        """Combine matrices of the same texts word by word."""
        n_words = matrices[0].n_words
        flat = np.stack([np.concatenate([np.empty(0), *m.scores]) for m in matrices])
        ends = np.cumsum(n_words)[:-1]
        if callable(self.aggregation):
            blocks = np.split(flat, ends, axis=1)
            return [
                _checked(self.aggregation(block), text)
                for block, text in zip(blocks, matrices[0].texts, strict=True)
            ]
        if self.aggregation == "mean":
            return np.split(_mean(flat, weights), ends)
        largest, smallest = np.fmax.reduce(flat), np.fmin.reduce(flat)
        if self.aggregation == "absmax":
            largest = np.where(-smallest > largest, smallest, largest)
        return np.split(largest, ends)

    def _sk_visual_block_(self) -> Any:
        return FeatureUnion(self.transformers)._sk_visual_block_()


def _is_no_pair(pair: Any) -> bool:
    return not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str))


def _dropped(source: Any) -> bool:
    return isinstance(source, str) and source == "drop"


def _prepare(name: str, source: Any) -> None:
    """Refuse parameters that are not valid before another source asks its language model.

    Worker processes may have another working directory, so a cache folder is resolved here.
    """
    if isinstance(source, BasePrior):
        with _named(name):
            source._check_parameters()
    cache = getattr(source, "cache", None)
    if isinstance(cache, str | os.PathLike):
        with _named(name):
            source.cache = resolve_cache(cache)


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        error.add_note(f"This happened in the source {name!r} of a HybridPrior.")
        raise


def _name_of(aggregation: Any) -> str:
    """Name an aggregation without the address that an object without a name is printed with."""
    if isinstance(aggregation, str):
        return aggregation
    return str(getattr(aggregation, "__name__", type(aggregation).__name__))


def _call(
    name: str, source: Any, method: str, texts: list[str], labels: np.ndarray, verbose: int
) -> tuple[Any, Any]:
    start = time.perf_counter()
    with _named(name):
        output = getattr(source, method)(texts, labels)
    if verbose:
        print(f"[HybridPrior] {name}: {method} took {time.perf_counter() - start:.1f} s")
    return source, output


def _mean(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean over the sources that have a score, shape (n_words,)."""
    share = np.where(np.isnan(scores), 0.0, weights[:, None])
    total = share.sum(axis=0)
    sums = (np.where(share > 0, scores, 0.0) * share).sum(axis=0)
    return np.divide(sums, total, out=np.full(len(total), np.nan), where=total > 0)


def _checked(merged: Any, text: str) -> np.ndarray:
    # What a masked mean masks has no score in any source.
    values = np.ma.filled(np.ma.asarray(merged, dtype=np.float64), np.nan)
    n_words = len(split_words(text))
    if values.shape != (n_words,):
        raise ValueError(
            f"The callable aggregation must return one score per word, shape ({n_words},) for "
            f"{text!r:.80}, got shape {values.shape}."
        )
    return values
