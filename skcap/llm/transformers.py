"""A causal language model of the transformers library, scored with its prefix computed once."""

from __future__ import annotations

import inspect
import numbers
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skcap.llm.base import BaseLLM, PromptTooLongError
from skcap.llm.batches import Batch, TokenBudget
from skcap.llm.prompt_encoding import EncodedPrompt, PromptEncoder
from skcap.llm.token_tree import TokenTree, common_prefix_length, grow_trees
from skcap.utils.words import check_texts

__all__ = ["TransformersLLM", "release_models"]


class TransformersLLM(BaseLLM):
    r"""A causal language model that runs in this process.

    The object holds parameters only. Weights load on first use into a process-wide registry, so
    clones share one copy, pickles carry none and joblib hashes stay the same.

    Prompts are scored as a tree (see :mod:`skcap.llm.token_tree`): what all of them share,
    instruction and label space for instance, is computed once and kept for the next call, and of
    the rest every distinct token once. Figures equal those of each full prompt scored alone.

    Parameters
    ----------
    model : str, default="smollm2-135m"
        Alias (see ``python -m skcap models``), folder, or hub id of any causal model.
    device : str, default="auto"
        A torch device; ``"auto"`` is ``"cuda"`` where there is one, else ``"cpu"``.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        ``"auto"`` is float32 on a CPU, the checkpoint's own type on a GPU.
    batch_size : int, default=512
        Tokens (not prompts) put through the model at once beyond the shared prefix. Raise it on a
        GPU. A longer prompt goes alone. Where memory runs out, it falls by itself for as long as
        the model is loaded, with a warning. (Linux, however, often ends a process that asks for
        too much of a CPU's memory in place of refusing it.)
    chat_template : {"auto"} or bool, default="auto"
        Wrap the prompt as a user's message with the tokenizer's chat template. ``"auto"`` does so
        where the model has one, but for the alias ``"smollm2-135m"``, whose priors were measured
        to be better without (``benchmarks/bench_prompts.py``).
    reuse_prefix : bool, default=True
        ``False`` scores full prompts in padded batches, for comparison. Models that cannot score
        a tree (found out when they are loaded) and prompts longer than a model's attention window
        are scored so anyway, with a warning.
    revision : str or None, default=None
        Branch, tag or commit of a hub model.
    local_files_only : bool, default=False
        Never ask a hub.
    trust_remote_code : bool, default=False
        Let a hub model run code of its own.

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

    def __init__(
        self,
        model: str = "smollm2-135m",
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 512,
        chat_template: str | bool = "auto",
        reuse_prefix: bool = True,
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
    ):
        self.model = model
        self.device = device
        self.dtype = dtype
        self.batch_size = batch_size
        self.chat_template = chat_template
        self.reuse_prefix = reuse_prefix
        self.revision = revision
        self.local_files_only = local_files_only
        self.trust_remote_code = trust_remote_code

    def log_likelihood(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:
        """Score continuations; see :meth:`BaseLLM.log_likelihood`."""
        pairs = _check_pairs(bodies, continuations)
        if not pairs:
            return np.zeros(0)
        loaded = self._load()
        with loaded.lock:
            prompts = self._encode(loaded, pairs, prefix, suffix)
            if self.reuse_prefix and loaded.scores_as_trees(prompts):
                return loaded.score_trees(prompts, int(self.batch_size))
            return loaded.score_padded(prompts, int(self.batch_size))

    def check_context(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        """Check lengths before any work starts; see :meth:`BaseLLM.check_context`."""
        pairs = _check_pairs(bodies, continuations)
        if pairs:
            loaded = self._load()
            with loaded.lock:
                self._encode(loaded, pairs, prefix, suffix)

    def fingerprint(self) -> str:
        """Identify weights, number type and chat template; see :meth:`BaseLLM.fingerprint`."""
        from skcap.models import model_fingerprint, resolve_device

        weights = model_fingerprint(
            self.model, revision=self.revision, local_files_only=self.local_files_only
        )
        dtype = self.dtype
        if dtype == "auto":
            dtype = "float32" if resolve_device(self.device) == "cpu" else "checkpoint"
        return f"transformers|{weights}|{dtype}|chat={self._chat()}"

    def _chat(self) -> str | bool:
        """Resolve ``"auto"`` where a measurement speaks against the model's chat template."""
        from skcap.models import MODEL_PACKAGES

        package = MODEL_PACKAGES.get(self.model)
        if self.chat_template == "auto" and package is not None and not package.chat:
            return False
        return self.chat_template

    def _load(self) -> _LoadedModel:
        from skcap.models import resolve_device

        if not isinstance(self.batch_size, numbers.Integral) or self.batch_size < 1:
            raise ValueError(
                f"batch_size must be a positive number of tokens, got {self.batch_size!r}."
            )
        arguments = (
            self.model,
            resolve_device(self.device),
            self.dtype,
            self.revision,
            self.local_files_only,
            self.trust_remote_code,
        )
        return _registry.get(arguments, _folder_fingerprint(self.model))

    def _encode(
        self,
        loaded: _LoadedModel,
        pairs: list[tuple[str, str]],
        prefix: str,
        suffix: str,
    ) -> list[EncodedPrompt]:
        """Encode and check lengths; under the model's lock, as tokenizers keep settings."""
        prompts = loaded.encoder(self._chat()).encode(
            [prefix + body + suffix for body, _ in pairs], [name for _, name in pairs]
        )
        _check_length(prompts, loaded.context_length)
        return prompts


class _LoadedModel:
    """Weights, tokenizer and the keys and values of the prefix that was last in use."""

    def __init__(
        self,
        model: str,
        device: str,
        dtype: str,
        revision: str | None,
        local_files_only: bool,
        trust_remote_code: bool,
    ):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from skcap.models import explain_load_errors, resolve_model

        resolved = resolve_model(model, revision=revision, local_files_only=local_files_only)
        shared = {
            "revision": revision,
            "local_files_only": local_files_only,
            "trust_remote_code": trust_remote_code,
        }
        with explain_load_errors(model):
            self.tokenizer = AutoTokenizer.from_pretrained(resolved, **shared)
            weights: Any = AutoModelForCausalLM.from_pretrained(
                resolved, dtype=_torch_dtype(dtype, device), use_safetensors=True, **shared
            )
        self.model = weights.to(device).eval().requires_grad_(False)
        self.device = torch.device(device)
        self.lock = threading.Lock()
        self.config = self.model.config.get_text_config()
        self.context_length = getattr(self.config, "max_position_embeddings", None)
        self.window = _attention_window(self.config)
        self.prefix_ids: tuple[int, ...] = ()
        self.prefix_cache: Any = None
        self.budget = TokenBudget()
        parameters = inspect.signature(self.model.forward).parameters
        self._keeps_logits = "logits_to_keep" in parameters
        self._encoders: dict[str | bool, PromptEncoder] = {}
        self._told_of_window = False
        self._can_score_trees = self._probe_trees()

    def encoder(self, chat_template: str | bool) -> PromptEncoder:
        if chat_template not in self._encoders:
            self._encoders[chat_template] = PromptEncoder(self.tokenizer, chat_template)
        return self._encoders[chat_template]

    def scores_as_trees(self, prompts: list[EncodedPrompt]) -> bool:
        """Whether a tree gives these prompts what each of them would get alone."""
        if not self._can_score_trees or self.window is None:
            return self._can_score_trees
        longest = max(len(prompt.ids) for prompt in prompts)
        if longest > self.window and not self._told_of_window:
            self._told_of_window = True
            warnings.warn(
                f"Prompts of up to {longest} tokens are longer than the {self.window} that each "
                f"token of {type(self.model).__name__} sees in some layers. They are "
                "scored in full with nothing shared, which is exact but much slower.",
                stacklevel=3,
            )
        return longest <= self.window

    def score_trees(self, prompts: list[EncodedPrompt], batch_size: int) -> np.ndarray:
        """Log-likelihoods with the common prefix from the cache and the rest as trees."""
        n_shared = _shared_length(prompts)

        def plan(left: list[EncodedPrompt], size: int) -> Iterator[Batch]:
            self._set_prefix(left[0].ids[:n_shared])
            for tree in grow_trees(left, n_shared, size):
                score = partial(self._score_tree, tree, n_shared)
                yield Batch(np.unique(tree.prompts), len(tree.tokens), score)

        return self.budget.score(prompts, batch_size, plan)

    def score_padded(self, prompts: list[EncodedPrompt], batch_size: int) -> np.ndarray:
        """Log-likelihoods of full prompts in batches, padded on the right, nothing shared."""

        def plan(left: list[EncodedPrompt], size: int) -> Iterator[Batch]:
            order = np.argsort([-len(prompt.ids) for prompt in left], kind="stable")
            while len(order):
                longest = len(left[order[0]].ids) - 1
                n_rows = max(1, size // longest)
                rows, order = order[:n_rows], order[n_rows:]
                score = partial(self._score_rows, [left[row] for row in rows])
                yield Batch(rows, len(rows) * longest, score)

        return self.budget.score(prompts, batch_size, plan)

    def _score_rows(self, prompts: list[EncodedPrompt]) -> np.ndarray:
        """Log-likelihoods of full prompts in one padded batch."""
        import torch

        longest = max(len(prompt.ids) for prompt in prompts) - 1
        ids = np.zeros((len(prompts), longest), dtype=np.int64)
        seen = np.zeros_like(ids)
        for row, prompt in enumerate(prompts):
            inputs = prompt.ids[:-1]
            ids[row, : len(inputs)], seen[row, : len(inputs)] = inputs, 1
        with torch.inference_mode():
            logits = self.model(
                input_ids=torch.as_tensor(ids, device=self.device),
                attention_mask=torch.as_tensor(seen, device=self.device),
                use_cache=False,
            ).logits
        scores = np.zeros(len(prompts))
        for row, (prompt_ids, n_context) in enumerate(prompts):
            targets = np.asarray(prompt_ids[n_context:])
            kept = logits[row, n_context - 1 : n_context - 1 + len(targets)]
            scores[row] = _log_prob(kept, targets).sum()
        return scores

    def _drop_prefix(self) -> None:
        self.prefix_ids, self.prefix_cache = (), None

    def _set_prefix(self, ids: tuple[int, ...]) -> None:
        """Make the cache hold exactly these tokens: keep what agrees, compute what is missing."""
        import torch
        from transformers import DynamicCache

        kept = common_prefix_length(self.prefix_ids, ids)
        cache = self._take_cache()
        if cache is None or kept == 0:
            # Without the model's config, layers with a window keep all tokens, too.
            cache, kept = DynamicCache(), 0
        elif kept < len(self.prefix_ids):
            cache.crop(kept - len(self.prefix_ids))
        if kept < len(ids):
            with torch.inference_mode():
                self._forward(
                    input_ids=torch.tensor([ids[kept:]], device=self.device),
                    position_ids=torch.arange(kept, len(ids), device=self.device)[None],
                    past_key_values=cache,
                    keep=torch.tensor([0], device=self.device),
                )
        self.prefix_ids, self.prefix_cache = ids, cache

    def _take_cache(self) -> Any:
        """Take the cache out while it changes: an error leaves the tokens of some layers in it."""
        cache, self.prefix_cache = self.prefix_cache, None
        return cache

    def _score_tree(self, tree: TokenTree, n_shared: int) -> np.ndarray:
        """Log-likelihood of each prompt of a tree that hangs from the cached prefix, by row."""
        import torch

        n_nodes = len(tree.tokens)
        visible = np.concatenate([np.ones((n_nodes, n_shared), bool), tree.ancestors()], axis=1)
        dtype = self.model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=self.device)
        mask.masked_fill_(~torch.as_tensor(visible, device=self.device), torch.finfo(dtype).min)
        nodes, logit_of_target = np.unique(tree.sources, return_inverse=True)
        cache = self._take_cache()
        with torch.inference_mode():
            logits = self._forward(
                input_ids=torch.as_tensor(tree.tokens, device=self.device)[None],
                attention_mask=mask[None, None],
                position_ids=torch.as_tensor(tree.depths + n_shared, device=self.device)[None],
                past_key_values=cache,
                keep=torch.as_tensor(nodes, device=self.device),
            )
        cache.crop(-n_nodes)
        self.prefix_cache = cache
        log_prob = _log_prob(logits, tree.targets, logit_of_target)
        _, prompt_of_target = np.unique(tree.prompts, return_inverse=True)
        return np.bincount(prompt_of_target, weights=log_prob)

    def _forward(self, *, keep: Any, **inputs: Any) -> Any:
        """Logits of the kept positions, shape (n_kept, n_tokens)."""
        if self._keeps_logits:
            return self.model(**inputs, use_cache=True, logits_to_keep=keep).logits[0]
        return self.model(**inputs, use_cache=True).logits[0, keep]

    def _probe_trees(self) -> bool:
        """Try a small tree: masks in four dimensions are the model's own affair."""
        layers = set(getattr(self.config, "layer_types", None) or ["full_attention"])
        if layers <= {"full_attention", "sliding_attention", "chunked_attention"}:
            reason = self._probe_failure()
        else:
            reason = f"its layers are of the types {sorted(layers)}"
        if reason is not None:
            warnings.warn(
                f"{type(self.model).__name__} cannot score prompts as a tree: {reason}. Each full "
                "prompt is scored alone, which is exact but much slower.",
                stacklevel=2,
            )
        return reason is None

    def _probe_failure(self) -> str | None:
        """Score three prompts as a tree and alone; say what is wrong if that differs."""
        vocabulary = min(self.config.vocab_size, 1000)
        ids, branch = np.random.default_rng(0).integers(0, vocabulary, (2, 12)).tolist()
        probe = [
            EncodedPrompt(tuple(ids), 8),
            EncodedPrompt(tuple(ids[:10]), 8),
            EncodedPrompt(tuple(ids[:4] + branch[4:]), 9),
        ]
        try:
            error = np.abs(self.score_trees(probe, 64) - self.score_padded(probe, 64)).max()
        except Exception as failure:  # whatever the model's own code may raise
            return f"it failed on a probe ({type(failure).__name__}: {failure})"
        finally:
            self._drop_prefix()
        tolerance = 1e-3 if self.model.dtype.itemsize >= 4 else 0.5
        if error <= tolerance:
            return None
        return f"a probe was off by {error:.2g} in log probability"


class _Registry:
    """The models of this process; the one that was used longest ago makes room for a third."""

    max_models = 2

    def __init__(self) -> None:
        self._models: OrderedDict[tuple, _LoadedModel] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, arguments: tuple, weights: str | None) -> _LoadedModel:
        key = (arguments, weights)
        with self._lock:
            if key not in self._models:
                while len(self._models) >= self.max_models:
                    self._models.popitem(last=False)
                self._models[key] = _LoadedModel(*arguments)
            self._models.move_to_end(key)
            return self._models[key]

    def clear(self) -> None:
        with self._lock:
            self._models.clear()


_registry = _Registry()


def release_models() -> None:
    """Drop the language models that this process holds, to give their memory back.

    They load again on next use. Worth calling between extraction and training when one GPU serves
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
    """Tell a folder that was written anew from what it held when it was loaded."""
    from skcap.models import model_fingerprint

    return model_fingerprint(model) if Path(model).expanduser().is_dir() else None


def _check_pairs(bodies: Sequence[str], continuations: Sequence[str]) -> list[tuple[str, str]]:
    bodies = check_texts(bodies, "bodies")
    continuations = check_texts(continuations, "continuations")
    if len(bodies) != len(continuations):
        raise ValueError(
            f"bodies and continuations must be of one length, got {len(bodies)} and "
            f"{len(continuations)}."
        )
    return list(zip(bodies, continuations, strict=True))


def _attention_window(config: Any) -> int | None:
    """Tokens that a token sees in the layers that see least; None if all see everything."""
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    layers = getattr(config, "layer_types", None)
    if layers is not None and set(layers) == {"full_attention"}:
        return None
    return min((window for window in windows if window), default=None)


def _shared_length(prompts: list[EncodedPrompt]) -> int:
    """Tokens that all prompts begin with, less those whose outputs are needed."""
    # The common prefix of all is that of the smallest and the largest in sorted order.
    ids = [prompt.ids for prompt in prompts]
    n_common = common_prefix_length(min(ids), max(ids))
    return min(n_common, min(prompt.n_context for prompt in prompts) - 1)


def _check_length(prompts: list[EncodedPrompt], context_length: int | None) -> None:
    longest = max(len(prompt.ids) for prompt in prompts)
    if context_length is not None and longest > context_length:
        raise PromptTooLongError(
            f"The longest prompt has {longest} tokens, but the context of the language model "
            f"holds {context_length}. Shorten the texts, the instruction or the label names, use "
            "fewer labels, or take a model with a longer context."
        )


def _log_prob(logits: Any, targets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Log-probability of each target from the logits of its row, in float32 at least."""
    import torch

    log_probs = torch.log_softmax(logits.float(), dim=-1)
    at = torch.arange(len(targets)) if rows is None else torch.as_tensor(rows)
    picked = log_probs[at.to(logits.device), torch.as_tensor(targets, device=logits.device)]
    return picked.double().cpu().numpy()


def _torch_dtype(dtype: str, device: str) -> Any:
    import torch

    if dtype == "auto":
        return torch.float32 if device == "cpu" else "auto"
    allowed = ("float32", "bfloat16", "float16")
    if dtype not in allowed:
        raise ValueError(f"dtype must be 'auto' or one of {allowed}, got {dtype!r}.")
    return getattr(torch, dtype)
