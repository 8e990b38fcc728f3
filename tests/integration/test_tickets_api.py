"""Tickets: the API of the story to the letter, on the same actors as stock."""

import asyncio
import uuid
from typing import Annotated

import asyncpg
import msgspec
import pytest
from msgspec import Meta

from tests.integration.api_shapes import Listing, Shape, Time
from tests.integration.shop import Shop, database

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"
OPTIONS = "/ticket_options"


class Option(Shape, frozen=True, kw_only=True):
    """A ticket option: exactly four keys."""

    id: Annotated[str, Meta(pattern="^[0-9a-f-]{36}$")]
    name: str
    desc: str
    allocation: int


class Purchase(Shape, frozen=True, kw_only=True):
    """Who bought what."""

    user_id: str
    quantity: int
    purchased_at: Time


async def opened(shop: Shop, allocation: int, *, key: str | None = None) -> Option:
    """Open an option."""
    body = {"name": "Gig", "desc": "Doors at eight.", "allocation": allocation}
    return (await shop.post(OPTIONS, body, key=key)).read(Option, status=201)


async def shown(shop: Shop, option: Option) -> Option:
    """Look an option up."""
    return (await shop.get(f"{OPTIONS}/{option.id}")).read(Option)


async def bought(
    shop: Shop, option: Option, quantity: int, *, user: str = USER, key: str | None = None
) -> int:
    """Try to buy tickets, and return the status; a success says nothing."""
    body = {"quantity": quantity, "user_id": user}
    answer = await shop.post(f"{OPTIONS}/{option.id}/purchases", body, key=key)
    if answer.status == 204:
        assert answer.body == b""
        assert not {"Content-Length", "Content-Type"} & {*answer.headers}
    else:
        answer.problem(answer.status)
    return answer.status


async def purchases(shop: Shop, option: Option, *, limit: int = 200) -> list[Purchase]:
    """List who bought, once the read model knows everything."""
    await shop.projected()
    return await shop.all_of(Purchase, f"{OPTIONS}/{option.id}/purchases", limit=limit)


async def test_an_option_is_what_was_asked_for_and_an_id(shop: Shop) -> None:
    """F1: exactly four keys, and a UUID. F12: paths exactly as written."""
    body = {"name": "Gig", "desc": "", "allocation": 100}

    answer = await shop.post("/ticket_options", body)
    option = answer.read(Option, status=201)

    assert msgspec.json.decode(answer.body) == {**body, "id": str(uuid.UUID(option.id))}
    assert answer.headers["Location"] == f"/ticket_options/{option.id}"


async def test_an_option_shows_what_is_left_at_once(shop: Shop) -> None:
    """F2: the same shape, and `allocation` is what remains. F3: a purchase is a quantity."""
    option = await opened(shop, 10)

    assert await shown(shop, option) == option
    assert await bought(shop, option, 3) == 204
    assert (await shown(shop, option)).allocation == 7


async def test_a_repeat_of_a_purchase_is_empty_too_and_buys_nothing(shop: Shop) -> None:
    """F4: 204 with an empty body, on a replay too."""
    option = await opened(shop, 10)

    statuses = [await bought(shop, option, 4, key=f"buy {option.id}") for _ in range(3)]

    assert statuses == [204] * 3
    assert (await shown(shop, option)).allocation == 6
    assert await bought(shop, option, 5, key=f"buy {option.id}") == 422


async def test_a_repeat_of_an_opening_gets_the_first_option(shop: Shop) -> None:
    key = f"open {uuid.uuid4()}"
    option = await opened(shop, 10, key=key)
    assert await bought(shop, option, 4) == 204

    assert await opened(shop, 10, key=key) == option
    other = {"name": "Gig", "desc": "Doors at nine.", "allocation": 10}
    assert (await shop.refused(422, OPTIONS, other, key=key)).type == "/problems/key-reused"


async def test_repeats_of_an_opening_in_flight_make_one_option(shop: Shop) -> None:
    key = f"open {uuid.uuid4()}"

    options = await asyncio.gather(*(opened(shop, 5, key=key) for _ in range(20)))

    assert len({option.id for option in options}) == 1


async def test_more_than_is_left_buys_none(shop: Shop) -> None:
    """F5: a 4xx, and no ticket of that request is purchased."""
    option = await opened(shop, 3)
    body = {"quantity": 4, "user_id": USER}

    problem = await shop.refused(409, f"{OPTIONS}/{option.id}/purchases", body)

    assert (problem.type, problem.requested, problem.available) == (
        "/problems/insufficient-stock",
        4,
        3,
    )
    assert (await shown(shop, option)).allocation == 3
    assert await purchases(shop, option) == []


async def test_a_crowd_buys_exactly_what_there_is(shop: Shop) -> None:
    """F6, F7, F8: never below nothing, never more than the allocation, all at once."""
    option = await opened(shop, 100)

    sizes = [1 + number % 3 for number in range(120)]
    statuses = await asyncio.gather(*(bought(shop, option, size) for size in sizes))
    sold = sum(size for size, status in zip(sizes, statuses, strict=True) if status == 204)

    assert set(statuses) == {204, 409}
    assert (await shown(shop, option)).allocation == 100 - sold
    assert sold == 100  # some of them want a single ticket
    assert sum(each.quantity for each in await purchases(shop, option)) == 100


async def test_purchases_say_who_and_how_many_and_when(shop: Shop) -> None:
    option = await opened(shop, 10)
    users = [str(uuid.uuid4()) for _ in range(5)]
    for number, user in enumerate(users):
        assert await bought(shop, option, 1 + number % 2, user=user.upper()) == 204

    listed = await purchases(shop, option, limit=2)

    assert [each.user_id for each in listed] == users
    assert [each.quantity for each in listed] == [1, 2, 1, 2, 1]
    assert [each.purchased_at for each in listed] == sorted(each.purchased_at for each in listed)


async def test_an_option_without_tickets_sells_none(shop: Shop) -> None:
    """F6: an allocation of nothing stays at nothing."""
    option = await opened(shop, 0)

    assert await bought(shop, option, 1) == 409
    assert (await shown(shop, option)).allocation == 0
    await shop.projected()
    assert (await shop.get("/readyz")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"quantity": 0, "user_id": USER},
        {"quantity": -1, "user_id": USER},
        {"quantity": 1.5, "user_id": USER},
        {"quantity": "1", "user_id": USER},
        {"quantity": 1_000_000_001, "user_id": USER},
        {"user_id": USER},
        {"quantity": 1},
        {"quantity": 1, "user_id": "somebody"},
        {"quantity": 1, "user_id": USER.replace("-", "")},
        {"quantity": 1, "user_id": f"{{{USER}}}"},
        {"quantity": 1, "user_id": None},
        {"quantity": 1, "user_id": USER, "price": 5},
    ],
)
async def test_a_purchase_of_nonsense_is_refused(shop: Shop, body: dict[str, object]) -> None:
    """F11: invalid quantities and invalid UUIDs are 4xx."""
    option = await opened(shop, 5)

    await shop.refused(422, f"{OPTIONS}/{option.id}/purchases", body)

    assert (await shown(shop, option)).allocation == 5


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "n" * 201},
        {"desc": "d" * 2001},
        {"desc": None},
        {"allocation": -1},
        {"allocation": 1_000_000_001},
        {"allocation": "5"},
        {"id": USER},
    ],
)
async def test_an_option_of_nonsense_is_refused(shop: Shop, change: dict[str, object]) -> None:
    """F11: as with purchases."""
    await shop.refused(422, OPTIONS, {"name": "Gig", "desc": "", "allocation": 5} | change)


async def test_an_id_of_anything_else_is_no_option(shop: Shop) -> None:
    """F11: an unknown option is 404, whatever else the id may be."""
    stock = await shop.received(quantity=5)
    order = await shop.placed()

    for other in (USER, str(uuid.uuid4()), "1", "%00", stock.id, order.id):
        path = f"{OPTIONS}/{other}"
        for answer in (
            await shop.get(path),
            await shop.get(f"{path}/purchases"),
            await shop.post(f"{path}/purchases", {"quantity": 1, "user_id": USER}),
        ):
            assert answer.problem(404).type == "/problems/not-found"


async def test_the_database_refuses_what_must_not_be(shop: Shop, module_database_url: str) -> None:
    """F10: constraints in the database too."""
    option = await opened(shop, 5)
    assert await bought(shop, option, 5) == 204
    await shop.projected()

    async with database(module_database_url) as connection:
        sql = "SELECT actor_id FROM ticket_options JOIN balances USING (actor_id) WHERE available"
        actor_id = await connection.fetchval(f"{sql} = 0 AND allocation = 5")
        for statement in (
            "UPDATE ticket_options SET allocation = -1 WHERE actor_id = $1",
            "UPDATE balances SET available = available - 1 WHERE actor_id = $1",
            "UPDATE stocks SET available = available - 1 WHERE actor_id = $1",
            "UPDATE orders SET quantity = 0 WHERE actor_id = $1",
        ):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(statement, actor_id)


async def test_what_lists_stock_and_orders_does_not_show_tickets(shop: Shop) -> None:
    option = await opened(shop, 5)
    user = str(uuid.uuid4())
    assert await bought(shop, option, 2, user=user) == 204
    await shop.projected()

    orders = (await shop.get(f"/orders?customer={user}")).read(Listing[object])

    assert orders.items == []
    for path in (f"/orders/{option.id}", f"/stocks/{option.id}"):
        (await shop.get(path)).problem(404)
    (await shop.post(f"/orders/{option.id}/cancel")).problem(404)
