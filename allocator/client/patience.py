"""Asks a server until it has answered, so that its restart is a pause and not a failure.

A request without an answer (the connection broke, the time was up, the server said "later") may
have been carried out or not, and there is no telling. It is repeated unchanged: the key it
carries makes the repeat harmless. Refusals are not remembered by key; a repeat of one is decided
anew, on the same numbers, because nothing else of its lane is sent before it is answered.
"""

import asyncio
import os
import re
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import msgspec

from allocator.errors import AllocatorError

ATTEMPT_S = 10.0
"""How long one attempt may take before it is repeated."""

PATIENCE_S = 60.0
"""How long one request is repeated before the client gives up."""

PAUSE_FIRST_S = 0.05
PAUSE_MAX_S = 1.0

LATER = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses, the server's own or a proxy's, after which the same request may be repeated."""


class NoAnswerError(AllocatorError):
    """The server stayed away; start it and run the same command again."""

    retryable = True

    def __init__(self, *, request: str, reason: str, patience_s: float) -> None:
        super().__init__(f"{request} went unanswered for {patience_s:g} s ({reason})")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server said; its status is none of `LATER`."""

    status: int
    body: bytes


class _Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer yet, and how long the server asked to wait at least."""

    reason: str
    wait_s: float = 0.0


class PatientClient:
    """Sends requests to one server and repeats each until it is answered.

    Attributes:
        answered: Requests that got an answer, each counted once.
        repeated: Attempts beyond the first.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        patience_s: float,
        on_trouble: Callable[[str], None],
    ) -> None:
        """Send through `session`, which bounds the connections and the time of an attempt.

        Args:
            session: Stays the caller's to close.
            url: Without a slash at the end.
            patience_s: How long a request may go without an answer.
            on_trouble: Told the reason whenever a request is about to be repeated.
        """
        self._session = session
        self._url = url
        self._patience_s = patience_s
        self._on_trouble = on_trouble
        self.answered = 0
        self.repeated = 0

    async def ask(
        self, method: str, path: str, *, body: bytes | None = None, key: str | None = None
    ) -> Answer:
        """Return the answer, after as many attempts as it takes.

        Args:
            method: As in HTTP.
            path: From the slash on, nothing in it that would need quoting.
            body: JSON.
            key: The `Idempotency-Key`; whatever is not idempotent by itself needs one.

        Raises:
            NoAnswerError: The patience is at its end.
        """
        clock = asyncio.get_running_loop().time
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        gives_up_at: float | None = None
        pause_s = PAUSE_FIRST_S
        while True:
            said = await self._attempt(method, self._url + path, body=body, headers=headers)
            if isinstance(said, Answer):
                self.answered += 1
                return said
            now = clock()
            gives_up_at = now + self._patience_s if gives_up_at is None else gives_up_at
            if now >= gives_up_at:
                raise NoAnswerError(
                    request=f"{method} {path}", reason=said.reason, patience_s=self._patience_s
                )
            self._on_trouble(said.reason)
            wait_s = max(pause_s, said.wait_s)
            await asyncio.sleep(min(wait_s, gives_up_at - now))
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            self.repeated += 1

    async def _attempt(
        self, method: str, url: str, *, body: bytes | None, headers: dict[str, str]
    ) -> Answer | _Trouble:
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status in LATER:
                    wait_s = _wait_s(response.headers.get("Retry-After", ""))
                    return _Trouble(reason=f"status {response.status}", wait_s=wait_s)
                return Answer(status=response.status, body=await response.read())
        except TimeoutError:
            return _Trouble(reason="no answer in time")
        except aiohttp.ClientError as error:
            return _Trouble(reason=_reason(error))


def _reason(error: aiohttp.ClientError) -> str:
    """Say what went wrong; of the system's own errors without the library's details."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _wait_s(retry_after: str) -> float:
    """Read whole seconds; a date instead (RFC 9110 §10.2.3) is left to our own pauses."""
    return float(retry_after) if re.fullmatch("[0-9]{1,9}", retry_after) else 0.0
