"""Whom a client calls, and as whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp

from allocator.client.patience import ATTEMPT_S
from allocator.domain.api_keys import is_secret
from allocator.errors import UsageError


def base_of(url: str) -> str:
    """Return the address of a server without a slash at its end.

    Raises:
        UsageError: It is none. A wrong address would look like a server that stays away.
    """
    reason = f"{url!r} is not the address of a server, like http://127.0.0.1:8080"
    try:
        parts = urlsplit(url)
        # The port is only read, and found wrong, when it is asked for.
        complete = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise UsageError(reason) from error
    if not complete or parts.query or parts.fragment or len(url.split()) > 1:
        raise UsageError(reason)
    return url.rstrip("/")


def require_key(key: str | None) -> None:
    """Refuse what cannot be an API key; None, where none is needed, is fine.

    Raises:
        UsageError: It cannot be one.
    """
    if key is not None and not is_secret(key):
        raise UsageError("--key is not an API key, which looks like alk_ and 43 letters and digits")


@asynccontextmanager
async def session(
    *, clients: int, key: str | None, attempt_s: float = ATTEMPT_S
) -> AsyncIterator[aiohttp.ClientSession]:
    """Have a session of so many connections, each request with the key."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=clients),
        timeout=aiohttp.ClientTimeout(total=attempt_s),
        headers=None if key is None else {"Authorization": f"Bearer {key}"},
    ) as connections:
        try:
            yield connections
        finally:
            # What was cancelled lets go of its connection in the loop's next turn.
            await asyncio.sleep(0)
