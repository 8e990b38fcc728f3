"""Hears what a warehouse system says, and has the pools of its warehouse follow.

Pages are kept as they come, so that a run costs the same memory however much there is. Pools are
asked when everything was heard: what appears in one batch may be what has vanished from another.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from allocator.actors.messages import Answer, Noted, Outcome
from allocator.domain.feeds import (
    RUN_MAX_MS,
    BeginRun,
    EndPoll,
    EndRun,
    Feed,
    NotUnderWay,
    OlderRun,
    Poll,
    UnknownPush,
)
from allocator.domain.kinds import Command
from allocator.domain.queries import FeedQuery
from allocator.errors import AllocatorError, JournalError
from allocator.feeding.following import Following, Run
from allocator.feeding.kit import Kit
from allocator.feeding.ports import Heard
from allocator.feeding.reach import PAUSE_S, TRIES, GivenUpError, persistently
from allocator.wms.interface import (
    Inventory,
    InventoryItem,
    InventoryPage,
    WmsError,
    WmsLimitedError,
)

log = structlog.get_logger()

_FAILURE_MAX: Final = 200
_KEPT_IN_ONE_GO: Final = 250
"""Of a page. Then orders have their turn: a whole one takes as long as many of them."""
_NAMED_MAX: Final = 20
"""Of the products that nobody has named here, the log names so many a run."""


class Runner:
    """Sees polls of one feed through.

    Args:
        kit: The feed's.
        wms: Behind its limit.
    """

    def __init__(self, kit: Kit, wms: Inventory) -> None:
        self._kit = kit
        self._feed = kit.feed
        self._store = kit.store
        self._wms = wms
        self._following = Following(kit)
        self._strangers: set[str] = set()

    async def poll(self, poll: Poll) -> None:
        """See a poll through to the end of its run, if it comes to one."""
        left_ms = poll.deadline_ms - self._kit.clock()
        try:
            async with asyncio.timeout(max(left_ms, 0) / 1000):
                page = await self._wms.page(None)
        except WmsLimitedError as error:
            wait_ms = int(error.retry_after_s * 1000)
            await self._end_poll(poll, failure=str(error), retry_after_ms=wait_ms)
        except WmsError as error:
            await self._end_poll(poll, failure=str(error))
        except TimeoutError:
            await self._end_poll(poll, failure="the WMS did not answer in time")
        else:
            await self._begin(poll, page)

    async def hear_pushed(self) -> bool:
        """See a snapshot through that the WMS has pushed, and that is there.

        Returns:
            Whether nothing more can come of it: it was heard, or is no news.
        """
        try:
            page = await self._wms.page(None)
        except WmsError:
            return False
        match await self._begin_run(0, page):
            case Outcome(seq=run):
                return await self._see_through(run, page)
            case Noted():  # a former life has begun it
                run_open = (await self._look()).open_run
                return run_open is None or await self._see_through(run_open.number, page)
            case OlderRun():  # unless that fails which is newer, or which nobody sees through
                return (await self._look()).open_run is None
            case UnknownPush():
                return True
            case _:
                return False  # the feed was deleted

    async def _begin_run(self, poll: int, page: InventoryPage) -> Answer:
        asked = await self._store.settling(self._feed)
        return await self._tell(
            BeginRun(
                poll=poll,
                as_of=page.as_of,
                applied_through=page.applied_through,
                sent_through=await self._store.newest(self._feed),
                asked_as_of=0 if asked is None else asked.as_of,
                asked_through=0 if asked is None else asked.applied_through,
            )
        )

    async def _look(self) -> Feed:
        seen = await self._kit.reach.look(self._feed, FeedQuery())
        return seen.feed or Feed()

    async def _begin(self, poll: Poll, page: InventoryPage) -> None:
        match await self._begin_run(poll.number, page):
            case Outcome(seq=run):
                await self._see_through(run, page)
            case NotUnderWay():  # it was begun, perhaps, and the answer was lost
                run_open = (await self._look()).open_run
                if run_open is not None and run_open.poll == poll.number:
                    await self._see_through(run_open.number, page)
            case OlderRun(as_of=as_of, applied_through=through):
                is_same = (as_of, through) == (page.as_of, page.applied_through)
                failure = (
                    f"the WMS says what was so as of {page.as_of}, with push "
                    f"{page.applied_through} applied, and had said before what was so as of "
                    f"{as_of}, with push {through} applied: it was set back"
                )
                await self._end_poll(poll, failure=None if is_same else failure)
            case UnknownPush(applied_through=through, sent_through=newest):
                failure = f"the WMS has applied push {through}, and the newest is {newest}"
                await self._end_poll(poll, failure=failure)
            case _:
                pass  # the feed was deleted

    async def _see_through(self, run: int, page: InventoryPage) -> bool:
        """Have all pools follow what a run says; return whether nothing more can come of it."""
        lots = differences = shortfall = 0
        failure, retry_after_ms, for_good = None, 0, False
        try:
            async with asyncio.timeout(RUN_MAX_MS / 1000):
                lots = await self._hear(run, page)
                await self._fold(page.applied_through)  # then what was told before counts no more
                self._strangers.clear()
                said = Run(run, page.as_of, page.applied_through)
                differences = await self._following.follow(said)
                shortfall = await self._following.look_for_short()
        except GivenUpError as error:
            failure, retry_after_ms, for_good = str(error), error.retry_after_ms, error.for_good
        except TimeoutError:
            failure = "it took too long"
        except JournalError:
            raise
        except AllocatorError as error:  # a pool cannot be looked at
            failure = str(error)
        ended = await self._tell(
            EndRun(
                run=run,
                complete=failure is None,
                lots=lots,
                differences=differences,
                shortfall=shortfall,
                failure=None if failure is None else failure[:_FAILURE_MAX],
                retry_after_ms=retry_after_ms,
            )
        )
        has_ended = isinstance(ended, Outcome)  # else another has taken its place meanwhile
        if failure is not None:
            log.warning("wms.run_failed", warehouse=self._kit.warehouse, error=failure)
        elif has_ended:
            await self._kit.told.forget(self._feed, as_of=page.as_of)
        return has_ended and (failure is None or for_good)

    async def _fold(self, through: int) -> None:
        """Know what the WMS has applied, which is no less than it ever had."""
        applied = await self._store.fold(self._feed, through)
        if applied > through:
            raise GivenUpError(
                f"the WMS has applied push {through}, and has to have {applied} applied: that is "
                "yet to come, or it was set back"
            )

    async def _hear(self, run: int, first: InventoryPage) -> int:
        """Keep all pages of a run; return how many batches they name.

        Raises:
            GivenUpError: They are not all there, or not of one moment, or contradict each other.
        """
        page, lots = first, 0
        while True:
            for begin in range(0, len(page.items), _KEPT_IN_ONE_GO):
                heard = await self._heard(page.items[begin : begin + _KEPT_IN_ONE_GO])
                if heard:
                    await self._store.stage(self._feed, run=run, heard=heard)
                lots += len(heard)
            if page.next_cursor is None:
                await self._check_named_once(run, lots)
                return lots
            page = await self._page(page.next_cursor)
            if (page.as_of, page.applied_through) != (first.as_of, first.applied_through):
                raise GivenUpError("the pages of the WMS are not of one moment")

    async def _check_named_once(self, run: int, lots: int) -> None:
        """Refuse what says one thing of a batch on a page, and perhaps another on the next."""
        twice = lots - await self._store.named(self._feed, run=run)
        if twice > 0:
            raise GivenUpError(
                f"the WMS names {lots} batches, {twice} of them again: each must be named once",
                for_good=True,
            )

    async def _page(self, cursor: str) -> InventoryPage:
        async def ask() -> InventoryPage:
            return await self._wms.page(cursor)

        for _ in range(TRIES - 1):
            try:
                return await ask()
            except WmsLimitedError as error:
                await asyncio.sleep(error.retry_after_s)
            except WmsError:
                await asyncio.sleep(PAUSE_S)
        try:
            return await ask()
        except WmsLimitedError as error:
            wait_ms = int(error.retry_after_s * 1000)
            raise GivenUpError(str(error), retry_after_ms=wait_ms) from error
        except WmsError as error:
            raise GivenUpError(str(error)) from error

    async def _heard(self, items: Sequence[InventoryItem]) -> list[Heard]:
        skus = sorted({item.sku for item in items} - self._strangers)
        known = await self._kit.pools.open_all(self._kit.warehouse, skus)
        for sku in skus:
            if sku not in known:
                self._meet(sku)
        return [
            Heard(
                actor_id=known[item.sku],
                code=item.batch,
                orderable=item.orderable,
                expires_at_ms=item.expires_at_ms,
                received_at_ms=item.received_at_ms,
            )
            for item in items
            if item.sku in known
        ]

    def _meet(self, sku: str) -> None:
        """Say once in a run of a product that nobody has named it here; of many, of some."""
        self._strangers.add(sku)
        if len(self._strangers) <= _NAMED_MAX:
            log.warning("wms.unknown_product", warehouse=self._kit.warehouse, product=sku)

    async def _end_poll(self, poll: Poll, *, failure: str | None, retry_after_ms: int = 0) -> None:
        if failure is not None:
            failure = failure[:_FAILURE_MAX]
            log.warning("wms.poll_failed", warehouse=self._kit.warehouse, error=failure)
        await self._tell(EndPoll(poll=poll.number, failure=failure, retry_after_ms=retry_after_ms))

    async def _tell(self, command: Command) -> Answer:
        """Have our own actor decide."""

        async def ask() -> Answer:
            return await self._kit.reach.ask(self._feed, command)

        return await persistently(ask)
