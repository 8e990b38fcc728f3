"""Batches: many orders in one request, one result a line, in order, streamed."""

import asyncio
import gzip
import zlib
from collections import Counter

import msgspec
import pytest

from tests.integration.api_shapes import BatchResult
from tests.integration.shop import NDJSON, UNTIL_S, Shop, database, opened
from tests.integration.wire import Wire, connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNKED = request(
    "POST",
    "/orders/batch",
    None,
    "Content-Type: application/x-ndjson",
    "Transfer-Encoding: chunked",
)
BODY_MAX_BYTES = 1_048_576


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def statuses(results: list[BatchResult]) -> list[int]:
    return [result.status for result in results]


async def test_each_line_is_an_order_and_each_result_stands_in_its_place(shop: Shop) -> None:
    await shop.received(quantity=10)
    results = await shop.batch(
        shop.wanted(quantity=3, customer="Ada"),
        shop.wanted(quantity=8),
        shop.wanted(quantity=7),
        shop.wanted(),
    )
    first, second, third, fourth = results

    assert statuses(results) == [201, 409, 201, 409]
    assert first.order is not None
    assert (first.order.status, first.order.customer) == ("new", "Ada")
    assert await shop.shown(first.order) == first.order
    assert second.problem is not None
    assert (second.problem.requested, second.problem.available) == (8, 7)
    assert third.problem is None
    assert fourth.order is None
    assert (await shop.balance()).numbers == (0, 10, 0, 10)


async def test_a_line_without_a_key_does_not_overtake_one_whose_key_is_looked_up(
    shop: Shop,
) -> None:
    """Q6: first come, first served holds within a batch, too."""
    await shop.received(quantity=3)
    results = await shop.batch(
        shop.wanted(quantity=2, key="overtaken"),
        shop.wanted(quantity=2),
        shop.wanted(quantity=1),
    )

    assert statuses(results) == [201, 409, 201]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"{", 400),
        (b"nope", 400),
        (b"\xff", 400),
        (b"{}", 422),
        (b"[" * 10_000, 422),
        (b'{"product":"a","warehouse":"b"}', 422),
        (b'{"product":"a","warehouse":"b","quantity":0}', 422),
        (b'{"product":"a","warehouse":"b","qty":1}', 422),
        (b'{"product":"a","warehouse":"b","key":""}', 422),
        (b'{"product":"a","warehouse":"b","key":"\xc3\xa9"}', 422),
        (b'{"product":"a","warehouse":"b","key":"a\\u0000"}', 422),
        (b'{"product":"a","warehouse":"b","key":"%b"}' % (b"k" * 256), 422),
        (b'{"product":"a","warehouse":"b","key":1}', 422),
        (b'{"product":"%b","warehouse":"b"}' % (b"p" * 100_000), 422),
    ],
    ids=lambda value: value[:50].decode(errors="replace") if isinstance(value, bytes) else "",
)
async def test_a_bad_line_is_refused_alone(shop: Shop, line: bytes, status: int) -> None:
    """C13: the lines around it are orders as if it were not there."""
    await shop.received(quantity=10)
    results = await shop.batch(shop.wanted(), line, shop.wanted())

    assert statuses(results) == [201, status, 201]
    problem = results[1].problem
    assert problem is not None
    assert (problem.status, problem.type[:10], bool(problem.detail)) == (status, "/problems/", True)
    assert len(msgspec.json.encode(problem)) < 1_000
    assert (await shop.balance()).numbers == (8, 2, 0, 10)


async def test_blank_lines_leave_no_result(shop: Shop) -> None:
    await shop.received(quantity=10)

    assert statuses(await shop.batch(b"", shop.wanted(), b"  \t\r", b"", shop.wanted(), b"")) == [
        201,
        201,
    ]
    assert await shop.batch() == []
    assert await shop.batch(b"\n\n") == []


async def test_lines_may_end_as_they_do_elsewhere(shop: Shop) -> None:
    await shop.received(quantity=10)
    line = msgspec.json.encode(shop.wanted())
    answer = await shop.send("POST", "/orders/batch", line + b"\r\n" + line, headers=NDJSON)

    assert [b'"status":201' in result for result in answer.body.splitlines()] == [True, True]


async def test_thousands_of_lines_are_answered_in_order(shop: Shop) -> None:
    """Q6: one after another, across windows, to the last unit."""
    await shop.received(quantity=2_500)
    results = await shop.batch(*(shop.wanted(customer=str(n)) for n in range(3_000)))
    placed = [result.order for result in results if result.order is not None]

    assert statuses(results) == [201] * 2_500 + [409] * 500
    assert [order.customer for order in placed] == [str(n) for n in range(2_500)]
    assert (await shop.balance()).numbers == (0, 2_500, 0, 2_500)


async def test_batches_at_once_share_what_there_is(shop: Shop) -> None:
    """C16: whoever sends how much, a unit is sold once."""
    await shop.received(quantity=1_500)
    batches = [
        shop.batch(*(shop.wanted(customer=f"{client}") for _ in range(700))) for client in range(5)
    ]
    results = await asyncio.gather(*batches)
    counts = Counter(status for batch in results for status in statuses(batch))
    sold = {result.order.id for batch in results for result in batch if result.order is not None}

    assert counts == {201: 1_500, 409: 2_000}
    assert len(sold) == 1_500
    assert all(
        result.order is None or result.order.customer == str(client)
        for client, batch in enumerate(results)
        for result in batch
    )


async def test_a_line_is_answered_while_later_ones_are_still_to_come(shop: Shop) -> None:
    await shop.received(quantity=2)
    line = msgspec.json.encode(shop.wanted()) + b"\n"
    async with connected(shop.url) as wire:
        await wire.send(CHUNKED, chunk(line))
        await wire.until(b'"status":201')
        await wire.send(chunk(line), b"0\r\n\r\n")
        await wire.until(b'"status":201')
        await wire.until(b"0\r\n\r\n")
    assert (await shop.balance()).ordered == 2


async def test_a_line_may_arrive_in_pieces(shop: Shop) -> None:
    await shop.received(quantity=2)
    line = msgspec.json.encode(shop.wanted()) + b"\n"
    async with connected(shop.url) as wire:
        await wire.send(CHUNKED, *(chunk(line[n : n + 1]) for n in range(len(line))), b"0\r\n\r\n")
        await wire.until(b'"status":201')
        await wire.until(b"0\r\n\r\n")
    assert (await shop.balance()).ordered == 1


@pytest.mark.parametrize("excess", [1, 70_000, 3 * BODY_MAX_BYTES])
async def test_a_line_that_is_too_long_is_refused_alone(shop: Shop, excess: int) -> None:
    """However long it is and however it arrives: what follows it is an order or is not, as said."""
    await shop.received(quantity=10)
    long = msgspec.json.encode(shop.wanted()).ljust(BODY_MAX_BYTES + excess)
    results = await shop.batch(shop.wanted(), long, shop.wanted(), b"nope")

    assert statuses(results) == [201, 413, 201, 400]
    assert results[1].problem is not None
    assert results[1].problem.type == "/problems/content-too-large"
    assert (await shop.balance()).ordered == 2


async def test_a_line_of_exactly_the_largest_size_is_an_order(shop: Shop) -> None:
    await shop.received(quantity=10)
    line = msgspec.json.encode(shop.wanted()).ljust(BODY_MAX_BYTES)

    assert statuses(await shop.batch(line, line)) == [201, 201]


async def test_a_batch_may_be_larger_than_a_body(shop: Shop) -> None:
    await shop.received(quantity=10_000)
    lines = [msgspec.json.encode(shop.wanted()).ljust(2_000) for _ in range(1_000)]

    assert set(statuses(await shop.batch(*lines))) == {201}


async def test_a_batch_may_be_packed(shop: Shop) -> None:
    await shop.received(quantity=2)
    body = gzip.compress(msgspec.json.encode(shop.wanted()))
    packed = NDJSON | {"Content-Encoding": "gzip"}
    answer = await shop.send("POST", "/orders/batch", body, headers=packed)

    assert (answer.status, answer.body.count(b'"status":201')) == (200, 1)


async def test_one_key_for_a_whole_batch_is_refused(shop: Shop) -> None:
    """It would promise that the batch can be repeated, and it could not: lines carry the keys."""
    await shop.received(quantity=2)
    headers = NDJSON | {"Idempotency-Key": "k"}
    answer = await shop.send(
        "POST", "/orders/batch", msgspec.json.encode(shop.wanted()), headers=headers
    )

    assert "`key`" in answer.problem(422).detail
    assert (await shop.balance()).ordered == 0


async def test_a_crowded_mailbox_refuses_lines_and_says_so(database_url: str) -> None:
    async with opened(database_url, mailbox_max=50) as shop:
        await shop.received(quantity=1_000)
        results = await shop.batch(*(shop.wanted() for _ in range(600)))
        counts = Counter(statuses(results))
        problems = {result.problem.type for result in results if result.problem is not None}

        assert counts[201] + counts[503] == 600
        assert counts[201] >= 50
        assert problems == {"/problems/overloaded"}
        assert (await shop.balance()).ordered == counts[201]


async def test_a_body_that_ends_in_the_middle_ends_the_answer_in_the_middle(shop: Shop) -> None:
    """Nobody may take a part of the results for all of them."""
    await shop.received(quantity=2)
    line = msgspec.json.encode(shop.wanted()) + b"\n"
    async with connected(shop.url) as wire:
        await wire.send(CHUNKED, chunk(line))
        await wire.until(b'"status":201')
        await wire.end()
        rest = await wire.rest()

    assert b"0\r\n\r\n" not in rest
    assert b"HTTP/1.1" not in rest


async def test_a_body_that_turns_to_garbage_ends_the_answer_in_the_middle(shop: Shop) -> None:
    """A problem in the midst of the results would be read as one of them."""
    await shop.received(quantity=2)
    packing = zlib.compressobj(wbits=31)
    packed = packing.compress(msgspec.json.encode(shop.wanted()) + b"\n")
    packed += packing.flush(zlib.Z_SYNC_FLUSH)
    async with connected(shop.url) as wire:
        head = CHUNKED.replace(b"Host:", b"Content-Encoding: gzip\r\nHost:")
        await wire.send(head, chunk(packed))
        await wire.until(b'"status":201')
        await wire.send(chunk(b"\xff" * 100))
        rest = await wire.rest()

    assert b"0\r\n\r\n" not in rest
    assert b"HTTP/1.1" not in rest
    assert b"problem" not in rest


async def test_lines_that_broke_off_are_never_orders(shop: Shop) -> None:
    """C13: a whole order without its line feed may be the beginning of another."""
    await shop.received(quantity=2)
    line = msgspec.json.encode(shop.wanted())
    async with connected(shop.url) as wire:
        await wire.send(CHUNKED, chunk(line + b"\n" + line))
        await wire.until(b'"status":201')
        await wire.end()
        await wire.rest()

    assert (await shop.balance()).numbers == (1, 1, 0, 2)


async def test_clients_that_vanish_leave_room_for_others(
    shop: Shop, module_database_url: str
) -> None:
    """More of them than there are windows, and all of them waiting for the database."""
    await shop.received(quantity=2)
    line = msgspec.json.encode(shop.wanted(product="not-there")) + b"\n"
    async with database(module_database_url) as behind:
        async with behind.transaction():
            await behind.execute("LOCK TABLE products")
            wires = [await _begun(shop, line) for _ in range(6)]
            for wire in wires:
                wire.vanish()
            for _ in range(3):
                assert (await shop.get("/healthz")).status == 200

        async with asyncio.timeout(UNTIL_S):
            assert statuses(await shop.batch(*(shop.wanted() for _ in range(3)))) == [201, 201, 409]


async def test_a_client_that_does_not_read_holds_nobody_up(shop: Shop) -> None:
    await shop.received(quantity=20_000)
    lines = b"".join(msgspec.json.encode(shop.wanted()) + b"\n" for _ in range(5_000))
    deaf = [await _begun(shop, lines) for _ in range(5)]

    async with asyncio.timeout(UNTIL_S):
        assert statuses(await shop.batch(shop.wanted())) == [201]
    for wire in deaf:
        wire.vanish()


async def _begun(shop: Shop, lines: bytes) -> Wire:
    """Send lines of a batch that does not end, and read nothing."""
    wire = await Wire.open(shop.url)
    wire.push(CHUNKED, chunk(lines))
    return wire
