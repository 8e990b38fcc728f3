"""The commands about feeds: requests to a running server, and what it says in words."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar

import msgspec

from allocator.client.answers import content_of, refused
from allocator.client.calling import base_of, require_key, session
from allocator.client.feeds_in_words import begun_in_words, feed_in_words, feeds_in_words
from allocator.client.patience import Answer, PatientClient
from allocator.client.trouble import Troubled
from allocator.domain.catalogue import is_code
from allocator.errors import UsageError
from allocator.http.feed_shapes import PutFeedBody, ShownFeed

DONE: Final = 0
_PAGE: Final = 200
_PAGES_MAX: Final = 1_000

Say: TypeAlias = Callable[[str], None]
_Said = TypeVar("_Said")


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """Where a command asks, and where it tells.

    Attributes:
        server: The server's address.
        key: The API key to send; None where none is needed.
        say: Writes a line of what was asked for.
        warn: Writes a line beside that.
        as_json: Whether to say what the server said, one object a line.
    """

    server: str
    key: str | None
    patience_s: float
    say: Say
    warn: Say
    as_json: bool = False


class _Page(msgspec.Struct, frozen=True):
    """A page of a list, each item as the server wrote it."""

    items: list[msgspec.Raw]
    next_cursor: str | None = None


def run_add(warehouse: str, body: PutFeedBody, desk: Desk) -> int:
    """Have a warehouse be fed, or fed differently; return the exit code.

    Raises:
        UsageError: The warehouse, the address of the server, or the key cannot be one.
        AllocatorError: The server refuses, or stays away.
    """
    answer = _asked(desk, "PUT", warehouse, body=msgspec.json.encode(body))
    feed = content_of(answer, ShownFeed, entry=warehouse)
    desk.say(begun_in_words(feed, is_new=answer.status == HTTPStatus.CREATED))
    return DONE


def run_show(warehouse: str, desk: Desk) -> int:
    """Show how a warehouse is fed, and how that goes; return the exit code.

    Raises:
        UsageError: As of `run_add`.
        AllocatorError: The server refuses, or stays away.
    """
    answer = _asked(desk, "GET", warehouse)
    if desk.as_json:
        desk.say(answer.body.decode())
    else:
        for line in feed_in_words(content_of(answer, ShownFeed, entry=warehouse)):
            desk.say(line)
    return DONE


def run_list(desk: Desk) -> int:
    """Show all feeds there ever were, a line each; return the exit code.

    Raises:
        UsageError: As of `run_add`.
        AllocatorError: The server refuses, or stays away.
    """
    items = _with(desk, _listed)
    if desk.as_json:
        lines = [bytes(item).decode() for item in items]
    else:
        lines = feeds_in_words([msgspec.json.decode(item, type=ShownFeed) for item in items])
    for line in lines:
        desk.say(line)
    return DONE


def run_poll(warehouse: str, desk: Desk) -> int:
    """Have a WMS be asked sooner than planned; return the exit code.

    Raises:
        UsageError: As of `run_add`.
        AllocatorError: The server refuses, or stays away.
    """
    feed = content_of(
        _asked(desk, "POST", warehouse, rest="/poll"), ShownFeed, entry=f"feed of {warehouse}"
    )
    if feed.status != "on":
        desk.say(f"{warehouse} is fed no longer, so its WMS is not asked")
    elif feed.failures:
        desk.say(f"{warehouse}: its WMS fails, and is asked again as planned: {feed.last_error}")
    else:
        desk.say(f"{warehouse}: its WMS is asked as soon as its limit allows")
    return DONE


def run_remove(warehouse: str, desk: Desk) -> int:
    """Feed a warehouse no longer; return the exit code.

    Raises:
        UsageError: As of `run_add`.
        AllocatorError: The server refuses, or stays away.
    """
    feed = content_of(_asked(desk, "DELETE", warehouse), ShownFeed, entry=warehouse)
    if feed.status == "ended":
        desk.say(f"{warehouse} is fed no longer")
    else:
        desk.say(f"{warehouse} is about to be fed no longer: in some seconds it can be fed anew")
    return DONE


def _asked(
    desk: Desk, method: str, warehouse: str, *, rest: str = "", body: bytes | None = None
) -> Answer:
    if not is_code(warehouse):
        raise UsageError(
            f"{warehouse!r} is not the code of a warehouse: 1 to 64 of A-Z a-z 0-9 . _ -"
        )
    path = f"/wms/feeds/{warehouse}{rest}"
    return _with(desk, functools.partial(_ask, method=method, path=path, body=body, of=warehouse))


def _with(desk: Desk, ask: Callable[[PatientClient], Awaitable[_Said]]) -> _Said:
    base = base_of(desk.server)
    require_key(desk.key)

    async def run() -> _Said:
        async with session(clients=1, key=desk.key) as connections:
            return await ask(
                PatientClient(
                    connections,
                    url=base,
                    patience_s=desk.patience_s,
                    on_trouble=Troubled(desk.warn).trouble,
                )
            )

    return asyncio.run(run())


async def _ask(
    client: PatientClient, *, method: str, path: str, of: str, body: bytes | None = None
) -> Answer:
    answer = await client.ask(method, path, body=body)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise refused(answer, entry=of)
    return answer


async def _listed(client: PatientClient) -> list[msgspec.Raw]:
    items: list[msgspec.Raw] = []
    path = f"/wms/feeds?limit={_PAGE}"
    cursor = ""
    for _ in range(_PAGES_MAX):
        answer = await _ask(client, method="GET", path=path + cursor, of="feeds")
        page = content_of(answer, _Page, entry="feeds")
        items += page.items
        if page.next_cursor is None:
            break
        cursor = f"&cursor={page.next_cursor}"
    return items
