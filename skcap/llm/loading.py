"""The language models that this process holds, and the parameters that choose them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from skcap.llm.dtypes import resolve_dtype
from skcap.llm.loaded_model import LoadedModel
from skcap.models import resolve_device
from skcap.utils.validation import StrOptions, check_parameters

__all__ = ["LOADING_CONSTRAINTS", "check_loading", "load_model", "release_models"]

LOADING_CONSTRAINTS: dict[str, Any] = {
    "model": [str, PathLike],
    "device": [str],
    "dtype": [StrOptions({"auto", "float32", "bfloat16", "float16"})],
    "model_kwargs": [Mapping, None],
}
"""Constraints of the parameters that choose a model."""

_MODEL_KWARGS: dict[str, tuple[type, ...]] = {
    "revision": (str, type(None)),
    "local_files_only": (bool,),
    "trust_remote_code": (bool,),
    "attn_implementation": (str,),
}


def check_loading(estimator: Any) -> None:
    """Check the parameters of an object that loads a model.

    Parameters
    ----------
    estimator : estimator
        With the parameters of `LOADING_CONSTRAINTS`, among others.

    Raises
    ------
    ValueError, TypeError
        Names the parameter.
    """
    check_parameters(estimator)
    # Values are not shown: a token would be a secret.
    for name, value in (estimator.model_kwargs or {}).items():
        if name not in _MODEL_KWARGS:
            raise ValueError(
                f"model_kwargs may hold {', '.join(map(repr, _MODEL_KWARGS))}, got {name!r:.40}. "
                "Device and dtype have parameters of their own; a token for the hub goes into the "
                "environment variable HF_TOKEN."
            )
        if not isinstance(value, _MODEL_KWARGS[name]):
            kinds = " or ".join(kind.__name__ for kind in _MODEL_KWARGS[name])
            raise TypeError(
                f"model_kwargs[{name!r}] must be of type {kinds}, got {type(value).__name__}."
            )


def load_model(
    model: str, device: str, dtype: str, model_kwargs: Mapping[str, Any] | None
) -> LoadedModel:
    """Load a model, or find it among those that the process holds.

    Parameters
    ----------
    model, device, dtype, model_kwargs
        As for :class:`skcap.llm.TransformersLLM`, and checked.

    Returns
    -------
    LoadedModel
    """
    device = resolve_device(device)
    options = tuple(sorted((model_kwargs or {}).items()))
    return _registry.get(model, device, resolve_dtype(dtype, device), options)


class _Registry:
    """The models of this process; the one that was used longest ago makes room for a third."""

    max_models = 2

    def __init__(self) -> None:
        self._models: OrderedDict[tuple, LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str, device: str, dtype: str, options: tuple) -> LoadedModel:
        key = (model, device, dtype, options, _folder_fingerprint(model))
        with self._lock:
            if key not in self._models:
                while len(self._models) >= self.max_models:
                    self._models.popitem(last=False)
                self._models[key] = LoadedModel(model, device, dtype, dict(options))
            self._models.move_to_end(key)
            return self._models[key]

    def clear(self) -> None:
        with self._lock:
            self._models.clear()


_registry = _Registry()


def release_models() -> None:
    """Drop the language models that this process holds, to free their memory.

    They load again on next use. Worth calling between extraction and training if one GPU serves
    both.

    Examples
    --------
    >>> from skcap.llm import release_models
    >>> release_models()
    """
    import torch

    _registry.clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _folder_fingerprint(model: str) -> str | None:
    """Tell a folder that was rewritten from what it held when it was loaded."""
    from skcap.models import model_fingerprint

    return model_fingerprint(model) if Path(model).expanduser().is_dir() else None
