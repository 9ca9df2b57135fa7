"""How a server is asked for the log-likelihood of a label: one class per way of asking.

===================  ==================================================================
``echo``             ``/v1/completions`` with ``echo`` and ``logprobs``, as OpenAI's once did
``prompt_logprobs``  ``/v1/completions`` with vLLM's ``prompt_logprobs``
``llama.cpp``        llama.cpp's own server, which has neither: the label's tokens are asked for
                     one by one, and the server keeps what the prompts share
===================  ==================================================================
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from skcap.llm.echoes import EchoError, check_no_command, count_label_tokens, starts_late
from skcap.llm.http import JsonServer, PassingError, ServerError

__all__ = ["PROTOCOLS", "LabelScore", "Listing", "Protocol", "Request", "find_listing", "probe"]

# A token that one way of asking finds as likely as e^0.5 times the other is not the same token.
_TOLERANCE = 0.5
# What llama.cpp lists about the weights themselves.
_META = ("n_params", "n_vocab", "n_embd", "size")
_PROBES = ("Paris is the capital of", "one two three four five", "to be or not to", "I am very")


class Request(NamedTuple):
    """A prompt and its label.

    `body` is the part of the prompt that is a text, and `has_commands` says whether what stands
    around it, which a user has written, seems to hold special tokens.
    """

    prompt: str
    label: str
    body: str
    has_commands: bool = False


class LabelScore(NamedTuple):
    """Log-likelihood of a label, and the number of tokens that it is the sum of."""

    log_likelihood: float
    n_tokens: int


class Protocol(ABC):
    """A way of asking for log-likelihoods.

    Parameters
    ----------
    server : JsonServer
    model : str
        What the server calls the model.
    reuse_prefix : bool
        Whether the server may keep what prompts share, where a request can say so.
    """

    name: ClassVar[str]
    n_drawn = 0  # tokens that a server leaves room for besides prompt and label

    def __init__(self, server: JsonServer, model: str, reuse_prefix: bool) -> None:
        self.server = server
        self.model = model
        self.reuse_prefix = reuse_prefix

    @abstractmethod
    async def score(self, request: Request) -> LabelScore:
        """Score one label."""

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text, None if the server does not tell."""
        try:
            body = {"model": self.model, "prompt": text}
            count = (await self.server.post(self._root() + "/tokenize", body)).get("count")
        except ServerError:
            return None
        return count if isinstance(count, int) else None

    async def draw(self, prompt: str) -> tuple[str, float]:
        """Draw the next token of a prompt; return its text and its log-probability."""
        reply = await self._complete(prompt, {"logprobs": 1})
        logprobs: Any = _choice(reply).get("logprobs")
        try:
            if "content" in logprobs:  # as chat completions have it
                drawn = logprobs["content"][0]
                return str(drawn["token"]), _finite(drawn["logprob"])
            return str(logprobs["tokens"][0]), _finite(logprobs["token_logprobs"][0])
        except (TypeError, KeyError, IndexError):
            raise ServerError("its completions come without log-probabilities") from None

    async def _complete(self, prompt: str, fields: dict[str, Any]) -> dict[str, Any]:
        # One token, as some servers take 0 for "until the context is full". At a temperature of 1
        # also those servers that show log-probabilities after sampling's changes show the model's.
        body = {"model": self.model, "prompt": prompt, "max_tokens": 1, "temperature": 1.0}
        return await self.server.post(self.server.base_url + "/completions", {**body, **fields})

    def _root(self) -> str:
        """Address of what lies beside ``/v1``."""
        return self.server.base_url.removesuffix("/v1")


class _PromptProtocol(Protocol):
    """A server that shows all tokens of a prompt; the label's are picked from their end."""

    fields: ClassVar[dict[str, Any]]
    n_drawn = 1

    async def score(self, request: Request) -> LabelScore:
        reply = await self._complete(request.prompt + request.label, self.fields)
        tokens, logprobs = self._shown(reply, request.prompt + request.label)
        if starts_late(tokens, request.prompt + request.label):
            raise ServerError(
                "The server cut the prompt short; give it a larger context (vLLM: "
                "--max-model-len), or shorten the text or the instruction."
            )
        try:
            check_no_command(tokens, request.body, request.label)
            n_tokens = count_label_tokens(tokens, request.prompt, request.label)
        except EchoError as error:
            raise ServerError(f"Label {request.label.strip()!r:.80}: {error}.") from None
        if n_tokens == len(tokens) and logprobs[0] is None:
            raise ServerError("The prompt is empty; put an instruction before the text.")
        kept = logprobs[len(tokens) - n_tokens :]
        return LabelScore(math.fsum(_finite(value) for value in kept), n_tokens)

    @abstractmethod
    def _shown(self, reply: dict[str, Any], text: str) -> tuple[list[str], list[Any]]:
        """Text and log-probability of each token of the prompt."""


class EchoProtocol(_PromptProtocol):
    """``echo`` and ``logprobs``; see :class:`Protocol`."""

    name = "echo"
    fields: ClassVar[dict[str, Any]] = {"echo": True, "logprobs": 1}

    def _shown(self, reply: dict[str, Any], text: str) -> tuple[list[str], list[Any]]:
        choice = _choice(reply)
        if not str(choice.get("text")).startswith(text):
            raise ServerError("it does not echo the prompt")
        logprobs: Any = choice.get("logprobs")
        try:
            tokens = [str(token) for token in logprobs["tokens"]]
            values = list(logprobs["token_logprobs"])
        except (TypeError, KeyError):
            raise ServerError("it echoes the prompt without log-probabilities") from None
        if len(tokens) != len(values):
            raise ServerError(f"it sends {len(values)} log-probabilities for {len(tokens)} tokens")
        try:
            n_drawn = int(reply["usage"]["completion_tokens"])
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ServerError("it does not say how many tokens it drew (usage)") from None
        if not 0 <= n_drawn <= min(1, len(tokens)):
            raise ServerError(f"it says that it drew {n_drawn} tokens, but was asked for one")
        n_shown = len(tokens) - n_drawn
        return tokens[:n_shown], values[:n_shown]


class PromptLogprobsProtocol(_PromptProtocol):
    """vLLM's ``prompt_logprobs``; see :class:`Protocol`."""

    name = "prompt_logprobs"
    fields: ClassVar[dict[str, Any]] = {"prompt_logprobs": 0}

    def _shown(self, reply: dict[str, Any], text: str) -> tuple[list[str], list[Any]]:
        places = _choice(reply).get("prompt_logprobs")
        if not isinstance(places, list) or not places:
            raise ServerError("it does not know prompt_logprobs")
        tokens, values = [], []
        for number, place in enumerate(places):
            if place is None and number == 0:
                continue  # nothing stands before the first token, so it has no probability
            try:
                (shown,) = place.values()
                tokens.append(str(shown["decoded_token"]))
                values.append(shown["logprob"])
            except (AttributeError, ValueError, KeyError, TypeError):
                raise ServerError(
                    "its prompt_logprobs do not hold one token per position"
                ) from None
        return ["", *tokens], [None, *values]  # the first one's text is not shown


class _Token(NamedTuple):
    """A token of llama.cpp's; its bytes may be a part of a character."""

    id: int
    piece: bytes
    is_whole: bool


class LlamaCppProtocol(Protocol):
    """llama.cpp's own ``/tokenize`` and ``/completion``; see :class:`Protocol`.

    Each token of the label is forced by a large bias, which the log-probabilities leave out.
    """

    name = "llama.cpp"

    async def score(self, request: Request) -> LabelScore:
        tokens = await self._encode(request.prompt + request.label, request.has_commands)
        whole = [token.piece.decode() for token in tokens if token.is_whole]
        try:
            # Older servers do not heed parse_special.
            check_no_command(whole, request.body, request.label)
        except EchoError as error:
            raise ServerError(f"Label {request.label.strip()!r:.80}: {error}.") from None
        # Special tokens and a space of the tokenizer's own may stand before the text, so the join
        # is counted from the end.
        left, n_label = len(request.label.encode()), 0
        while left > 0:
            n_label += 1
            left -= len(tokens[-n_label].piece)
        if n_label == len(tokens):
            raise ServerError("The prompt is empty; put an instruction before the text.")
        places = range(len(tokens) - n_label, len(tokens))
        values = [await self._next(tokens[:place], tokens[place]) for place in places]
        return LabelScore(math.fsum(values), n_label)

    async def count_tokens(self, text: str) -> int | None:
        return len(await self._encode(text))

    async def _encode(self, text: str, parse_special: bool = False) -> list[_Token]:
        """Encode a text; a "<|im_end|>" in it is a special token only if that is asked for."""
        body = {
            "content": text,
            "add_special": True,
            "parse_special": parse_special,
            "with_pieces": True,
        }
        reply = await self.server.post(self._root() + "/tokenize", body)
        try:
            tokens = [_read_token(token) for token in reply["tokens"]]
        except (KeyError, TypeError, ValueError):
            raise ServerError("its /tokenize is not llama.cpp's") from None
        if not b"".join(token.piece for token in tokens).endswith(text.encode()):
            raise ServerError("Its tokens do not spell the text that was sent.")
        return tokens

    async def _next(self, tokens: Sequence[_Token], wanted: _Token) -> float:
        """Log-probability of a token after others."""
        if wanted.is_whole:
            shown = await self._force(tokens, wanted, 1)
            return _finite(shown.get("logprob"))
        # The server shows nothing where it draws a part of a character, so another token is
        # drawn, and this one looked up among the likeliest.
        other = next((token for token in tokens if token.is_whole), None)
        if other is None:
            raise ServerError("No token of the prompt is a whole character.")
        for n_shown in (1_000, 1_000_000):
            shown = await self._force(tokens, other, n_shown)
            for rival in shown.get("top_logprobs") or []:
                if isinstance(rival, dict) and rival.get("id") == wanted.id:
                    return _finite(rival.get("logprob"))
        raise ServerError("its /completion does not show the whole vocabulary")

    async def _force(
        self, tokens: Sequence[_Token], wanted: _Token, n_shown: int
    ) -> dict[str, Any]:
        """Have a token drawn after others; return what the server shows about it."""
        body = {
            "model": self.model,
            "prompt": [token.id for token in tokens],
            "n_predict": 1,
            "n_probs": n_shown,
            "logit_bias": [[wanted.id, 1000.0]],
            "temperature": 0.0,
            "post_sampling_probs": False,
            "cache_prompt": bool(self.reuse_prefix),
        }
        reply = await self.server.post(self._root() + "/completion", body)
        try:
            (shown,) = reply["completion_probabilities"]
            drawn = shown["id"]
        except (KeyError, TypeError, ValueError):
            raise ServerError("its /completion shows no log-probabilities") from None
        if drawn != wanted.id:
            raise ServerError("its /completion does not heed logit_bias")
        if reply.get("truncated") or reply.get("tokens_evaluated") not in (None, len(tokens)):
            raise ServerError("The server cut the prompt short; give it a larger context (-c).")
        return shown


PROTOCOLS: dict[str, type[Protocol]] = {
    protocol.name: protocol for protocol in (EchoProtocol, PromptLogprobsProtocol, LlamaCppProtocol)
}


async def probe(protocol: Protocol) -> None:
    """Check that a server gives log-probabilities of prompts, and that they are right.

    A token that the server draws itself must get the same log-probability when it is asked for:
    there are servers that show each token the log-probability of the next one.

    Parameters
    ----------
    protocol : Protocol

    Raises
    ------
    ServerError
        Says what is wrong.
    """
    n_checked = 0
    for prompt in _PROBES:
        scored = await protocol.score(Request(prompt, " it", prompt))
        if scored.n_tokens < 1:
            raise ServerError("it shows no token of a label")
        token, drawn = await protocol.draw(prompt)
        if not (token.isascii() and token[:1] == " " and token[1:].isalpha()):
            continue
        scored = await protocol.score(Request(prompt, token, prompt))
        if scored.n_tokens != 1:
            continue  # encoded in another way together with the prompt
        if abs(scored.log_likelihood - drawn) > _TOLERANCE:
            raise ServerError(
                f"its log-probabilities of prompts are wrong: it draws {token!r} after {prompt!r} "
                f"with a log-probability of {drawn:.2f}, but gives the same token in a prompt "
                f"{scored.log_likelihood:.2f}"
            )
        n_checked += 1
    if not n_checked:
        raise ServerError("no token that it drew could be found again in a prompt")


class Listing(NamedTuple):
    """What a server lists about a model: a hash of it, and the tokens that its context holds."""

    identity: str
    context_length: int | None


async def find_listing(server: JsonServer, model: str) -> Listing:
    """Look a model up in ``/models``.

    Parameters
    ----------
    server : JsonServer
    model : str

    Returns
    -------
    Listing
        With the identity "unlisted" where a server has no such list.

    Raises
    ------
    ServerError
        If the server has others, but not this one, or refuses the key.
    """
    try:
        entries = (await server.get(server.base_url + "/models")).get("data")
    except ServerError as error:
        # Some keys are for completions alone, and the list is forbidden (403) to them.
        if isinstance(error, PassingError) or error.status == 401:
            raise
        entries = None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return Listing("unlisted", None)
    for entry in entries:
        if entry.get("id") == model:
            return _understand_listing(entry)
    names = server.hide_key(", ".join(repr(entry.get("id")) for entry in entries))
    raise ServerError(f"model={model!r} is not served at {server.base_url}; there are: {names}.")


def _understand_listing(entry: dict[str, Any]) -> Listing:
    meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
    facts = [entry.get("id"), entry.get("root"), *(meta.get(name) for name in _META)]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    length = entry.get("max_model_len", meta.get("n_ctx"))
    return Listing(f"listed#sha256:{digest[:16]}", length if isinstance(length, int) else None)


def _choice(reply: dict[str, Any]) -> dict[str, Any]:
    try:
        (choice,) = reply["choices"]
    except (KeyError, TypeError, ValueError):
        raise ServerError("its reply is not a completion with one choice") from None
    if not isinstance(choice, dict):
        raise ServerError("its reply is not a completion with one choice")
    return choice


def _finite(value: Any) -> float:
    """Check a log-probability; rounding may lift that of a sure token a little above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ServerError(  # not what it is: a server may put anything there, the key, too
            f"A token's log-probability is {type(value).__name__}, which is not a number."
        )
    if not -1e30 < value < 1e-3:  # llama.cpp shows the smallest float32 where others show -inf
        raise ServerError(
            f"A token's log-probability is {value!r:.40}, which is above 0 or not finite."
        )
    return float(value)


def _read_token(token: dict[str, Any]) -> _Token:
    """Read a token: its bytes are a string, or a list of numbers where they are no characters."""
    piece = token["piece"]
    is_whole = isinstance(piece, str)
    return _Token(int(token["id"]), piece.encode() if is_whole else bytes(piece), is_whole)
