"""A chat model without weights, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skcap.llm.chat.base import BaseChat, ChatError, Message
from skcap.utils.validation import check_parameters

__all__ = ["FakeChat"]


class FakeChat(BaseChat):
    """A chat model without weights, for tests, whose replies are given beforehand.

    Parameters
    ----------
    replies : sequence of str, or callable
        Returned one after the other, or called with the messages of each request.

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

    _parameter_constraints: dict[str, Any] = {
        **BaseChat._parameter_constraints,
        "replies": ["array-like", callable],
    }

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
        """Return the next reply; see :meth:`BaseChat.complete`."""
        check_parameters(self)
        messages = self._check_request(messages, max_tokens, temperature, seed)
        request = {
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        self.requests_ = [*getattr(self, "requests_", []), request]
        reply = self.replies(messages) if callable(self.replies) else self._next_reply()
        if not isinstance(reply, str):
            raise TypeError(f"replies must be strings, got {reply!r:.60}.")
        return reply.strip()

    def _next_reply(self) -> Any:
        assert not callable(self.replies)
        if len(self.requests_) > len(self.replies):
            raise ChatError(f"This FakeChat has {len(self.replies)} replies, all used up.")
        return self.replies[len(self.requests_) - 1]

    def describe(self) -> str:
        """Return ``"fake"``."""
        return "fake"
