"""What handlers ask of whoever tells what happens as it happens."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from allocator.domain.occurrences import Interest, Occurrence
from allocator.domain.positions import Position


class Listener(Protocol):
    """Somebody who is told; one task's."""

    @property
    def reached(self) -> Position:
        """Everything of interest up to here has been returned."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will be told here."""

    async def more(self, *, within_s: float) -> Sequence[Occurrence]:
        """Return the next in order; empty if nothing came in time, or no more.

        Raises:
            JournalError: The database does not answer; ask again later.
        """


class Feed(Protocol):
    """Everything that is committed, as it comes to be."""

    def listen(
        self, interest: Interest, *, after: Position | None = None
    ) -> AbstractAsyncContextManager[Listener]:
        """Have everything told that comes after a position; None: from now on.

        Raises:
            JournalError: The database does not answer.
            UnknownPositionError: This journal cannot go on from there.
        """

    def close(self) -> None:
        """End; everybody who listens stops at once, at the position that he has come to."""
