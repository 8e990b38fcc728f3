"""Whoever listens is told everything of interest, once, in order, and can come back for more."""

import asyncio
import time

import msgspec
import pytest

from tests.integration.listening import listening
from tests.integration.shop import Shop, database, until

ALL = "0.0.0.0"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def here(shop: Shop) -> dict[str, str]:
    """The stock of a shop's product, and neither name of it."""
    return {"product": shop.product, "warehouse": shop.warehouse}


async def test_events_are_told_as_they_happen_with_the_ids_of_the_api(shop: Shop) -> None:
    async with listening(shop.url, product=shop.product) as ear:
        stock = await shop.received(quantity=5)
        order = await shop.placed(quantity=2)
        await shop.dispatch(order)

        events = await ear.take(3)

    assert [event.kind for event in events] == [
        "stock_received",
        "order_placed",
        "order_dispatched",
    ]
    assert [event.told.seq for event in events] == [1, 2, 3]
    assert [(event.told.thing, event.told.id) for event in events] == [
        ("stock", stock.id),
        ("order", order.id),
        ("order", order.id),
    ]
    assert all(event.told.warehouse == shop.warehouse for event in events)
    assert all(event.id == event.told.position for event in events)
    assert ear.retry_ms == 1000


async def test_what_is_told_is_what_the_journal_shows(shop: Shop) -> None:
    await shop.received(quantity=5)
    await shop.placed(quantity=2, customer="ada")
    async with listening(shop.url, after=ALL, **here(shop)) as ear:
        events = await ear.take(2)

    journal = await shop.journal()
    assert [msgspec.json.decode(event.told.body) for event in events] == [
        msgspec.json.decode(msgspec.json.encode(entry.body)) for entry in journal
    ]
    assert [event.told.kind for event in events] == [entry.kind for entry in journal]


async def test_without_an_id_only_what_happens_from_now_on_is_told(shop: Shop) -> None:
    await shop.received(quantity=5)
    async with listening(shop.url, product=shop.product) as ear:
        await shop.placed()

        assert (await ear.next()).kind == "order_placed"


async def test_what_was_committed_before_is_not_told_even_if_it_is_settled_later(
    module_database_url: str, shop: Shop
) -> None:
    async with database(module_database_url) as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_current_xact_id()")  # nothing later is settled now
        await shop.received(quantity=5)
        async with listening(shop.url, **here(shop)) as ear:
            await shop.placed()
            await transaction.rollback()

            assert (await ear.next()).kind == "order_placed"


async def test_names_are_told_of_too(shop: Shop) -> None:
    async with listening(shop.url, product=shop.product) as ear:
        await shop.put(f"/products/{shop.product}", {"name": "Another"})

        event = await ear.next()

    assert (event.kind, event.told.warehouse, event.told.product) == (
        "product_put",
        None,
        shop.product,
    )


async def test_filters_leave_out_what_they_say(shop: Shop) -> None:
    other = Shop(shop.server, shop.client)
    await other.open()
    async with (
        listening(shop.url, **here(shop), kind="order_cancelled,order_dispatched") as kinds,
        listening(shop.url, warehouse=other.warehouse) as place,
    ):
        for each in (shop, other):
            await each.received(quantity=5)
            await each.dispatch(await each.placed())
            await each.cancel(await each.placed())

        assert [event.kind for event in await kinds.take(2)] == [
            "order_dispatched",
            "order_cancelled",
        ]
        assert {event.told.warehouse for event in await place.take(5)} == {other.warehouse}


@pytest.mark.parametrize("where", ["header", "query"])
async def test_a_client_that_comes_back_goes_on_behind_the_last_id(shop: Shop, where: str) -> None:
    await shop.received(quantity=50)
    async with listening(shop.url, after=ALL, **here(shop)) as ear:
        first = await ear.next()
    for _ in range(9):
        await shop.placed()
    told = [first]
    while len(told) < 10:
        wanted = here(shop) | ({"after": told[-1].id} if where == "query" else {})
        last_id = None if where == "query" else told[-1].id
        async with listening(shop.url, last_id=last_id, **wanted) as ear:
            told += await ear.take(3)

    assert [event.told.seq for event in told] == list(range(1, 11))


async def test_the_id_of_a_header_counts_more_than_that_of_the_address(shop: Shop) -> None:
    await shop.received(quantity=50)
    await shop.placed()
    async with listening(shop.url, after=ALL, product=shop.product) as ear:
        first, second = await ear.take(2)
    async with listening(shop.url, after=ALL, last_id=first.id, product=shop.product) as ear:
        assert (await ear.next()).id == second.id


@pytest.mark.parametrize(
    ("query", "last_id", "detail"),
    [
        ({}, "7", "Last-Event-ID must be an id that this server sent, like 1.7482.27136.5"),
        ({}, "", "Last-Event-ID must be"),
        ({"after": "x"}, None, "after must be an id"),
        ({"after": "1.99999999999.1.1"}, None, "is not a position that this journal has reached"),
        ({"kind": "order_eaten"}, None, "kind must be one of stock_received"),
        ({"product": "a b"}, None, "product must be"),
        ({"limit": "1"}, None, "unknown parameter 'limit'"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    shop: Shop, query: dict[str, str], last_id: str | None, detail: str
) -> None:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    words = "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in query.items())
    problem = (await shop.send("GET", f"/events?{words}", headers=headers)).problem(422)

    assert detail in problem.detail


async def test_who_comes_back_after_what_followed_was_pruned_is_told_so(
    module_database_url: str, shop: Shop
) -> None:
    await shop.received(quantity=5)
    async with listening(shop.url, after=ALL, **here(shop)) as ear:
        old = (await ear.next()).id
    async with database(module_database_url) as other:
        for at, status in (("+ interval '23 hours'", 200), ("+ interval '25 hours'", 422)):
            await other.execute(
                "INSERT INTO floors "
                "(actor_id, seq, digest, schema_version, state, state_digest, at) "
                f"SELECT actor_id, 1, '', 1, '', '', now() {at} FROM products LIMIT 1"
            )
            assert (await head(shop, old)) == status
            assert (await head(shop, ALL)) == 200
            await other.execute("DELETE FROM floors")


async def head(shop: Shop, last_id: str) -> int:
    """What a client that comes back is answered, in a word."""
    async with shop.client.get(f"{shop.url}/events", headers={"Last-Event-ID": last_id}) as answer:
        return answer.status


async def test_a_head_request_is_answered_at_once(shop: Shop) -> None:
    answer = await shop.send("HEAD", "/events")

    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")


async def test_everybody_is_told_everything_while_much_happens(shop: Shop) -> None:
    """Some listen from the start, some come in between, some come from long ago."""
    lines = 3_000
    await shop.received(quantity=lines)

    async def sell() -> None:
        line = shop.wanted(quantity=1)
        for _ in range(6):
            await shop.batch(*[line] * (lines // 6))

    async def listen(delay_s: float) -> list[int]:
        await asyncio.sleep(delay_s)
        async with listening(shop.url, after=ALL, product=shop.product) as ear:
            return [event.told.seq for event in await ear.take(lines + 2)]

    heard, _ = await asyncio.gather(asyncio.gather(*(listen(n / 20) for n in range(4))), sell())

    # The product's own first row is told before those of its pool.
    assert [one[1:] for one in heard] == [list(range(1, lines + 2))] * 4


async def test_a_long_transaction_delays_events_and_loses_none(
    module_database_url: str, shop: Shop
) -> None:
    await shop.received(quantity=5)
    async with (
        database(module_database_url) as other,
        listening(shop.url, product=shop.product) as ear,
    ):
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_current_xact_id()")
        await shop.placed()
        waiting = asyncio.create_task(ear.next())
        done, _ = await asyncio.wait({waiting}, timeout=0.3)
        assert not done
        await transaction.rollback()

        assert (await waiting).kind == "order_placed"


async def test_an_event_is_told_within_a_moment_of_its_commit(shop: Shop) -> None:
    """However busy the machine is, some of them are: one that looked once a second tells none."""
    await shop.received(quantity=200)
    at_once = orders = 0
    async with listening(shop.url, product=shop.product) as ear:
        while at_once < 10 and orders < 100:
            await shop.placed()
            began = time.perf_counter()
            await ear.next()
            at_once += time.perf_counter() - began < 0.1
            orders += 1
            await asyncio.sleep(0.03)  # so that not every one comes with a look that was due

    assert at_once == 10


async def test_listeners_are_counted_and_no_more_than_allowed_may_listen(shop: Shop) -> None:
    async with listening(shop.url, product=shop.product), listening(shop.url):

        async def two() -> bool:
            return await shop.metric("allocator_subscribers") >= 2

        await until(two)
