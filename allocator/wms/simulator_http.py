"""The simulated warehouse system as one that can be asked: real HTTP, on this machine only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web

from allocator.wms.interface import ITEMS_MAX
from allocator.wms.shapes import ALLOCATIONS, INVENTORY, AcknowledgedBody, PushesBody
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_answers import answer, asked, complaint
from allocator.wms.simulator_control import Control
from allocator.wms.simulator_entrance import Admission

_BODY_MAX_BYTES: Final = 64 * 1024 * 1024
_BACKLOG: Final = 1_024
_ITEMS: Final = 1_000


class Counter:
    """Where the warehouse system is asked: behind its limit, and not during its outages.

    Args:
        simulator: Who answers.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Have a router know it."""
        router.add_get(f"/{INVENTORY}", self._page)
        router.add_post(f"/{ALLOCATIONS}", self._push)

    async def _page(self, request: web.Request) -> web.Response:
        refused = await self._refused(request)
        if refused is not None:
            return refused
        try:
            limit = min(max(int(request.query.get("limit", _ITEMS)), 1), ITEMS_MAX)
            as_of, begin = map(int, request.query.get("cursor", "0.0").split("."))
        except ValueError:
            return complaint(
                HTTPStatus.BAD_REQUEST, "limit must be a whole number, and cursor one that I gave"
            )
        return answer(self._simulator.page(as_of, begin=begin, limit=limit))

    async def _push(self, request: web.Request) -> web.Response:
        refused = await self._refused(request)
        if refused is not None:
            return refused
        body = await asked(request, PushesBody)
        numbers = [push.number for push in body.pushes]
        if numbers != sorted(set(numbers)):
            return complaint(HTTPStatus.BAD_REQUEST, "numbers must ascend")
        through = self._simulator.push(body.pushes)
        if through is None:
            return _hang_up(request)
        return answer(AcknowledgedBody(acknowledged_through=through))

    async def _refused(self, request: web.Request) -> web.Response | None:
        """Take as long as it takes, and return None if the request is served."""
        admission, wait_s = self._simulator.entrance.admit()
        await asyncio.sleep(self._simulator.drawn_latency_s())
        match admission:
            case Admission.LET_IN:
                return None
            case Admission.LIMITED:
                return complaint(
                    HTTPStatus.TOO_MANY_REQUESTS, "asked too often", retry_after_s=wait_s
                )
            case Admission.UNAVAILABLE:
                return complaint(HTTPStatus.SERVICE_UNAVAILABLE, "there is an outage")
            case Admission.HUNG_UP:
                return _hang_up(request)
            case Admission.SILENCE:
                return await asyncio.Future[web.Response]()  # until the client has gone


def application(simulator: Simulator) -> web.Application:
    """Return what answers requests."""
    app = web.Application(client_max_size=_BODY_MAX_BYTES)
    Counter(simulator).add_to(app.router)
    Control(simulator).add_to(app.router)
    return app


@asynccontextmanager
async def serving(simulator: Simulator, *, port: int = 0) -> AsyncIterator[str]:
    """Have a simulator serve this machine, and nobody else.

    Args:
        simulator: Who.
        port: On which; 0 takes a free one.

    Yields:
        The URL for a feed.
    """
    runner = web.AppRunner(
        application(simulator), access_log=None, shutdown_timeout=0, handler_cancellation=True
    )
    await runner.setup()
    running = asyncio.create_task(simulator.run(), name="wms-sim")
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=_BACKLOG).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await runner.cleanup()


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
