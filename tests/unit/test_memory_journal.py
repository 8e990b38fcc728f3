"""How calls of the database in memory end, and who waits for whom."""

import asyncio
from collections.abc import Callable

import pytest

from allocator.domain.ids import SHARDS
from allocator.domain.records import Batch, StoredSnapshot
from allocator.errors import FencedError, JournalError
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.journal import MemoryJournal
from allocator.persistence.memory.trouble import NO_TROUBLE, Call, End, Operation, Trouble
from tests.builders import ACTOR
from tests.virtual_time import now_ms, settle, virtual_time

OTHER = ACTOR + 256
ALL = frozenset(range(SHARDS))
TIMEOUT_S = 3.0
PATIENCE_S = 0.5
MISSED_S = 2.1


def row_of(seq: int, *, actor_id: int = ACTOR, key: str | None = None) -> Batch:
    batch = Batch()
    batch.add(
        actor_id=actor_id,
        seq=seq,
        at_ms=seq,
        kind="kind",
        version=1,
        body="{}",
        digest=bytes(16),
        principal="",
        idempotency_key=key,
        request_digest=None if key is None else bytes(16),
    )
    return batch


def seqs(database: MemoryDatabase, *, actor_id: int = ACTOR) -> list[int]:
    return [record.seq for record in database.journal_of(actor_id)]


def trouble_with(operation: Operation, trouble: Trouble) -> Callable[[Call], Trouble]:
    """Return what brings trouble upon the next call of an operation."""
    left = [trouble]

    def asked(call: Call) -> Trouble:
        return left.pop() if left and call.operation == operation else NO_TROUBLE

    return asked


async def opened(
    database: MemoryDatabase, *, name: str = "one", server: str = "ours"
) -> MemoryJournal:
    journal = MemoryJournal(database, name=name, server=server, timeout_s=TIMEOUT_S)
    await journal.renew()
    return journal


def seconds() -> float:
    return asyncio.get_running_loop().time()


# How a call ends.


@pytest.mark.parametrize(
    ("end", "takes_s", "stored"),
    [
        (End.ANSWERED, 0.7, [1]),
        (End.REFUSED, 0.5, []),
        (End.ROLLED_BACK, 0.7, []),
        (End.LOST, 0.7, [1]),
        (End.CUT, 0.5, [1]),
        (End.SILENT, TIMEOUT_S, [1]),
        (End.STUCK, TIMEOUT_S, []),
    ],
)
def test_a_call_ends_as_it_is_told_to(end: End, takes_s: float, stored: list[int]) -> None:
    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        journal = await opened(database)
        troubled = Trouble(request_s=0.1, commit_s=0.2, reply_s=0.4, end=end)
        database.trouble = trouble_with("append", troubled)
        appending = asyncio.gather(journal.append(row_of(1)), return_exceptions=True)
        await asyncio.sleep(0.29)

        assert seqs(database) == []

        [result] = await appending

        assert seconds() == pytest.approx(takes_s)
        assert isinstance(result, JournalError) == (end is not End.ANSWERED)

        await asyncio.sleep(1)

        assert seqs(database) == stored

    scenario()


@virtual_time
async def test_a_caller_that_gives_up_has_its_append_stored_all_the_same() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    database.trouble = trouble_with("append", Trouble(request_s=1.0, commit_s=1.0))
    appending = asyncio.create_task(journal.append(row_of(1)))
    await asyncio.sleep(0.5)
    appending.cancel()
    await asyncio.sleep(2)

    assert seqs(database) == [1]


@virtual_time
async def test_what_was_sent_on_a_connection_that_is_closed_arrives_all_the_same() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    database.trouble = trouble_with("append", Trouble(request_s=1.0))
    appending = asyncio.create_task(journal.append(row_of(1)))
    await settle()
    database.trouble = trouble_with("renew", Trouble(end=End.REFUSED))
    results = await asyncio.gather(journal.renew(), appending, return_exceptions=True)

    assert [type(each) for each in results] == [JournalError] * 2
    assert seconds() == 0

    await asyncio.sleep(2)

    assert seqs(database) == [1]


@virtual_time
async def test_a_take_over_whose_caller_gives_up_before_the_commit_never_happened() -> None:
    """It is of several statements, and nobody is there to send the next."""
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    claimed = await journal.claim()
    database.trouble = trouble_with("renew", Trouble(request_s=1.0, commit_s=1.0))
    renewing = asyncio.create_task(journal.renew())
    await asyncio.sleep(0.5)
    renewing.cancel()
    await asyncio.sleep(2)

    assert database.shards_of(1) == claimed == ALL

    database.trouble = trouble_with("renew", Trouble(commit_s=1.0))
    renewing = asyncio.create_task(journal.renew())
    await asyncio.sleep(0.5)
    renewing.cancel()
    await asyncio.sleep(2)

    assert database.shards_of(1) == frozenset()
    assert await journal.renew() == claimed
    assert [row.fenced for row in database.workers.values()] == [True, True, False]


@virtual_time
async def test_a_take_over_whose_caller_gives_up_while_it_waits_lets_go_of_what_it_has() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal, heir = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("append", Trouble(commit_s=0.4))
    appending = asyncio.create_task(journal.append(row_of(1)))
    await settle()
    claiming = asyncio.create_task(heir.claim(dead=[str(journal.incarnation)]))
    await settle()
    claiming.cancel()
    await settle()

    assert len(await heir.claim()) == SHARDS // 2
    assert seconds() == 0
    await appending
    await journal.confirm()


@pytest.mark.parametrize("end", [End.LOST, End.SILENT, End.ROLLED_BACK, End.REFUSED, End.STUCK])
def test_after_a_renewal_of_unknown_outcome_the_next_one_keeps_the_shards(end: End) -> None:
    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        journal = await opened(database)
        await journal.claim()
        database.trouble = trouble_with("renew", Trouble(end=end))
        with pytest.raises(JournalError):
            await journal.renew()

        assert journal.incarnation is None
        assert await journal.beat()
        assert await journal.renew() == ALL

        unfenced = [row for row in database.workers.values() if not row.fenced]

        assert [row.incarnation for row in unfenced] == [journal.incarnation]

    scenario()


@virtual_time
async def test_a_renewal_fences_one_that_commits_while_it_waits() -> None:
    """What the lost one opened could not be seen before."""
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    await journal.claim()
    database.trouble = trouble_with("renew", Trouble(commit_s=TIMEOUT_S + 0.3))
    with pytest.raises(JournalError, match="TimeoutError"):
        await journal.renew()

    assert await journal.renew() == ALL
    assert [row.fenced for row in database.workers.values()] == [True, True, False]


@virtual_time
async def test_nothing_can_be_asked_on_a_connection_that_broke_until_a_renewal() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    database.trouble = trouble_with("confirm", Trouble(end=End.LOST))
    for _ in range(2):
        with pytest.raises(JournalError):
            await journal.confirm()
    await journal.renew()
    await journal.confirm()

    assert journal.violations == []


@pytest.mark.parametrize(("end", "heard"), [(End.ROLLED_BACK, False), (End.LOST, True)])
def test_a_heartbeat_that_did_not_happen_is_not_heard(end: End, *, heard: bool) -> None:
    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        journal, other = await opened(database), await opened(database, name="two")
        await asyncio.sleep(MISSED_S)
        database.trouble = trouble_with("beat", Trouble(end=end))
        with pytest.raises(JournalError):
            await journal.beat()

        assert len((await other.survey()).peers) == 1 + heard

    scenario()


@virtual_time
async def test_what_is_stuck_on_a_connection_is_found_whatever_was_asked_on_it_since() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    database.trouble = trouble_with("append", Trouble(end=End.STUCK))
    for call in (journal.append(row_of(1)), journal.confirm()):
        with pytest.raises(JournalError):
            await call

    assert seconds() == pytest.approx(TIMEOUT_S)

    await journal.renew()

    assert seconds() == pytest.approx(TIMEOUT_S + PATIENCE_S)


@virtual_time
async def test_two_statements_at_once_are_refused_and_noted() -> None:
    journal = await opened(MemoryDatabase(clock=now_ms))
    results = await asyncio.gather(
        journal.append(row_of(1)), journal.find_keys([]), return_exceptions=True
    )

    assert [type(each) for each in results] == [list, JournalError]
    assert journal.violations == ["find_keys while another statement is in flight"]


# Who waits for whom.


@virtual_time
async def test_fencing_waits_for_an_append_in_flight() -> None:
    database = MemoryDatabase(clock=now_ms)
    deposed, heir = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("append", Trouble(commit_s=0.4))
    appending = asyncio.create_task(deposed.append(row_of(1)))
    await settle()
    claiming = asyncio.create_task(heir.claim(dead=[str(deposed.incarnation)]))
    await asyncio.sleep(0.3)

    assert not claiming.done()
    assert seqs(database) == []
    assert await claiming == ALL
    assert seconds() == pytest.approx(0.4)
    assert seqs(database) == [1]
    assert await appending == []


@virtual_time
async def test_an_append_that_meets_a_fence_under_way_waits_and_is_not_stored() -> None:
    database = MemoryDatabase(clock=now_ms)
    deposed, heir = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("claim", Trouble(commit_s=0.4))
    claiming = asyncio.create_task(heir.claim(dead=[str(deposed.incarnation)]))
    await settle()
    with pytest.raises(FencedError):
        await deposed.append(row_of(1))

    assert seconds() == pytest.approx(0.4)
    assert await claiming == ALL
    assert seqs(database) == []


@virtual_time
async def test_an_append_that_meets_a_fence_that_is_rolled_back_is_stored() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal, other = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("claim", Trouble(commit_s=0.4, end=End.ROLLED_BACK))
    claiming = asyncio.create_task(other.claim(dead=[str(journal.incarnation)]))
    await settle()
    await journal.append(row_of(1))

    with pytest.raises(JournalError):
        await claiming
    assert seqs(database) == [1]


@virtual_time
async def test_a_stuck_append_is_ended_by_whoever_waits_for_it_for_long() -> None:
    database = MemoryDatabase(clock=now_ms)
    deposed, heir = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("append", Trouble(end=End.STUCK))
    appending = asyncio.create_task(deposed.append(row_of(1)))
    await settle()

    assert await heir.claim(dead=[str(deposed.incarnation)]) == ALL
    assert seconds() == pytest.approx(PATIENCE_S)
    with pytest.raises(JournalError, match="terminating"):
        await appending
    assert seqs(database) == []


@virtual_time
async def test_a_commit_that_has_begun_is_not_ended_but_its_answer_is_lost() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    database.trouble = trouble_with("append", Trouble(commit_s=PATIENCE_S + 0.2))
    heir = await opened(database, name="two")
    appending = asyncio.create_task(journal.append(row_of(1)))
    await settle()

    assert await heir.claim(dead=[str(journal.incarnation)]) == ALL
    assert seconds() == pytest.approx(PATIENCE_S + 0.2)
    with pytest.raises(JournalError, match="lost"):
        await appending
    assert seqs(database) == [1]


@virtual_time
async def test_a_take_over_that_is_stuck_ends_by_itself() -> None:
    database = MemoryDatabase(clock=now_ms)
    first, second = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("claim", Trouble(end=End.STUCK))
    stuck = asyncio.create_task(first.claim())
    await settle()

    assert len(await second.claim()) == SHARDS // 2
    assert seconds() == pytest.approx(1)
    with pytest.raises(JournalError):
        await stuck


@virtual_time
async def test_whoever_wants_the_same_row_waits_for_the_one_that_is_about_to_have_it() -> None:
    database = MemoryDatabase(clock=now_ms)
    first, second = await opened(database), await opened(database, name="two")
    for end, stored in ((End.ROLLED_BACK, True), (End.ANSWERED, False)):
        seq = len(seqs(database)) + 1
        database.trouble = trouble_with("append", Trouble(commit_s=0.4, end=end))
        began_s = seconds()
        appending = asyncio.gather(first.append(row_of(seq)), return_exceptions=True)
        await settle()
        [result] = await asyncio.gather(second.append(row_of(seq)), return_exceptions=True)
        await appending

        assert seconds() == pytest.approx(began_s + 0.4)
        assert isinstance(result, list) == stored


@virtual_time
async def test_a_row_is_in_the_tail_when_none_can_come_before_it_any_more() -> None:
    database = MemoryDatabase(clock=now_ms)
    slow, quick = await opened(database), await opened(database, name="two")
    database.trouble = trouble_with("append", Trouble(commit_s=0.4))
    appending = asyncio.create_task(slow.append(row_of(1)))
    await settle()
    await quick.append(row_of(1, actor_id=OTHER))

    assert seqs(database, actor_id=OTHER) == [1]
    assert database.tail_after(0) == []

    await appending
    [(first, mine), (second, theirs)] = database.tail_after(0)

    assert (mine.actor_id, theirs.actor_id) == (ACTOR, OTHER)
    assert database.tail_after(first) == [(second, theirs)]


# The end of the database.


@virtual_time
async def test_a_crash_undoes_what_is_not_committed_and_fails_every_call() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal, heir = await opened(database), await opened(database, name="two")
    await journal.append(row_of(1))
    database.trouble = trouble_with("append", Trouble(commit_s=0.4))
    appending = asyncio.create_task(journal.append(row_of(2)))
    await settle()
    claiming = asyncio.create_task(heir.claim(dead=[str(journal.incarnation)]))
    await settle()
    database.crash()
    results = await asyncio.gather(appending, claiming, return_exceptions=True)

    assert [type(each) for each in results] == [JournalError] * 2
    assert seconds() == 0
    with pytest.raises(JournalError):
        await heir.survey()

    database.start()
    await asyncio.sleep(1)

    assert seqs(database) == [1]
    with pytest.raises(JournalError):
        await journal.confirm()
    await journal.renew()
    await journal.append(row_of(2))
    assert await heir.claim() == ALL - await journal.claim()
    assert database.ongoing == {}


# What it is not asked by any contract.


@virtual_time
async def test_whoever_is_not_fenced_counts_when_shares_are_taken() -> None:
    """A heartbeat that comes back during a claim: what it owns is not free for long yet."""
    database = MemoryDatabase(clock=now_ms)
    first, second = await opened(database), await opened(database, name="two")
    await asyncio.sleep(MISSED_S)
    database.trouble = trouble_with("claim", Trouble(request_s=0.1))
    claiming = asyncio.create_task(first.claim())
    await second.beat()

    assert len(await claiming) == SHARDS // 2


@virtual_time
async def test_a_snapshot_that_stands_on_no_row_is_not_used() -> None:
    database = MemoryDatabase(clock=now_ms)
    journal = await opened(database)
    await journal.append(row_of(1))
    for seq in (1, 7):
        await journal.save_snapshot(ACTOR, StoredSnapshot(seq=seq, state=b"%d" % seq))
    origin = await journal.origin(ACTOR)

    assert origin.snapshot == StoredSnapshot(seq=1, state=b"1")


def test_the_same_calls_end_the_same_way_each_time() -> None:
    """Nothing depends on the addresses of objects, or on a clock that was not given."""
    assert play() == play()


def play() -> list[object]:
    heard: list[object] = []

    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        journals = [await opened(database, name=str(number)) for number in range(3)]
        ends = [*End] * 20

        def trouble(_: Call) -> Trouble:
            return Trouble(request_s=0.01, commit_s=0.2, reply_s=0.01, end=ends.pop())

        database.trouble = trouble
        for seq in range(1, 8):
            calls = [each.append(row_of(seq)) for each in journals]
            calls_too = [each.claim() for each in journals]
            for results in (calls, calls_too):
                heard.extend(map(repr, await asyncio.gather(*results, return_exceptions=True)))
            heard.append(seconds())
            await asyncio.gather(*[each.renew() for each in journals], return_exceptions=True)
        heard.append([database.journal_of(ACTOR), database.shards])

    scenario()
    return heard
