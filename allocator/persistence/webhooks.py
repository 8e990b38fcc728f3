"""Webhooks as operators set them up: a table whose every change is journaled as well."""

from collections.abc import Callable
from secrets import token_bytes

import asyncpg

from allocator.domain.interests import Interest
from allocator.domain.positions import Position
from allocator.domain.targets import check_url
from allocator.domain.webhooks import (
    FORMER_SECRET_MS,
    SECRET_BYTES,
    WEBHOOK_DELETED,
    WEBHOOK_PUT,
    WEBHOOK_ROTATED,
    WEBHOOKS_MAX,
    DeadLetter,
    Standing,
    TooManyError,
    Webhook,
    webhook_key,
)
from allocator.persistence.changes import Change, Changes, make_actor
from allocator.persistence.connections import Executor, Pool, borrowed
from allocator.persistence.statements import statement

_LOCK = "SELECT * FROM webhooks WHERE name = $1 FOR UPDATE"
_COUNT = "SELECT count(*) FROM webhooks WHERE url IS NOT NULL"
_ROTATE = """
UPDATE webhooks
SET version = $2, digest = $3, former_secret = secret, secret = $4, former_until = $5
WHERE actor_id = $1
"""
_DELETE = """
UPDATE webhooks
SET version = $2, digest = $3, url = NULL, warehouse = NULL, product = NULL, kinds = NULL,
    secret = NULL, former_secret = NULL, former_until = NULL
WHERE actor_id = $1
"""
_FORGET_DELIVERY = "DELETE FROM webhook_deliveries WHERE name = $1"
_FORGET_LETTERS = "DELETE FROM webhook_dead_letters WHERE name = $1"
_LETTERS = """
SELECT * FROM webhook_dead_letters WHERE name = $1 AND number > $2 ORDER BY number LIMIT $3
"""
_AGAIN = """
UPDATE webhook_dead_letters SET again = true WHERE name = $1 AND position = $2 RETURNING *
"""
_FORGET_LETTER = "DELETE FROM webhook_dead_letters WHERE name = $1 AND position = $2 RETURNING 1"


class PostgresWebhooks:
    """Who is told what happens.

    Every method raises `JournalError` when the database does not answer.

    Args:
        era: Of the journal, for the rows that changes write.
        clock: Milliseconds of Unix time.
        anywhere: Whether webhooks may go to private networks, and by http.
    """

    def __init__(self, pool: Pool, *, era: int, clock: Callable[[], int], anywhere: bool) -> None:
        self._pool = pool
        self._anywhere = anywhere
        self._era = era
        self._clock = clock
        self._changes = Changes(era=era, clock=clock)

    async def put(self, webhook: Webhook, *, principal: str) -> bytes | None:
        """Set a webhook up, or change it; either way it is enabled.

        A new one is told what happens from now on; a changed one goes on where it was.

        Returns:
            The secret of a new one, which nobody is told again; None if it was there.

        Raises:
            TargetError: No webhook may go there.
            TooManyError: There are as many as there may be.
        """
        check_url(webhook.url, anywhere=self._anywhere)
        async with borrowed(self._pool) as connection, connection.transaction():
            made = await make_actor(connection, kind="webhook", key=webhook_key(webhook.name))
            row = None if made else await connection.fetchrow(_LOCK, webhook.name)
            if row is not None and row["url"] is not None and _webhook_of(row) == webhook:
                await connection.execute(statement("webhook_enable"), webhook.name)
                return None
            is_new = row is None or row["url"] is None
            if is_new and await connection.fetchval(_COUNT) >= WEBHOOKS_MAX:
                raise TooManyError(f"there are {WEBHOOKS_MAX} webhooks: delete one first")
            change = self._change(WEBHOOK_PUT, _contents(webhook), made, row, principal)
            await change.note(connection)
            secret = token_bytes(SECRET_BYTES) if is_new else None
            await self._store(connection, webhook, change, secret)
        return secret

    async def rotate(self, name: str, *, principal: str) -> bytes | None:
        """Return a new secret, beside which the present one signs for 24 hours; None: no such."""
        async with borrowed(self._pool) as connection, connection.transaction():
            row = await _locked(connection, name)
            if row is None:
                return None
            change = self._changes.next(row, kind=WEBHOOK_ROTATED, contents={}, principal=principal)
            await change.note(connection)
            secret = token_bytes(SECRET_BYTES)
            until_ms = change.at_ms + FORMER_SECRET_MS
            await connection.execute(
                _ROTATE, change.actor_id, change.seq, change.digest, secret, until_ms
            )
        return secret

    async def delete(self, name: str, *, principal: str) -> bool:
        """Tell it nothing any more, and forget its dead letters; return False if there is none."""
        async with borrowed(self._pool) as connection, connection.transaction():
            row = await _locked(connection, name)
            if row is None:
                return False
            change = self._changes.next(row, kind=WEBHOOK_DELETED, contents={}, principal=principal)
            await change.note(connection)
            await connection.execute(_DELETE, change.actor_id, change.seq, change.digest)
            for forget in (_FORGET_DELIVERY, _FORGET_LETTERS):
                await connection.execute(forget, name)
        return True

    async def find(self, name: str) -> Standing | None:
        """Return a webhook and how far it is, or None if there is none of that name."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("webhook_standings"), name, "", 1)
        return _standing_of(rows[0]) if rows else None

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return at most `limit` of them whose name sorts after `after`."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("webhook_standings"), None, after, limit)
        return [_standing_of(row) for row in rows]

    async def dead_letters(self, name: str, *, after: int, limit: int) -> list[DeadLetter]:
        """Return at most `limit` of a webhook's dead letters whose number is above `after`."""
        async with borrowed(self._pool) as connection:
            return [letter_of(row) for row in await connection.fetch(_LETTERS, name, after, limit)]

    async def deliver_again(self, name: str, position: Position) -> DeadLetter | None:
        """Have a dead letter tried again soon, once; None if there is none of that position."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_AGAIN, name, str(position))
        return None if row is None else letter_of(row)

    async def forget(self, name: str, position: Position) -> bool:
        """Give a dead letter up; return False if there is none of that position."""
        async with borrowed(self._pool) as connection:
            return await connection.fetchval(_FORGET_LETTER, name, str(position)) is not None

    def _change(
        self,
        kind: str,
        contents: dict[str, object],
        made: int | None,
        row: asyncpg.Record | None,
        principal: str,
    ) -> Change:
        if row is None:
            assert made is not None, "an actor without a row"
            return self._changes.first(made, kind=kind, contents=contents, principal=principal)
        return self._changes.next(row, kind=kind, contents=contents, principal=principal)

    async def _store(
        self, connection: Executor, webhook: Webhook, change: Change, secret: bytes | None
    ) -> None:
        interest = webhook.interest
        await connection.execute(
            statement("webhook_put"),
            *change.columns,
            webhook.name,
            webhook.url,
            interest.warehouse,
            interest.product,
            None if interest.kinds is None else list(interest.kinds),
            secret,
        )
        await connection.execute(statement("webhook_begin"), webhook.name, change.seq, self._era)


async def _locked(connection: Executor, name: str) -> asyncpg.Record | None:
    row = await connection.fetchrow(_LOCK, name)
    return None if row is None or row["url"] is None else row


def _contents(webhook: Webhook) -> dict[str, object]:
    interest = webhook.interest
    return {
        "url": webhook.url,
        "warehouse": interest.warehouse,
        "product": interest.product,
        "kinds": interest.kinds,
    }


def interest_of(row: asyncpg.Record) -> Interest:
    """Read what a webhook is told of."""
    kinds = row["kinds"]
    return Interest(
        warehouse=row["warehouse"],
        product=row["product"],
        kinds=None if kinds is None else tuple(kinds),
    )


def letter_of(row: asyncpg.Record) -> DeadLetter:
    """Read a dead letter."""
    return DeadLetter(
        number=row["number"],
        position=Position.of(row["position"]),
        kind=row["kind"],
        body=row["body"],
        attempts=row["attempts"],
        error=row["error"],
        died_at_ms=row["died_at"],
        again=row["again"],
    )


def _webhook_of(row: asyncpg.Record) -> Webhook:
    return Webhook(name=row["name"], url=row["url"], interest=interest_of(row))


def _standing_of(row: asyncpg.Record) -> Standing:
    return Standing(
        webhook=_webhook_of(row),
        created_at_ms=row["created_at"],
        enabled=row["enabled"],
        position=Position.of(row["position"]),
        attempts=row["attempts"],
        retry_at_ms=row["retry_at"],
        delivered=row["delivered"],
        delivered_at_ms=row["delivered_at"],
        failed=row["failed"],
        last_error=row["last_error"],
        last_error_at_ms=row["last_error_at"],
        dead_letters=row["dead_letters"],
    )
