"""Servers with several workers: who they are, what each owns, and clients that reach them all."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.integration.serving import Server, serving, until
from tests.integration.truth import query

WATCHFUL: Final = ("--heartbeat-ms", "100", "--dead-after-ms", "2000")
"""A worker that hangs is replaced soon; one that dies, at once."""

PATIENT: Final = ("--heartbeat-ms", "100", "--dead-after-ms", "20000")
"""A worker that is only slow is left in peace; one that dies is replaced at once all the same."""

_SHARES = """
SELECT split_part(name, ':', 2)::int AS pid, array_agg(id) AS shards
FROM shards JOIN workers USING (incarnation) WHERE NOT fenced GROUP BY 1
"""

_OWNER = """
SELECT split_part(workers.name, ':', 2)::int AS pid
FROM pools JOIN shards ON shards.id = pools.actor_id & 255 JOIN workers USING (incarnation)
WHERE NOT fenced AND product = $1
"""


@asynccontextmanager
async def several(
    *arguments: str, log: Path, workers: int = 2, patience: tuple[str, ...] = WATCHFUL
) -> AsyncIterator[Server]:
    """A ready server with several workers; all of them die with the test at the latest."""
    count = ("--workers", str(workers))
    async with serving(*arguments, *count, *patience, log=log) as server:
        yield server


async def shares(database_url: str) -> dict[int, frozenset[int]]:
    """Return the shards of every worker process, by its pid; not of those without any."""
    return {row["pid"]: frozenset(row["shards"]) for row in await query(database_url, _SHARES)}


async def settled(database_url: str, server: Server) -> dict[int, frozenset[int]]:
    """Wait until the workers that a server has now share all shards evenly."""
    found: dict[int, frozenset[int]] = {}

    async def even() -> bool:
        found.clear()
        found.update(await shares(database_url))
        pids = server.workers()
        share = -(-256 // max(len(pids), 1))
        whole = sum(map(len, found.values())) == 256
        return whole and set(found) == set(pids) and max(map(len, found.values())) <= share

    await until(even)
    return found


async def owner_of(database_url: str, sku: str) -> int | None:
    """Return the process that owns the pool of a product."""
    rows = await query(database_url, _OWNER, sku)
    return rows[0]["pid"] if rows else None


async def spread(server: Server, database_url: str, *, stock: int = 1000) -> dict[int, str]:
    """Open a shop in which every worker has a product of its own; return them by pid."""
    await server.open_shop()
    products: dict[int, str] = {}
    number = 0
    while set(products) != set(server.workers()):
        number += 1
        assert number < 200, "one worker owns nothing"
        sku = f"sku-{number}"
        await server.open_shop(**{sku: stock})
        owner = await owner_of(database_url, sku)
        if owner is not None:
            products.setdefault(owner, sku)
    return products


@asynccontextmanager
async def strangers(server: Server, log: Path) -> AsyncIterator[Server]:
    """The same server, asked on a new connection each time, so that any worker may take it."""
    other = Server(log=log, keep_alive=False)
    other.url = server.url
    try:
        yield other
    finally:
        await other.close()


def freeze(pid: int) -> None:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let it go on."""
    os.kill(pid, signal.SIGCONT)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port
