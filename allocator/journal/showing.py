"""Everything that ever happened to an order, a stock, a move, a cart, a pool or tickets.

And what became of it.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol

import msgspec

from allocator.domain import kinds
from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.arrivals import arrival_of
from allocator.domain.carts import Cart, CartOpened
from allocator.domain.catalogue import is_code, location_key, pool_key, warehouse_key
from allocator.domain.checkouts import CheckoutBegun, CheckoutPaid
from allocator.domain.holds import HoldConfirmed, UnitsHeld
from allocator.domain.ids import IdSeal
from allocator.domain.kinds import evolve
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.missing import Freeing
from allocator.domain.moves import Move, MoveRequested
from allocator.domain.orders import OrderAccepted, OrderDeclined, OrderRequested
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import LotReconciled
from allocator.domain.records import Record
from allocator.domain.rows import OrderStatus
from allocator.domain.transfers import ProcessLetGo, Transfer, UnitsSent, UnitsTaken
from allocator.domain.values import Picks, States, moved
from allocator.errors import AllocatorError, UsageError
from allocator.journal.happenings import (
    Happening,
    LotState,
    Meaning,
    OfTable,
    Place,
    State,
    meaning_of,
    place_of,
)
from allocator.journal.showing_moves import errands_of
from allocator.persistence.history import History

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")

LED_ORDER: Final = "order of several lines"

_WHOLE: Final = frozenset({"ticket option", "move", LED_ORDER, "cart", "checkout"})
"""What is an actor of its own, or is shown with all of it."""

_THINGS: Final = frozenset({"order", "stock", *_WHOLE})


_MADE_BY: Final = (
    (OrderPlaced, "order"),
    (TicketOptionOpened, "ticket option"),
    (MoveRequested, "move"),
    (OrderRequested | OrderAccepted | OrderDeclined | CheckoutPaid, LED_ORDER),
    (CartOpened, "cart"),
    (CheckoutBegun, "checkout"),
)


class NotFoundError(AllocatorError):
    """What was asked for is spelled as it should be, and there is no such thing here."""


class Subject(msgspec.Struct, frozen=True):
    """An actor, and which thing of it: an `order`, a `stock`, or all of a `pool` or whatever it is.

    Attributes:
        beginning: What the actor was before the first row that is kept of it.
    """

    actor_id: int
    place: Place
    thing: str
    beginning: kinds.State
    seq: int | None = None

    @property
    def pruned_up_to(self) -> int:
        """Up to which row nothing can be told of it any more, 0 if all can."""
        floor = self.beginning.version
        return floor if self.seq is None or self.seq <= floor else 0


async def find_subject(history: History, asked: str) -> Subject:
    """Return what is meant by an id, by WAREHOUSE/PRODUCT, or by the code of a location.

    Raises:
        UsageError: It is none of them.
        NotFoundError: There is no such thing in this database.
    """
    if _UUID.match(asked):
        return await _by_id(history, asked)
    warehouse, slash, product = asked.partition("/")
    if slash and is_code(warehouse) and is_code(product):
        return await _by_name(history, warehouse, product)
    found = await _by_code(history, asked) if is_code(asked) else None
    if found is not None:
        return found
    raise UsageError(
        f"{asked!r} is neither the id of an order, a stock, a move, a cart or a ticket option, "
        "like 6eced5c5-1bc1-8158-8237-bcf084e55943, nor WAREHOUSE/PRODUCT, like main/tea, nor the "
        "code of a location that holds one product at a time"
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
        raise NotFoundError(f"{asked} is the id of no order, stock, move, cart or ticket option")
    beginning = await history.beginning(actor_id)
    if thing in _WHOLE:
        return Subject(actor_id, Place.of(key), thing, beginning)
    return Subject(actor_id, Place.of(key), thing, beginning, seq)


async def _thing(history: History, actor_id: int, seq: int) -> str | None:
    """Return what a row has made, None if there never was one."""
    record = await history.record(actor_id, seq)
    if record is None:
        return await history.pruned_thing(actor_id, seq)
    meaning = meaning_of(record)
    if meaning is None or isinstance(meaning, OfTable):
        return ""
    if arrival_of(meaning, seq=seq, at_ms=record.at_ms) is not None:
        return "stock"
    return next((thing for events, thing in _MADE_BY if isinstance(meaning, events)), "")


async def _by_name(history: History, warehouse: str, product: str) -> Subject:
    for key in (pool_key(warehouse, product), location_key(warehouse)):
        actor_id = await history.actor_of(key)
        if actor_id is not None:
            return await _pool(history, actor_id, key)
    raise NotFoundError(f"nothing has ever happened to product {product} at {warehouse}")


async def _by_code(history: History, code: str) -> Subject | None:
    """Return what is meant by a code, None if there is no such place."""
    key = location_key(code)
    actor_id = await history.actor_of(key)
    if actor_id is not None:
        return await _pool(history, actor_id, key)
    if await history.actor_of(warehouse_key(code)) is None:
        return None
    raise NotFoundError(
        f"nothing has ever happened at a location {code} that holds one product at a time; of "
        f"any other place name the product as well, like {code}/tea"
    )


async def _pool(history: History, actor_id: int, key: str) -> Subject:
    return Subject(actor_id, Place.of(key), "pool", await history.beginning(actor_id))


async def happenings(history: History, subject: Subject) -> AsyncIterator[Sequence[Happening]]:
    """Yield what happened to a subject, in order, each with the state after it.

    The state of a pool is missing from where the rows stop making sense, or are a newer release's.
    To a move also belongs what it asked of the two places.
    """
    after = subject.beginning.version
    if subject.seq is None:
        rows = history.records(subject.actor_id, after=after)
    else:
        rows = history.mentions(subject.actor_id, subject.seq, after=after)
    fold = _fold_of(subject)
    own: list[Happening] = []
    async for records in rows:
        told = []
        for record in records:
            meaning = meaning_of(record)
            if fold.apply(record, meaning):
                place = place_of(subject.place, record)
                told.append(
                    Happening(place=place, record=record, meaning=meaning, after=fold.state())
                )
        if isinstance(subject.beginning, Move):
            own += told  # a handful
        else:
            yield told
    if isinstance(subject.beginning, Move):  # which is as its rows have left it by now
        yield await errands_of(history, subject.actor_id, subject.beginning, own)


def _fold_of(subject: Subject) -> "_Fold":
    seq, beginning = subject.seq, subject.beginning
    if seq is None:
        return _ActorFold(beginning)
    if subject.thing == "order":
        return _OrderFold(seq)
    return _LotFold(seq, beginning.lots.get(seq) if isinstance(beginning, Pool) else None)


class _Fold(Protocol):
    """Keeps the state of what is looked at."""

    def apply(self, record: Record, meaning: Meaning) -> bool:
        """Apply a row, and say whether it is about what is looked at."""

    def state(self) -> State | None:
        """Say what has become of it, or None if nobody can."""


class _ActorFold:
    """A pool or a process, by the rules by which the server itself recovers it."""

    def __init__(self, beginning: kinds.State) -> None:
        self._state: kinds.State | None = beginning

    def apply(self, record: Record, meaning: Meaning) -> bool:
        state = self._state
        if state is None:
            return True
        if meaning is None or isinstance(meaning, OfTable) or record.seq != state.version + 1:
            self._state = None
            return True
        try:
            evolve(state, meaning, at_ms=record.at_ms)
        except (LookupError, TypeError):  # of a lot that there is not, or of another actor
            self._state = None
        return True

    def state(self) -> State | None:
        if self._state is None:
            return None
        if isinstance(self._state, Cart):
            return _standing(self._state)
        return self._state.balance() if isinstance(self._state, Pool) else self._state.status


class _OrderFold:
    """One order."""

    def __init__(self, seq: int) -> None:
        self._seq = seq
        self._status: OrderStatus | None = None

    def apply(self, record: Record, meaning: Meaning) -> bool:
        match meaning:
            case OrderPlaced() if record.seq == self._seq:
                self._status = "new"
            case OrderPartlyDispatched(order=order) if order == self._seq:
                self._status = "partly_dispatched"
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
        self._held = 0 if lot is None else lot.held
        self._expired = 0 if lot is None else lot.expired
        self._aside: States = () if lot is None else lot.aside

    def apply(self, record: Record, meaning: Meaning) -> bool:
        if not self._apply(record, meaning):
            return False
        if isinstance(meaning, Freeing):
            self._available -= self._units(meaning.missing)
        return True

    def _apply(self, record: Record, meaning: Meaning) -> bool:
        match meaning:
            case StockReceived(quantity=units) if record.seq == self._seq:
                self._available = units
            case UnitsTaken(lot=lot) if record.seq == self._seq:
                self._available = lot.quantity
            case UnitsSent(lots=lots) if units := self._units(_picks_of(lots)):
                self._available -= units
            case OrderPlaced(picks=picks) if units := self._units(picks):
                self._available -= units
                self._ordered += units
            case OrderDispatched(picks=picks) | OrderPartlyDispatched(picks=picks) if (
                units := self._units(picks)
            ):
                self._ordered -= units
            case LotExpired(lot=expired, quantity=units) if expired == self._seq:
                self._available -= units
                self._expired += units
            case LotReconciled(opened=units) if record.seq == self._seq and units:
                self._available = units
            case LotReconciled(changes=changes, expired=past) if self._units((*changes, *past)):
                self._available += self._units(changes)
                self._expired -= self._units(past)
            case _:
                return self._apply_hold(meaning)
        return True

    def _apply_hold(self, meaning: Meaning) -> bool:
        match meaning:
            case UnitsHeld(added=added, returned=returned) if self._units(added + returned):
                units = self._units(added) - self._units(returned)
                self._available -= units
                self._held += units
            case HoldConfirmed(picks=picks, held=held) if units := self._units(picks):
                self._held -= units if held else 0
                self._available -= 0 if held else units
                self._ordered += units
            case ProcessLetGo(picks=picks) if units := self._units(picks):
                self._held -= units
                self._available += units
            case OrderCancelled(picks=picks) if units := self._units(picks):
                self._ordered -= units
                self._available += units
            case _:
                return self._apply_adjustment(meaning)
        return True

    def _apply_adjustment(self, meaning: Meaning) -> bool:
        match meaning:
            case UnitsAdjusted(changes=changes) if self._seq in {each[0] for each in changes}:
                for seq, source, target, units in changes:
                    if seq == self._seq:
                        self._put(source, -units)
                        self._put(target, units)
            case UnitsRecalled(lot=lot, state=state, quantity=units) if lot == self._seq:
                self._available -= units
                self._put(state, units)
            case OrderRepicked(returned=returned, added=added) if self._units(returned + added):
                units = self._units(returned) - self._units(added)
                self._ordered -= units
                self._available += units
            case _:
                return False
        return True

    def _put(self, state: str | None, units: int) -> None:
        match state:
            case None:
                pass
            case "available":
                self._available += units
            case "expired":
                self._expired += units
            case _:
                self._aside = moved(self._aside, state, units)

    def state(self) -> State | None:
        return LotState(
            available=self._available,
            ordered=self._ordered,
            held=self._held,
            expired=self._expired,
            aside=self._aside,
        )

    def _units(self, picks: Picks) -> int:
        return sum(units for lot, units in picks if lot == self._seq)


def _standing(cart: Cart) -> State | None:
    """Say what has become of a cart: of the attempt to pay for it, or of its order, if it was."""
    checkout, order = cart.open_checkout, cart.order
    if checkout is not None:
        return checkout.status
    return cart.status if order is None or order.status == "new" else order.status


def _picks_of(lots: Sequence[Transfer]) -> Picks:
    return tuple((lot.origin[1], lot.quantity) for lot in lots)
