"""A causal language model of the transformers library, scored with its prefix computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import clone

from skcap.llm.base import BaseLLM, check_pairs
from skcap.llm.dtypes import resolve_dtype
from skcap.llm.loaded_model import LoadedModel, check_length
from skcap.llm.loading import LOADING_CONSTRAINTS, check_loading, load_model
from skcap.llm.prompt_encoding import EncodedPrompt
from skcap.models import resolve_device
from skcap.utils.validation import StrOptions, integer
from skcap.utils.words import check_encodable

__all__ = ["TransformersLLM"]

_ON_CPU, _ON_GPU = 512, 16_384  # tokens at once


class TransformersLLM(BaseLLM):
    r"""A causal language model that runs in this process.

    The object holds parameters only. Weights load on first use into a process-wide registry, so
    clones share one copy, pickles carry none and joblib hashes stay the same.

    Prompts are scored as a tree (see :mod:`skcap.llm.token_tree`): what all of them share, such as
    the instruction and the labels, is computed once and kept for the next call; of the rest, every
    distinct token is computed once. The results equal those of each full prompt scored alone.

    Special tokens that stand in a prior's template or instruction, such as a chat's, are heeded;
    in texts and labels, their names are read as plain characters.

    Parameters
    ----------
    model : str or path, default="smollm2-135m"
        Alias (see ``python -m skcap models``), folder, or hub id of any causal model.
    device : str, default="auto"
        A torch device; "auto" is "cuda" if there is a GPU, else "cpu".
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Number type to compute in. On a GPU "auto" is the checkpoint's own type if that has 16
        bits, and else bfloat16 where the GPU computes in it: priors then keep their order
        (``benchmarks/speed.md``). On a CPU it is float32, unless the CPU has AMX and multiplies
        matrices at least 1.3 times faster in bfloat16, which is measured once per process; then it
        is bfloat16. The fingerprint, and with it the cache, names the type that is really used.
    batch_size : int or "auto", default="auto"
        Tokens (not prompts) to put through the model at once, beyond the shared prefix. "auto" is
        512 on a CPU, which more does not make faster, and 16,384 on a GPU, which fewer leave idle.
        A prompt that is longer goes alone. If memory runs out, it is lowered for as long as the
        model is loaded, with a warning. (But Linux often kills a process that asks for more memory
        than the machine has, instead of refusing it.)
    chat_template : {"auto"} or bool, default="auto"
        Whether to wrap the prompt as a user's message with the tokenizer's chat template. "auto"
        does so if the model has one, except for the alias "smollm2-135m", whose priors turned
        out better without (``benchmarks/bench_prompts.py``).
    reuse_prefix : bool, default=True
        False scores full prompts in padded batches, for comparison. Models that cannot score a
        tree (found out when they are loaded), and prompts longer than a model's attention window,
        are scored that way in any case, with a warning.
    model_kwargs : mapping or None, default=None
        Options for loading model and tokenizer: ``revision`` (branch, tag or commit of a hub
        model), ``local_files_only`` (never ask the hub), ``trust_remote_code`` (let a hub model
        run code of its own), ``attn_implementation``.

    Examples
    --------
    >>> from skcap.llm import TransformersLLM
    >>> llm = TransformersLLM("smollm2-135m")
    >>> bodies = ["where is my card", "where is my"]
    >>> llm.log_likelihood(
    ...     bodies, ["card arrival"] * 2, prefix="Text: ", suffix="\nIntent:"
    ... ).shape  # doctest: +SKIP
    (2,)
    """

    _parameter_constraints: dict[str, Any] = {
        **LOADING_CONSTRAINTS,
        "batch_size": [integer(1), StrOptions({"auto"})],
        "chat_template": [StrOptions({"auto"}), "boolean"],
        "reuse_prefix": ["boolean"],
    }

    def __init__(
        self,
        model: str | PathLike[str] = "smollm2-135m",
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int | str = "auto",
        chat_template: str | bool = "auto",
        reuse_prefix: bool = True,
        model_kwargs: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.chat_template = chat_template
        self.reuse_prefix = reuse_prefix
        self.model_kwargs = model_kwargs

    def log_likelihood(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:
        """Score continuations; see :meth:`BaseLLM.log_likelihood`."""
        pairs = check_pairs(bodies, continuations)
        if not pairs:
            return np.zeros(0)
        loaded = self._load()
        with loaded.lock:
            prompts = self._encode(loaded, pairs, prefix, suffix)
            if self.reuse_prefix and loaded.scores_as_trees(prompts):
                return loaded.score_trees(prompts, self._batch_size())
            return loaded.score_padded(prompts, self._batch_size())

    def check_context(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        """Check lengths before any work starts; see :meth:`BaseLLM.check_context`."""
        pairs = check_pairs(bodies, continuations)
        if pairs:
            loaded = self._load()
            with loaded.lock:
                self._encode(loaded, pairs, prefix, suffix)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of texts; see :meth:`BaseLLM.count_tokens`."""
        if not texts:
            return []
        loaded = self._load()
        check_encodable(texts, "texts")
        with loaded.lock:
            encoded = loaded.tokenizer(list(texts), add_special_tokens=False, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def tokens_at_once(self) -> int:
        """Say what fills a device; see :meth:`BaseLLM.tokens_at_once`.

        On a CPU that is 1, a text at a time: more are not faster there, and a process that is
        killed loses what it is at.
        """
        check_loading(self)
        return 1 if resolve_device(self.device).startswith("cpu") else self._batch_size()

    def _batch_size(self) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        on_cpu = resolve_device(self.device).startswith("cpu")
        return _ON_CPU if on_cpu else _ON_GPU

    def fingerprint(self) -> str:
        """Identify weights, number type and chat template; see :meth:`BaseLLM.fingerprint`."""
        from skcap.models import model_fingerprint

        check_loading(self)
        options = dict(self.model_kwargs or {})
        attention = options.get("attn_implementation")
        weights = model_fingerprint(
            self.model,
            revision=options.get("revision"),
            local_files_only=options.get("local_files_only", False),
        )
        dtype = resolve_dtype(self.dtype, resolve_device(self.device))
        # Left out where they are as in older versions, so that entries of these are found.
        end = "" if attention is None else f"|attention={attention}"
        end += "|remote_code" if options.get("trust_remote_code") else ""
        return f"transformers|{weights}|{dtype}|chat={self._chat()}{end}"

    def settled(self) -> TransformersLLM:
        """Fix what ``dtype="auto"`` means here; see :meth:`BaseLLM.settled`."""
        check_loading(self)
        dtype = resolve_dtype(self.dtype, resolve_device(self.device))
        if dtype in (self.dtype, "half", "checkpoint"):
            return self  # decided by the weights, the same in every process
        return clone(self).set_params(dtype=dtype)

    def _chat(self) -> str | bool:
        """Resolve "auto" where a measurement speaks against the model's chat template."""
        from skcap.models import MODEL_PACKAGES

        package = MODEL_PACKAGES.get(str(self.model))
        if self.chat_template == "auto" and package is not None and not package.chat:
            return False
        return self.chat_template

    def _load(self) -> LoadedModel:
        check_loading(self)
        return load_model(str(self.model), self.device, self.dtype, self.model_kwargs)

    def _encode(
        self, loaded: LoadedModel, pairs: list[tuple[str, str]], prefix: str, suffix: str
    ) -> list[EncodedPrompt]:
        """Encode and check lengths; under the model's lock, as tokenizers keep settings."""
        check_encodable((body for body, _ in pairs), "bodies")
        check_encodable([prefix, suffix, *(name for _, name in pairs)], "the rest of the prompts")
        prompts = loaded.encoder(self._chat()).encode(
            [prefix + body + suffix for body, _ in pairs],
            [name for _, name in pairs],
            shared=prefix,
            suffix=suffix,
        )
        check_length(prompts, loaded.context_length)
        return prompts
