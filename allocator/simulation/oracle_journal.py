"""Laws of the journal of one actor, whoever was told what. Each returns what contradicts it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from allocator.domain import at_once, kinds, move_rules
from allocator.domain.holds import HoldConfirmed
from allocator.domain.kinds import Event, Message, evolve
from allocator.domain.messages import Wake
from allocator.domain.moves import Move
from allocator.domain.orders import OrderAccepted, OrderDeclined, OrderRequested, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.records import GENESIS, Record, chain
from allocator.domain.rules import wake_at
from allocator.domain.transfers import UnitsTaken
from allocator.simulation.oracle_lead import LeadEvidence
from allocator.simulation.oracle_moves import MoveEvidence
from allocator.simulation.oracle_pool import PoolEvidence


class Rows(Protocol):
    """The journal of an actor.

    Attributes:
        unreadable: Why no more of it can be read, or "".
        wake_at_ms: When the actor is to be woken, as stored.
    """

    unreadable: str
    wake_at_ms: int | None

    @property
    def name(self) -> str:
        """Of the actor."""

    @property
    def rows(self) -> Sequence[Record]:
        """As far as it can be read."""

    @property
    def wanted_wake_ms(self) -> int | None:
        """When the actor should be woken, as things stand."""


def rows_have_no_gap_and_can_be_read(pool: Rows) -> list[str]:
    """Events are numbered 1, 2, 3 … and say what this release understands."""
    return [pool.unreadable] if pool.unreadable else []


def times_never_go_back(pool: Rows) -> list[str]:
    """No row is older than the one before it, whatever clocks did."""
    return [
        f"seq {after.seq} is older than {before.seq}"
        for before, after in pairwise(pool.rows)
        if after.at_ms < before.at_ms
    ]


def digests_chain(pool: Rows) -> list[str]:
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
    before: Event | None = None
    rows = zip(pool.rows, pool.events, pool.commands, pool.model.numbers[1:], strict=True)
    for row, event, command, numbers in rows:
        if wrong := _objection(
            state, event, command, at_ms=row.at_ms, goes_on=_goes_on(event, before)
        ):
            return [f"seq {row.seq} is {event}, but {wrong}"]
        before = event
        evolve(state, event, at_ms=row.at_ms)
        if (state.available, state.ordered, state.expired, state.held) != numbers:
            return [f"at seq {row.seq} the pool shows {state.balance()}, and should {numbers}"]
    return []


def every_row_of_a_move_is_what_the_rules_decide(move: MoveEvidence) -> list[str]:
    """Every prefix replays, and on it the rules decide the next row, whatever was answered."""
    state = Move()
    for row, event in zip(move.rows, move.events, strict=True):
        expected = move_rules.decide(state, move.command_of(event))
        if expected != (event,):
            return [f"seq {row.seq} is {event}, but the rules decide {expected}"]
        move_rules.evolve(state, event, at_ms=row.at_ms)
    return []


def every_row_of_a_process_is_what_the_rules_decide(lead: LeadEvidence) -> list[str]:
    """Likewise for processes that hold units."""
    for row, event, command in zip(lead.rows, lead.events, lead.commands, strict=True):
        if isinstance(event, OrderAccepted | OrderDeclined) and event.lines and row.seq == 1:
            continue  # decided at once: the rows of the pools say whether that could be
        expected = kinds.decide(lead.states[row.seq - 1], command, now_ms=row.at_ms)
        if expected != (event,):
            return [f"seq {row.seq} is {event}, but the rules decide {expected}"]
    return []


def the_stored_wake_up_is_the_wanted_one(pool: Rows) -> list[str]:
    """An idle pool is woken when its first lot expires, a move if it is not over, no other is."""
    stored_ms, wanted_ms = pool.wake_at_ms, pool.wanted_wake_ms
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


def _goes_on(event: Event, before: Event | None) -> bool:
    """Say whether an event was decided with the one before: lots that arrive have a row each."""
    if not isinstance(event, UnitsTaken) or not isinstance(before, UnitsTaken) or before.last:
        return False
    return event.process == before.process


def _objection(state: Pool, event: Event, command: Message, *, at_ms: int, goes_on: bool) -> str:
    """Say why the rules would not have decided so, or nothing."""
    due_ms = wake_at(state)
    is_due = due_ms is not None and due_ms <= at_ms and not goes_on
    if isinstance(command, RequestOrder) and isinstance(event, HoldConfirmed) and not is_due:
        requested = OrderRequested(lines=command.lines)
        parts = at_once.decide(requested, [state], process=event.process).parts
        return "" if parts == (event,) else f"at once, the rules decide {parts}"
    expected = kinds.decide(state, Wake() if is_due else command, now_ms=at_ms)
    if isinstance(expected, tuple) and expected[:1] == (event,):
        return ""
    return f"the rules decide {expected}"
