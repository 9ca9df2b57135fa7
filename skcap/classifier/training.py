"""Fine-tuning: what is learned, and the rounds of training that guidance asks for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.class_weight import compute_sample_weight
from skorch.callbacks import PassthroughScoring

from skcap.attribution import find_baseline_token
from skcap.classifier.batches import OWN_COLUMNS, PadCollate, TextDataset, training_loader
from skcap.classifier.checks import check_callbacks, check_model_kwargs
from skcap.classifier.encoder import TextEncoderClassifier
from skcap.classifier.net import GuidedNet
from skcap.classifier.parameters import SkorchParameters
from skcap.classifier.predicting import encode_and_warn
from skcap.classifier.progress import TrainingProgress
from skcap.classifier.schedule import WarmupDecay
from skcap.classifier.texts import EncodedText, load_tokenizer
from skcap.export import copy_parameters
from skcap.guidance import BaseGuidance, Task
from skcap.models import explain_load_errors, resolve_device, resolve_for_loading
from skcap.utils.labels import closest_label, value_of
from skcap.utils.seeds import seeded
from skcap.utils.validation import check_number, integer, number

if TYPE_CHECKING:
    from skcap.shortcuts import ShortcutAudit

__all__ = ["ROWS", "FineTuning", "TrainingSet", "check_weights", "weigh_classes"]

ROWS = 64  # rows of one forward pass without training: enough to keep a device busy

# An optimiser of these does not take `fused` as well.
_OTHER_KERNELS = {"optimizer__foreach", "optimizer__fused", "optimizer__differentiable"}


@dataclass(frozen=True)
class TrainingSet:
    """The training set of one fit, n texts.

    Attributes
    ----------
    texts : list of str, length n
    classes : ndarray, shape (n_classes,)
        The labels, sorted.
    codes : ndarray of int64, shape (n,)
        Position of each text's label in `classes`.
    weights : ndarray of float64, shape (n,)
        With mean one.
    priors : list of ndarray of float, length n, or None
    names : list of str, length n_classes, or None
        Label names, to be learned as texts.
    name_weight : float
        What each counts, as a share of the mean weight of a text.
    provenance : dict or None, default=None
        Where `priors` come from, as a PriorMatrix says.
    """

    texts: list[str]
    classes: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    priors: list[np.ndarray] | None
    names: list[str] | None
    name_weight: float
    provenance: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """Say what a model card tells of it, in types that JSON holds."""
        counts = np.bincount(self.codes, minlength=len(self.classes))
        return {
            "n_texts": len(self.texts),
            "texts_per_class": counts.tolist(),
            "prior": self.provenance,
        }


def check_weights(sample_weight: Any, n_texts: int) -> np.ndarray:
    """Validate weights of texts.

    Parameters
    ----------
    sample_weight : array-like of float, shape (n_texts,), or None
    n_texts : int

    Returns
    -------
    ndarray of float64, shape (n_texts,)

    Raises
    ------
    ValueError
    """
    if sample_weight is None:
        return np.ones(n_texts)
    given = np.asarray(sample_weight, dtype=object)
    if given.shape != (n_texts,):
        raise ValueError(
            f"sample_weight must have shape ({n_texts},), one weight per text, got {given.shape}."
        )
    weights = np.array([_as_float(weight) for weight in given])
    bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if bad.size:
        raise ValueError(
            "sample_weight must hold numbers that are finite and not negative, but row "
            f"{bad[0]} is {given[bad[0]]!r:.60}. Give a text that should not count the weight 0."
        )
    if not weights.any():
        raise ValueError("sample_weight must be above 0 for some text, not all zero.")
    return weights


def _as_float(value: Any) -> float:
    """Make a number of a weight; NaN, which is refused, of what is none."""
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def weigh_classes(class_weight: Any, labels: np.ndarray) -> np.ndarray:
    """Give each text the weight of its class.

    Parameters
    ----------
    class_weight : "balanced", dict of label to weight, or None
    labels : ndarray, shape (n_texts,)

    Returns
    -------
    ndarray of float64, shape (n_texts,)

    Raises
    ------
    ValueError
        If a weight is not a number of at least 0, no key is one of the labels, or one key is none
        while a label lacks a weight.
    """
    if isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            check_number(f"class_weight[{label!r}]", weight, number(0))
        class_weight = {value_of(label): weight for label, weight in class_weight.items()}
        known = np.unique(labels).tolist()
        if not set(class_weight) & set(known):
            raise ValueError(
                f"class_weight must have labels of y as its keys, such as {known[0]!r}, got "
                f"{list(class_weight)!r:.80}."
            )
        _refuse_strangers(class_weight, known)
    return compute_sample_weight(class_weight, labels)


def _refuse_strangers(class_weight: Mapping[Any, float], known: list[Any]) -> None:
    """Refuse a weight of no class where a class has none: its label may be misspelt.

    Where all classes have weights, others do no harm: a fold may lack a class.
    """
    strangers = [label for label in class_weight if label not in known]
    if strangers and (bare := [label for label in known if label not in class_weight]):
        near = closest_label(strangers[0], bare)
        meant = "" if near is None else f"Did you mean {near!r}? "
        raise ValueError(
            f"class_weight has a weight for {strangers[0]!r}, which is no label of y, while "
            f"{bare[0]!r} has none. {meant}Weigh all labels of y, or leave out what is none."
        )


class FineTuning(SkorchParameters):
    """The part of GuidedTextClassifier that trains: model, guidance, rounds of training."""

    model: Any
    beta: float
    ig_baseline: str
    pooling: str
    normalize_embeddings: bool
    dropout: float
    head_init: str
    max_epochs: int
    batch_size: int
    lr: float
    head_lr: float | None
    warmup: float | None
    max_length: int | None
    train_split: Any
    callbacks: Sequence[Any] | None
    device: Any
    amp: str | bool
    model_kwargs: Mapping[str, Any] | None
    verbose: int

    classes_: np.ndarray
    guidance_: list[BaseGuidance]
    _fitted_with_: dict[str, Any]  # copies of parameters, which may be changed later
    audit_: ShortcutAudit
    max_length_: int
    net_: GuidedNet
    tokenizer_: Any
    training_data_: dict[str, Any]

    def _encode(self, texts: list[str]) -> list[EncodedText]:
        return encode_and_warn(self.tokenizer_, texts, self.max_length_)

    def _fit(self, data: TrainingSet, guidance: list[BaseGuidance], seed: int) -> None:
        """Train, and train again as long as a guidance asks for it."""
        self._fitted_with_ = copy_parameters(self.get_params(deep=False))
        plain: list[FineTuning] = []

        def unguided() -> FineTuning:
            if not plain:
                plain.append(clone(self))
                plain[0]._fit(replace(data, priors=None), [], seed)
            return plain[0]

        again = True
        while again:
            self._load(data, guidance, seed)
            task = self._task(data, unguided)
            columns: dict[str, Sequence[np.ndarray]] = {"prior": data.priors} if data.priors else {}
            with seeded(seed, torch.device(self.net_.device)):
                for item in guidance:
                    columns |= _new_columns(item, task, columns)
            active = [item for item in guidance if not item.is_idle()]
            if plain and not active:  # there is nothing to guide, and it is trained already
                self._adopt(plain[0])
            else:
                self._train(task, data, columns, active, seed)
            # All are asked, not just the first that wants more.
            again = sum(item.review(task, self) for item in guidance) > 0
        self.training_data_ = data.describe()
        self.guidance_ = guidance
        for item in guidance:
            if hasattr(item, "audit_"):
                # Its tables say all; the unguided model and the texts would double every pickle.
                self.audit_ = item.audit_.set_params(classifier=None, prior=None)

    def _load(self, data: TrainingSet, guidance: Sequence[BaseGuidance], seed: int) -> None:
        """Load the encoder and its tokenizer, and make the net."""
        device = torch.device(resolve_device(str(self.device)))
        check_model_kwargs(self.model_kwargs)
        with seeded(seed, device), explain_load_errors(self.model):
            folder, options = resolve_for_loading(self.model, self.model_kwargs or {})
            self.tokenizer_ = load_tokenizer(folder, **options)
            find_baseline_token(self.tokenizer_, self.ig_baseline, "ig_baseline")
            self.net_ = self._make_net(folder, options, len(data.classes), device, guidance)
            with _naming_parameters(self.model_kwargs, self._skorch_params()):
                self.net_.initialize()
        check_callbacks(self.net_, self._skorch_params())
        self.classes_ = data.classes
        self.max_length_ = self._choose_max_length(self.net_.module_)

    def _task(self, data: TrainingSet, unguided: Callable[[], FineTuning]) -> Task:
        return Task(
            texts=data.texts,
            codes=data.codes,
            classes=data.classes,
            priors=data.priors,
            encoded=self._encode(data.texts),
            tokenizer=self.tokenizer_,
            module=self.net_.module_,
            unguided=unguided,
            verbose=self.verbose,
        )

    def _train(
        self,
        task: Task,
        data: TrainingSet,
        columns: Mapping[str, Sequence[np.ndarray]],
        guidance: Sequence[BaseGuidance],
        seed: int,
    ) -> None:
        net = self.net_
        dataset = TextDataset(task.encoded, data.codes, columns, data.weights)
        net.set_params(guidance=guidance, max_length=self.max_length_)
        if data.names is not None:
            net.set_params(names=self._encode_names(data.names, data.name_weight, list(columns)))
        with seeded(seed, torch.device(net.device)):
            net.partial_fit(dataset, y=data.codes)
        _release_training_memory(net)

    def _encode_names(self, names: list[str], weight: float, columns: list[str]) -> TextDataset:
        """Make a text of each label's name, with no values for its words."""
        encoded = self._encode(names)
        unknown = [np.full(text.truncated.size, np.nan) for text in encoded]
        weights = np.full(len(names), weight)
        return TextDataset(encoded, np.arange(len(names)), dict.fromkeys(columns, unknown), weights)

    def _adopt(self, fitted: FineTuning) -> None:
        """Take over what another classifier of the same parameters has learned."""
        for name in ("classes_", "max_length_", "net_", "tokenizer_"):
            setattr(self, name, getattr(fitted, name))

    def _make_net(
        self,
        folder: str,
        options: dict[str, Any],
        n_classes: int,
        device: torch.device,
        guidance: Sequence[BaseGuidance],
    ) -> GuidedNet:
        head_lr = self.head_lr
        if head_lr is None:
            head_lr = self.lr * (20 if self.head_init == "random" else 3)
        collate = PadCollate(self.tokenizer_.pad_token_id or 0)
        defaults = {
            "optimizer__weight_decay": 0.01,
            "iterator_valid__batch_size": max(ROWS, self.batch_size),
        }
        given = self._skorch_params()
        if (smoothing := given.get("criterion__label_smoothing")) is not None:
            check_number("criterion__label_smoothing", smoothing, number(0, 1))
        # Last, so that it takes what is left: a weight belongs to the first group that names it.
        groups = [*(given.pop("optimizer__param_groups", None) or ()), ("head.*", {"lr": head_lr})]
        if device.type in ("cpu", "cuda") and not _OTHER_KERNELS & given.keys():
            # One kernel for all weights: on a CPU a small encoder's step takes half the time.
            defaults["optimizer__fused"] = True
        return GuidedNet(
            TextEncoderClassifier,
            beta=self.beta,
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
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            optimizer__param_groups=groups,
            iterator_train=training_loader,
            iterator_train__collate_fn=collate,
            iterator_valid__collate_fn=collate,
            train_split=self.train_split,
            callbacks=self._callbacks(guidance),
            device=str(device),
            verbose=max(0, int(self.verbose) - 1),  # 1 shows progress, skorch its table from 2
            **{**defaults, **given},
        )

    def _callbacks(self, guidance: Sequence[BaseGuidance]) -> list[Any]:
        parts = ["ce", *(name for item in guidance for name in item.parts)]
        measures = [f"train_{name}" for name in dict.fromkeys(parts)]
        callbacks: list[Any] = [(n, PassthroughScoring(n, on_train=True)) for n in measures]
        if self.warmup is not None:
            callbacks.append(("schedule", WarmupDecay(self.warmup)))
        if self.verbose:
            callbacks.append(("progress", TrainingProgress()))
        for given in self.callbacks or ():
            callback = given[-1] if isinstance(given, tuple) else given
            if not hasattr(callback, "on_train_begin"):
                raise TypeError(
                    "callbacks must hold skorch callbacks, or pairs of a name and a callback, got "
                    f"{given!r:.60}."
                )
        return [*callbacks, *clone(list(self.callbacks or ()), safe=False)]

    def _longest(self, module: TextEncoderClassifier) -> int:
        """Give the most tokens that both encoder and tokenizer can take."""
        return int(min(module.max_tokens, self.tokenizer_.model_max_length))

    def _choose_max_length(self, module: TextEncoderClassifier) -> int:
        limit = self._longest(module)
        if self.max_length is None:
            return limit
        least = self.tokenizer_.num_special_tokens_to_add() + 1
        check_number("max_length", self.max_length, integer(least, limit))
        return int(self.max_length)


@contextmanager
def _naming_parameters(
    model_kwargs: Mapping[str, Any] | None, skorch_params: Mapping[str, Any]
) -> Iterator[None]:
    """Say what was passed on to other libraries, which refuse a value without naming it."""
    given = [f"{name}={value!r:.60}" for name, value in skorch_params.items()]
    if model_kwargs:
        given.append(f"model_kwargs with {', '.join(map(repr, model_kwargs))}")  # may hold secrets
    try:
        yield
    except (TypeError, ValueError) as error:
        if not given:
            raise
        raise ValueError(
            f"{str(error).rstrip('.')}. Passed on to other libraries were {', '.join(given)}: "
            "correct what is refused, or leave it out."
        ) from error


def _new_columns(
    guidance: BaseGuidance, task: Task, known: Mapping[str, Any]
) -> Mapping[str, Sequence[np.ndarray]]:
    """Let a guidance prepare; refuse columns of a name that something else reads."""
    columns = guidance.prepare(task)
    if own := [name for name in OWN_COLUMNS if name in columns]:
        raise ValueError(
            f"{type(guidance).__name__} makes a column {own[0]!r}, but each batch has its own "
            f"{', '.join(map(repr, OWN_COLUMNS))}. Give the column another name; to change what a "
            "batch holds, override `change`."
        )
    if taken := sorted(known.keys() & columns.keys()):
        raise ValueError(
            f"{type(guidance).__name__} makes the column {taken[0]!r} of each batch, which there "
            "is already, so one guidance would read what is meant for another. Give its column "
            "another name, or leave one of them out of guidance."
        )
    return columns


def _release_training_memory(net: GuidedNet) -> None:
    """Drop gradients and the optimiser's moments, three times the size of the model, and texts."""
    net.optimizer_.zero_grad(set_to_none=True)
    net.optimizer_.state.clear()
    net.names = None
    net.guidance = ()
    if not np.isfinite(net.history[-1, "train_loss"]):
        warnings.warn(
            "The training loss is not finite, so the model is of no use. Lower lr, head_lr or "
            "beta, or add skorch's GradientNormClipping to callbacks.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _resolve_amp(amp: str | bool, device: torch.device) -> bool:
    if amp != "auto":
        return bool(amp)
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
