"""Clients vanish in the middle: their order is there whole or not at all, and nothing leaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.integration.calling import call, order_line, request_of
from tests.integration.calling import order_request as request_for
from tests.integration.serving import HANG_S, Server, serving, until
from tests.integration.truth import (
    Book,
    appends_held,
    books_of,
    check_read_models,
    until_nothing_waits,
)

STOCK = 1_000_000


def order_request(tag: str) -> bytes:
    """An order of two."""
    return request_for("tea", tag, quantity=2)


@asynccontextmanager
async def tea_shop(database_url: str, log: Path) -> AsyncIterator[Server]:
    """A server with much tea; whatever happens to its clients is no error of its own."""
    async with serving("--database-url", database_url, log=log) as server:
        await server.open_shop(tea=STOCK)
        yield server
        assert server.complaints() == []


async def the_book(server: Server, database_url: str) -> Book:
    """What is written down, once nothing is under way; balance and lists agree with it."""
    book = Book()

    async def settled() -> bool:
        # Who connects now is heard after all who came before, those who have left included.
        late = await call(server.url)
        await late.say(request_of("/orders", b"no order"))
        await late.reader.readuntil(b"malformed")
        await late.vanish("hangs up")
        await until_nothing_waits(server)
        nonlocal book
        book = (await books_of(database_url))["tea"]
        return (await server.balance("tea")).version == book.version

    await until(settled)
    balance = await server.balance("tea")
    assert (balance.available, balance.ordered) == (book.available, book.ordered)
    await check_read_models(server, database_url, {"tea": book})
    return book


@pytest.mark.parametrize("how", ["hangs up", "resets"])
async def test_an_order_whose_client_vanished_before_the_answer_is_there_whole(
    database_url: str, tmp_path: Path, how: str
) -> None:
    """C13, N16."""

    async def accepted() -> bool:
        return await server.metric("allocator_unanswered_messages") == 1

    async with tea_shop(database_url, tmp_path / "log") as server:
        async with appends_held(database_url):
            caller = await call(server.url)
            await caller.say(order_request("gone"))
            await until(accepted)
            await caller.vanish(how)

        book = await the_book(server, database_url)
        assert [(order.tag, order.quantity) for order in book.orders.values()] == [("gone", 2)]


@pytest.mark.parametrize("how", ["hangs up", "resets"])
async def test_an_order_whose_client_vanished_in_the_middle_of_it_is_not_there(
    database_url: str, tmp_path: Path, how: str
) -> None:
    """C13."""
    async with tea_shop(database_url, tmp_path / "log") as server:
        for cut in (1, len(order_request("gone")) // 2, len(order_request("gone")) - 1):
            caller = await call(server.url)
            await caller.say(order_request("gone")[:cut])
            await caller.vanish(how)

        assert (await the_book(server, database_url)).orders == {}
        await server.placed("tea")


@pytest.mark.parametrize("how", ["hangs up", "resets"])
async def test_a_batch_whose_client_vanished_in_a_line_has_the_lines_before_it(
    database_url: str, tmp_path: Path, how: str
) -> None:
    """C13."""
    whole = [order_line("tea", f"line {number}", key=f"key {number}") for number in range(3)]
    sent = b"\n".join([*whole, order_line("tea", "half")[:20]])
    batch = request_of("/orders/batch", sent, of="x-ndjson", length=1_000_000)
    async with tea_shop(database_url, tmp_path / "log") as server:
        caller = await call(server.url)
        await caller.say(batch)
        head = await caller.reader.readuntil(b"\r\n\r\n")
        results = await caller.reader.readuntil(b'"status":201')
        await caller.vanish(how)

        assert b" 200 " in head
        assert results
        book = await the_book(server, database_url)
        assert [order.tag for order in book.orders.values()] == ["line 0", "line 1", "line 2"]


async def test_a_batch_client_that_never_reads_and_then_vanishes_leaves_nothing_behind(
    database_url: str, tmp_path: Path
) -> None:
    """C13: and its room in the mailboxes is free again for others."""
    lines = b"\n".join(order_line("tea", f"line {number}") for number in range(4_000))
    batch = request_of("/orders/batch", lines, of="x-ndjson", length=10_000_000)
    async with tea_shop(database_url, tmp_path / "log") as server:
        for _ in range(5):
            caller = await call(server.url)
            caller.shout(batch)
            await caller.reader.readexactly(1)
            await caller.vanish("resets")
            await server.placed("tea", customer="somebody else")
            await until_nothing_waits(server)

        again = request_of("/orders/batch", order_line("tea", "last"), of="x-ndjson")
        caller = await call(server.url)
        await caller.say(again)
        await asyncio.wait_for(caller.reader.readuntil(b'"customer":"last"'), HANG_S)
        await caller.vanish("hangs up")


async def test_a_crowd_that_hangs_up_at_any_byte_leaves_whole_orders_only(
    database_url: str, tmp_path: Path
) -> None:
    """C13, Q2, Q3."""
    random = Random(5)

    async def half_a_client(tag: str) -> None:
        request = order_request(tag)
        caller = await call(server.url)
        await caller.say(request[: random.randint(1, 2 * len(request))])
        await caller.vanish(random.choice(["hangs up", "resets"]))

    async with tea_shop(database_url, tmp_path / "log") as server:
        for wave in range(10):
            await asyncio.gather(*(half_a_client(f"{wave}-{number}") for number in range(20)))

        book = await the_book(server, database_url)
        tags = [order.tag for order in book.orders.values()]
        assert len(tags) == len(set(tags))
        assert {order.quantity for order in book.orders.values()} == {2}
        assert 0 < len(tags) < 200
