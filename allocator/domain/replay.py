"""From records back to state."""

from collections.abc import Iterable

from allocator.domain.codec import decode_event
from allocator.domain.kinds import State, evolve
from allocator.domain.records import Record


class GapError(ValueError):
    """A row of an actor's journal is missing or stands twice; nothing after it can be trusted."""

    def __init__(self, *, expected: int, found: int) -> None:
        super().__init__(f"row {expected} was expected where row {found} stands")
        self.expected = expected
        self.found = found


def replay(state: State, records: Iterable[Record]) -> None:
    """Apply records that follow an actor's version, ascending.

    Raises:
        GapError: They do not follow.
        UnknownEventError: A newer release wrote them.
        TypeError: They are of another kind of actor.
    """
    for record in records:
        if record.seq != state.version + 1:
            raise GapError(expected=state.version + 1, found=record.seq)
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
        evolve(state, event, at_ms=record.at_ms)
