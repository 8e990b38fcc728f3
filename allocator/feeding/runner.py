"""Hears what a warehouse system says, and has the pools of its warehouse follow.

Pages are kept as they come, so that a run costs the same memory however much there is. Pools are
asked when everything was heard: what appears in one batch may be what has vanished from another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import structlog

from allocator.actors.errands import Asker
from allocator.actors.messages import Answer, Noted, Outcome
from allocator.domain.fed import Code
from allocator.domain.feeds import (
    RUN_MAX_MS,
    BeginRun,
    EndPoll,
    EndRun,
    OlderRun,
    Poll,
    UnknownPush,
)
from allocator.domain.kinds import Command
from allocator.domain.queries import FeedQuery, Query, ShortQuery, View
from allocator.domain.reconciling import STATEMENTS_MAX, Reconcile, Statement
from allocator.domain.transfers import Stale
from allocator.errors import AllocatorError
from allocator.feeding.ports import Heard, Standing, Stated, Store
from allocator.feeding.told import Told
from allocator.feeding.turns import Turns
from allocator.wms.interface import (
    InventoryPage,
    Wms,
    WmsError,
    WmsLimitedError,
)

log = structlog.get_logger()

_POOLS_AT_ONCE: Final = 500
_ASKS_AT_ONCE: Final = 32
_TRIES: Final = 6
_PAUSE_S: Final = 0.2
_FAILURE_MAX: Final = 200

_T = TypeVar("_T")


class Reach(Asker, Protocol):
    """Reaches any actor, to have it decide or to look at it."""

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state."""
        ...


class Pools(Protocol):
    """Finds and makes pools."""

    async def open_all(self, warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products, made on first use; none of products that nobody named."""
        ...


class _GivenUpError(AllocatorError):
    """A run cannot be complete; the message says why."""

    def __init__(self, why: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(why)
        self.retry_after_ms = retry_after_ms


class Runner:
    """Sees polls of one feed through.

    Args:
        standing: Of the feed.
        wms: Behind its limit.
        told: What it tells by itself.
        excludes: The states that the WMS does not call orderable.
        turns: Shared with whoever else says something to the pools.
        clock: Milliseconds of Unix time.
    """

    def __init__(  # noqa: PLR0913 (what it needs)
        self,
        standing: Standing,
        store: Store,
        wms: Wms,
        *,
        told: Told,
        excludes: tuple[str, ...],
        reach: Reach,
        pools: Pools,
        turns: Turns,
        clock: Callable[[], int],
    ) -> None:
        self._feed = standing.actor_id
        self._warehouse = standing.warehouse
        self._store = store
        self._told = told
        self._wms = wms
        self._excludes = excludes
        self._reach = reach
        self._pools = pools
        self._turns = turns
        self._clock = clock
        self._strangers: set[str] = set()
        self._trouble: str | None = None

    async def poll(self, poll: Poll) -> None:
        """See a poll through to the end of its run, if it comes to one."""
        left_ms = poll.deadline_ms - self._clock()
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
                seen = await self._reach.look(self._feed, FeedQuery())
                run_open = None if seen.feed is None else seen.feed.open_run
                return run_open is None or await self._see_through(run_open.number, page)
            case OlderRun() | UnknownPush():
                return True
            case _:
                return False  # the feed was deleted

    async def _begin_run(self, poll: int, page: InventoryPage) -> Answer:
        return await self._tell(
            BeginRun(
                poll=poll,
                as_of=page.as_of,
                applied_through=page.applied_through,
                sent_through=await self._store.newest(self._feed),
            )
        )

    async def _begin(self, poll: Poll, page: InventoryPage) -> None:
        match await self._begin_run(poll.number, page):
            case Outcome(seq=run):
                await self._see_through(run, page)
            case OlderRun(as_of=as_of, applied_through=through):
                is_same = (as_of, through) == (page.as_of, page.applied_through)
                failure = f"the WMS went back from {as_of}, {through}"
                await self._end_poll(poll, failure=None if is_same else failure)
            case UnknownPush(applied_through=through, sent_through=newest):
                failure = f"the WMS has applied push {through}, and the newest is {newest}"
                await self._end_poll(poll, failure=failure)
            case _:
                pass  # the feed was deleted, or the poll given up

    async def _see_through(self, run: int, page: InventoryPage) -> bool:
        """Have all pools follow what a run says; return whether they have."""
        lots = differences = shortfall = 0
        failure, retry_after_ms = None, 0
        try:
            async with asyncio.timeout(RUN_MAX_MS / 1000):
                await self._fold(page.applied_through)
                lots = await self._hear(run, page)
                differences = await self._reconcile(run, page)
                shortfall = await self._look_for_short()
        except _GivenUpError as error:
            failure, retry_after_ms = str(error), error.retry_after_ms
        except TimeoutError:
            failure = "it took too long"
        await self._tell(
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
        if failure is None:
            await self._told.forget(self._feed, as_of=page.as_of)
        return failure is None

    async def _fold(self, through: int) -> None:
        """Know what the WMS has applied, which is no less than it ever had."""
        applied = await self._store.fold(self._feed, through)
        if applied > through:
            raise _GivenUpError(
                f"the WMS has applied push {through}, and has to have {applied} applied: that is "
                "yet to come, or it was set back"
            )

    async def _hear(self, run: int, first: InventoryPage) -> int:
        """Keep all pages of a run; return how many batches they name."""
        page, lots = first, 0
        while True:
            heard = await self._heard(page)
            if heard:
                await self._store.stage(self._feed, run=run, heard=heard)
            lots += len(heard)
            if page.next_cursor is None:
                return lots
            page = await self._page(page.next_cursor)
            if (page.as_of, page.applied_through) != (first.as_of, first.applied_through):
                raise _GivenUpError("the pages of the WMS are not of one moment")

    async def _page(self, cursor: str) -> InventoryPage:
        async def ask() -> InventoryPage:
            return await self._wms.page(cursor)

        for _ in range(_TRIES - 1):
            try:
                return await ask()
            except WmsLimitedError as error:
                await asyncio.sleep(error.retry_after_s)
            except WmsError:
                await asyncio.sleep(_PAUSE_S)
        try:
            return await ask()
        except WmsLimitedError as error:
            wait_ms = int(error.retry_after_s * 1000)
            raise _GivenUpError(str(error), retry_after_ms=wait_ms) from error
        except WmsError as error:
            raise _GivenUpError(str(error)) from error

    async def _heard(self, page: InventoryPage) -> list[Heard]:
        skus = sorted({item.sku for item in page.items} - self._strangers)
        known = await self._pools.open_all(self._warehouse, skus)
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
            for item in page.items
            if item.sku in known
        ]

    def _meet(self, sku: str) -> None:
        """Say once in a run that there is a product that nobody has named here."""
        self._strangers.add(sku)
        log.warning("wms.unknown_product", warehouse=self._warehouse, product=sku)

    async def _reconcile(self, run: int, page: InventoryPage) -> int:
        """Have all pools of the warehouse follow; return in how many anything changed."""
        self._strangers.clear()
        self._trouble = None
        after = differences = 0
        while True:
            async with self._turns.lock:
                stated = await self._store.statements(
                    self._feed,
                    run=run,
                    through=page.applied_through,
                    after=after,
                    limit=_POOLS_AT_ONCE,
                )
                if not stated:
                    break
                after = stated[-1].actor_id
                changed = await self._ask_all(stated, run=run, as_of=page.as_of)
            differences += len(changed)
            await self._note_short(changed)
        if self._trouble is not None:
            raise _GivenUpError(self._trouble)
        return differences

    async def _ask_all(self, stated: Sequence[Stated], *, run: int, as_of: int) -> list[int]:
        at_once = asyncio.Semaphore(_ASKS_AT_ONCE)
        newer = await self._told.newer(
            self._feed, as_of=as_of, actor_ids=[each.actor_id for each in stated]
        )

        async def ask(each: Stated) -> bool:
            async with at_once:
                try:
                    if each.turn and each.actor_id in newer:
                        return await self._lower(each, newer[each.actor_id], run=run, as_of=as_of)
                    return await self._ask(each, run=run, as_of=as_of)
                except AllocatorError as error:  # the others follow all the same
                    self._trouble = f"pool {each.actor_id}: {error}"
                    return False

        answers = await _all([ask(each) for each in stated])
        return [each.actor_id for each, changed in zip(stated, answers, strict=True) if changed]

    async def _ask(self, stated: Stated, *, run: int, as_of: int) -> bool:
        """Have one pool follow; return whether anything changed."""
        lots, changed = stated.lots, False
        if len(lots) <= STATEMENTS_MAX:
            return await self._say(stated, lots, run=run, as_of=as_of, complete=True)
        if not stated.turn:
            raise _GivenUpError(
                f"a product has {len(lots)} batches, and at first it may have {STATEMENTS_MAX}"
            )
        for lowered in (False, True):
            for begin in range(0, len(lots), STATEMENTS_MAX):
                some = lots[begin : begin + STATEMENTS_MAX]
                said = await self._say(stated, some, run=run, as_of=as_of, lowered=lowered)
                changed = changed or said
        return changed

    async def _lower(self, stated: Stated, newer: frozenset[Code], *, run: int, as_of: int) -> bool:
        """Have a pool follow of which something newer was told: what is older may lower only."""
        lots, changed = [each for each in stated.lots if each.code not in newer], False
        for begin in range(0, len(lots), STATEMENTS_MAX):
            some = lots[begin : begin + STATEMENTS_MAX]
            changed = await self._say(stated, some, run=run, as_of=as_of) or changed
        return changed

    async def _say(  # noqa: PLR0913 (what is asked)
        self,
        stated: Stated,
        lots: Sequence[Statement],
        *,
        run: int,
        as_of: int,
        complete: bool = False,
        lowered: bool = False,
    ) -> bool:
        if self._turns.is_in_doubt(stated.actor_id):
            raise _GivenUpError("a pool may yet hear what it was asked before")

        async def ask() -> Answer:
            with self._turns.asking(stated.actor_id):
                return await self._reach.ask(stated.actor_id, reconcile())

        def reconcile() -> Reconcile:
            return Reconcile(
                process=self._feed,
                step=run,
                sent_at_ms=self._clock(),
                as_of=as_of,
                turn=stated.turn,
                lots=tuple(lots),
                complete=complete,
                lowered=lowered,
                excludes=self._excludes,
            )

        answer = await self._persistently(ask)
        if not isinstance(answer, Outcome | Noted):
            raise _GivenUpError(f"a pool of {self._warehouse} refuses: {type(answer).__name__}")
        return isinstance(answer, Outcome)

    async def _note_short(self, pools: Sequence[int]) -> None:
        """Note how many units are missing of these pools."""
        short = await self._short_of(pools)
        if short:
            await self._store.note_short(self._feed, short)

    async def _short_of(self, pools: Sequence[int]) -> dict[int, int]:
        short: dict[int, int] = {}
        for begin in range(0, len(pools), _ASKS_AT_ONCE):
            some = pools[begin : begin + _ASKS_AT_ONCE]
            seen = await _all([self._reach.look(each, ShortQuery()) for each in some])
            short |= {each: view.short or 0 for each, view in zip(some, seen, strict=True)}
        return short

    async def _look_for_short(self) -> int:
        """Return how many units are missing of all pools."""
        pools = await self._store.short(self._feed)
        short = await self._short_of(pools)
        if short:
            await self._store.note_short(self._feed, short)
        return sum(short.values())

    async def _end_poll(self, poll: Poll, *, failure: str | None, retry_after_ms: int = 0) -> None:
        if failure is not None:
            failure = failure[:_FAILURE_MAX]
            log.warning("wms.poll_failed", warehouse=self._warehouse, error=failure)
        await self._tell(EndPoll(poll=poll.number, failure=failure, retry_after_ms=retry_after_ms))

    async def _tell(self, command: Command) -> Answer:
        """Have our own actor decide."""

        async def ask() -> Answer:
            return await self._reach.ask(self._feed, command)

        return await self._persistently(ask)

    async def _persistently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return an answer that is neither late nor lost, if there is one in time."""
        for attempt in range(_TRIES):
            try:
                answer = await ask()
                if not isinstance(answer, Stale):
                    return answer
            except AllocatorError as error:
                if not error.retryable:
                    raise
            await asyncio.sleep(_PAUSE_S * 2**attempt)
        raise _GivenUpError("a pool or the feed did not answer in time")


async def _all(asks: Sequence[Coroutine[None, None, _T]]) -> list[_T]:
    """Return all results; if one fails, none goes on."""
    tasks = [asyncio.create_task(each) for each in asks]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
