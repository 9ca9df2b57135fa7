"""Priors from a small model of one's own: integrated gradients after plain training."""

from __future__ import annotations

import numbers
import pickle
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.utils.cache import PriorCache, compute_cached, resolve_cache
from skcap.utils.fitting import fitting
from skcap.utils.labels import check_labels
from skcap.utils.words import check_texts, split_words

if TYPE_CHECKING:
    from skcap.classifier import GuidedTextClassifier

__all__ = ["IGPriorTransformer"]

_BASELINES = ("pad", "mask")
_TARGETS = ("logit", "log_odds", "probability")
_TEXTS = 16  # of like length, given to captum at a time
_CHANCE = 0.01  # a model as good as it is by chance with less than this probability is accepted
_LARGE_DELTA = 0.05  # of the score differences that attributions are to add up to


class IGPriorTransformer(BasePrior):
    """Integrated gradients of a model that was trained on the labels alone.

    A small classifier is trained on the texts by cross-entropy. What each word adds to the score
    of the *true* label, by captum's ``LayerIntegratedGradients`` on the word embeddings, is the
    prior for a new model that is trained from scratch.

    Parameters
    ----------
    classifier : GuidedTextClassifier or None, default=None
        The model to train; `fit` trains a clone. Its `beta` must be 0, and a `random_state` of
        None is replaced by the one below. None is ``GuidedTextClassifier(beta=0)``.
    prefit : bool, default=False
        Take `classifier` as it is, already fitted, however that was done. Clones of this
        transformer then share it, so in cross-validation it must not have seen the test folds.
        Nothing is trained then, and nothing cached.
    n_steps : int, default=50
        Points of the quadrature (captum's "gausslegendre"). `convergence_delta_` tells whether
        they are enough.
    internal_batch_size : int, default=64
        Most rows (points of all texts together) of one forward pass; less needs less memory.
    baseline : {"pad", "mask"}, default="pad"
        Token whose embedding stands in for every word at the start of the path.
    target : {"logit", "log_odds", "probability"}, default="logit"
        What is attributed. Log-odds also count what a word does to the other classes' logits.
        Probabilities saturate once a text is learnt.
    cache : None, path, PriorCache or False, default=None
        Where the scores of the training texts are kept, one entry a fit: a second fit on the same
        texts and labels with the same settings trains nothing. None is the user's cache folder,
        False keeps nothing.
    random_state : int, RandomState or None, default=0
        Seeds the training. None draws a new seed in each fit and uses no cache.
    verbose : int, default=0
        Above 0 tells of training and of the convergence delta.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
    convergence_delta_ : ndarray of float64, shape (n_texts,)
        For each training text, by how much its attributions miss the difference between the
        scores of the text and of the baseline, which they would add up to with infinitely many
        steps. Mean and largest size are also in the provenance.
    classifier_ : GuidedTextClassifier
        The trained model. It is not there after a fit whose scores came from the cache; then
        :meth:`attribute` trains it, once, if it is asked for texts that `fit` did not see.

    Raises
    ------
    ValueError
        In `fit`, if the trained model is no better than chance on its own training texts: it must
        get them all right, or more of them than always naming the most frequent label would, by a
        one-sided binomial test at the 1 % level. Attributions of such a model mean nothing.

    Notes
    -----
    The attributions of a token's embedding are summed, and tokens are summed into words. Words
    that were cut off (`max_length` of the classifier) have no score. A text that occurs twice with
    one label is attributed once.

    Unlike the priors of a language model, these scores depend on all training texts, through the
    model that is trained on them.

    Examples
    --------
    >>> from skcap.classifier import GuidedTextClassifier
    >>> from skcap.priors.integrated_gradients import IGPriorTransformer
    >>> prior = IGPriorTransformer(GuidedTextClassifier(beta=0, max_epochs=30), n_steps=20)
    >>> matrix = prior.fit_transform(texts, labels)  # doctest: +SKIP
    >>> abs(prior.convergence_delta_).max()  # doctest: +SKIP
    0.0021
    """

    def __init__(
        self,
        classifier: GuidedTextClassifier | None = None,
        *,
        prefit: bool = False,
        n_steps: int = 50,
        internal_batch_size: int = 64,
        baseline: Literal["pad", "mask"] = "pad",
        target: Literal["logit", "log_odds", "probability"] = "logit",
        cache: PriorCache | str | PathLike[str] | Literal[False] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 0,
    ):
        self.classifier = classifier
        self.prefit = prefit
        self.n_steps = n_steps
        self.internal_batch_size = internal_batch_size
        self.baseline = baseline
        self.target = target
        self.cache = cache
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_clone__(self) -> IGPriorTransformer:
        copy = super().__sklearn_clone__()
        if self.prefit:
            copy.classifier = self.classifier  # its clone would be unfitted
        return copy

    def fit(self, X: Any, y: Any) -> IGPriorTransformer:
        """Train the model and attribute its training texts, or find their scores in the cache.

        Parameters
        ----------
        X : array-like of str, shape (n_texts,)
        y : array-like of str or int, shape (n_texts,)

        Returns
        -------
        self
        """
        with fitting(self):
            self._check_parameters()
            texts = check_texts(X)
            labels = check_labels(texts, y)
            self.classes_ = np.unique(labels)
            self._texts, self._labels = texts, labels
            self._prepare_classifier()
            rows = list(zip(texts, labels.tolist(), strict=True))
            pairs = list(dict.fromkeys(rows))
            cache, key = self._cache_and_key()
            ((_, values),) = compute_cached(
                cache, [key], lambda _: self._train_and_attribute(pairs)
            )
            lengths = [len(split_words(text)) for text, _ in pairs]
            parts = np.split(values, np.cumsum([len(pairs), len(pairs), *lengths]))
            delta, difference, scores = parts[0], parts[1], parts[2:-1]
            self._scores = dict(zip(pairs, scores, strict=True))
            position = {pair: place for place, pair in enumerate(pairs)}
            self.convergence_delta_ = delta[[position[row] for row in rows]]
            self._report_convergence(difference)
        return self

    def _check_parameters(self) -> None:
        for name in ("n_steps", "internal_batch_size"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        for name, allowed in (("baseline", _BASELINES), ("target", _TARGETS)):
            if getattr(self, name) not in allowed:
                options = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {options}, got {getattr(self, name)!r}.")
        resolve_cache(self.cache)

    def _prepare_classifier(self) -> None:
        """Set `_untrained`, or, if prefit, `classifier_`."""
        from skcap.classifier import GuidedTextClassifier

        self.__dict__.pop("classifier_", None)
        classifier = GuidedTextClassifier(beta=0) if self.classifier is None else self.classifier
        if not isinstance(classifier, GuidedTextClassifier):
            raise TypeError(
                "classifier must be a GuidedTextClassifier, whose word embeddings integrated "
                f"gradients attribute to, got {type(classifier).__name__}."
            )
        if self.prefit:
            check_is_fitted(
                classifier,
                "net_",
                msg="prefit=True needs a fitted classifier; fit it first, or leave prefit=False.",
            )
            if unknown := set(self.classes_.tolist()) - set(classifier.classes_.tolist()):
                raise ValueError(
                    "y holds labels that the prefit classifier does not know, such as "
                    f"{min(unknown)!r}. Fit it on all labels."
                )
            self.classifier_ = classifier
            return
        if classifier.beta != 0 and classifier.guidance is not None:
            raise ValueError(
                f"classifier has guidance={classifier.guidance!r:.60} and "
                f"beta={classifier.beta!r}, but it is trained here without a prior; set "
                "guidance=None or beta=0, or fit it yourself and pass prefit=True."
            )
        self._untrained = clone(classifier)
        if classifier.random_state is None:
            from sklearn.utils import check_random_state

            seed = check_random_state(self.random_state).randint(2**31 - 1)
            self._untrained.set_params(random_state=int(seed))

    def _cache_and_key(self) -> tuple[PriorCache | None, str]:
        """Give the cache, None if none can be used, and the key of the training scores."""
        cache = resolve_cache(self.cache)
        if cache is None or self.prefit or self.random_state is None:
            return None, ""
        import skcap
        from skcap.models import model_fingerprint

        parameters = self._untrained.get_params()
        model = parameters.pop("model")
        options = parameters.pop("model_kwargs") or {}
        where = {
            name: options[name] for name in ("revision", "local_files_only") if name in options
        }
        try:
            settings = joblib.hash([type(self._untrained).__qualname__, parameters])
        except pickle.PicklingError as error:
            warnings.warn(
                f"A parameter of the classifier cannot be hashed ({error}), so the IG prior is not "
                "cached and trains in every fit. Replace lambdas and local functions by those of a "
                "module, or pass cache=False.",
                UserWarning,
                stacklevel=3,
            )
            return None, ""
        request = {
            "version": 1,
            "skcap": skcap.__version__,  # the training may change with it
            "source": "ig",
            "model": model_fingerprint(model, **where),
            "settings": settings,
            "texts": self._texts,
            "labels": self._labels.tolist(),
            "n_steps": int(self.n_steps),
            "baseline": self.baseline,
            "target": self.target,
        }
        return cache, PriorCache.key(request)

    def _trained_classifier(self) -> GuidedTextClassifier:
        if not hasattr(self, "classifier_"):
            if self.verbose:
                print(f"[IGPriorTransformer] training on {len(self._texts)} texts")
            self.classifier_ = clone(self._untrained).fit(self._texts, self._labels)
        return self.classifier_

    def _train_and_attribute(self, pairs: Sequence[tuple[str, Any]]) -> np.ndarray:
        """Deltas and score differences of texts with labels, then the scores of all words."""
        classifier = self._trained_classifier()
        _check_better_than_chance(classifier, self._texts, self._labels)
        scores, delta, difference = self._with_captum(pairs)
        return np.concatenate([delta, difference, *scores])

    def _with_captum(
        self, pairs: Sequence[tuple[str, Any]]
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        return attribute_with_captum(
            self._trained_classifier(),
            [text for text, _ in pairs],
            [label for _, label in pairs],
            n_steps=int(self.n_steps),
            internal_batch_size=int(self.internal_batch_size),
            baseline=self.baseline,
            target=self.target,
        )

    def _report_convergence(self, difference: np.ndarray) -> None:
        delta, size = np.abs(self.convergence_delta_), np.abs(difference).mean()
        if self.verbose:
            print(
                f"[IGPriorTransformer] convergence delta {delta.mean():.2g} (mean) and "
                f"{delta.max():.2g} (max) of score differences of {size:.2g} (mean)"
            )
        if delta.mean() > _LARGE_DELTA * size:
            warnings.warn(
                f"The attributions miss the score differences that they should add up to by "
                f"{delta.mean():.2g} on average, where these are {size:.2g}. Raise n_steps (now "
                f"{self.n_steps}), or try another baseline (now {self.baseline!r}).",
                UserWarning,
                stacklevel=3,
            )

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        rows = list(zip(texts, self.classes_[classes].tolist(), strict=True))
        new = [pair for pair in dict.fromkeys(rows) if pair not in self._scores]
        known = self._scores
        if new:
            known = {**known, **dict(zip(new, self._with_captum(new)[0], strict=True))}
        return PriorMatrix(texts, [known[row] for row in rows], provenance=self._provenance())

    def _provenance(self) -> dict[str, Any]:
        classifier = self.classifier_ if self.prefit else self._untrained
        seed, delta = classifier.random_state, np.abs(self.convergence_delta_)
        return {
            "source": "ig",
            "model": str(classifier.model),
            "n_steps": self.n_steps,
            "baseline": self.baseline,
            "target": self.target,
            "random_state": seed if isinstance(seed, numbers.Integral | None) else str(seed),
            "convergence_delta": {"mean": float(delta.mean()), "max": float(delta.max())},
        }


def attribute_with_captum(
    classifier: GuidedTextClassifier,
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    n_steps: int,
    internal_batch_size: int,
    baseline: str,
    target: str,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Integrated gradients of a fitted classifier's scores of given labels, by captum.

    Parameters
    ----------
    classifier : GuidedTextClassifier
    texts : sequence of str, length n_texts
    labels : sequence, length n_texts
    n_steps, internal_batch_size, baseline, target
        See :class:`IGPriorTransformer`.

    Returns
    -------
    scores : list of ndarray of float64, shape (n_words,) each
        NaN for words that were cut off.
    delta : ndarray of float64, shape (n_texts,)
        Sum of a text's attributions less `difference`.
    difference : ndarray of float64, shape (n_texts,)
        Score of the text less that of the baseline.
    """
    from captum.attr import LayerIntegratedGradients
    from skorch.utils import to_tensor

    from skcap.attribution import output_of, words_from_tokens
    from skcap.classifier.batches import PadCollate, TextDataset
    from skcap.classifier.texts import encode_texts

    module = classifier.net_.module_.eval()

    def score(input_ids: Any, attention_mask: Any, classes: Any) -> Any:
        return output_of(module(input_ids, attention_mask), classes, target)

    captum = LayerIntegratedGradients(score, module.encoder.get_input_embeddings())
    filler = _baseline_token(classifier.tokenizer_, baseline)
    collate = PadCollate(classifier.tokenizer_.pad_token_id or 0)
    encoded = encode_texts(classifier.tokenizer_, texts, classifier.max_length_)
    dataset = TextDataset(encoded, np.searchsorted(classifier.classes_, np.asarray(labels)))
    # Texts of like length share a call, so that little is spent on padding.
    order = np.argsort([text.input_ids.size for text in encoded], kind="stable")[::-1].tolist()
    scores: list[np.ndarray] = [np.empty(0)] * len(encoded)
    delta, difference = np.empty(len(encoded)), np.empty(len(encoded))
    for start in range(0, len(order), size := min(_TEXTS, internal_batch_size)):
        rows = order[start : start + size]
        batch, classes = to_tensor(collate([dataset[i] for i in rows]), classifier.net_.device)
        attribution, missed = captum.attribute(
            batch["input_ids"],
            baselines=batch["input_ids"].where(batch["special"], filler),
            additional_forward_args=(batch["attention_mask"], classes),
            n_steps=n_steps,
            internal_batch_size=internal_batch_size,
            return_convergence_delta=True,
        )
        tokens = attribution.detach().sum(dim=2)
        n_words = max(encoded[row].truncated.size for row in rows)
        words = words_from_tokens(tokens, batch["word_ids"], n_words).double().cpu().numpy()
        delta[rows] = missed.detach().double().cpu().numpy()
        difference[rows] = tokens.sum(dim=1).double().cpu().numpy() - delta[rows]
        for row, values in zip(rows, words, strict=True):
            truncated = encoded[row].truncated
            scores[row] = np.where(truncated, np.nan, values[: truncated.size])
    return scores, delta, difference


def _baseline_token(tokenizer: Any, baseline: str) -> int:
    token = getattr(tokenizer, f"{baseline}_token_id")
    if token is None:
        raise ValueError(
            f"baseline={baseline!r} needs a {baseline} token, which the classifier's tokenizer "
            f"does not have. Choose another of {', '.join(map(repr, _BASELINES))}."
        )
    return int(token)


def _check_better_than_chance(
    classifier: GuidedTextClassifier, texts: Sequence[str], labels: np.ndarray
) -> None:
    from scipy.stats import binomtest

    n_right = int((classifier.predict(texts) == labels).sum())
    chance = np.unique(labels, return_counts=True)[1].max() / len(labels)
    luck = binomtest(n_right, len(labels), chance, alternative="greater").pvalue
    if n_right == len(labels) or luck < _CHANCE:
        return
    raise ValueError(
        f"The classifier of the IG prior did not learn its training texts: it gets {n_right} of "
        f"{len(labels)} right, which is not clearly better than always naming the most frequent "
        f"label ({chance:.0%}). Its attributions would mean nothing. Give it more epochs or "
        "another lr, as in IGPriorTransformer(GuidedTextClassifier(beta=0, max_epochs=30))."
    )
