"""One pool's part of the evidence: its model, and what was done there for processes."""

from collections.abc import Sequence
from typing import Final, Protocol, get_args

from allocator.domain import stand_ins
from allocator.domain.adjustments import (
    Adjust,
    OrderRepicked,
    SetState,
    UnitsAdjusted,
    UnitsRecalled,
)
from allocator.domain.holds import HoldEvent
from allocator.domain.kinds import Event, Message
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    Wake,
)
from allocator.domain.recall_rules import DISPATCHED
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.domain.records import Record
from allocator.domain.transfers import Transit
from allocator.simulation.history import Operation
from allocator.simulation.model import PoolModel
from allocator.simulation.oracle_actor import ActorEvidence, MisplacedEventError
from allocator.simulation.oracle_asks import Seen, Told, command_of, first_true, fits
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span

Deed = Transit | HoldEvent
"""What a pool does for a process."""

_DEEDS: Final = frozenset((*get_args(Transit), *get_args(HoldEvent)))
_UNASKED: Final = frozenset(
    {
        LotExpired,
        UnitsRecalled,
        OrderRepicked,
        FeedAttached,
        LotReconciled,
        FeedDetached,
        ShortfallChanged,
    }
)
"""No client asks for these."""
_CLOSINGS: Final = frozenset({OrderDispatched, OrderCancelled, OrderPartlyDispatched})


class Leaders(Protocol):
    """All processes of a run."""

    def asked_for(self, pool: int, event: Deed) -> Message | None:
        """Return what a process has to ask of a pool for this; None if there is none that may."""

    def span_of(self, pool: int, event: Deed) -> Span:
        """Return when a process can have asked for this, and when somebody was told of it."""

    def begun(self, process: int) -> int:
        """Return when a process was asked for."""

    def refused_by(self, pool: int) -> Sequence[tuple[Told, Seen]]:
        """Return what a pool said that it could not do, and did not journal."""


class NoLeaders:
    """Stands where nothing is led."""

    def asked_for(self, _pool: int, _event: Deed) -> Message | None:
        """Say that nobody asks for anything."""
        return None

    def span_of(self, _pool: int, _event: Deed) -> Span:
        """Say that it may be of any time."""
        return Span(ALWAYS, NEVER)

    def begun(self, _process: int) -> int:
        """Likewise."""
        return ALWAYS

    def refused_by(self, _pool: int) -> Sequence[tuple[Told, Seen]]:
        """Say that nothing was."""
        return ()


class PoolEvidence(ActorEvidence):
    """What is known of one pool.

    Attributes:
        deeds: Seqs and events of what was done for processes.
        model: Its versions.
    """

    def __init__(
        self,
        actor_id: int,
        *,
        rows: Sequence[Record],
        operations: Sequence[Operation],
        leaders: Leaders | None = None,
        wake_at_ms: int | None = None,
    ) -> None:
        self.deeds: list[tuple[int, Deed]] = []
        self.model = PoolModel()
        self._adjusting = {
            each.ask.reason: each.ask
            for each in operations
            if isinstance(each.ask, Adjust | SetState)
        }
        self._leaders = leaders or NoLeaders()
        super().__init__(actor_id, rows=rows, operations=operations, wake_at_ms=wake_at_ms)
        self.seen.extend(self._leaders.refused_by(actor_id))

    @property
    def wanted_wake_ms(self) -> int | None:
        """When it should be woken, as things stand."""
        is_due = self.model.is_due or self.model.feed.is_news
        return self.model.at_ms[-1] if is_due else self.model.next_expiry_ms

    def enter(self, event: Event, row: Record) -> Message:
        """Take the next event; return what has to be asked for it."""
        command = self._command_of(event, row.seq)
        self.model.add(event, at_ms=row.at_ms)
        return command

    def fits(self, operation: Operation, answer: Seen) -> bool:
        """Say whether an answer belongs to what was asked, whatever the state."""
        return fits(operation, answer)

    def first_true(self, operation: Operation, answer: Seen, *, first: int) -> int | None:
        """Return the first version from `first` on at which a fitting answer is true, or None."""
        return first_true(self.model, operation.ask, answer, first=first)

    def span_of_unasked(self, _row: Record, event: Event) -> Span | None:
        """Return when lots expired, or paid what they owe, or a process can have asked."""
        if type(event) in _UNASKED or is_forgiven(event) or _stands_in(event):
            return Span(ALWAYS, NEVER)  # nobody asks for it
        if type(event) in _DEEDS:
            return self._leaders.span_of(self.actor_id, event)  # type: ignore[arg-type]  # it is
        if type(event) in _CLOSINGS:
            order = self.model.orders.get(event.order)  # type: ignore[union-attr]  # likewise
            if order is not None and order.process is not None:
                return Span(self._leaders.begun(order.process), NEVER)
        return None

    def _command_of(self, event: Event, seq: int) -> Message:
        if isinstance(event, FeedAttached | LotReconciled | FeedDetached | ShortfallChanged):
            return Wake()
        if isinstance(event, UnitsAdjusted):
            asking: Message = self._adjusting.get(event.reason, Wake())
            if isinstance(asking, SetState) and asking.version != seq - 1:
                self.nobodys.append(f"seq {seq}, {event}, of who had seen seq {asking.version}")
            return asking
        if type(event) not in _DEEDS:
            try:
                return command_of(event)
            except TypeError as error:
                raise MisplacedEventError(str(error)) from error
        deed: Deed = event  # type: ignore[assignment]  # it is
        self.deeds.append((seq, deed))
        asked = self._leaders.asked_for(self.actor_id, deed)
        if asked is None:
            self.nobodys.append(f"seq {seq}, {event}, of a process that does not ask for it")
        return asked or Wake()


def is_forgiven(event: Event) -> bool:
    """Say whether units are not owed any more because a process has them leave, as the next row."""
    return isinstance(event, UnitsAdjusted) and event.reason == DISPATCHED


def _stands_in(event: Event) -> bool:
    """Say whether units are withheld for missing ones, or not any more; nobody asks for that."""
    return isinstance(event, UnitsAdjusted) and event.reason == stand_ins.REASON
