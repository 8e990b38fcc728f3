"""What is delivered is delivered at least once and in order, whoever dies meanwhile."""

import asyncio
import os
import signal
from itertools import pairwise
from pathlib import Path

import msgspec

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
            wanted = len(heard.taken) + 100
            await until(lambda: len(heard.taken) >= wanted)  # noqa: B023 (this round's)
            server.crash()
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


async def test_attempts_are_remembered_when_the_server_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    arguments = ("--webhook-pause-ms", "3600000", *WATCHFUL, "--database-url", database_url)
    async with receiver() as heard, serving(*arguments, log=tmp_path / "log") as server:
        heard.answer = lambda _: 503
        await hooked(server, heard)
        await server.placed("tea")
        await until(lambda: bool(heard.came))

        async def noted() -> bool:
            return b'"attempts":1' in (await server.ok("GET", "/webhooks/shop")).body

        await until(noted)
        server.crash()
        heard.answer = lambda _: 200
        await server.start_ready()
        shown = await server.ok("GET", "/webhooks/shop")
        await server.placed("tea")

        assert msgspec.json.decode(shown.body)["status"] == "retrying"
        assert len(heard.came) == 1
        body = {"url": heard.url, "product": "tea", "kinds": ["order_placed"]}
        await server.ok("PUT", "/webhooks/shop", {**body, "warehouse": "main"})
        await until(lambda: seqs_of(heard) == [2, 3])


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
