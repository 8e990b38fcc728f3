"""Feeds in memory, as one worker reaches them. Satisfies `feeding.ports.Store` and `Rows`."""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Final, TypeVar

from allocator.domain.positions import Position
from allocator.domain.pushes import Account
from allocator.domain.records import Record
from allocator.feeding.ports import Heard, Made, Settled, Settling, Standing, Stated, Stretch
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.feed_tables import FeedRow, PoolRow, copy_of
from allocator.persistence.memory.transaction import Transaction
from allocator.persistence.memory.trouble import Call
from allocator.wms.interface import Push

T = TypeVar("T")


_TIMEOUT_S: Final = 10.0
ERA: Final = 1
_LAST: Final = 1 << 62
"""Behind every actor, and every row of it."""


class Calls:
    """Calls of one worker, about feeds.

    Args:
        database: Shared by all workers.
        name: Of the process, for people and for `trouble`.
        timeout_s: How long a call may take.
    """

    def __init__(
        self, database: MemoryDatabase, *, name: str, timeout_s: float = _TIMEOUT_S
    ) -> None:
        self._database = database
        self._tables = database.feeds
        self._name = name
        self._timeout_s = timeout_s

    def _alone(
        self, feed: int, then: Callable[[FeedRow], None], transaction: Transaction
    ) -> Generator[None, None, None]:
        row = self._tables.rows[feed]
        yield from transaction.hold(row.lock)
        transaction.effects.append(partial(then, row))

    def _read(self, read: Callable[[], T]) -> Awaitable[T]:
        return self._call(None, read)

    def _change(self, body: Callable[[Transaction], Generator[None, None, T]]) -> Awaitable[T]:
        return self._call(body, None)

    def _call(
        self,
        body: Callable[[Transaction], Generator[None, None, T]] | None,
        read: Callable[[], T] | None,
    ) -> Awaitable[T]:
        """Return a call; it is made when it is awaited."""
        call = Call(operation="feeds", client=self._name, incarnation=None)
        trouble = self._database.trouble(call)
        several = body is not None
        return Transaction(  # type: ignore[return-value]  # of that type is what the body returns
            self._database,
            "feeds",
            body,
            trouble,
            read=read,
            several=several,
            timeout_s=self._timeout_s,
        )


class MemoryFeeds(Calls):
    """Feeds in a `MemoryDatabase`. Every method raises `JournalError`."""

    async def begin(self, actor_id: int, warehouse: str) -> None:
        """Have a warehouse's feed be known and on."""
        position = Position(ERA, self._database.settled_below() - 1, _LAST, _LAST)

        def begin(transaction: Transaction) -> Generator[None, None, None]:
            transaction.effects.append(have_it_known)
            yield from ()

        def have_it_known() -> None:
            self._database.kinds[actor_id] = "feed"
            self._tables.begin(actor_id, warehouse, position=position)

        await self._change(begin)

    async def now(self) -> Position:
        """Return the position up to which everything in the journal is settled."""
        return Position(ERA, self._database.settled_below() - 1, _LAST, _LAST)

    async def feeds(self) -> Sequence[Standing]:
        """Return all that there ever were."""
        rows, journal = self._tables.rows, self._database.rows
        return await self._read(
            lambda: [row.standing() for actor_id, row in rows.items() if journal.get(actor_id)]
        )

    async def accounts(
        self, feed: int, *, warehouse: str, actor_ids: Sequence[int]
    ) -> Mapping[int, tuple[str, Account | None]]:
        """Return the products of pools, and what the WMS was told of them; of others nothing."""

        def accounts() -> dict[int, tuple[str, Account | None]]:
            pools = self._tables.rows[feed].pools
            found = {}
            for sku, actor_id in self._tables.products(warehouse):
                if actor_id in actor_ids:
                    account = pools[actor_id].account if actor_id in pools else None
                    found[actor_id] = (sku, None if account is None else copy_of(account))
            return found

        return await self._read(accounts)

    async def make_pushes(
        self, feed: int, made: Made, *, before: Position, after: Position, at_ms: int
    ) -> bool:
        """Number pushes and advance the position, both or neither; False if somebody else has."""
        copied = Made(pushes=made.pushes, accounts=[copy_of(each) for each in made.accounts])

        def make(transaction: Transaction) -> Generator[None, None, bool]:
            row = self._tables.rows[feed]
            yield from transaction.hold(row.lock)
            if row.position != before:
                return False
            transaction.effects.append(partial(row.put, copied, after=after, at_ms=at_ms))
            return True

        return await self._change(make)

    async def pending(self, feed: int, *, after: int, limit: int) -> Sequence[Push]:
        """Return the first pushes above a number, in order."""

        def pending() -> list[Push]:
            pushes = self._tables.rows[feed].pushes
            return [row.push for number, row in pushes.items() if number > after][:limit]

        return await self._read(pending)

    async def newest(self, feed: int) -> int:
        """Return the highest number there is."""
        return await self._read(lambda: self._tables.rows[feed].numbered)

    async def acknowledge(self, feed: int, through: int) -> None:
        """Have it durable that everything up to a number has come."""

        def note(row: FeedRow) -> None:
            row.acknowledged = max(row.acknowledged, min(through, row.numbered))

        await self._change(partial(self._alone, feed, note))

    async def fold(self, feed: int, through: int) -> int:
        """Know that the WMS has applied all up to a number; return up to which it ever had."""

        def fold(transaction: Transaction) -> Generator[None, None, int]:
            row = self._tables.rows[feed]
            yield from transaction.hold(row.lock)
            if row.applied < through:
                transaction.effects.append(partial(row.fold, through))
            return max(row.applied, through)

        return await self._change(fold)

    async def stage(self, feed: int, *, run: int, heard: Sequence[Heard]) -> None:
        """Keep what a page says, which names no batch twice."""

        def stage(transaction: Transaction) -> Generator[None, None, None]:
            row = self._tables.rows[feed]
            transaction.effects.append(partial(row.stage, run, tuple(heard)))
            yield from ()

        await self._change(stage)

    async def named(self, feed: int, *, run: int) -> int:
        """Return how many batches the pages of a run have named that were kept."""
        return await self._read(lambda: self._tables.rows[feed].named(run))

    async def statements(
        self, feed: int, *, run: int, through: int, after: int, limit: int
    ) -> Sequence[Stated]:
        """Return what a complete run says of some pools, in order of their actors."""

        def statements() -> list[Stated]:
            row = self._tables.rows[feed]
            if row.applied != through:
                return []
            pools = [pool for _, pool in self._tables.products(row.warehouse) if pool > after]
            return [row.stated(pool, run) for pool in pools[:limit]]

        return await self._read(statements)

    async def begin_settling(self, feed: int, run: Settling) -> None:
        """Note that a run asks pools."""

        def note(row: FeedRow) -> None:
            if row.last_settling < run.run:
                row.settling, row.last_settling = run, run.run

        await self._change(partial(self._alone, feed, note))

    async def settling(self, feed: int) -> Settling | None:
        """Return the last run that has asked pools anything since the feed was put, if one has."""
        return await self._read(lambda: self._tables.rows[feed].settling)

    async def unsettle(self, feed: int, actor_ids: Sequence[int]) -> None:
        """Do nothing: every pool is asked, in every run."""

    async def settle(self, feed: int, *, run: int, settled: Sequence[Settled]) -> None:
        """Likewise."""

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[int]:
        """Return pools of a warehouse, in order."""

        def pools() -> list[int]:
            found = [pool for _, pool in self._tables.products(warehouse) if pool > after]
            return found[:limit]

        return await self._read(pools)

    async def note_short(self, feed: int, short: Mapping[int, int]) -> None:
        """Note how many promised units are missing of some pools."""

        def note(transaction: Transaction) -> Generator[None, None, None]:
            pools = self._tables.rows[feed].pools
            for actor_id, units in short.items():
                transaction.effects.append(partial(_set_short, pools[actor_id], units))
            yield from ()

        await self._change(note)

    async def short(self, feed: int) -> Sequence[int]:
        """Return the pools of which units were missing when it was last looked."""

        def short() -> list[int]:
            pools = self._tables.rows[feed].pools
            return sorted(actor_id for actor_id, pool in pools.items() if pool.short > 0)

        return await self._read(short)

    async def close(self, feed: int) -> None:
        """Have the WMS be asked which numbers it knows, should the feed be put again."""
        await self._change(partial(self._alone, feed, FeedRow.close))

    async def keep(self, feed: int, why: str | None) -> None:
        """Note why a feed that was deleted does not end; None if it is not known to be kept."""

        def keep(row: FeedRow) -> None:
            row.kept_by = why

        await self._change(partial(self._alone, feed, keep))

    async def end(self, feed: int) -> None:
        """Have a feed that has ended be off, unless it was put again."""

        def end(row: FeedRow) -> None:
            last = self._database.journal_of(feed)[-1:]
            row.is_on = row.is_on and [each.kind for each in last] != ["feed_ended"]

        await self._change(partial(self._alone, feed, end))

    async def is_let_go(self, feed: int) -> bool:
        """Say whether it is in the pushes of every pool that it is detached."""

        def is_let_go() -> bool:
            pools = self._tables.rows[feed].pools.values()
            return not any(pool.account is not None and pool.account.attached for pool in pools)

        return await self._read(is_let_go)

    async def adopt(self, position: Position) -> None:
        """Do nothing: no feed comes from another database."""

    async def agree(self, feed: int, through: int) -> None:
        """Go on with the numbers of a feed that begins, or above those that its WMS knows."""
        await self._change(partial(self._alone, feed, lambda row: row.agree(through)))

    async def lose(self, feed: int) -> None:
        """Forget what a WMS was told, as it knows of other pushes than we do."""
        await self._change(partial(self._alone, feed, FeedRow.lose))

    async def put_turns(self, feed: int, turns: Mapping[int, int]) -> None:
        """Know the rows that detached pools of which nothing else is known."""

        def put(row: FeedRow) -> None:
            for each, turn in turns.items():
                account = Account(actor_id=each, turn=turn, through=turn)
                row.pools[each].account = account

        await self._change(partial(self._alone, feed, put))

    def rows(self) -> "MemoryRows":
        """Open the settled journal."""
        return MemoryRows(self._database, self._read)


class MemoryRows:
    """The settled journal, as one reader has read it.

    Args:
        read: Has something be read of the database.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        read: Callable[[Callable[[], Stretch | None]], Awaitable[Stretch | None]],
    ) -> None:
        self._database = database
        self._read = read
        self._seen = 0
        self._unsettled: list[tuple[int, Record]] = []

    async def next(self, after: Position, *, warehouse: str) -> Stretch | None:
        """Return the next rows; None if there are none yet."""
        return await self._read(partial(self._next, after, warehouse))

    def close(self) -> None:
        """Let go of it."""

    def _next(self, after: Position, warehouse: str) -> Stretch | None:
        database = self._database
        new = database.commits_from(self._seen)
        self._seen += len(new)
        self._unsettled += new
        below = database.settled_below()
        settled = [
            (Position(ERA, xid, row.actor_id, row.seq), row)
            for xid, row in self._unsettled
            if xid < below
        ]
        self._unsettled = [each for each in self._unsettled if each[0] >= below]
        settled = sorted((each for each in settled if each[0] > after), key=itemgetter(0))
        if not settled:
            return None
        ours = {pool for _, pool in database.feeds.products(warehouse)}
        records = [row for _, row in settled if row.actor_id in ours]
        return Stretch(records=records, reached=settled[-1][0], is_last=True)


def _set_short(pool: PoolRow, units: int) -> None:
    pool.short = units
