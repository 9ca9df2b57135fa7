"""What GuidedTextClassifier takes: checks of priors, labels, callbacks and options of loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler

from skcap.guidance import BaseGuidance
from skcap.prior_matrix import PriorMatrix
from skcap.utils.labels import check_labels

__all__ = ["check_callbacks", "check_model_kwargs", "check_priors", "sort_labels"]

# Arguments of from_pretrained that are given already.
_NO_CHOICE = ("dtype", "torch_dtype", "config", "use_safetensors", "output_loading_info")


def check_priors(X: Any, guidance: BaseGuidance) -> None:
    """Refuse texts without a prior where a guidance needs one."""
    name = type(guidance).__name__
    remedy = (
        "Put a prior transformer, such as CAPPriorTransformer, before the classifier in a "
        "Pipeline, pass a PriorMatrix with scores (from a prior's fit_transform or attribute), or "
        "train without guidance: guidance=None."
    )
    if not isinstance(X, PriorMatrix):
        raise ValueError(
            f"{name} needs a prior, but X is {type(X).__name__}: plain texts without one. {remedy}"
        )
    if not X.has_scores:
        raise ValueError(
            f"{name} needs a prior, but the PriorMatrix has no scores (a prior's transform gives "
            f"none). {remedy}"
        )


def sort_labels(y: Any, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
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


def check_model_kwargs(model_kwargs: Mapping[str, Any] | None) -> None:
    """Refuse options of loading that are no choice."""
    if taken := [name for name in _NO_CHOICE if name in (model_kwargs or ())]:
        raise ValueError(
            f"model_kwargs must not hold {taken[0]!r}: weights are read from safetensors, and kept "
            "in float32, in which they are trained. amp=True computes in bfloat16. Allowed are "
            "'revision', 'local_files_only', 'trust_remote_code' and the like."
        )


def check_callbacks(net: Any, parameters: Iterable[str]) -> None:
    """Refuse parameters of callbacks that are not there, and callbacks that wait for no value.

    Parameters
    ----------
    net : GuidedNet
        Initialised, so that its callbacks have their names and parameters.
    parameters : iterable of str
        Names such as ``callbacks__NAME__patience``.
    """
    known = [name for name, _ in net._uniquely_named_callbacks()]
    for parameter in parameters:
        prefix, name, *_ = parameter.split("__")
        if prefix == "callbacks" and name not in known:
            raise ValueError(
                f"{parameter} is of no callback: none is called {name!r}. There are "
                f"{', '.join(map(repr, known))}."
            )
    callbacks = [callback for _, callback in net.callbacks_]
    if net.train_split is None:
        for callback in callbacks:
            _check_monitor(callback, callbacks)


def _check_monitor(callback: Any, callbacks: list[Any]) -> None:
    """Refuse a callback that looks at the loss of texts held out, where there are none."""
    name = _monitored(callback)
    if name.startswith("valid_") and not any(_may_record(other, name) for other in callbacks):
        raise ValueError(
            f"callbacks has {type(callback).__name__}(monitor={name!r}), but no texts are held "
            "out, since train_split=None. Pass train_split=ValidSplit(5, stratified=True), from "
            f"skorch.dataset, or monitor 'train_loss{'_best' * name.endswith('_best')}'."
        )


def _monitored(callback: Any) -> str:
    """Name the value of the history without which a callback fails; "" if there is none."""
    if isinstance(callback, LRScheduler):
        policy = getattr(callback.policy, "__name__", callback.policy)
        monitor = callback.monitor if policy == "ReduceLROnPlateau" else None
    else:
        monitor = callback.monitor if isinstance(callback, EarlyStopping | Checkpoint) else None
    return monitor if isinstance(monitor, str) else ""


def _may_record(callback: Any, name: str) -> bool:
    """Tell whether a callback may write a value to the history without texts held out."""
    if isinstance(callback, EarlyStopping | Checkpoint | LRScheduler):
        return False
    if not type(callback).__module__.startswith("skorch."):
        return not type(callback).__module__.startswith("skcap.")  # a user's own may do anything
    own = getattr(callback, "name_", getattr(callback, "name", None))
    return bool(getattr(callback, "on_train", False)) and own == name.removesuffix("_best")
