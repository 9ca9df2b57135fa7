"""A language model on a server that speaks the OpenAI completions format."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skcap.llm.base import BaseLLM, PromptTooLongError, check_pairs, join_labels
from skcap.llm.http import (
    JsonServer,
    PassingError,
    ServerError,
    check_base_url,
    import_http,
    read_key,
    run_async,
)
from skcap.llm.server_protocols import PROTOCOLS, Protocol, Request, find_listing, probe
from skcap.llm.special_tokens import COMMAND
from skcap.utils.validation import StrOptions, check_parameters, integer, number
from skcap.utils.words import check_encodable

__all__ = ["ServerLLM"]


class ServerLLM(BaseLLM):
    r"""A causal language model behind a server, asked for log-likelihoods of labels.

    Needs ``pip install 'skcap[http]'`` and a server that shows log-probabilities of tokens of a
    prompt: llama.cpp's ``llama-server``, vLLM, or one with OpenAI's ``echo`` and ``logprobs``. The
    first call finds out, and refuses a server that does not, or whose log-probabilities disagree
    with those of the tokens that it draws. (Services for chat do not show them.)

    The server encodes the prompt as it does for everyone: it decides on a begin-of-sequence token,
    and no chat template is applied (write one into the prior's `template`, where special tokens
    are heeded, as they are not in texts). Which tokens belong to the label is decided as in
    :class:`~skcap.llm.TransformersLLM`.

    .. warning::
       What a server has loaded cannot be verified. Cached priors are told apart by the model's
       name, by what the server lists about it (for llama.cpp also the number of its parameters and
       the size of its file) and by `revision`, not by the address. Where the weights behind a name
       may change, name them in `revision`.

    Parameters
    ----------
    base_url : str
        Without ``/completions``, as in ``"http://localhost:8000/v1"``. The prompts, which hold your
        texts, are sent there.
    model : str
        What the server calls the model (``/v1/models`` lists it).
    protocol : {"auto", "echo", "prompt_logprobs", "llama.cpp"}, default="auto"
        How to ask. ``"auto"`` takes the first that works. ``"echo"`` and ``"prompt_logprobs"``
        need one request per label, in which servers compute the whole prompt anew. ``"llama.cpp"``
        needs one request per token of the label, and one to encode, and the server keeps what
        prompts share.
    revision : str or None, default=None
        Any name for the weights, part of the cache's keys.
    api_key_env : str or None, default=None
        *Name of the environment variable* that holds the key, such as ``"OPENAI_API_KEY"``; never
        the key itself, so that it gets into no repr, pickle, log or cache. None sends no key.
    n_connections : int, default=4
        Requests in flight at once. llama.cpp computes as many as it has slots (``-np``); more wait.
    timeout : float, default=60.0
        Seconds for one request, to the last byte of its reply.
    max_retries : int, default=4
        How often to ask again if the server is busy (429), fails (5xx), does not answer in time,
        or sends a reply that cannot be read. Other errors are final.
    retry_wait : float, default=1.0
        Seconds before the first repetition, doubled for each further one, times a random factor
        between 0.5 and 1.5; a server's ``Retry-After`` is honoured up to a minute.
    reuse_prefix : bool, default=True
        ``False`` has llama.cpp's server compute each prompt anew, for comparison.

    Examples
    --------
    >>> from skcap import CAPPriorTransformer
    >>> from skcap.llm import ServerLLM
    >>> llm = ServerLLM("http://localhost:8000/v1", "Qwen/Qwen2.5-7B", revision="d149729")
    >>> prior = CAPPriorTransformer(llm)
    >>> prior.fit_transform(["where is my card"], ["card arrival"])  # doctest: +SKIP
    """

    _parameter_constraints: dict[str, Any] = {
        "base_url": [str],
        "model": [str],
        "protocol": [StrOptions({"auto", *PROTOCOLS})],
        "revision": [str, None],
        "api_key_env": "no_validation",
        "n_connections": [integer(1)],
        "timeout": [number(0, above=True)],
        "max_retries": [integer(0)],
        "retry_wait": [number(0)],
        "reuse_prefix": ["boolean"],
    }

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        protocol: str = "auto",
        revision: str | None = None,
        api_key_env: str | None = None,
        n_connections: int = 4,
        timeout: float = 60.0,
        max_retries: int = 4,
        retry_wait: float = 1.0,
        reuse_prefix: bool = True,
    ) -> None:
        self.base_url = base_url
        self.model = model
        self.protocol = protocol
        self.revision = revision
        self.api_key_env = api_key_env
        self.n_connections = n_connections
        self.timeout = timeout
        self.max_retries = max_retries
        self.retry_wait = retry_wait
        self.reuse_prefix = reuse_prefix

    def log_likelihood(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> np.ndarray:
        """Score continuations; see :meth:`BaseLLM.log_likelihood`.

        Raises
        ------
        ServerError
            If the server cannot be reached, cannot do what is needed, or sends what cannot be
            used. A RuntimeError.
        """
        requests = _requests(bodies, continuations, prefix, suffix)
        if not requests:
            return np.zeros(0)

        async def score(server: JsonServer, protocol: Protocol) -> np.ndarray:
            scores = await server.map(protocol.score, requests)
            return np.array([score.log_likelihood for score in scores])

        return self._talk(score)

    def check_context(
        self,
        bodies: Sequence[str],
        continuations: Sequence[str],
        *,
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        """Check lengths before any work starts; see :meth:`BaseLLM.check_context`.

        Some servers tell neither their context length nor how many tokens a text has. Nothing is
        checked for these: the server itself refuses a prompt that is too long, when it gets it.
        """
        requests = _requests(bodies, continuations, prefix, suffix)

        async def check(server: JsonServer, protocol: Protocol) -> None:
            limit = (await find_listing(server, self.model)).context_length
            if limit is None:
                return
            # A token has at least one byte, so most prompts need no counting.
            texts = [request.prompt + request.label for request in requests]
            room = limit - protocol.n_drawn
            unsure = [text for text in texts if len(text.encode()) + 2 > room]
            counts = await server.map(protocol.count_tokens, unsure)
            longest = max((count for count in counts if count is not None), default=0)
            if longest > room:
                raise PromptTooLongError(
                    f"The longest prompt has {longest} tokens with its label, but the context of "
                    f"{self.model!r} holds {limit}, {protocol.n_drawn} of them for the answer. "
                    "Shorten the text or the instruction, or give "
                    "the server a larger context (llama.cpp: -c, vLLM: --max-model-len)."
                )

        if requests:
            self._talk(check)

    def fingerprint(self) -> str:
        """Identify the model as far as a server tells; see :meth:`BaseLLM.fingerprint`.

        Asks the server what it has loaded.
        """

        async def identify(server: JsonServer, protocol: Protocol) -> str:
            listed = (await find_listing(server, self.model)).identity
            return f"server|{self.model}|{listed}|revision={self.revision}|{protocol.name}"

        return self._talk(identify)

    def _talk(self, talk: Callable[[JsonServer, Protocol], Any]) -> Any:
        """Run a conversation with the server, in the protocol that it was found to speak."""
        self._check()
        return run_async(self._talk_async, talk)

    async def _talk_async(self, talk: Callable[[JsonServer, Protocol], Any]) -> Any:
        async with JsonServer(
            check_base_url(self.base_url),
            read_key(self.api_key_env),
            self.timeout,
            self.max_retries,
            self.retry_wait,
            self.n_connections,
        ) as server:
            name = await self._find_protocol(server)
            protocol = PROTOCOLS[name](server, self.model, self.reuse_prefix)
            try:
                return await talk(server, protocol)
            except ServerError as error:
                if not isinstance(error, PassingError):  # another program may serve there now
                    self._forget_protocol(server)
                raise _with_address(error, server) from None

    def _check(self) -> None:
        import_http("ServerLLM needs")
        # Two are checked by functions that do not show them: they may hold a secret by mistake.
        read_key(self.api_key_env)
        check_base_url(self.base_url)
        check_parameters(self)

    async def _find_protocol(self, server: JsonServer) -> str:
        """Find out once per process how the server is to be asked."""
        place = self._place(server)
        with _lock:
            found = _found.get(place)
        if found is None:
            found = await self._probe(server)
            with _lock:
                _found[place] = found
        return found

    def _place(self, server: JsonServer) -> tuple[str, str, str]:
        return server.base_url, self.model, self.protocol

    def _forget_protocol(self, server: JsonServer) -> None:
        with _lock:
            _found.pop(self._place(server), None)

    async def _probe(self, server: JsonServer) -> str:
        await find_listing(server, self.model)
        tried = list(PROTOCOLS) if self.protocol == "auto" else [self.protocol]
        failures: dict[str, ServerError] = {}
        for name in tried:
            try:
                await probe(PROTOCOLS[name](server, self.model, self.reuse_prefix))
            except ServerError as error:
                # Some servers fail (500) at a way of asking that they do not know.
                passes = isinstance(error, PassingError) and error.status != 500
                if passes or error.is_about_key:
                    raise
                failures[name] = error
            else:
                return name
        raise _unusable(server.base_url, failures)


def _unusable(base_url: str, failures: Mapping[str, ServerError]) -> ServerError:
    """Make one error of those that each way of asking ended in."""
    passing = [error for error in failures.values() if isinstance(error, PassingError)]
    if passing:
        return passing[-1]
    reasons = "; ".join(f"{name}: {str(error).rstrip('.')}" for name, error in failures.items())
    if all(error.status == 404 for error in failures.values()):
        return ServerError(
            f"Nothing is served at {base_url}; does base_url lack '/v1', or is it another "
            f"server's? ({reasons})"
        )
    return ServerError(
        f"The server at {base_url} gives no log-probabilities of prompts that can be used "
        f"({reasons}). Serve the model by llama.cpp's llama-server or by vLLM, or run it in this "
        "process (TransformersLLM)."
    )


# Address, model and protocol parameter -> protocol that works.
_found: dict[tuple[str, str, str], str] = {}
_lock = threading.Lock()


def _requests(
    bodies: Sequence[str], continuations: Sequence[str], prefix: str, suffix: str
) -> list[Request]:
    pairs = check_pairs(bodies, continuations)
    bodies, labels = [body for body, _ in pairs], [label for _, label in pairs]
    check_encodable(bodies, "bodies")
    check_encodable([prefix, suffix, *labels], "prefix, suffix and continuations")
    prompts = [prefix + body + suffix for body in bodies]
    has_commands = any(COMMAND.search(part) for part in (prefix, suffix))
    return [
        Request(prompt, label, body, has_commands)
        for prompt, label, body in zip(prompts, join_labels(prompts, labels), bodies, strict=True)
    ]


def _with_address(error: ServerError, server: JsonServer) -> ServerError:
    """Name the server, where the error is about what it sent."""
    told = str(error)
    if server.base_url.removesuffix("/v1") not in told:
        told = f"{server.base_url}: {told}"
    return type(error)(told)
