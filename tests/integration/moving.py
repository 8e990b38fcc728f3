"""Places between which units move, in a shop's server."""

import msgspec

from tests.integration.shop import Shop, database, until

_UNDER_WAY = """
SELECT count(*) FROM actors WHERE kind = 'move' AND NOT EXISTS (
    SELECT FROM journal WHERE actor_id = actors.id AND kind = 'move_ended')
"""


class Moved(msgspec.Struct, frozen=True):
    """What a test wants of a move."""

    id: str
    status: str
    lots: list[dict[str, object]]


async def placed_in(shop: Shop, code: str, *, single_product: bool = True) -> Shop:
    """A location inside the shop's warehouse, and the shop's product there."""
    body = {"warehouse": shop.warehouse, "single_product": single_product}
    answer = await shop.put(f"/locations/{code}", body)
    assert answer.status == 201, answer.body
    location = Shop(shop.server, shop.client)
    location.warehouse, location.product = code, shop.product
    return location


def request(source: Shop, destination: Shop, quantity: int) -> dict[str, object]:
    """The body of a request to move units of the source's product."""
    return {
        "product": source.product,
        "from": source.warehouse,
        "to": destination.warehouse,
        "quantity": quantity,
    }


async def moved(
    source: Shop, destination: Shop, quantity: int = 1, *, key: str | None = None
) -> Moved:
    """Move units, which succeeds."""
    answer = await source.post("/moves", request(source, destination, quantity), key=key)
    return answer.read(Moved, status=201)


async def not_moved(source: Shop, destination: Shop, quantity: int) -> str:
    """Try to move units, in vain; return the id of the move."""
    answer = await source.post("/moves", request(source, destination, quantity))
    return str(msgspec.json.decode(answer.body)["move"])


async def all_ended(shop: Shop, database_url: str) -> None:
    """Wait until every move has come to its end, and the read models know."""
    async with database(database_url) as connection:

        async def have_ended() -> bool:
            return int(await connection.fetchval(_UNDER_WAY)) == 0

        await until(have_ended)
    await shop.projected()
