"""The balances that a running server tells, held to the journal at the version that it says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from allocator.domain.pool import Balance
from allocator.errors import AllocatorError
from allocator.journal.verify.job import Server
from allocator.journal.verify.pools import PoolAudit

_AT_ONCE: Final = 16
_TIMEOUT_S: Final = 30.0
_TRIES: Final = 5
_PAUSE_S: Final = 1.0
_BODY_MAX: Final = 65_536


class NoAnswerError(AllocatorError):
    """The server does not tell its balances."""

    def __init__(self, *, url: str, why: str) -> None:
        super().__init__(f"{url} does not tell its balances: {why}")


class _Told(msgspec.Struct, frozen=True):
    """What the server says of a pool."""

    version: int
    available: int
    ordered: int
    held: int
    unallocatable: dict[str, int]

    @property
    def balance(self) -> Balance:
        return Balance(
            version=self.version,
            available=self.available,
            ordered=self.ordered,
            held=self.held,
            expired=self.unallocatable.get("expired", 0),
            aside=tuple(
                sorted(
                    (state, units)
                    for state, units in self.unallocatable.items()
                    if state != "expired" and units
                )
            ),
        )


_decode: Final = msgspec.json.Decoder(_Told).decode


class ServerAudit:
    """Asks a server for balances and compares them."""

    def __init__(self, session: aiohttp.ClientSession, server: Server) -> None:
        self._session = session
        self._url = server.url.rstrip("/")
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def compare(self, pools: Sequence[PoolAudit]) -> None:
        """Compare pools that have been audited to the end of their journals.

        Raises:
            NoAnswerError: The server does not answer.
            JournalError: The database does not.
        """
        places = [None if pool.subject.is_damaged else pool.place for pool in pools]
        asked = [(pool, place) for pool, place in zip(pools, places, strict=True) if place]
        told = await asyncio.gather(*(self._ask(pool, place) for pool, place in asked))
        for (pool, (_, product)), balance in zip(asked, told, strict=True):
            if balance is not None:
                await self._compare(pool, balance, product=product)

    async def _compare(self, pool: PoolAudit, told: Balance, *, product: str) -> None:
        known = await pool.balance_at(told.version, product=product)
        if known == told:
            return
        message = f"the server tells another balance at version {told.version}"
        if known.version > told.version:
            message = f"the server is at version {told.version}, behind the journal"
        elif known.version < told.version:
            message = f"the server is at version {told.version}, which the journal does not have"
        pool.subject.is_wrong("server", message, table="server", expected=known, found=told)

    async def _ask(self, pool: PoolAudit, place: tuple[str, str]) -> Balance | None:
        """Return what the server says of a place, None if it fails."""
        url = "{}/stock-balances/{}/{}".format(self._url, *place)
        status, body = await self._get(url)
        for _ in range(_TRIES):
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(_PAUSE_S)
            status, body = await self._get(url)
        if status == HTTPStatus.OK:
            return _balance_of(url, body)
        if status in {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_FOUND}:
            message = f"the server answers {status}: {body[:200].decode(errors='replace')}"
            pool.subject.is_wrong("server", message, table="server")
            return None
        raise NoAnswerError(url=url, why=f"it answers {status}")

    async def _get(self, url: str) -> tuple[int, bytes]:
        try:
            async with self._at_once, self._session.get(url) as response:
                return response.status, await response.content.read(_BODY_MAX)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswerError(url=url, why=f"{type(error).__name__} {error}") from error


def _balance_of(url: str, body: bytes) -> Balance:
    try:
        return _decode(body).balance
    except msgspec.DecodeError as error:
        raise NoAnswerError(url=url, why=str(error)) from error


@asynccontextmanager
async def open_server(server: Server) -> AsyncIterator[ServerAudit]:
    """Have a server to ask."""
    headers = {} if server.key is None else {"Authorization": f"Bearer {server.key}"}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield ServerAudit(session, server)
