"""A warehouse system as it may be: batches, limits, stale pages, outages, a mind of its own.

What is physically there is its truth, which the oracle compares with what was promised.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Final, TypeVar

import msgspec

from allocator.domain.reconciling import Detach, Reconcile
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.process import START_MS, Process, current_process
from allocator.wms.interface import (
    InventoryItem,
    InventoryPage,
    Push,
    Wms,
    WmsError,
    WmsLimitedError,
    WmsUnavailableError,
)
from allocator.wms.shapes import LineBody, PushBody
from allocator.wms.simulator_truth import Batch, Truth

T = TypeVar("T")

URL: Final = "http://warehouse"
STRANGER: Final = "stranger"
"""A product that nobody has named here."""
_WAY_S: Final = (0.0005, 0.002, 0.02, 0.15)
_PATIENCE_S: Final = 2.0
_ITEMS_MAX: Final = 3
"""Of a page."""
_VIEWS_MAX: Final = 6
"""So many moments it remembers: for those who turn pages, and if it is behind."""
_TURNED: Final = 1 / 8
"""So often somebody who turns a page finds what was so at another moment."""
_RETRY_AFTER_S: Final = 0.3


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a warehouse is fed.

    Attributes:
        feed: The actor; it begins when somebody puts it.
        pools: Those of the warehouse.
        batch_ms: How often the WMS does what it was told.
        poll_ms, rate_per_s, burst, excludes: As they are put.
        stale: Whether pages show what was so when that was done last.
        swaps: How often others are picked than were named.
        lost: How often an answer is lost.
        behind: How often it says first what was so before, as one of several that know of each
            other late.
        tells: Whether it tells of each change by itself.
        snapshot_ms: How often it tells everything by itself; 0 for never.
    """

    feed: int
    pools: tuple[int, ...]
    batch_ms: int = 500
    poll_ms: int = 1_000
    rate_per_s: float = 20.0
    burst: int = 3
    excludes: tuple[str, ...] = ()
    stale: bool = False
    swaps: float = 0.0
    lost: float = 0.0
    behind: float = 0.0
    tells: bool = False
    snapshot_ms: int = 0


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that it says as of a moment."""

    as_of: int
    applied_through: int
    items: tuple[InventoryItem, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What can be ordered of a batch, since something happened to it."""

    as_of: int
    applied_through: int
    item: InventoryItem
    brings_units: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What came to it; `limited` if that was too often."""

    at_s: float
    by: str
    limited: bool


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed asked of a pool, by which worker, and when, in seconds of virtual time."""

    pool: int
    command: Reconcile | Detach
    by: str
    at_s: float


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool has heard, and answered to.

    Attributes:
        codes: Of the batches that were named; None if all were.
        before: Every row behind this one was decided later.
    """

    pool: int
    as_of: int
    codes: frozenset[str | None] | None
    before: int


class Warehouse:
    """The system of one warehouse. For workers, `line` is the way to it.

    Args:
        dice: Its own: how it does decides about nothing else.

    Attributes:
        truth: What is there, and what it was told.
        told: Every push, as it was heard first, in order.
        requests: In the order in which they came.
        listener: Told of each change of batches.
        is_well: Whether nothing goes wrong there any more.
    """

    def __init__(self, loop: SimulationLoop, *, dice: Random, terms: Terms) -> None:
        self.terms = terms
        self.truth = Truth()
        self.told: list[Push] = []
        self.requests: list[Request] = []
        self.listener: Callable[[Sequence[Change]], None] = _ignore
        self._loop = loop
        self._wire = loop.outside
        self._dice = dice
        self.is_well = False
        self._expiries: dict[tuple[str, str | None], int] = {}
        self._away = 0
        self._level = float(terms.burst)
        self._counted_s = 0.0
        self._views: deque[View] = deque(maxlen=_VIEWS_MAX)
        self._moments = [0]
        self._totals: list[dict[str, int]] = [{}]
        self._said: dict[int, View] = {}
        self._shown = self.view()
        self._wire.call_later(terms.batch_ms / 1000, self._work)

    # What happens there.

    def receive(self, pool: int, batch: str | None, units: int, *, ttl_ms: int | None) -> None:
        """Units arrive."""
        found = self.truth.receive((sku_of(pool), batch), units)
        if ttl_ms is not None and found.expires_at is None and found.received == units:
            self._expiries[sku_of(pool), batch] = (
                START_MS + round(self._loop.time() * 1000) + ttl_ms
            )
        self._note()
        self._tell([found], brings_units=True)

    def lose(self, pool: int, batch: str | None, units: int) -> None:
        """Units break or are not found, promised ones perhaps; never more than are there."""
        there = self.truth.batch((sku_of(pool), batch))
        units = min(units, there.received - there.damaged - there.shipped)
        if units > 0:
            damaged = self.truth.damage((sku_of(pool), batch), units)
            self._note()
            self._tell([damaged])

    def leave(self) -> None:
        """Be out of reach, until as many have said `come_back`."""
        self._away += 1

    def come_back(self) -> None:
        """Be there again."""
        self._away = max(0, self._away - 1)

    def heal(self) -> None:
        """Be well from now on."""
        self.is_well, self._away = True, 0

    def total(self, sku: str, *, as_of: int) -> int:
        """Return how many units there ever were of a product as of a moment, less those lost."""
        index = bisect_right(self._moments, as_of) - 1
        return self._totals[index].get(sku, 0)

    def view(self) -> View:
        """Return all that there is now."""
        truth = self.truth
        items = [self._item(each) for each in truth.batches() if each.orderable]
        items.append(InventoryItem(sku=STRANGER, batch=None, orderable=1))
        view = View(as_of=truth.as_of, applied_through=truth.applied_through, items=tuple(items))
        return self._said.setdefault(view.as_of, view)

    def said(self, *, as_of: int) -> View | None:
        """Return what it says, or has said, as of a moment; None if it never said anything."""
        return self._said.get(as_of)

    def orderable(self, sku: str) -> dict[str | None, int]:
        """Return what can be ordered of the batches of a product now."""
        return {each.batch: each.orderable for each in self.truth.batches() if each.sku == sku}

    # How workers reach it.

    @asynccontextmanager
    async def line(self, _url: str) -> AsyncIterator[Wms]:
        """Open a way to it for the process that runs."""
        yield _Line(self, current_process())

    async def ask(self, do: Callable[[], T], *, by: Process) -> T:
        """Have it do something; raises as `Wms` does."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._wire.call_later(self._way_s(), self._arrive, do, by.name, answer)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await answer
        except TimeoutError:
            raise WmsUnavailableError(url=URL, why="no answer in time") from None

    def page(self, cursor: str | None) -> InventoryPage:
        """Say what there is."""
        view, first = self._shown if self.terms.stale else self.view(), 0
        if cursor is not None:
            as_of, first = map(int, cursor.split("."))
            kept = [each for each in self._views if each.as_of == as_of]
            view = kept[-1] if kept else view
            view = view if self._goes_well(_TURNED) else self._former()
        else:
            if not self._goes_well(self.terms.behind):
                view = self._former()
            self._views.append(view)
        last = first + _ITEMS_MAX
        return InventoryPage(
            as_of=view.as_of,
            applied_through=view.applied_through,
            items=view.items[first:last],
            next_cursor=f"{view.as_of}.{last}" if last < len(view.items) else None,
        )

    def push(self, pushes: Sequence[Push]) -> int:
        """Take pushes; those whose numbers it knows do nothing."""
        self.told += [push for push in pushes if push.number > self.truth.received_through]
        return self.truth.tell(_body_of(push) for push in pushes)

    def _arrive(self, do: Callable[[], T], by: str, answer: "asyncio.Future[T]") -> None:
        if self._away:
            if self._dice.random() < 1 / 2:
                error = WmsUnavailableError(url=URL, why="503", may_come=False)
                self._wire.call_later(self._way_s(), _fail, answer, error)
            return
        if not self._admits(by):
            limited = WmsLimitedError(url=URL, retry_after_s=_RETRY_AFTER_S)
            self._wire.call_later(self._way_s(), _fail, answer, limited)
            return
        said = do()
        if self._goes_well(self.terms.lost):
            self._wire.call_later(self._way_s(), _tell, answer, said)
        elif self._dice.random() < 1 / 2:
            broken = WmsUnavailableError(url=URL, why="the connection broke", may_come=False)
            self._wire.call_later(self._way_s(), _fail, answer, broken)

    def _admits(self, by: str) -> bool:
        """Count a request; return whether it is within the limit."""
        now_s, terms = self._loop.time(), self.terms
        grown = self._level + (now_s - self._counted_s) * terms.rate_per_s
        self._level, self._counted_s = min(float(terms.burst), grown), now_s
        within = self._level >= 1
        self._level -= within
        self.requests.append(Request(at_s=now_s, by=by, limited=not within))
        return within

    def _work(self) -> None:
        """Do what it was told."""
        if not self._away:
            if self.truth.waiting:
                self._tell(self.truth.apply(swaps=lambda: self._dice.random() < self.terms.swaps))
            self._shown = self.view()
        self._wire.call_later(self.terms.batch_ms / 1000, self._work)

    def _tell(self, batches: Sequence[Batch], *, brings_units: bool = False) -> None:
        """Have it known what became of some batches."""
        view = self.view()
        self.listener(
            [
                Change(
                    as_of=view.as_of,
                    applied_through=view.applied_through,
                    item=self._item(each),
                    brings_units=brings_units,
                )
                for each in batches
            ]
        )

    def _item(self, batch: Batch) -> InventoryItem:
        return InventoryItem(
            sku=batch.sku,
            batch=batch.batch,
            orderable=batch.orderable,
            expires_at_ms=self._expiries.get((batch.sku, batch.batch)),
        )

    def _note(self) -> None:
        sums: dict[str, int] = {}
        for each in self.truth.batches():
            sums[each.sku] = sums.get(each.sku, 0) + each.received - each.damaged
        self._moments.append(self.truth.as_of)
        self._totals.append(sums)

    def _former(self) -> View:
        """Return what was so a few moments ago, or is so now."""
        former = list(self._said.values())[-_VIEWS_MAX:]
        return former[int(self._dice.random() * len(former))]

    def _goes_well(self, chance: float) -> bool:
        """Throw dice for what goes wrong so often; return whether it does not."""
        return self._dice.random() >= chance or self.is_well

    def _way_s(self) -> float:
        return _WAY_S[int(self._dice.random() * len(_WAY_S))]


class _Line:
    """The way from one process to it. Satisfies `Wms`."""

    def __init__(self, warehouse: Warehouse, process: Process) -> None:
        self._warehouse = warehouse
        self._process = process

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a page of what there is."""
        return await self._warehouse.ask(lambda: self._warehouse.page(cursor), by=self._process)

    async def push(self, pushes: Sequence[Push]) -> int:
        """Tell of pushes."""
        told = tuple(pushes)
        return await self._warehouse.ask(lambda: self._warehouse.push(told), by=self._process)


def sku_of(pool: int) -> str:
    """Return what the product of a pool is called."""
    return f"sku-{pool}"


def _ignore(_changes: Sequence[Change]) -> None:
    """Do nothing."""


def _body_of(push: Push) -> PushBody:
    lines = tuple(
        LineBody(batch=line.batch, decrease=line.decrease, aside=line.aside, shipped=line.shipped)
        for line in push.lines
    )
    return PushBody(number=push.number, sku=push.sku, lines=lines)


def _tell(answer: "asyncio.Future[T]", said: T) -> None:
    if not answer.done():
        answer.set_result(said)


def _fail(answer: "asyncio.Future[T]", error: WmsError) -> None:
    if not answer.done():
        answer.set_exception(error)
