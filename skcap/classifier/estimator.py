"""GuidedTextClassifier: a text classifier that learns its labels and what to decide by."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skcap.attribution import BASELINES, OUTPUTS, attribute_words, find_baseline_token
from skcap.classifier.checks import check_priors, sort_labels
from skcap.classifier.encoder import POOLINGS
from skcap.classifier.head import HEAD_INITS
from skcap.classifier.predicting import batches_by_length, logits, probabilities, scores_by_text
from skcap.classifier.saving import Saving
from skcap.classifier.training import ROWS, TrainingSet, check_weights, weigh_classes
from skcap.export import check_saved
from skcap.guidance import BaseGuidance, resolve_guidance
from skcap.prior_matrix import PriorMatrix
from skcap.utils.fitting import fitting
from skcap.utils.labels import check_labels, meaningless_labels, name_labels
from skcap.utils.progress import show_progress
from skcap.utils.validation import (
    Options,
    StrOptions,
    check_choice,
    check_number,
    check_parameters,
    integer,
    number,
)
from skcap.utils.words import check_some_texts

if TYPE_CHECKING:
    import os

__all__ = ["GuidedTextClassifier"]


class GuidedTextClassifier(ClassifierMixin, Saving):
    """Text classifier that learns from a prior which words it should decide by.

    A Hugging Face encoder with a linear head is fine-tuned on the cross-entropy of the labels plus
    `beta` times the losses of its *guidance*: what word scores from elsewhere, such as a language
    model's, teach it besides the labels. Predicting needs no prior.

    Parameters
    ----------
    model : str or path, default="all-minilm-l6-v2"
        Encoder: an alias (see ``python -m skcap models``), a folder, or the id of a hub model.
    guidance : str, BaseGuidance, list of these, or None, default="swap"
        What is learned besides the labels, by name (its defaults) or as an object:

        - "swap": words that an audit flags as shortcuts are swapped between texts or dropped
          (:class:`skcap.guidance.SwapGuidance`); where nothing is flagged, training is unguided.
          The default, as the only one that was found to cost nothing on clean texts;
        - "alignment": the model's own attribution should agree with the prior, the paper's
          guidance (:class:`skcap.guidance.AlignmentGuidance`);
        - "rationale": decide by the words that the prior favours, not by the others
          (:class:`skcap.guidance.RationaleGuidance`);
        - "masker": a masker, trained in turns with the classifier, says which words should decide
          (:class:`skcap.guidance.MaskerGuidance`);
        - "adversarial": withstand adversarial changes of the word embeddings
          (:class:`skcap.guidance.AdversarialGuidance`);

        or your own subclass of :class:`skcap.guidance.BaseGuidance`. The losses of a list add up.
        None trains on the labels alone.
    beta : float, default=1.0
        Weight of the losses of the guidance ("swap" adds none, so only 0 matters to it). 0 trains
        on the labels alone and takes plain texts; else `X` must be a PriorMatrix with scores if a
        guidance needs a prior.
    ig_baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for every token at the start of the path in :meth:`explain`: the embedding
        of the padding or mask token, or zeros. Try "mask" where "pad" is an all-zero embedding.
    explain_steps : int, default=16
        Points of the quadrature in :meth:`explain`; more make it more exact.
    pooling : {"mean", "cls"}, default="mean"
        How token states become one vector: their mean, for sentence encoders, or "cls", where the
        first token was trained to stand for the text.
    normalize_embeddings : bool, default=True
        Bring the vector of each text to unit length before the head, as most sentence encoders
        were trained to be used. False suits an encoder that was not, with a head that starts at
        random.
    label_weight : float or "auto", default="auto"
        The name of each label is learned as one more text of its class, which counts as much as
        that many others; with few texts per class it is worth about as much as one of them. 0
        leaves names out. "auto" is 1 where labels are str or have `label_names`, else 0, since
        numbers say nothing.
    label_names : mapping, sequence, callable or None, default=None
        From a label to its name, or names in the order of the sorted labels. None makes
        ``card_arrival`` ``card arrival``.
    dropout : float, default=0.1
        Before the head, on top of the encoder's own.
    head_init : {"probe", "random"}, default="probe"
        Where the head starts from: a logistic regression on what the encoder gives before any
        training, which suits sentence encoders and few texts; or at random, which suits an encoder
        whose states mean little before it is fine-tuned.
    max_epochs : int, default=10
        Passes over the data. Few texts need many, thousands need three to five.
    batch_size : int, default=32
        Texts of a training step. They are drawn at random but of like length, so that little is
        spent on padding; ``iterator_train__sampler`` takes another order.
    lr : float, default=3e-4
        Peak learning rate of the encoder; large encoders need 2e-5 to 5e-5.
    head_lr : float or None, default=None
        Peak learning rate of the head. None is 20 times `lr` for a head that starts at random, and
        3 times `lr` for one that starts from a probe.
    warmup : float or None, default=0.1
        Share of the steps in which the learning rates rise from 0; then they fall linearly to 0.
        None keeps them constant, as for a scheduler of your own in `callbacks`.
    class_weight : "balanced", dict of label to weight, or None, default=None
        Multiplied with `sample_weight`.
    max_length : int or None, default=None
        Most tokens of a text, special ones included. None is what the model can take.
    train_split : skorch.dataset.ValidSplit or None, default=None
        What to hold out, for early stopping, such as ``ValidSplit(5, stratified=True)``. The
        validation loss is the cross-entropy.
    callbacks : list of skorch callbacks or None, default=None
        Such as ``EarlyStopping`` or ``Checkpoint``, which need a `train_split` unless they monitor
        a value of the training. Each fit uses a copy, found in ``net_.callbacks_``.
    device : str, default="auto"
        "auto" is the GPU where there is one, else the CPU; else what torch calls a device.
    amp : "auto" or bool, default="auto"
        Compute in bfloat16 where that is safe (not in :meth:`explain`). "auto" does so on GPUs
        that have it (compute capability 8 and up).
    model_kwargs : dict or None, default=None
        Passed on when the encoder and its tokenizer are loaded: ``revision``,
        ``local_files_only``, ``trust_remote_code``.
    random_state : int, RandomState or None, default=None
        Seeds the head, the order of the texts, dropout and guidance. The same int gives the same
        weights on a CPU. Torch's global generator is left as it was; since all threads share it,
        fits in threads run one after another, and only processes train at the same time.
    verbose : int, default=1
        1 shows progress on stderr, from two seconds on, in training, in explaining, and in
        predicting for more than 4,096 texts; 2 also prints skorch's table of losses by epoch.
    **skorch_params
        Parameters of the optimiser (``optimizer__betas``, ``optimizer__weight_decay``, 0.01 by
        default), of the data loaders (``iterator_train__num_workers``), of the loss
        (``criterion__label_smoothing``) and of callbacks (``callbacks__NAME__patience``).

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    guidance_ : list of BaseGuidance
        The guidance as it was used, with what it learned; empty without guidance.
    audit_ : skcap.shortcuts.ShortcutAudit
        The audit of the unguided model, where a guidance made one ("swap"), without that model
        and the prior.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` has ``train_ce`` and, for each part of the guidance,
        ``train_<name>`` by epoch, such as ``train_alignment``.
    tokenizer_ : transformers.PreTrainedTokenizerFast
    max_length_ : int
        Number of tokens at which texts are cut.
    training_data_ : dict
        `n_texts`, `texts_per_class` in the order of `classes_`, and `prior`, where the scores of
        the words come from: the provenance of the PriorMatrix, None if no prior was used.

    Examples
    --------
    >>> from skcap.classifier import GuidedTextClassifier
    >>> clf = GuidedTextClassifier(guidance=None, optimizer__betas=(0.9, 0.98))
    >>> clf
    GuidedTextClassifier(guidance=None, optimizer__betas=(0.9, 0.98))
    >>> X = ["play some jazz", "is it raining?"]
    >>> clf.fit(X, ["music", "weather"]).predict(X)  # doctest: +SKIP
    array(['music', 'weather'], dtype='<U7')
    """

    _parameter_constraints = {
        "model": "no_validation",  # by resolve_model
        "guidance": "no_validation",  # by resolve_guidance
        "beta": [number(0)],
        "ig_baseline": [StrOptions(set(BASELINES))],
        "explain_steps": [integer(1)],
        "pooling": [StrOptions(set(POOLINGS))],
        "normalize_embeddings": [Options(bool, {True, False})],
        "label_weight": [StrOptions({"auto"}), number(0)],
        "label_names": "no_validation",  # by name_labels
        "dropout": [number(0, 1)],
        "head_init": [StrOptions(set(HEAD_INITS))],
        "max_epochs": [integer(1)],
        "batch_size": [integer(1)],
        "lr": [number(0)],
        "head_lr": [number(0), None],
        "warmup": [number(0, 1), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "max_length": [integer(1), None],
        "train_split": [callable, None],
        "callbacks": [list, tuple, None],
        "device": [str, torch.device],
        "amp": [StrOptions({"auto"}), Options(bool, {True, False})],
        "model_kwargs": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: str | os.PathLike[str] = "all-minilm-l6-v2",
        *,
        guidance: str | BaseGuidance | Sequence[str | BaseGuidance] | None = "swap",
        beta: float = 1.0,
        ig_baseline: str = "pad",
        explain_steps: int = 16,
        pooling: str = "mean",
        normalize_embeddings: bool = True,
        label_weight: float | str = "auto",
        label_names: Mapping[Any, str] | Sequence[str] | Callable[[Any], str] | None = None,
        dropout: float = 0.1,
        head_init: str = "probe",
        max_epochs: int = 10,
        batch_size: int = 32,
        lr: float = 3e-4,
        head_lr: float | None = None,
        warmup: float | None = 0.1,
        class_weight: str | Mapping[Any, float] | None = None,
        max_length: int | None = None,
        train_split: Any = None,
        callbacks: Sequence[Any] | None = None,
        device: str = "auto",
        amp: str | bool = "auto",
        model_kwargs: Mapping[str, Any] | None = None,
        random_state: Any = None,
        verbose: int = 1,
        **skorch_params: Any,
    ) -> None:
        self.model = model
        self.guidance = guidance
        self.beta = beta
        self.ig_baseline = ig_baseline
        self.explain_steps = explain_steps
        self.pooling = pooling
        self.normalize_embeddings = normalize_embeddings
        self.label_weight = label_weight
        self.label_names = label_names
        self.dropout = dropout
        self.head_init = head_init
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.head_lr = head_lr
        self.warmup = warmup
        self.class_weight = class_weight
        self.max_length = max_length
        self.train_split = train_split
        self.callbacks = callbacks
        self.device = device
        self.amp = amp
        self.model_kwargs = model_kwargs
        self.random_state = random_state
        self.verbose = verbose
        self._set_skorch_params(skorch_params)

    # -- learning ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GuidedTextClassifier:
        """Fine-tune the encoder and its head.

        Parameters
        ----------
        X : PriorMatrix, or list, tuple, 1-D array or Series of str, length n_texts
            Texts, with a prior for their words where the guidance needs one.
        y : array-like of str or int, shape (n_texts,)
            At least two classes. Members of an enumeration stand for their values, here and in
            :meth:`score` and :meth:`explain`. scikit-learn's own scorers, such as
            ``scoring="accuracy"``, splitters and searches take them as they are, so give these the
            values.
        sample_weight : array-like of float, shape (n_texts,), default=None
            How much a text counts, in all parts of the loss.

        Returns
        -------
        GuidedTextClassifier
            Itself.

        Raises
        ------
        ValueError
            If the guidance needs a prior and there is none, or a parameter, `y` or `sample_weight`
            is not valid.
        skcap.models.ModelLoadError
            If the model cannot be loaded.
        """
        # Gradients are needed, wherever this is called.
        with fitting(self), torch.inference_mode(False), torch.enable_grad():
            check_saved(self.get_params(deep=False))
            check_parameters(self)
            guidance = self._used_guidance()
            self._warn_of_idle_beta(guidance)
            data = self._read(X, y, sample_weight, guidance)
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            self._fit(data, guidance, seed)
        return self

    @property
    def needs_prior(self) -> bool:
        """Whether :meth:`fit` takes only a PriorMatrix with scores: its guidance needs a prior.

        There is no such attribute where a loaded classifier lacks its guidance.
        """
        try:
            check_saved({"guidance": self.guidance})
        except ValueError as error:
            raise AttributeError(f"Whether a prior is needed cannot be told: {error}") from error
        return any(item.needs_prior for item in self._used_guidance())

    def _used_guidance(self) -> list[BaseGuidance]:
        return resolve_guidance(self.guidance) if self.beta else []

    def _read(
        self, X: Any, y: Any, sample_weight: Any, guidance: Sequence[BaseGuidance]
    ) -> TrainingSet:
        texts = check_some_texts(X)
        needing = [item for item in guidance if item.needs_prior]
        if needing:
            check_priors(X, needing[0])
        has_scores = isinstance(X, PriorMatrix) and X.has_scores
        classes, codes = sort_labels(y, texts)
        weights = check_weights(sample_weight, codes.size)
        weights = weights * weigh_classes(self.class_weight, classes[codes])
        if not weights.any():
            raise ValueError(
                f"class_weight={self.class_weight!r:.80} times sample_weight is 0 for every text. "
                "Give some class a weight above 0."
            )
        name_weight, names = self._name_labels(classes)
        return TrainingSet(
            texts=texts,
            classes=classes,
            codes=codes,
            weights=weights / weights.mean(),
            priors=list(X.scores) if guidance and has_scores else None,
            names=names,
            name_weight=name_weight,
            provenance=X.provenance if guidance and has_scores else None,
        )

    def _warn_of_idle_beta(self, guidance: Sequence[BaseGuidance]) -> None:
        """Warn if `beta` was set and weighs nothing, as in a search over it."""
        if self.beta == 1 or not guidance or any(item.parts for item in guidance):
            return
        warnings.warn(
            f"beta={self.beta} changes nothing: it weighs the losses of the guidance, and "
            f"{self.guidance!r:.80} has none. Pass guidance='alignment', or leave beta at 1.",
            UserWarning,
            stacklevel=3,
        )

    def _name_labels(self, classes: np.ndarray) -> tuple[float, list[str] | None]:
        """Say what a label's name weighs as a text, and the names if they are to be learned."""
        weight: Any = self.label_weight
        if weight == "auto":
            mute = None if self.label_names is not None else meaningless_labels(classes)
            weight = float(mute is None)
            if mute is not None:
                warnings.warn(
                    f"The labels are {mute}, so their names teach nothing and are left out. Say "
                    "what they mean through label_names, or pass label_weight=0.",
                    UserWarning,
                    stacklevel=4,
                )
        if weight == 0:
            return 0.0, None
        try:
            return weight, name_labels(classes, self.label_names)
        except ValueError as error:
            raise ValueError(f"{error} label_weight=0 trains without names.") from error

    # -- predicting -------------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Predict labels.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts

        Returns
        -------
        ndarray, shape (n_texts,)
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts

        Returns
        -------
        ndarray of float32, shape (n_texts, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        return probabilities(self.net_, self._encode(check_some_texts(X)), self.verbose)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of the probability of each class.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts

        Returns
        -------
        ndarray of float32, shape (n_texts, n_classes)
            In the order of ``classes_``; minus infinity where a probability is rounded to 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the logits: scores before softmax, such as the energy of a text is made of.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts

        Returns
        -------
        ndarray of float32, shape (n_texts, n_classes), or (n_texts,) for two classes
            In the order of ``classes_``. For two classes, as scikit-learn has it, the logit of the
            second minus that of the first.
        """
        check_is_fitted(self)
        scores = logits(self.net_, self._encode(check_some_texts(X)), self.verbose)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Compute the accuracy of the predicted labels.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts
        y : array-like of str or int, shape (n_texts,)
        sample_weight : array-like of float, shape (n_texts,), default=None

        Returns
        -------
        float
        """
        return super().score(X, check_labels(check_some_texts(X), y), sample_weight)

    def explain(
        self, X: Any, y: Any = None, n_steps: int | None = None, *, target: str = "logit"
    ) -> PriorMatrix:
        """Attribute the model's decisions to words, by integrated gradients.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts
        y : array-like, shape (n_texts,), default=None
            The label to explain for each text; None explains the predicted one.
        n_steps : int, default=None
            Points on the path; None is `explain_steps`.
        target : {"logit", "log_odds", "probability"}, default="logit"
            What is attributed. Log-odds also count what a word does to the other classes' logits.
            Probabilities saturate once a text is learned.

        Returns
        -------
        PriorMatrix
            What each word adds to the target, compared with `ig_baseline`: not normalised. Words
            that were cut off are NaN; a word without a token is 0.

        Raises
        ------
        ValueError
            If a label in `y` was not among those of :meth:`fit`, or a parameter is not valid.
        """
        check_is_fitted(self)
        n_steps = self.explain_steps if n_steps is None else n_steps
        check_number("n_steps", n_steps, integer(1))
        check_choice("target", target, OUTPUTS)
        texts = check_some_texts(X)
        encoded = self._encode(texts)
        codes = (
            probabilities(self.net_, encoded).argmax(axis=1) if y is None else self._codes(y, texts)
        )
        scores: list[np.ndarray] = [np.empty(0)] * len(texts)
        size = self.net_.iterator_valid__batch_size
        size = len(texts) if size < 0 else size  # skorch's -1 is all at once
        token = find_baseline_token(self.tokenizer_, self.ig_baseline, "ig_baseline")
        with (
            torch.inference_mode(False),  # gradients are needed, wherever this is called
            torch.enable_grad(),
            show_progress(len(texts), "explain", "text", verbose=self.verbose) as progress,
        ):
            for rows, batch, classes in batches_by_length(self.net_, encoded, codes, size):
                own = [encoded[row] for row in rows]
                words = attribute_words(
                    self.net_.module_,
                    batch,
                    classes,
                    n_words=max(text.truncated.size for text in own),
                    n_steps=int(n_steps),
                    baseline_token=token,
                    output=target,
                    internal_batch_size=ROWS,
                )
                for row, values in zip(rows, scores_by_text(words, own), strict=True):
                    scores[row] = values
                progress.update(len(rows))
        provenance = {
            "source": "integrated_gradients",
            "model": str(self._fitted_with_["model"]),
            "target": target,
            "baseline": self.ig_baseline,
            "n_steps": int(n_steps),
            "labels": "predicted" if y is None else "given",
        }
        return PriorMatrix(texts, scores, provenance=provenance)

    def _codes(self, y: Any, texts: list[str]) -> np.ndarray:
        labels = check_labels(texts, y)
        position = {label: code for code, label in enumerate(self.classes_.tolist())}
        unknown = sorted({repr(label) for label in labels.tolist() if label not in position})
        if unknown:
            raise ValueError(
                f"y holds labels that were not there in fit: {', '.join(unknown[:5])}. "
                f"Known are {', '.join(map(repr, list(position)[:5]))}"
                f"{', ...' if len(position) > 5 else ''}."
            )
        return np.array([position[label] for label in labels.tolist()])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn before 1.6
        return {"X_types": ["1darray", "string"]}
