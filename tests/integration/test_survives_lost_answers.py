"""The line to PostgreSQL dies between an append and its answer; nobody guesses what happened."""

import asyncio
from pathlib import Path

import pytest

from allocator.errors import JournalError
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.ownership import Ownership
from tests.integration.crowd import crowd, promised
from tests.integration.proxy import AN_ORDER, Fault, proxied
from tests.integration.serving import HANG_S, Server, problem_of, serving, until
from tests.integration.truth import (
    books_of,
    check,
    check_read_models,
    query,
    until_nothing_waits,
)

IMPATIENT = ("--database-timeout-ms", "1000")
PROMPT_S = 9.0

HAPPENED = {
    Fault.ANSWER_LOST: True,
    Fault.REQUEST_LOST: False,
    Fault.ANSWER_SILENT: True,
    Fault.HALF_SENT: False,
}
"""Whether the commit happened though nobody was told."""


async def assert_the_outcome_is_unknown(server: Server, *, key: str) -> None:
    """Place an order of which nobody can say what became of it."""
    answer = await server.order("tea", 4, customer=key, key=key)
    assert answer.is_unavailable, answer
    assert "unknown" in problem_of(answer).detail
    assert answer.took_s < PROMPT_S


@pytest.mark.parametrize("fault", HAPPENED)
async def test_an_order_whose_commit_went_unanswered_is_placed_once(
    database_url: str, tmp_path: Path, fault: Fault
) -> None:
    """C13, C16, N16, Q3."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, *IMPATIENT, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        proxy.arm(fault, at=AN_ORDER)
        await assert_the_outcome_is_unknown(server, key="one")
        await until(server.is_ready)

        book = (await books_of(database_url))["tea"]
        assert [order.tag for order in book.orders.values()] == ["one"] * HAPPENED[fault]
        assert (await server.balance("tea")).available == book.available

        first = await server.placed("tea", 4, customer="one", key="one")
        again = await server.placed("tea", 4, customer="one", key="one")
        assert first.id == again.id
        assert (await server.balance("tea")).available == 6
        await check_read_models(server, database_url, await books_of(database_url))
        await until_nothing_waits(server)


@pytest.mark.parametrize("fault", HAPPENED)
async def test_a_crowd_survives_commits_that_went_unanswered(
    database_url: str, tmp_path: Path, fault: Fault
) -> None:
    """C13, C16, Q1, Q2, Q3."""
    stock = {"hot": 100_000, "scarce": 20}
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, *IMPATIENT, log=tmp_path / "log") as server,
    ):
        await server.open_shop(**stock)
        async with crowd(server, *stock) as told:
            for _ in range(2):
                await promised(told, more=50)
                proxy.arm(fault, at=AN_ORDER)
                await until(lambda: proxy.struck is not None)
            await promised(told, more=50)

        await check(server, database_url, told)
        assert told.unavailable > 0
        assert told.slowest_s < PROMPT_S


async def test_a_writer_that_lost_its_line_in_mid_request_is_freed_of_its_lock(
    database_url: str, tmp_path: Path
) -> None:
    """Nobody tells PostgreSQL that the client has gone; only ending the session frees the lock."""
    locked = "SELECT FROM pg_locks WHERE relation = 'workers'::regclass AND mode = 'RowShareLock'"
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, *IMPATIENT, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        proxy.arm(Fault.HALF_SENT, at=AN_ORDER)
        asked = asyncio.create_task(server.order("tea"))

        async def begun() -> bool:
            return bool(await query(database_url, locked))

        await until(begun)
        assert (await asked).is_unavailable
        await until(server.is_ready)

        assert server.logged("ownership.ending_sessions")
        assert (await server.balance("tea")).available == 10


async def test_an_append_that_arrives_after_it_was_given_up_appends_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """C13, C16: what is not there after the repair can never appear."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, *IMPATIENT, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        proxy.arm(Fault.REQUEST_DELAYED, at=AN_ORDER)
        await assert_the_outcome_is_unknown(server, key="late")
        await until(server.is_ready)
        assert (await server.balance("tea")).available == 10

        assert proxy.struck is not None
        proxy.struck.release()
        await asyncio.wait_for(proxy.struck.answered.wait(), HANG_S)
        assert (await books_of(database_url))["tea"].version == 1
        await server.placed("tea", 4, customer="late", key="late")
        assert (await server.balance("tea")).available == 6


async def test_a_wait_that_times_out_as_it_ends_the_holder_of_the_lock_has_ended_it(
    database_url: str, tmp_path: Path
) -> None:
    """Or each attempt would give up in the moment in which it loses its patience."""
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.terminate()
    pool = await open_pool(database_url, size=4, timeout_s=0.5)
    ownership = Ownership(pool, name="impatient", server="", address="", dead_after_ms=0)
    incarnation, _ = await ownership.renew()
    await ownership.claim()
    stuck = await connect(database_url, application_name=str(incarnation))
    await stuck.execute("BEGIN; SELECT FROM workers FOR SHARE")

    with pytest.raises(JournalError):
        await ownership.renew()
    await until(stuck.is_closed)
    _, shards = await ownership.renew()
    assert len(shards) == 256
    await pool.close()


async def test_when_every_line_goes_silent_new_ones_are_opened(
    database_url: str, tmp_path: Path
) -> None:
    """C13, Q3: a firewall that forgot our connections is not waited for one by one."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, *IMPATIENT, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=100)
        order = await server.placed("tea")
        # Have the server open as many connections as it ever does.
        await asyncio.gather(*(server.shown(order.id) for _ in range(64)))
        proxy.silence()

        answers = await asyncio.gather(server.order("tea", 4), server.ask("GET", "/orders"))
        assert answers[0].is_unavailable, answers
        assert answers[1].is_unavailable or answers[1].status == 200, "asked on a new one"
        assert max(answer.took_s for answer in answers) < PROMPT_S
        await until(server.is_ready)
        assert server.logged("worker.repaired")
        assert not server.logged("worker.repair_failed")

        shown = await asyncio.gather(*(server.shown(order.id) for _ in range(64)))
        assert {each.status for each in shown} == {"new"}
        await server.placed("tea", 4, key="one")
        assert (await server.balance("tea")).available == 95
