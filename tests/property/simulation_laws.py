"""What must hold after any simulation: of the journal alone, and of what clients were told."""

from collections import Counter

from allocator.actors.messages import KeyReused, Outcome
from allocator.domain.codec import decode_event
from allocator.domain.ids import SHARDS
from allocator.domain.kinds import Event, evolve
from allocator.domain.messages import (
    AlreadyExpired,
    CancelOrder,
    Command,
    DispatchOrder,
    InsufficientStock,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
)
from allocator.domain.pool import Balance, Pool
from allocator.domain.records import Record
from allocator.domain.rules import wake_at
from allocator.errors import OutcomeUnknownError, UnavailableError
from allocator.persistence.memory.database import MemoryDatabase
from tests.property.simulation import ACTORS, Simulation, Told
from tests.scene import check_journal


def check_workers(simulation: Simulation) -> None:
    """Every message was answered and counted down once; every shard is served by one worker."""
    assert simulation.hanging() == []
    assert [scene.journal.violations for scene in simulation.scenes] == [[]] * len(
        simulation.scenes
    )
    for scene in simulation.alive:
        scene.check()
        assert scene.worker.writer.unanswered == 0
        assert len(scene.worker.directory) == 0, "an actor that is not idle has unanswered messages"
        assert scene.worker.directory.quarantined == {}
    shards = [shard for scene in simulation.alive for shard in scene.worker.shards]
    assert sorted(shards) == list(range(SHARDS))


def check_database(database: MemoryDatabase) -> None:
    """Rows follow each other and form a chain; no key twice; nothing sold too often or too late."""
    check_journal(database)
    keys = Counter((row.principal, row.idempotency_key) for row in database.keyed_rows())
    assert [key for key, times in keys.items() if times > 1] == []
    for actor_id in ACTORS:
        pool = Pool()
        for record in database.journal_of(actor_id):
            event = event_of(record)
            if isinstance(event, OrderPlaced):
                lots = [pool.lots[seq] for seq, _ in event.picks]
                assert all((lot.expires_at_ms or record.at_ms + 1) > record.at_ms for lot in lots)
            evolve(pool, event, at_ms=record.at_ms)
            assert all(
                min(lot.available, lot.ordered, lot.expired) >= 0 for lot in pool.lots.values()
            )
        assert database.wakes.get(actor_id) == wake_at(pool)


def check_answers(simulation: Simulation) -> None:
    """Every answer is what the journal says, at a moment between the question and the answer."""
    for told in simulation.told:
        match told.result:
            case None | UnavailableError() | OutcomeUnknownError():
                pass
            case Outcome():
                _check_outcome(simulation.database, told, told.result)
            case KeyReused():
                _check_key_reused(simulation.database, told)
            case _:
                assert any(_is_true(told, pool) for pool in _states(simulation.database, told)), (
                    told
                )


def check_accounts(simulation: Simulation) -> None:
    """Each row is somebody's: of who was told so, or of who never heard or heard "unknown"."""
    told_of = {
        (told.result.actor_id, told.result.seq)
        for told in simulation.told
        if isinstance(told.result, Outcome)
    }
    unsure = Counter(
        (told.actor_id, _what(told.command), None if told.request is None else told.request.key)
        for told in simulation.told
        if told.command is not None
        and (told.result is None or isinstance(told.result, OutcomeUnknownError))
    )
    rows = [
        (actor_id, _what_happened(event_of(row)), row.idempotency_key)
        for actor_id in ACTORS
        for row in simulation.database.journal_of(actor_id)
        if (actor_id, row.seq) not in told_of and row.kind != "lot_expired"
    ]
    assert Counter(rows) - unsure == Counter()


def check_order(simulation: Simulation) -> None:
    """Q6: who asked first was served first, and no two were told the same."""
    last: dict[tuple[int, int], int] = {}
    for told in simulation.told:
        if isinstance(told.result, Outcome) and told.request is None:
            asked = (told.worker, told.actor_id)
            assert last.get(asked, 0) < told.result.seq
            last[asked] = told.result.seq
    addresses = Counter(
        (told.result.actor_id, told.result.seq)
        for told in simulation.told
        if isinstance(told.result, Outcome) and told.request is None
    )
    assert [address for address, times in addresses.items() if times > 1] == []


def event_of(record: Record) -> Event:
    """Return what a row says happened."""
    return decode_event(kind=record.kind, version=record.version, body=record.body)


def _check_outcome(database: MemoryDatabase, told: Told, outcome: Outcome) -> None:
    row = database.rows[told.actor_id][outcome.seq]
    assert (row.actor_id, row.at_ms, event_of(row)) == (
        outcome.actor_id,
        outcome.at_ms,
        outcome.event,
    )
    assert outcome.seq <= told.rows_after
    assert told.command is not None
    assert _what_happened(outcome.event) == _what(told.command)
    if told.request is None:
        assert row.idempotency_key is None
        assert outcome.seq > told.rows_before
    else:
        assert (row.idempotency_key, row.request_digest) == (
            told.request.key,
            told.request.request_digest,
        )


def _check_key_reused(database: MemoryDatabase, told: Told) -> None:
    assert told.request is not None
    [row] = [row for row in database.keyed_rows() if row.idempotency_key == told.request.key]
    assert row.request_digest != told.request.request_digest


def _states(database: MemoryDatabase, told: Told) -> list[Pool]:
    """Return the pool as it was at each version between the question and the answer."""
    states = []
    for version in range(told.rows_before, told.rows_after + 1):
        pool = Pool()
        for record in database.journal_of(told.actor_id)[:version]:
            evolve(pool, event_of(record), at_ms=record.at_ms)
        states.append(pool)
    return states


def _is_true(told: Told, pool: Pool) -> bool:
    """Say whether what a client was told is so in a state."""
    match told.result:
        case Balance():
            return told.result == pool.balance()
        case InsufficientStock(requested=requested, available=available):
            return requested > available == pool.available
        case OrderNotOpen(order=order):
            return pool.orders.get(order) is None
        case AlreadyExpired(expires_at_ms=expires_at_ms, now_ms=now_ms):
            return expires_at_ms <= now_ms
        case _:
            return False


def _what(command: Command) -> tuple[str, int]:
    match command:
        case ReceiveStock(quantity=quantity):
            return "received", quantity
        case PlaceOrder(quantity=quantity):
            return "placed", quantity
        case DispatchOrder(order=order):
            return "dispatched", order
        case CancelOrder(order=order):
            return "cancelled", order
        case _:
            return "woken", 0


def _what_happened(event: Event) -> tuple[str, int]:
    match event:
        case StockReceived(quantity=quantity):
            return "received", quantity
        case OrderPlaced(quantity=quantity):
            return "placed", quantity
        case OrderDispatched(order=order):
            return "dispatched", order
        case OrderCancelled(order=order):
            return "cancelled", order
        case _:
            return "expired", 0
