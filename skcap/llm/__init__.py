"""Language models, behind one contract: log-likelihoods of continuations."""

from __future__ import annotations

from skcap.llm.base import BaseLLM, PromptTooLongError
from skcap.llm.fake import FakeLLM
from skcap.llm.transformers import TransformersLLM, release_models

__all__ = [
    "BaseLLM",
    "FakeLLM",
    "PromptTooLongError",
    "TransformersLLM",
    "release_models",
    "resolve_llm",
]


def resolve_llm(llm: str | BaseLLM) -> BaseLLM:
    """Turn the `llm` parameter of an estimator into a language model.

    Parameters
    ----------
    llm : str or BaseLLM
        A string is the name of a model for :class:`TransformersLLM`.

    Returns
    -------
    BaseLLM

    Raises
    ------
    TypeError
        If `llm` is anything else.

    Examples
    --------
    >>> from skcap.llm import resolve_llm
    >>> resolve_llm("smollm2-135m")
    TransformersLLM()
    """
    if isinstance(llm, str):
        return TransformersLLM(llm)
    if isinstance(llm, BaseLLM):
        return llm
    raise TypeError(
        f"llm must be the name of a model or a BaseLLM, got {type(llm).__name__}. A model that is "
        "loaded already cannot be passed: name it, as in TransformersLLM('path/to/folder')."
    )
