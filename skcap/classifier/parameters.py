"""Parameters of skorch and of the guidance, and hints for names that are not parameters."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator

from skcap.guidance import BaseGuidance, make_guidance

__all__ = ["SkorchParameters"]

# What replaces the parameters of earlier versions.
_REPLACED = {
    "beta_schedule": "It is gone: no schedule did better than a constant beta.",
    "n_distractors": "Training with distractors is gone: see guidance='swap'.",
    "rationale_share": "Pass guidance=RationaleGuidance(share=...).",
    "complement_weight": "Pass guidance=RationaleGuidance(complement_weight=...).",
    "alignment_loss": "It is gone: no loss did better than the mean squared error.",
    "alignment_limit": "It is gone: it made no difference that held.",
    "normalize": "Pass guidance=AlignmentGuidance(normalize=...).",
    "ig_steps": "Pass guidance=AlignmentGuidance(n_steps=...).",
    "ig_path": "Pass guidance=AlignmentGuidance(path=...).",
    "ig_target": "Training explains logits; pass explain(X, target=...) for other explanations.",
    "weight_decay": "Pass optimizer__weight_decay=...",
    "revision": "Pass model_kwargs={'revision': ...}.",
    "local_files_only": "Pass model_kwargs={'local_files_only': True}.",
    "trust_remote_code": "Pass model_kwargs={'trust_remote_code': True}.",
}

# What other libraries call our parameters.
_ELSEWHERE = {
    "learning_rate": "lr",
    "body_learning_rate": "lr",
    "head_learning_rate": "head_lr",
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "num_train_epochs": "max_epochs",
    "max_iter": "max_epochs",
    "per_device_train_batch_size": "batch_size",
    "max_seq_length": "max_length",
    "seed": "random_state",
    "model_name": "model",
    "model_name_or_path": "model",
    "module__dropout": "dropout",
    "optimizer__lr": "lr",
    "warmup_ratio": "warmup",
    "warmup_proportion": "warmup",
}


# What would bring a batch's texts into another order, or leave some out: a prediction would be
# that of another text.
_ORDER = ("batch_sampler", "drop_last", "sampler", "shuffle")


class SkorchParameters(BaseEstimator):
    """An estimator that also takes skorch's parameters, such as ``optimizer__betas``.

    They are kept as attributes, beside those of the constructor.
    """

    guidance: Any

    def _set_skorch_params(self, params: Mapping[str, Any]) -> None:
        self._check_names(params, TypeError)
        for name, value in params.items():
            setattr(self, name, value)

    def _skorch_params(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if "__" in name}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters, those of skorch included.

        Parameters
        ----------
        deep : bool, default=True
            Also those of parameters that are estimators, such as ``guidance__share``.

        Returns
        -------
        dict
        """
        return {**super().get_params(deep), **self._skorch_params()}

    def set_params(self, **params: Any) -> Any:
        """Set parameters, those of skorch and of the guidance included.

        Parameters
        ----------
        **params
            Such as ``beta=0.5``, ``guidance__share=0.75`` or ``optimizer__betas=(0.9, 0.98)``.

        Returns
        -------
        GuidedTextClassifier
            Itself.

        Raises
        ------
        ValueError
            If there is no such parameter, or one of the guidance is set where there is none or a
            list of several.
        """
        own = {name: value for name, value in params.items() if self._is_own(name)}
        others = {name: value for name, value in params.items() if name not in own}
        self._check_names(others, ValueError)
        nested = [name for name in own if name.startswith("guidance__")]
        if nested:
            # A guidance given by name becomes an object, so that its parameters can be set.
            self.guidance = _one_guidance(own.pop("guidance", self.guidance), nested[0])
        super().set_params(**own)
        for name, value in others.items():
            setattr(self, name, value)
        return self

    @classmethod
    def _is_own(cls, name: str) -> bool:
        return name in cls._get_param_names() or name.startswith("guidance__")

    @classmethod
    def _check_names(cls, names: Mapping[str, Any], error: type[Exception]) -> None:
        own, known = cls._get_param_names(), _skorch_names()
        for name in names:
            if name in own or name in known or name.startswith("callbacks__"):
                continue
            raise error(f"{cls.__name__} has no parameter {name!r}.{_hint(name, own, known)}")


def _one_guidance(guidance: Any, name: str) -> BaseGuidance:
    """Give the guidance object that a nested parameter is meant for."""
    if guidance is None or isinstance(guidance, list | tuple):
        raise ValueError(
            f"{name} needs a single guidance, but guidance is {guidance!r:.80}. Set guidance to an "
            "object first, or search over whole values of guidance."
        )
    return make_guidance(guidance)


def _hint(name: str, own: list[str], known: tuple[str, ...]) -> str:
    if name in _REPLACED:
        return f" {_REPLACED[name]}"
    side, _, option = name.rpartition("__")
    if side == "iterator_valid" and option in _ORDER:
        return " All texts are predicted, in their order."
    if name == "iterator_train__batch_sampler":
        return " Batches are of batch_size texts; iterator_train__sampler takes another order."
    inner = name.rpartition("__")[2]
    close = [_ELSEWHERE[name]] if name in _ELSEWHERE else []
    close += [inner] if inner in own else difflib.get_close_matches(name, [*own, *known], n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


@functools.cache
def _skorch_names() -> tuple[str, ...]:
    """Names of the parameters that reach skorch, other than those of callbacks."""
    import torch
    from torch.utils.data import DataLoader

    optimizer = {*inspect.signature(torch.optim.AdamW).parameters, "param_groups"}
    loader = {*inspect.signature(DataLoader).parameters} - {"dataset", "collate_fn"}
    names = [f"optimizer__{name}" for name in sorted(optimizer - {"params", "lr"})]
    of_training = loader - {"batch_sampler"}  # torch takes none beside a batch size
    for side, options in (("iterator_train", of_training), ("iterator_valid", loader - {*_ORDER})):
        names += [f"{side}__{name}" for name in sorted(options)]
    return (*names, "criterion__label_smoothing")
