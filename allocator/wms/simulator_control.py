"""What tests ask of a simulated warehouse system, below `/sim`, where no limit holds."""

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web

from allocator.wms.simulator import Simulator
from allocator.wms.simulator_answers import answer, asked, complaint
from allocator.wms.simulator_entrance import Admission
from allocator.wms.simulator_shapes import (
    DamagesBody,
    OutageBody,
    ReceiptsBody,
    RequestsBody,
    TrueItem,
    TruthBody,
)

_SECOND_US: Final = 1_000_000


class Control:
    """Has things happen, and tells what is really so.

    Args:
        simulator: To whom.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Have a router know it."""
        router.add_post("/sim/receipts", self._receive)
        router.add_post("/sim/damage", self._damage)
        router.add_post("/sim/batch-now", self._run_batch)
        router.add_post("/sim/outage", self._close)
        router.add_get("/sim/truth", self._truth)
        router.add_get("/sim/requests", self._requests)

    async def _receive(self, request: web.Request) -> web.Response:
        body = await asked(request, ReceiptsBody)
        for item in body.items:
            batch = self._simulator.truth.batch((item.sku, item.batch))
            batch.expires_at = item.expires_at or batch.expires_at
            batch.received_at = batch.received_at or item.received_at or datetime.now(UTC)
            self._simulator.receive(batch, item.quantity)
        return _done()

    async def _damage(self, request: web.Request) -> web.Response:
        body = await asked(request, DamagesBody)
        for item in body.items:
            if not self._simulator.damage((item.sku, item.batch), item.quantity):
                return complaint(
                    HTTPStatus.CONFLICT,
                    f"fewer than {item.quantity} units of {item.sku} {item.batch} are there",
                )
        return _done()

    async def _run_batch(self, _: web.Request) -> web.Response:
        self._simulator.run_batch()
        return _done()

    async def _close(self, request: web.Request) -> web.Response:
        body = await asked(request, OutageBody)
        self._simulator.entrance.close(body.seconds)
        return _done()

    async def _truth(self, _: web.Request) -> web.Response:
        truth = self._simulator.truth
        return answer(
            TruthBody(
                as_of=truth.as_of,
                received_through=truth.received_through,
                applied_through=truth.applied_through,
                waiting=truth.waiting,
                repeats=truth.repeats,
                gaps=truth.gaps,
                swaps=truth.swaps,
                mistakes=tuple(truth.mistakes),
                items=tuple(self._items()),
            )
        )

    async def _requests(self, _: web.Request) -> web.Response:
        simulator, counts = self._simulator, self._simulator.entrance.counts
        limited, let_in = counts[Admission.LIMITED], counts[Admission.LET_IN]
        return answer(
            RequestsBody(
                requests=counts.total(),
                limited=limited,
                in_outages=counts.total() - limited - let_in,
                answers_lost=simulator.answers_lost,
                times_us=tuple(int(time * _SECOND_US) for time in simulator.entrance.times),
                events=simulator.webhooks.told,
                events_waiting=simulator.webhooks.waiting,
                events_lost=simulator.webhooks.lost,
            )
        )

    def _items(self) -> Iterator[TrueItem]:
        for batch in self._simulator.truth.batches():
            yield TrueItem(
                sku=batch.sku,
                batch=batch.batch,
                received=batch.received,
                damaged=batch.damaged,
                aside=batch.aside,
                allocated=batch.allocated,
                shipped=batch.shipped,
                orderable=batch.orderable,
            )


def _done() -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT)
