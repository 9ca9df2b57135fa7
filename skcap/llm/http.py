"""Ask a server for JSON, and trust nothing that it sends.

A request is repeated while that may help, ends at a deadline even if the reply keeps dripping in,
and its reply may be neither huge nor deeply nested. Redirects are not followed, and no message
holds the key. Needs ``pip install 'skcap[http]'``.
"""

from __future__ import annotations

import functools
import http
import json
import os
import random
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np

from skcap.utils.optional import import_optional

__all__ = [
    "JsonServer",
    "PassingError",
    "RefusedRequestError",
    "ServerError",
    "check_base_url",
    "import_http",
    "read_key",
    "run_async",
]

T = TypeVar("T")
R = TypeVar("R")
Reader = Callable[[dict[str, Any]], Any]

_RETRY_STATUS = (408, 409, 425, 429)
_LASTING = (501, 505)  # faults of a server (5xx) that do not pass
_REFUSED = (400, 413, 422)
_KEY_REFUSED = (401, 403)
_LONGEST_WAIT = 60.0  # seconds; what a server asks for beyond that is not waited for
_LARGEST_REPLY = 32 * 2**20  # bytes; a thousand tokens with log-probabilities take about 0.1 MB
_DEEPEST_REPLY = 64
_JITTER = random.SystemRandom()  # the generator of the process is the user's


class ServerError(RuntimeError):
    """A server gave no answer, or none that can be used.

    Examples
    --------
    >>> from skcap import ServerLLM
    >>> ServerLLM("http://127.0.0.1:9/v1", "my-model").fingerprint()  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    skcap.llm.http.ServerError: ...
    """

    status: int | None = None  # of the answer, where there was one

    @property
    def is_about_key(self) -> bool:
        """Whether the server refuses the key, or wants one."""
        return self.status in _KEY_REFUSED


class PassingError(ServerError):
    """An error that may pass: busy, failing or slow; `wait` is the server's Retry-After (s)."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RefusedRequestError(ServerError):
    """The server answers, but not this request: another one may do."""


def check_base_url(base_url: str) -> str:
    """Check an address and return it without a slash at its end.

    Parameters
    ----------
    base_url : str

    Returns
    -------
    str

    Raises
    ------
    ValueError
        Does not repeat the address, which may hold a password.
    """
    is_url = isinstance(base_url, str) and re.fullmatch(r"https?://[^\s?#@\\]+", base_url)
    if not is_url or not _has_port(base_url):
        raise ValueError(
            "base_url must be like 'http://localhost:8000/v1': http or https, with a port up to "
            "65535 or none, without a query and without user and password. A key goes into an "
            "environment variable (api_key_env)."
        )
    return base_url.rstrip("/")


def _has_port(url: str) -> bool:
    """Whether the port, if there is one, can be one."""
    try:
        urlsplit(url).port  # noqa: B018  (raises where it is none)
    except ValueError:
        return False
    return True


def _is_this_machine(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def import_http(purpose: str) -> None:
    """Import what requests need; ImportError, which `purpose` begins, says what to install."""
    for module in ("anyio", "httpx", "tenacity"):
        import_optional(module, "http", purpose)


def read_key(api_key_env: str | None) -> str | None:
    """Read the key from the environment variable of this name.

    Parameters
    ----------
    api_key_env : str or None
        None means that there is no key.

    Returns
    -------
    str or None

    Raises
    ------
    ValueError
        If the name is none, or the key is missing or cannot be sent. Shows neither: people pass
        the key itself by mistake.
    """
    if api_key_env is None:
        return None
    if not isinstance(api_key_env, str) or not re.fullmatch(r"[A-Za-z_]\w*", api_key_env):
        raise ValueError(
            "api_key_env must be the name of an environment variable, such as 'OPENAI_API_KEY'. "
            "What was passed is no such name; if it is the key itself, set a variable to it and "
            "pass the variable's name."
        )
    key = os.environ.get(api_key_env, "").strip()
    if not key:
        raise ValueError(
            "api_key_env must name an environment variable that holds the key; the one that it "
            "names is not set. Set it, and pass its name, never the key."
        )
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ValueError(
            "api_key_env names an environment variable with white space, a line break or a "
            "non-ASCII character inside, which no key holds. Set it to the key alone."
        )
    return key


def run_async(function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run a coroutine function to its end, also where an event loop runs already (notebooks).

    Parameters
    ----------
    function : coroutine function
    *arguments
        Its arguments.

    Returns
    -------
    object
        What it returns. Ctrl-C cancels it.
    """
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return portal.call(function, *arguments)


class JsonServer:
    """A server that takes and gives JSON; an asynchronous context manager.

    Parameters
    ----------
    base_url : str
        As :func:`check_base_url` returns it.
    key : str or None
        Sent as a bearer token.
    timeout : float
        Seconds for one request, from the first byte sent to the last byte of the reply.
    max_retries : int
        How often to repeat a request that failed in a way that may pass.
    retry_wait : float
        Seconds before the first repetition, doubled for each further one, times a random factor
        between 0.5 and 1.5; a server's ``Retry-After`` is honoured up to a minute.
    n_connections : int
        How many items :meth:`map` works on at once.

    Examples
    --------
    >>> from skcap.llm.http import JsonServer, run_async
    >>> async def models(url):
    ...     async with JsonServer(url, None, 60.0, 4, 1.0, 8) as server:
    ...         return await server.get(url + "/models")
    >>> run_async(models, "http://localhost:8000/v1")  # doctest: +SKIP
    """

    def __init__(
        self,
        base_url: str,
        key: str | None,
        timeout: float,
        max_retries: int,
        retry_wait: float,
        n_connections: int,
    ) -> None:
        self.base_url = base_url
        self._key = key
        self._timeout = timeout
        self._max_retries = max_retries
        self._retry_wait = retry_wait
        self._n_connections = int(n_connections)

    async def __aenter__(self) -> JsonServer:
        import httpx

        headers = {"Accept-Encoding": "identity"}  # what is packed may unpack to gigabytes
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(  # `map` bounds them; to wait here would count as the server's time
            max_connections=None, max_keepalive_connections=self._n_connections
        )
        try:
            self._client = httpx.AsyncClient(
                headers=headers,
                timeout=None,
                follow_redirects=False,
                verify=_tls(),
                limits=limits,
                trust_env=not _is_this_machine(self.base_url),  # no proxy for this machine
            )
        except (httpx.InvalidURL, ValueError, ImportError):  # whose message may show a password
            raise ServerError(
                f"{self.base_url} cannot be asked: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY holds no "
                "address of a proxy that can be used. Correct the variable, or name the server's "
                "host in NO_PROXY."
            ) from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(self, url: str) -> dict[str, Any]:
        """Get a JSON object."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, body: dict[str, Any], read: Reader | None = None) -> Any:
        """Send a JSON object and get one back, or what `read` makes of it.

        Where `read` raises a ValueError, which says what the object is not, it is asked for again.
        """
        return await self._ask("POST", url, json.dumps(body).encode(), read)

    async def map(self, function: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
        """Apply a coroutine function to all items, at most `n_connections` of them at a time.

        The first error ends all of them.
        """
        import anyio

        results: list[Any] = [None] * len(items)
        slots = anyio.CapacityLimiter(self._n_connections)

        async def fill(place: int) -> None:
            async with slots:
                results[place] = await function(items[place])

        try:
            async with anyio.create_task_group() as group:
                for place in range(len(items)):
                    group.start_soon(fill, place)
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return results

    def hide_key(self, text: str) -> str:
        """Make a server's message safe to show: one short line that holds no part of the key.

        Servers like to repeat a wrong key, or parts of it.
        """
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        key = self._key or ""
        width = min(len(key), 8)
        if key and any(key[i : i + width] in text for i in range(len(key) - width + 1)):
            return "(not shown, as it repeats the key)"
        return text[:300]

    async def _ask(
        self, method: str, url: str, content: bytes | None, read: Reader | None = None
    ) -> Any:
        import tenacity

        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(1 + self._max_retries),
            retry=tenacity.retry_if_exception_type(PassingError),
            wait=self._wait,
            reraise=True,
        )
        return await attempts(self._ask_once, method, url, content, read)

    async def _ask_once(
        self, method: str, url: str, content: bytes | None, read: Reader | None
    ) -> Any:
        import anyio
        import httpx

        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with anyio.fail_after(self._timeout):
                async with self._client.stream(
                    method, url, content=content, headers=headers
                ) as answer:
                    received = await _read(answer, url)
        except TimeoutError:
            raise PassingError(
                f"{url} did not answer in full within {self._timeout:g} seconds (timeout). Raise "
                "timeout if the server is slow, or lower n_connections if it is busy."
            ) from None
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError(
                f"base_url: {url} is not a valid address. Check its host and port."
            ) from None
        except httpx.HTTPError as error:
            told = self.hide_key(str(error) or type(error).__name__).rstrip(".")
            raise PassingError(
                f"{url} cannot be reached, or broke off: {told}. Check base_url, and that the "
                "server runs."
            ) from None
        return self._understand(url, answer.status_code, answer.headers, received, read)

    def _understand(
        self, url: str, status: int, headers: Any, content: bytes, read: Reader | None
    ) -> Any:
        told = self.hide_key(content[:100_000].decode(errors="replace"))
        if status == 200:
            try:
                value = parse_json(content)
                if read is not None:
                    return read(value)
            except ValueError as error:
                raise PassingError(f"{url} sent a reply that {error}: {told}") from None
            if value.get("error"):
                raise ServerError(f"{url} sent an error: {self.hide_key(_message(value))}")
            return value
        failure = self._failure(url, status, told)
        failure.status = status
        if isinstance(failure, PassingError):
            failure.wait = _retry_after(headers.get("Retry-After"))
        raise failure

    def _failure(self, url: str, status: int, told: str) -> ServerError:
        """Make an error of an answer that is none."""
        try:
            phrase = " " + http.HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
        if 300 <= status < 400:
            return ServerError(
                f"{url} answered {status}{phrase}. Redirects are not followed, since texts and "
                "key would go to another address; pass the final one as base_url."
            )
        message = f"{url} answered {status}{phrase}: {told}"
        if status in _KEY_REFUSED:
            refused = "wants a key" if self._key is None else "refuses the key"
            return ServerError(
                f"{message.rstrip('.')}. The server {refused}: set api_key_env to the name of an "
                "environment variable that holds a valid one."
            )
        if status in _RETRY_STATUS or (500 <= status < 600 and status not in _LASTING):
            return PassingError(message)
        return (RefusedRequestError if status in _REFUSED else ServerError)(message)

    def _wait(self, state: Any) -> float:
        """Seconds to wait after a failed attempt; tenacity asks."""
        wait = self._retry_wait * 2 ** (state.attempt_number - 1) * _JITTER.uniform(0.5, 1.5)
        return min(max(wait, state.outcome.exception().wait or 0.0), _LONGEST_WAIT)


def _message(reply: dict[str, Any]) -> str:
    """Read the message of an error, which is a string or an object that holds one."""
    error = reply["error"]
    return str(error.get("message", error) if isinstance(error, dict) else error)


def parse_json(content: bytes) -> dict[str, Any]:
    """Parse a JSON object that nests no deeper than 64 levels; ValueError says what it is not."""
    if _depth(content) > _DEEPEST_REPLY:
        raise ValueError(f"nests deeper than {_DEEPEST_REPLY} levels")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("is not complete JSON") from None
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return value


def _depth(content: bytes) -> int:
    # A string that does not end is one, too: else the search would begin anew at each quote in it.
    bare = re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', b"", content, flags=re.DOTALL)
    steps = np.zeros(256, dtype=np.int64)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    return int(np.cumsum(steps[np.frombuffer(bare, dtype=np.uint8)]).max(initial=0))


async def _read(answer: Any, url: str) -> bytes:
    """Read a reply up to the limit of its size."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ServerError(
            f"{url} sends a compressed reply although it was asked not to; turn compression off at "
            "the server."
        )
    received = bytearray()
    async for chunk in answer.aiter_raw():
        received += chunk
        if len(received) > _LARGEST_REPLY:
            raise ServerError(
                f"{url} sends a reply of more than {_LARGEST_REPLY // 2**20} MiB, more than any "
                "prompt needs. Check that base_url leads to a language model."
            )
    return bytes(received)


def _retry_after(header: str | None) -> float | None:
    """Seconds that a server asks to wait, as a number or as a date."""
    if header is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header):
        return float(header)
    try:
        when = parsedate_to_datetime(header)
        return max(0.0, (when - datetime.now(when.tzinfo or UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Load the certificates once, not for each call."""
    import httpx

    return httpx.create_ssl_context()


def _first(errors: BaseExceptionGroup) -> BaseException:
    """Return the first error of a group of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
