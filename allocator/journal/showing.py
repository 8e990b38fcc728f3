"""Everything that ever happened to an order, a stock, a pool or tickets, and what became of it."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

import msgspec

from allocator.domain.catalogue import is_code, pool_key
from allocator.domain.ids import IdSeal
from allocator.domain.kinds import evolve
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.pool import Lot, Pool
from allocator.domain.records import Record
from allocator.domain.rows import OrderStatus
from allocator.errors import AllocatorError, UsageError
from allocator.journal.happenings import (
    Happening,
    LotState,
    Meaning,
    OfTable,
    Place,
    State,
    meaning_of,
)
from allocator.persistence.history import History

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")

_THINGS: Final = ("order", "stock", "ticket option")


class NotFoundError(AllocatorError):
    """What was asked for is spelled as it should be, and there is no such thing here."""


class Subject(msgspec.Struct, frozen=True):
    """An actor, and which thing of it: an `order`, a `stock`, or the whole `pool` or ticket option.

    Attributes:
        beginning: What the pool was before the first row that is kept of it.
    """

    actor_id: int
    place: Place
    thing: str
    beginning: Pool
    seq: int | None = None

    @property
    def pruned_up_to(self) -> int:
        """Up to which row nothing can be told of it any more, 0 if all can."""
        floor = self.beginning.version
        return floor if self.seq is None or self.seq <= floor else 0


async def find_subject(history: History, asked: str) -> Subject:
    """Return what is meant by an id or by WAREHOUSE/PRODUCT.

    Raises:
        UsageError: It is neither.
        NotFoundError: There is no such thing in this database.
    """
    if _UUID.match(asked):
        return await _by_id(history, asked)
    warehouse, slash, product = asked.partition("/")
    if slash and is_code(warehouse) and is_code(product):
        return await _by_name(history, warehouse, product)
    raise UsageError(
        f"{asked!r} is neither the id of an order, a stock or a ticket option, like "
        "6eced5c5-1bc1-8158-8237-bcf084e55943, nor WAREHOUSE/PRODUCT, like main/tea"
    )


async def _by_id(history: History, asked: str) -> Subject:
    address = IdSeal(history.installation.id_secret).unseal(asked)
    if address is None:
        raise NotFoundError(f"{asked} is not an id that this installation has given out")
    actor_id, seq = address
    key = await history.key_of(actor_id)
    thing = None if key is None else await _thing(history, actor_id, seq)
    if key is None or thing is None:
        raise NotFoundError(
            f"{asked} is an id of this installation, and its event is not in this database: is "
            "it an older copy?"
        )
    if thing not in _THINGS:
        raise NotFoundError(f"{asked} is the id of no order, stock or ticket option")
    beginning = await history.beginning(actor_id)
    if thing == "ticket option":
        return Subject(actor_id, Place.of(key), thing, beginning)
    return Subject(actor_id, Place.of(key), thing, beginning, seq)


async def _thing(history: History, actor_id: int, seq: int) -> str | None:
    """Return what a row has made, None if there never was one."""
    record = await history.record(actor_id, seq)
    if record is None:
        return await history.pruned_thing(actor_id, seq)
    match meaning_of(record):
        case OrderPlaced():
            return "order"
        case StockReceived():
            return "stock"
        case TicketOptionOpened():
            return "ticket option"
        case _:
            return ""


async def _by_name(history: History, warehouse: str, product: str) -> Subject:
    actor_id = await history.actor_of(pool_key(warehouse, product))
    if actor_id is None:
        raise NotFoundError(f"nothing has ever happened to product {product} at {warehouse}")
    beginning = await history.beginning(actor_id)
    return Subject(actor_id, Place(warehouse, product), "pool", beginning)


async def happenings(history: History, subject: Subject) -> AsyncIterator[Sequence[Happening]]:
    """Yield what happened to a subject, in order, each with the state after it.

    The state of a pool is missing from where the rows stop making sense, or are a newer release's.
    """
    beginning = subject.beginning
    after = beginning.version
    if subject.seq is None:
        rows = history.records(subject.actor_id, after=after)
        fold: _Fold = _PoolFold(beginning)
    else:
        rows = history.mentions(subject.actor_id, subject.seq, after=after)
        if subject.thing == "order":
            fold = _OrderFold(subject.seq)
        else:
            fold = _LotFold(subject.seq, beginning.lots.get(subject.seq))
    async for records in rows:
        told = []
        for record in records:
            meaning = meaning_of(record)
            if fold.apply(record, meaning):
                told.append(
                    Happening(
                        place=subject.place, record=record, meaning=meaning, after=fold.state()
                    )
                )
        yield told


class _Fold(Protocol):
    """Keeps the state of what is looked at."""

    def apply(self, record: Record, meaning: Meaning) -> bool:
        """Apply a row, and say whether it is about what is looked at."""

    def state(self) -> State | None:
        """Say what has become of it, or None if nobody can."""


class _PoolFold:
    """A pool, by the rules by which the server itself recovers it."""

    def __init__(self, beginning: Pool) -> None:
        self._pool: Pool | None = beginning

    def apply(self, record: Record, meaning: Meaning) -> bool:
        if self._pool is None:
            return True
        if meaning is None or isinstance(meaning, OfTable) or record.seq != self._pool.version + 1:
            self._pool = None
            return True
        try:
            evolve(self._pool, meaning, at_ms=record.at_ms)
        except (LookupError, TypeError):  # of a lot that there is not, or of another actor
            self._pool = None
        return True

    def state(self) -> State | None:
        return None if self._pool is None else self._pool.balance()


class _OrderFold:
    """One order."""

    def __init__(self, seq: int) -> None:
        self._seq = seq
        self._status: OrderStatus | None = None

    def apply(self, record: Record, meaning: Meaning) -> bool:
        match meaning:
            case OrderPlaced() if record.seq == self._seq:
                self._status = "new"
            case OrderDispatched(order=order) if order == self._seq:
                self._status = "dispatched"
            case OrderCancelled(order=order) if order == self._seq:
                self._status = "cancelled"
            case _:
                return False
        return True

    def state(self) -> State | None:
        return self._status


class _LotFold:
    """One lot: its own part of every order that took from it."""

    def __init__(self, seq: int, lot: Lot | None) -> None:
        self._seq = seq
        self._available = 0 if lot is None else lot.available
        self._ordered = 0 if lot is None else lot.ordered
        self._expired = 0 if lot is None else lot.expired

    def apply(self, record: Record, meaning: Meaning) -> bool:
        match meaning:
            case StockReceived(quantity=units) if record.seq == self._seq:
                self._available = units
            case OrderPlaced(picks=picks) if units := self._units(picks):
                self._available -= units
                self._ordered += units
            case OrderDispatched(picks=picks) if units := self._units(picks):
                self._ordered -= units
            case OrderCancelled(picks=picks) if units := self._units(picks):
                self._ordered -= units
                self._available += units
            case LotExpired(lot=lot, quantity=units) if lot == self._seq:
                self._available -= units
                self._expired += units
            case _:
                return False
        return True

    def state(self) -> State | None:
        return LotState(available=self._available, ordered=self._ordered, expired=self._expired)

    def _units(self, picks: Picks) -> int:
        return sum(units for lot, units in picks if lot == self._seq)
