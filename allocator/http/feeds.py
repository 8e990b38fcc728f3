"""Feeds: which warehouses are run by systems of their own (WMS), and how that goes."""

import asyncio
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from allocator.actors.messages import KeyReused, Noted, Outcome
from allocator.domain.adjustments import EXPIRED, STATES, WITHHELD
from allocator.domain.catalogue import is_code
from allocator.domain.feeds import DeleteFeed, Feed, PollNow, PutFeed
from allocator.domain.kinds import Command
from allocator.domain.queries import FeedQuery
from allocator.domain.targets import TargetError, check_url
from allocator.feeding.ports import Standing
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body
from allocator.http.doors import principal_of
from allocator.http.dry_runs import dry_run
from allocator.http.feed_shapes import PutFeedBody, ShownFeed, feed_shape
from allocator.http.paging import limit_of, listing, name_cursor, no_query, query
from allocator.http.problems import ProblemError, conflict, invalid, not_found
from allocator.http.refusals import problem_for
from allocator.wms.http_wms import check_url as check_wms_url
from allocator.wms.http_wms import is_same_address
from allocator.wms.interface import WmsUrlError

_FEEDS_MAX: Final = 10_000
_TRIES: Final = 50
_PAUSE_S: Final = 0.1
_put: Final = msgspec.json.Decoder(PutFeedBody)


class FeedHandlers:
    """The routes under /wms/feeds."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._feeds = context.feeds
        self._states = {EXPIRED, *STATES, *context.states} - {WITHHELD}

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        one = "/wms/feeds/{warehouse}"
        return [
            web.get("/wms/feeds", self.list, allow_head=False),
            web.put(one, self.put),
            web.get(one, self.get, allow_head=False),
            web.delete(one, self.delete),
            web.post(f"{one}/poll", self.poll),
        ]

    async def put(self, request: web.Request) -> JsonAnswer:
        """Have a warehouse be fed, or fed differently."""
        body = await decode_body(request, _put)
        self._check(body)
        warehouse = request.match_info["warehouse"]
        known = is_code(warehouse) and await self._context.catalogue.warehouse(warehouse)
        if not known:
            raise ProblemError(not_found("warehouse"))
        command = PutFeed(
            warehouse=warehouse,
            url=body.url,
            poll_ms=round(body.poll_s * 1000),
            rate_per_s=body.rate_per_s,
            burst=body.burst,
            excludes=tuple(body.excludes),
        )
        version = await self._put_alone(command, request)
        shape = await self._shape(await self._standing(request))
        status = HTTPStatus.CREATED if version == 1 else HTTPStatus.OK
        return json_answer(shape, status=status)

    async def _put_alone(self, command: PutFeed, request: web.Request) -> int:
        """Put a feed while nobody else puts one, perhaps of the same URL."""
        for _ in range(_TRIES):
            async with self._feeds.alone() as is_alone:
                if is_alone:
                    await self._check_address(command.warehouse, command.url)
                    actor_id = await self._feeds.begin(command.warehouse)
                    version = await self._have(actor_id, command, request)
                    # One that ended just before is on by now.
                    await self._feeds.begin(command.warehouse)
                    return version
            await asyncio.sleep(_PAUSE_S)
        raise ProblemError(conflict("others are putting feeds all the time: repeat this request"))

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return how a warehouse is fed, and how that goes."""
        no_query(request)
        return json_answer(await self._shape(await self._standing(request)))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List feeds by warehouse."""
        found = query(request, "limit", "cursor")
        limit = limit_of(found)
        rows = await self._feeds.all(after=name_cursor(found), limit=limit)
        shapes = [await self._shape(row) for row in rows]
        return json_answer(
            listing(shapes, limit=limit, shape=_itself, position=lambda shape: str(shape.warehouse))
        )

    async def delete(self, request: web.Request) -> JsonAnswer:
        """Feed a warehouse no longer; its numbers stay as they are."""
        no_query(request)
        return await self._do(request, DeleteFeed())

    async def poll(self, request: web.Request) -> JsonAnswer:
        """Ask the WMS sooner than planned; or only say what that would change."""
        found = query(request, "dry_run")
        if found.get("dry_run", "false") not in {"true", "false"}:
            raise ProblemError(invalid("dry_run must be true or false"))
        if found.get("dry_run") != "true":
            return await self._do(request, PollNow())
        await _no_body(request)
        return await dry_run(self._context, await self._standing(request))

    async def _do(self, request: web.Request, command: Command) -> JsonAnswer:
        await _no_body(request)
        standing = await self._standing(request)
        await self._have(standing.actor_id, command, request)
        return json_answer(await self._shape(standing), status=HTTPStatus.ACCEPTED)

    async def _have(self, actor_id: int, command: Command, request: web.Request) -> int:
        """Have a feed decide; return the seq of what happened, 0 if nothing had to."""
        principal = principal_of(request)
        answer = await self._context.asker.ask(actor_id, command, principal=principal)
        match answer:
            case Outcome(seq=seq):
                return seq
            case Noted():
                return 0
            case KeyReused():
                raise AssertionError("there is no key")
            case _:
                raise ProblemError(problem_for(answer))

    def _check(self, body: PutFeedBody) -> None:
        try:
            check_wms_url(body.url)
            check_url(body.url, anywhere=self._feeds.anywhere)
        except (TargetError, WmsUrlError) as error:
            raise ProblemError(invalid(str(error))) from error
        for state in body.excludes:
            if state not in self._states:
                names = ", ".join(sorted(self._states))
                raise ProblemError(
                    invalid(f"nothing can be excluded as {state}; there are {names}")
                )

    async def _check_address(self, warehouse: str, url: str) -> None:
        """Refuse the address of a WMS that feeds another warehouse.

        It would be told of two pushes under each number, and take one of them.
        """
        for standing in await self._feeds.all(after="", limit=_FEEDS_MAX):
            if not standing.is_on or standing.warehouse == warehouse:
                continue
            feed = await self._feed(standing)
            if feed.status != "ended" and _is_fed_from(feed, url):
                code = standing.warehouse
                raise ProblemError(
                    conflict(f"warehouse {code} is fed from this url: give each one of its own")
                )

    async def _feed(self, standing: Standing) -> Feed:
        seen = await self._context.asker.look(standing.actor_id, FeedQuery())
        return seen.feed or Feed()

    async def _standing(self, request: web.Request) -> Standing:
        warehouse = request.match_info["warehouse"]
        standing = await self._feeds.find(warehouse) if is_code(warehouse) else None
        if standing is None:
            raise ProblemError(not_found("feed"))
        return standing

    async def _shape(self, standing: Standing) -> ShownFeed:
        seen = await self._context.asker.look(standing.actor_id, FeedQuery())
        if seen.feed is None or seen.feed.settings is None:
            raise ProblemError(not_found("feed"))
        return feed_shape(standing, seen.feed)


def _is_fed_from(feed: Feed, url: str) -> bool:
    return feed.settings is not None and is_same_address(feed.settings.url, url)


async def _no_body(request: web.Request) -> None:
    if request.body_exists and await request.read() not in {b"", b"{}"}:
        raise ProblemError(invalid("this request takes no body"))


def _itself(shape: ShownFeed) -> ShownFeed:
    return shape
