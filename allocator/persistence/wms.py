"""What is kept of feeds: what warehouse systems are told under which number, and what they said."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import asyncpg
import msgspec

from allocator.domain.fed import Code
from allocator.domain.positions import Position
from allocator.domain.pushes import Account, Line
from allocator.domain.reconciling import Statement
from allocator.errors import JournalError
from allocator.feeding.ports import Heard, Made, Settled, Settling, Standing, Stated, Stretch
from allocator.persistence.changes import make_actor
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement
from allocator.persistence.tail import Tail, Wanted
from allocator.wms.interface import Push, PushLine

_FEEDS_MAX: Final = 10_000
_PUTTING_LOCK: Final = 0x66656564
_ROWS_AT_ONCE: Final = 500
"""Rows of the journal that become pushes in one go: orders wait for so long at most."""
_STORED_IN_ONE_GO: Final = 100
_ASKED_OF: Final = ("pools", "wms_pools", "wms_lots")
"""What is looked at for each pool: of a hundred thousand that were made just now, one by one."""
_ACTOR: Final = "SELECT id FROM actors WHERE key = $1"
_GOES_ON: Final = """
SELECT is_on AND (SELECT kind FROM journal WHERE actor_id = $1 ORDER BY seq DESC LIMIT 1)
    IS DISTINCT FROM 'feed_ended'
FROM wms_feeds WHERE actor_id = $1
"""
_EVER: Final = (1 << 63) - 1
"""As of then, or before."""

_lines: Final = msgspec.json.Decoder(tuple[Line, ...])
_applied: Final = msgspec.json.Decoder(dict[str, int])
_said: Final = msgspec.json.Decoder(list[tuple[str, int, int | None, int | None]])


def feed_key(warehouse: str) -> str:
    """Return the key of the actor that a warehouse's feed is."""
    return f"feed:{warehouse}"


class PostgresFeeds:
    """Feeds in PostgreSQL. Every method raises `JournalError` when the database does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Say whether nobody else in any worker is in this context, or it is left at once."""
        async with borrowed(self._pool) as connection, connection.transaction():
            lock = "SELECT pg_try_advisory_xact_lock($1)"
            yield bool(await connection.fetchval(lock, _PUTTING_LOCK))

    async def begin(self, warehouse: str, *, position: Position) -> int:
        """Have a warehouse's feed be known and on; return its actor."""
        key = feed_key(warehouse)
        async with borrowed(self._pool) as connection, connection.transaction():
            made = await make_actor(connection, kind="feed", key=key)
            actor_id = int(await connection.fetchval(_ACTOR, key))
            if not await connection.fetchval(_GOES_ON, actor_id):
                await connection.execute(statement("wms_forget_events"), actor_id, _EVER)
                await connection.execute(statement("wms_forget_parts"), actor_id, _EVER)
            begin = statement("wms_begin_feed")
            await connection.execute(begin, actor_id, warehouse, str(position), made is None)
        return actor_id

    async def adopt(self, position: Position) -> None:
        """Have feeds be known whose journals came from another database."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_adopt"), str(position))

    async def agree(self, feed: int, through: int) -> None:
        """Go on with the numbers of a feed that begins, or above those that its WMS knows."""
        async with borrowed(self._pool) as connection, connection.transaction():
            for name in ("wms_agree", "wms_start_over"):
                await connection.execute(statement(name), feed, through)

    async def lose(self, feed: int) -> None:
        """Forget what a WMS was told, as it knows of other pushes than we do."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_lose"), feed)

    async def put_turns(self, feed: int, turns: Mapping[int, int]) -> None:
        """Know the rows that detached pools of which nothing else is known."""
        accounts = [
            Account(actor_id=actor_id, turn=turn, through=turn) for actor_id, turn in turns.items()
        ]
        stored = await _stored_texts(accounts)
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_put_accounts"), feed, list(turns), stored)

    async def feeds(self) -> Sequence[Standing]:
        """Return all that there ever were, by warehouse; the first ten thousand."""
        return await self.all(after="", limit=_FEEDS_MAX)

    async def find(self, warehouse: str) -> Standing | None:
        """Return how far a feed is, or None if there never was one."""
        found = await self._feeds(warehouse, after="", limit=1)
        return found[0] if found else None

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return feeds of warehouses that sort after a code."""
        return await self._feeds(None, after=after, limit=limit)

    async def _feeds(self, warehouse: str | None, *, after: str, limit: int) -> list[Standing]:
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_feeds"), warehouse, after, limit)
        return [_standing_of(row) for row in rows]

    async def accounts(
        self, feed: int, *, warehouse: str, actor_ids: Sequence[int]
    ) -> Mapping[int, tuple[str, Account | None]]:
        """Return the products of pools, and what the WMS was told of them; of others nothing."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_accounts"), feed, warehouse, actor_ids)
        return {row["actor_id"]: (row["product"], _account_of(row["account"])) for row in rows}

    async def make_pushes(
        self, feed: int, made: Made, *, before: Position, after: Position, at_ms: int
    ) -> bool:
        """Number pushes and advance the position, both or neither; False if somebody else has."""
        actor_ids = [each.actor_id for each in made.accounts]
        stored = await _stored_texts(made.accounts)
        async with borrowed(self._pool) as connection, connection.transaction():
            last = await connection.fetchval(
                statement("wms_advance"), feed, str(before), str(after), len(made.pushes)
            )
            if last is None:
                return False
            if stored:
                await connection.execute(statement("wms_put_accounts"), feed, actor_ids, stored)
            if made.pushes:
                await connection.execute(
                    statement("wms_put_pushes"),
                    feed,
                    list(range(last + 1, last + 1 + len(made.pushes))),
                    [push[0] for push in made.pushes],
                    [push[1] for push in made.pushes],
                    at_ms,
                    [push[2] for push in made.pushes],
                )
        return True

    async def pending(self, feed: int, *, after: int, limit: int) -> Sequence[Push]:
        """Return the first pushes above a number, in order."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_pending"), feed, after, limit)
        return [_push_of(row) for row in rows]

    async def newest(self, feed: int) -> int:
        """Return the highest number there is."""
        sql = "SELECT numbered FROM wms_feeds WHERE actor_id = $1"
        async with borrowed(self._pool) as connection:
            return int(await connection.fetchval(sql, feed))

    async def acknowledge(self, feed: int, through: int) -> None:
        """Have it durable that everything up to a number has come."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_acknowledge"), feed, through)

    async def fold(self, feed: int, through: int) -> int:
        """Know that the WMS has applied all up to a number; return up to which it ever had."""
        lock = "SELECT applied FROM wms_feeds WHERE actor_id = $1 FOR UPDATE"
        async with borrowed(self._pool) as connection, connection.transaction():
            applied = int(await connection.fetchval(lock, feed))
            if applied >= through:
                return applied
            for name in ("wms_fold", "wms_folded", "wms_forget_pushes"):
                await connection.execute(statement(name), feed, through)
        return through

    async def stage(self, feed: int, *, run: int, heard: Sequence[Heard]) -> None:
        """Keep what a page says, which names no batch twice."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("wms_stage"),
                feed,
                run,
                [each.actor_id for each in heard],
                [each.code or "" for each in heard],
                [each.orderable for each in heard],
                [each.expires_at_ms for each in heard],
                [each.received_at_ms for each in heard],
            )

    async def named(self, feed: int, *, run: int) -> int:
        """Return how many batches the pages of a run have named that were kept."""
        async with borrowed(self._pool) as connection:
            return int(await connection.fetchval(statement("wms_named"), feed, run))

    async def statements(
        self, feed: int, *, run: int, through: int, after: int, limit: int
    ) -> Sequence[Stated]:
        """Look at the next pools, and return what a complete run says of some of them, in order."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(
                statement("wms_statements"), feed, run, through, after, limit
            )
        return [_judged_of(row) for row in rows]

    async def begin_settling(self, feed: int, run: Settling) -> None:
        """Note that a run asks pools; what an older one has settled is not noted any more."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("wms_begin_settling"), feed, run.run, run.as_of, run.applied_through
            )
        with suppress(JournalError):  # it would only be slower
            await self._count()

    async def settling(self, feed: int) -> Settling | None:
        """Return the last run that has asked pools anything since the feed was put, if one has."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("wms_settling"), feed)
        return None if row is None else Settling(**row)

    async def _count(self) -> None:
        """Have PostgreSQL know how many there are of what is about to be looked at."""
        async with borrowed(self._pool) as connection:
            for grown in await connection.fetch(statement("grown"), _ASKED_OF):
                await connection.execute(f"ANALYZE (SKIP_LOCKED) {grown['relname']}")

    async def unsettle(self, feed: int, actor_ids: Sequence[int]) -> None:
        """Note that nobody knows what pools have followed."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_unsettle"), feed, actor_ids)

    async def settle(self, feed: int, *, run: int, settled: Sequence[Settled]) -> None:
        """Note what pools have followed, unless a newer run asks them."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("wms_settle"),
                feed,
                run,
                [each.actor_id for each in settled],
                [each.figures for each in settled],
                [each.seq for each in settled],
            )

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[int]:
        """Return pools of a warehouse, in order."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_pools_of"), warehouse, after, limit)
        return [row["actor_id"] for row in rows]

    async def note_short(self, feed: int, short: Mapping[int, int]) -> None:
        """Note how many promised units are missing of some pools."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("wms_note_short"), feed, list(short), list(short.values())
            )

    async def short(self, feed: int) -> Sequence[int]:
        """Return the pools of which units were missing when it was last looked."""
        sql = "SELECT actor_id FROM wms_pools WHERE feed = $1 AND short > 0 ORDER BY actor_id"
        async with borrowed(self._pool) as connection:
            return [row["actor_id"] for row in await connection.fetch(sql, feed)]

    async def keep(self, feed: int, why: str | None) -> None:
        """Note why a feed that was deleted does not end; None if it is not known to be kept."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_keep"), feed, why)

    async def close(self, feed: int) -> None:
        """Have the WMS be asked which numbers it knows, should the feed be put again."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_close"), feed)

    async def end(self, feed: int) -> None:
        """Have a feed that has ended be off, unless it was put again; forget what it was told."""
        async with borrowed(self._pool) as connection, connection.transaction():
            if await connection.execute(statement("wms_end"), feed) == "UPDATE 0":
                return
            await connection.execute(statement("wms_forget_events"), feed, _EVER)
            await connection.execute(statement("wms_forget_parts"), feed, _EVER)

    async def is_let_go(self, feed: int) -> bool:
        """Say whether it is in the pushes of every pool that it is detached."""
        async with borrowed(self._pool) as connection:
            return bool(await connection.fetchval(statement("wms_is_let_go"), feed))


class TailRows:
    """The settled journal, of one warehouse."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    async def next(self, after: Position, *, warehouse: str) -> Stretch | None:
        """Return the next rows, some hundreds at most; None if there are none yet."""
        wanted = Wanted(warehouse=warehouse)
        chunk = await self._tail.chunk(after, wanted=wanted, rows=_ROWS_AT_ONCE)
        if chunk is None:
            return None
        records = [entry.record for entry in chunk.entries]
        is_last = chunk.looked_at < _ROWS_AT_ONCE
        return Stretch(records=records, reached=chunk.reached, is_last=is_last)

    def close(self) -> None:
        """Let go of the connection."""
        self._tail.terminate()


class _StoredAccount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An account as JSON has it, whose names are texts."""

    actor_id: int
    turn: int = 0
    attached: bool = False
    excludes: tuple[str, ...] = ()
    codes: list[tuple[int, Code]] = []
    committed: list[tuple[Code, int]] = []
    base: list[tuple[Code, int]] = []
    through: int = 0
    changed: int = 0


_stored_account: Final = msgspec.json.Decoder(_StoredAccount)


def _stored(account: Account) -> _StoredAccount:
    return _StoredAccount(
        actor_id=account.actor_id,
        turn=account.turn,
        attached=account.attached,
        excludes=account.excludes,
        codes=list(account.codes.items()),
        committed=list(account.committed.items()),
        base=list(account.base.items()),
        through=account.through,
        changed=account.changed,
    )


async def _stored_texts(accounts: Sequence[Account]) -> list[str]:
    """Return accounts as they are stored; orders have their turn in between."""
    texts: list[str] = []
    for account in accounts:
        texts.append(msgspec.json.encode(_stored(account)).decode())
        if len(texts) % _STORED_IN_ONE_GO == 0:
            await asyncio.sleep(0)
    return texts


def _account_of(stored: str | None) -> Account | None:
    if stored is None:
        return None
    account = _stored_account.decode(stored)
    return Account(
        actor_id=account.actor_id,
        turn=account.turn,
        attached=account.attached,
        excludes=account.excludes,
        codes=dict(account.codes),
        committed=dict(account.committed),
        base=dict(account.base),
        through=account.through,
        changed=account.changed,
    )


def _standing_of(row: asyncpg.Record) -> Standing:
    return Standing(
        actor_id=row["actor_id"],
        warehouse=row["warehouse"],
        position=Position.of(row["position"]),
        numbered=row["numbered"],
        acknowledged=row["acknowledged"],
        applied=row["applied"],
        is_on=row["is_on"],
        numbers=row["numbers"],
        kept_by=row["kept_by"],
        waiting_since_ms=row["waiting_since"],
        shortfall=row["shortfall"],
        is_told=row["is_told"],
        events=row["events"],
        events_since_ms=row["events_since"],
    )


def _push_of(row: asyncpg.Record) -> Push:
    return Push(
        number=row["number"],
        sku=row["sku"],
        lines=tuple(
            PushLine(
                batch=line.code, decrease=line.decrease, aside=line.aside, shipped=line.shipped
            )
            for line in _lines.decode(row["lines"])
        ),
        at_ms=row["at"],
    )


def stated_of(row: asyncpg.Record, *, lots: str | None) -> Stated:
    """Return what is to be said of a pool: what was said of its lots, and what is applied."""
    account = _account_of(row["account"]) or Account(actor_id=row["actor_id"])
    applied = {code or None: units for code, units in _applied.decode(row["applied"]).items()}
    said = {
        code or None: (orderable, expires_at_ms, received_at_ms)
        for code, orderable, expires_at_ms, received_at_ms in _said.decode(lots or "[]")
    }
    statements = []
    for code in dict.fromkeys((*said, *applied, *account.base)):
        orderable, expires_at_ms, received_at_ms = said.get(code, (0, None, None))
        statements.append(
            Statement(
                code=code,
                orderable=orderable,
                applied=applied.get(code, 0) - account.base.get(code, 0),
                expires_at_ms=expires_at_ms,
                received_at_ms=received_at_ms,
            )
        )
    return Stated(
        actor_id=account.actor_id,
        turn=account.turn,
        is_attached=account.attached,
        lots=statements,
        changed=account.changed,
    )


def _judged_of(row: asyncpg.Record) -> Stated:
    if row["is_settled"]:
        return Stated(actor_id=row["actor_id"], turn=0, lots=(), is_settled=True)
    return msgspec.structs.replace(
        stated_of(row, lots=row["lots"]),
        figures=row["figures"],
        was_settled=row["was_settled"],
        settled_seq=row["settled_seq"] or 0,
    )
