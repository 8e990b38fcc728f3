"""Laws of the journal of one actor, whoever was told what. Each returns what contradicts it."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol

from allocator.domain import at_once, kinds, move_rules
from allocator.domain.holds import HoldConfirmed
from allocator.domain.kinds import Decision, Event, Message, evolve
from allocator.domain.laws_of_feeds import unlawful, unlawful_of_feed
from allocator.domain.messages import Wake
from allocator.domain.moves import Move
from allocator.domain.orders import OrderAccepted, OrderDeclined, OrderRequested, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.domain.records import GENESIS, Record, chain
from allocator.domain.rules import wake_at
from allocator.domain.values import units_of
from allocator.simulation.oracle_feed import FeedEvidence
from allocator.simulation.oracle_lead import LeadEvidence
from allocator.simulation.oracle_moves import MoveEvidence
from allocator.simulation.oracle_pool import PoolEvidence, is_forgiven


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
    state, before_ms = Pool(), 0
    rest: tuple[Event, ...] = ()  # of what was decided with the row before
    rows = zip(pool.rows, pool.events, _commands(pool), pool.model.numbers[1:], strict=True)
    for row, event, command, numbers in rows:
        if isinstance(event, FeedAttached | LotReconciled | FeedDetached):
            if wrong := unlawful(state, event):
                return [f"seq {row.seq} is {event}, but {wrong}"]
            rest = (event,)
        elif not rest or rest[0] != event or row.at_ms != before_ms:
            decision = _decision(state, event, command, at_ms=row.at_ms)
            if not isinstance(decision, tuple) or decision[:1] != (event,):
                return [f"seq {row.seq} is {event}, but the rules decide {decision}"]
            rest = decision
        rest, before_ms = rest[1:], row.at_ms
        evolve(state, event, at_ms=row.at_ms)
        aside = units_of(state.aside)
        if (state.available, state.ordered, state.expired, state.held, aside) != numbers:
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


def every_row_of_a_feed_is_lawful(feed: FeedEvidence) -> list[str]:
    """Likewise for feeds, as far as it can be told without knowing what the WMS said."""
    for row, event, state in zip(feed.rows, feed.events, feed.states, strict=False):
        if wrong := unlawful_of_feed(state, event):
            return [f"seq {row.seq} is {event}, but {wrong}"]
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


def _commands(pool: PoolEvidence) -> Iterator[Message]:
    """Yield what was asked for each row: before what is asked, something may have to happen."""
    for number, event in enumerate(pool.events):
        ahead = number + 1 if is_forgiven(event) and number + 1 < len(pool.events) else number
        yield pool.commands[ahead]


def _decision(state: Pool, event: Event, command: Message, *, at_ms: int) -> Decision:
    """Return what the rules decide; what is due comes first."""
    due_ms = wake_at(state)
    if due_ms is not None and due_ms <= at_ms:
        due = kinds.decide(state, Wake(), now_ms=at_ms)
        if not isinstance(due, tuple) or not due or not isinstance(due[0], ShortfallChanged):
            return due
        if isinstance(event, ShortfallChanged):  # else it is said after the next message
            return due
    if isinstance(command, RequestOrder) and isinstance(event, HoldConfirmed):
        if len(command.lines) > 1:
            return ()  # of one pool: nobody decides lines that were not summed
        requested = OrderRequested(lines=command.lines)
        return at_once.decide(requested, [state], process=event.process).parts
    return kinds.decide(state, command, now_ms=at_ms)
