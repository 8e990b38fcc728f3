"""Laws of one pool's journal, whoever was told what. Each returns what contradicts it."""

from itertools import pairwise

from allocator.domain.kinds import Event, evolve
from allocator.domain.messages import Command, Wake
from allocator.domain.pool import Pool
from allocator.domain.records import GENESIS, Record, chain
from allocator.domain.rules import decide, wake_at
from allocator.simulation.oracle_pool import PoolEvidence


def rows_have_no_gap_and_can_be_read(pool: PoolEvidence) -> list[str]:
    """Events are numbered 1, 2, 3 … and say what this release understands."""
    return [pool.unreadable] if pool.unreadable else []


def times_never_go_back(pool: PoolEvidence) -> list[str]:
    """No row is older than the one before it, whatever clocks did."""
    return [
        f"seq {after.seq} is older than {before.seq}"
        for before, after in pairwise(pool.rows)
        if after.at_ms < before.at_ms
    ]


def digests_chain(pool: PoolEvidence) -> list[str]:
    """Every row's digest is that of its content and of the row before."""
    wrong = []
    previous = GENESIS
    for row in pool.rows:
        if row.digest != _digest_after(previous, row):
            wrong.append(f"seq {row.seq} has another digest")
        previous = row.digest
    return wrong


def no_unit_is_sold_twice_or_lost(pool: PoolEvidence) -> list[str]:
    """At every version all units that came are for sale, ordered, expired or gone; by lot."""
    return pool.model.impossible or pool.model.unbalanced()


def every_row_is_what_the_rules_decide(pool: PoolEvidence) -> list[str]:
    """Every prefix replays; on it the rules decide the next row, and nothing is due before it.

    So nothing is picked from a lot past its date, from the wrong lot, or on a memory that is not
    the journal's.
    """
    state = Pool()
    rows = zip(pool.rows, pool.events, pool.commands, pool.model.numbers[1:], strict=True)
    for row, event, command, numbers in rows:
        if wrong := _objection(state, event, command, at_ms=row.at_ms):
            return [f"seq {row.seq} is {event}, but {wrong}"]
        evolve(state, event, at_ms=row.at_ms)
        if (state.available, state.ordered, state.expired) != numbers:
            return [f"at seq {row.seq} the pool shows {state.balance()}, and should {numbers}"]
    return []


def the_stored_wake_up_is_the_wanted_one(pool: PoolEvidence) -> list[str]:
    """An idle pool is woken when its first lot expires, and not for nothing."""
    stored_ms, wanted_ms = pool.wake_at_ms, pool.model.next_expiry_ms
    return [] if stored_ms == wanted_ms else [f"{wanted_ms} is wanted, {stored_ms} is stored"]


def _digest_after(previous: bytes, row: Record) -> bytes:
    return chain(
        previous,
        actor_id=row.actor_id,
        seq=row.seq,
        at_ms=row.at_ms,
        kind=row.kind,
        version=row.version,
        body=row.body,
        principal=row.principal,
        idempotency_key=row.idempotency_key,
        request_digest=row.request_digest,
    )


def _objection(state: Pool, event: Event, command: Command, *, at_ms: int) -> str:
    """Say why the rules would not have decided so, or nothing."""
    due_ms = wake_at(state)
    is_due = due_ms is not None and due_ms <= at_ms
    expected = decide(state, Wake() if is_due else command, now_ms=at_ms)
    if isinstance(expected, tuple) and expected[:1] == (event,):
        return ""
    return f"the rules decide {expected}"
