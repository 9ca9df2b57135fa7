"""Chat models, behind one contract: a conversation in, a reply out.

A language model (:class:`skcap.llm.BaseLLM`) says how likely a text is; a chat model writes one,
as adversarial sets need it.
"""

from skcap.llm.chat.base import BaseChat, ChatError, CutReplyError, Message, RefusedError
from skcap.llm.chat.fake import FakeChat
from skcap.llm.chat.local import TransformersChat
from skcap.llm.chat.server import OpenAIChat

__all__ = [
    "BaseChat",
    "ChatError",
    "CutReplyError",
    "FakeChat",
    "Message",
    "OpenAIChat",
    "RefusedError",
    "TransformersChat",
]
