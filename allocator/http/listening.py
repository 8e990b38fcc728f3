"""What handlers ask of whoever tells what happens: to those who listen, and to webhooks."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from allocator.domain.interests import Interest
from allocator.domain.occurrences import Occurrence
from allocator.domain.positions import Position
from allocator.domain.webhooks import DeadLetter, Standing, Webhook


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

    async def is_whole_after(self, position: Position) -> bool:
        """Say whether nothing behind a position has been pruned, as far as is known.

        Raises:
            JournalError: The database does not answer.
        """

    def close(self) -> None:
        """End; everybody who listens stops at once, at the position that he has come to."""


class Webhooks(Protocol):
    """Who else is told what happens. Every method raises `JournalError`."""

    async def put(self, webhook: Webhook, *, principal: str) -> bytes | None:
        """Set a webhook up, or change it; return the secret of a new one.

        Raises:
            TargetError: No webhook may go there.
            TooManyError: There are as many as there may be.
        """

    async def rotate(self, name: str, *, principal: str) -> bytes | None:
        """Return a new secret, beside which the present one signs for 24 hours; None: no such."""

    async def delete(self, name: str, *, principal: str) -> bool:
        """Tell it nothing any more; return False if there is none."""

    async def find(self, name: str) -> Standing | None:
        """Return a webhook and how far it is, or None if there is none of that name."""

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return at most `limit` of them whose name sorts after `after`."""

    async def dead_letters(self, name: str, *, after: int, limit: int) -> list[DeadLetter]:
        """Return at most `limit` of a webhook's dead letters whose number is above `after`."""

    async def deliver_again(self, name: str, position: Position) -> DeadLetter | None:
        """Have a dead letter tried again soon, once; None if there is none of that position."""

    async def forget(self, name: str, position: Position) -> bool:
        """Give a dead letter up; return False if there is none of that position."""
