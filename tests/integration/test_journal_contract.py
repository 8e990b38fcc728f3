"""What actors may expect of a journal: of the one in PostgreSQL and of the one in the tests.

Every test runs against both. So what is proved over `MemoryJournal`, breakdowns included, is
proved over something that promises what PostgreSQL promises.
"""

from collections.abc import AsyncIterator, Sequence
from functools import partial

import pytest
import pytest_asyncio

from allocator.actors.ports import Journal
from allocator.domain.ids import SHARD_MASK, SHARDS
from allocator.domain.messages import Event, OrderPlaced, StockReceived
from allocator.domain.records import GENESIS, Batch, Record, StoredSnapshot
from allocator.errors import JournalError
from tests.builders import ACTOR, NOW_MS, records_of
from tests.integration.journals import Journals, MemoryJournals, in_postgres

OTHER = ACTOR + 256
EVENTS: list[tuple[int, Event]] = [
    (NOW_MS, StockReceived(quantity=5)),
    (NOW_MS + 1, OrderPlaced(quantity=1, picks=((1, 1),), customer='Žofie "Ω"\n😀')),
    (NOW_MS + 1, OrderPlaced(quantity=1, picks=((1, 1),))),
]


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def journals(request: pytest.FixtureRequest) -> AsyncIterator[Journals]:
    """Of workers that see no life in any other."""
    if request.param == "memory":
        yield MemoryJournals(dead_after_ms=0)
        return
    url = request.getfixturevalue("database_url")
    async with in_postgres(url, ACTOR, OTHER, dead_after_ms=0) as opened:
        yield opened


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


async def due(journal: Journal, now_ms: int) -> list[tuple[int, int]]:
    """Who is to be woken by then."""
    return list(await journal.due_wakes(now_ms=now_ms, limit=9, shards=range(SHARDS)))


async def stored(journal: Journal, *, actor_id: int = ACTOR, after_seq: int = 0) -> list[Record]:
    chunks = [chunk async for chunk in journal.records(actor_id, after_seq=after_seq)]
    assert all(chunks), "no chunk is empty"
    return [record for chunk in chunks for record in chunk]


async def test_whoever_claims_first_owns_every_shard(journals: Journals) -> None:
    journal = await journals.open()

    assert await journal.claim() == frozenset(range(SHARDS))
    assert await journal.beat()


async def test_appended_rows_are_read_back_as_they_were(journals: Journals) -> None:
    journal = await journals.open()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[:2]))
    await journal.append(batch_of(records[2:]))
    await journal.append(batch_of(records_of(EVENTS[:1], actor_id=OTHER)))

    assert await stored(journal) == records
    assert await stored(journal, after_seq=1) == records[1:]
    assert await stored(journal, after_seq=3) == []


async def test_an_append_is_stored_whole_or_not_at_all(journals: Journals) -> None:
    """The key is (actor, seq): of two who believe they own an actor, one appends seq n+1."""
    journal = await journals.open()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[:1]))
    both = [*records_of(EVENTS[:1], actor_id=OTHER), *records[:2]]
    with pytest.raises(JournalError):
        await journal.append(batch_of(both, wakes={ACTOR: NOW_MS}))
    await journal.renew()

    assert await stored(journal) == records[:1]
    assert await stored(journal, actor_id=OTHER) == []
    assert await due(journal, NOW_MS) == []


async def test_the_key_alone_accepts_a_gap(journals: Journals) -> None:
    """So it is the worker that must not send a row after one that failed."""
    journal = await journals.open()
    records = records_of(EVENTS)
    await journal.append(batch_of(records[2:]))

    assert await stored(journal) == records[2:]


async def test_a_fenced_incarnation_can_neither_append_nor_confirm(
    journals: Journals,
) -> None:
    deposed = await journals.open()
    await deposed.claim()
    await deposed.confirm()
    heir = await journals.open()

    assert await heir.claim() == frozenset(range(SHARDS))
    assert not await deposed.beat()
    with pytest.raises(JournalError):
        await deposed.confirm()
    with pytest.raises(JournalError):
        await deposed.append(batch_of(records_of(EVENTS), wakes={ACTOR: NOW_MS}))
    assert await stored(heir) == []
    assert await due(heir, NOW_MS) == []
    assert await deposed.claim() == frozenset()


async def test_a_renewal_keeps_the_shards_and_may_write_again(journals: Journals) -> None:
    journal = await journals.open()
    claimed = await journal.claim()
    with pytest.raises(JournalError):
        await journal.append(batch_of([*records_of(EVENTS), *records_of(EVENTS)]))

    assert await journal.renew() == claimed

    await journal.append(batch_of(records_of(EVENTS)))

    assert len(await stored(journal)) == 3


async def test_a_deposed_worker_renews_to_nothing(journals: Journals) -> None:
    deposed = await journals.open()
    await deposed.claim()
    await (await journals.open()).claim()

    assert await deposed.renew() == frozenset()
    assert await deposed.beat()


async def test_what_is_resigned_is_free_at_once(journals: Journals) -> None:
    first = await journals.open()
    await first.claim()
    await first.resign()

    assert len(await (await journals.open()).claim()) == SHARDS


async def test_rows_are_found_by_principal_and_key(journals: Journals) -> None:
    journal = await journals.open()
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


async def test_rows_with_and_without_keys_travel_together(journals: Journals) -> None:
    journal = await journals.open()
    plain = records_of(EVENTS)
    rows = [plain[0], keyed_row(plain[1], principal="", key=" ~"), plain[2]]
    rows += [keyed_row(row, principal="ada", key="l") for row in records_of(EVENTS, actor_id=OTHER)]
    await journal.append(batch_of(rows))
    found = await journal.confirm([("", " ~"), ("ada", "l"), ("", "")])

    assert sorted(found, key=lambda row: (row.actor_id, row.seq)) == [rows[1], *rows[3:]]
    assert await stored(journal) == plain


async def test_wake_ups_are_stored_with_the_rows(journals: Journals) -> None:
    journal = await journals.open()
    mine, others = records_of(EVENTS), records_of(EVENTS, actor_id=OTHER)
    wakes: dict[int, int | None] = {ACTOR: NOW_MS + 2, OTHER: NOW_MS + 1}
    await journal.append(batch_of([mine[0], others[0]], wakes=wakes))

    assert await due(journal, NOW_MS) == []
    assert await due(journal, NOW_MS + 1) == [(NOW_MS + 1, OTHER)]
    assert await due(journal, NOW_MS + 2) == [(NOW_MS + 1, OTHER), (NOW_MS + 2, ACTOR)]
    assert (await journal.origin(ACTOR)).wake_at_ms == NOW_MS + 2

    await journal.append(batch_of([mine[1], others[1]], wakes={OTHER: None, ACTOR: NOW_MS}))

    assert await due(journal, NOW_MS + 2) == [(NOW_MS, ACTOR)]
    assert (await journal.origin(OTHER)).wake_at_ms is None


async def test_wake_ups_are_read_page_by_page_in_an_order_that_leaves_none_out(
    journals: Journals,
) -> None:
    journal = await journals.open()
    rows = [*records_of(EVENTS[:1]), *records_of(EVENTS[:1], actor_id=OTHER)]
    await journal.append(batch_of(rows, wakes={OTHER: NOW_MS, ACTOR: NOW_MS}))
    shards = {ACTOR & SHARD_MASK}
    [first] = await journal.due_wakes(now_ms=NOW_MS, limit=1, shards=shards)
    [second] = await journal.due_wakes(now_ms=NOW_MS, limit=1, shards=shards, after=first)

    assert [first, second] == [(NOW_MS, ACTOR), (NOW_MS, OTHER)]
    assert not await journal.due_wakes(now_ms=NOW_MS, limit=1, shards=shards, after=second)


async def test_wake_ups_are_those_of_the_shards_that_are_asked_for(journals: Journals) -> None:
    journal = await journals.open()
    others = set(range(SHARDS)) - {ACTOR & SHARD_MASK}
    await journal.append(batch_of(records_of(EVENTS[:1]), wakes={ACTOR: NOW_MS}))

    assert await journal.due_wakes(now_ms=NOW_MS, limit=9, shards=others) == []
    assert await journal.due_wakes(now_ms=NOW_MS, limit=9, shards=()) == []


async def test_a_recovery_starts_from_the_newest_snapshot(journals: Journals) -> None:
    journal = await journals.open()
    records = records_of(EVENTS)
    await journal.append(batch_of(records))
    fresh = await journal.origin(ACTOR)

    assert (fresh.snapshot, fresh.head) == (None, GENESIS)

    for seq in (2, 1, 3):
        await journal.save_snapshot(ACTOR, StoredSnapshot(seq=seq, state=b"%d" % seq))
    origin = await journal.origin(ACTOR)

    assert origin.snapshot == StoredSnapshot(seq=3, state=b"3")
    assert origin.head == records[2].digest


async def test_a_snapshot_of_the_same_seq_replaces_the_former(journals: Journals) -> None:
    journal = await journals.open()
    await journal.append(batch_of(records_of(EVENTS)))
    for state in (b"first", b"second"):
        await journal.save_snapshot(ACTOR, StoredSnapshot(seq=3, state=state))

    assert (await journal.origin(ACTOR)).snapshot == StoredSnapshot(seq=3, state=b"second")


async def test_an_actor_that_was_never_used_has_no_origin(journals: Journals) -> None:
    journal = await journals.open()
    origin = await journal.origin(OTHER)

    assert (origin.snapshot, origin.head, origin.wake_at_ms) == (None, GENESIS, None)
    assert await stored(journal, actor_id=OTHER) == []
