"""All processes of a run that have pools hold units, and who wanted each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import DecodeError

from allocator.domain.carts import Cart, CartOpened, OpenCart
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.kinds import Message
from allocator.domain.orders import (
    Order,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
    RequestOrder,
)
from allocator.domain.queries import Query
from allocator.domain.records import Record
from allocator.domain.transfers import ProcessLetGo, Transit
from allocator.simulation import oracle_cart
from allocator.simulation.history import NEWBORN, Evidence, Operation, success_of
from allocator.simulation.oracle_asks import Seen, Told, describe
from allocator.simulation.oracle_lead import LeadEvidence, command_of
from allocator.simulation.oracle_moves import Moves
from allocator.simulation.oracle_places import NEVER, Span
from allocator.simulation.oracle_pool import Deed

LED: Final = frozenset({"order", "cart"})
"""The kinds of such processes."""

_BEGINNINGS: Final = (RequestOrder, OpenCart)


class Leads:
    """Such processes, and what was told of those that never came to be.

    Attributes:
        by_actor: Those that began.
        mistold, unfitting, nobodys, denied, errors: As those of an actor.
    """

    name = "processes"

    def __init__(self, evidence: Evidence) -> None:
        self.mistold: list[str] = []
        self.unfitting: list[str] = []
        self.nobodys: list[str] = []
        self.denied: list[str] = []
        self.errors: list[Told] = []
        self._begun: defaultdict[int, list[int]] = defaultdict(list)
        asked: defaultdict[int, list[Operation]] = defaultdict(list)
        for operation in evidence.operations:
            asked[operation.actor_id].append(operation)
        wanted: dict[Message | Query, Operation] = {
            each.ask: each for each in asked[NEWBORN] if isinstance(each.ask, _BEGINNINGS)
        }
        self.by_actor = {
            actor_id: self._lead(evidence, actor_id, wanted, asked[actor_id])
            for actor_id, kind in sorted(evidence.kinds.items())
            if kind in LED
        }
        for operation in wanted.values():
            if operation.number not in self._begun:
                self._hear(operation)

    def begun_more_than_once(self) -> list[str]:
        """Return operations of which several processes came, each in a sentence."""
        return [
            f"of operation {number} came the processes {actors}"
            for number, actors in self._begun.items()
            if len(actors) > 1
        ]

    def _lead(
        self,
        evidence: Evidence,
        actor_id: int,
        wanted: Mapping[Message | Query, Operation],
        asked: Sequence[Operation],
    ) -> LeadEvidence:
        """Return a process, with the operation that began it, if there is one."""
        rows = evidence.rows.get(actor_id, [])
        beginning = _beginning_of(rows)
        began = None if beginning is None else wanted.get(beginning)
        if began is not None:
            self._begun[began.number].append(actor_id)
        return LeadEvidence(
            actor_id,
            kind=evidence.kinds[actor_id],
            rows=rows,
            operations=asked if began is None else (began, *asked),
            wake_at_ms=evidence.wakes.get(actor_id),
        )

    def _hear(self, operation: Operation) -> None:
        """Hear what was told of a process that there is not."""
        for attempt in operation.attempts:
            told, answer = Told(operation, attempt), attempt.answer
            if success_of(attempt) is not None:
                self.mistold.append(f"{describe(told)} heard {answer}, and there is none")
            elif isinstance(answer, Exception):
                self.errors.append(told)
            elif answer is not None and getattr(answer, "key", "") != operation.key:
                self.unfitting.append(f"{describe(told)} heard {answer}")


class AllLeaders:
    """All processes of a run, of whatever kind. Satisfies `oracle_pool.Leaders`."""

    def __init__(self, moves: Moves, leads: Leads) -> None:
        self._moves = moves
        self._leads = leads.by_actor

    def asked_for(self, pool: int, event: Deed) -> Message | None:
        """Return what a process has to ask of a pool for this; None if there is none that may."""
        lead = self._leads.get(event.process)
        if lead is not None:
            return lead.asked_for(pool, event)
        return self._moves.asked_for(event) if isinstance(event, Transit) else None

    def span_of(self, _pool: int, event: Deed) -> Span:
        """Return when a process can have asked for this, and when somebody was told of it."""
        lead = self._leads.get(event.process)
        if lead is not None:
            return lead.span_of(event)
        span = self._moves.span_of(event.process)
        # To let go is not waited for.
        return Span(span.asked, NEVER) if isinstance(event, ProcessLetGo) else span

    def begun(self, process: int) -> int:
        """Return when a process was asked for."""
        lead = self._leads.get(process)
        if lead is not None:
            return lead.earliest[min(1, len(lead.rows))]
        return self._moves.span_of(process).asked

    def refused_by(self, pool: int) -> list[tuple[Told, Seen]]:
        """Return what a pool said that it could not do, and did not journal."""
        return [each for lead in self._leads.values() for each in lead.refused_by(pool)]


def _beginning_of(rows: Sequence[Record]) -> Message | None:
    """Return what was asked for a process to begin, or None if it does not begin like that."""
    for row in rows[:1]:
        try:
            event = decode_event(kind=row.kind, version=row.version, body=row.body)
        except (UnknownEventError, DecodeError):
            return None
        if isinstance(event, OrderRequested | OrderAccepted | OrderDeclined):
            return command_of(Order(), event)
        if isinstance(event, CartOpened):
            return oracle_cart.command_of(Cart(), event, at_ms=row.at_ms)
    return None
