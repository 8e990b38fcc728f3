"""Several workers behind one port: a client cannot tell which of them it talks to."""

import asyncio
import os
import signal
from pathlib import Path

import msgspec

from tests.integration.serving import Answer, Server, order_of, problem_of, until
from tests.integration.truth import appends_held, books_of, until_nothing_waits
from tests.integration.workers import settled, several, spread, strangers

DATABASE_TIMEOUT_S = 10.0  # what it is by default
"""After that a worker that waits for the database is not ready for another reason."""

ASKED_OFTEN = 12
"""New connections: that all of them reach the same of two workers is a matter of 1 in 2,000."""


CLAIM_LOCK = "SELECT pg_advisory_xact_lock(x'616c6c6f'::int)"
"""Nobody takes a shard while somebody else has it."""


class _Line(msgspec.Struct):
    status: int
    order: dict[str, object] | None = None


async def each_answers(server: Server, sku: str) -> None:
    """Have an order placed, shown, and ended, over many connections."""
    for number in range(ASKED_OFTEN):
        order = await server.placed(sku, 2, customer=f"{sku} {number}")
        assert (await server.shown(order.id)).customer == f"{sku} {number}"
        how, status = [("dispatch", "dispatched"), ("cancel", "cancelled")][number % 2]
        assert order_of(await server.ok("POST", f"/orders/{order.id}/{how}")).status == status
        assert (await server.ask("POST", f"/orders/{order.id}/{how}")).status == 409
        assert (await server.shown(order.id)).status == status


async def test_any_worker_answers_for_every_product_and_order(
    database_url: str, tmp_path: Path
) -> None:
    """C7, C8, C10, C11: three workers, and a client cannot tell that they are not one."""
    arguments = ("--database-url", database_url)
    async with (
        several(*arguments, log=tmp_path / "log", workers=3) as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        products = await spread(server, database_url)
        await asyncio.gather(*(each_answers(stranger, sku) for sku in products.values()))

        for sku in products.values():
            numbers = [await stranger.balance(sku) for _ in range(ASKED_OFTEN)]
            assert {(each.available, each.ordered) for each in numbers} == {(988, 0)}
            refused = await stranger.order(sku, 989)
            assert (refused.status, problem_of(refused).detail) == (
                409,
                "989 requested, 988 available",
            )
        assert await server.metric("allocator_forwards_sent_total") > 0
        assert await server.metric("allocator_forwards_failed_total") == 0
        await until_nothing_waits(server)
        assert server.complaints() == []


async def test_a_batch_may_name_products_of_all_workers(database_url: str, tmp_path: Path) -> None:
    """The results come in the order of the lines, whoever decided each."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        products = list((await spread(server, database_url, stock=20)).values())
        lines = [
            {"product": sku, "warehouse": "main", "quantity": 1, "key": f"{sku} {number}"}
            for number in range(15)
            for sku in products
        ]
        too_many = [{"product": sku, "warehouse": "main", "quantity": 100} for sku in products]
        for _ in range(3):
            answers = await stranger.batch(*lines, *too_many)
            statuses = [msgspec.json.decode(line, type=_Line).status for line in answers]
            assert statuses == [201] * len(lines) + [409] * len(products)

        for sku in products:
            assert (await stranger.balance(sku)).available == 5
        books = await books_of(database_url)
        assert [books[sku].ordered for sku in products] == [15] * len(products)


async def test_a_key_means_one_request_whichever_worker_is_asked(
    database_url: str, tmp_path: Path
) -> None:
    """N16, Q3: the same key for another product is refused, though another worker owns that."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        ours, theirs = (await spread(server, database_url)).values()
        first = await stranger.placed(ours, key="once")
        again = [await stranger.placed(ours, key="once") for _ in range(ASKED_OFTEN)]
        others = [await stranger.order(theirs, key="once") for _ in range(ASKED_OFTEN)]

        assert {order.id for order in again} == {first.id}
        assert {answer.status for answer in others} == {422}
        assert ((await stranger.balance(ours)).ordered) == 1
        assert ((await stranger.balance(theirs)).ordered) == 0


async def test_repeats_at_once_through_all_workers_are_one_order(
    database_url: str, tmp_path: Path
) -> None:
    """N16."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        for sku in (await spread(server, database_url)).values():
            asks = [stranger.order(sku, key=f"{sku} at once") for _ in range(30)]
            answers: list[Answer] = await asyncio.gather(*asks)

            assert {answer.status for answer in answers} == {201}
            assert len({order_of(answer).id for answer in answers}) == 1
            assert (await stranger.balance(sku)).ordered == 1


async def test_a_server_is_ready_when_every_shard_has_an_owner(
    database_url: str, tmp_path: Path
) -> None:
    """Not while a dead worker's wait for another, and whichever worker is asked."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log", workers=3) as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        async with appends_held(database_url, lock=CLAIM_LOCK):
            os.kill(server.workers()[0], signal.SIGKILL)
            await until(lambda: _all_not_ready(stranger), within_s=0.9 * DATABASE_TIMEOUT_S)
        await settled(database_url, server)
        await until(lambda: _all_ready(stranger))


async def test_one_page_of_metrics_speaks_for_all_workers(
    database_url: str, tmp_path: Path
) -> None:
    """Whichever worker is asked."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        products = await spread(server, database_url)
        for sku in products.values():
            await server.placed(sku)
        for _ in range(ASKED_OFTEN):
            assert await stranger.metric('allocator_orders_total{outcome="placed",reason=""}') == 2
            assert await stranger.metric("allocator_shards") == 256
            assert await stranger.metric("allocator_unowned_shards") == 0
            up = [await stranger.metric(_of_worker("up", place)) for place in range(2)]
            assert up == [1, 1]
            assert await stranger.metric(_of_worker("shards", 0)) == 128


def _of_worker(name: str, place: int) -> str:
    return f'allocator_worker_{name}{{worker="{place}"}}'


async def _all_ready(server: Server) -> bool:
    return all([await server.is_ready() for _ in range(ASKED_OFTEN)])


async def _all_not_ready(server: Server) -> bool:
    answers = [await server.ask("GET", "/readyz") for _ in range(ASKED_OFTEN)]
    return all(answer.is_unavailable for answer in answers)
