"""Idempotency keys: what succeeded is answered again and not done again."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.integration.api_shapes import Answer, Order, Stock
from tests.integration.shop import Shop, database, opened, until
from tests.integration.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPEATS = 30


def new_key() -> str:
    return f"key {secrets.token_hex(8)}"


def same(answers: list[Answer]) -> bool:
    """Whether all answers are one, down to where it says that the thing is."""
    return len({(a.status, a.headers.get("Location"), a.body) for a in answers}) == 1


async def test_a_repeated_order_gets_the_first_answer(shop: Shop) -> None:
    await shop.received(quantity=9)
    key = new_key()
    answers = [await shop.order(key=key, quantity=2, customer="Ada") for _ in range(3)]
    order = answers[0].read(Order, status=201)

    assert same(answers)
    assert answers[2].headers["Location"] == f"/orders/{order.id}"
    assert (await shop.balance()).numbers == (7, 2, 0, 9)


async def test_a_repeated_order_is_answered_as_it_was_whatever_became_of_it(shop: Shop) -> None:
    await shop.received(quantity=2)
    key = new_key()
    first = await shop.order(key=key, quantity=2)
    order = first.read(Order, status=201)
    await shop.dispatch(order)
    again = await shop.order(key=key, quantity=2)

    assert same([first, again])
    assert (await shop.shown(order)).status == "dispatched"
    assert (await shop.balance()).numbers == (0, 0, 0, 0)


async def test_a_repeated_stock_is_received_once(shop: Shop) -> None:
    key = new_key()
    answers = [await shop.receive(key=key, quantity=4, lot="L", reference="R") for _ in range(3)]

    assert same(answers)
    assert answers[0].read(Stock, status=201).quantity == 4
    assert (await shop.balance()).numbers == (4, 0, 0, 4)


async def test_a_repeated_stock_is_answered_even_after_its_date(shop: Shop) -> None:
    """A new request with this date would be refused by now; this one has succeeded."""
    key, soon = new_key(), Shop.time_in(milliseconds=1_000)
    first = await shop.receive(key=key, expires_at=soon)

    async def has_expired() -> bool:
        return (await shop.balance()).unallocatable["expired"] == 1

    await until(has_expired)
    assert same([first, await shop.receive(key=key, expires_at=soon)])
    await shop.refused(422, "/stocks", shop.wanted(expires_at=soon))


@pytest.mark.parametrize(("end", "status"), [("dispatch", "dispatched"), ("cancel", "cancelled")])
async def test_a_repeated_end_of_an_order_gets_the_first_answer(
    shop: Shop, end: str, status: str
) -> None:
    """C11: without its key it is an error; with it, the same success."""
    await shop.received(quantity=9)
    order, key = await shop.placed(quantity=2), new_key()
    answers = [await shop.post(f"/orders/{order.id}/{end}", key=key) for _ in range(3)]

    assert same(answers)
    assert answers[0].read(Order).status == status
    await shop.refused(409, f"/orders/{order.id}/{end}", None)
    await shop.refused(409, f"/orders/{order.id}/{end}", None, key=new_key())


async def test_a_request_is_the_same_however_it_is_spelled(shop: Shop) -> None:
    await shop.received(quantity=9)
    key = new_key()
    names = (shop.product.encode(), shop.warehouse.encode())
    bodies = [
        b'{"product":"%b","warehouse":"%b"}' % names,
        b'{ "quantity": 1, "warehouse": "%b",\n "product": "%b" }' % names[::-1],
        b'{"product":"%b","warehouse":"%b","customer":null,"quantity":1}' % names,
        b'{"prod\\u0075ct":"%b","warehouse":"%b"}' % names,
    ]

    assert same([await shop.post("/orders", body, key=key) for body in bodies])
    assert (await shop.balance()).ordered == 1


async def test_a_time_is_the_same_in_every_zone(shop: Shop) -> None:
    key = new_key()
    times = ["2100-01-01T00:00:00Z", "2100-01-01T01:00:00+01:00", "2100-01-01T00:00:00.000Z"]

    assert same([await shop.receive(key=key, expires_at=time) for time in times])


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 3},
        {"customer": "Bob"},
        {"customer": None},
        {"product": "other"},
        {"warehouse": "other"},
    ],
)
async def test_a_key_belongs_to_one_body(shop: Shop, changes: dict[str, object]) -> None:
    other = Shop(shop.server, shop.client)
    await other.open()
    names = {"product": other.product, "warehouse": other.warehouse}
    changes = {name: names.get(name, value) for name, value in changes.items()}
    await shop.received(quantity=9)
    key = new_key()
    first = await shop.order(key=key, quantity=2, customer="Ada")
    body = shop.wanted(**({"quantity": 2, "customer": "Ada"} | changes))
    problem = await shop.refused(422, "/orders", body, key=key)

    assert problem.type == "/problems/key-reused"
    assert problem.idempotency_key == key
    assert same([first, await shop.order(key=key, quantity=2, customer="Ada")])
    assert (await shop.balance()).ordered == 2


async def test_a_key_belongs_to_one_route_and_one_target(shop: Shop) -> None:
    await shop.received(quantity=9)
    first, second = await shop.placed(), await shop.placed()
    keys = {name: new_key() for name in ("order", "stock", "dispatch", "cancel")}
    requests: dict[str, Callable[[str], Awaitable[Answer]]] = {
        "order": lambda key: shop.order(key=key),
        "stock": lambda key: shop.receive(key=key),
        "dispatch": lambda key: shop.dispatch(first, key=key),
        "cancel": lambda key: shop.cancel(second, key=key),
    }
    answers = {name: await ask(keys[name]) for name, ask in requests.items()}
    before = await shop.balance()

    for name, key in keys.items():
        for other, ask in requests.items():
            answer = await ask(key)
            if other == name:
                assert same([answer, answers[name]])
            else:
                assert answer.problem(422).type == "/problems/key-reused"
    for order, end in ((first, shop.cancel), (second, shop.dispatch)):
        for key in keys.values():
            (await end(order, key=key)).problem(422)
    assert await shop.balance() == before


async def test_keys_are_told_apart_to_the_letter(shop: Shop) -> None:
    await shop.received(quantity=9)
    stem = secrets.token_hex(8)
    keys = [f"{stem}a", f"{stem}A", f"{stem}a.", stem, f"{stem} a"]
    orders = [await shop.placed(key=key) for key in keys]

    assert len({order.id for order in orders}) == len(keys)


async def test_a_refused_key_is_free(shop: Shop) -> None:
    """C9: the same request is decided anew, and a different one may have the key."""
    key, another = new_key(), new_key()
    for _ in range(2):
        await shop.refused(409, "/orders", shop.wanted(), key=key)
        await shop.refused(422, "/orders", shop.wanted(quantity=0), key=key)
        await shop.refused(409, "/orders", shop.wanted(), key=another)
    await shop.received(quantity=9)

    assert same([await shop.order(key=key), await shop.order(key=key)])
    assert (await shop.placed(key=another, quantity=3)).lines[0].quantity == 3
    assert (await shop.balance()).ordered == 4


async def test_repeats_in_flight_have_one_effect_and_one_answer(shop: Shop) -> None:
    """C16: the same order many times at once."""
    await shop.received(quantity=REPEATS)
    key = new_key()
    answers = await asyncio.gather(*(shop.order(key=key) for _ in range(REPEATS)))

    assert answers[0].status == 201
    assert same(answers)
    assert (await shop.balance()).ordered == 1


async def test_dispatches_in_flight_under_one_key_all_succeed(shop: Shop) -> None:
    """C11: it is one dispatch, asked for many times."""
    await shop.received(quantity=2)
    order, key = await shop.placed(), new_key()
    answers = await asyncio.gather(*(shop.dispatch(order, key=key) for _ in range(REPEATS)))

    assert answers[0].read(Order).status == "dispatched"
    assert same(answers)
    assert (await shop.balance()).numbers == (1, 0, 0, 1)


async def test_refusals_in_flight_are_refused_each(shop: Shop) -> None:
    """C9: there was nothing, so the key is free and everybody hears so."""
    key = new_key()
    answers = await asyncio.gather(*(shop.order(key=key) for _ in range(REPEATS)))

    assert {answer.problem(409).available for answer in answers} == {0}


async def test_of_different_requests_in_flight_under_one_key_one_is_done(shop: Shop) -> None:
    await shop.received(quantity=9)
    key = new_key()
    answers = await asyncio.gather(
        *(shop.order(key=key, quantity=1 + n % 3) for n in range(REPEATS))
    )
    done = [answer for answer in answers if answer.status == 201]
    refused = [answer.problem(422) for answer in answers if answer.status != 201]

    assert same(done)
    assert len(done) == REPEATS // 3
    assert {problem.type for problem in refused} == {"/problems/key-reused"}
    [line] = done[0].read(Order, status=201).lines
    assert (await shop.balance()).ordered == line.quantity


async def test_a_key_is_known_after_a_restart(database_url: str) -> None:
    """Q7: what was answered before is answered again."""
    key, end, stock = new_key(), new_key(), new_key()
    async with opened(database_url) as shop:
        answers = [await shop.receive(key=stock, quantity=9), await shop.order(key=key)]
        order = answers[1].read(Order, status=201)
        answers.append(await shop.dispatch(order, key=end))

    async with opened(database_url) as another:
        shop = shop.elsewhere(another)
        await shop.refused(422, "/orders", shop.wanted(quantity=2), key=key)
        again = [await shop.receive(key=stock, quantity=9), await shop.order(key=key)]
        again.append(await shop.dispatch(order, key=end))

        assert all(same([one, other]) for one, other in zip(answers, again, strict=True))
        assert (await shop.cancel(order, key=end)).problem(422).type == "/problems/key-reused"
        assert (await shop.balance()).numbers == (8, 0, 0, 8)


async def test_a_crowd_of_repeats_after_a_restart_has_no_effect(database_url: str) -> None:
    """Q7: some of them wrong, and the wrong ones first."""
    key = new_key()
    async with opened(database_url) as shop:
        await shop.received(quantity=9)
        first = await shop.order(key=key)

    async with opened(database_url) as another:
        shop = shop.elsewhere(another)
        asks = [shop.order(key=key, quantity=1 + n % 2) for n in range(REPEATS, 0, -1)]
        answers = await asyncio.gather(*asks)
        right = [answer for answer in answers if answer.status == 201]

        assert same([first, *right])
        assert Counter(answer.status for answer in answers) == {201: 15, 422: 15}
        assert (await shop.balance()).ordered == 1


async def test_a_key_is_known_after_its_actor_has_left_memory(database_url: str) -> None:
    async with opened(database_url, idle_ms=1_000) as shop:
        await shop.received(quantity=9)
        key = new_key()
        first = await shop.order(key=key)

        async def has_left() -> bool:
            return await shop.metric("allocator_actors") == 0

        await until(has_left)
        assert same([first, await shop.order(key=key)])
        await shop.refused(422, "/orders", shop.wanted(quantity=2), key=key)
        assert (await shop.balance()).ordered == 1


async def test_a_key_survives_a_database_that_fails(database_url: str) -> None:
    """C13: 503 means repeat; the repeat makes it happen once."""
    async with opened(database_url) as shop, database(database_url) as behind:
        await shop.received(quantity=9)
        known, lost = new_key(), new_key()
        first = await shop.order(key=known)
        await behind.execute("ALTER TABLE journal RENAME TO journal_elsewhere")
        for key in (lost, known, lost):
            answer = await shop.order(key=key)
            assert answer.status in {201, 503}
            assert answer.status == 503 or (key == known and same([first, answer]))
        await behind.execute("ALTER TABLE journal_elsewhere RENAME TO journal")
        await shop.ready()
        answers = await asyncio.gather(*(shop.order(key=lost) for _ in range(5)))

        assert answers[0].status == 201
        assert same(answers)
        assert same([first, await shop.order(key=known)])
        assert (await shop.balance()).ordered == 2


async def test_lines_of_a_batch_have_keys_of_their_own(shop: Shop) -> None:
    await shop.received(quantity=9)
    keys = [new_key(), new_key()]
    lines = [shop.wanted(key=key, quantity=n) for n, key in enumerate(keys, 1)]
    first = await shop.batch(*lines, shop.wanted())
    again = await shop.batch(*lines)

    assert [result.status for result in first] == [201, 201, 201]
    assert first[:2] == again
    assert (await shop.balance()).ordered == 4


async def test_a_key_is_one_in_a_batch_and_in_a_request_of_its_own(shop: Shop) -> None:
    await shop.received(quantity=9)
    key, another = new_key(), new_key()
    single = (await shop.order(key=key)).read(Order, status=201)
    [line] = await shop.batch(shop.wanted(key=another))

    assert [result.order for result in await shop.batch(shop.wanted(key=key))] == [single]
    assert (await shop.placed(key=another)) == line.order
    assert (await shop.balance()).ordered == 2


async def test_a_key_that_stands_twice_in_a_batch_orders_once(shop: Shop) -> None:
    await shop.received(quantity=9)
    key = new_key()
    first, wrong, again = await shop.batch(
        shop.wanted(key=key), shop.wanted(key=key, quantity=2), shop.wanted(key=key)
    )

    assert first.order == again.order is not None
    assert wrong.problem is not None
    assert wrong.problem.type == "/problems/key-reused"
    assert (await shop.balance()).ordered == 1


async def test_a_batch_of_keys_can_be_sent_again_whole(shop: Shop) -> None:
    """Q7: whatever became of the connection: the lines that succeeded are answered again."""
    await shop.received(quantity=700)
    stem = secrets.token_hex(6)
    lines = [shop.wanted(key=f"{stem} {n}") for n in range(1_200)]
    first = await shop.batch(*lines)
    await shop.received(quantity=500)
    again = await shop.batch(*lines)

    assert sum(result.status == 201 for result in first) == 700
    assert [a.order for a, b in zip(again, first, strict=True) if b.order] == [
        b.order for b in first if b.order
    ]
    assert {result.status for result in again} == {201}
    assert len({result.order.id for result in again if result.order}) == 1_200
    assert (await shop.balance()).numbers == (0, 1_200, 0, 1_200)


@pytest.mark.parametrize("key", ["k", "k" * 255, "!~ {}[]\\\"'", "0", "null"])
async def test_a_key_is_1_to_255_printable_characters(shop: Shop, key: str) -> None:
    await shop.received(quantity=9)
    first = await shop.order(key=key)
    [line] = await shop.batch(shop.wanted(key=key))

    assert same([first, await shop.order(key=key)])
    assert line.order == first.read(Order, status=201)


@pytest.mark.parametrize(
    "field",
    [
        "Idempotency-Key:",
        "Idempotency-Key:   ",
        f"Idempotency-Key: {'k' * 256}",
        "Idempotency-Key: ключ",
        "Idempotency-Key: a\tb",
    ],
)
@pytest.mark.parametrize("route", ["/orders", "/stocks", "dispatch", "cancel"])
async def test_a_key_that_is_none_is_refused(shop: Shop, route: str, field: str) -> None:
    await shop.received(quantity=9)
    body: bytes | None = msgspec.json.encode(shop.wanted())
    if "/" not in route:
        route, body = f"/orders/{(await shop.placed()).id}/{route}", None
    before = await shop.balance()
    async with connected(shop.url) as wire:
        await wire.send(request("POST", route, body, field))
        answer = await wire.answer()

    assert answer.status == 422
    assert b"Idempotency-Key must be 1 to 255 printable ASCII characters" in answer.body
    assert await shop.balance() == before


async def test_two_keys_are_refused(shop: Shop) -> None:
    """Whichever was taken, a repeat by the other one would order again."""
    await shop.received(quantity=9)
    body = msgspec.json.encode(shop.wanted())
    fields = ["Idempotency-Key: one", "idempotency-key: two"]
    async with connected(shop.url) as wire:
        await wire.send(request("POST", "/orders", body, *fields))

        assert (await wire.answer()).status == 422
    assert (await shop.balance()).ordered == 0


async def test_the_journal_tells_the_key_of_what_it_made(shop: Shop) -> None:
    key = new_key()
    await shop.received(quantity=9)
    await shop.placed(key=key)
    await shop.order(key=key)
    events = await shop.journal()

    assert [event.idempotency_key for event in events] == [None, key]


async def test_repeats_are_counted(shop: Shop) -> None:
    await shop.received(quantity=9)
    before = await shop.metric("allocator_key_repeats_total")
    key = new_key()
    for _ in range(4):
        await shop.order(key=key)

    assert await shop.metric("allocator_key_repeats_total") == before + 3
