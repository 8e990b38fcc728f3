"""The commands about feeds: requests to a running server, and what it says in words."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar

import msgspec

from allocator.client.answers import RefusedError, content_of, refused
from allocator.client.calling import base_of, require_key, session
from allocator.client.feeds_in_words import (
    begun_in_words,
    dry_run_in_words,
    feed_in_words,
    feeds_in_words,
    reconciliation_in_words,
)
from allocator.client.patience import ATTEMPT_S, Answer, PatientClient
from allocator.client.trouble import Troubled
from allocator.domain.catalogue import is_code
from allocator.errors import UsageError
from allocator.http.feed_shapes import PutFeedBody, ShownDryRun, ShownFeed, ShownReconciliation

DONE: Final = 0
_PAGE: Final = 200
_DRY_S: Final = 60.0
"""One attempt at a dry run: the server itself says "later" before that."""
_FEEDS_MAX: Final = 100_000

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
    path = f"/wms/feeds?limit={_PAGE}"
    items = _with(desk, functools.partial(_listed, path=path, of="feeds", limit=_FEEDS_MAX))
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


def run_dry(warehouse: str, desk: Desk) -> int:
    """Show what the WMS would change now, without any change; return the exit code.

    Raises:
        UsageError: As of `run_add`.
        AllocatorError: The server refuses, or stays away; or the WMS does.
    """
    answer = _asked(desk, "POST", warehouse, rest="/poll?dry_run=true", attempt_s=_DRY_S)
    found = content_of(answer, ShownDryRun, entry=warehouse)
    if found.failure is not None:
        raise RefusedError(entry=warehouse, why=found.failure)
    if desk.as_json:
        desk.say(answer.body.decode())
    else:
        for line in dry_run_in_words(found):
            desk.say(line)
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


def run_reconciliations(warehouse: str, desk: Desk, *, product: str | None, limit: int) -> int:
    """Show of which batches the WMS had another count, the newest first; return the exit code.

    Args:
        warehouse: Which is fed.
        desk: Where to ask, and where to tell.
        product: Of which only; None for all.
        limit: How many at most.

    Raises:
        UsageError: As of `run_add`, or the product cannot be one.
        AllocatorError: The server refuses, or stays away.
    """
    _require_code(warehouse, of="a warehouse")
    only = ""
    if product is not None:
        _require_code(product, of="a product")
        only = f"product={product}&"
    path = f"/wms/feeds/{warehouse}/reconciliations?{only}limit={min(limit, _PAGE)}"
    for item in _with(desk, functools.partial(_listed, path=path, of=warehouse, limit=limit)):
        if desk.as_json:
            desk.say(bytes(item).decode())
        else:
            row = msgspec.json.decode(item, type=ShownReconciliation)
            desk.say(reconciliation_in_words(row))
    return DONE


def _asked(  # noqa: PLR0913 (what a request consists of)
    desk: Desk,
    method: str,
    warehouse: str,
    *,
    rest: str = "",
    body: bytes | None = None,
    attempt_s: float = ATTEMPT_S,
) -> Answer:
    _require_code(warehouse, of="a warehouse")
    path = f"/wms/feeds/{warehouse}{rest}"
    ask = functools.partial(_ask, method=method, path=path, body=body, of=warehouse)
    return _with(desk, ask, attempt_s=attempt_s)


def _require_code(code: str, *, of: str) -> None:
    if not is_code(code):
        raise UsageError(f"{code!r} is not the code of {of}: 1 to 64 of A-Z a-z 0-9 . _ -")


def _with(
    desk: Desk,
    ask: Callable[[PatientClient], Awaitable[_Said]],
    *,
    attempt_s: float = ATTEMPT_S,
) -> _Said:
    base = base_of(desk.server)
    require_key(desk.key)

    async def run() -> _Said:
        async with session(clients=1, key=desk.key, attempt_s=attempt_s) as connections:
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


async def _listed(client: PatientClient, *, path: str, of: str, limit: int) -> list[msgspec.Raw]:
    items: list[msgspec.Raw] = []
    cursor = ""
    while len(items) < limit:
        page = content_of(
            await _ask(client, method="GET", path=path + cursor, of=of), _Page, entry=of
        )
        items += page.items
        if page.next_cursor is None or not page.items:
            break
        cursor = f"&cursor={page.next_cursor}"
    return items[:limit]
