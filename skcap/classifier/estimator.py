"""GuidedTextClassifier: a text classifier that learns its labels and where to look."""

from __future__ import annotations

import difflib
import inspect
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
from skorch.callbacks import PassthroughScoring
from skorch.utils import to_tensor
from torch.utils.data import DataLoader

from skcap.attribution import OUTPUTS, PATHS, attribute_words
from skcap.classifier.batches import training_loader
from skcap.classifier.encoder import (
    POOLINGS,
    EncodedText,
    PadCollate,
    TextDataset,
    TextEncoderClassifier,
    encode_texts,
    load_tokenizer,
)
from skcap.classifier.head import HEAD_INITS
from skcap.classifier.net import BETA_SCHEDULES, GUIDANCE, Guidance, GuidedNet, WarmupDecay
from skcap.models import explain_load_errors, resolve_device, resolve_model
from skcap.prior_matrix import PriorMatrix
from skcap.utils.labels import check_labels, name_labels
from skcap.utils.norms import ALIGNMENT_LOSSES, NORMS
from skcap.utils.seeds import seeded
from skcap.utils.words import check_texts

__all__ = ["GuidedTextClassifier"]

_BASELINES = ("pad", "mask", "zero")
_ROWS = 64  # rows of one forward pass without training: enough to keep a device busy


class GuidedTextClassifier(ClassifierMixin, BaseEstimator):
    """Text classifier whose word attributions are guided by a prior.

    A Hugging Face encoder with a linear head is fine-tuned on
    ``cross-entropy + beta * mean squared error of (prior, own attribution)``, where the model's
    own attribution is integrated gradients for the true class, summed into words, and both sides
    are brought to the same norm; or with another use of the prior, see `guidance`. Predicting
    needs no prior.

    Parameters
    ----------
    model : str or path, default="all-minilm-l6-v2"
        Encoder: an alias (see ``python -m skcap models``), a folder, or the id of a hub model.
    beta : float, default=1.0
        Weight of the guidance. 0 trains on cross-entropy alone, takes plain texts, and computes no
        attributions; with a positive one `X` must be a PriorMatrix with scores.
    beta_schedule : {"constant", "rise", "fall"}, default="constant"
        Whether the weight stays, rises from near 0 to `beta`, or falls from `beta` to near 0, in
        equal parts an epoch.
    guidance : {"alignment", "distraction", "both", "rationale"}, default="alignment"
        What priors teach. "alignment", the paper's: the model's own attribution shall agree with
        the prior. "distraction": the class of a text shall not change when words come in that the
        prior calls telling for another class, see :func:`skcap.guidance.distractors.add_distractors`. It
        needs no second derivatives. "both": these two. "rationale": the class shall also be told
        from the words alone that the prior speaks for, and not be told from the other words alone,
        see :func:`skcap.guidance.rationale_words.keep_words`; for training texts with a shortcut in them, a word
        that goes with the label by accident.
    n_distractors : int, default=2
        Words put into each text by "distraction".
    rationale_share : float, default=0.5
        Share of a text's words, from 0 to 1, that "rationale" keeps, one word at least.
    complement_weight : float, default=0.3
        Of what the other words tell in "rationale", where what the rationale tells counts 1: the
        divergence of the predicted probabilities from all classes being as likely. 0 leaves the
        other words alone.
    alignment_loss : {"mse", "cosine", "rank", "kl"}, default="mse"
        What "alignment" compares attributions and priors by, see
        :func:`skcap.utils.norms.alignment_loss`. "kl" needs ``normalize="softmax"``.
    normalize : {"l2", "max", "sum", "minmax", "softmax"} or None, default="l2"
        Norm of priors and attributions, see :func:`skcap.utils.norms.normalize_scores`.
    ig_steps : int, default=1
        Points on the path of integrated gradients in each training step; cost grows with it.
    ig_path : {"gausslegendre", "random"}, default="random"
        Where these points lie: drawn anew in each step, which is unbiased but, with few points, far
        off in each; or at the fixed nodes of a quadrature, for one point the middle of the path. A
        model can learn to have gradients there that please the prior and others elsewhere, so that
        :meth:`explain` no longer says what it goes by: fixed nodes want eight points or so.
    ig_baseline : {"pad", "mask", "zero"}, default="pad"
        What stands in for every token at the start of the path: the embedding of the padding or
        mask token, or zeros. Try "mask" where "pad" is an all-zero embedding.
    ig_target : {"logit", "log_odds", "probability"}, default="logit"
        What is attributed. Log-odds also count what a word does to the other classes' logits.
        Probabilities saturate once a text is learnt.
    alignment_limit : float or None, default=None
        Most that the alignment counts in a step: the norm of its gradient, `beta` included, over
        that of the cross-entropy's. At points drawn at random it is large now and then, thirty
        times the cross-entropy's. 1.0 holds such steps down, as with a large `beta` or another
        loss; it also leaves more room to please the drawn points alone. None sets no limit.
    explain_steps : int, default=16
        Points of the quadrature in :meth:`explain`; more make it more exact.
    pooling : {"mean", "cls"}, default="mean"
        How token states become one: mean for sentence encoders, "cls" where the first token was
        trained to stand for the text.
    normalize_embeddings : bool, default=True
        Bring the pooled vector of each text to unit length before the head, as most sentence
        encoders were trained to be used. False suits an encoder that was not, with a head that
        starts at random.
    label_weight : float or "auto", default="auto"
        The name of each label is learnt as one more text of its class, which counts as much as
        that many others; with few texts a class it is worth about as much as one of them. 0 leaves
        names out. "auto" is 1 where labels are str or have `label_names`, else 0, since numbers
        say nothing.
    label_names : mapping, callable or None, default=None
        From a label to its name; None makes ``card_arrival`` ``card arrival``.
    dropout : float, default=0.1
        Before the head, on top of the encoder's own.
    head_init : {"probe", "random"}, default="probe"
        Where the head starts from: a logistic regression on what the encoder gives before any
        training, which suits sentence encoders and few texts, or at random, as suits an encoder
        whose states mean little before it is fine-tuned.
    max_epochs : int, default=10
        Passes over the data. Few texts need many, thousands need three to five.
    batch_size : int, default=32
        Texts a training step. They are drawn at random but of like length, so that little is
        spent on padding; ``iterator_train__sampler`` takes another order.
    lr : float, default=3e-4
        Peak learning rate of the encoder; large encoders want 2e-5 to 5e-5.
    head_lr : float or None, default=None
        Peak learning rate of the head. None is 20 times `lr` for a head that starts at random, and
        3 times `lr` for one that starts from a probe.
    weight_decay : float, default=0.01
        Of AdamW.
    warmup : float or None, default=0.1
        Share of the steps in which the learning rates rise from 0; then they fall linearly to 0.
        None keeps them constant, as for a scheduler of your own in `callbacks`.
    class_weight : "balanced", dict of label to weight, or None, default=None
        Multiplied with `sample_weight`.
    max_length : int or None, default=None
        Most tokens of a text, special ones included. None is what the model can take.
    train_split : skorch.dataset.ValidSplit or None, default=None
        What to hold out, for early stopping. The validation loss is the cross-entropy.
    callbacks : list of skorch callbacks or None, default=None
        Such as ``EarlyStopping`` or ``Checkpoint``. Each fit uses a copy, found in
        ``net_.callbacks_``.
    device : str, default="auto"
        "auto" is the GPU where there is one, else the CPU; else what torch calls a device.
    amp : "auto" or bool, default="auto"
        Compute in bfloat16 where that is safe (not in :meth:`explain`). "auto" does so on GPUs
        that have it (compute capability 8 and up).
    local_files_only, trust_remote_code : bool, default=False
        Never ask the hub; run code that comes with a hub model.
    revision : str or None, default=None
        Branch, tag or commit of a hub model.
    random_state : int, RandomState or None, default=None
        Seeds the head, the order of the texts, dropout and random paths. The same int gives the
        same weights on a CPU. Torch's global generator is left as it was.
    verbose : int, default=0
        1 prints a line an epoch.
    **skorch_params
        Parameters of the optimiser (``optimizer__betas``), of the data loaders
        (``iterator_train__num_workers``, ``iterator_valid__batch_size``), of the loss
        (``criterion__label_smoothing``) and of callbacks (``callbacks__NAME__patience``).

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The labels, sorted.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` has ``train_ce`` and, where they are part of the loss,
        ``train_alignment``, ``train_distracted``, ``train_rationale`` or ``train_complement`` by
        epoch.
    tokenizer_ : transformers.PreTrainedTokenizerFast
    max_length_ : int
        Number of tokens at which texts are cut.

    Examples
    --------
    >>> from skcap.classifier import GuidedTextClassifier
    >>> clf = GuidedTextClassifier(beta=0, optimizer__betas=(0.9, 0.98))
    >>> clf
    GuidedTextClassifier(beta=0, optimizer__betas=(0.9, 0.98))
    >>> X = ["play some jazz", "is it raining?"]
    >>> clf.fit(X, ["music", "weather"]).predict(X)  # doctest: +SKIP
    array(['music', 'weather'], dtype='<U7')
    """

    def __init__(
        self,
        model: str = "all-minilm-l6-v2",
        *,
        beta: float = 1.0,
        beta_schedule: str = "constant",
        guidance: str = "alignment",
        n_distractors: int = 2,
        rationale_share: float = 0.5,
        complement_weight: float = 0.3,
        alignment_loss: str = "mse",
        normalize: str | None = "l2",
        ig_steps: int = 1,
        ig_path: str = "random",
        ig_baseline: str = "pad",
        ig_target: str = "logit",
        alignment_limit: float | None = None,
        explain_steps: int = 16,
        pooling: str = "mean",
        normalize_embeddings: bool = True,
        label_weight: float | str = "auto",
        label_names: Mapping[Any, str] | Callable[[Any], str] | None = None,
        dropout: float = 0.1,
        head_init: str = "probe",
        max_epochs: int = 10,
        batch_size: int = 32,
        lr: float = 3e-4,
        head_lr: float | None = None,
        weight_decay: float = 0.01,
        warmup: float | None = 0.1,
        class_weight: str | Mapping[Any, float] | None = None,
        max_length: int | None = None,
        train_split: Any = None,
        callbacks: Sequence[Any] | None = None,
        device: str = "auto",
        amp: str | bool = "auto",
        local_files_only: bool = False,
        trust_remote_code: bool = False,
        revision: str | None = None,
        random_state: Any = None,
        verbose: int = 0,
        **skorch_params: Any,
    ) -> None:
        self.model = model
        self.beta = beta
        self.beta_schedule = beta_schedule
        self.guidance = guidance
        self.n_distractors = n_distractors
        self.rationale_share = rationale_share
        self.complement_weight = complement_weight
        self.alignment_loss = alignment_loss
        self.normalize = normalize
        self.ig_steps = ig_steps
        self.ig_path = ig_path
        self.ig_baseline = ig_baseline
        self.ig_target = ig_target
        self.alignment_limit = alignment_limit
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
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.class_weight = class_weight
        self.max_length = max_length
        self.train_split = train_split
        self.callbacks = callbacks
        self.device = device
        self.amp = amp
        self.local_files_only = local_files_only
        self.trust_remote_code = trust_remote_code
        self.revision = revision
        self.random_state = random_state
        self.verbose = verbose
        self._check_names(skorch_params, TypeError)
        for name, value in skorch_params.items():
            setattr(self, name, value)

    # -- parameters -------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of skorch included.

        Parameters
        ----------
        deep : bool, default=True
            Also those of parameters that are estimators.

        Returns
        -------
        dict
        """
        return {**super().get_params(deep), **self._skorch_params()}

    def _skorch_params(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if "__" in name}

    def set_params(self, **params: Any) -> GuidedTextClassifier:
        """Set parameters, those of skorch included.

        Parameters
        ----------
        **params
            Such as ``beta=0.5`` or ``optimizer__betas=(0.9, 0.98)``.

        Returns
        -------
        GuidedTextClassifier
            Itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        self._check_names(params, ValueError)
        own = self._get_param_names()
        super().set_params(**{name: value for name, value in params.items() if name in own})
        for name in params.keys() - own:
            setattr(self, name, params[name])
        return self

    @classmethod
    def _check_names(cls, names: Mapping[str, Any], error: type[Exception]) -> None:
        own, known = cls._get_param_names(), _skorch_names()
        for name in names:
            if name in own or name in known or name.startswith("callbacks__"):
                continue
            inner = name.rpartition("__")[2]
            close = [inner] if inner in own else difflib.get_close_matches(name, own + known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise error(f"{cls.__name__} has no parameter {name!r}.{hint}")

    def _check_parameters(self) -> None:
        for name, allowed in (
            ("beta_schedule", tuple(BETA_SCHEDULES)),
            ("guidance", tuple(GUIDANCE)),
            ("alignment_loss", ALIGNMENT_LOSSES),
            ("normalize", NORMS),
            ("ig_path", PATHS),
            ("ig_baseline", _BASELINES),
            ("ig_target", OUTPUTS),
            ("pooling", POOLINGS),
            ("normalize_embeddings", (True, False)),
            ("head_init", HEAD_INITS),
            ("amp", ("auto", True, False)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                options = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} must be one of {options}, got {value!r}.")
        for name in ("n_distractors", "ig_steps", "explain_steps", "max_epochs", "batch_size"):
            _check_number(name, getattr(self, name), numbers.Integral, 1)
        for name in ("beta", "complement_weight", "weight_decay", "lr"):
            _check_number(name, getattr(self, name), numbers.Real, 0)
        for name in ("dropout", "rationale_share"):
            _check_number(name, getattr(self, name), numbers.Real, 0, 1)
        if self.alignment_loss == "kl" and self.normalize != "softmax":
            raise ValueError(
                "alignment_loss='kl' compares shares of one, which normalize="
                f"{self.normalize!r} does not give. Set normalize='softmax'."
            )
        if self.head_lr is not None:
            _check_number("head_lr", self.head_lr, numbers.Real, 0)
        if self.alignment_limit is not None:
            _check_number("alignment_limit", self.alignment_limit, numbers.Real, 0)
        if self.warmup is not None:
            _check_number("warmup", self.warmup, numbers.Real, 0, 1)
        if isinstance(self.label_weight, str):
            if self.label_weight != "auto":
                raise ValueError(
                    f'label_weight must be "auto" or a number of at least 0, got '
                    f"{self.label_weight!r}."
                )
        else:
            _check_number("label_weight", self.label_weight, numbers.Real, 0)

    # -- learning ---------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GuidedTextClassifier:
        """Fine-tune the encoder and its head.

        Parameters
        ----------
        X : PriorMatrix, or list, tuple, 1-D array or Series of str, length n_texts
            Texts with a prior for their words; plain texts only if `beta` is 0.
        y : array-like of str or int, shape (n_texts,)
            At least two classes.
        sample_weight : array-like of float, shape (n_texts,), default=None
            How much a text counts, in both parts of the loss.

        Returns
        -------
        GuidedTextClassifier
            Itself.

        Raises
        ------
        ValueError
            If guidance is asked for without a prior, or a parameter, `y` or `sample_weight` is not
            valid.
        skcap.models.ModelLoadError
            If the model cannot be loaded.
        """
        self._check_parameters()
        texts = _check_some_texts(X)
        priors = self._check_priors(X)
        classes, codes = _check_labels(y, texts)
        weights = _check_weights(sample_weight, codes.size)
        weights = weights * compute_sample_weight(self.class_weight, classes[codes])
        name_weight, names = self._name_labels(classes)
        options = self._load_options()
        device = torch.device(resolve_device(self.device))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        # A net of an earlier fit would hold its memory while the next one trains.
        self.__dict__.pop("net_", None)
        with seeded(seed, device), explain_load_errors(self.model):
            folder = resolve_model(
                self.model, revision=self.revision, local_files_only=self.local_files_only
            )
            self.tokenizer_ = load_tokenizer(folder, **options)
            net = self._make_net(folder, options, len(classes), device)
            net.initialize()
        self.max_length_ = self._choose_max_length(net.module_)
        dataset = TextDataset(self._encode(texts), codes, priors, weights / weights.mean())
        if names is not None:
            net.set_params(names=self._encode_names(names, name_weight, priors is not None))
        if net.guidance is not None and "train_alignment" in net.guidance.measures:
            self._warn_of_flat_path(net.module_)
        with seeded(seed, device):
            net.partial_fit(dataset, y=codes)
        _release_training_memory(net)
        self.classes_, self.net_ = classes, net
        return self

    def _name_labels(self, classes: np.ndarray) -> tuple[float, list[str] | None]:
        """Say what a label's name weighs as a text, and the names if they are to be learnt."""
        weight: Any = self.label_weight
        if weight == "auto":
            tells = self.label_names is not None or isinstance(classes.tolist()[0], str)
            weight = float(tells)
        if weight == 0:
            return 0.0, None
        try:
            return weight, name_labels(classes, self.label_names)
        except ValueError as error:
            raise ValueError(f"{error} label_weight=0 trains without names.") from error

    def _encode_names(self, names: list[str], weight: float, with_priors: bool) -> TextDataset:
        """Make a text of each label's name, with no prior for its words."""
        encoded = self._encode(names)
        unknown = [np.full(text.truncated.size, np.nan) for text in encoded]
        codes, weights = np.arange(len(names)), np.full(len(names), weight)
        return TextDataset(encoded, codes, unknown if with_priors else None, weights)

    def _check_priors(self, X: Any) -> list[np.ndarray] | None:
        if self.beta == 0:
            return None
        remedy = (
            "Put a prior transformer, such as CAPPriorTransformer, before the classifier in a "
            "Pipeline, pass a PriorMatrix with scores (from a prior's fit_transform or attribute), "
            "or set beta=0 to train without guidance."
        )
        if not isinstance(X, PriorMatrix):
            raise ValueError(
                f"beta={self.beta!r} asks for guidance, but X is {type(X).__name__}: plain texts "
                f"without a prior. {remedy}"
            )
        if not X.has_scores:
            raise ValueError(
                f"beta={self.beta!r} asks for guidance, but the PriorMatrix has no scores (a "
                f"prior's transform gives none). {remedy}"
            )
        return list(X.scores)

    def _load_options(self) -> dict[str, Any]:
        options = {
            "local_files_only": self.local_files_only,
            "trust_remote_code": self.trust_remote_code,
        }
        return options if self.revision is None else {**options, "revision": self.revision}

    def _make_net(
        self, folder: str, options: dict[str, Any], n_classes: int, device: torch.device
    ) -> GuidedNet:
        head_lr = self.head_lr
        if head_lr is None:
            head_lr = self.lr * (20 if self.head_init == "random" else 3)
        collate = PadCollate(self.tokenizer_.pad_token_id or 0)
        guidance = self._guidance() if self.beta else None
        measures = ["train_ce", *(guidance.measures if guidance else ())]
        callbacks = [(name, PassthroughScoring(name, on_train=True)) for name in measures]
        if self.warmup is not None:
            callbacks.append(("schedule", WarmupDecay(self.warmup)))
        defaults = {
            "optimizer__param_groups": [("head.*", {"lr": head_lr})],
            # One kernel for all weights: on a CPU a small encoder's step takes half the time.
            "optimizer__fused": device.type in ("cpu", "cuda"),
            "iterator_valid__batch_size": max(_ROWS, self.batch_size),
        }
        return GuidedNet(
            TextEncoderClassifier,
            guidance=guidance,
            amp=_resolve_amp(self.amp, device),
            head_init=self.head_init,
            module__model=folder,
            module__n_classes=n_classes,
            module__pooling=self.pooling,
            module__dropout=self.dropout,
            module__normalize_embeddings=self.normalize_embeddings,
            module__options=options,
            criterion=torch.nn.CrossEntropyLoss,
            criterion__reduction="none",
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=training_loader,
            iterator_train__collate_fn=collate,
            iterator_valid__collate_fn=collate,
            train_split=self.train_split,
            callbacks=[*callbacks, *clone(list(self.callbacks or []), safe=False)],
            device=str(device),
            verbose=self.verbose,
            **{**defaults, **self._skorch_params()},
        )

    def _guidance(self) -> Guidance:
        return Guidance(
            kind=self.guidance,
            beta=self.beta,
            beta_schedule=self.beta_schedule,
            alignment_loss=self.alignment_loss,
            normalize=self.normalize,
            n_steps=self.ig_steps,
            path=self.ig_path,
            baseline_token=self._baseline_token(),
            output=self.ig_target,
            limit=self.alignment_limit,
            n_distractors=self.n_distractors,
            share=self.rationale_share,
            complement_weight=self.complement_weight,
        )

    def _baseline_token(self) -> int | None:
        if self.ig_baseline == "zero":
            return None
        token = getattr(self.tokenizer_, f"{self.ig_baseline}_token_id")
        if token is None:
            raise ValueError(
                f"ig_baseline={self.ig_baseline!r} needs a {self.ig_baseline} token, which the "
                f"tokenizer of {self.model!r} does not have. Choose another of "
                f"{', '.join(map(repr, _BASELINES))}."
            )
        return token

    def _choose_max_length(self, module: TextEncoderClassifier) -> int:
        limit = int(min(module.max_tokens, self.tokenizer_.model_max_length))
        if self.max_length is None:
            return limit
        least = self.tokenizer_.num_special_tokens_to_add() + 1
        _check_number("max_length", self.max_length, numbers.Integral, least, limit)
        return int(self.max_length)

    def _warn_of_flat_path(self, module: TextEncoderClassifier) -> None:
        empty = not module.embed_token(self._baseline_token()).any()
        if empty and module.position_table is None:
            warnings.warn(
                f"ig_baseline={self.ig_baseline!r} is an all-zero embedding in {self.model!r}, "
                "which adds no positions to its embeddings. Its layer norm undoes all that happens "
                "on a path from zero, so attributions come out close to zero. Use "
                "ig_baseline='mask'.",
                stacklevel=3,
            )

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
        return self._probabilities(self._encode(_check_some_texts(X)))

    def explain(self, X: Any, y: Any = None, n_steps: int | None = None) -> PriorMatrix:
        """Attribute the model's decisions to words, by integrated gradients.

        Parameters
        ----------
        X : list, tuple, 1-D array or Series of str, or PriorMatrix, length n_texts
        y : array-like, shape (n_texts,), default=None
            The label to explain for each text; None explains the predicted one.
        n_steps : int, default=None
            Points on the path; None is `explain_steps`.

        Returns
        -------
        PriorMatrix
            What each word adds to the score (`ig_target`), compared with `ig_baseline`: not
            normalised. Words that were cut off are NaN; a word without a token is 0.

        Raises
        ------
        ValueError
            If a label in `y` was not among those of :meth:`fit`.
        """
        check_is_fitted(self)
        n_steps = self.explain_steps if n_steps is None else n_steps
        _check_number("n_steps", n_steps, numbers.Integral, 1)
        texts = _check_some_texts(X)
        encoded = self._encode(texts)
        codes = self._probabilities(encoded).argmax(axis=1) if y is None else self._codes(y, texts)
        scores: list[np.ndarray] = [np.empty(0)] * len(texts)
        order = _longest_first(encoded)
        dataset = TextDataset([encoded[row] for row in order], codes[order])
        with seeded(0):
            words = (row for batch in self._attributions(dataset, int(n_steps)) for row in batch)
            for row, values in zip(order, words, strict=True):
                truncated = encoded[row].truncated
                scores[row] = np.where(truncated, np.nan, values[: truncated.size])
        provenance = {
            "source": "integrated_gradients",
            "model": str(self.model),
            "target": self.ig_target,
            "baseline": self.ig_baseline,
            "n_steps": int(n_steps),
            "labels": "predicted" if y is None else "given",
        }
        return PriorMatrix(texts, scores, provenance=provenance)

    def _attributions(self, dataset: TextDataset, n_steps: int) -> Iterator[np.ndarray]:
        """Yield the word attributions of one batch of texts after the other."""
        net = self.net_
        net.module_.eval()
        n_words = max(text.truncated.size for text in dataset.encoded)
        for batch, codes in net.get_iterator(dataset, training=False):
            yield (
                attribute_words(
                    net.module_,
                    to_tensor(batch, device=net.device),
                    to_tensor(codes, device=net.device),
                    n_words=n_words,
                    n_steps=n_steps,
                    baseline_token=self._baseline_token(),
                    output=self.ig_target,
                    internal_batch_size=_ROWS,
                )
                .cpu()
                .numpy()
            )

    def _probabilities(self, encoded: list[EncodedText]) -> np.ndarray:
        # Texts of like length share a batch, so that little is spent on padding.
        order = _longest_first(encoded)
        with seeded(0), torch.inference_mode():
            ordered = self.net_.predict_proba(TextDataset([encoded[row] for row in order]))
        probabilities = np.empty_like(ordered)
        probabilities[order] = ordered
        return probabilities

    def _codes(self, y: Any, texts: list[str]) -> np.ndarray:
        labels = column_or_1d(y)
        check_consistent_length(texts, labels)
        position = {label: code for code, label in enumerate(self.classes_.tolist())}
        unknown = sorted({repr(label) for label in labels.tolist() if label not in position})
        if unknown:
            raise ValueError(
                f"y holds labels that were not there in fit: {', '.join(unknown[:5])}. "
                f"Known are {', '.join(map(repr, list(position)[:5]))}"
                f"{', ...' if len(position) > 5 else ''}."
            )
        return np.array([position[label] for label in labels.tolist()])

    def _encode(self, texts: list[str]) -> list[EncodedText]:
        encoded = encode_texts(self.tokenizer_, texts, self.max_length_)
        n_cut = sum(text.truncated.any() for text in encoded)
        if n_cut:
            warnings.warn(
                f"{n_cut} of {len(texts)} texts are longer than max_length={self.max_length_} "
                "tokens; what is beyond is not seen by the model, and the words there get no "
                "supervision and no attribution.",
                stacklevel=3,
            )
        return encoded

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn before 1.6
        return {"X_types": ["1darray", "string"]}


def _release_training_memory(net: GuidedNet) -> None:
    """Drop gradients and the optimiser's moments, three times the size of the model, and texts."""
    net.optimizer_.zero_grad(set_to_none=True)
    net.optimizer_.state.clear()
    net.names = None
    if not np.isfinite(net.history[-1, "train_loss"]):
        warnings.warn(
            "The training loss is not finite, so the model is of no use. Lower lr, head_lr or "
            "beta, or add skorch's GradientNormClipping to callbacks.",
            ConvergenceWarning,
            stacklevel=3,
        )


def _resolve_amp(amp: str | bool, device: torch.device) -> bool:
    if amp != "auto":
        return bool(amp)
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8


def _skorch_names() -> list[str]:
    """Names of the parameters that reach skorch, other than those of callbacks."""
    optimizer = {*inspect.signature(torch.optim.AdamW).parameters, "param_groups"}
    loader = {*inspect.signature(DataLoader).parameters} - {"dataset", "collate_fn"}
    names = [f"optimizer__{name}" for name in optimizer - {"params", "lr", "weight_decay"}]
    names += [f"{side}__{name}" for side in ("iterator_train", "iterator_valid") for name in loader]
    return [*names, "criterion__label_smoothing"]


def _check_number(name: str, value: Any, kind: Any, least: float, most: float = np.inf) -> None:
    if isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most:
        return
    what = "an integer" if kind is numbers.Integral else "a number"
    limits = f"of at least {least}" if most == np.inf else f"from {least} to {most}"
    raise ValueError(f"{name} must be {what} {limits}, got {value!r}.")


def _check_some_texts(X: Any) -> list[str]:
    texts = check_texts(X)
    if not texts:
        raise ValueError("X holds no texts; at least one is needed.")
    return texts


def _check_labels(y: Any, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Give the sorted labels and the position of each text's label among them."""
    if y is None:
        raise ValueError("GuidedTextClassifier requires y to be passed, but the target y is None.")
    classes, codes = np.unique(check_labels(texts, y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "GuidedTextClassifier needs at least two classes, but y holds 1 class: "
            f"{classes.tolist()[0]!r}."
        )
    return classes, codes


def _check_weights(sample_weight: Any, n_texts: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n_texts)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_texts,):
        raise ValueError(
            f"sample_weight must have shape ({n_texts},), one weight a text, got {weights.shape}."
        )
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError("sample_weight must be finite, not negative, and not all zero.")
    return weights


def _longest_first(encoded: Sequence[EncodedText]) -> np.ndarray:
    """Order texts by length; the longest first, so that memory runs out at once or never."""
    return np.argsort([-text.input_ids.size for text in encoded], kind="stable")
