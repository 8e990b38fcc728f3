"""Full mailboxes: 503 at once for what does not fit, and every accepted request is answered."""

import asyncio
from pathlib import Path

from tests.integration.calling import call, order_line, request_of
from tests.integration.crowd import crowd, promised
from tests.integration.serving import Answer, Server, problem_of, serving, until
from tests.integration.truth import appends_held, books_of, check, query, until_nothing_waits

AT_ONCE_S = 9.0
"""Far below the time-out of a database that does not answer."""


async def until_waiting(server: Server, messages: int) -> None:
    """Wait until so many messages are accepted and unanswered."""

    async def waiting() -> bool:
        return await server.metric("allocator_unanswered_messages") == messages

    await until(waiting)


async def holds_up(database_url: str, table: str) -> bool:
    """Whether somebody waits for a lock of a table or of its rows."""
    sql = """
        SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database() AND query LIKE '%' || $1 || '%'
    """
    return bool(await query(database_url, sql, table))


def assert_turned_away(answers: list[Answer], *, whose: str) -> None:
    """They were told at once that there is no room, and whose."""
    for answer in answers:
        assert answer.is_unavailable, answer
        assert problem_of(answer).type == "/problems/overloaded"
        assert whose in problem_of(answer).detail
        assert answer.took_s < AT_ONCE_S


async def test_a_full_mailbox_turns_away_at_once_and_answers_what_it_took(
    database_url: str, tmp_path: Path
) -> None:
    """C13, C16, Q6."""
    narrow = ("--mailbox-max", "2")
    async with serving("--database-url", database_url, *narrow, log=tmp_path / "log") as server:
        await server.open_shop(tea=10, jam=10)
        async with appends_held(database_url):
            keyed = asyncio.create_task(server.order("tea", key="once"))
            await until(lambda: holds_up(database_url, "workers"))  # it has left its mailbox
            taken = [keyed, asyncio.create_task(server.order("tea"))]
            await until_waiting(server, 2)
            turned_away = [
                await server.order("tea"),
                await server.order("tea", key="another"),
                await server.ask("GET", "/stock-balances/main/tea"),
            ]
            assert_turned_away(turned_away, whose="product and warehouse")
            taken.append(asyncio.create_task(server.order("jam")))
            await until_waiting(server, 3)
            repeat = asyncio.create_task(server.order("tea", key="once"))
            await server.ok("GET", "/healthz")
        answers = await asyncio.gather(*taken)

        assert [answer.status for answer in answers] == [201, 201, 201]
        assert (await repeat).body == answers[0].body
        assert (await server.balance("tea")).available == 8
        await server.placed("tea", key="another")
        await until_nothing_waits(server)


async def test_a_full_server_turns_away_at_once_and_answers_what_it_took(
    database_url: str, tmp_path: Path
) -> None:
    """C13."""
    narrow = ("--mailbox-max", "2", "--worker-max", "3")
    async with serving("--database-url", database_url, *narrow, log=tmp_path / "log") as server:
        await server.open_shop(tea=10, jam=10, rye=10)
        async with appends_held(database_url):
            taken = [asyncio.create_task(server.order(sku)) for sku in ("tea", "tea", "jam")]
            await until_waiting(server, 3)
            turned_away = [await server.order("rye"), await server.order("rye", key="once")]
            assert_turned_away(turned_away, whose="server")
        answers = await asyncio.gather(*taken)

        assert [answer.status for answer in answers] == [201, 201, 201]
        await server.placed("rye", key="once")
        assert (await server.balance("rye")).available == 9


async def test_keyed_requests_that_wait_for_their_lookup_fill_the_server_too(
    database_url: str, tmp_path: Path
) -> None:
    """A slow database must not pile requests up where no limit counts them."""
    narrow = ("--mailbox-max", "2", "--worker-max", "3")
    async with serving("--database-url", database_url, *narrow, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        async with appends_held(database_url, lock="LOCK TABLE journal"):
            taken = [asyncio.create_task(server.order("tea", key=f"{n}")) for n in range(8)]
            await until(lambda: sum(each.done() for each in taken) == 5)
            assert_turned_away([each.result() for each in taken if each.done()], whose="server")
        answers = await asyncio.gather(*taken)

        placed = [answer for answer in answers if answer.status == 201]
        assert 0 < len(placed) <= 3
        assert (await server.balance("tea")).available == 10 - len(placed)


async def test_a_crowd_before_a_narrow_door_gets_through_one_by_one(
    database_url: str, tmp_path: Path
) -> None:
    """C16, Q1, Q2."""
    narrow = ("--mailbox-max", "1", "--worker-max", "2")
    stock = {"hot": 100_000, "scarce": 20}
    async with serving("--database-url", database_url, *narrow, log=tmp_path / "log") as server:
        await server.open_shop(**stock)
        async with crowd(server, *stock) as told:
            await promised(told, more=200)

        assert told.unavailable > 0
        assert told.unknown == 0
        assert not told.unsure
        books = await books_of(database_url)
        assert {order.tag for book in books.values() for order in book.orders.values()} == set(
            told.placed
        )
        await check(server, database_url, told, at_once=1)


async def test_a_batch_before_a_narrow_door_hears_of_every_line(
    database_url: str, tmp_path: Path
) -> None:
    """C13."""
    lines = [order_line("tea", f"line {n}") for n in range(50)]
    narrow = ("--mailbox-max", "3", "--worker-max", "3")
    async with serving("--database-url", database_url, *narrow, log=tmp_path / "log") as server:
        await server.open_shop(tea=100)
        caller = await call(server.url)
        request = request_of("/orders/batch", b"\n".join(lines), of="x-ndjson")
        await caller.say(request.replace(b"Host:", b"Connection: close\r\nHost:"))
        answer = await caller.everything()

        placed, refused = answer.count(b'"status":201'), answer.count(b'{"status":503')
        assert placed + refused == 50
        assert placed >= 3
        book = (await books_of(database_url))["tea"]
        assert len(book.orders) == placed == book.ordered
