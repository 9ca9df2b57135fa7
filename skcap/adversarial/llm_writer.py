"""The writer that asks a chat model, and checks every answer."""

from __future__ import annotations

from typing import Any

from skcap.adversarial.edits import Edit, RejectedEditError, find_problem
from skcap.adversarial.writers import BaseWriter
from skcap.llm import PromptTooLongError
from skcap.llm.chat import BaseChat, CutReplyError, Message, RefusedError
from skcap.utils.validation import check_parameters, integer, number

__all__ = ["LLMWriter"]

# One message of the user: some chat templates have no system messages.
_TASK = (
    "You change messages of users, to test a text classifier. Answer with the changed message "
    "alone, on one line, without quotation marks around it and without any explanation.\n\n"
)
_ADD = (
    "Message: {text}\n"
    "What the user wants: {source}\n\n"
    "Change the message so that it also mentions: {added}. It must sound natural, and the user "
    "must still want '{source}', not '{target}'."
)
_REPLACE = (
    "Message: {text}\n"
    "What the user wants: {source}\n\n"
    "Replace these words: {swaps}. Adapt grammar where needed and leave the rest as it is. It must "
    "sound natural, and the user must still want '{source}', not '{target}'."
)
_KEEP = " Keep all numbers and names{kept}."
_AGAIN = "That cannot be used: {problem}. Answer with the changed message alone."


class LLMWriter(BaseWriter):
    """Lets a chat model write the changed texts.

    Each reply is checked with :func:`skcap.adversarial.find_problem`: the wanted words are in,
    those to be removed are gone, numbers, names and the other keywords of the true class are kept,
    the length is about right, and it is one line and neither a refusal nor a comment. If not, the
    model is told what is wrong and asked again; after `n_tries` replies the edit is rejected with
    the last reason. No check can see whether the text still means the same.

    Parameters
    ----------
    chat : BaseChat
        Such as ``TransformersChat()``, or ``OpenAIChat(base_url, model)`` for a server.
    n_tries : int, default=3
        Number of replies to ask for before giving up.
    temperature : float, default=0.7
        For the second reply and later ones; the first has 0, which gives the likeliest.
    max_tokens : int, default=128
        Largest number of tokens of a reply.

    Examples
    --------
    >>> from skcap.adversarial import Edit, LLMWriter
    >>> from skcap.llm.chat import FakeChat
    >>> writer = LLMWriter(FakeChat(["Sure! Here it is:", "play some jazz on the station"]))
    >>> writer.write(Edit("play some jazz", "play music", "play radio", added=("station",)))
    'play some jazz on the station'
    """

    _parameter_constraints: dict[str, Any] = {
        "chat": [BaseChat],
        "n_tries": [integer(1)],
        "temperature": [number(0)],
        "max_tokens": [integer(1)],
    }

    def __init__(
        self,
        chat: BaseChat,
        *,
        n_tries: int = 3,
        temperature: float = 0.7,
        max_tokens: int = 128,
    ) -> None:
        self.chat = chat
        self.n_tries = n_tries
        self.temperature = temperature
        self.max_tokens = max_tokens

    def write(self, edit: Edit) -> str:
        """Ask until a reply can be used; see :meth:`BaseWriter.write`."""
        check_parameters(self)
        messages = _request(edit)
        problem: str | None = None
        for attempt in range(self.n_tries):
            reply = self._ask(messages, attempt, edit.seed)
            text = _unquoted(reply.strip(), edit.text)
            problem = find_problem(edit, text)
            if problem is None:
                return text
            # Only the last reply is shown, so that the prompt does not grow with each try.
            messages = [
                *_request(edit),
                {"role": "assistant", "content": reply},
                {"role": "user", "content": _AGAIN.format(problem=problem)},
            ]
        raise RejectedEditError(str(problem))

    def _ask(self, messages: list[Message], attempt: int, seed: int) -> str:
        try:
            return self.chat.complete(
                messages,
                max_tokens=self.max_tokens,
                temperature=self.temperature if attempt else 0.0,
                seed=(seed + attempt) % 2**31,
            )
        # This text alone is lost, not those before it.
        except RefusedError as error:
            raise RejectedEditError("the model refused the request") from error
        except CutReplyError as error:
            raise RejectedEditError("the model's reply was too long") from error
        except PromptTooLongError as error:
            raise RejectedEditError("the text is too long for the model") from error

    def describe(self) -> str:
        """Name the model."""
        check_parameters(self)
        return f"llm:{self.chat.describe()}"


def _request(edit: Edit) -> list[Message]:
    values: dict[str, Any] = {
        "text": edit.text,
        "source": edit.source,
        "target": edit.target,
        "added": _quoted(edit.added),
        "swaps": ", ".join(
            f"'{old}' by '{new}'" for old, new in zip(edit.removed, edit.added, strict=False)
        ),
    }
    kept = f", and these words: {_quoted(edit.kept)}" if edit.kept else ""
    wish = (_REPLACE if edit.removed else _ADD).format(**values) + _KEEP.format(kept=kept)
    return [{"role": "user", "content": _TASK + wish}]


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _unquoted(reply: str, original: str) -> str:
    """Remove quotation marks around the whole reply, unless the text has them itself."""
    for first, last in ('""', "“”"):
        inner = reply[1:-1]
        if reply == f"{first}{inner}{last}" and first not in inner and original[:1] != first:
            return inner.strip()
    return reply
