"""From records back to state."""

from collections.abc import Iterable

from allocator.domain.codec import decode_event
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.rules import evolve


class GapError(ValueError):
    """A row of an actor's journal is missing or stands twice; nothing after it can be trusted."""

    def __init__(self, *, expected: int, found: int) -> None:
        super().__init__(f"row {expected} was expected where row {found} stands")
        self.expected = expected
        self.found = found


def replay(pool: Pool, records: Iterable[Record]) -> None:
    """Apply records that follow the pool's version, ascending.

    Raises:
        GapError: They do not follow.
        UnknownEventError: A newer release wrote them.
    """
    for record in records:
        if record.seq != pool.version + 1:
            raise GapError(expected=pool.version + 1, found=record.seq)
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
        evolve(pool, event, at_ms=record.at_ms)
