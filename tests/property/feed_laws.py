"""What is true of fed pools at every instant, whatever the WMS says and when."""

from collections import Counter

from allocator.domain import kinds, laws
from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.fed import Batch, Code
from allocator.domain.holds import HoldConfirmed, UnitsHeld
from allocator.domain.messages import (
    LotExpired,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    StockReceived,
    Wake,
)
from allocator.domain.missing import Freeing, freed_by
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconcile_rules import gross, set_aside
from allocator.domain.reconciling import LotReconciled
from allocator.domain.rules import wake_at
from allocator.domain.stand_ins import owed
from allocator.domain.transfers import UnitsSent
from allocator.domain.values import units_of
from tests.property.desk import Desk


def counted(pool: Pool) -> dict[Code, int]:
    """Return what a fed pool counts of each batch, gone or not."""
    assert pool.fed is not None
    lots: dict[Code, list[Lot]] = {code: [] for code in pool.fed.batches}
    for lot in pool.lots.values():
        lots.setdefault(lot.code, []).append(lot)
    return {code: gross(lots[code], pool.fed.batches.get(code, Batch())) for code in lots}


def gone_before(desk: Desk, place: int) -> int:
    """Return how many units had left when a pool was attached."""
    fed = desk.world.pool(place).fed
    assert fed is not None
    return sum(
        event.quantity
        for _, event in desk.world.lives[place].rows[: fed.turn]
        if isinstance(event, OrderDispatched | OrderPartlyDispatched | UnitsSent)
    )


def nothing_is_promised_that_never_was(desk: Desk) -> None:
    """Rows N4, N5 and N10: what is counted was there, but for losses of which nobody has heard."""
    for place in desk.pools:
        pool = desk.world.pool(place)
        if pool.fed is None or not pool.is_fed:
            continue

        assert sum(counted(pool).values()) <= heard_of(desk, place)


def nothing_is_for_sale_that_is_not_there(desk: Desk) -> None:
    """Whatever batch has left, is promised or missing: if anybody can buy, all of it is there.

    What is due is done before anybody can buy.
    """
    for place in desk.pools:
        desk.world.ask(place, Wake())
        pool = desk.world.pool(place)
        if pool.fed is None or not pool.is_fed or not pool.available:
            continue
        left = sum(batch.left for batch in pool.fed.batches.values())

        assert pool.available + pool.ordered + pool.held + left <= heard_of(desk, place)


def heard_of(desk: Desk, place: int) -> int:
    """Return how many units there ever were since a pool was attached, those that left included.

    Losses of which nobody has heard count as if they were there.
    """
    there = sum(units for (where, _), units in desk.wms.gross.items() if where == place)
    unheard = sum(
        loss.units
        for loss in desk.wms.losses
        if loss.place[0] == place and loss.as_of > desk.considered.get(loss.place, 0)
    )
    return there - gone_before(desk, place) + unheard


def pools_keep_their_laws(desk: Desk) -> None:
    """Nothing is negative, and nothing is for sale of a batch that is short."""
    for place in desk.world.places:
        pool = desk.world.pool(place)
        assert not laws.unbalanced(pool)
        assert pool.may_be_due or wake_at(pool) is None
        for code, batch in {} if pool.fed is None else pool.fed.batches.items():
            available = sum(lot.available for lot in pool.lots.values() if lot.code == code)
            assert not batch.short or not available


def rows_say_what_became_available(desk: Desk) -> None:
    """Whoever adds rows up, knowing nothing else, has what the pool has."""
    for place in desk.world.places:
        rows = enumerate(desk.world.lives[place].rows, 1)
        available = sum(_became_available(seq, event) for seq, (_, event) in rows)

        assert available == desk.world.pool(place).available


def _became_available(seq: int, event: kinds.Event) -> int:
    match event:
        case StockReceived(quantity=units):
            return units
        case (
            OrderPlaced(quantity=units)
            | UnitsSent(quantity=units)
            | LotExpired(quantity=units)
            | UnitsRecalled(quantity=units)
        ):
            return -units
        case HoldConfirmed(quantity=units, held=held):
            return 0 if held else -units
        case LotReconciled(opened=opened, changes=changes):
            return opened + units_of(changes)
        case _ if isinstance(event, Freeing):
            freed = units_of(freed_by(event, seq=seq)) - units_of(event.missing)
            return freed - _taken(event)
        case _:
            return 0


def _taken(event: Freeing) -> int:
    match event:
        case UnitsHeld(added=added) | OrderRepicked(added=added):
            return units_of(added)
        case UnitsAdjusted(changes=changes):
            return sum(units for _, source, _, units in changes if source == "available")
        case _:
            return 0


def rows_are_lawful(desk: Desk, place: int) -> None:
    """Each row could happen when it did."""
    pool = Pool()
    for at_ms, event in desk.world.lives[place].rows:
        assert not laws.unlawful(pool, event)
        kinds.evolve(pool, event, at_ms=at_ms)


def each_decrease_is_told_once(desk: Desk) -> None:
    """Rows N10 and N11: what was told is what is ordered, has left, or cannot be sold."""
    for place in desk.pools:
        account, pool = desk.accounts[place], desk.world.pool(place)
        if account.through < pool.version or pool.fed is None or not pool.is_fed:
            continue
        committed = Counter({code: batch.left for code, batch in pool.fed.batches.items()})
        for lot in pool.lots.values():
            committed[lot.code] += lot.ordered + set_aside(lot, pool.fed.excludes)
        told = Counter(account.committed)
        told.subtract(account.base)

        assert +told == +committed
        assert not -told


def nobody_waits_for_units_that_are_there(desk: Desk) -> None:
    """Orders of which units are missing get those of other lots, before anybody can buy them."""
    for place in desk.pools:
        desk.world.ask(place, Wake())
        pool = desk.world.pool(place)
        assert not owed(pool) or not pool.available


def no_batch_is_short_of_units_past_their_date(desk: Desk) -> None:
    """Where the WMS calls them orderable, those are gone before any that could be sold."""
    if "expired" in desk.excludes:
        return
    for place in desk.pools:
        pool = desk.world.pool(place)
        for code, batch in {} if pool.fed is None else pool.fed.batches.items():
            expired = sum(lot.expired for lot in pool.lots.values() if lot.code == code)
            assert not batch.short or not expired


def both_sides_agree(desk: Desk) -> None:
    """When everything has been heard, of each batch."""
    for place in desk.pools:
        pool = desk.world.pool(place)
        assert pool.is_fed
        applied = desk.applied(place, through=desk.wms.applied_through)
        ours = counted(pool)
        codes = ours.keys() | {code for where, code in desk.wms.gross if where == place}
        for code in codes:
            theirs = desk.wms.orderable((place, code)) + applied.get(code, 0)
            assert ours.get(code, 0) == theirs

        there = sum(units for (where, _), units in desk.wms.gross.items() if where == place)
        assert sum(ours.values()) == there - gone_before(desk, place)
