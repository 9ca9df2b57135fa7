"""Language models, behind one contract: log-likelihoods of continuations.

``base`` is the contract, ``transformers`` runs a model in this process, ``server`` asks one behind
a server, ``estimator`` wraps a scikit-learn classifier and ``fake`` has no weights; ``chat`` holds
models that write.
"""

from __future__ import annotations

from os import PathLike

from skcap.llm.base import BaseLLM, PromptTooLongError
from skcap.llm.estimator import EstimatorLLM
from skcap.llm.fake import FakeLLM
from skcap.llm.http import ServerError
from skcap.llm.loading import release_models
from skcap.llm.server import ServerLLM
from skcap.llm.transformers import TransformersLLM

__all__ = [
    "BaseLLM",
    "EstimatorLLM",
    "FakeLLM",
    "PromptTooLongError",
    "ServerError",
    "ServerLLM",
    "TransformersLLM",
    "release_models",
    "resolve_llm",
]


def resolve_llm(llm: str | PathLike[str] | BaseLLM) -> BaseLLM:
    """Turn the `llm` parameter of an estimator into a language model.

    Parameters
    ----------
    llm : str, path or BaseLLM
        A string or a path is the name of a model for :class:`TransformersLLM`.

    Returns
    -------
    BaseLLM

    Raises
    ------
    ValueError
        If `llm` is an empty name.
    TypeError
        If `llm` is anything else.

    Examples
    --------
    >>> from skcap.llm import resolve_llm
    >>> resolve_llm("smollm2-135m")
    TransformersLLM()
    """
    if isinstance(llm, str):
        if not llm:
            raise ValueError("llm must be the name of a model or a BaseLLM, got an empty name.")
        return TransformersLLM(llm)
    if isinstance(llm, PathLike):
        return TransformersLLM(llm)
    if isinstance(llm, BaseLLM):
        return llm
    if isinstance(llm, type):
        raise TypeError(
            f"llm must be the name of a model or a BaseLLM, got the class {llm.__name__}. Pass an "
            f"instance, as in {llm.__name__}()."
        )
    raise TypeError(
        f"llm must be the name of a model or a BaseLLM, got {type(llm).__name__}. A model that "
        "you have loaded cannot be passed: name it, as in TransformersLLM('path/to/folder')."
    )
