"""What a run would change, found out without changing anything.

The warehouse system is asked under its limit, as for a run; pools are asked what they would do.
Nothing is kept, numbered or begun, so that neither pushes nor later runs are any different.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from allocator.domain.fed import Code
from allocator.domain.queries import ReconcileQuery
from allocator.domain.reconciling import (
    STATEMENTS_MAX,
    LotReconciled,
    Reconcile,
    Statement,
)
from allocator.domain.values import units_of
from allocator.errors import AllocatorError, JournalError
from allocator.feeding.kit import Kit
from allocator.feeding.reach import PAUSE_S, TRIES, one_by_one
from allocator.feeding.told import Applied
from allocator.wms.interface import InventoryItem, InventoryPage, Wms, WmsLimitedError

FOUND_MAX: Final = 1_000
"""Differences that are told; the others are counted."""
BATCHES_MAX: Final = 200_000
"""A system that names more is not looked at in this way."""
LASTS_MAX_MS: Final = 600_000

_LOOK_EVERY_S: Final = 5.0
_POOLS_AT_ONCE: Final = 500
_LOOKS_AT_ONCE: Final = 32


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of which the numbers would change; the row that would be journaled."""

    product: str
    event: LotReconciled


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would change.

    Attributes:
        failure: Why that is not known; then nothing else is.
        batches: That the system names.
        products: That were looked at.
        differences: Of batches; `more` units would become available of some, `fewer` of others.
        short: Units that would be missing of the batches that differ.
        unknown: Skus of which there is no product here, some of them.
        found: The first differences.
    """

    failure: str | None = None
    as_of: int = 0
    applied_through: int = 0
    batches: int = 0
    products: int = 0
    differences: int = 0
    more: int = 0
    fewer: int = 0
    short: int = 0
    unknown: tuple[str, ...] = ()
    found: tuple[Found, ...] = ()


class DryRuns(Protocol):
    """Where it is asked for, and answered. Every method raises `JournalError`."""

    async def ask(self, feed: int, *, at_ms: int) -> int:
        """Have it be found out; return when it was asked for, perhaps by somebody else before."""
        ...

    async def answer(self, feed: int, *, asked_ms: int) -> Comparison | None:
        """Return what was found out; None if nobody knows yet."""
        ...

    async def wanted(self, feed: int) -> int | None:
        """Return when something was asked for that is not answered; None if nothing is."""
        ...

    async def tell(self, feed: int, comparison: Comparison, *, asked_ms: int) -> None:
        """Answer what was asked for then."""
        ...

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return pools of a warehouse and their products, in order."""
        ...

    async def known(self, skus: Sequence[str]) -> frozenset[str]:
        """Return those of which there are products."""
        ...


class _NotKnownError(AllocatorError):
    """It cannot be found out; the message says why."""


class DryRunner:
    """Finds it out for one feed.

    Args:
        kit: The feed's.
        wms: Behind its limit.
        kept: Where it is asked for.
    """

    def __init__(self, kit: Kit, wms: Wms, *, kept: DryRuns) -> None:
        self._kit = kit
        self._feed = kit.feed
        self._wms = wms
        self._kept = kept
        self._knocked = asyncio.Event()

    def knock(self) -> None:
        """Have it be found out what was just asked for."""
        self._knocked.set()

    async def run(self) -> None:
        """Find out what is asked for, for ever; cancel to stop.

        Raises:
            JournalError: The database does not answer.
        """
        while True:
            asked_ms = await self._kept.wanted(self._feed)
            if asked_ms is not None:
                comparison = await self._compare()
                await self._kept.tell(self._feed, comparison, asked_ms=asked_ms)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._knocked.wait()
            self._knocked.clear()

    async def _compare(self) -> Comparison:
        try:
            async with asyncio.timeout(LASTS_MAX_MS / 1000):
                first, items = await self._hear()
                return await self._look(first, items)
        except TimeoutError:
            return Comparison(failure="it took too long")
        except JournalError:
            raise
        except AllocatorError as error:  # of the WMS, or of a pool that cannot be looked at
            return Comparison(failure=str(error))

    async def _hear(self) -> tuple[InventoryPage, list[InventoryItem]]:
        page = first = await self._page(None)
        items = list(page.items)
        while page.next_cursor is not None:
            page = await self._page(page.next_cursor)
            if (page.as_of, page.applied_through) != (first.as_of, first.applied_through):
                raise _NotKnownError("the pages of the WMS are not of one moment: ask again")
            items += page.items
            if len(items) > BATCHES_MAX:
                raise _NotKnownError(f"the WMS names more than {BATCHES_MAX} batches")
        return first, items

    async def _page(self, cursor: str | None) -> InventoryPage:
        while True:
            try:
                return await self._wms.page(cursor)
            except WmsLimitedError as error:
                await asyncio.sleep(error.retry_after_s)

    async def _look(self, first: InventoryPage, items: Sequence[InventoryItem]) -> Comparison:
        said: dict[str, list[InventoryItem]] = {}
        for item in items:
            said.setdefault(item.sku, []).append(item)
        found: list[Found] = []
        after = products = 0
        while pools := await self._kept.pools(
            self._kit.warehouse, after=after, limit=_POOLS_AT_ONCE
        ):
            after = pools[-1][0]
            products += len(pools)
            found += await self._ask_all(pools, said, first)
            for _, product in pools:
                said.pop(product, None)
        known = await self._kept.known(list(said))
        found += [
            Found(product=sku, event=_opened(item, first))
            for sku in sorted(known)
            for item in said[sku]
            if item.orderable > 0
        ]
        return _summed(
            found,
            first,
            batches=len(items),
            products=products + len(known),
            unknown=tuple(sorted(said.keys() - known)[:FOUND_MAX]),
        )

    async def _ask_all(
        self,
        pools: Sequence[tuple[int, str]],
        said: Mapping[str, Sequence[InventoryItem]],
        first: InventoryPage,
    ) -> list[Found]:
        """Return what would change in pools; those that were attached just now are asked again."""
        found: list[Found] = []
        for attempt in range(TRIES):
            looks = await self._ask_once(pools, said, first)
            for (_, product), events in zip(pools, looks, strict=True):
                found += [Found(product=product, event=each) for each in events or ()]
            pools = [pool for pool, events in zip(pools, looks, strict=True) if events is None]
            if not pools:
                return found
            await asyncio.sleep(PAUSE_S * 2**attempt)
        product = pools[0][1]
        raise _NotKnownError(f"{product} was attached just now, of which too little is known yet")

    async def _ask_once(
        self,
        pools: Sequence[tuple[int, str]],
        said: Mapping[str, Sequence[InventoryItem]],
        first: InventoryPage,
    ) -> list[list[LotReconciled] | None]:
        """Return what would change in pools; None for those of which too little is known yet."""
        through = first.applied_through
        actor_ids = [actor_id for actor_id, _ in pools]
        applied = await self._kit.told.applied(self._feed, actor_ids=actor_ids, through=through)
        if not applied:
            raise _NotKnownError(f"push {through} was not the last one that the WMS has applied")

        async def look(pool: tuple[int, str]) -> list[LotReconciled] | None:
            actor_id, product = pool
            lots = _statements(said.get(product, ()), applied[actor_id])
            asks = self._asks(lots, turn=applied[actor_id].turn, as_of=first.as_of)
            seen = [await self._kit.reach.look(actor_id, ReconcileQuery(ask)) for ask in asks]
            if any(view.found is None for view in seen):
                return None
            return [event for view in seen for event in view.found or ()]

        return await one_by_one(look, pools, at_once=_LOOKS_AT_ONCE)

    def _asks(self, lots: Sequence[Statement], *, turn: int, as_of: int) -> list[Reconcile]:
        """Return what a run would ask a pool; one for many batches, that have all been lowered."""
        if len(lots) > STATEMENTS_MAX:  # those of which there is nothing need not be named
            lots = [each for each in lots if each.orderable or each.applied]
        is_whole = len(lots) <= STATEMENTS_MAX
        return [
            Reconcile(
                process=self._feed,
                step=0,
                sent_at_ms=self._kit.clock(),
                as_of=as_of,
                turn=turn,
                lots=tuple(lots[begin : begin + STATEMENTS_MAX]),
                complete=is_whole,
                lowered=not is_whole,
                excludes=self._kit.settings.excludes,
            )
            for begin in range(0, max(len(lots), 1), STATEMENTS_MAX)
        ]


def _statements(items: Sequence[InventoryItem], applied: Applied) -> list[Statement]:
    named: dict[Code, InventoryItem] = {item.batch: item for item in items}
    return [
        Statement(
            code=code,
            orderable=named[code].orderable if code in named else 0,
            applied=applied.units.get(code, 0),
            expires_at_ms=named[code].expires_at_ms if code in named else None,
            received_at_ms=named[code].received_at_ms if code in named else None,
        )
        for code in dict.fromkeys((*named, *applied.units))
    ]


def _opened(item: InventoryItem, page: InventoryPage) -> LotReconciled:
    """Return what would be journaled of a batch of a product that was never here."""
    return LotReconciled(
        feed=0,
        as_of=page.as_of,
        code=item.batch,
        orderable=item.orderable,
        applied=0,
        before=0,
        opened=item.orderable,
        available=item.orderable,
    )


def _summed(
    found: Sequence[Found],
    page: InventoryPage,
    *,
    batches: int,
    products: int,
    unknown: tuple[str, ...],
) -> Comparison:
    changes = [each.event.opened + units_of(each.event.changes) for each in found]
    return Comparison(
        as_of=page.as_of,
        applied_through=page.applied_through,
        batches=batches,
        products=products,
        differences=len(found),
        more=sum(units for units in changes if units > 0),
        fewer=-sum(units for units in changes if units < 0),
        short=sum(each.event.short for each in found),
        unknown=unknown,
        found=tuple(found[:FOUND_MAX]),
    )
