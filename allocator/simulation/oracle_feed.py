"""What is known of one feed: how its warehouse was to be fed, and how that went."""

from collections.abc import Sequence
from typing import assert_never

from msgspec import structs

from allocator.actors.messages import Noted
from allocator.domain import kinds
from allocator.domain.feeds import (
    DeleteFeed,
    Feed,
    FeedDeleted,
    FeedEnded,
    FeedEvent,
    FeedNotOn,
    FeedPut,
    PartEnded,
    PollBegun,
    PollEnded,
    PollNow,
    PutFeed,
    RunBegun,
    RunEnded,
)
from allocator.domain.kinds import Event, Message
from allocator.domain.messages import Wake
from allocator.domain.queries import FeedQuery, Query, View, look
from allocator.domain.records import Record
from allocator.simulation.history import Operation
from allocator.simulation.oracle_actor import ActorEvidence, MisplacedEventError
from allocator.simulation.oracle_asks import Seen
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span


class FeedEvidence(ActorEvidence):
    """What is known of one feed.

    Attributes:
        states: By version.
    """

    def __init__(
        self,
        actor_id: int,
        *,
        rows: Sequence[Record],
        operations: Sequence[Operation],
        wake_at_ms: int | None = None,
    ) -> None:
        self.states = [Feed()]
        super().__init__(actor_id, rows=rows, operations=operations, wake_at_ms=wake_at_ms)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"feed {self.actor_id}"

    @property
    def state(self) -> Feed:
        """After the last row."""
        return self.states[-1]

    @property
    def wanted_wake_ms(self) -> int | None:
        """When it should be woken, as things stand."""
        return kinds.wake_at(self.state)

    def enter(self, event: Event, row: Record) -> Message:
        """Take the next event; return what has to be asked for it."""
        if not isinstance(event, FeedEvent):
            raise MisplacedEventError(f"no feed has {event}")
        after = structs.replace(self.state)
        kinds.evolve(after, event, at_ms=row.at_ms)
        self.states.append(after)
        return _command_of(event)

    def asks_for(self, seq: int) -> Sequence[Message | Query]:
        """Return what a client may have asked for a row to come of it."""
        if isinstance(self.events[seq - 1], PollBegun | PollEnded | RunEnded):
            return (self.commands[seq - 1], PollNow())
        return (self.commands[seq - 1],)

    def fits(self, operation: Operation, answer: Seen) -> bool:
        """Say whether an answer belongs to what was asked, whatever the state."""
        ask = operation.ask
        match answer:
            case View(feed=feed):
                return isinstance(ask, FeedQuery) and feed is not None
            case Noted():
                return isinstance(ask, PutFeed | DeleteFeed | PollNow)
            case FeedNotOn():
                return isinstance(ask, PutFeed | DeleteFeed | PollNow)
            case _:
                return False

    def first_true(self, operation: Operation, answer: Seen, *, first: int) -> int | None:
        """Return the first version from `first` on at which a fitting answer is true, or None."""
        ask = operation.ask
        if isinstance(ask, PollNow) and isinstance(answer, Noted):  # else it depends on the time
            later = range(first, len(self.states))
            return next((each for each in later if self.states[each].status == "on"), None)
        for version in range(first, len(self.states)):
            state = self.states[version]
            if isinstance(ask, Query):
                said: object = look(state, ask)
            else:
                decision = kinds.decide(state, ask, now_ms=state.last_at_ms)
                said = Noted() if decision == () else decision
            if said == answer:
                return version
        return None

    def span_of_unasked(self, _row: Record, event: Event) -> Span | None:
        """Return when workers can have decided; None: a client asked."""
        return None if isinstance(event, FeedPut | FeedDeleted) else Span(ALWAYS, NEVER)


def _command_of(event: FeedEvent) -> Message:
    match event:
        case FeedPut():
            return PutFeed(
                warehouse=event.warehouse,
                url=event.url,
                poll_ms=event.poll_ms,
                rate_per_s=event.rate_per_s,
                burst=event.burst,
                excludes=event.excludes,
            )
        case FeedDeleted():
            return DeleteFeed()
        case FeedEnded() | PollBegun() | PollEnded() | RunBegun() | PartEnded() | RunEnded():
            return Wake()
        case _:
            assert_never(event)
