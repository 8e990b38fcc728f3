"""How far the delivery of webhooks has come, as whoever delivers reads and writes it.

One process of all does, and everything goes over the very connection that holds its right to do it.
A webhook that is changed or deleted meanwhile begins another life: of the former one nothing is
stored any more.
"""

import asyncio

import asyncpg
import msgspec

from allocator.domain.interests import Interest
from allocator.domain.positions import Position
from allocator.domain.webhooks import DeadLetter
from allocator.errors import AllocatorError, JournalError
from allocator.persistence.connections import FAILURES, Connection
from allocator.persistence.statements import statement
from allocator.persistence.webhooks import interest_of, letter_of

_LETTERS_AT_ONCE = 10


class SupersededError(AllocatorError):
    """The webhook was changed, disabled or deleted: stop delivering for what it was."""

    def __init__(self, *, name: str) -> None:
        super().__init__(f"webhook {name} is not what it was")
        self.name = name


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be delivered to whom, and from where on.

    Attributes:
        life: Changes with the webhook.
        secrets: With which messages are signed; one, or two for a while.
        attempts: How often what comes after `position` was tried in vain.
        retry_at_ms: When it is to be tried again.
        dead_letters: How many there are.
        again: Whether somebody wants one of them tried again.
    """

    name: str
    url: str
    interest: Interest
    life: int
    secrets: tuple[bytes, ...]
    position: Position
    attempts: int
    retry_at_ms: int | None
    dead_letters: int
    again: bool


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that was in vain, for the `attempts`th time."""

    attempts: int
    error: str
    at_ms: int


class Deliveries:
    """What is delivered, on one connection. All raise `JournalError`: then it is over."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._one_at_a_time = asyncio.Lock()

    async def wanted(self, *, now_ms: int) -> list[Delivery]:
        """Return all that are enabled, by name."""
        return [_delivery_of(row) for row in await self._fetch("webhook_wanted", now_ms)]

    async def adopt(self, position: Position) -> None:
        """Have webhooks that are new in this database begin behind a position."""
        await self._fetch("webhook_adopt", str(position))

    async def insist(self, delivery: Delivery) -> None:
        """Make sure that a webhook is what it was.

        Raises:
            SupersededError: It is not.
        """
        _insist(await self._fetch("webhook_alive", delivery.name, delivery.life), delivery)

    async def advance(
        self, delivery: Delivery, position: Position, *, delivered: int, at_ms: int | None
    ) -> None:
        """Store that everything up to a position is dealt with.

        Raises:
            SupersededError: It is not what it was.
        """
        rows = await self._fetch(
            "webhook_advance", delivery.name, delivery.life, str(position), delivered, at_ms
        )
        _insist(rows, delivery)

    async def fail(
        self,
        delivery: Delivery,
        position: Position,
        failure: Failure,
        *,
        retry_at_ms: int | None,
    ) -> None:
        """Store a failure of what comes after a position; without a next time, disable it.

        Raises:
            SupersededError: It is not what it was.
        """
        rows = await self._fetch(
            "webhook_fail",
            delivery.name,
            delivery.life,
            str(position),
            failure.attempts,
            retry_at_ms,
            failure.error,
            failure.at_ms,
            retry_at_ms is not None,
        )
        _insist(rows, delivery)

    async def bury(
        self, delivery: Delivery, position: Position, failure: Failure, *, kind: str, body: str
    ) -> None:
        """Make the message of a position a dead letter, and go on behind it.

        Raises:
            SupersededError: It is not what it was.
        """
        rows = await self._fetch(
            "webhook_bury",
            delivery.name,
            delivery.life,
            str(position),
            kind,
            body,
            failure.attempts,
            failure.error,
            failure.at_ms,
        )
        _insist(rows, delivery)

    async def letters(self, name: str) -> list[DeadLetter]:
        """Return some of the dead letters that somebody wants tried again."""
        rows = await self._fetch("webhook_letters", name, _LETTERS_AT_ONCE)
        return [letter_of(row) for row in rows]

    async def letter_failed(self, name: str, letter: DeadLetter, *, error: str) -> None:
        """Store that a dead letter stays one."""
        await self._fetch("webhook_letter_failed", name, str(letter.position), error)

    async def letter_taken(self, name: str, letter: DeadLetter, *, at_ms: int) -> None:
        """Store that a dead letter is none any more."""
        await self._fetch("webhook_letter_taken", name, str(letter.position), at_ms)

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        # A courier may be dismissed at any moment; what was sent for him is not in others' way.
        running = asyncio.ensure_future(self._fetch_alone(name, *arguments))
        running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(running)

    async def _fetch_alone(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._one_at_a_time:
            try:
                return await self._connection.fetch(statement(name), *arguments)
            except FAILURES as error:
                raise JournalError(f"webhooks: {type(error).__name__}: {error}") from error


def _insist(rows: list[asyncpg.Record], delivery: Delivery) -> None:
    if not rows:
        raise SupersededError(name=delivery.name)


def _delivery_of(row: asyncpg.Record) -> Delivery:
    return Delivery(
        name=row["name"],
        url=row["url"],
        interest=interest_of(row),
        life=row["life"],
        secrets=tuple(row["secrets"]),
        position=Position.of(row["position"]),
        attempts=row["attempts"],
        retry_at_ms=row["retry_at"],
        dead_letters=row["dead_letters"],
        again=row["again"],
    )
