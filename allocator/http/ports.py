"""What handlers need from outside. `actors` and `persistence` satisfy it."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer
from allocator.domain.catalogue import Location, PoolRef, Price, Product, Warehouse
from allocator.domain.kinds import Command
from allocator.domain.messages import TicketOptionOpened
from allocator.domain.orders import Order
from allocator.domain.past import Pruned, TooFarBack
from allocator.domain.pool import Balance
from allocator.domain.queries import Query, View
from allocator.domain.records import Record
from allocator.domain.rows import (
    AdjustmentRow,
    BalanceRow,
    Lag,
    LinesRow,
    MoveFilter,
    MoveRow,
    OrderEnd,
    OrderFilter,
    OrderRow,
    Page,
    PaidRow,
    PurchaseRow,
    StockRow,
)
from allocator.domain.values import Picks
from allocator.feeding.ports import Standing


class Catalogue(Protocol):
    """Warehouses, locations and products."""

    async def put_warehouse(
        self, warehouse: Warehouse, *, principal: str, overwrite: bool
    ) -> tuple[Warehouse | Location, bool]:
        """Create a warehouse, or change it if `overwrite`.

        Returns:
            What is stored now, and whether it was created. If a location has the code, that.
        """

    async def put_location(
        self, location: Location, *, principal: str
    ) -> tuple[Warehouse | Location, bool]:
        """Create a location inside a warehouse that is known, or change what it is called.

        Returns:
            What is stored now, and whether it was created. If a warehouse has the code, or what is
            fixed differs, that is what was there before.
        """

    async def put_product(
        self, product: Product, *, principal: str, overwrite: bool
    ) -> tuple[Product, bool]:
        """Create a product, or change it if `overwrite`; returns likewise."""

    async def warehouse(self, code: str) -> Warehouse | None:
        """Return a warehouse, or None when there is none of that code; locations are none."""

    async def location(self, code: str) -> Location | None:
        """Return a location, or None when there is none of that code."""

    async def product(self, sku: str) -> Product | None:
        """Return a product, or None when there is none of that sku."""

    async def warehouses(self, *, after: str, limit: int) -> list[Warehouse]:
        """Return at most `limit` warehouses whose code sorts after `after`."""

    async def locations(self, *, warehouse: str | None, after: str, limit: int) -> list[Location]:
        """Return at most `limit` locations, of all warehouses or of one, likewise."""

    async def products(self, *, after: str, limit: int) -> list[Product]:
        """Return at most `limit` products whose sku sorts after `after`."""


class Readings(Protocol):
    """The read models, and the journal for what they do not know yet."""

    async def orders(self, wanted: OrderFilter, page: Page) -> Sequence[OrderRow | LinesRow]:
        """List orders by address; those of several lines are found by any of them."""

    async def stocks(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[StockRow]:
        """List stocks with units on hand, by address."""

    async def balances(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[BalanceRow]:
        """List balances by actor id."""

    async def adjustments(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[AdjustmentRow]:
        """List adjustments by address, of which the journal is kept."""

    async def repicks(self, actor_id: int, seq: int) -> Sequence[tuple[int, Picks, Picks]]:
        """Return by which event an order of a pool gave back what, and got what instead."""

    async def levels(
        self, codes: Sequence[str], *, limit: int, after: str = ""
    ) -> dict[str, list[BalanceRow]]:
        """Return what there is at each of these places: at most `limit` balances, by product.

        A location that holds one product at a time has one if anything is on hand, else none; at
        others, only products that sort after `after` count.
        """

    async def moves(self, wanted: MoveFilter, page: Page) -> Sequence[MoveRow]:
        """List moves by actor id."""

    async def requested(self, actor_id: int) -> MoveRow | None:
        """Return a move as it was asked for, or as it ended; None if the actor is none."""

    async def placed(self, pool: PoolRef, seq: int) -> OrderRow | None:
        """Return an order as it was when it was placed."""

    async def is_of_lines(self, actor_id: int, seq: int) -> bool:
        """Say whether an address is that of an order of several lines, accepted or not."""

    async def closing(self, pool: PoolRef, seq: int) -> OrderEnd:
        """Say how an order that is not open any more ended, and when."""

    async def received(self, pool: PoolRef, seq: int) -> StockRow | None:
        """Return a stock as it was when it was received, with nothing available."""

    async def events(self, pool: PoolRef, *, after: int, limit: int) -> Sequence[Record]:
        """Return rows of the pool's journal."""

    async def floor(self, pool: PoolRef) -> int:
        """Return up to which seq the pool's journal has been pruned, 0 if it is whole."""

    async def lag(self) -> Lag:
        """Say how far the read models are behind."""


class Tickets(Protocol):
    """Ticket options: what the journal and the read models say of them."""

    async def option(self, actor_id: int) -> TicketOptionOpened | None:
        """Return what a ticket option was opened with, or None if the actor is none."""

    async def purchases(self, actor_id: int, page: Page) -> Sequence[PurchaseRow]:
        """List the purchases of a ticket option, oldest first."""


class Carts(Protocol):
    """Carts: what the journal and the read models say of them."""

    async def is_cart(self, actor_id: int) -> bool:
        """Say whether an actor is a cart; never stale."""

    async def open_carts(
        self, customer: str, recent: Collection[int], *, limit: int
    ) -> tuple[set[int], set[int]]:
        """Return which carts of a customer are open, and which of `recent` are not any more."""

    async def is_key_used(self, principal: str, key: str) -> bool:
        """Say whether a request with this key has succeeded before."""

    async def prices(self, skus: Collection[str]) -> dict[str, Price | None]:
        """Return what products cost, by sku; None for what has no price."""

    async def paid(self, customer: str | None, page: Page) -> Sequence[PaidRow]:
        """List what was bought, by cart."""


class Past(Protocol):
    """Actors as they were. What these raise are `AllocatorError`s."""

    async def version_at(self, actor_id: int, *, at_ms: int) -> int | Pruned:
        """Return the version that an actor had at a time, 0 before its first event."""

    async def balance(
        self, actor_id: int, *, version: int, product: str | None
    ) -> Balance | Pruned | TooFarBack:
        """Return the numbers that a pool had at a version, which must be committed.

        Args:
            actor_id: The pool.
            version: Not above the present one.
            product: Of which; as in `BalanceQuery`.
        """

    async def open_order(
        self, actor_id: int, *, version: int, seq: int
    ) -> Picks | Pruned | TooFarBack:
        """Return what was left of an order of a pool at a version; () if it was not open."""

    async def order(self, actor_id: int, *, version: int) -> Order | Pruned | TooFarBack | None:
        """Return an order of several lines as it was at a version; None if there was none yet."""


class Asker(Protocol):
    """Whoever brings messages to actors: our worker, or all workers of the server.

    What these raise, at once or later, are `AllocatorError`s.
    """

    @property
    def ready(self) -> bool:
        """Whether every shard is served."""

    def ask(self, actor_id: int, command: Command, *, principal: str) -> asyncio.Future[Answer]:
        """Have an actor decide; the answer comes when it is durable."""

    def ask_once(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Likewise, but a repeat of a request that succeeded gets the first answer again."""

    async def begin(self, scope: str | None) -> int:
        """Return the id of an actor that is about to come into being, with its first message."""

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state, which is durable when this returns."""


class Feeds(Protocol):
    """Warehouses that are fed by systems of their own.

    Attributes:
        anywhere: Whether these may be in private networks, and asked by http.
    """

    anywhere: bool

    def is_fed(self, warehouse: str) -> bool:
        """Whether a warehouse is fed, as of half a second ago."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Say whether nobody else in any worker is in this context."""

    async def begin(self, warehouse: str) -> int:
        """Have a warehouse's feed be known and on; return its actor."""

    def knock(self, actor_id: int) -> None:
        """Have a feed look for what it is asked, if it is of this worker."""

    async def find(self, warehouse: str) -> Standing | None:
        """Return how far a feed is, or None if there never was one."""

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return feeds of warehouses that sort after a code."""
