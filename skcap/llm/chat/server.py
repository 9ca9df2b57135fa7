"""A chat model behind a server that speaks the OpenAI chat format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from skcap.llm.chat.base import BaseChat, ChatError, CutReplyError, Message, RefusedError
from skcap.llm.http import (
    JsonServer,
    RefusedRequestError,
    ServerError,
    check_base_url,
    import_http,
    read_key,
    run_async,
)
from skcap.utils.validation import check_parameters, integer, number

__all__ = ["OpenAIChat"]


class OpenAIChat(BaseChat):
    """A chat model behind a server that speaks the OpenAI chat format.

    Such servers are vLLM, llama.cpp, Ollama, and the services of several companies. Needs
    ``pip install 'skcap[http]'``.

    Parameters
    ----------
    base_url : str
        The address without ``/chat/completions``, as in ``"http://localhost:8000/v1"``. The
        messages, which hold your texts, are sent there.
    model : str
        What the server calls the model.
    api_key_env : str or None, default=None
        *Name of the environment variable* that holds the key, such as ``"OPENAI_API_KEY"``; never
        the key itself, so that it gets into no repr, pickle, log or cache. None sends no key.
    timeout : float, default=60.0
        Seconds for one request, to the last byte of its reply.
    max_retries : int, default=4
        How often to ask again if the server is busy (429), fails (5xx), does not answer in time,
        or sends what cannot be read. Other errors are final.
    retry_wait : float, default=1.0
        Seconds before the first repetition, doubled for each further one, times a random factor
        between 0.5 and 1.5; a server's ``Retry-After`` is honoured up to a minute.
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

    _parameter_constraints: dict[str, Any] = {
        **BaseChat._parameter_constraints,
        "base_url": [str],
        "model": [str],
        # Checked by `read_key`, which does not show what it got: it may be the key, by mistake.
        "api_key_env": "no_validation",
        "timeout": [number(0, above=True)],
        "max_retries": [integer(0)],
        "retry_wait": [number(0)],
        "extra_body": [Mapping, None],
    }

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
        import_http("OpenAIChat needs")
        base_url, key = check_base_url(self.base_url), read_key(self.api_key_env)
        check_parameters(self)
        fields = {
            "model": self.model,
            "messages": self._check_request(messages, max_tokens, temperature, seed),
            "max_tokens": int(max_tokens),
            "temperature": float(temperature),
            "seed": int(seed),
            **_check_json(self.extra_body or {}),
        }
        body = {field: value for field, value in fields.items() if value is not None}
        try:
            return run_async(self._ask, base_url, key, body)
        except RefusedRequestError as error:
            raise RefusedError(str(error)) from None
        except ServerError as error:
            raise ChatError(str(error)) from None

    async def _ask(self, base_url: str, key: str | None, body: dict[str, Any]) -> str:
        settings = self.timeout, self.max_retries, self.retry_wait
        async with JsonServer(base_url, key, *settings, n_connections=1) as server:
            read = partial(_read_reply, limit=body.get("max_tokens"))
            return await server.post(base_url + "/chat/completions", body, read=read)

    def describe(self) -> str:
        """Name the model."""
        return self.model


def _read_reply(answer: dict[str, Any], limit: int | None) -> str:
    """Read a reply; ValueError, for what may pass, says what it is not."""
    try:
        choice = answer["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        refusal = message.get("refusal")
        reply = (message["content"] or "").strip()  # null if the model said nothing
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError("is no chat completion") from None
    if reason == "content_filter" or refusal:
        raise RefusedError("the model, or a filter of the server, refuses this conversation")
    if reason == "length":
        told = "its largest number of tokens" if limit is None else f"max_tokens={limit}"
        raise CutReplyError(f"the reply was cut at {told}; raise it")
    return reply


def _check_json(extra_body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(dict(extra_body), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"extra_body must hold only what JSON can: {error}.") from error
    return dict(extra_body)
