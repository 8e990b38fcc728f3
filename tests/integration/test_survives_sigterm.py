"""SIGTERM: what was accepted is answered, nothing is left in doubt, and the next start is clean."""

import asyncio
from pathlib import Path

from allocator.persistence.embedded import EmbeddedPostgres
from tests.integration.calling import call, order_line, order_request, request_of
from tests.integration.crowd import crowd, promised
from tests.integration.embedded_support import working_below
from tests.integration.proxy import Fault, proxied
from tests.integration.serving import Answer, Server, serving, until
from tests.integration.truth import appends_held, books_of, check

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}
PROMPT_S = 20.0
"""Less than a server may take by default to finish what it has accepted."""


async def stopping(server: Server) -> asyncio.Task[int]:
    """Ask a server to stop, and wait until it has heard it; return the exit code to come."""
    ended = asyncio.create_task(server.terminate())
    await until(lambda: server.logged("server.stopping"))
    return ended


async def test_a_crowd_is_drained_and_the_next_start_is_clean(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13, Q1, Q7."""
    for former in (data_dir / "log").glob("postgresql-*.log"):
        former.unlink()  # the directory is a copy of one in which other tests killed servers
    async with serving("--data-dir", str(data_dir), log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            for _ in range(2):
                await promised(told, more=150)
                assert await server.terminate() == 0
                assert working_below(data_dir) == []
                assert server.logged("server.stopped")
                await server.start_ready()

        books = await check(server, EmbeddedPostgres(data_dir).dsn, told)
        written = {order.tag for book in books.values() for order in book.orders.values()}
        assert told.unknown == 0
        assert not told.unsure & written, "written down, and nobody was told"
        assert server.complaints() == []
    said = "".join(log.read_text() for log in (data_dir / "log").glob("postgresql-*.log"))
    assert "database system was shut down at" in said
    assert "not properly shut down" not in said


async def test_whatever_waits_for_its_commit_is_answered(database_url: str, tmp_path: Path) -> None:
    """C13, Q1."""

    async def all_accepted() -> bool:
        return await server.metric("allocator_unanswered_messages") == len(asked)

    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        order, other = await server.placed("tea"), await server.placed("tea")
        async with appends_held(database_url):
            asked: list[asyncio.Task[Answer]] = [
                asyncio.create_task(request)
                for request in (
                    server.order("tea"),
                    server.order("tea", key="once"),
                    server.order("tea", 100),
                    server.ask("POST", f"/orders/{order.id}/dispatch"),
                    server.ask("POST", f"/orders/{other.id}/cancel", key="cancel"),
                    server.ask("GET", "/stock-balances/main/tea"),
                )
            ]
            await until(all_accepted)
            ended = await stopping(server)
        answers = await asyncio.gather(*asked)

        assert [answer.status for answer in answers] == [201, 201, 409, 200, 200, 200]
        assert await ended == 0
        book = (await books_of(database_url))["tea"]
        assert (book.available, book.ordered) == (7, 2)


async def test_an_order_whose_key_is_being_looked_up_is_placed(
    database_url: str, tmp_path: Path
) -> None:
    """C13: it was accepted, though no mailbox knows of it yet."""
    async with (
        proxied(database_url) as proxy,
        serving("--database-url", proxy.url, log=tmp_path / "log") as server,
    ):
        await server.open_shop(tea=10)
        proxy.arm(Fault.ANSWER_DELAYED, at=b"a key")
        asked = asyncio.create_task(server.order("tea", key="a key"))
        await until(lambda: proxy.struck is not None)
        ended = await stopping(server)
        assert proxy.struck is not None
        proxy.struck.release()

        assert (await asked).status == 201
        assert await ended == 0


async def test_a_batch_is_answered_line_by_line_to_its_end(
    database_url: str, tmp_path: Path
) -> None:
    """C13: lines that come too late are told so."""
    early = b"".join(order_line("tea", f"early {number}") + b"\n" for number in range(3))
    late = order_line("tea", "late") + b"\n"

    async def accepted() -> bool:
        return await server.metric("allocator_unanswered_messages") == 3

    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        caller = await call(server.url)
        async with appends_held(database_url):
            length = len(early + late)
            await caller.say(request_of("/orders/batch", early, of="x-ndjson", length=length))
            await until(accepted)
            ended = await stopping(server)
        await caller.say(late)
        answer = await caller.everything()

        assert [answer.count(b'"status":201'), answer.count(b'"status":503')] == [3, 2]
        assert await ended == 0
        book = (await books_of(database_url))["tea"]
        assert [order.tag for order in book.orders.values()] == ["early 0", "early 1", "early 2"]


async def test_a_client_that_never_finishes_is_not_waited_for_longer_than_the_drain(
    database_url: str, tmp_path: Path
) -> None:
    """Nor one that is connected and says nothing."""
    short = ("--drain-ms", "500")
    async with serving("--database-url", database_url, *short, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        silent, unfinished = await call(server.url), await call(server.url)
        await unfinished.say(order_request("tea", "half")[:-1])
        await server.ok("GET", "/healthz")
        async with asyncio.timeout(PROMPT_S):
            assert await server.terminate() == 0

        assert b"201" not in await unfinished.everything()
        assert await silent.everything() == b""


async def test_a_server_without_its_database_stops_all_the_same(
    data_dir: Path, tmp_path: Path
) -> None:
    """Its heirs find out by its missing heartbeat."""
    with EmbeddedPostgres(data_dir) as database:
        async with serving("--database-url", database.dsn, log=tmp_path / "log") as server:
            await server.open_shop(tea=10)
            await asyncio.to_thread(database.stop)
            assert (await server.order("tea")).is_unavailable
            async with asyncio.timeout(PROMPT_S):
                assert await server.terminate() == 0
