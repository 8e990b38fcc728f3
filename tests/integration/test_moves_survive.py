"""Moves under deaths and on several workers: each comes to its end, and no unit is lost or made."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import aiohttp
import msgspec

from tests.integration.serving import Server, until
from tests.integration.truth import query
from tests.integration.verifying import faults
from tests.integration.workers import settled, several, strangers

PRODUCTS = ("tea", "pot", "cup")
BINS = tuple(f"bin-{number}" for number in range(6))
PLACES = ("main", "web", *BINS)
STOCK = 60
DEATHS = int(os.environ.get("MOVES_DEATHS", "2"))
WORKERS = 2
CLIENTS = 12
FORGOTTEN_TRIES = 10
BUYING = 0.2
BETWEEN_DEATHS = 25
REPEATED = 12

CREATED, UNAVAILABLE = 201, 503
ENDS = {CREATED: "done", 409: "refused"}

_UNFINISHED = "SELECT count(*) FROM actors WHERE kind = 'move' AND wake_at IS NOT NULL"

_UNITS = """
SELECT coalesce(body ->> 'product', pools.product) AS product,
       sum(CASE kind WHEN 'stock_received' THEN (body ->> 'quantity')::bigint
                     WHEN 'units_taken' THEN (body -> 'lot' ->> 'quantity')::bigint
                     ELSE -(body ->> 'quantity')::bigint END) AS units
FROM journal JOIN pools USING (actor_id)
WHERE kind IN ('stock_received', 'units_taken', 'units_sent')
GROUP BY 1
"""
"""What is on hand as the journal alone has it: what came and what left, by product."""

_MOVES = """
SELECT idempotency_key AS key, status FROM moves JOIN journal USING (actor_id)
WHERE seq = 1 AND idempotency_key IS NOT NULL
"""

_STUCK = "SELECT actor_id FROM moves WHERE status = 'in_transit' OR NOT ended"

_OWNERS = """
SELECT pools.warehouse, split_part(workers.name, ':', 2)::int AS pid
FROM pools JOIN shards ON shards.id = pools.actor_id & 255 JOIN workers USING (incarnation)
WHERE NOT fenced
"""


class Level(msgspec.Struct):
    """What is of a product at a place."""

    product: str
    available: int
    ordered: int
    on_hand: int


class Told:
    """What clients were told: how each request ended, by its key, and what was sold where."""

    def __init__(self) -> None:
        self.ends: dict[str, int] = {}
        self.sold: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.lost = 0


class Client:
    """Somebody who moves or buys units at random, and insists on hearing the end of it."""

    def __init__(self, server: Server, told: Told, number: int) -> None:
        self._server = server
        self._told = told
        self._number = number
        self._random = Random(number)

    async def work(self, called_off: asyncio.Event) -> None:
        """Go on until called off; what was begun is heard of."""
        number = 0
        while not called_off.is_set():
            number += 1
            if self._random.random() < BUYING:
                await self._buy(f"order {self._number} {number}")
            else:
                await self._move(f"move {self._number} {number}")

    def a_move(self) -> dict[str, object]:
        """Return the body of a move from anywhere to anywhere."""
        source, destination = self._random.sample(PLACES, 2)
        return {
            "product": self._random.choice(PRODUCTS),
            "from": source,
            "to": destination,
            "quantity": self._random.randint(1, 12),
        }

    async def _move(self, key: str) -> None:
        self._told.ends[key] = await self._insist("/moves", self.a_move(), key)

    async def _buy(self, key: str) -> None:
        place, product = self._random.choice(PLACES), self._random.choice(PRODUCTS)
        body = {"product": product, "warehouse": place}
        if await self._insist("/orders", body, key) == CREATED:
            self._told.sold[place, product] += 1

    async def _insist(self, path: str, body: Mapping[str, object], key: str) -> int:
        while True:
            try:
                answer = await self._server.ask("POST", path, body, key=key)
            except (aiohttp.ClientError, OSError):
                self._told.lost += 1
            else:
                if answer.status != UNAVAILABLE:
                    if answer.status not in ENDS:
                        self._told.wrong.append(f"{path} {body}: {answer}")
                    return answer.status
            await asyncio.sleep(0.02)


async def open_places(server: Server) -> None:
    """Have all products in the warehouse, a website for any of them, and bins for one each."""
    await server.open_shop(**dict.fromkeys(PRODUCTS, STOCK))
    await server.ok("PUT", "/locations/web", {"warehouse": "main", "single_product": False})
    for place in BINS:
        await server.ok("PUT", f"/locations/{place}", {"warehouse": "main"})


async def levels(server: Server) -> dict[tuple[str, str], Level]:
    """Look at every balance, by place and product."""
    found = {}
    for place in PLACES:
        for product in PRODUCTS:
            answer = await server.ok("GET", f"/stock-balances/{place}/{product}")
            found[place, product] = msgspec.json.decode(answer.body, type=Level)
    return found


async def unfinished_moves(database_url: str) -> int:
    """Say how many moves have anything left to do."""
    [row] = await query(database_url, _UNFINISHED)
    return int(row["count"])


async def all_ended(server: Server, database_url: str) -> None:
    """Wait until no move has anything left to do, and nobody has to ask for that."""

    async def have_ended() -> bool:
        return await unfinished_moves(database_url) == 0

    await until(have_ended)

    async def caught_up() -> bool:
        return await server.metric("allocator_projection_lag_events") == 0

    await until(caught_up)


async def check(server: Server, database_url: str, told: Told) -> None:
    """Every move has ended as was told, and every unit is where the journal says, once."""
    assert told.wrong == []
    await all_ended(server, database_url)
    assert await query(database_url, _STUCK) == []
    moves = await query(database_url, _MOVES)
    assert {row["key"]: row["status"] for row in moves} == {
        key: ENDS[status] for key, status in told.ends.items()
    }
    assert len(moves) == len(told.ends)  # one process for each key
    there = await levels(server)
    assert {name: level.ordered for name, level in there.items() if level.ordered} == told.sold
    assert min(level.available for level in there.values()) >= 0
    for place in BINS:
        assert sum(there[place, product].on_hand > 0 for product in PRODUCTS) <= 1
    on_hand: Counter[str] = Counter()
    for (_, product), level in there.items():
        on_hand[product] += level.on_hand
    assert on_hand == dict.fromkeys(PRODUCTS, STOCK)
    assert {row["product"]: row["units"] for row in await query(database_url, _UNITS)} == on_hand
    assert await faults(database_url) == []


async def owners(database_url: str) -> dict[str, set[int]]:
    """Return the processes that own the pools of each place."""
    found: dict[str, set[int]] = {}
    for row in await query(database_url, _OWNERS):
        found.setdefault(row["warehouse"], set()).add(row["pid"])
    return found


async def repeats_are_one(stranger: Server, told: Told) -> None:
    """Ask for the same move many times at once, of whichever worker; it happens once."""
    body = {"product": "tea", "from": "main", "to": "web", "quantity": 1}
    for number in range(REPEATED):
        key = f"repeated {number}"
        asks = [stranger.ask("POST", "/moves", body, key=key) for _ in range(CLIENTS)]
        answers = await asyncio.gather(*asks)
        assert {answer.status for answer in answers} == {CREATED}
        assert len({answer.body for answer in answers}) == 1
        told.ends[key] = CREATED


async def die_forgotten(server: Server, database_url: str) -> None:
    """Let the server die, and start again, while it moves units for clients who never come back."""

    async def move_until_it_dies(client: Client) -> None:
        with suppress(aiohttp.ClientError, OSError):
            while True:
                await server.ask("POST", "/moves", client.a_move())

    async def is_busy() -> bool:
        return await unfinished_moves(database_url) > 0

    for _ in range(FORGOTTEN_TRIES):
        async with asyncio.TaskGroup() as tasks:
            for number in range(CLIENTS):
                tasks.create_task(move_until_it_dies(Client(server, Told(), number)))
            await until(is_busy)
            server.crash()
        caught = await is_busy()  # what was under way may have ended just before
        await server.start_ready()
        if caught:
            return
    raise AssertionError(f"{FORGOTTEN_TRIES} deaths cut no move off")


async def more(told: Told, wanted: int) -> None:
    """Wait for the ends of so many more moves."""
    enough = len(told.ends) + wanted
    await until(lambda: len(told.ends) >= enough)


@asynccontextmanager
async def crowd(server: Server, told: Told) -> AsyncIterator[None]:
    """Clients at work, who finish what they began when they are called off."""
    called_off = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(Client(server, told, number).work(called_off))
        try:
            yield
        finally:
            called_off.set()


async def test_deaths_of_workers_and_servers_leave_no_move_half_done(
    database_url: str, tmp_path: Path
) -> None:
    """O2, O3, O4, Q2, Q3: kill -9 in mid-move, of one worker, then of everything at once.

    Sources and destinations are on different workers, orders are placed at all of them, and in the
    end nobody asks for what was under way.
    MOVES_DEATHS=20 dies more often than CI does.
    """

    async def are_spread() -> bool:
        return len(set.union(*(await owners(database_url)).values())) == WORKERS

    arguments = ("--database-url", database_url)
    async with several(*arguments, log=tmp_path / "log", workers=WORKERS) as server:
        await open_places(server)
        await settled(database_url, server)
        told = Told()
        async with strangers(server, tmp_path / "none") as stranger:
            await repeats_are_one(stranger, told)
        async with crowd(server, told):
            for number in range(DEATHS):
                await more(told, BETWEEN_DEATHS)
                os.kill(server.workers()[number % WORKERS], signal.SIGKILL)
                await more(told, BETWEEN_DEATHS)
                await until(lambda: len(server.workers()) == WORKERS)
                await settled(database_url, server)
                await until(are_spread)
            for _ in range(DEATHS - 1):
                await more(told, BETWEEN_DEATHS)
                server.crash()
                await server.start_ready()
        await die_forgotten(server, database_url)

        assert told.lost > 0
        assert told.sold
        assert set(told.ends.values()) == set(ENDS)
        await check(server, database_url, told)
