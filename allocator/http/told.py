"""What warehouse systems (WMS) tell by themselves: taken once it is durable, worked off later."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from allocator.domain.catalogue import is_code
from allocator.domain.feeds import Feed, FeedNotOn, UnknownPush
from allocator.domain.queries import FeedQuery
from allocator.feeding.letterbox import Letter
from allocator.feeding.ports import Standing
from allocator.feeding.told import Snapshot
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body
from allocator.http.problems import ProblemError, conflict, invalid, not_found
from allocator.http.refusals import problem_for
from allocator.http.shapes import TIME_MAX_MS, ms_of
from allocator.http.told_shapes import (
    EventBody,
    ItemBody,
    PostEvents,
    PostSnapshot,
    TakenEvents,
    TakenPart,
)
from allocator.wms.shapes import ItemBody as WmsItem

_events: Final = msgspec.json.Decoder(PostEvents)
_snapshot: Final = msgspec.json.Decoder(PostSnapshot)
_MISSING_MAX: Final = 100


class ToldHandlers:
    """The routes by which a WMS tells something."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._letterbox = context.letterbox

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/wms/feeds/{warehouse}/events", self.events),
            web.post("/wms/feeds/{warehouse}/snapshots", self.snapshot),
        ]

    async def events(self, request: web.Request) -> JsonAnswer:
        """Take events of single batches; 202 when they are durable."""
        body = await decode_body(request, _events)
        letters = [_letter(each) for each in body.events]
        through = max(each.applied_through for each in letters)
        standing, feed = await self._fed(request, through=through)
        taken = await self._letterbox.take_events(standing, feed, letters)
        answer = TakenEvents(
            taken=taken.taken,
            duplicates=taken.duplicates,
            older=taken.older,
            unknown=taken.unknown,
        )
        return json_answer(answer, status=HTTPStatus.ACCEPTED)

    async def snapshot(self, request: web.Request) -> JsonAnswer:
        """Take a snapshot, or a part of one; 202 when it is durable."""
        body = await decode_body(request, _snapshot)
        if body.part > body.parts:
            raise ProblemError(invalid(f"part must be at most parts, which is {body.parts}"))
        _check_batches(body.items)
        standing, feed = await self._fed(request, through=body.applied_through)
        if feed.completed is not None and body.as_of <= feed.completed.as_of:
            answer = TakenPart(taken=0, duplicates=0, older=len(body.items), unknown=(), missing=())
            return json_answer(answer, status=HTTPStatus.ACCEPTED)
        wanted = Snapshot(as_of=body.as_of, applied_through=body.applied_through, parts=body.parts)
        items = [_item(each) for each in body.items]
        taken, newest = await self._letterbox.take_part(
            standing, wanted, part=body.part, items=items
        )
        _check_same(wanted, newest)
        missing = [] if newest is None else sorted({*range(1, newest.parts + 1)} - {*newest.there})
        answer = TakenPart(
            taken=taken.taken,
            duplicates=taken.duplicates,
            older=taken.older,
            unknown=taken.unknown,
            missing=tuple(missing[:_MISSING_MAX]),
        )
        return json_answer(answer, status=HTTPStatus.ACCEPTED)

    async def _fed(self, request: web.Request, *, through: int) -> tuple[Standing, Feed]:
        """Return the feed in the path, which is on, and has pushed as much as the WMS says.

        Raises:
            ProblemError: 404 or 409.
        """
        warehouse = request.match_info["warehouse"]
        standing = await self._context.feeds.find(warehouse) if is_code(warehouse) else None
        if standing is None:
            raise ProblemError(not_found("feed"))
        seen = await self._context.asker.look(standing.actor_id, FeedQuery())
        feed = seen.feed or Feed()
        if feed.status != "on":
            raise ProblemError(problem_for(FeedNotOn(status=feed.status or "")))
        if through > standing.numbered:
            refusal = UnknownPush(applied_through=through, sent_through=standing.numbered)
            raise ProblemError(problem_for(refusal))
        return standing, feed


def _check_batches(items: Sequence[ItemBody]) -> None:
    seen: set[tuple[str, str | None]] = set()
    for each in items:
        if (each.sku, each.batch) in seen:
            what = "the units without a batch" if each.batch is None else f"batch {each.batch!r}"
            raise ProblemError(invalid(f"{what} of {each.sku} is named twice: name a batch once"))
        seen.add((each.sku, each.batch))


def _check_same(wanted: Snapshot, newest: Snapshot | None) -> None:
    """Refuse a part of another snapshot that claims to be as old as the one that is there."""
    if newest is None or newest.as_of != wanted.as_of:
        return
    if (newest.parts, newest.applied_through) != (wanted.parts, wanted.applied_through):
        raise ProblemError(
            conflict(
                f"the snapshot as of {newest.as_of} has {newest.parts} parts, applied through "
                f"{newest.applied_through}: another one must be as of later"
            )
        )


def _letter(body: EventBody) -> Letter:
    return Letter(
        sku=body.sku,
        code=body.batch,
        as_of=body.as_of,
        applied_through=body.applied_through,
        orderable=body.orderable,
        expires_at_ms=_time_ms(body.expires_at),
        received_at_ms=_time_ms(body.received_at),
        brings_units=body.brings_units,
    )


def _item(body: ItemBody) -> WmsItem:
    for each in (body.expires_at, body.received_at):
        _time_ms(each)
    return WmsItem(
        sku=body.sku,
        batch=body.batch,
        orderable=body.orderable,
        expires_at=body.expires_at,
        received_at=body.received_at,
    )


def _time_ms(at: datetime | None) -> int | None:
    if at is None:
        return None
    at_ms = ms_of(at)
    if not 0 <= at_ms <= TIME_MAX_MS:
        raise ProblemError(invalid("times of batches must lie in the years 1970 to 9999 of UTC"))
    return at_ms
