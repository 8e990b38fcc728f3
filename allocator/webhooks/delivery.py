"""Delivery of all webhooks: of all processes on a database one does it, a task for each webhook.

So a receiver that never answers holds up nobody else, and costs one waiting request.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

import structlog

from allocator.actors.statistics import DeliveryStatistics
from allocator.domain.ids import IdSeal
from allocator.domain.interests import Interest
from allocator.domain.occurrences import UnknownPositionError
from allocator.errors import JournalError
from allocator.http.listening import Feed
from allocator.persistence.connections import connect
from allocator.persistence.deliveries import Deliveries, Delivery
from allocator.persistence.leadership import Role, lead
from allocator.webhooks.courier import Courier, Desk, Patience
from allocator.webhooks.sending import Terms, open_sender

log = structlog.get_logger()

_LOOK_EVERY_S: Final = 0.5
_RETRY_S: Final = 1.0
_AGAIN_S: Final = 5.0
"""How long a courier rests that fell over something that should not be."""


class Delivering:
    """Delivers webhooks for as long as this process has the right to.

    Args:
        url: Of the database; it has a connection of its own.
        feed: What there is to deliver.
        ids: Seals ids.
        patience: How often a message is tried.
        terms: On which messages are sent.
        statistics: Where it is counted.
        clock: Milliseconds of Unix time.
    """

    def __init__(  # noqa: PLR0913 (what it needs)
        self,
        *,
        url: str,
        feed: Feed,
        ids: IdSeal,
        patience: Patience,
        terms: Terms,
        statistics: DeliveryStatistics,
        clock: Callable[[], int],
    ) -> None:
        self._url = url
        self._feed = feed
        self._ids = ids
        self._patience = patience
        self._terms = terms
        self._statistics = statistics
        self._clock = clock
        self._at_work: dict[str, tuple[Courier, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Deliver for ever, while no other does; cancel to stop."""
        while True:
            try:
                await self._lead_and_deliver()
            except JournalError as error:
                log.warning("webhooks.interrupted", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _lead_and_deliver(self) -> None:
        connection = await connect(self._url, application_name="allocator webhooks")
        try:
            await lead(connection, Role.WEBHOOKS)
            log.info("webhooks.leading")
            async with open_sender(self._terms, clock=self._clock) as sender:
                desk = Desk(
                    feed=self._feed,
                    deliveries=Deliveries(connection),
                    sender=sender,
                    ids=self._ids,
                    patience=self._patience,
                    statistics=self._statistics,
                    clock=self._clock,
                    chance=Random(),  # noqa: S311 (it only spreads attempts)
                )
                await self._deliver(desk)
        finally:
            connection.terminate()

    async def _deliver(self, desk: Desk) -> None:
        try:
            await self._adopt(desk)
            while True:
                wanted = await desk.deliveries.wanted(now_ms=self._clock())
                dismissed = await self._dismiss({each.name: each.life for each in wanted})
                for delivery in wanted:
                    if delivery.name not in dismissed:  # he may have come further meanwhile
                        self._employ(delivery, desk)
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await self._dismiss({})

    async def _adopt(self, desk: Desk) -> None:
        async with self._feed.listen(Interest()) as listener:
            await desk.deliveries.adopt(listener.reached)

    def _employ(self, delivery: Delivery, desk: Desk) -> None:
        """Have a courier for a delivery, who knows how it stands."""
        if delivery.name in self._at_work:
            courier, _ = self._at_work[delivery.name]
            courier.heed(delivery)
            return
        courier = Courier(delivery, desk)
        task = asyncio.create_task(_supervised(courier, name=delivery.name), name="webhook")
        self._at_work[delivery.name] = (courier, task)

    async def _dismiss(self, lives: dict[str, int]) -> list[str]:
        """Let go of couriers that have ended, or whose webhook lives another life or none.

        Returns:
            Whose they were.
        """
        gone = [
            name
            for name, (courier, task) in self._at_work.items()
            if task.done() or lives.get(name) != courier.life
        ]
        tasks = [self._at_work.pop(name)[1] for name in gone]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return gone


async def _supervised(courier: Courier, *, name: str) -> None:
    """Let nobody else suffer from what one courier falls over."""
    try:
        await courier.run()
    except JournalError as error:
        log.warning("webhooks.interrupted", webhook=name, error=str(error))
    except UnknownPositionError as error:
        log.error("webhooks.lost", webhook=name, error=str(error))  # noqa: TRY400
        await asyncio.sleep(_AGAIN_S)
    except Exception:
        log.exception("webhooks.failed", webhook=name)
        await asyncio.sleep(_AGAIN_S)
