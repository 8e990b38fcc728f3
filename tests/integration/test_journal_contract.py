"""What actors may expect of a journal: of the one in PostgreSQL and of the one in the tests.

Every test runs against both. So what is proved over `MemoryJournal`, breakdowns included, is
proved over something that promises what PostgreSQL promises.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

import pytest
import pytest_asyncio

from allocator.actors.ports import Journal
from allocator.domain.ids import SHARDS
from allocator.domain.messages import Event, OrderPlaced, StockReceived
from allocator.domain.records import GENESIS, Batch, Record, StoredSnapshot
from allocator.errors import JournalError
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership
from tests.builders import ACTOR, NOW_MS, records_of
from tests.memory_database import MemoryDatabase
from tests.memory_journal import MemoryJournal

OTHER = ACTOR + 256
TIMEOUT_S = 10.0
EVENTS: list[tuple[int, Event]] = [
    (NOW_MS, StockReceived(quantity=5)),
    (NOW_MS + 1, OrderPlaced(quantity=1, picks=((1, 1),), customer='Žofie "Ω"\n😀')),
    (NOW_MS + 1, OrderPlaced(quantity=1, picks=((1, 1),))),
]

MakeJournal = Callable[[], Awaitable[Journal]]
"""Returns the journal of one more worker, its first incarnation open, that sees no life."""


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def make_journal(request: pytest.FixtureRequest) -> AsyncIterator[MakeJournal]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield _in_memory()
        else:
            yield await _in_postgres(request.getfixturevalue("database_url"), stack)


def _in_memory() -> MakeJournal:
    database = MemoryDatabase(clock=lambda: time.time_ns() // 1_000_000, dead_after_ms=0)

    async def make() -> Journal:
        journal = MemoryJournal(database)
        await journal.renew()
        return journal

    return make


async def _in_postgres(url: str, stack: AsyncExitStack) -> MakeJournal:
    connection = await connect(url, application_name="contract", timeout_s=TIMEOUT_S)
    await migrate(connection)
    installation = await open_installation(connection)
    for actor_id in (ACTOR, OTHER):
        await connection.execute(
            "INSERT INTO actors (id, kind, key) VALUES ($1, 'pool', $2)", actor_id, str(actor_id)
        )
    connection.terminate()

    async def revive() -> None:
        """Nothing ever has to be started again."""

    async def make() -> Journal:
        pool = await open_pool(url, size=3)
        stack.callback(pool.terminate)
        journal = PostgresJournal(
            url=url,
            timeout_s=TIMEOUT_S,
            pool=pool,
            ownership=Ownership(pool, name="contract", server="", address="", dead_after_ms=0),
            era=installation.era,
            revive=revive,
        )
        await journal.renew()
        stack.push_async_callback(journal.resign)
        return journal

    return make


def batch_of(records: Sequence[Record], *, wakes: dict[int, int | None] | None = None) -> Batch:
    batch = Batch()
    for record in records:
        batch.add(
            actor_id=record.actor_id,
            seq=record.seq,
            at_ms=record.at_ms,
            kind=record.kind,
            version=record.version,
            body=record.body,
            digest=record.digest,
            principal=record.principal,
            idempotency_key=record.idempotency_key,
            request_digest=record.request_digest,
        )
    batch.wakes.update(wakes or {})
    return batch


def keyed_row(record: Record, *, principal: str, key: str) -> Record:
    return Record(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        digest=record.digest,
        principal=principal,
        idempotency_key=key,
        request_digest=b"as it was asked!",
    )


async def stored(journal: Journal, *, actor_id: int = ACTOR, after_seq: int = 0) -> list[Record]:
    chunks = [chunk async for chunk in journal.records(actor_id, after_seq=after_seq)]
    assert all(chunks), "no chunk is empty"
    return [record for chunk in chunks for record in chunk]


async def test_whoever_claims_first_owns_every_shard(make_journal: MakeJournal) -> None:
    journal = await make_journal()

    assert await journal.claim() == frozenset(range(SHARDS))
    assert await journal.beat()


async def test_appended_rows_are_read_back_as_they_were(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[:2]))
    await journal.append(batch_of(records[2:]))
    await journal.append(batch_of(records_of(EVENTS[:1], actor_id=OTHER)))

    assert await stored(journal) == records
    assert await stored(journal, after_seq=1) == records[1:]
    assert await stored(journal, after_seq=3) == []


async def test_an_append_is_stored_whole_or_not_at_all(make_journal: MakeJournal) -> None:
    """The key is (actor, seq): of two who believe they own an actor, one appends seq n+1."""
    journal = await make_journal()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[:1]))
    both = [*records_of(EVENTS[:1], actor_id=OTHER), *records[:2]]
    with pytest.raises(JournalError):
        await journal.append(batch_of(both, wakes={ACTOR: NOW_MS}))
    await journal.renew()

    assert await stored(journal) == records[:1]
    assert await stored(journal, actor_id=OTHER) == []
    assert await journal.due_wakes(now_ms=NOW_MS, limit=9) == []


async def test_the_key_alone_accepts_a_gap(make_journal: MakeJournal) -> None:
    """So it is the worker that must not send a row after one that failed."""
    journal = await make_journal()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[2:]))

    assert await stored(journal) == records[2:]


async def test_a_fenced_incarnation_can_neither_append_nor_confirm(
    make_journal: MakeJournal,
) -> None:
    deposed = await make_journal()
    await deposed.claim()
    await deposed.confirm()
    heir = await make_journal()

    assert await heir.claim() == frozenset(range(SHARDS))
    assert not await deposed.beat()
    with pytest.raises(JournalError):
        await deposed.confirm()
    with pytest.raises(JournalError):
        await deposed.append(batch_of(records_of(EVENTS), wakes={ACTOR: NOW_MS}))
    assert await stored(heir) == []
    assert await heir.due_wakes(now_ms=NOW_MS, limit=9) == []
    assert await deposed.claim() == frozenset()


async def test_a_renewal_keeps_the_shards_and_may_write_again(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    claimed = await journal.claim()
    with pytest.raises(JournalError):
        await journal.append(batch_of([*records_of(EVENTS), *records_of(EVENTS)]))

    assert await journal.renew() == claimed

    await journal.append(batch_of(records_of(EVENTS)))

    assert len(await stored(journal)) == 3


async def test_a_deposed_worker_renews_to_nothing(make_journal: MakeJournal) -> None:
    deposed = await make_journal()
    await deposed.claim()
    await (await make_journal()).claim()

    assert await deposed.renew() == frozenset()
    assert await deposed.beat()


async def test_what_is_resigned_is_free_at_once(make_journal: MakeJournal) -> None:
    first = await make_journal()
    await first.claim()
    await first.resign()

    assert len(await (await make_journal()).claim()) == SHARDS


async def test_rows_are_found_by_principal_and_key(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    names = [("", "k"), ("ada", "k"), ("", "l")]
    rows = [
        keyed_row(record, principal=principal, key=key)
        for record, (principal, key) in zip(records_of(EVENTS), names, strict=True)
    ]
    wanted = [("", "k"), ("ada", "k"), ("ada", "l"), ("", "m")]

    assert await journal.append(batch_of(rows), wanted) == []
    more = batch_of(records_of(EVENTS, actor_id=OTHER))
    for ask in (journal.find_keys, journal.confirm, partial(journal.append, more)):
        found = await ask(wanted)

        assert sorted(found, key=lambda row: row.seq) == rows[:2]


async def test_rows_with_and_without_keys_travel_together(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    plain = records_of(EVENTS)
    rows = [plain[0], keyed_row(plain[1], principal="", key=" ~"), plain[2]]
    rows += [keyed_row(row, principal="ada", key="l") for row in records_of(EVENTS, actor_id=OTHER)]
    await journal.append(batch_of(rows))
    found = await journal.confirm([("", " ~"), ("ada", "l"), ("", "")])

    assert sorted(found, key=lambda row: (row.actor_id, row.seq)) == [rows[1], *rows[3:]]
    assert await stored(journal) == plain


async def test_wake_ups_are_stored_with_the_rows(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    mine, others = records_of(EVENTS), records_of(EVENTS, actor_id=OTHER)
    wakes: dict[int, int | None] = {ACTOR: NOW_MS + 2, OTHER: NOW_MS + 1}
    await journal.append(batch_of([mine[0], others[0]], wakes=wakes))

    assert await journal.due_wakes(now_ms=NOW_MS, limit=9) == []
    assert await journal.due_wakes(now_ms=NOW_MS + 1, limit=9) == [OTHER]
    assert await journal.due_wakes(now_ms=NOW_MS + 2, limit=9) == [OTHER, ACTOR]
    assert await journal.due_wakes(now_ms=NOW_MS + 2, limit=1) == [OTHER]
    assert (await journal.origin(ACTOR)).wake_at_ms == NOW_MS + 2

    await journal.append(batch_of([mine[1], others[1]], wakes={OTHER: None, ACTOR: NOW_MS}))

    assert await journal.due_wakes(now_ms=NOW_MS + 2, limit=9) == [ACTOR]
    assert (await journal.origin(OTHER)).wake_at_ms is None


async def test_a_recovery_starts_from_the_newest_snapshot(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    records = records_of(EVENTS)
    await journal.append(batch_of(records))
    fresh = await journal.origin(ACTOR)

    assert (fresh.snapshot, fresh.head) == (None, GENESIS)

    for seq in (2, 1, 3):
        await journal.save_snapshot(ACTOR, StoredSnapshot(seq=seq, state=b"%d" % seq))
    origin = await journal.origin(ACTOR)

    assert origin.snapshot == StoredSnapshot(seq=3, state=b"3")
    assert origin.head == records[2].digest


async def test_a_snapshot_of_the_same_seq_replaces_the_former(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    await journal.append(batch_of(records_of(EVENTS)))
    for state in (b"first", b"second"):
        await journal.save_snapshot(ACTOR, StoredSnapshot(seq=3, state=state))

    assert (await journal.origin(ACTOR)).snapshot == StoredSnapshot(seq=3, state=b"second")


async def test_an_actor_that_was_never_used_has_no_origin(make_journal: MakeJournal) -> None:
    journal = await make_journal()
    origin = await journal.origin(OTHER)

    assert (origin.snapshot, origin.head, origin.wake_at_ms) == (None, GENESIS, None)
    assert await stored(journal, actor_id=OTHER) == []
