"""`allocator journal verify` as its user runs it: lines, exit codes, and Ctrl-C."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from allocator.journal.verify.command import look_around
from allocator.journal.verify.ranges import Range
from allocator.journal.verify.workers import Advance, Job, Workers
from allocator.persistence.windows import EVERYBODY, NOBODY
from tests.integration.journal_command import interrupted, journal
from tests.integration.shop import database
from tests.integration.verifying import actor_of, fill

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAITING = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE application_name = 'allocator verify' AND wait_event_type = 'Lock'
  AND datname = current_database()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(module_database_url: str) -> AsyncIterator[str]:
    await fill(module_database_url)
    yield module_database_url


async def execute(url: str, sql: str) -> None:
    async with database(url) as connection:
        await connection.execute(sql)


async def test_what_is_wrong_is_listed_and_repaired_and_then_all_agrees(url: str) -> None:
    sound = await journal("verify", "--database-url", url)
    assert (sound.code, sound.errors) == (0, "")
    assert sound.lines == ["31 events of 15 actors, and all that is stored agrees with them"]

    await execute(url, "UPDATE balances SET available = 77 WHERE available IN (2, 8)")
    wrong = await journal("verify", "--database-url", url, "--processes", "2")
    assert wrong.code == 1
    coffee = (
        "the balance at version 2 is another (expected (2, 1, 0, 0, ()), found (77, 1, 0, 0, ()))"
    )
    tea = "the balance at version 9 is another (expected (8, 4, 0, 0, ()), found (77, 4, 0, 0, ()))"
    assert set(wrong.lines[:2]) == {f"main/coffee: {coffee}", f"main/tea: {tea}"}
    assert wrong.lines[2:] == ["2 wrong: 2 balance", "31 events of 15 actors"]

    mended = await journal("verify", "--database-url", url, "--repair", "--json", "--limit", "1")
    assert mended.code == 0
    fault, last = mended.objects
    assert (fault["kind"], fault["repaired"]) == ("balance", True)
    assert last["summary"] == {
        "events": 31,
        "actors": 15,
        "faults": {"balance": 2},
        "repaired": {"balance": 2},
        "seconds": json.loads(json.dumps(last))["summary"]["seconds"],
    }
    assert (await journal("verify", "--database-url", url)).code == 0


async def test_a_server_of_which_nothing_is_known_is_not_asked(url: str) -> None:
    for wrong in (("--server", "localhost:1"), ("--key", "alk_x"), ("--processes", "0")):
        told = await journal("verify", "--database-url", url, *wrong)
        assert told.code == 2
        assert told.errors.count("\n") == 1


async def test_a_database_without_a_journal_is_refused(database_url: str) -> None:
    told = await journal("verify", "--database-url", database_url)

    assert told.code == 2
    assert "nothing is stored in this database yet" in told.errors


async def test_half_an_import_is_no_installation(url: str) -> None:
    await execute(url, "INSERT INTO imports (header, indexes) VALUES ('', '{}')")

    told = await journal("verify", "--database-url", url)

    await execute(url, "DELETE FROM imports")
    assert told.code == 2
    assert "has not finished" in told.errors


@pytest.mark.parametrize("how", [(), ("--processes", "1", "--repair")])
async def test_ctrl_c_stops_it_at_any_time_and_says_what_was_done(
    url: str, how: tuple[str, ...]
) -> None:
    async with database(url) as locking, database(url) as looking:

        async def waits() -> bool:
            return bool(await looking.fetchval(WAITING))

        async with locking.transaction():
            await locking.execute("LOCK TABLE stocks")
            told = await interrupted(waits, "verify", "--database-url", url, *how)

        assert told.code == 130
        assert told.errors.startswith("allocator: stopped; ")
        assert ("nothing was changed" in told.errors) == (how == ())


async def test_processes_share_the_ranges_and_tell_how_far_they_are(url: str) -> None:
    job = Job(url=url, repair=False, server=None)
    tea = await actor_of(url, "main/tea")
    ranges = [
        Range(first=first, last=last, actors=1, events=1)
        for first, last in ((NOBODY, tea - 1), (tea, tea), (tea + 1, EVERYBODY))
    ]

    with Workers(job, processes=2) as workers:
        said = list(workers.run(ranges))

    events = [each.events for each in said if isinstance(each, Advance)]
    assert sum(events) == 31
    assert sum(not isinstance(each, Advance) for each in said) == len(ranges)
    _, alone = await look_around(url)
    assert [(each.first, each.last, each.events) for each in alone] == [(NOBODY, EVERYBODY, 31)]
