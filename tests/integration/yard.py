"""A warehouse with locations, between which a real server moves units; and what is true of them.

What is true is what folding the journal gives, row by row; the read models have to say the same.
"""

from typing import TypeAlias

import asyncpg
import msgspec

from allocator.actors.messages import Outcome
from allocator.domain.catalogue import Location, PoolRef, Product, Warehouse
from allocator.domain.codec import decode_event
from allocator.domain.kinds import Command, State, blank, evolve, kind_of
from allocator.domain.messages import PlaceOrder, ReceiveStock
from allocator.domain.moves import Move, RequestMove
from allocator.domain.pool import Pool
from allocator.domain.queries import MoveQuery
from allocator.domain.rows import MoveFilter, OrderFilter, OrderRow, Page
from allocator.domain.transfers import Transfer
from allocator.runtime.serving import Running
from tests.integration.shop import database, until

EVERYTHING = Page(limit=10_000)
TABLES = ("orders", "stocks", "balances", "moves")

_ROWS = """
SELECT actors.id, actors.kind AS actor_kind, journal.kind, version, body::text AS body,
       round(date_part('epoch', at) * 1000)::bigint AS at_ms
FROM journal JOIN actors ON actors.id = actor_id
WHERE actors.kind IN ('pool', 'move', 'order')
ORDER BY actor_id, seq
"""
_UNENDED = """
SELECT count(*) FROM actors WHERE kind = 'move' AND NOT EXISTS (
    SELECT FROM journal WHERE actor_id = actors.id AND kind = 'move_ended')
"""

Seen: TypeAlias = dict[str, set[object]]
"""Rows of each list, as values that can be compared."""


class Yard:
    """The warehouse `main` with the shelves `a` and `b` and the bins `x` and `y`.

    A shelf holds anything, a bin one product at a time. Products are `tea` and `mug`.
    """

    def __init__(self, server: Running, url: str) -> None:
        self.context = server.context
        self.url = url

    async def open(self) -> None:
        catalogue = self.context.catalogue
        main = Warehouse(code="main", name="Main")
        await catalogue.put_warehouse(main, principal="", overwrite=True)
        for code, single in [("a", False), ("b", False), ("x", True), ("y", True)]:
            place = Location(code=code, name=code, warehouse="main", single_product=single)
            await catalogue.put_location(place, principal="")
        for sku in ("tea", "mug"):
            await catalogue.put_product(Product(sku=sku, name=sku), principal="", overwrite=True)

    async def pool(self, place: str, product: str) -> PoolRef:
        pool = await self.context.router.open(place, product)
        assert pool is not None
        return pool

    async def ask(self, actor_id: int, command: Command) -> int:
        """Have an actor do something; return the seq of its event."""
        answer = await self.context.asker.ask(actor_id, command, principal="")
        assert isinstance(answer, Outcome), answer
        return answer.seq

    async def receive(  # noqa: PLR0913 (what a lot consists of)
        self,
        place: str,
        product: str,
        quantity: int,
        *,
        lot: str | None = None,
        expires_at_ms: int | None = None,
        reference: str | None = None,
    ) -> int:
        pool = await self.pool(place, product)
        return await self.ask(
            pool.actor_id,
            ReceiveStock(
                quantity=quantity,
                lot=lot,
                expires_at_ms=expires_at_ms,
                reference=reference,
                product=pool.told,
            ),
        )

    async def order(self, place: str, product: str, quantity: int) -> tuple[int, int]:
        """Place an order; return its address."""
        pool = await self.pool(place, product)
        command = PlaceOrder(quantity=quantity, customer='the "product": ada', product=pool.told)
        return pool.actor_id, await self.ask(pool.actor_id, command)

    async def request(self, product: str, quantity: int, source: str, destination: str) -> int:
        """Begin a move, and return its actor as soon as it is stored."""
        here, there = await self.pool(source, product), await self.pool(destination, product)
        actor_id = await self.context.asker.begin(None)
        await self.ask(
            actor_id,
            RequestMove(
                product=product,
                source=here.actor_id,
                destination=there.actor_id,
                from_code=source,
                to_code=destination,
                quantity=quantity,
                expects=there.told is not None,
            ),
        )
        return actor_id

    async def move(self, product: str, quantity: int, source: str, destination: str) -> int:
        """Have units moved, and return the move's actor when it is decided."""
        actor_id = await self.request(product, quantity, source, destination)
        view = await self.context.asker.look(actor_id, MoveQuery(decided=True))
        assert view.move is not None
        return actor_id

    async def settled(self) -> None:
        """Wait until every move has come to its end."""
        async with database(self.url) as connection:

            async def all_ended() -> bool:
                return not await connection.fetchval(_UNENDED)

            await until(all_ended)

    async def told(self) -> Seen:
        """What the lists tell."""
        lists = self.context.readings
        orders = await lists.orders(OrderFilter(), EVERYTHING)
        stocks = await lists.stocks(warehouse=None, product=None, page=EVERYTHING)
        balances = await lists.balances(warehouse=None, product=None, page=EVERYTHING)
        moves = await lists.moves(MoveFilter(), EVERYTHING)
        return {
            "open orders": {
                (each.actor_id, each.seq, each.product, each.picks)
                for each in orders
                if isinstance(each, OrderRow) and each.status == "new"
            },
            "stocks": {
                (
                    *(each.actor_id, each.seq, each.product, each.quantity, each.available),
                    *(each.lot, each.expires_at_ms, each.received_at_ms, each.reference),
                    each.origin,
                )
                for each in stocks
            },
            "balances": {
                (
                    *(each.actor_id, each.warehouse, each.product, each.version, each.available),
                    *(each.ordered, each.expired),
                )
                for each in balances
            },
            "moves": {msgspec.json.encode(each) for each in moves},
        }


async def folded(url: str) -> dict[int, State]:
    """Every actor as its journal makes it."""
    states: dict[int, State] = {}
    async with database(url) as connection:
        for row in await connection.fetch(_ROWS):
            state = states.setdefault(row["id"], blank(kind_of(row["actor_kind"])))
            event = decode_event(kind=row["kind"], version=row["version"], body=row["body"])
            evolve(state, event, at_ms=row["at_ms"])
    return states


async def true(url: str) -> Seen:
    """What the lists have to tell, by the journal."""
    states = await folded(url)
    pools = {actor_id: state for actor_id, state in states.items() if isinstance(state, Pool)}
    async with database(url) as connection:
        names = {row["actor_id"]: row for row in await connection.fetch("SELECT * FROM pools")}
    product = {each: names[each]["product"] or state.product for each, state in pools.items()}
    return {
        "open orders": {
            (actor_id, seq, product[actor_id], picks)
            for actor_id, state in pools.items()
            for seq, picks in state.orders
        },
        "stocks": {
            (
                *(actor_id, lot.seq, product[actor_id], lot.quantity, lot.available),
                *(lot.code, lot.expires_at_ms, lot.received_at_ms, lot.reference, lot.origin),
            )
            for actor_id, state in pools.items()
            for lot in state.lots.values()
        },
        "balances": {
            (
                *(actor_id, names[actor_id]["warehouse"], product[actor_id], state.version),
                *(state.available, state.ordered, state.expired),
            )
            for actor_id, state in pools.items()
            if product[actor_id] is not None
        },
        "moves": {
            msgspec.json.encode(_row_of(actor_id, state))
            for actor_id, state in states.items()
            if isinstance(state, Move)
        },
    }


async def contents(url: str) -> dict[str, list[asyncpg.Record]]:
    """All rows of the read models."""
    async with database(url) as connection:
        sql = "SELECT to_jsonb(each) FROM {} AS each ORDER BY 1"
        return {table: await connection.fetch(sql.format(table)) for table in TABLES}


def _row_of(actor_id: int, move: Move) -> dict[str, object]:
    request = move.request
    assert request is not None
    lots: tuple[Transfer, ...] = move.lots
    return {
        "actor_id": actor_id,
        "product": request.product,
        "from_code": request.from_code,
        "to_code": request.to_code,
        "quantity": request.quantity,
        "status": move.status,
        "requested_at_ms": move.requested_at_ms,
        "decided_at_ms": move.decided_at_ms,
        "lots": lots,
        "reason": move.reason,
    }
