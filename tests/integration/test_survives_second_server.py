"""Two servers on one database: one serves, the other waits; whoever was deposed says nothing."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.crowd import crowd, promised
from tests.integration.proxy import AN_ORDER, Fault, proxied
from tests.integration.serving import Server, serving, until
from tests.integration.truth import books_of, check, query, until_nothing_waits

WATCHFUL = ("--heartbeat-ms", "100", "--dead-after-ms", "500")
DEAD_AFTER_S = 2.0
STEADY = ("--heartbeat-ms", "100", "--dead-after-ms", "2000")
"""Whoever is only slow for a moment is not taken for dead."""

STOCK = {"hot": 100_000, "scarce": 20}


@asynccontextmanager
async def two_servers(
    database_url: str,
    logs: Path,
    *,
    first_url: str | None = None,
    patience: tuple[str, ...] = WATCHFUL,
) -> AsyncIterator[tuple[Server, Server]]:
    """One that serves, and one that waits."""
    url = database_url if first_url is None else first_url
    second = Server("--database-url", database_url, *patience, log=logs / "second.log")
    async with serving("--database-url", url, *patience, log=logs / "first.log") as first:
        try:
            await second.start()
            yield first, second
        finally:
            await second.close()


async def test_a_second_server_waits_and_takes_over_when_the_first_dies(
    database_url: str, tmp_path: Path
) -> None:
    """C13, C16, N16, Q1, Q3, Q7."""
    async with two_servers(database_url, tmp_path, patience=STEADY) as (first, second):
        await first.open_shop(**STOCK)
        async with crowd(first, *STOCK, also=(second,)) as told:
            began = time.monotonic()
            while time.monotonic() < began + 1.5 * DEAD_AFTER_S:
                assert (await second.order("hot", customer="nobody")).is_unavailable
                assert (await second.ask("GET", "/readyz")).is_unavailable
            await promised(told, more=100)
            died = time.monotonic()
            first.crash()
            await until(second.is_ready)
            assert time.monotonic() > died + DEAD_AFTER_S / 2, "it did not wait"
            await promised(told, more=100)

        await check(second, database_url, told)


async def test_a_server_that_was_deposed_in_its_sleep_gives_no_answer_of_its_own(
    database_url: str, tmp_path: Path
) -> None:
    """C9, C16, Q3: a refusal or a number from an outdated memory is wrong as well."""
    async with two_servers(database_url, tmp_path) as (first, second):
        await first.open_shop(tea=1)
        order = await first.placed("tea")
        assert (await first.order("tea")).status == 409
        os.kill(first.pid, signal.SIGSTOP)
        await until(second.is_ready)
        await second.receive("tea", 5)

        asked = [
            asyncio.create_task(request)
            for request in (
                first.order("tea"),
                first.order("tea", key="once"),
                first.ask("POST", f"/orders/{order.id}/dispatch"),
                first.ask("POST", "/stocks", {"product": "tea", "warehouse": "main"}),
                first.ask("GET", "/stock-balances/main/tea"),
                first.ask("GET", f"/orders/{order.id}"),
            )
        ]
        await second.balance("tea")  # and meanwhile the others are on their way
        os.kill(first.pid, signal.SIGCONT)
        answers = await asyncio.gather(*asked)

        assert all(answer.is_unavailable for answer in answers), answers
        assert not await first.is_ready()
        await until_nothing_waits(first)
        assert (await second.balance("tea")).available == 5
        assert (await second.shown(order.id)).status == "new"
        assert (await books_of(database_url))["tea"].version == 3


@pytest.mark.parametrize("locks", ["fencing and primary key", "fencing alone"])
async def test_two_servers_that_depose_each_other_under_load_lose_nothing(
    database_url: str, tmp_path: Path, locks: str
) -> None:
    """C13, C16, Q1, Q2, Q3, Q6."""
    async with two_servers(database_url, tmp_path) as (first, second):
        if "alone" in locks:
            await query(database_url, "ALTER TABLE journal DROP CONSTRAINT journal_pkey")
            await query(database_url, "CREATE INDEX ON journal (actor_id, seq)")
        await first.open_shop(**STOCK)
        async with crowd(first, *STOCK, also=(second,)) as told:
            for asleep, other in ((first, second), (second, first)):
                await promised(told, more=100)
                os.kill(asleep.pid, signal.SIGSTOP)
                await until(other.is_ready)
                await other.placed("hot", key=str(asleep.pid))
                os.kill(asleep.pid, signal.SIGCONT)
            await promised(told, more=100)

        await check(first, database_url, told)
        await until_nothing_waits(second)


async def test_a_server_that_stops_hands_over_to_the_one_that_waits(
    database_url: str, tmp_path: Path
) -> None:
    """C13, Q1, Q7: and does not leave it to find out."""
    patient = ("--heartbeat-ms", "100", "--dead-after-ms", "60000")
    async with two_servers(database_url, tmp_path, patience=patient) as (first, second):
        await first.open_shop(**STOCK)
        async with crowd(first, *STOCK, also=(second,)) as told:
            await promised(told, more=100)
            assert await first.terminate() == 0
            await until(second.is_ready)
            await promised(told, more=100)

        await check(second, database_url, told)


async def test_a_lock_that_a_dead_server_left_behind_is_broken(
    database_url: str, tmp_path: Path
) -> None:
    """Nobody tells PostgreSQL that the first has died, in the middle of an append."""
    async with (
        proxied(database_url) as proxy,
        two_servers(database_url, tmp_path, first_url=proxy.url) as (first, second),
    ):
        await first.open_shop(tea=10)
        await first.placed("tea", customer="before")
        proxy.arm(Fault.HALF_SENT, at=AN_ORDER)
        asked = asyncio.create_task(first.order("tea", customer="half"))
        await until(lambda: proxy.struck is not None)
        first.crash()
        await until(second.is_ready)
        await asyncio.gather(asked, return_exceptions=True)

        assert second.logged("ownership.ending_sessions")
        book = (await books_of(database_url))["tea"]
        assert [order.tag for order in book.orders.values()] == ["before"]
        await second.placed("tea", customer="after")
        assert (await second.balance("tea")).available == 8
