"""The contract of a chat model: a conversation in, a reply out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from sklearn.base import BaseEstimator

from skcap.utils.validation import check_parameters, integer, number
from skcap.utils.words import check_encodable

__all__ = ["BaseChat", "ChatError", "CutReplyError", "Message", "RefusedError", "check_messages"]

_ROLES = ("system", "user", "assistant")


class Message(TypedDict):
    """One message of a conversation: `role` is "system", "user" or "assistant".

    Examples
    --------
    >>> from skcap.llm.chat import Message
    >>> Message(role="user", content="Say hello.")
    {'role': 'user', 'content': 'Say hello.'}
    """

    role: str
    content: str


class ChatError(RuntimeError):
    """A chat model gave no reply, or none that can be read.

    Examples
    --------
    >>> from skcap.llm.chat import ChatError
    >>> raise ChatError("the reply was empty")
    Traceback (most recent call last):
        ...
    skcap.llm.chat.base.ChatError: the reply was empty
    """


class RefusedError(ChatError):
    """The model answers, but not to this conversation, as where a filter objects.

    Examples
    --------
    >>> from skcap.llm.chat import ChatError, RefusedError
    >>> issubclass(RefusedError, ChatError)
    True
    """


class CutReplyError(ChatError):
    """A server cut the reply at `max_tokens`.

    Examples
    --------
    >>> from skcap.llm.chat import ChatError, CutReplyError
    >>> issubclass(CutReplyError, ChatError)
    True
    """


class BaseChat(BaseEstimator, ABC):
    """A model that replies to a conversation.

    Like language models, subclasses hold parameters only; weights and connections live outside.

    Examples
    --------
    >>> from skcap.llm.chat import FakeChat
    >>> FakeChat(["hello"]).complete([{"role": "user", "content": "Say hello."}])
    'hello'
    """

    # Of `complete`; subclasses add those of their constructors.
    _parameter_constraints: dict[str, Any] = {
        "max_tokens": [integer(1)],
        "temperature": [number(0)],
        "seed": [integer(0, 2**63 - 1)],
    }

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
            The conversation, oldest message first; roles are "system", "user" and "assistant".
        max_tokens : int, default=128
            Largest number of tokens of the reply.
        temperature : float, default=0.0
            0 always takes the likeliest token; above 0, tokens are drawn at random.
        seed : int, default=0
            Seeds the draws. Not all servers heed it.

        Returns
        -------
        str
            Without white space at its ends; may be empty.

        Raises
        ------
        ChatError
            If there is no reply; a :class:`RefusedError` if it is refused to this conversation, a
            :class:`CutReplyError` if a server cut it at `max_tokens`.
        """

    @abstractmethod
    def describe(self) -> str:
        """Name the model, for provenance; holds no secret."""

    def _check_request(
        self, messages: Sequence[Message], max_tokens: int, temperature: float, seed: int
    ) -> list[Message]:
        check_parameters(self, max_tokens=max_tokens, temperature=temperature, seed=seed)
        return check_messages(messages)


def check_messages(messages: Sequence[Message]) -> list[Message]:
    """Check a conversation and return it as a list.

    Parameters
    ----------
    messages : sequence of {"role": str, "content": str}

    Returns
    -------
    list of Message

    Raises
    ------
    ValueError
        If there is no message, or one is not of this form or not valid Unicode.
    """
    if isinstance(messages, str) or not isinstance(messages, Sequence) or not messages:
        raise ValueError(
            "messages must be a list of at least one message, as in "
            f"[{{'role': 'user', 'content': 'Hello'}}]; got {messages!r:.60}."
        )
    for place, message in enumerate(messages):
        if (
            not isinstance(message, Mapping)
            or message.get("role") not in _ROLES
            or not isinstance(message.get("content"), str)
        ):
            raise ValueError(
                f"messages[{place}] must have a 'role', one of {_ROLES}, and a 'content' of type "
                f"str, got {message!r:.120}."
            )
    check_encodable([message["content"] for message in messages], "messages")
    return [Message(role=message["role"], content=message["content"]) for message in messages]
