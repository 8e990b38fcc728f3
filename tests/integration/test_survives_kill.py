"""kill -9 under load: what was acknowledged is there, the rest is there whole or not at all."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from allocator.persistence.embedded import EmbeddedPostgres
from tests.integration.crowd import Told, crowd, promised
from tests.integration.embedded_support import kill, postmaster_of
from tests.integration.serving import Server, serving
from tests.integration.truth import check

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}
DEATHS = 3
BETWEEN_DEATHS = 150


async def shop_through_deaths(server: Server, *, die: Callable[[], None]) -> Told:
    """Have a crowd at work while the server dies again and again, and is started again."""
    await server.open_shop(**STOCK)
    async with crowd(server, *STOCK) as told:
        for _ in range(DEATHS):
            await promised(told, more=BETWEEN_DEATHS)
            die()
            await server.start_ready()
    return told


def assert_it_was_hard(told: Told) -> None:
    """The deaths hit requests under way, and every kind of answer was given."""
    assert told.lost > 0
    assert told.unsure or told.maybe_closed
    assert told.repeats > 0
    assert told.refused > 0
    assert set(told.closed.values()) == {"dispatched", "cancelled"}


async def test_a_killed_server_on_a_database_url_keeps_what_it_acknowledged(
    database_url: str, tmp_path: Path
) -> None:
    """C13, N16, Q1, Q2, Q6, Q7."""
    frequent = ("--heartbeat-ms", "100", "--dead-after-ms", "400")
    async with serving("--database-url", database_url, *frequent, log=tmp_path / "log") as server:
        told = await shop_through_deaths(server, die=server.crash)

        await check(server, database_url, told)
        assert_it_was_hard(told)


@pytest.mark.parametrize("victims", ["the server", "the server and its PostgreSQL"])
async def test_a_killed_server_with_a_postgresql_of_its_own_keeps_what_it_acknowledged(
    data_dir: Path, tmp_path: Path, victims: str
) -> None:
    """C13, N16, Q1, Q2, Q6, Q7."""

    def die() -> None:
        postmaster = postmaster_of(data_dir)
        os.kill(server.pid, signal.SIGKILL)
        if "PostgreSQL" in victims:
            kill(postmaster)
        server.crash()

    async with serving("--data-dir", str(data_dir), log=tmp_path / "log") as server:
        told = await shop_through_deaths(server, die=die)

        await check(server, EmbeddedPostgres(data_dir).dsn, told)
        assert_it_was_hard(told)
