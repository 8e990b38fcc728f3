"""The supervisor dies and the workers do not; a new one takes their place, and only then."""

from pathlib import Path

import pytest

from tests.integration.crowd import crowd, promised
from tests.integration.embedded_support import is_alive
from tests.integration.serving import Server, until
from tests.integration.truth import check
from tests.integration.workers import WATCHFUL, free_port, settled, several

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}


async def test_workers_serve_on_without_a_supervisor_until_the_next_one_comes(
    database_url: str, tmp_path: Path
) -> None:
    """C13, N16, Q1, Q2, Q3, Q7."""
    arguments = ("--database-url", database_url, "--port", str(free_port()))
    async with several(*arguments, log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        await settled(database_url, server)
        async with crowd(server, *STOCK) as told:
            await promised(told, more=100)
            orphans = server.workers()
            server.crash_supervisor()
            await promised(told, more=150)
            assert all(is_alive(pid) for pid in orphans)
            assert told.unavailable == told.lost == 0

            await server.start_ready()
            await promised(told, more=150)

        await until(lambda: not any(is_alive(pid) for pid in orphans))
        await check(server, database_url, told)
        assert server.complaints() == []


async def test_workers_with_a_postgresql_of_their_own_outlive_their_supervisor(
    data_dir: Path, tmp_path: Path
) -> None:
    """Q1, Q7: and whoever comes next stops it in the end."""
    arguments = ("--data-dir", str(data_dir), "--port", str(free_port()))
    async with several(*arguments, log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        order = await server.placed("hot", 3)
        server.crash_supervisor()
        assert (await server.shown(order.id)).status == "new"
        await server.placed("hot", 4)

        await server.start_ready()
        assert (await server.shown(order.id)).status == "new"
        assert (await server.balance("hot")).ordered == 7
        assert await server.terminate() == 0


async def test_a_second_server_on_the_port_of_one_that_is_well_is_refused_in_one_sentence(
    database_url: str, tmp_path: Path
) -> None:
    """And the first does not notice."""
    port = free_port()
    arguments = ("--database-url", database_url, "--port", str(port))
    async with several(*arguments, log=tmp_path / "log") as server:
        workers = server.workers()
        log = tmp_path / "second.log"
        second = Server(*arguments, "--workers", "2", *WATCHFUL, log=log)
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1 port {port}"):
            await second.start()

        assert await second.exit_code() == 2
        assert len(log.read_text().splitlines()) == 1
        assert server.workers() == workers
        assert await server.is_ready()
        await second.close()


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_second_server_on_the_database_waits_and_takes_over(
    database_url: str, tmp_path: Path, workers: str
) -> None:
    """C13, Q1, Q2, Q7: whatever its own number of workers."""
    arguments = ("--database-url", database_url)
    second = Server(*arguments, *WATCHFUL, "--workers", workers, log=tmp_path / "second.log")
    async with several(*arguments, log=tmp_path / "log") as first:
        await first.open_shop(**STOCK)
        try:
            await second.start()
            async with crowd(first, *STOCK) as told:
                await promised(told, more=100)
                assert not await second.is_ready()
                assert (await second.order("hot", customer="nobody")).is_unavailable
                await promised(told, more=50)
            first.crash()
            await until(second.is_ready)

            await check(second, database_url, told)
            await second.placed("hot")
        finally:
            await second.close()
