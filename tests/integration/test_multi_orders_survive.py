"""Orders of several lines under deaths and on several workers: all or nothing, and settled."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from tests.integration.api_shapes import Order, Problem
from tests.integration.serving import Answer, Server, serving, until
from tests.integration.truth import query
from tests.integration.verifying import faults
from tests.integration.workers import PATIENT, settled

PRODUCTS = tuple(f"sku-{number}" for number in range(4))
STOCK = 40
ORDERS = 160
AT_ONCE = 32

_UNDECIDED = """
SELECT count(*) FROM journal AS first
WHERE kind = 'order_requested' AND NOT EXISTS (
    SELECT FROM journal WHERE actor_id = first.actor_id AND kind = 'lines_settled')
"""


def wish(number: int) -> dict[str, object]:
    """One unit of each of three products, in any order."""
    chosen = random.Random(number).sample(PRODUCTS, 3)
    lines = [{"product": product, "warehouse": "main"} for product in chosen]
    return {"lines": lines, "customer": f"c-{number}"}


async def insist(server: Server, number: int) -> Answer:
    """Order as often as it takes to hear what came of it."""
    while True:
        with suppress(aiohttp.ClientError, TimeoutError):
            answer = await server.ask("POST", "/orders", wish(number), key=f"order {number}")
            if answer.status != 503:
                return answer
        await asyncio.sleep(0.05)


async def test_whoever_is_killed_every_order_is_decided_once_and_units_add_up(
    database_url: str, tmp_path: Path
) -> None:
    """N1, Q1, Q2, Q3, Q7: kill -9 of a worker, then of everybody, in the midst of many orders."""
    log, workers = tmp_path / "log", ("--workers", "2")
    async with serving("--database-url", database_url, *workers, *PATIENT, log=log) as server:
        await server.open_shop(**dict.fromkeys(PRODUCTS, STOCK))
        await settled(database_url, server)
        turn = asyncio.Semaphore(AT_ONCE)

        async def customer(number: int) -> Answer:
            async with turn:
                return await insist(server, number)

        crowd = [asyncio.create_task(customer(number)) for number in range(ORDERS)]
        await until(partial(are_done, crowd, ORDERS // 5))
        os.kill(server.workers()[0], signal.SIGKILL)
        await until(partial(are_done, crowd, ORDERS // 2))
        server.crash()
        await server.start_ready()
        told = [await each for each in crowd]

        await until(partial(nothing_undecided, database_url))
        sold = await check_answers(server, told)
        for product in PRODUCTS:
            balance = await server.balance(product)
            assert (balance.available, balance.ordered) == (STOCK - sold[product], sold[product])
            assert balance.on_hand == STOCK  # so nothing is held
        assert sum(sold.values()) > 3 * STOCK  # so that it was no easy day
    assert await faults(database_url) == []


async def check_answers(server: Server, told: list[Answer]) -> dict[str, int]:
    """Hold every answer against what is there; return how many of each product were sold."""
    sold = dict.fromkeys(PRODUCTS, 0)
    for number, answer in enumerate(told):
        if answer.status == 201:
            order = msgspec.json.decode(answer.body, type=Order)
            shown = await server.ok("GET", f"/orders/{order.id}")
            assert msgspec.json.decode(shown.body, type=Order) == order
            for line in order.lines:
                sold[line.product] += line.quantity
        else:
            problem = msgspec.json.decode(answer.body, type=Problem)
            assert problem.lines, problem
        again = await insist(server, number)
        assert (again.status, again.body) == (answer.status, answer.body)
    return sold


async def nothing_undecided(database_url: str) -> bool:
    [row] = await query(database_url, _UNDECIDED)
    return int(row["count"]) == 0


def are_done(crowd: list[asyncio.Task[Answer]], wanted: int) -> bool:
    """Whether so many of a crowd have been answered."""
    return sum(each.done() for each in crowd) >= wanted
