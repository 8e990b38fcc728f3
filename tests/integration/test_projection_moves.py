"""Moves in the read models: they say what folding the actors gives, in whatever batches it came."""

import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.domain.messages import CancelOrder, DispatchOrder, InsufficientStock
from allocator.domain.rows import MoveFilter, MoveRow, OrderFilter, OrderRow, Page
from allocator.domain.transfers import Occupied
from allocator.persistence import projection as projections
from allocator.persistence.projection import Projection
from allocator.persistence.statements import statement
from tests.integration.shop import database, opened
from tests.integration.yard import EVERYTHING, Yard, contents, true

ERA = 1
DAY_MS = 86_400_000


@pytest_asyncio.fixture
async def yard(database_url: str) -> AsyncIterator[Yard]:
    """A yard whose server leaves the read models to the test."""
    async with opened(database_url, projection=False) as shop:
        yard = Yard(shop.server, database_url)
        await yard.open()
        yield yard


@pytest.fixture
def projection(database_url: str) -> Projection:
    return Projection(url=database_url, era=ERA)


async def busy_day(yard: Yard, projection: Projection | None = None) -> None:
    """Have everything happen that can; project after each step if there is a projection."""
    soon = time.time_ns() // 1_000_000 + DAY_MS

    async def step() -> None:
        if projection is not None:
            await projection.catch_up()

    await yard.receive("a", "tea", 5, lot="L1", expires_at_ms=soon, reference="PO 1")
    await yard.receive("a", "tea", 5, lot="L2")
    await yard.receive("x", "mug", 4)
    await step()
    await yard.move("tea", 7, "a", "b")  # all of one lot, and part of another
    await step()
    await yard.move("tea", 1, "b", "y")
    await yard.move("mug", 9, "x", "b")  # too many
    await step()
    await yard.move("mug", 4, "x", "a")
    await yard.move("tea", 2, "b", "x")  # the other product, now that it is empty
    await yard.move("mug", 1, "a", "y")  # where there is tea
    await step()
    pool, first = await yard.order("x", "tea", 1)
    _, second = await yard.order("x", "tea", 1)
    await step()
    await yard.ask(pool, DispatchOrder(order=first))
    await yard.ask(pool, CancelOrder(order=second))
    await yard.order("b", "tea", 2)
    await step()
    await yard.settled()


async def test_the_lists_tell_of_moves_what_the_actors_know(
    yard: Yard, projection: Projection, database_url: str
) -> None:
    """O7, O14: and each event is applied once."""
    await busy_day(yard)

    applied = await projection.catch_up()

    assert await yard.told() == await true(database_url)
    async with database(database_url) as looking:
        rows = "SELECT count(*) FROM journal JOIN actors ON id = actor_id WHERE actors.kind IN"
        assert applied == await looking.fetchval(f"{rows} ('pool', 'move')")
        assert await looking.fetchval("SELECT count(*) FROM quarantined_projections") == 0


async def test_lists_are_the_same_in_whatever_batches_the_rows_come(
    yard: Yard, projection: Projection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moves by moves, transaction by transaction, or everything at once."""
    await busy_day(yard, projection)
    await projection.catch_up()
    in_many = await contents(database_url)
    assert all(in_many.values())
    assert await yard.told() == await true(database_url)

    for rows in (1, projections.BATCH_EVENTS):
        monkeypatch.setattr(projections, "BATCH_EVENTS", rows)
        async with database(database_url) as connection:
            await connection.execute(statement("project_forget"))
        assert not any((await contents(database_url)).values())
        await projection.catch_up()

        assert await contents(database_url) == in_many


async def test_two_products_in_turn_at_one_location_are_told_apart(
    yard: Yard, projection: Projection, database_url: str
) -> None:
    """O4: what left stays in the history under its own name; the balance is of the last one."""
    await yard.receive("x", "tea", 1)
    pool, tea = await yard.order("x", "tea", 1)
    await yard.ask(pool, DispatchOrder(order=tea))
    await projection.catch_up()
    _, lot = pool, await yard.receive("x", "mug", 3)
    _, mug = await yard.order("x", "mug", 1)
    await projection.catch_up()
    lists = yard.context.readings

    async def orders_of(product: str) -> list[tuple[int, str]]:
        wanted = OrderFilter(warehouse="x", product=product)
        return [
            (each.seq, each.product)
            for each in await lists.orders(wanted, EVERYTHING)
            if isinstance(each, OrderRow)
        ]

    assert await orders_of("tea") == [(tea, "tea")]
    assert await orders_of("mug") == [(mug, "mug")]
    for product, lots, available in [("tea", [], []), ("mug", [lot], [2])]:
        stocks = await lists.stocks(warehouse="x", product=product, page=EVERYTHING)
        assert [(each.seq, each.product) for each in stocks] == [(seq, "mug") for seq in lots]
        balances = await lists.balances(warehouse="x", product=product, page=EVERYTHING)
        assert [each.available for each in balances] == available
    placed = await lists.placed(await yard.pool("x", "mug"), tea)
    assert placed is not None
    assert placed.product == "tea"
    async with database(database_url) as looking:
        products = "SELECT product FROM {} ORDER BY seq"
        for table, expected in [("orders", ["tea", "mug"]), ("stocks", ["tea", "mug"])]:
            rows = await looking.fetch(products.format(table))
            assert [row["product"] for row in rows] == expected


async def test_a_location_that_only_heard_of_a_process_is_not_listed(
    yard: Yard, projection: Projection
) -> None:
    """Nothing has ever said which product its numbers, all of them zero, would be of."""
    await yard.move("tea", 1, "x", "a")
    await yard.settled()
    await projection.catch_up()
    lists = yard.context.readings

    assert await lists.balances(warehouse="x", product=None, page=EVERYTHING) == []
    assert (await lists.levels(["x"], limit=10)) == {"x": []}


async def test_levels_are_what_is_on_hand_now(yard: Yard, projection: Projection) -> None:
    await yard.receive("a", "tea", 3)
    await yard.receive("a", "mug", 2)
    await yard.receive("x", "mug", 2)
    await yard.move("tea", 3, "a", "y")
    await yard.move("mug", 2, "x", "b")
    await yard.settled()
    await projection.catch_up()

    async def levels(limit: int) -> dict[str, list[tuple[str, int]]]:
        found = await yard.context.readings.levels(["a", "b", "x", "y", "nowhere"], limit=limit)
        return {
            code: [(row.product, row.available) for row in rows] for code, rows in found.items()
        }

    everything = {"b": [("mug", 2)], "x": [], "y": [("tea", 3)], "nowhere": []}
    assert await levels(10) == {"a": [("mug", 2), ("tea", 0)], **everything}
    assert await levels(1) == {"a": [("mug", 2)], **everything}


async def test_moves_are_listed_by_place_product_and_status(
    yard: Yard, projection: Projection
) -> None:
    """O7: a location's history of moves is what came and what left."""
    await yard.receive("a", "tea", 9)
    await yard.receive("b", "mug", 9)
    done = [
        await yard.move("tea", 1, "a", "b"),
        await yard.move("mug", 1, "b", "a"),
        await yard.move("tea", 1, "b", "x"),
    ]
    refused = [await yard.move("mug", 1, "b", "x"), await yard.move("mug", 10, "b", "y")]
    await projection.catch_up()

    async def listed(**wanted: str) -> set[int]:
        found = await yard.context.readings.moves(
            msgspec.convert(wanted, MoveFilter), Page(limit=10)
        )
        assert [each.actor_id for each in found] == sorted(each.actor_id for each in found)
        return {each.actor_id for each in found}

    assert await listed() == {*done, *refused}
    assert await listed(status="refused") == set(refused)
    assert await listed(status="in_transit") == set()
    assert await listed(location="x") == {done[2], refused[0]}
    assert await listed(location="b", status="done") == set(done)
    assert await listed(location="b", product="tea") == {done[0], done[2]}
    assert await listed(location="nowhere") == set()


async def test_a_list_of_moves_goes_on_where_the_page_before_ended(
    yard: Yard, projection: Projection
) -> None:
    await yard.receive("a", "tea", 9)
    moved = sorted([await yard.move("tea", 1, "a", "b") for _ in range(5)])
    await projection.catch_up()

    for wanted in (MoveFilter(), MoveFilter(location="a"), MoveFilter(location="b")):
        found: list[int] = []
        while page := await yard.context.readings.moves(
            wanted, Page(limit=2, after=(found[-1] if found else 0, 0))
        ):
            assert len(page) <= 2
            found += [each.actor_id for each in page]
        assert found == moved


async def test_what_a_move_and_its_reasons_were_is_told_in_full(
    yard: Yard, projection: Projection
) -> None:
    lot = await yard.receive("a", "tea", 5, lot="L1", reference="PO 1")
    await yard.receive("x", "mug", 1)
    done = await yard.move("tea", 2, "a", "b")
    too_many = await yard.move("tea", 9, "a", "b")
    occupied = await yard.move("tea", 1, "a", "x")
    await projection.catch_up()
    moves = await yard.context.readings.moves(MoveFilter(), EVERYTHING)
    rows = {each.actor_id: each for each in moves}

    assert rows[too_many].reason == InsufficientStock(requested=9, available=3)
    assert rows[occupied].reason == Occupied(product="mug")
    assert rows[occupied].lots == ()
    [sent] = rows[done].lots
    source = await yard.pool("a", "tea")
    assert (sent.quantity, sent.origin, sent.code) == (2, (source.actor_id, lot), "L1")
    there = await yard.pool("b", "tea")
    arrived = await yard.context.readings.received(there, 1)
    assert arrived is not None
    assert (arrived.origin, arrived.lot, arrived.reference) == (sent.origin, "L1", "PO 1")
    assert (arrived.quantity, arrived.received_at_ms) == (2, sent.received_at_ms)


async def test_whether_an_actor_is_a_move_is_never_stale(yard: Yard, database_url: str) -> None:
    """The read models know nothing yet."""
    await yard.receive("a", "tea", 5)
    moved = await yard.move("tea", 2, "a", "b")
    async with database(database_url) as looking:
        place = await looking.fetchval("SELECT id FROM actors WHERE key = 'warehouse:a'")
    asked = yard.context.readings.requested
    row = await asked(moved)

    assert isinstance(row, MoveRow)
    assert (row.product, row.quantity, row.from_code, row.to_code) == ("tea", 2, "a", "b")
    assert (row.status, row.decided_at_ms, row.lots, row.reason) == ("in_transit", None, (), None)
    assert await asked((await yard.pool("a", "tea")).actor_id) is None
    assert await asked(place) is None
    assert await asked(moved + 256 * 1000) is None


async def test_a_move_whose_rows_are_gone_is_known_from_the_read_model(
    yard: Yard, projection: Projection, database_url: str
) -> None:
    await yard.receive("a", "tea", 5)
    moved = await yard.move("tea", 2, "a", "b")
    await yard.settled()
    await projection.catch_up()
    async with database(database_url) as connection:
        await connection.execute("DELETE FROM journal WHERE actor_id = $1", moved)
    row = await yard.context.readings.requested(moved)

    assert row is not None
    assert row.status == "done"
    assert [row] == await yard.context.readings.moves(MoveFilter(), EVERYTHING)


@pytest.mark.parametrize("missing", [1, 2, 4])
async def test_a_gap_in_the_rows_of_a_move_stops_that_move_alone(
    yard: Yard, projection: Projection, database_url: str, missing: int
) -> None:
    await yard.receive("a", "tea", 9)
    sound, broken = [await yard.move("tea", 1, "a", "b") for _ in range(2)]
    await yard.settled()
    async with database(database_url) as connection:
        gap = "DELETE FROM journal WHERE actor_id = $1 AND seq = $2"
        before_last = await connection.fetchval(
            "SELECT max(seq) FROM journal WHERE actor_id = $1", broken
        )
        await connection.execute(gap, broken, min(missing, before_last - 1))

    await projection.catch_up()

    assert await stopped(database_url) == {broken}
    listed = await yard.context.readings.moves(MoveFilter(), EVERYTHING)
    assert [each.actor_id for each in listed] == [sound]
    told, wanted = await yard.told(), await true_of_pools(database_url, broken)
    assert {name: rows for name, rows in told.items() if name != "moves"} == wanted


async def test_a_gap_that_comes_later_leaves_the_move_as_it_was(
    yard: Yard, projection: Projection, database_url: str
) -> None:
    await yard.receive("a", "tea", 9)
    moved = await yard.move("tea", 1, "a", "b")
    await yard.settled()
    async with database(database_url) as connection:
        took_out = await connection.fetch(
            "DELETE FROM journal WHERE actor_id = $1 AND seq >= 3 RETURNING *", moved
        )
        await projection.catch_up()
        former = await yard.context.readings.moves(MoveFilter(), EVERYTHING)
        assert [each.status for each in former] == ["in_transit"]
        last = dict(max(took_out, key=lambda row: row["seq"]))
        del last["xid"]
        columns, values = ", ".join(last), last.values()
        marks = ", ".join(f"${number}" for number in range(1, len(last) + 1))
        await connection.execute(f"INSERT INTO journal ({columns}) VALUES ({marks})", *values)

    await projection.catch_up()

    assert await stopped(database_url) == {moved}
    assert await yard.context.readings.moves(MoveFilter(), EVERYTHING) == former


async def stopped(database_url: str) -> set[int]:
    """The actors whose projection stands still."""
    async with database(database_url) as connection:
        rows = await connection.fetch("SELECT actor_id FROM quarantined_projections")
        return {row["actor_id"] for row in rows}


async def true_of_pools(database_url: str, broken: int) -> dict[str, set[object]]:
    """What is true of the pools, where a move cannot be folded."""
    async with database(database_url) as connection:
        await connection.execute("DELETE FROM journal WHERE actor_id = $1", broken)
    return {name: rows for name, rows in (await true(database_url)).items() if name != "moves"}
