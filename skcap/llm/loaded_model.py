"""A causal language model in memory, which scores prompts as trees or in padded batches."""

from __future__ import annotations

import copy
import inspect
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from skcap.llm.base import PromptTooLongError
from skcap.llm.batches import Batch, TokenBudget
from skcap.llm.prompt_encoding import EncodedPrompt, PromptEncoder
from skcap.llm.token_tree import (
    TokenTree,
    TreeRows,
    common_prefix_length,
    grow_trees,
    put_in_rows,
)

__all__ = ["LoadedModel", "check_length"]

# Longer trees would attend to more than they save: attention costs the square of a row's length.
_ROW_TOKENS = 512
# Text that a model finds likely, since the rounding of 16 bits moves unlikely tokens by more than
# a wrong mask may. The second is the beginning of the first, and the third a branch.
_PROBES = (
    "one two three four five six seven eight nine",
    "one two three four five six seven",
    "one two three four six eight ten twelve",
)
_LONGEST_PROBE = 64  # tokens


def _refuse_random_weights(model: str, missing: Collection[str]) -> None:
    """Refuse what is no language model: transformers would draw the weights that it lacks."""
    from skcap.models import ModelLoadError

    if missing:
        raise ModelLoadError(
            f"Model {model!r} lacks {len(missing)} weights of a language model, such as "
            f"{sorted(missing)[0]!r}. A text encoder cannot score words; name a causal language "
            "model, such as 'smollm2-135m'."
        )


class LoadedModel:
    """Weights, tokenizer, and the keys and values of the prefix that was used last.

    Parameters
    ----------
    model : str
        Alias, folder or hub id.
    device : str
        A torch device.
    dtype : {"float32", "bfloat16", "float16", "half", "checkpoint"}
        As by :func:`skcap.llm.dtypes.resolve_dtype`.
    options : mapping
        Loading options of transformers: ``revision``, ``local_files_only``,
        ``trust_remote_code``, ``attn_implementation``.
    """

    def __init__(self, model: str, device: str, dtype: str, options: Mapping[str, Any]):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from skcap.models import explain_load_errors, resolve_for_loading
        from skcap.models.quiet import no_loading_bars

        resolved, options = resolve_for_loading(model, options)
        shared = {name: value for name, value in options.items() if name != "attn_implementation"}
        # What a damaged tokenizer or configuration is to transformers, by its version.
        damaged = (ValueError, KeyError, ImportError)
        with explain_load_errors(model, *damaged), no_loading_bars():
            self.tokenizer = AutoTokenizer.from_pretrained(resolved, **shared)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                resolved,
                dtype="auto" if dtype in ("half", "checkpoint") else getattr(torch, dtype),
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
        weights, report = loaded
        _refuse_random_weights(model, report["missing_keys"])
        if dtype == "half" and weights.dtype.itemsize > 2:
            weights = weights.to(torch.bfloat16)
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
        """Return the encoder with, or without, the tokenizer's chat template."""
        if chat_template not in self._encoders:
            self._encoders[chat_template] = PromptEncoder(self.tokenizer, chat_template)
        return self._encoders[chat_template]

    def scores_as_trees(self, prompts: list[EncodedPrompt]) -> bool:
        """Whether a tree gives each of these prompts the score that it would get alone."""
        if not self._can_score_trees or self.window is None:
            return self._can_score_trees
        longest = max(len(prompt.ids) for prompt in prompts)
        if longest > self.window and not self._told_of_window:
            self._told_of_window = True
            warnings.warn(
                f"Prompts of up to {longest} tokens are longer than the {self.window} that a "
                f"token of {type(self.model).__name__} attends to in some layers. They are scored "
                "in full with nothing shared, which is exact but much slower.",
                stacklevel=3,
            )
        return longest <= self.window

    def score_trees(self, prompts: list[EncodedPrompt], batch_size: int) -> np.ndarray:
        """Log-likelihoods with the common prefix taken from the cache and the rest as trees."""
        n_shared = _shared_length(prompts)

        def plan(left: list[EncodedPrompt], size: int) -> Iterator[Batch]:
            self._set_prefix(left[0].ids[:n_shared])
            for trees in _batches(grow_trees(left, n_shared, min(size, _ROW_TOKENS)), size):
                n_tokens = len(trees) * max(len(tree.tokens) for tree in trees)
                score = partial(self._score_rows_of_trees, trees, n_shared)
                yield Batch(np.unique([p for tree in trees for p in tree.prompts]), n_tokens, score)

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
        """Make the cache hold exactly these tokens: keep what fits, compute what is missing."""
        import torch
        from transformers import DynamicCache

        kept = common_prefix_length(self.prefix_ids, ids)
        cache = self._take_cache()
        if cache is None or kept == 0:
            # Without the model's config, layers with a window keep all tokens as well.
            cache, kept = DynamicCache(), 0
        elif kept < len(self.prefix_ids):
            cache.crop(kept - len(self.prefix_ids))
        if kept < len(ids):
            with torch.inference_mode():
                self._forward(
                    input_ids=torch.tensor([ids[kept:]], device=self.device),
                    position_ids=torch.arange(kept, len(ids), device=self.device)[None],
                    past_key_values=cache,
                    keep=1,
                )
        self.prefix_ids, self.prefix_cache = ids, cache

    def _take_cache(self) -> Any:
        """Take the cache out while it changes: an error would leave it with too many tokens."""
        cache, self.prefix_cache = self.prefix_cache, None
        return cache

    def _score_rows_of_trees(self, trees: list[TokenTree], n_shared: int) -> np.ndarray:
        """Log-likelihood of each prompt of trees that follow the cached prefix, by prompt."""
        import torch

        rows = put_in_rows(trees)
        n_rows, n_nodes = rows.tokens.shape
        cache = self._prefix_for(n_rows)
        with torch.inference_mode():
            logits = self._forward(
                input_ids=torch.as_tensor(rows.tokens, device=self.device),
                attention_mask=self._mask(rows, n_shared),
                position_ids=torch.as_tensor(rows.depths + n_shared, device=self.device),
                past_key_values=cache,
                keep=rows.n_kept,
            )
        if n_rows == 1:
            cache.crop(-n_nodes)
            self.prefix_cache = cache
        log_prob = _log_prob(logits.flatten(0, 1), rows.targets, rows.sources)
        _, prompt_of_target = np.unique(rows.prompts, return_inverse=True)
        return np.bincount(prompt_of_target, weights=log_prob)

    def _prefix_for(self, n_rows: int) -> Any:
        """Give the cache of the prefix, which a single row borrows; several get a copy of it."""
        if n_rows == 1:
            return self._take_cache()
        cache = copy.deepcopy(self.prefix_cache)
        cache.batch_repeat_interleave(n_rows)
        return cache

    def _mask(self, rows: TreeRows, n_shared: int) -> Any:
        """Let each node see the prefix, itself and those above it; what is added to attention."""
        import torch

        places, ends = (torch.as_tensor(a, device=self.device) for a in (rows.places, rows.ends))
        own = places[:, :, None]
        hidden = (places[:, None, :] > own) | (own >= ends[:, None, :])
        hidden = torch.nn.functional.pad(hidden, (n_shared, 0))
        dtype = self.model.dtype
        mask = torch.zeros(hidden.shape, dtype=dtype, device=self.device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None]

    def _forward(self, *, keep: int, **inputs: Any) -> Any:
        """Logits of the last positions of each row, shape (n_rows, keep, n_tokens)."""
        if self._keeps_logits:
            return self.model(**inputs, use_cache=True, logits_to_keep=keep).logits
        return self.model(**inputs, use_cache=True).logits[:, -keep:]

    def _probe_trees(self) -> bool:
        """Try a small tree: not every model takes a mask in four dimensions."""
        layers = set(getattr(self.config, "layer_types", None) or ["full_attention"])
        if layers <= {"full_attention", "sliding_attention", "chunked_attention"}:
            reason = self._probe_failure()
        else:
            reason = f"its layers are of the types {sorted(layers)}"
        if reason is not None:
            warnings.warn(
                f"{type(self.model).__name__} cannot score prompts as a tree: {reason}. Full "
                "prompts are scored in padded batches, which is exact but much slower.",
                stacklevel=2,
            )
        return reason is None

    def _probe_failure(self) -> str | None:
        """Score three prompts as a tree and alone; say what is wrong if that differs."""
        try:
            probe = self._probe_prompts()
            error = np.abs(self.score_trees(probe, 64) - self.score_padded(probe, 64)).max()
        except Exception as failure:  # whatever the model's own code may raise
            return f"it failed on a probe ({type(failure).__name__}: {failure})"
        finally:
            self._drop_prefix()
        tolerance = 1e-3 if self.model.dtype.itemsize >= 4 else 0.5
        if error <= tolerance:
            return None
        return f"a probe was off by {error:.2g} in log probability"

    def _probe_prompts(self) -> list[EncodedPrompt]:
        """Encode text; or draw tokens, where the tokenizer is no good for this model."""
        first = self.encoder(False).first_ids
        encoded = self.tokenizer(list(_PROBES), add_special_tokens=False)["input_ids"]
        one, two, three = ((*first, *ids) for ids in encoded)
        n_common = common_prefix_length(one, three)
        if (
            1 < n_common < len(three) - 3  # they branch, and the branch is asked about
            and n_common + 1 < len(two)
            and len(one) <= min(_LONGEST_PROBE, self.window or _LONGEST_PROBE)
            and max(one + three) < self.config.vocab_size
        ):
            contexts = (n_common + 1, n_common + 1, n_common + 2)
            return list(map(EncodedPrompt, (one, two, three), contexts))
        vocabulary = min(self.config.vocab_size, 1000)
        ids, branch = np.random.default_rng(0).integers(0, vocabulary, (2, 12)).tolist()
        return [
            EncodedPrompt(tuple(ids), 8),
            EncodedPrompt(tuple(ids[:10]), 8),
            EncodedPrompt(tuple(ids[:4] + branch[4:]), 9),
        ]


def _batches(trees: Iterable[TokenTree], max_tokens: int) -> Iterator[list[TokenTree]]:
    """Put trees of like size together, as many as fit with their padding; at least one."""
    batch: list[TokenTree] = []
    # The largest come first, so that it is they that say how long the rows of a batch are.
    for tree in sorted(trees, key=lambda tree: -len(tree.tokens)):
        if batch and (len(batch) + 1) * len(batch[0].tokens) > max_tokens:
            yield batch
            batch = []
        batch.append(tree)
    if batch:
        yield batch


def _attention_window(config: Any) -> int | None:
    """Tokens that a token attends to in the layer with the smallest window; None if no limit."""
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    layers = getattr(config, "layer_types", None)
    if layers is not None and set(layers) == {"full_attention"}:
        return None
    return min((window for window in windows if window), default=None)


def _shared_length(prompts: list[EncodedPrompt]) -> int:
    """Count the tokens that all prompts begin with, without those whose outputs are needed."""
    # The common prefix of all is that of the first and the last in sorted order.
    ids = [prompt.ids for prompt in prompts]
    n_common = common_prefix_length(min(ids), max(ids))
    return min(n_common, min(prompt.n_context for prompt in prompts) - 1)


def check_length(prompts: list[EncodedPrompt], context_length: int | None) -> None:
    """Refuse prompts that are longer than the context."""
    longest = max(len(prompt.ids) for prompt in prompts)
    if context_length is not None and longest > context_length:
        raise PromptTooLongError(
            f"The longest prompt has {longest} tokens, but the context of the language model "
            f"holds {context_length}. Shorten the texts, the instruction or the label names, use "
            "fewer labels, or choose a model with a longer context."
        )


def _log_prob(logits: Any, targets: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Log-probability of each target from the logits of its row, in float32 at least."""
    import torch

    log_probs = torch.log_softmax(logits.float(), dim=-1)
    at = torch.arange(len(targets)) if rows is None else torch.as_tensor(rows)
    picked = log_probs[at.to(logits.device), torch.as_tensor(targets, device=logits.device)]
    return picked.double().cpu().numpy()
