"""The rules of a pool for adjustments: which units of which lots, and what has to wait."""

from collections.abc import Iterable
from typing import assert_never

from allocator.domain.adjustments import (
    AVAILABLE,
    EXPIRED,
    Adjust,
    Adjustment,
    AdjustRefusal,
    Change,
    InsufficientUnits,
    OrderRepicked,
    Recall,
    SetState,
    UnitsAdjusted,
    UnitsRecalled,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.missing import missing_among
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import IsFed
from allocator.domain.transfers import LOTS_MAX, Occupied, TooManyLots
from allocator.domain.values import units_of, with_less, with_more


def decide(
    pool: Pool, command: Adjust | SetState, *, now_ms: int
) -> tuple[UnitsAdjusted] | AdjustRefusal | TooManyLots | Occupied | IsFed:
    """Say what an adjustment would do to `pool`, changing nothing.

    Units that become available of a lot past its date become `expired` instead. Where a feed says
    what is there, nothing is found or gone but by that, and nothing is recalled.
    """
    if isinstance(command, SetState):
        if (refusal := _why_not_set(pool, command)) is not None:
            return refusal
        command = _difference(pool, command)
    if pool.is_fed and (command.source is None or command.target is None):
        return IsFed()
    found = _lots_of(pool, command)
    if not isinstance(found, tuple):
        return found
    changes, recalled = found
    if len(changes) + len(recalled) > LOTS_MAX:
        return TooManyLots(lots=len(changes), limit=LOTS_MAX)
    dated = (_dated(pool, change, now_ms=now_ms) for change in changes)
    changes = [each for each in dated if each[1] != each[2]]  # what stays expired is no change
    freed = ((seq, units) for seq, _, target, units in changes if target == AVAILABLE)
    return (
        UnitsAdjusted(
            changes=tuple(changes),
            recalled=tuple(recalled),
            reason=command.reason,
            reference=command.reference,
            product=command.product,
            missing=missing_among(pool, tuple(freed)),
        ),
    )


def evolve(pool: Pool, event: Adjustment, *, at_ms: int) -> None:
    """Apply what happened; the pool's version is that of `event` already."""
    match event:
        case UnitsAdjusted(changes=changes, recalled=recalled):
            for change in changes:
                _apply(pool, change, product=event.product, at_ms=at_ms)
            for seq, state, units in recalled:
                pool.recall(pool.lots[seq], state, units)
            pool.miss(event.missing)
        case UnitsRecalled(lot=seq, state=state, quantity=units):
            lot = pool.take(seq, units)
            pool.set_aside(lot, state, units)
            pool.recall(lot, state, -units)
        case OrderRepicked():
            _repick(pool, event)
        case _:
            assert_never(event)


def units_in(lot: Lot, state: str) -> int:
    """Return how many units of a lot are in a state that is not being ordered or held."""
    match state:
        case "available":
            return lot.available
        case "expired":
            return lot.expired
        case _:
            return next((units for name, units in lot.aside if name == state), 0)


def pool_units_in(pool: Pool, state: str) -> int:
    """Return how many units of a pool are in a state."""
    match state:
        case "available":
            return pool.available
        case "expired":
            return pool.expired
        case _:
            return next((units for name, units in pool.aside if name == state), 0)


def _why_not_set(pool: Pool, command: SetState) -> AdjustRefusal | None:
    if command.version != pool.version:
        return VersionPassed(version=pool.version)
    there = _there(pool, command.state, command.product)
    if command.state == EXPIRED and command.quantity > there:
        return InsufficientUnits(state=EXPIRED, requested=command.quantity, available=there)
    return None


def _there(pool: Pool, state: str, product: str | None) -> int:
    return pool_units_in(pool, state) if pool.has_product(product) else 0


def _difference(pool: Pool, command: SetState) -> Adjust:
    there = _there(pool, command.state, command.product)
    more = command.quantity - there
    return Adjust(
        source=None if more > 0 else command.state,
        target=command.state if more > 0 else None,
        quantity=abs(more),
        reason=command.reason,
        reference=command.reference,
        product=command.product,
    )


def _lots_of(
    pool: Pool, command: Adjust
) -> tuple[list[Change], list[Recall]] | AdjustRefusal | Occupied | IsFed:
    source, target, quantity = command.source, command.target, command.quantity
    if command.lot is not None:
        lot = pool.lots.get(command.lot) if pool.has_product(command.product) else None
        if lot is None:
            return UnknownLot(lot=command.lot)
        of_lot = _of_lot(lot, source, target, quantity)
        return IsFed() if pool.is_fed and isinstance(of_lot, tuple) and of_lot[1] else of_lot
    assert quantity is not None, "all of a lot that is named"
    if not quantity:
        return [], []
    if source is None:
        if not pool.has_room_for(command.product):
            return Occupied(product=pool.product or "")
        return [(pool.version + 1, None, target, quantity)], []
    return _first_to_expire(pool, command, source, quantity)


def _of_lot(
    lot: Lot, source: str | None, target: str | None, quantity: int | None
) -> tuple[list[Change], list[Recall]] | InsufficientUnits:
    """Take units of one lot: of those that are ordered or held, it owes what it cannot give."""
    if source is None:
        assert quantity is not None, "nobody finds all of a lot"
        return [(lot.seq, None, target, quantity)], []
    there, owed = units_in(lot, source), _owed(lot, source)
    committed = lot.ordered + lot.held - units_of(lot.recalled)
    if source == AVAILABLE:
        can_owe = committed if target is not None else 0
    else:
        can_owe = owed if target == AVAILABLE else 0
    if quantity is None:
        quantity = there + can_owe
    if not 0 < quantity <= there + can_owe:
        return InsufficientUnits(state=source, requested=quantity, available=there + can_owe)
    recalled: list[Recall] = []
    if source == AVAILABLE:
        units = min(quantity, there)
        if quantity > units and target is not None:
            recalled.append((lot.seq, target, quantity - units))
    else:
        forgiven = min(quantity, can_owe)
        units = quantity - forgiven
        if forgiven:
            recalled.append((lot.seq, source, -forgiven))
    return ([(lot.seq, source, target, units)] if units else []), recalled


def _first_to_expire(
    pool: Pool, command: Adjust, source: str, quantity: int
) -> tuple[list[Change], list[Recall]] | InsufficientUnits:
    there = _there(pool, source, command.product)
    if quantity > there:
        return InsufficientUnits(state=source, requested=quantity, available=there)
    changes: list[Change] = []
    for lot in _lots_in(pool, source):
        units = min(quantity, units_in(lot, source))
        changes.append((lot.seq, source, command.target, units))
        quantity -= units
        if not quantity:
            break
    return changes, []


def _lots_in(pool: Pool, state: str) -> Iterable[Lot]:
    if state == AVAILABLE:
        return pool.for_sale()
    return sorted((lot for lot in pool.lots.values() if units_in(lot, state)), key=_rank)


def _rank(lot: Lot) -> tuple[int, int]:
    return lot.rank


def _owed(lot: Lot, state: str) -> int:
    return next((units for name, units in lot.recalled if name == state), 0)


def _dated(pool: Pool, change: Change, *, now_ms: int) -> Change:
    seq, source, target, units = change
    lot = pool.lots.get(seq)
    expires_at_ms = None if lot is None else lot.expires_at_ms
    is_past = expires_at_ms is not None and expires_at_ms <= now_ms
    return (seq, source, EXPIRED, units) if is_past and target == AVAILABLE else change


def _apply(pool: Pool, change: Change, *, product: str | None, at_ms: int) -> None:
    seq, source, target, units = change
    if seq == pool.version:
        pool.claim(product)
        lot = Lot(seq=seq, quantity=units, available=0, received_at_ms=at_ms)
        pool.put(lot)
    else:
        lot = pool.lots[seq]
        if source is None:
            lot.quantity += units
        else:
            _put(pool, lot, source, -units)
    if target is None:
        pool.forget_if_gone(lot)
    else:
        _put(pool, lot, target, units)


def _put(pool: Pool, lot: Lot, state: str, units: int) -> None:
    """Add units of a lot, booked nowhere, to a state; or take them out, if negative."""
    match state:
        case "available" if units > 0:
            pool.give_back(lot, units)
        case "available":
            pool.take(lot.seq, -units)
        case "expired":
            lot.expired += units
            pool.expired += units
        case _:
            pool.set_aside(lot, state, units)


def _repick(pool: Pool, event: OrderRepicked) -> None:
    order = event.order
    picks = with_less(with_more(pool.orders.get(order) or (), event.added), event.returned)
    for seq, units in event.added:
        pool.take(seq, units).ordered += units
    for seq, units in event.returned:
        lot = pool.lots[seq]
        lot.ordered -= units
        pool.give_back(lot, units)
    pool.miss(event.missing)
    is_led = pool.orders.is_led(order)
    pool.orders.remove(order)
    pool.orders.add(order, picks, units_of(picks), led=is_led)
    pool.repicked = pool.version
