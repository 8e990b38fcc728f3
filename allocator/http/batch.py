"""Many orders in one request: NDJSON in, NDJSON out, one result a line, in order.

Lines are placed a window at a time while earlier windows wait for their commit and later ones
are still being sent. The number of windows under way is bounded, and a client that does not read
its results is not read from, either.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec
from aiohttp import web

from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer, Noted, Outcome
from allocator.domain.catalogue import PoolRef
from allocator.domain.messages import PlaceOrder
from allocator.errors import AllocatorError
from allocator.http.context import Context, request_digest, require_media_type
from allocator.http.doors import Caller, caller_of
from allocator.http.multi_orders import ORDER_SCOPE, Asked, MultiOrders
from allocator.http.order_bodies import order_in
from allocator.http.order_shapes import BatchLines
from allocator.http.paging import no_query
from allocator.http.problems import (
    Fact,
    Problem,
    ProblemError,
    invalid,
    problem_of,
    unauthenticated,
)
from allocator.http.refusals import problem_for
from allocator.http.shapes import BatchOrder, Order
from allocator.http.shaping import placed_order

NDJSON: Final = "application/x-ndjson"

_WINDOW_LINES: Final = 512
_WINDOWS_UNDER_WAY: Final = 4
_LED_UNDER_WAY: Final = 64
"""Orders of several lines: each is some messages to as many actors."""
_CREATED: Final = int(HTTPStatus.CREATED)

_decoder: Final = msgspec.json.Decoder(BatchOrder)
_lines_decoder: Final = msgspec.json.Decoder(BatchLines)
_encoder: Final = msgspec.json.Encoder()

Waiting: TypeAlias = tuple[PoolRef, asyncio.Future[Answer]]


class BatchResult(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of a line: an order (201), or a problem."""

    status: int
    order: Order | None = None
    problem: dict[str, Fact] | None = None


Line: TypeAlias = Waiting | asyncio.Task[BatchResult] | Problem
"""A line that was placed and waits for its commit, or for what a process decides; or why it was
not."""


class _Sender:
    """Who sends the lines of one request, and what keeps them in order.

    Attributes:
        caller: May be revoked before the last line comes.
        keyed: The reply to the newest line with a key. Its key may still be looked up, and a
            line without one, which needs no look-up, must not be decided before it.
    """

    __slots__ = ("caller", "keyed")

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.keyed: asyncio.Future[Answer] | None = None

    def lets_pass(self, body: BatchOrder | BatchLines) -> bool:
        """Return whether a line may be decided now."""
        return body.key is not None or self.keyed is None or self.keyed.done()

    async def until_it_lets_pass(self, body: BatchOrder | BatchLines) -> None:
        """Wait for the lines with keys, if this one may not overtake them."""
        if self.keyed is not None and not self.lets_pass(body):
            await asyncio.wait((self.keyed,))


class BatchHandlers:
    """The route /orders/batch."""

    def __init__(self, context: Context, *, line_max_bytes: int) -> None:
        self._context = context
        self._known = context.router.known
        self._ids = context.ids
        self._multi = MultiOrders(context)
        self._line_max_bytes = line_max_bytes
        # Shared by all requests, so that bulk clients leave room in every mailbox for others.
        self._free_windows = asyncio.Semaphore(_WINDOWS_UNDER_WAY)
        self._free_to_lead = asyncio.Semaphore(_LED_UNDER_WAY)

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [web.post("/orders/batch", self.post)]

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Place each line's order; a line may carry its own key."""
        no_query(request)
        require_media_type(request, NDJSON)
        if "Idempotency-Key" in request.headers:
            raise ProblemError(_KEY_OF_ALL)
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(request)
        try:
            await self._stream(request, response)
        except ExceptionGroup as failures:
            # Part of the results is out: a problem would stand among them, and a proper end would
            # pass them off as all there are.
            if request.transport is not None:
                request.transport.close()
            raise failures.exceptions[0] from failures
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        windows: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(_WINDOWS_UNDER_WAY)
        sender = _Sender(caller_of(request))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_write(response, windows))
            async for lines in self._windows(request):
                placed = await self._place_window(lines, sender)
                settling = tasks.create_task(self._settle(placed))
                # Not in the task: one that is cancelled before its first step runs nothing at all.
                settling.add_done_callback(lambda _: self._free_windows.release())
                await windows.put(settling)
            await windows.put(None)

    async def _windows(self, request: web.Request) -> AsyncIterator[Sequence[bytes]]:
        """Yield the lines of the body as they arrive; the last may lack its line feed."""
        rest = b""
        async for chunk in request.content.iter_any():
            if len(rest) > self._line_max_bytes and b"\n" not in chunk:
                continue  # as much of this line is kept as shows that it is too long
            *lines, rest = (rest + chunk).split(b"\n")
            for start in range(0, len(lines), _WINDOW_LINES):
                yield lines[start : start + _WINDOW_LINES]
        if rest:
            yield [rest]

    async def _place_window(self, lines: Sequence[bytes], sender: _Sender) -> list[Line]:
        """Place the lines in order; blank ones leave no result."""
        await self._free_windows.acquire()
        try:
            return [
                self._place(line, sender) or await self._place_slowly(line, sender)
                for line in lines
                if line and not line.isspace()
            ]
        except BaseException:
            self._free_windows.release()
            raise

    def _place(self, line: bytes, sender: _Sender) -> Line | None:
        """Place a line; None if that takes more than looking into memory."""
        try:
            if len(line) > self._line_max_bytes:
                return _TOO_LONG
            body = order_in(line, _decoder, _lines_decoder)
            if not isinstance(body, BatchOrder):
                return None
            pool = self._known.get((body.warehouse, body.product))
            if pool is None or not sender.lets_pass(body):
                return None
            return self._ask(pool, body, sender)
        except ProblemError as error:
            return error.problem
        except AllocatorError as error:
            return problem_of(error)

    async def _place_slowly(self, line: bytes, sender: _Sender) -> Line:
        """Place one whose pool is not known yet, that has several, or that must not overtake."""
        try:
            body = order_in(line, _decoder, _lines_decoder)
            if not isinstance(body, BatchOrder):
                return await self._ask_for_lines(body, sender)
            pool = await self._context.pool(body.warehouse, body.product)
            await sender.until_it_lets_pass(body)
            return self._ask(pool, body, sender)
        except ProblemError as error:
            return error.problem
        except AllocatorError as error:
            return problem_of(error)

    def _ask(self, pool: PoolRef, body: BatchOrder, sender: _Sender) -> Waiting:
        if sender.caller.is_revoked:
            raise ProblemError(unauthenticated(is_missing=False))
        command = PlaceOrder(quantity=body.quantity, customer=body.customer, product=pool.told)
        principal = sender.caller.name
        if body.key is None:
            return pool, self._context.asker.ask(pool.actor_id, command, principal=principal)
        request = KeyedRequest(
            actor_id=pool.actor_id,
            command=command,
            principal=principal,
            key=body.key,
            request_digest=request_digest(pool.actor_id, command, scope=ORDER_SCOPE),
        )
        sender.keyed = self._context.asker.ask_once(request)
        return pool, sender.keyed

    async def _ask_for_lines(self, body: BatchLines, sender: _Sender) -> asyncio.Task[BatchResult]:
        """Send an order of several lines on its way, as soon as there are not too many."""
        lines = await self._multi.lines_in(body.lines)
        await sender.until_it_lets_pass(body)
        if sender.caller.is_revoked:
            raise ProblemError(unauthenticated(is_missing=False))
        await self._free_to_lead.acquire()
        try:
            asked = await self._multi.ask(
                lines, body.customer, principal=sender.caller.name, key=body.key
            )
        except BaseException:
            self._free_to_lead.release()
            raise
        if body.key is not None:
            sender.keyed = asked.reply
        # Of its own: whoever asked may be gone before it is decided.
        task = asyncio.create_task(_result_of(asked))
        task.add_done_callback(lambda _: self._free_to_lead.release())
        return task

    async def _settle(self, placed: Sequence[Line]) -> bytes:
        """Wait until a window is decided and durable; return its results, encoded."""
        results: list[BatchResult] = []
        for line in placed:
            if isinstance(line, asyncio.Task):
                results.append(await asyncio.shield(line))
                continue
            if not isinstance(line, tuple):
                results.append(_refused(line))
                continue
            pool, reply = line
            try:
                # Most are done when the first is: awaiting them would cost more than asking.
                answer = reply.result() if reply.done() else await reply
            except AllocatorError as error:
                results.append(_refused(problem_of(error)))
            else:
                results.append(self._result(pool, answer))
        return _encoder.encode_lines(results)

    def _result(self, pool: PoolRef, answer: Answer) -> BatchResult:
        if isinstance(answer, Outcome):
            return BatchResult(_CREATED, placed_order(self._ids, pool, answer))
        assert not isinstance(answer, Noted), "commands of clients leave events"
        return _refused(problem_for(answer))


async def _result_of(asked: Asked) -> BatchResult:
    try:
        return BatchResult(_CREATED, await asked.order())
    except ProblemError as error:
        return _refused(error.problem)
    except AllocatorError as error:
        return _refused(problem_of(error))


async def _write(
    response: web.StreamResponse, windows: asyncio.Queue[asyncio.Task[bytes] | None]
) -> None:
    while (window := await windows.get()) is not None:
        await response.write(await window)


_KEY_OF_ALL: Final = invalid("a batch cannot have an Idempotency-Key; give each line a `key`")

_TOO_LONG: Final = Problem(
    type="content-too-large",
    title="Line too long",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    detail="this line is longer than a body may be",
)


def _refused(problem: Problem) -> BatchResult:
    return BatchResult(int(problem.status), problem=problem.members(instance=None))
