"""Workers that stand still, wake up too late, or leave a lock behind."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.integration.calling import Caller, call, order_request
from tests.integration.embedded_support import tcp_sockets_of
from tests.integration.proxy import AN_ORDER, Fault, proxied
from tests.integration.serving import Answer, Server, until
from tests.integration.truth import books_of, until_nothing_waits
from tests.integration.workers import (
    freeze,
    owner_of,
    settled,
    several,
    spread,
    strangers,
    thaw,
)

CALLERS = 4
SLACK_S = 2.0
"""What a slow machine is allowed for above the promise."""

GET_BALANCE = (
    b"GET /stock-balances/main/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
)


async def callers_of(server: Server, pid: int) -> list[Caller]:
    """Connect until a worker has accepted some connections; return all, also to others."""
    before = len(tcp_sockets_of(pid))
    callers: list[Caller] = []
    while len(tcp_sockets_of(pid)) < before + CALLERS:
        assert len(callers) < 1000
        callers.append(await call(server.url))
        await server.ok("GET", "/healthz")  # or the machine may not come to it
    return callers


def closing(request: bytes) -> bytes:
    """The same request, after which the server hangs up."""
    return request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


async def taken_over(database_url: str, sku: str, former: int) -> None:
    """Wait until somebody else owns a product."""

    async def moved() -> bool:
        return await owner_of(database_url, sku) not in {former, None}

    await until(moved)


@pytest.mark.parametrize("asked", ["an order", "a balance"])
async def test_a_worker_that_wakes_up_deposed_says_nothing_wrong(
    database_url: str, tmp_path: Path, asked: str
) -> None:
    """C9, C16, Q3: it loses every append, and a refusal or number of its own were wrong, too."""
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        sleeper, sku = next(iter((await spread(server, database_url, stock=1)).items()))
        await server.placed(sku)
        assert (await server.order(sku)).status == 409
        callers = await callers_of(server, sleeper)
        freeze(sleeper)
        await taken_over(database_url, sku, sleeper)
        await stranger.receive(sku, 1_000_000)
        request = GET_BALANCE % sku.encode() if "bal" in asked else order_request(sku, "late")
        for caller in callers:
            await caller.say(closing(request))
        hearing = [asyncio.create_task(caller.everything()) for caller in callers]
        await until(lambda: sum(each.done() for each in hearing) >= len(callers) - CALLERS)
        assert sum(each.done() for each in hearing) == len(callers) - CALLERS
        thaw(sleeper)
        answers = await asyncio.gather(*hearing)

        good = b"HTTP/1.1 201" if asked == "an order" else b"HTTP/1.1 200"
        assert all(each.startswith((good, b"HTTP/1.1 503")) for each in answers), answers
        assert all(b"Retry-After" in each for each in answers if b"HTTP/1.1 503" in each)
        assert not any(b'"available":0' in each for each in answers)
        ordered = sum(each.startswith(b"HTTP/1.1 201") for each in answers)
        assert (await books_of(database_url))[sku].ordered == 1 + ordered
        await settled(database_url, server)
        await until_nothing_waits(server)
        assert (await stranger.balance(sku)).ordered == 1 + ordered


async def test_requests_for_a_frozen_workers_products_go_to_its_heir(
    database_url: str, tmp_path: Path
) -> None:
    """N16: those with a key wait for it; of the others nobody can say what became."""
    async with several("--database-url", database_url, log=tmp_path / "log") as server:
        await settled(database_url, server)
        sleeper, sku = next(iter((await spread(server, database_url)).items()))
        async with strangers(server, tmp_path / "none") as stranger:
            freeze(sleeper)
            keyed = stranger.order(sku, key="once")
            unkeyed = stranger.order(sku, customer="perhaps")
            first, other = await asyncio.gather(keyed, unkeyed)
            assert first.status == 201
            assert other.is_unavailable or other.status == 201
            thaw(sleeper)
            await settled(database_url, server)
            again = await stranger.order(sku, key="once")

        assert again.body == first.body
        ordered = 1 + (other.status == 201)
        assert (await books_of(database_url))[sku].ordered == ordered


async def test_a_lock_that_a_dead_worker_left_behind_delays_its_heirs_by_a_moment(
    database_url: str, tmp_path: Path
) -> None:
    """Q7: nobody tells PostgreSQL that the client has gone, in the middle of an append."""
    patient = ("--heartbeat-ms", "100", "--dead-after-ms", "60000")
    async with (
        proxied(database_url) as proxy,
        several("--database-url", proxy.url, log=tmp_path / "log", patience=patient) as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        victim, sku = next(iter((await spread(server, database_url)).items()))
        proxy.arm(Fault.HALF_SENT, at=AN_ORDER)
        asked = asyncio.create_task(stranger.order(sku, customer="half"))
        await until(lambda: proxy.struck is not None)
        os.kill(victim, signal.SIGKILL)

        async def served_again() -> bool:
            answer = await asyncio.gather(stranger.order(sku, key="after"), return_exceptions=True)
            return isinstance(answer[0], Answer) and answer[0].status == 201

        await until(served_again)
        await asyncio.gather(asked, return_exceptions=True)

        assert server.logged("ownership.ending_sessions")
        assert (await books_of(database_url))[sku].ordered == 1
