"""Moves: units go from one place to another, all of them or none, and every move is kept."""

import asyncio
import uuid

import msgspec
import pytest

from allocator.actors.worker import Worker
from allocator.domain.transfers import LOTS_MAX
from allocator.errors import QuarantinedError
from allocator.http import patience
from tests.integration.api_shapes import Move, Reason, Stock
from tests.integration.places import (
    MOVES,
    another_product,
    emptied,
    levels,
    listed,
    located,
    move,
    moved,
    not_moved,
    on_hand,
    shown,
)
from tests.integration.shop import Shop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MUCH = 1_000_000_000

PATIENCE: dict[str, object] = vars(patience)["seen_in_time"].__kwdefaults__


async def stocks_at(shop: Shop, place: str) -> list[Stock]:
    """Return the stocks of the shop's product at a place, once the read model knows everything."""
    await shop.projected()
    return await shop.all_of(Stock, "/stocks", warehouse=place, product=shop.product)


async def test_a_move_brings_units_from_one_place_to_another(shop: Shop) -> None:
    """O2: a web API moves products from one location to another."""
    shelf = await located(shop)
    stock = await shop.received(quantity=10)

    done = await moved(shop, shop.warehouse, shelf, 4)

    assert (done.source, done.destination) == (shop.warehouse, shelf)
    assert (done.product, done.quantity, done.reason) == (shop.product, 4, None)
    assert [(lot.origin, lot.quantity) for lot in done.lots] == [(stock.id, 4)]
    assert done.decided_at is not None
    assert stock.received_at <= done.requested_at <= done.decided_at
    assert await shown(shop, done.id) == done
    assert ((await shop.balance()).on_hand, await on_hand(shop, shelf)) == (6, 4)


async def test_what_arrives_is_a_stock_that_knows_where_it_comes_from(shop: Shop) -> None:
    """O2, O3: lot code, expiry and time of receipt stay; a part of a lot is a lot there."""
    shelf, website = await located(shop), await located(shop, single_product=False)
    late = await shop.received(quantity=5, expires_at="2050-01-01T00:00:00Z", reference="PO-1")
    early = await shop.received(quantity=5, lot="L1", expires_at="2049-01-01T00:00:00Z")

    first = await moved(shop, shop.warehouse, shelf, 7)
    second = await moved(shop, shelf, website, 6)

    assert [(lot.origin, lot.quantity) for lot in first.lots] == [(early.id, 5), (late.id, 2)]
    on_shelf = {each.origin: each for each in await stocks_at(shop, shelf)}
    on_web = await stocks_at(shop, website)
    assert set(on_shelf) == {late.id}  # the other is used up
    assert [each.quantity for each in on_web] == [5, 1]
    for origin, there in ((early, on_web[0]), (late, on_web[1]), (late, on_shelf[late.id])):
        assert (there.lot, there.expires_at) == (origin.lot, origin.expires_at)
        assert (there.received_at, there.reference) == (origin.received_at, origin.reference)
    assert [lot.origin for lot in second.lots] == [each.origin for each in on_web]
    for each in on_web:  # by id, what was read of one that moved on, and of the one it became
        assert each.origin is not None
        former = (await shop.get(f"/stocks/{each.origin}")).read(Stock)
        assert (former.warehouse, former.product) == (shelf, shop.product)
        assert await shop.stock(each) == each


async def test_moved_units_are_sold_where_they_are(shop: Shop) -> None:
    """O7, O14: a sale leaves through the journal of the place."""
    website = await located(shop, single_product=False)
    await shop.received(quantity=2)
    await shop.refused(409, "/orders", shop.wanted(warehouse=website))
    await moved(shop, shop.warehouse, website, 2)

    order = await shop.placed(quantity=2, warehouse=website)

    await shop.refused(409, "/orders", shop.wanted())
    assert (await shop.dispatch(order)).status == 200
    assert await on_hand(shop, website) == 0


async def test_more_than_is_available_does_not_move(shop: Shop) -> None:
    """O2: all of them or none; what is ordered stays for its customer."""
    shelf = await located(shop)
    await shop.received(quantity=10)
    await shop.placed(quantity=4)

    problem = await not_moved(shop, shop.warehouse, shelf, 7)

    assert problem.type == "/problems/insufficient-stock"
    assert (problem.requested, problem.available) == (7, 6)
    refused = await shown(shop, problem.move)
    assert (refused.status, refused.lots) == ("refused", [])
    assert refused.decided_at is not None
    assert refused.reason == Reason(
        type=problem.type, detail=problem.detail, requested=7, available=6
    )
    assert (await shop.balance()).on_hand == 10
    await emptied(shop, shelf)


async def test_a_location_with_another_product_refuses(shop: Shop) -> None:
    """O4: it says which, and nothing has left."""
    shelf = await located(shop)
    other = await another_product(shop)
    await other.received(warehouse=shelf)
    await shop.received(quantity=3)

    problem = await not_moved(shop, shop.warehouse, shelf, 2)
    gone = await not_moved(shop, shelf, shop.warehouse, 1)

    assert (problem.type, problem.product) == ("/problems/location-occupied", other.product)
    refused = await shown(shop, problem.move)
    assert refused.reason == Reason(type=problem.type, detail=problem.detail, product=other.product)
    assert (gone.type, gone.available) == ("/problems/insufficient-stock", 0)
    assert ((await shop.balance()).available, await on_hand(other, shelf)) == (3, 1)


async def test_a_location_is_free_again_when_everything_has_moved_out(shop: Shop) -> None:
    """O4: after the last unit, and after a refused move that had expected the product."""
    shelf = await located(shop)
    other = await another_product(shop)
    await other.received(quantity=2)
    await shop.received(quantity=1)
    await not_moved(shop, shop.warehouse, shelf, 2)
    await emptied(shop, shelf)

    await moved(other, shop.warehouse, shelf, 2)
    await moved(other, shelf, shop.warehouse, 2)
    await emptied(shop, shelf)
    await moved(shop, shop.warehouse, shelf, 1)

    assert [each.product for each in await levels(shop, shelf)] == [shop.product]


async def test_too_many_lots_do_not_move_at_once(shop: Shop) -> None:
    shelf = await located(shop)
    await asyncio.gather(*(shop.received() for _ in range(LOTS_MAX + 1)))

    problem = await not_moved(shop, shop.warehouse, shelf, LOTS_MAX + 1)
    done = await moved(shop, shop.warehouse, shelf, LOTS_MAX)

    assert (problem.type, problem.lots, problem.limit) == (
        "/problems/too-many-lots",
        LOTS_MAX + 1,
        LOTS_MAX,
    )
    assert len({lot.origin for lot in done.lots}) == LOTS_MAX
    assert len(await stocks_at(shop, shelf)) == LOTS_MAX


async def test_a_repeat_of_a_move_gets_the_same_end_and_moves_nothing(shop: Shop) -> None:
    """O2: at once, or later, whether it was done or refused."""
    shelf = await located(shop)
    await shop.received(quantity=10)
    key, other = str(uuid.uuid4()), str(uuid.uuid4())

    crowd = await asyncio.gather(
        *(moved(shop, shop.warehouse, shelf, 4, key=key) for _ in range(20))
    )
    refused = await not_moved(shop, shop.warehouse, shelf, 7, key=other)
    await shop.received(quantity=10)

    assert {msgspec.json.encode(each) for each in crowd} == {msgspec.json.encode(crowd[0])}
    assert await not_moved(shop, shop.warehouse, shelf, 7, key=other) == refused
    assert await on_hand(shop, shelf) == 4
    reused = (await move(shop, shop.warehouse, shelf, 5, key=key)).problem(422)
    assert reused.type == "/problems/key-reused"
    assert len(await listed(shop, location=shelf)) == 2


@pytest.mark.parametrize(
    ("change", "said", "fact"),
    [
        ({"quantity": 0}, "quantity", None),
        ({"quantity": -1}, "quantity", None),
        ({"quantity": 1.5}, "quantity", None),
        ({"quantity": MUCH + 1}, "quantity", None),
        ({"quantity": None}, "quantity", None),
        ({"product": "no-such"}, "no such product", "product"),
        ({"from": "no-such"}, "no such warehouse", "source"),
        ({"to": "no-such"}, "no such warehouse", "destination"),
        ({"product": "a b"}, "product must be", None),
        ({"from": ""}, "from must be", None),
        ({"to": "x" * 65}, "to must be", None),
        ({"lot": "L1"}, "lot", None),
        ({"warehouse": "main"}, "warehouse", None),
    ],
)
async def test_a_move_of_nonsense_is_refused(
    shop: Shop, change: dict[str, object], said: str, fact: str | None
) -> None:
    """O2: one sentence that names what is wrong; nothing comes into being."""
    shelf = await located(shop)
    body = {"product": shop.product, "from": shop.warehouse, "to": shelf, "quantity": 1}

    problem = await shop.refused(422, MOVES, body | change)

    assert said in problem.detail
    assert fact is None or getattr(problem, fact) == "no-such"
    assert await listed(shop, product=shop.product) == []


async def test_a_move_without_what_it_needs_is_refused(shop: Shop) -> None:
    body = {"product": shop.product, "from": shop.warehouse, "to": shop.warehouse, "quantity": 1}

    for name in body:
        rest = {each: value for each, value in body.items() if each != name}
        assert f"`{name}`" in (await shop.refused(422, MOVES, rest)).detail
    same = await shop.refused(422, MOVES, body)
    assert same.detail == "from and to are one place: nothing would move"


async def test_an_id_of_anything_else_is_no_move(shop: Shop) -> None:
    shelf = await located(shop)
    stock = await shop.received(quantity=5)
    order = await shop.placed()
    done = await moved(shop, shop.warehouse, shelf)

    for other in (str(uuid.uuid4()), "1", "%00", stock.id, order.id):
        (await shop.get(f"{MOVES}/{other}")).problem(404)
    for path in (f"/orders/{done.id}", f"/stocks/{done.id}", f"/ticket_options/{done.id}"):
        (await shop.get(path)).problem(404)


async def test_moves_are_listed_by_place_product_and_status(shop: Shop) -> None:
    """O3: the history of every move, the refused ones included."""
    shelf, website = await located(shop), await located(shop, single_product=False)
    other = await another_product(shop)
    await shop.received(quantity=9)
    await other.received(quantity=9)
    onto_shelf = [await moved(shop, shop.warehouse, shelf) for _ in range(3)]
    onto_web = await moved(other, shop.warehouse, website)
    between = await moved(shop, shelf, website)
    refused = await shown(shop, (await not_moved(other, shop.warehouse, shelf)).move)

    def ids(*moves: Move) -> list[str]:
        return sorted(each.id for each in moves)

    async def found(**wanted: str) -> list[str]:
        return ids(*await listed(shop, **wanted))

    everything = ids(*onto_shelf, onto_web, between, refused)
    assert await found(location=shop.warehouse) == ids(*onto_shelf, onto_web, refused)
    assert await found(location=shelf) == ids(*onto_shelf, between, refused)
    assert await found(location=website) == ids(onto_web, between)
    assert await found(product=other.product) == ids(onto_web, refused)
    assert await found(location=shelf, status="refused") == ids(refused)
    assert await found(product=shop.product, status="in_transit") == []
    assert set(everything) <= set(await found())
    for each in (*onto_shelf, onto_web, between, refused):
        assert each in await listed(shop, product=each.product)
    assert "status must be one of" in (await shop.get(f"{MOVES}?status=new")).problem(422).detail


async def test_two_hundred_moves_of_different_products_race_into_one_location(shop: Shop) -> None:
    """O2, O4: one wins; the units of all others stay where they are."""
    shelf = await located(shop)
    others = await asyncio.gather(*(another_product(shop) for _ in range(200)))
    await asyncio.gather(*(each.received(quantity=3) for each in others))

    answers = await asyncio.gather(*(move(each, shop.warehouse, shelf, 2) for each in others))

    won = [each for each, answer in zip(others, answers, strict=True) if answer.status == 201]
    lost = [answer.problem(409) for answer in answers if answer.status != 201]
    assert len(won) == 1
    assert {(each.type, each.product) for each in lost} == {
        ("/problems/location-occupied", won[0].product)
    }
    assert [(each.product, each.on_hand) for each in await levels(shop, shelf)] == [
        (won[0].product, 2)
    ]
    left = await asyncio.gather(*(on_hand(each, shop.warehouse) for each in others))
    assert sorted(left) == [1] + [3] * 199


async def test_moves_and_orders_share_what_there_is(shop: Shop) -> None:
    """O2, O14, Q2, Q3: nothing is sold where it no longer is, nothing moves that is sold."""
    shelf = await located(shop)
    await shop.received(quantity=100)

    orders = [shop.order() for _ in range(90)]
    moves = [move(shop, shop.warehouse, shelf) for _ in range(90)]
    answers = await asyncio.gather(
        *(each for pair in zip(orders, moves, strict=True) for each in pair)
    )

    placed = sum(answer.status == 201 for answer in answers[::2])
    arrived = sum(answer.status == 201 for answer in answers[1::2])
    assert {answer.status for answer in answers} == {201, 409}
    assert placed + arrived == 100
    balance = await shop.balance()
    assert (balance.available, balance.ordered) == (0, placed)
    assert await on_hand(shop, shelf) == arrived


async def test_units_go_round_in_circles_and_none_is_lost(shop: Shop) -> None:
    """O2, O4: many moves between the same places, in all directions."""
    places = [shop.warehouse, *[await located(shop) for _ in range(3)]]
    await shop.received(quantity=40)
    pairs = [(one, other) for one in places for other in places if one != other]

    answers = await asyncio.gather(
        *(move(shop, one, other, 1 + number % 3) for number in range(12) for one, other in pairs)
    )

    assert {answer.status for answer in answers} <= {201, 409}
    assert sum([await on_hand(shop, place) for place in places]) == 40
    assert await listed(shop, product=shop.product, status="in_transit") == []


async def test_whoever_waits_for_a_stuck_move_hears_where_to_look(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O2: a client does not wait for ever; the move goes on by itself."""
    monkeypatch.setitem(PATIENCE, "within_s", 0.3)
    shelf = await located(shop)
    await shop.received(quantity=5)
    pool = await shop.server.context.pool(shelf, shop.product)
    worker = shop.server.context.asker
    assert isinstance(worker, Worker)
    damage = QuarantinedError(actor_id=pool.actor_id, why="a test")
    worker.directory.quarantined[pool.actor_id] = damage
    key = str(uuid.uuid4())

    answer = await move(shop, shop.warehouse, shelf, 2, key=key)
    problem = answer.problem(503)

    assert problem.type == "/problems/try-again"
    assert answer.headers["Retry-After"] == "1"
    assert problem.move is not None
    assert f"/moves/{problem.move}" in problem.detail
    assert (await shown(shop, problem.move)).status == "in_transit"
    assert (await shown(shop, problem.move)).decided_at is None
    assert (await move(shop, shop.warehouse, shelf, 2, key=key)).problem(503).move == problem.move
    del worker.directory.quarantined[pool.actor_id]

    async def is_done() -> bool:
        return (await shown(shop, problem.move)).status == "done"

    await until(is_done)
    assert (await moved(shop, shop.warehouse, shelf, 2, key=key)).id == problem.move
    assert await on_hand(shop, shelf) == 2
