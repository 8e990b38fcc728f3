"""Locations in the catalogue, and the way from a place and a product to the pool that keeps it."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.actors.router import Router
from allocator.domain.catalogue import Location, PoolRef, Product, Warehouse
from allocator.domain.ids import SHARD_MASK, shard_of
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.pools import PostgresPools

NOW_MS = 1_767_225_600_123
MAIN = Warehouse(code="main", name="Main")
BIN = Location(code="bin-1", name="bin-1", warehouse="main", single_product=True)
WEBSITE = Location(code="website", name="Website", warehouse="main", single_product=False)


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    connection = await connect(database_url, application_name="places")
    await migrate(connection)
    await open_installation(connection)
    connection.terminate()
    opened = await open_pool(database_url, size=4)
    yield opened
    opened.terminate()


@pytest_asyncio.fixture
async def catalogue(pool: Pool) -> PostgresCatalogue:
    """One warehouse with two locations, and the products tea and mugs."""
    catalogue = PostgresCatalogue(pool, era=1, clock=lambda: NOW_MS)
    assert await catalogue.put_warehouse(MAIN, principal="", overwrite=True) == (MAIN, True)
    for location in (BIN, WEBSITE):
        assert await catalogue.put_location(location, principal="") == (location, True)
    for sku in ("tea", "mug"):
        await catalogue.put_product(Product(sku=sku, name=sku), principal="", overwrite=True)
    return catalogue


async def test_a_location_is_known_as_such_and_not_as_a_warehouse(
    catalogue: PostgresCatalogue,
) -> None:
    assert await catalogue.location("bin-1") == BIN
    assert await catalogue.warehouse("bin-1") is None
    assert await catalogue.location("main") is None
    assert await catalogue.warehouses(after="", limit=10) == [MAIN]
    assert await catalogue.locations(warehouse=None, after="", limit=10) == [BIN, WEBSITE]


async def test_the_locations_of_one_warehouse_are_listed_in_pages(
    catalogue: PostgresCatalogue,
) -> None:
    other = Warehouse(code="other", name="Other")
    theirs = Location(code="c", name="c", warehouse="other", single_product=True)
    await catalogue.put_warehouse(other, principal="", overwrite=True)
    await catalogue.put_location(theirs, principal="")

    assert await catalogue.locations(warehouse="main", after="", limit=1) == [BIN]
    assert await catalogue.locations(warehouse="main", after="bin-1", limit=10) == [WEBSITE]
    assert await catalogue.locations(warehouse="other", after="", limit=10) == [theirs]
    assert await catalogue.locations(warehouse="bin-1", after="", limit=10) == []


async def test_a_location_may_be_called_something_else(
    catalogue: PostgresCatalogue, pool: Pool
) -> None:
    """Each change leaves a row of its journal; what changes nothing leaves none."""
    renamed = msgspec.structs.replace(BIN, name="Bin 1")
    for _ in range(2):
        assert await catalogue.put_location(renamed, principal="ops") == (renamed, False)

    rows = await pool.fetch(
        "SELECT journal.kind, body::text, principal FROM journal JOIN actors ON id = actor_id "
        "WHERE key = 'warehouse:bin-1' ORDER BY seq"
    )

    assert [tuple(row) for row in rows] == [
        ("location_put", '{"name":"bin-1","warehouse":"main","single_product":true}', ""),
        ("location_put", '{"name":"Bin 1","warehouse":"main","single_product":true}', "ops"),
    ]
    assert await catalogue.location("bin-1") == renamed


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(BIN, warehouse="other", name="Moved"),
        msgspec.structs.replace(BIN, single_product=False, name="Shared"),
    ],
)
async def test_what_routes_never_changes(catalogue: PostgresCatalogue, changed: Location) -> None:
    other = Warehouse(code="other", name="Other")
    await catalogue.put_warehouse(other, principal="", overwrite=True)

    assert await catalogue.put_location(changed, principal="") == (BIN, False)
    assert await catalogue.location("bin-1") == BIN


async def test_a_code_is_a_warehouse_or_a_location_for_ever(catalogue: PostgresCatalogue) -> None:
    claim = Warehouse(code="bin-1", name="Mine")
    inside = Location(code="main", name="Mine", warehouse="main", single_product=True)

    for overwrite in (True, False):
        answer = await catalogue.put_warehouse(claim, principal="", overwrite=overwrite)
        assert answer == (BIN, False)
    assert await catalogue.put_location(inside, principal="") == (MAIN, False)
    assert await catalogue.warehouse("main") == MAIN


async def test_of_many_who_make_a_location_at_once_one_does(catalogue: PostgresCatalogue) -> None:
    wanted = msgspec.structs.replace(BIN, code="bin-2")
    made = await asyncio.gather(*[catalogue.put_location(wanted, principal="") for _ in range(8)])

    assert sorted(created for _, created in made) == [False] * 7 + [True]
    assert {stored.code for stored, _ in made} == {"bin-2"}


@pytest.mark.usefixtures("catalogue")
async def test_a_location_of_one_product_at_a_time_is_one_pool(pool: Pool) -> None:
    names = PostgresPools(pool)
    assert await names.find_pool("bin-1", "tea") is None
    tea, mug = await names.open_pool("bin-1", "tea"), await names.open_pool("bin-1", "mug")

    assert tea is not None
    assert tea == PoolRef(tea.actor_id, "bin-1", "tea", told="tea")
    assert mug == PoolRef(tea.actor_id, "bin-1", "mug", told="mug")
    assert await names.find_pool("bin-1", "mug") == mug
    assert await names.pool_of(tea.actor_id) == PoolRef(tea.actor_id, "bin-1", "", told="")
    key = await pool.fetchval("SELECT key FROM actors WHERE id = $1", tea.actor_id)
    assert key == "pool:bin-1/"
    assert tea.actor_id & SHARD_MASK == shard_of(key)


@pytest.mark.usefixtures("catalogue")
async def test_other_places_have_a_pool_for_each_product(pool: Pool) -> None:
    names = PostgresPools(pool)
    for place in ("main", "website"):
        tea, mug = await names.open_pool(place, "tea"), await names.open_pool(place, "mug")

        assert tea is not None
        assert mug is not None
        assert tea.actor_id != mug.actor_id
        assert tea == await names.pool_of(tea.actor_id) == PoolRef(tea.actor_id, place, "tea")
        key = await pool.fetchval("SELECT key FROM actors WHERE id = $1", tea.actor_id)
        assert key == f"pool:{place}/tea"
        assert tea.actor_id & SHARD_MASK == shard_of(key)


@pytest.mark.usefixtures("catalogue")
async def test_what_is_unknown_has_no_pool_anywhere(pool: Pool) -> None:
    names = PostgresPools(pool)
    await names.open_pool("bin-1", "tea")

    for place, product in [("bin-1", "nothing"), ("main", "nothing"), ("nowhere", "tea")]:
        assert await names.open_pool(place, product) is None
        assert await names.find_pool(place, product) is None


@pytest.mark.usefixtures("catalogue")
async def test_pools_that_many_ask_for_at_once_are_made_once(pool: Pool) -> None:
    names = PostgresPools(pool)
    pairs = [("bin-1", "tea"), ("bin-1", "mug"), ("main", "tea")] * 4
    opened = await asyncio.gather(*[names.open_pool(*pair) for pair in pairs])

    assert None not in opened
    assert len({each.actor_id for each in opened if each is not None}) == 2
    assert await pool.fetchval("SELECT count(*) FROM pools") == 2


@pytest.mark.usefixtures("catalogue")
async def test_pools_that_are_made_together_are_the_actors_that_were_begun(pool: Pool) -> None:
    names = PostgresPools(pool)
    there = await names.open_pool("main", "tea")
    assert there is not None

    made = await names.make_pools("main", {"tea": 256, "mug": 512, "nothing": 768})

    assert made == {"mug": 512}
    assert await names.find_pools("main", ["tea", "mug", "nothing"]) == {
        "tea": there.actor_id,
        "mug": 512,
    }
    assert await pool.fetchval("SELECT key FROM actors WHERE id = 512") == "pool:main/mug"
    assert await names.make_pools("bin-1", {"mug": 1024}) == {}
    assert await names.find_pool("bin-1", "mug") is None


@pytest.mark.usefixtures("catalogue")
async def test_a_router_keeps_apart_what_a_pair_and_what_an_id_leads_to(pool: Pool) -> None:
    router = Router(PostgresPools(pool))
    for product in ("tea", "mug"):
        by_pair = await router.open("bin-1", product)
        assert by_pair is not None
        assert by_pair.told == product
        by_id = await router.pool_of(by_pair.actor_id)
        assert by_id == PoolRef(by_pair.actor_id, "bin-1", "", told="")
        assert await router.find("bin-1", product) is by_pair
        assert router.known["bin-1", product] is by_pair
    assert ("bin-1", "") not in router.known
    plain = await router.open("main", "tea")
    assert plain is not None
    assert await router.pool_of(plain.actor_id) is plain


async def test_a_name_that_was_unknown_is_asked_for_again(
    catalogue: PostgresCatalogue, pool: Pool
) -> None:
    router = Router(PostgresPools(pool))
    assert await router.open("bin-1", "new") is None
    await catalogue.put_product(Product(sku="new", name="New"), principal="", overwrite=True)

    assert await router.open("bin-1", "new") is not None
