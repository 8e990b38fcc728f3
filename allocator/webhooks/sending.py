"""One attempt to deliver one message."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Final

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from allocator.domain.targets import TargetError, check_address, check_url
from allocator.domain.webhooks import shortened, signatures

_CONNECTIONS_MAX: Final = 100
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_GONE: Final = 410
_RETRY_AFTER_MAX_S: Final = 3_600


class Taken(msgspec.Struct, frozen=True):
    """The receiver has it."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver has it not, or did not say so.

    Attributes:
        why: For people.
        is_gone: Whether it wants nothing any more.
        retry_after_ms: How long it wants to be left alone.
    """

    why: str
    is_gone: bool = False
    retry_after_ms: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: the same bytes and id, however often."""

    id: str
    body: bytes


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which messages are sent.

    Attributes:
        agent: Who we say that we are.
        timeout_ms: How long one attempt may take, whatever the receiver does.
        anywhere: Whether private networks and http are allowed.
    """

    agent: str
    timeout_ms: int
    anywhere: bool


class Sender:
    """Sends messages to where they may go, and nothing else: no credentials, cookies or proxies.

    Args:
        session: See `open_sender`.
        anywhere: Whether private networks and http are allowed.
        clock: Milliseconds of Unix time.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, anywhere: bool, clock: Callable[[], int]
    ) -> None:
        self._session = session
        self._anywhere = anywhere
        self._clock = clock

    async def send(
        self, message: Message, *, url: str, secrets: tuple[bytes, ...]
    ) -> Taken | Refused:
        """Try once; never raises for anything that a receiver or the network does."""
        at_s = self._clock() // 1000
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(at_s),
            "webhook-signature": signatures(secrets, id_=message.id, at_s=at_s, body=message.body),
        }
        try:
            check_url(url, anywhere=self._anywhere)  # an address in digits is not looked up
            async with self._session.post(
                URL(url), data=message.body, headers=headers, allow_redirects=False
            ) as response:
                return _judge(response)
        except TargetError as error:
            return Refused(why=shortened(str(error)))
        except TimeoutError:
            return Refused(why="no answer in time")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Refused(why=shortened(f"{type(error).__name__}: {error}"))


@asynccontextmanager
async def open_sender(
    terms: Terms, *, clock: Callable[[], int], names: AbstractResolver | None = None
) -> AsyncIterator[Sender]:
    """Have a sender.

    Args:
        terms: On which it sends.
        clock: Milliseconds of Unix time.
        names: Knows the addresses of names; None for the system.
    """
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS_MAX,
        resolver=_Resolver(names or ThreadedResolver(), anywhere=terms.anywhere),
        use_dns_cache=False,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=terms.timeout_ms / 1000),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": terms.agent},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield Sender(session, anywhere=terms.anywhere, clock=clock)


class _Resolver(AbstractResolver):
    """Looks names up, and gives away no address to which a webhook may not go."""

    def __init__(self, names: AbstractResolver, *, anywhere: bool) -> None:
        self._names = names
        self._anywhere = anywhere

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        for each in found:
            check_address(ip_address(each["host"]), host=host, anywhere=self._anywhere)
        return found

    async def close(self) -> None:
        await self._names.close()


def _judge(response: aiohttp.ClientResponse) -> Taken | Refused:
    """Say what an answer means, by its head alone: nobody reads what a receiver has to say."""
    status = response.status
    if status in _OK:
        return Taken()
    why = f"answered {status}"
    if status in _REDIRECTS:
        why += ": redirects are not followed"
    return Refused(why=why, is_gone=status == _GONE, retry_after_ms=_seconds(response) * 1000)


def _seconds(response: aiohttp.ClientResponse) -> int:
    text = response.headers.get("Retry-After", "")
    if not text.isascii() or not text.isdigit():
        return 0
    return min(int(text[:9]), _RETRY_AFTER_MAX_S)
