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
from allocator.errors import AllocatorError, OverloadedError
from allocator.http.context import Context, decode, request_digest, require_media_type
from allocator.http.orders import ORDER_SCOPE, placed_order
from allocator.http.problems import Fact, Problem, ProblemError, problem_for, problem_of
from allocator.http.shapes import BatchOrder, Order

NDJSON: Final = "application/x-ndjson"

_WINDOW_LINES: Final = 512
_WINDOWS_UNDER_WAY: Final = 4

_decoder: Final = msgspec.json.Decoder(BatchOrder)
_encoder: Final = msgspec.json.Encoder()

Waiting: TypeAlias = tuple[PoolRef, asyncio.Future[Answer]]
Line: TypeAlias = Waiting | Problem
"""A line that was placed and waits for its commit, or why it was not."""


class BatchResult(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of a line: an order (201), or a problem."""

    status: int
    order: Order | None = None
    problem: dict[str, Fact] | None = None


class BatchHandlers:
    """The route /orders/batch."""

    def __init__(self, context: Context, *, line_max_bytes: int) -> None:
        self._context = context
        self._line_max_bytes = line_max_bytes

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [web.post("/orders/batch", self.post)]

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Place each line's order; a line may carry its own key."""
        require_media_type(request, NDJSON)
        response = web.StreamResponse(headers={"Content-Type": NDJSON})
        await response.prepare(request)
        windows: asyncio.Queue[Sequence[Line] | None] = asyncio.Queue(_WINDOWS_UNDER_WAY)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer(response, windows))
            async for lines in self._windows(request):
                await windows.put(await self._place_all(lines))
            await windows.put(None)
        return response

    async def _windows(self, request: web.Request) -> AsyncIterator[Sequence[bytes]]:
        """Yield the lines of the body as they arrive; the last may lack its line feed."""
        rest = b""
        async for chunk in request.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for start in range(0, len(lines), _WINDOW_LINES):
                yield lines[start : start + _WINDOW_LINES]
            if len(rest) > self._line_max_bytes:
                yield [rest]  # it is answered as too long, and nothing after it is read
                return
        if rest:
            yield [rest]

    async def _place_all(self, lines: Sequence[bytes]) -> list[Line]:
        """Place a window; blank lines leave no result."""
        placed: list[Line] = []
        for line in lines:
            if line and not line.isspace():
                placed.append(await self._place_patiently(line, placed))
        return placed

    async def _place_patiently(self, line: bytes, earlier: Sequence[Line]) -> Line:
        """Place a line, once more if the mailbox was full of our own lines."""
        try:
            return await self._place(line)
        except OverloadedError as error:
            waiting = [one[1] for one in earlier if not isinstance(one, Problem)]
            if not waiting:
                return problem_of(error)
            await asyncio.wait(waiting)
            return await self._place_patiently(line, ())
        except ProblemError as error:
            return error.problem
        except AllocatorError as error:
            return problem_of(error)

    async def _place(self, line: bytes) -> Waiting:
        if len(line) > self._line_max_bytes:
            raise ProblemError(_TOO_LONG)
        body = decode(line, _decoder)
        context = self._context
        pool = context.router.known.get((body.warehouse, body.product))
        if pool is None:
            pool = await context.pool(body.warehouse, body.product)
        command = PlaceOrder(quantity=body.quantity, customer=body.customer)
        if body.key is None:
            return pool, context.worker.ask(pool.actor_id, command)
        request = KeyedRequest(
            actor_id=pool.actor_id,
            command=command,
            principal="",
            key=body.key,
            request_digest=request_digest(pool.actor_id, command, scope=ORDER_SCOPE),
        )
        return pool, context.worker.ask_once(request)

    async def _answer(
        self, response: web.StreamResponse, windows: asyncio.Queue[Sequence[Line] | None]
    ) -> None:
        while (lines := await windows.get()) is not None:
            results = [await self._result(line) for line in lines]
            await response.write(_encoder.encode_lines(results))

    async def _result(self, line: Line) -> BatchResult:
        if isinstance(line, Problem):
            return _refused(line)
        pool, reply = line
        try:
            answer = await reply
        except AllocatorError as error:
            return _refused(problem_of(error))
        if isinstance(answer, Outcome):
            return BatchResult(HTTPStatus.CREATED, placed_order(self._context, pool, answer))
        assert not isinstance(answer, Noted), "commands of clients leave events"
        return _refused(problem_for(answer))


_TOO_LONG: Final = Problem(
    type="content-too-large",
    title="Line too long",
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    detail="this line is longer than a body may be; nothing after it was read",
)


def _refused(problem: Problem) -> BatchResult:
    return BatchResult(int(problem.status), problem=problem.members(instance=None))
