"""A chat model that runs in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

from skcap.llm.base import PromptTooLongError
from skcap.llm.chat.base import BaseChat, Message
from skcap.llm.loading import LOADING_CONSTRAINTS, check_loading, load_model
from skcap.llm.special_tokens import SpecialTokens
from skcap.utils.seeds import seeded

__all__ = ["TransformersChat"]


class TransformersChat(BaseChat):
    """A chat model that runs in this process, with the weights of :class:`skcap.TransformersLLM`.

    Parameters
    ----------
    model : str or path, default="smollm2-135m"
        Alias, folder, or hub id of a causal model whose tokenizer has a chat template.
    device, dtype, model_kwargs
        As for :class:`skcap.TransformersLLM`. If they are equal, the two share one copy of the
        weights.

    Examples
    --------
    >>> from skcap.llm.chat import TransformersChat
    >>> chat = TransformersChat("smollm2-135m")
    >>> chat.complete([{"role": "user", "content": "Say hello."}])  # doctest: +SKIP
    'Hello!'
    """

    _parameter_constraints: dict[str, Any] = {
        **BaseChat._parameter_constraints,
        **LOADING_CONSTRAINTS,
    }

    def __init__(
        self,
        model: str | PathLike[str] = "smollm2-135m",
        *,
        device: str = "auto",
        dtype: str = "auto",
        model_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.model_kwargs = model_kwargs

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Reply to a conversation; see :meth:`BaseChat.complete`."""
        import torch

        check_loading(self)
        messages = self._check_request(messages, max_tokens, temperature, seed)
        loaded = load_model(str(self.model), self.device, self.dtype, self.model_kwargs)
        # In this order, as a fit that seeds may ask a model; the other one could deadlock.
        with seeded(seed, loaded.device), loaded.lock, torch.inference_mode():
            ids = encode_chat(loaded.tokenizer, messages, str(self.model))
            _check_room(len(ids), max_tokens, loaded.context_length)
            inputs = torch.tensor([ids], device=loaded.device)
            with _alone(loaded.model, _generation_config(loaded, max_tokens, temperature)):
                output = loaded.model.generate(inputs, attention_mask=torch.ones_like(inputs))
            reply = loaded.tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)
            return str(reply).strip()

    def describe(self) -> str:
        """Name the model, and its revision if one is given."""
        revision = (self.model_kwargs or {}).get("revision")
        return str(self.model) if revision is None else f"{self.model}@{revision}"


def encode_chat(tokenizer: Any, messages: list[Message], model: str) -> list[int]:
    """Token ids of a conversation, in which only the template has special tokens.

    They are the model's own, unless a content holds the name of a special token: this is read as
    its characters, so that a text with ``<|im_end|>`` in it cannot end its message.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
    messages : list of Message
    model : str
        Name of the model, for the error message.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If the tokenizer has no chat template, or it does not show a message.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise ValueError(
            f"model {model!r} has no chat template, so it cannot hold a conversation. Choose a "
            "model that was trained to follow instructions."
        )
    slots = [f"skcapslot{place:04d}" for place in range(len(messages))]
    rendered = tokenizer.apply_chat_template(
        [
            {"role": message["role"], "content": slot}
            for message, slot in zip(messages, slots, strict=True)
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    for place, slot in enumerate(slots):
        if slot not in rendered:
            raise ValueError(
                f"The chat template of model {model!r} does not show messages[{place}], whose role "
                f"is {messages[place]['role']!r}. Put its content into a message of the user, or "
                "choose another model."
            )
    contents = {slot: m["content"].strip() for slot, m in zip(slots, messages, strict=True)}
    # Contents are at odd positions.
    pieces = re.split("(" + "|".join(slots) + ")", rendered)
    texts = [contents.get(piece, piece) for piece in pieces]
    special = SpecialTokens(tokenizer)
    if any(special.are_in(texts[n], texts[n - 1], texts[n + 1]) for n in range(1, len(texts), 2)):
        return special.encode([(text, n % 2 == 0) for n, text in enumerate(texts)])[0]
    return list(tokenizer("".join(texts), add_special_tokens=False)["input_ids"])


def _generation_config(loaded: Any, max_tokens: int, temperature: float) -> Any:
    from transformers import GenerationConfig

    own, tokenizer = loaded.model.generation_config, loaded.tokenizer
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    sampling = {"temperature": float(temperature), "top_k": 0, "top_p": 1.0}
    return GenerationConfig(
        max_new_tokens=int(max_tokens),
        do_sample=temperature > 0,
        bos_token_id=own.bos_token_id,
        eos_token_id=_end_tokens(own.eos_token_id, end),
        pad_token_id=end if pad is None else pad,
        **(sampling if temperature > 0 else {}),
    )


@contextmanager
def _alone(model: Any, config: Any) -> Iterator[None]:
    """Generate by these settings alone: `generate` adds those that came with the model to others.

    Many models come with a penalty for repetitions, which changes greedy replies.
    """
    before = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = before


def _check_room(n_prompt: int, max_tokens: int, context_length: int | None) -> None:
    if context_length is not None and n_prompt + max_tokens > context_length:
        raise PromptTooLongError(
            f"The conversation has {n_prompt} tokens and the reply may have {max_tokens}, but the "
            f"context of the model holds {context_length}. Shorten the messages or lower "
            "max_tokens."
        )


def _end_tokens(*ids: int | list[int] | None) -> list[int]:
    flat = [one for many in ids for one in (many if isinstance(many, list) else [many])]
    return sorted({one for one in flat if one is not None})
