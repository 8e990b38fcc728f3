"""Nothing is left out and nothing told twice: across kills, restarts, workers and slow clients."""

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec
import pytest
from yarl import URL

from allocator.http.events import EventHandlers
from allocator.persistence.feed import Feed
from tests.integration.listening import Ear, Event, listening
from tests.integration.receivers import keep_selling
from tests.integration.serving import HANG_S, Server, serving, until
from tests.integration.shop import Shop, opened
from tests.integration.shop import until as until_so
from tests.integration.truth import query
from tests.integration.workers import several, spread, strangers

ALL = "0.0.0.0"
STOCK = 100_000
TEA = {"product": "tea", "warehouse": "main"}

DEFAULTS: dict[str, object] = vars(EventHandlers)["__init__"].__kwdefaults__
FEED_DEFAULTS: dict[str, object] = vars(Feed)["__init__"].__kwdefaults__

GONE = (OSError, EOFError, TimeoutError, AssertionError, aiohttp.ClientError)
"""What a client sees of a server that is not there, or not yet again."""


async def keep_listening(server: Server, told: list[Event], until_seq: asyncio.Future[int]) -> None:
    """Listen as a browser does: come back with the last id whenever the connection ends."""
    last_id = ALL
    while not until_seq.done() or len(told) < until_seq.result():
        with suppress(*GONE):
            async with listening(server.url, last_id=last_id, **TEA) as ear:
                try:
                    while True:
                        told.append(await asyncio.wait_for(ear.next(), 1.0))
                finally:
                    last_id = ear.last_id
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_client_that_comes_back_misses_nothing_of_a_server_that_died(
    database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ("--database-url", database_url, "--heartbeat-ms", "50", "--dead-after-ms", "200")
    async with serving(*arguments, log=tmp_path / "log") as server:
        await server.open_shop(tea=STOCK)
        stop, end = asyncio.Event(), asyncio.get_running_loop().create_future()
        told: list[Event] = []
        selling = asyncio.create_task(keep_selling(server, stop))
        hearing = asyncio.create_task(keep_listening(server, told, end))
        for _ in range(2 if number is signal.SIGKILL else 1):
            wanted = len(told) + 100
            await until(lambda: len(told) >= wanted)  # noqa: B023 (this round's)
            if number is signal.SIGKILL:
                server.crash()
            else:
                assert await server.terminate() == 0
            await server.start_ready()
        stop.set()
        sold = await selling
        version = (await server.balance("tea")).version
        end.set_result(version)
        await asyncio.wait_for(hearing, 20)

    assert sold <= version - 1 <= sold + 1
    assert [event.told.seq for event in told] == list(range(1, version + 1))


async def test_any_worker_goes_on_where_another_was(database_url: str, tmp_path: Path) -> None:
    """Events of all workers, listened to at whichever takes the connection, one kill included."""
    log = tmp_path / "log"
    async with several("--database-url", database_url, log=log) as server:
        products = await spread(server, database_url)
        async with strangers(server, log) as other:
            last_id, told = ALL, list[Event]()
            orders = []
            for round_ in range(4):
                for sku in products.values():
                    orders += [(await other.placed(sku)).id for _ in range(5)]
                if round_ == 2:
                    victim = next(iter(products))
                    os.kill(victim, signal.SIGKILL)
                    await until(lambda: len({*server.workers()} - {victim}) == 2)  # noqa: B023
                    await until(server.is_ready)
                async with listening(server.url, last_id=last_id, kind="order_placed") as ear:
                    told += await ear.take(len(orders) - len(told))
                    last_id = ear.last_id

    assert [event.told.id for event in told] == orders


async def test_a_server_that_stops_lets_its_listeners_go(database_url: str, tmp_path: Path) -> None:
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=5)
        async with listening(server.url, product="tea") as ear:
            await server.placed("tea")
            event = await ear.next()
            leaving = asyncio.create_task(server.terminate())

            assert await ear.rest() == []
            assert await asyncio.wait_for(leaving, HANG_S) == 0
    assert ear.last_id >= event.id


async def test_a_client_that_takes_nothing_is_cut_off_and_can_come_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEFAULTS, "stalled_s", 0.5)
    async with opened(database_url) as shop:
        await shop.received(quantity=STOCK)
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            stuck.connect(("127.0.0.1", URL(shop.url).port))
            stuck.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")

            async def cut_off() -> bool:
                await shop.batch(*[shop.wanted(customer="x" * 200)] * 300)
                return await shop.metric("allocator_subscribers_cut_off_total") == 1

            await until_so(cut_off)
            stuck.settimeout(HANG_S)
            seen = b""
            with suppress(ConnectionResetError):
                while piece := stuck.recv(65_536):
                    seen += piece
        whole = seen[: seen.rfind(b"\n\n")]
        last_id = whole.rpartition(b"id: ")[2].partition(b"\n")[0].decode()
        first = int(msgspec.json.decode(whole.rpartition(b"data: ")[2].partition(b"\n")[0])["seq"])
        async with listening(shop.url, last_id=last_id) as ear:
            again = await ear.take(100)

    assert [event.told.seq for event in again] == list(range(first + 1, first + 101))


async def test_who_is_slow_reads_what_is_no_longer_kept_and_misses_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FEED_DEFAULTS, "kept_rows", 50)
    async with opened(database_url) as shop:
        await shop.received(quantity=STOCK)
        async with listening(shop.url, **_here(shop)) as slow, listening(shop.url) as quick:
            hearing = asyncio.gather(_slowly(slow, 2_000), quick.take(2_000))
            for _ in range(5):
                await shop.batch(*[shop.wanted()] * 400)
            heard, _ = await hearing

    assert [event.told.seq for event in heard] == list(range(2, 2_002))


async def test_only_so_many_may_listen(database_url: str) -> None:
    async with opened(database_url, subscribers_max=1) as shop:
        async with listening(shop.url):
            refused = await shop.get("/events")
        assert refused.status == 503
        assert refused.headers["Retry-After"] == "1"
        assert "1 clients of this worker already listen" in refused.problem(503).detail

        async def there_is_room() -> bool:
            await shop.put(
                f"/products/{shop.product}", {"name": str(asyncio.get_running_loop().time())}
            )
            return await shop.metric("allocator_subscribers") == 0

        await until_so(there_is_room)
        async with listening(shop.url):
            pass


async def test_a_sign_of_life_comes_with_an_id_to_go_on_from(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEFAULTS, "heartbeat_s", 1.0)
    async with opened(database_url) as shop, listening(shop.url, product="nothing") as ear:
        before = ear.last_id
        await shop.received(quantity=5)
        assert await ear.block() is None
        after = ear.last_id
        async with listening(shop.url, last_id=after) as late:
            await shop.placed()
            assert (await late.next()).kind == "order_placed"

    assert ear.comments == ["still here"]
    assert before != after


async def test_listeners_outlive_their_database_connections(database_url: str) -> None:
    async with opened(database_url) as shop, listening(shop.url, **_here(shop)) as ear:
        for _ in range(3):
            await shop.received(quantity=5)
            await ear.next()
            await query(
                database_url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'allocator events%' AND datname = current_database()",
            )


def _here(shop: Shop) -> dict[str, str]:
    return {"product": shop.product, "warehouse": shop.warehouse}


async def _slowly(ear: Ear, count: int) -> list[Event]:
    found: list[Event] = []
    while len(found) < count:
        found += await ear.take(min(100, count - len(found)))
        await asyncio.sleep(0.005)
    return found
