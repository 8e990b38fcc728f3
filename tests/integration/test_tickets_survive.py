"""Tickets under deaths and on several workers: no ticket is sold twice, no purchase is lost."""

import asyncio
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import msgspec

from tests.integration.serving import Answer, Server, serving, until
from tests.integration.verifying import faults
from tests.integration.workers import settled, several

AT_ONCE = 40


class Option(msgspec.Struct):
    """What is left of an option."""

    id: str
    allocation: int


async def opened(server: Server, allocation: int, *, key: str | None = None) -> str:
    """Open an option and return its path."""
    body = {"name": "Gig", "desc": "", "allocation": allocation}
    answer = await server.ask("POST", "/ticket_options", body, key=key)
    assert answer.status == 201, answer
    return f"/ticket_options/{msgspec.json.decode(answer.body, type=Option).id}"


async def left(server: Server, path: str) -> int:
    """Say how many tickets are left."""
    return msgspec.json.decode((await server.ok("GET", path)).body, type=Option).allocation


async def buy(server: Server, path: str, *, key: str | None = None) -> Answer:
    """Try to buy a ticket."""
    body = {"quantity": 1, "user_id": str(uuid.UUID(int=0))}
    return await server.ask("POST", f"{path}/purchases", body, key=key)


async def insist(server: Server, path: str, *, key: str) -> int:
    """Buy a ticket as often as it takes to hear whether that was done."""
    while True:
        with suppress(aiohttp.ClientError):
            answer = await buy(server, path, key=key)
            if answer.status != 503:
                return answer.status
        await asyncio.sleep(0.02)


def are_done(crowd: list[asyncio.Task[int]], wanted: int) -> bool:
    """Whether so many of a crowd have been answered."""
    return sum(each.done() for each in crowd) >= wanted


async def test_the_last_tickets_are_sold_once_by_two_workers(
    database_url: str, tmp_path: Path
) -> None:
    """F6, F7, F8: whichever worker is asked, and whichever has the option."""
    async with several("--database-url", database_url, log=tmp_path / "log") as server:
        await settled(database_url, server)
        paths = await asyncio.gather(*(opened(server, 10) for _ in range(8)))

        bought = await asyncio.gather(*(buy(server, path) for path in paths for _ in range(15)))

        assert sorted(answer.status for answer in bought) == [204] * 80 + [409] * 40
        assert [await left(server, path) for path in paths] == [0] * 8
    assert await faults(database_url) == []


async def test_repeats_of_an_opening_through_two_workers_make_one_option(
    database_url: str, tmp_path: Path
) -> None:
    """F8: at once, and whoever is asked."""
    async with several("--database-url", database_url, log=tmp_path / "log") as server:
        await settled(database_url, server)
        keys = [f"open {number}" for number in range(4)] * 8

        paths = await asyncio.gather(*(opened(server, 10, key=key) for key in keys))

        assert len(set(paths)) == 4
        assert dict(zip(keys, paths, strict=True)) == dict(
            zip(reversed(keys), reversed(paths), strict=True)
        )


async def test_a_killed_server_has_sold_what_it_said_and_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    """F4, F5, F7: kill -9 in the middle of a rush, and everybody asks again with his key."""
    frequent = ("--heartbeat-ms", "100", "--dead-after-ms", "400")
    async with serving("--database-url", database_url, *frequent, log=tmp_path / "log") as server:
        path = await opened(server, 400, key="open")
        turn = asyncio.Semaphore(AT_ONCE)

        async def customer(number: int) -> int:
            async with turn:
                return await insist(server, path, key=f"buy {number}")

        crowd = [asyncio.create_task(customer(number)) for number in range(450)]
        for done in (50, 250):
            await until(partial(are_done, crowd, done))
            server.crash()
            await server.start_ready()
        told = [await each for each in crowd]

        assert (told.count(204), told.count(409)) == (400, 50)
        assert await left(server, path) == 0
        assert await opened(server, 400, key="open") == path
        repeated = await asyncio.gather(*(buy(server, path, key=f"buy {n}") for n in range(40)))
        assert [each.status for each in repeated] == told[:40]
        assert all(each.body == b"" for each in repeated if each.status == 204)
    assert await faults(database_url) == []
