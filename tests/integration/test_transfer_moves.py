"""Locations and moves travel with their installation, and go back in time with it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from allocator.domain.catalogue import Location
from allocator.domain.messages import DispatchOrder
from allocator.persistence.cuts import Cut
from tests.integration.shop import database, opened
from tests.integration.transfers import (
    another,
    empty,
    everything,
    export,
    import_,
    now,
    project,
    restore,
    small_blocks,
)
from tests.integration.yard import Yard, contents

NAMES = (
    "SELECT code, name, parent, single_product FROM warehouses ORDER BY code",
    "SELECT actors.key FROM pools JOIN actors ON actors.id = actor_id ORDER BY key",
)


@pytest_asyncio.fixture
async def yard(database_url: str) -> AsyncIterator[Yard]:
    """A yard whose server leaves the read models to the test."""
    async with opened(database_url, projection=False) as shop:
        yard = Yard(shop.server, database_url)
        await yard.open()
        yield yard


async def test_what_is_imported_has_its_locations_and_moves(
    yard: Yard, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A location that sorts before its warehouse, too: rows come in pieces."""
    small_blocks(monkeypatch)
    for number in range(20):
        code = f"0-{number:02}"
        place = Location(code=code, name=code, warehouse="main", single_product=True)
        await yard.context.catalogue.put_location(place, principal="")
    await yard.receive("a", "tea", 9, lot="L1")
    await yard.move("tea", 3, "a", "x")
    await yard.move("tea", 9, "a", "0-07")
    await yard.settled()
    await project(database_url)
    await export(database_url, tmp_path / "all.ndjson")

    async with another(database_url) as target:
        await import_(tmp_path / "all.ndjson", target)
        here, there = await everything(database_url), await everything(target)
        del here["cuts"], there["cuts"]  # the server has gone on recording them
        assert there == here
        await project(target)

        assert await contents(target) == await contents(database_url)


async def test_a_restored_moment_has_the_locations_and_moves_of_then(
    yard: Yard, database_url: str
) -> None:
    """What was made later is not there: neither places, nor pools that only they could have."""
    late = Location(code="late", name="Late", warehouse="main", single_product=True)
    moments: list[tuple[Cut, object, object]] = []

    async def remember() -> None:
        await project(database_url)
        cut, lists = await now(database_url), await contents(database_url)
        moments.append((cut, lists, [await rows(database_url, each) for each in NAMES]))

    await yard.receive("a", "tea", 9)
    await yard.pool("x", "mug")  # known, and not used yet
    await remember()
    await yard.move("tea", 3, "a", "x")
    await yard.settled()
    await remember()
    renamed = Location(code="x", name="X", warehouse="main", single_product=True)
    await yard.context.catalogue.put_location(renamed, principal="")
    await yard.context.catalogue.put_location(late, principal="")
    pool, order = await yard.order("x", "tea", 3)
    await yard.ask(pool, DispatchOrder(order=order))
    await yard.receive("x", "mug", 2)
    await yard.move("mug", 1, "x", "late")
    await yard.settled()
    await remember()

    async with another(database_url) as target:
        for cut, lists, names in moments:
            await restore(database_url, target, cut)
            await project(target)
            assert [await rows(target, each) for each in NAMES] == names
            assert await contents(target) == lists
            await empty(target)


async def rows(url: str, sql: str) -> list[tuple[object, ...]]:
    async with database(url) as connection:
        return [tuple(row) for row in await connection.fetch(sql)]
