"""What is delivered is delivered at least once and in order, whoever dies meanwhile."""

import asyncio
import os
import re
import signal
from itertools import pairwise
from pathlib import Path

from tests.integration.receivers import Receiver, keep_selling, receiver
from tests.integration.serving import Server, serving, until
from tests.integration.workers import several

STOCK = 100_000
WATCHFUL = ("--heartbeat-ms", "50", "--dead-after-ms", "200")


async def hooked(server: Server, heard: Receiver) -> None:
    """Open a shop, and have its receiver told of orders."""
    await server.open_shop(tea=STOCK)
    body = {"url": heard.url, "product": "tea", "kinds": ["order_placed"]}
    assert (await server.ask("PUT", "/webhooks/shop", body)).status == 201


def seqs_of(heard: Receiver) -> list[int]:
    """The events that were taken, as often as they were."""
    return [one.told.seq for one in heard.taken]


def firsts_of(heard: Receiver) -> list[int]:
    """The events that were taken, by when each was for the first time."""
    return list(dict.fromkeys(seqs_of(heard)))


async def caught_up(server: Server, heard: Receiver) -> int:
    """Wait until everything was taken; return the last seq of all."""
    version = (await server.balance("tea")).version
    await until(lambda: version in seqs_of(heard))
    return version


async def test_a_server_that_is_killed_goes_on_with_what_was_not_taken(
    database_url: str, tmp_path: Path
) -> None:
    arguments = ("--database-url", database_url, *WATCHFUL)
    async with receiver() as heard, serving(*arguments, log=tmp_path / "log") as server:
        await hooked(server, heard)
        stop = asyncio.Event()
        selling = asyncio.create_task(keep_selling(server, stop))
        for _ in range(2):
            wanted = len(heard.came) + 100
            await until(lambda: len(heard.came) >= wanted)  # noqa: B023 (this round's)
            heard.answer = lambda _: -1
            await until(lambda: heard.holding)  # one is on its way, and nobody knows of it
            server.crash()
            heard.answer = lambda _: 200
            await server.start_ready()
        stop.set()
        await selling
        version = await caught_up(server, heard)

    assert firsts_of(heard) == list(range(2, version + 1))
    assert all(later <= former + 1 for former, later in pairwise(seqs_of(heard)))
    bodies = {one.id: one.body for one in heard.taken}
    assert all(bodies[one.id] == one.body for one in heard.taken)


async def test_a_server_that_stops_in_order_delivers_nothing_twice(
    database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with receiver() as heard, serving("--database-url", database_url, log=log) as server:
        await hooked(server, heard)
        for _ in range(20):
            await server.placed("tea")
        await until(lambda: len(heard.taken) >= 20)
        assert await server.terminate() == 0
        await server.start_ready()
        await server.placed("tea")
        version = await caught_up(server, heard)

    assert seqs_of(heard) == list(range(2, version + 1))


async def test_what_was_not_taken_and_how_often_it_was_tried_survives_a_kill(
    database_url: str, tmp_path: Path
) -> None:
    arguments = ("--webhook-pause-ms", "3600000", *WATCHFUL, "--database-url", database_url)
    async with receiver() as heard, serving(*arguments, log=tmp_path / "log") as server:
        heard.answer = lambda one: 503 if one.told.seq == 4 else 200
        await hooked(server, heard)
        await server.batch(*[{"product": "tea", "warehouse": "main"}] * 3)

        async def tried() -> bool:
            return b'"attempts":1' in (await server.ok("GET", "/webhooks/shop")).body

        await until(tried)
        server.crash()
        heard.answer = lambda _: 200
        await server.start_ready()

        async def waiting() -> bool:
            text = (await server.ok("GET", "/metrics")).body
            return re.search(rb'webhook_lag_seconds{webhook="shop"} (?!0.0\n)', text) is not None

        await until(waiting)
        await server.placed("tea")
        body = {"url": f"{heard.url}/anew", "product": "tea", "kinds": ["order_placed"]}
        await server.ok("PUT", "/webhooks/shop", body)
        await until(lambda: seqs_of(heard) == [2, 3, 4, 5])

    assert [(one.told.seq, one.path) for one in heard.came] == [
        (2, "/hook"),
        (3, "/hook"),
        (4, "/hook"),
        (4, "/hook/anew"),
        (5, "/hook/anew"),
    ]


async def test_another_worker_delivers_when_the_one_that_did_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with receiver() as heard, several("--database-url", database_url, log=log) as server:
        await hooked(server, heard)
        stop = asyncio.Event()
        selling = asyncio.create_task(keep_selling(server, stop))
        await until(lambda: len(heard.taken) >= 50)
        [leading] = server.logged("webhooks.leading")
        os.kill(leading.pid, signal.SIGKILL)
        taken = len(heard.taken)
        await until(lambda: len(heard.taken) >= taken + 50)
        stop.set()
        await selling
        version = await caught_up(server, heard)

    assert firsts_of(heard) == list(range(2, version + 1))
