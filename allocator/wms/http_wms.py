"""The warehouse system that is asked by HTTP, as `docs/wms.md` has it: the default adapter."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, TypeVar

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from allocator.wms.interface import (
    InventoryPage,
    Push,
    WmsBrokenError,
    WmsLimitedError,
    WmsUnavailableError,
    WmsUrlError,
)
from allocator.wms.retry_after import date_of, retry_after_s
from allocator.wms.shapes import (
    ALLOCATIONS,
    INVENTORY,
    TIME_MAX_MS,
    AcknowledgedBody,
    PageBody,
    body_of,
    page_of,
)

ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
"""An answer with more is none."""
URL_MAX: Final = 2_000

_CONNECT_S: Final = 10.0
_CONNECTIONS_MAX: Final = 4
_OK: Final = 200
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_SERVER_ERRORS: Final = range(500, 600)

_T = TypeVar("_T")

_encode: Final = msgspec.json.Encoder().encode
_page: Final = msgspec.json.Decoder(PageBody)
_acknowledged: Final = msgspec.json.Decoder(AcknowledgedBody)


class Terms(Struct, frozen=True, kw_only=True):
    """On which a warehouse system is asked.

    Attributes:
        agent: Who we say that we are.
        timeout_s: How long one answer may take, to its last byte.
        page_items: How many batches a page should have.
    """

    agent: str
    timeout_s: float = 30.0
    page_items: int = 1_000


class HttpWms:
    """Asks a warehouse system by HTTP: one request for a question, on a connection of its own.

    Redirects are not followed, and nothing is repeated behind anybody's back: each request counts
    against a limit.

    Args:
        session: See `open_wms`.
        url: Of the warehouse system; see `check_url`.
        page_items: How many batches a page should have.
        clock: Milliseconds of Unix time.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        page_items: int,
        clock: Callable[[], int],
    ) -> None:
        check_url(url)
        self._session = session
        self._inventory = URL(url) / INVENTORY
        self._allocations = URL(url) / ALLOCATIONS
        self._page_items = page_items
        self._clock = clock

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a page of what there is; see `Wms`."""
        query = {"limit": str(self._page_items)}
        if cursor is not None:
            query["cursor"] = cursor
        told = await self._ask("GET", self._inventory.with_query(query))
        body = _decoded(told, _page, url=self._inventory)
        await asyncio.sleep(0)  # a thousand items take a millisecond in each step: others may, too
        page = page_of(body)
        await asyncio.sleep(0)
        _check_page(page, cursor=cursor, url=self._inventory)
        return page

    async def push(self, pushes: Sequence[Push]) -> int:
        """Tell of pushes; see `Wms`."""
        told = await self._ask("POST", self._allocations, body=_encode(body_of(pushes)))
        return _decoded(told, _acknowledged, url=self._allocations).acknowledged_through

    async def _ask(self, method: str, url: URL, *, body: bytes | None = None) -> bytes:
        where = str(url.with_query(None))
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                self._judge(response, where=where)
                return await _whole(response, where=where)
        except TimeoutError as error:
            raise WmsUnavailableError(url=where, why="no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
            raise WmsUnavailableError(url=where, why=why, may_come=False) from error

    def _judge(self, response: aiohttp.ClientResponse, *, where: str) -> None:
        """Return if there is an answer to be read."""
        status, pause = response.status, response.headers.get("Retry-After")
        if status == _OK:
            return
        if status == _TOO_MANY or (status == _UNAVAILABLE and pause is not None):
            now = date_of(
                response.headers.get("Date"),
                otherwise=datetime.fromtimestamp(self._clock() / 1000, tz=UTC),
            )
            raise WmsLimitedError(url=where, retry_after_s=retry_after_s(pause, now=now))
        why = f"it answered {status}"
        if status in _SERVER_ERRORS:
            raise WmsUnavailableError(url=where, why=why, may_come=False)
        raise WmsBrokenError(url=where, why=f"{why}, which should be {_OK}")


@asynccontextmanager
async def open_wms(url: str, terms: Terms, *, clock: Callable[[], int]) -> AsyncIterator[HttpWms]:
    """Have an adapter.

    Args:
        url: Of the warehouse system.
        terms: On which it is asked.
        clock: Milliseconds of Unix time.

    Raises:
        WmsUrlError: No warehouse system can be there.
    """
    check_url(url)
    # A connection that was kept may be found closed, and nobody knows whether it was asked.
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS_MAX, force_close=True)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=terms.timeout_s, sock_connect=_CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "User-Agent": terms.agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        auto_decompress=False,
        middlewares=(_once,),
        trust_env=False,
    ) as session:
        yield HttpWms(session, url=url, page_items=terms.page_items, clock=clock)


def check_url(url: str) -> None:
    """Refuse what can never be the address of a warehouse system.

    Raises:
        WmsUrlError: It can not.
    """
    if len(url) > URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise WmsUrlError(f"url must be at most {URL_MAX} printable ASCII characters, no spaces")
    try:
        parts = URL(url)
        known = parts.scheme in ("http", "https") and bool(parts.host) and bool(parts.port)
    except ValueError as error:
        raise WmsUrlError("url must look like https://host/path") from error
    if not known:
        raise WmsUrlError("url must look like https://host/path")
    if parts.user is not None or parts.password is not None:
        raise WmsUrlError(
            "url must have no user name or password: put a proxy beside the server that adds them"
        )
    if "?" in url or "#" in url:
        raise WmsUrlError("url must have no query and no fragment: what is asked goes below it")


def is_same_address(one: str, other: str) -> bool:
    """Say whether two checked URLs are those of the same warehouse system."""
    left, right = URL(one), URL(other)
    where = (left.scheme, left.host, left.port, left.path.rstrip("/"))
    return where == (right.scheme, right.host, right.port, right.path.rstrip("/"))


async def _once(
    request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request, and have it that aiohttp does not send a GET again whose answer is lost."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


async def _whole(response: aiohttp.ClientResponse, *, where: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > ANSWER_MAX_BYTES:
            raise WmsBrokenError(url=where, why=f"it answered more than {ANSWER_MAX_BYTES} bytes")
    return bytes(body)


def _decoded(told: bytes, decoder: msgspec.json.Decoder[_T], *, url: URL) -> _T:
    try:
        return decoder.decode(told)
    except (msgspec.DecodeError, RecursionError) as error:
        raise WmsBrokenError(url=str(url), why=str(error)) from error


def _check_page(page: InventoryPage, *, cursor: str | None, url: URL) -> None:
    if cursor is not None and page.next_cursor == cursor:
        raise WmsBrokenError(url=str(url), why=f"the page after {cursor!r} is itself")
    seen: set[tuple[str, str | None]] = set()
    for item in page.items:
        key = (item.sku, item.batch)
        if key in seen:
            why = f"a page names batch {item.batch!r} of {item.sku} twice"
            raise WmsBrokenError(url=str(url), why=why)
        seen.add(key)
        times_ms = [each for each in (item.expires_at_ms, item.received_at_ms) if each is not None]
        if any(not 0 <= each <= TIME_MAX_MS for each in times_ms):
            why = f"times of batch {item.batch!r} of {item.sku} must lie in the years 1970 to 9999"
            raise WmsBrokenError(url=str(url), why=f"{why} of UTC")
