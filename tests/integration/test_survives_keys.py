"""A key is used once, however its lookup, its repeats and the loss of the journal interleave."""

import asyncio
from pathlib import Path

from tests.integration.proxy import Fault, Proxy, proxied
from tests.integration.serving import Server, order_of, serving, until
from tests.integration.truth import appends_held, books_of, query, until_nothing_waits

END_WRITER = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name IN (SELECT incarnation::text FROM workers WHERE NOT fenced)
"""

PROMPT_S = 9.0
"""Less than PostgreSQL may take to answer by default."""


async def lookup_held(server: Server, proxy: Proxy, *, key: str, fault: Fault) -> asyncio.Task[int]:
    """Place an order whose key is being looked up and stays so; return the status to come."""
    proxy.arm(fault, at=key.encode())

    async def status() -> int:
        return (await server.order("tea", key=key)).status

    asked = asyncio.create_task(status())
    await until(lambda: proxy.struck is not None)
    return asked


async def lose_the_journal(server: Server, database_url: str) -> None:
    """Have the server replace its incarnation."""
    before = len(server.logged("worker.repaired"))
    await query(database_url, END_WRITER)
    assert (await server.order("tea")).is_unavailable
    await until(lambda: len(server.logged("worker.repaired")) > before)


async def test_a_lookup_that_fails_late_does_not_let_a_key_be_used_twice(
    database_url: str, tmp_path: Path
) -> None:
    """N16: the repeats of a request that was given up are one request."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        first = await lookup_held(server, proxy, key="once", fault=Fault.ANSWER_DELAYED)
        assert proxy.struck is not None
        await proxy.struck.waiting.wait()
        await lose_the_journal(server, database_url)
        assert await first == 503

        async with appends_held(database_url):
            repeats = [asyncio.create_task(server.order("tea", key="once")) for _ in range(2)]
            await until(lambda: _counted(server, requests=2))
            proxy.struck.cut()
            await until(lambda: _counted(server, requests=3))
            repeats.append(asyncio.create_task(server.order("tea", key="once")))
            await until(lambda: _counted(server, requests=4))
            repeats.append(asyncio.create_task(server.order("tea", key="another")))
            await until(lambda: _waiting(server, messages=2))
        *same, other = await asyncio.gather(*repeats)

        assert len({order_of(answer).id for answer in same}) == 1
        assert order_of(other).id != order_of(same[0]).id
        assert (await books_of(database_url))["tea"].ordered == 2
        await until_nothing_waits(server)


async def test_a_lookup_that_hangs_holds_nobody_up_once_the_journal_is_back(
    database_url: str, tmp_path: Path
) -> None:
    """N16."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        first = await lookup_held(server, proxy, key="once", fault=Fault.ANSWER_SILENT)
        await lose_the_journal(server, database_url)
        assert await first == 503

        async with asyncio.timeout(PROMPT_S):
            await server.placed("tea", key="once")
            await server.placed("tea", key="another")


async def _counted(server: Server, *, requests: int) -> bool:
    """Whether so many keyed requests were looked up or joined to another."""
    lookups = await server.metric("allocator_key_lookups_total")
    return lookups + await server.metric("allocator_key_repeats_total") >= requests


async def _waiting(server: Server, *, messages: int) -> bool:
    return await server.metric("allocator_unanswered_messages") >= messages
