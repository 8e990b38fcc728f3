"""Locations and moves of a shop, as its clients see them."""

import secrets

from tests.integration.api_shapes import Answer, Balance, Levels, Listing, Location, Move, Problem
from tests.integration.shop import Shop, until

MOVES = "/moves"


def unused() -> str:
    """A code that nobody has."""
    return f"l-{secrets.token_hex(6)}"


async def located(shop: Shop, **members: object) -> str:
    """Make a location in the shop's warehouse, and return its code."""
    code = unused()
    body = {"warehouse": shop.warehouse, **members}
    (await shop.put(f"/locations/{code}", body)).read(Location, status=201)
    return code


async def another_product(shop: Shop) -> Shop:
    """Return the same shop, dealing in another product."""
    other = Shop(shop.server, shop.client)
    other.warehouse = shop.warehouse
    assert (await other.put(f"/products/{other.product}", {"name": "Other"})).status == 201
    return other


async def levels(shop: Shop, location: str) -> list[Balance]:
    """Return what is at a location."""
    return (await shop.get(f"/locations/{location}")).read(Levels).levels


async def on_hand(shop: Shop, place: str) -> int:
    """Say how many units of the shop's product are somewhere."""
    answer = await shop.get(f"/stock-balances/{place}/{shop.product}")
    return answer.read(Balance).on_hand


async def move(
    shop: Shop, source: str, destination: str, quantity: int = 1, *, key: str | None = None
) -> Answer:
    """Try to move units of the shop's product."""
    body = {"product": shop.product, "from": source, "to": destination, "quantity": quantity}
    return await shop.post(MOVES, body, key=key)


async def moved(
    shop: Shop, source: str, destination: str, quantity: int = 1, *, key: str | None = None
) -> Move:
    """Move units of the shop's product successfully."""
    answer = await move(shop, source, destination, quantity, key=key)
    done = answer.read(Move, status=201)
    assert done.status == "done"
    assert answer.headers["Location"] == f"{MOVES}/{done.id}"
    return done


async def not_moved(
    shop: Shop, source: str, destination: str, quantity: int = 1, *, key: str | None = None
) -> Problem:
    """Have a move refused."""
    return (await move(shop, source, destination, quantity, key=key)).problem(409)


async def shown(shop: Shop, move_id: str | None) -> Move:
    """Look a move up."""
    return (await shop.get(f"{MOVES}/{move_id}")).read(Move)


async def emptied(shop: Shop, location: str) -> None:
    """Wait until a location is free for any product: whoever expected one has let go."""

    async def is_free() -> bool:
        return await levels(shop, location) == []

    await until(is_free)


async def listed(shop: Shop, **wanted: str) -> list[Move]:
    """Return the moves of a list, once the read model knows everything."""
    await shop.projected()
    return await shop.all_of(Move, MOVES, limit=2, **wanted)


async def locations_of(shop: Shop) -> list[Levels]:
    """Return all locations of the shop's warehouse, once the read model knows everything."""
    await shop.projected()
    path = f"/locations?warehouse={shop.warehouse}&limit=200"
    return (await shop.get(path)).read(Listing[Levels]).items
