"""Priors from a small classifier that is trained on the labels alone: integrated gradients."""

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
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skcap.attribution import (
    BASELINES,
    OUTPUTS,
    baseline_embeddings,
    find_baseline_token,
    output_of,
    words_from_tokens,
)
from skcap.prior_matrix import PriorMatrix
from skcap.priors.base import BasePrior
from skcap.utils.cache import PriorCache, resolve_cache
from skcap.utils.cached_work import compute_cached
from skcap.utils.own_code import own_code
from skcap.utils.progress import show_progress
from skcap.utils.validation import Options, StrOptions, integer
from skcap.utils.words import split_words

if TYPE_CHECKING:
    from skcap.classifier import GuidedTextClassifier

__all__ = ["IGPriorTransformer"]

_SOURCE = ("revision", "local_files_only")  # options that say where weights are, not what they do
_TEXTS = 16  # of like length, given to captum at a time
_CHANCE = 0.01  # level of the test that the model is better than always the same label
_LARGE_DELTA = 0.05  # share of the score differences that may be missed before a warning


class IGPriorTransformer(BasePrior):
    """Integrated gradients of a model that was trained on the labels alone.

    A small classifier is trained on the texts by cross-entropy. What each word adds to its score
    of the *true* label, by captum's ``IntegratedGradients`` on the word embeddings, is the prior
    for a new model that is trained from scratch.

    Parameters
    ----------
    classifier : GuidedTextClassifier or None, default=None
        The model to train; `fit` trains a clone. It must be unguided (``guidance=None`` or
        ``beta=0``), and a `random_state` of None is replaced by the one below. None is
        ``GuidedTextClassifier(guidance=None)``.
    prefit : bool, default=False
        Take `classifier` as it is, already fitted, with or without guidance. Nothing is trained
        then, and nothing cached. Clones of this transformer share the classifier, so in
        cross-validation it must not have seen the test folds.
    n_steps : int, default=50
        Points of the quadrature (captum's "gausslegendre"). `convergence_delta_` tells whether
        they are enough.
    internal_batch_size : int, default=64
        Most rows of one forward pass, where a row is one text at one point of its path. Fewer
        rows need less memory.
    baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for every token at the start of the path: the embedding of the padding or
        mask token, or zeros.
    target : {"logit", "log_odds", "probability"}, default="logit"
        What is attributed. Log-odds also count what a word does to the other classes' logits.
        Probabilities saturate once a text is learned.
    cache : None, path, PriorCache or False, default=None
        Where the scores of the training texts are kept, one entry per fit: a second fit on the
        same texts and labels with the same settings trains nothing. None is the user's cache
        folder, False keeps nothing.
    random_state : int, RandomState or None, default=0
        Seeds the training. None draws a new seed in each fit and uses no cache.
    verbose : int, default=1
        Above 0 shows progress, rate and time left on stderr, from two seconds on. A `classifier`
        that is given shows that of its training by its own `verbose`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    convergence_delta_ : ndarray of float64, shape (n_texts,)
        For each training text, the sum of its attributions less the difference between the scores
        of the text and of the baseline; 0 with infinitely many steps. The mean and the largest
        size are also in the provenance.
    classifier_ : GuidedTextClassifier
        The trained model. It is missing after a fit whose scores came from the cache; then
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
    the same label is attributed once.

    Unlike the priors of a language model, these scores depend on all training texts, through the
    model that is trained on them.

    Examples
    --------
    >>> from skcap.classifier import GuidedTextClassifier
    >>> from skcap.priors import IGPriorTransformer
    >>> IGPriorTransformer(GuidedTextClassifier(guidance=None, max_epochs=30), n_steps=20)
    IGPriorTransformer(classifier=GuidedTextClassifier(guidance=None, max_epochs=30), n_steps=20)

    Fitted (this trains a model):

    >>> matrix = prior.fit_transform(texts, labels)  # doctest: +SKIP
    >>> abs(prior.convergence_delta_).max()  # doctest: +SKIP
    0.0021
    """

    _parameter_constraints = {
        "classifier": "no_validation",  # by _prepare_classifier
        "prefit": ["boolean"],
        "n_steps": [integer(1)],
        "internal_batch_size": [integer(1)],
        "baseline": [StrOptions(set(BASELINES))],
        "target": [StrOptions(set(OUTPUTS))],
        "cache": [str, PathLike, PriorCache, Options(bool, {False}), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        classifier: GuidedTextClassifier | None = None,
        *,
        prefit: bool = False,
        n_steps: int = 50,
        internal_batch_size: int = 64,
        baseline: Literal["pad", "mask", "zero"] = "pad",
        target: Literal["logit", "log_odds", "probability"] = "logit",
        cache: PriorCache | str | PathLike[str] | Literal[False] | None = None,
        random_state: int | np.random.RandomState | None = 0,
        verbose: int = 1,
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

    def _fit(self, texts: list[str], labels: np.ndarray) -> None:
        """Train the model and attribute its training texts, or find their scores in the cache."""
        self._training: tuple[list[str], np.ndarray] | None = texts, labels
        self._prepare_classifier()
        rows = list(zip(texts, labels.tolist(), strict=True))
        pairs = list(dict.fromkeys(rows))
        cache, key = self._cache_and_key(texts, labels)
        ((_, values),) = compute_cached(
            cache, [key], lambda _: self._train_and_attribute(texts, labels, pairs)
        )
        lengths = [len(split_words(text)) for text, _ in pairs]
        parts = np.split(values, np.cumsum([len(pairs), len(pairs), *lengths]))
        delta, difference, scores = parts[0], parts[1], parts[2:-1]
        # By hashes, so that pickles hold no texts.
        self._scores = dict(zip(map(_hashed, pairs), scores, strict=True))
        self._scored_by = self._settings()
        self._scored_net = self.classifier_.net_ if self._is_given else None
        position = {pair: place for place, pair in enumerate(pairs)}
        self.convergence_delta_ = delta[[position[row] for row in rows]]
        self._report_convergence(difference)

    def _prepare_classifier(self) -> None:
        """Set `_untrained`, or, if prefit, `classifier_`."""
        from skcap.classifier import GuidedTextClassifier

        self._is_given = self.prefit
        classifier = self.classifier
        if classifier is None:
            classifier = GuidedTextClassifier(guidance=None, verbose=self.verbose)
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
        if classifier.beta and classifier.guidance:
            raise ValueError(
                f"classifier has guidance={classifier.guidance!r:.60} and "
                f"beta={classifier.beta!r}, but here it is trained on the labels alone. Set "
                "guidance=None or beta=0, or fit it yourself and pass prefit=True."
            )
        self._untrained = clone(classifier)
        if classifier.random_state is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            self._untrained.set_params(random_state=int(seed))

    def _cache_and_key(self, texts: list[str], labels: np.ndarray) -> tuple[PriorCache | None, str]:
        """Give the cache, None if none can be used, and the key of the training scores."""
        cache = resolve_cache(self.cache)
        if cache is None or self.prefit or self.random_state is None:
            return None, ""
        import skcap
        from skcap.models import model_fingerprint

        parameters = {**self._untrained.get_params(), "verbose": 0}  # which changes no score
        model, options = parameters.pop("model"), dict(parameters.pop("model_kwargs") or {})
        # The fingerprint stands for where the weights come from; all other options change them.
        source = {name: options.pop(name) for name in _SOURCE if name in options}
        try:
            what = [type(self._untrained).__qualname__, parameters, options]
            settings = joblib.hash(what) + own_code([type(self._untrained), *what])
        except pickle.PicklingError as error:
            warnings.warn(
                f"A parameter of the classifier cannot be hashed ({error}), so the IG prior is not "
                "cached and trains in every fit. Replace lambdas and local functions with "
                "functions of a module, or pass cache=False.",
                UserWarning,
                stacklevel=4,
            )
            return None, ""
        request = {
            "version": 2,
            "skcap": skcap.__version__,  # the training may change with it
            "source": "ig",
            "model": model_fingerprint(model, **source),
            "settings": settings,
            "texts": texts,
            "labels": labels.tolist(),
            **self._settings(),
        }
        return cache, PriorCache.key(request)

    def _trained_classifier(self) -> GuidedTextClassifier:
        if not hasattr(self, "classifier_"):
            assert self._training is not None
            texts, labels = self._training
            self.classifier_ = clone(self._untrained).fit(texts, labels)
        self._training = None  # so that pickles hold no texts
        return self.classifier_

    def _train_and_attribute(
        self, texts: list[str], labels: np.ndarray, pairs: Sequence[tuple[str, Any]]
    ) -> np.ndarray:
        """Give the deltas and score differences of labelled texts, then the scores of all words."""
        classifier = self._trained_classifier()
        _check_better_than_chance(classifier, texts, labels)
        scores, delta, difference = self._with_captum(pairs)
        return np.concatenate([delta, difference, *scores])

    def _with_captum(
        self, pairs: Sequence[tuple[str, Any]]
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        return attribute_with_captum(
            self._trained_classifier(),
            [text for text, _ in pairs],
            [label for _, label in pairs],
            internal_batch_size=int(self.internal_batch_size),
            verbose=self.verbose,
            **self._settings(),
        )

    def _report_convergence(self, difference: np.ndarray) -> None:
        delta, size = np.abs(self.convergence_delta_), np.abs(difference).mean()
        if delta.mean() > _LARGE_DELTA * size:
            warnings.warn(
                f"The attributions miss the score differences that they should add up to by "
                f"{delta.mean():.2g} on average, where the differences are {size:.2g}. Raise "
                f"n_steps (now {self.n_steps}), or try another baseline (now {self.baseline!r}).",
                UserWarning,
                stacklevel=4,
            )

    def _attribute(self, texts: list[str], classes: np.ndarray) -> PriorMatrix:
        rows = list(zip(texts, self.classes_[classes].tolist(), strict=True))
        # What has been set since fit holds for what is asked for now.
        same_net = not self._is_given or self.classifier_.net_ is self._scored_net
        known = self._scores if same_net and self._settings() == self._scored_by else {}
        keys = dict(zip(rows, map(_hashed, rows), strict=True))
        new = [pair for pair, key in keys.items() if key not in known]
        if new:
            scores = self._with_captum(new)[0]
            known = {**known, **{keys[p]: own for p, own in zip(new, scores, strict=True)}}
        return PriorMatrix(texts, [known[keys[r]] for r in rows], provenance=self._provenance())

    def _settings(self) -> dict[str, Any]:
        """Give what scores depend on besides the model."""
        return {"n_steps": int(self.n_steps), "baseline": self.baseline, "target": self.target}

    def _provenance(self) -> dict[str, Any]:
        classifier = self.classifier_ if self._is_given else self._untrained
        seed, delta = classifier.random_state, np.abs(self.convergence_delta_)
        settings = self._settings()
        told = {"mean": float(delta.mean()), "max": float(delta.max())}
        return {
            "source": "ig",
            "model": str(classifier.model),
            **settings,
            "random_state": seed if isinstance(seed, numbers.Integral | None) else str(seed),
            **({"convergence_delta": told} if settings == self._scored_by else {}),
        }


def _hashed(pair: tuple[str, Any]) -> str:
    text, label = pair
    return PriorCache.key({"text": text, "label": label})


def attribute_with_captum(
    classifier: GuidedTextClassifier,
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    n_steps: int,
    internal_batch_size: int,
    baseline: str,
    target: str,
    verbose: int = 0,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Attribute a fitted classifier's scores of given labels to words, by captum.

    Parameters
    ----------
    classifier : GuidedTextClassifier
    texts : sequence of str, length n_texts
    labels : sequence, length n_texts
    n_steps, internal_batch_size, baseline, target, verbose
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
    from captum.attr import IntegratedGradients

    from skcap.classifier.predicting import batches_by_length, encode_and_warn, scores_by_text

    net = classifier.net_
    module = net.module_
    token = find_baseline_token(classifier.tokenizer_, baseline)

    def score(embeddings: Any, attention_mask: Any, classes: Any) -> Any:
        logits = module(attention_mask=attention_mask, inputs_embeds=embeddings)
        return output_of(logits, classes, target)

    captum = IntegratedGradients(score)
    encoded = encode_and_warn(classifier.tokenizer_, list(texts), classifier.max_length_)
    codes = np.searchsorted(classifier.classes_, np.asarray(labels))
    scores: list[np.ndarray] = [np.empty(0)] * len(encoded)
    delta, difference = np.empty(len(encoded)), np.empty(len(encoded))
    size = min(_TEXTS, internal_batch_size)
    with show_progress(len(texts), "ig", "text", verbose=verbose) as progress:
        for rows, batch, classes in batches_by_length(net, encoded, codes, size):
            embeddings = module.embed(batch["input_ids"]).detach()
            start = baseline_embeddings(module, embeddings, batch["special"], token).detach()
            attribution, missed = captum.attribute(
                embeddings,
                baselines=start,
                additional_forward_args=(batch["attention_mask"], classes),
                n_steps=n_steps,
                internal_batch_size=internal_batch_size,
                return_convergence_delta=True,
            )
            tokens = attribution.detach().sum(dim=2)
            delta[rows] = missed.detach().double().cpu().numpy()
            difference[rows] = tokens.sum(dim=1).double().cpu().numpy() - delta[rows]
            own = [encoded[row] for row in rows]
            words = words_from_tokens(tokens, batch["word_ids"], max(t.truncated.size for t in own))
            for row, values in zip(rows, scores_by_text(words.double(), own), strict=True):
                scores[row] = values
            progress.update(len(rows))
    return scores, delta, difference


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
        "another lr, as in IGPriorTransformer(GuidedTextClassifier(guidance=None, "
        "max_epochs=30))."
    )
