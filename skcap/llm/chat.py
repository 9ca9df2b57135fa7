"""Chat models, behind one contract: a conversation in, a reply out.

`BaseLLM` tells how likely a text is; a `BaseChat` writes one, as adversarial sets need it.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from sklearn.base import BaseEstimator

from skcap.llm.base import PromptTooLongError
from skcap.llm.transformers import TransformersLLM

__all__ = ["BaseChat", "ChatError", "FakeChat", "Message", "OpenAIChat", "TransformersChat"]

_ROLES = ("system", "user", "assistant")
_RETRY_STATUS = (408, 409, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 60.0  # seconds; what a server asks for beyond that is not waited for


class Message(TypedDict):
    """One message of a conversation: `role` is "system", "user" or "assistant"."""

    role: str
    content: str


class ChatError(RuntimeError):
    """A chat model gave no reply, or none that can be read."""


class BaseChat(BaseEstimator, ABC):
    """A model that replies to a conversation.

    As language models do, subclasses hold parameters only; weights and connections live outside.
    """

    @abstractmethod
    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Reply to a conversation.

        Parameters
        ----------
        messages : sequence of {"role": str, "content": str}
            The conversation, oldest first; roles are "system", "user" and "assistant".
        max_tokens : int, default=128
            Longest reply.
        temperature : float, default=0.0
            0 takes the likeliest token each time; above, tokens are drawn.
        seed : int, default=0
            Of the draws. A server may not honour it.

        Returns
        -------
        str
            Without white space at its ends; may be empty.

        Raises
        ------
        ChatError
            If there is no reply.
        """

    @abstractmethod
    def describe(self) -> str:
        """Name the model, for provenance; holds no secret."""


class TransformersChat(BaseChat):
    """A chat model that runs in this process, from the same weights as :class:`TransformersLLM`.

    Parameters
    ----------
    model : str, default="smollm2-135m"
        Alias, folder, or hub id of a causal model whose tokenizer has a chat template.
    device, dtype, revision, local_files_only, trust_remote_code
        As for :class:`TransformersLLM`. Equal values share one copy of the weights with it.

    Examples
    --------
    >>> from skcap.llm.chat import TransformersChat
    >>> chat = TransformersChat("smollm2-135m")
    >>> chat.complete([{"role": "user", "content": "Say hello."}])  # doctest: +SKIP
    'Hello!'
    """

    def __init__(
        self,
        model: str = "smollm2-135m",
        *,
        device: str = "auto",
        dtype: str = "auto",
        revision: str | None = None,
        local_files_only: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.local_files_only = local_files_only
        self.trust_remote_code = trust_remote_code

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
        from transformers import GenerationConfig

        messages = _check_messages(messages)
        loaded = TransformersLLM(**self.get_params())._load()
        devices = [loaded.device] if loaded.device.type == "cuda" else []
        with loaded.lock, torch.random.fork_rng(devices), torch.inference_mode():
            ids = _encode_chat(loaded.tokenizer, messages, self.model)
            _check_room(len(ids), max_tokens, loaded.context_length)
            own = loaded.model.generation_config
            sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0}
            config = GenerationConfig(
                max_new_tokens=max_tokens,
                do_sample=temperature > 0,
                bos_token_id=own.bos_token_id,
                eos_token_id=_end_tokens(own.eos_token_id, loaded.tokenizer.eos_token_id),
                pad_token_id=_pad_token(loaded.tokenizer),
                **(sampling if temperature > 0 else {}),
            )
            torch.manual_seed(seed)
            inputs = torch.tensor([ids], device=loaded.device)
            output = loaded.model.generate(
                inputs, attention_mask=torch.ones_like(inputs), generation_config=config
            )
            reply = loaded.tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)
            return str(reply).strip()

    def describe(self) -> str:
        """Name the model, and its revision where one is given."""
        return self.model if self.revision is None else f"{self.model}@{self.revision}"


class OpenAIChat(BaseChat):
    """A chat model behind a server that speaks the OpenAI chat format.

    Such servers are vLLM, llama.cpp, Ollama, and the services of several companies. Needs
    ``pip install 'skcap[http]'``.

    Parameters
    ----------
    base_url : str
        Up to and without ``/chat/completions``, as in ``"http://localhost:8000/v1"``.
    model : str
        What the server calls the model.
    api_key_env : str or None, default=None
        *Name of the environment variable* that holds the key, such as ``"OPENAI_API_KEY"``; never
        the key itself, so that it gets into no repr, pickle, log or cache. None sends no key.
    timeout : float, default=60.0
        Seconds to wait for a server's answer.
    max_retries : int, default=4
        How often to ask again if the server is busy (429), fails (5xx), does not answer in time,
        or sends what cannot be read. Other errors are final.
    retry_wait : float, default=1.0
        Seconds before the first repetition, doubled for each further one; a server's
        ``Retry-After`` goes before it, up to a minute.
    extra_body : mapping or None, default=None
        More fields of the request; a field that is None is left out. Models that refuse
        ``max_tokens`` take ``{"max_tokens": None, "max_completion_tokens": 200}``.

    Examples
    --------
    >>> from skcap.llm.chat import OpenAIChat
    >>> chat = OpenAIChat("http://localhost:8000/v1", "llama-3", api_key_env="MY_KEY")
    >>> chat.describe()
    'llama-3'
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 4,
        retry_wait: float = 1.0,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_url = base_url
        self.model = model
        self.api_key_env = api_key_env
        self.timeout = timeout
        self.max_retries = max_retries
        self.retry_wait = retry_wait
        self.extra_body = extra_body

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Reply to a conversation; see :meth:`BaseChat.complete`."""
        try:
            import tenacity
        except ImportError as error:
            raise ImportError(
                "OpenAIChat needs skcap's extra: pip install 'skcap[http]'"
            ) from error
        body = {
            "model": self.model,
            "messages": list(_check_messages(messages)),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            **(self.extra_body or {}),
        }
        body = {field: value for field, value in body.items() if value is not None}
        url, key = _endpoint(self.base_url), self._key()
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(1 + self.max_retries),
            retry=tenacity.retry_if_exception_type(_TransientError),
            wait=self._wait,
            reraise=True,
        )
        return attempts(_post, url, body, key, self.timeout)

    def describe(self) -> str:
        """Name the model."""
        return self.model

    def _key(self) -> str | None:
        if self.api_key_env is None:
            return None
        if not (key := os.environ.get(self.api_key_env, "").strip()):
            raise ValueError(
                "api_key_env must name an environment variable that holds the key; the one that it "
                "names is not set. Set it, and pass its name, never the key."
            )
        return key

    def _wait(self, state: Any) -> float:
        """Seconds to wait after a failed attempt; tenacity asks."""
        wait = state.outcome.exception().wait
        if wait is None:
            wait = self.retry_wait * 2 ** (state.attempt_number - 1)
        return min(wait, _LONGEST_WAIT)


class FakeChat(BaseChat):
    """A chat model without weights, for tests: replies are given beforehand.

    Parameters
    ----------
    replies : sequence of str, or callable
        Given out in turn, or called with the messages of each request.

    Attributes
    ----------
    requests_ : list of dict
        The arguments of each call.

    Examples
    --------
    >>> from skcap.llm.chat import FakeChat
    >>> chat = FakeChat(["hello", "bye"])
    >>> [chat.complete([{"role": "user", "content": "?"}]) for _ in range(2)]
    ['hello', 'bye']
    """

    requests_: list[dict[str, Any]]

    def __init__(self, replies: Sequence[str] | Callable[[Sequence[Message]], str]) -> None:
        self.replies = replies

    def complete(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = 128,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> str:
        """Give the next reply; see :meth:`BaseChat.complete`."""
        messages = _check_messages(messages)
        self.requests_ = [
            *getattr(self, "requests_", []),
            {
                "messages": messages,
                "max_tokens": max_tokens,
                "temperature": temperature,
                "seed": seed,
            },
        ]
        if callable(self.replies):
            return self.replies(messages).strip()
        if len(self.requests_) > len(self.replies):
            raise ChatError(f"This FakeChat has {len(self.replies)} replies, all given out.")
        return self.replies[len(self.requests_) - 1].strip()

    def describe(self) -> str:
        """Return ``"fake"``."""
        return "fake"


class _TransientError(ChatError):
    """What may go away by itself; `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def _check_messages(messages: Sequence[Message]) -> list[Message]:
    if isinstance(messages, str) or not messages:
        raise ValueError(
            "messages must be a list of at least one message, as in "
            f"[{{'role': 'user', 'content': 'Hello'}}]; got {messages!r:.60}."
        )
    for place, message in enumerate(messages):
        if message.get("role") not in _ROLES or not isinstance(message.get("content"), str):
            raise ValueError(
                f"messages[{place}] must have a 'role' of {_ROLES} and a 'content' of type str, "
                f"got {message!r:.120}."
            )
    return list(messages)


# -- in process -----------------------------------------------------------------------------------


def _encode_chat(tokenizer: Any, messages: list[Message], model: str) -> list[int]:
    """Token ids of a conversation; only the template may speak in special tokens.

    The template is rendered with a slot for each content, and the contents are encoded apart, so
    that a text with ``<|im_end|>`` in it cannot end its message.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise ValueError(
            f"model {model!r} has no chat template, so it cannot be talked to. Choose a model that "
            "was trained to follow instructions."
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
    contents = {slot: m["content"].strip() for slot, m in zip(slots, messages, strict=True)}
    ids: list[int] = []
    for piece in re.split("(" + "|".join(slots) + ")", rendered):
        if text := contents.get(piece, piece):
            ids += tokenizer(
                text, add_special_tokens=False, split_special_tokens=piece in contents
            )["input_ids"]
    return ids


def _check_room(n_prompt: int, max_tokens: int, context_length: int | None) -> None:
    if context_length is not None and n_prompt + max_tokens > context_length:
        raise PromptTooLongError(
            f"The conversation has {n_prompt} tokens and the reply may have {max_tokens}, but the "
            f"context of the model holds {context_length}. Shorten the messages or max_tokens."
        )


def _end_tokens(*ids: int | list[int] | None) -> list[int]:
    flat = [one for many in ids for one in (many if isinstance(many, list) else [many])]
    return sorted({one for one in flat if one is not None})


def _pad_token(tokenizer: Any) -> int | None:
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


# -- server ---------------------------------------------------------------------------------------


def _endpoint(base_url: str) -> str:
    if not re.fullmatch(r"https?://[^\s?#@]+", base_url):
        raise ValueError(
            "base_url must be like 'http://localhost:8000/v1': http or https, without a query and "
            "without user and password. A key goes into an environment variable (api_key_env)."
        )
    return base_url.rstrip("/") + "/chat/completions"


def _post(url: str, body: dict[str, Any], key: str | None, timeout: float) -> str:
    """Ask the server once."""
    try:
        import httpx
    except ImportError as error:
        raise ImportError("OpenAIChat needs skcap's extra: pip install 'skcap[http]'") from error
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        answer = httpx.post(url, json=body, headers=headers, timeout=timeout)
    except httpx.TimeoutException:
        raise _TransientError(f"{url} did not answer within {timeout:g} seconds.") from None
    except httpx.TransportError as error:
        raise _TransientError(f"{url} cannot be reached: {_without(key, str(error))}.") from None
    if answer.status_code != 200:
        told = _without(key, " ".join(answer.text.split())[:300])
        message = f"{url} answered {answer.status_code} {answer.reason_phrase}: {told}"
        if answer.status_code in _RETRY_STATUS:
            raise _TransientError(message, _retry_after(answer.headers.get("Retry-After")))
        raise ChatError(message)
    try:
        # null where the model refused or said nothing
        return (answer.json()["choices"][0]["message"]["content"] or "").strip()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        told = _without(key, " ".join(answer.text.split())[:300])
        raise _TransientError(f"{url} answered what is no chat completion: {told}") from None


def _without(key: str | None, text: str) -> str:
    """Servers like to repeat a wrong key."""
    return text if key is None else text.replace(key, "***")


def _retry_after(header: str | None) -> float | None:
    """Seconds that a server asks to wait; a date is left to the usual waiting time."""
    return float(header) if header is not None and re.fullmatch(r"\d+(\.\d+)?", header) else None
