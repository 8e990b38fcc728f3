"""SIGHUP exchanges all workers under load, and no client has a reason to complain."""

import asyncio
import os
import signal
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import aiohttp

from tests.integration.embedded_support import is_alive
from tests.integration.serving import HANG_S, JSON, Server, until
from tests.integration.truth import books_of, query
from tests.integration.workers import PATIENT, settled, several

CLIENTS = 8
PAUSE_S = 0.01
"""Between two orders of a client: steady, and not all that the machine can do."""

TAGS = "SELECT body->>'customer' AS tag FROM journal WHERE kind = 'order_placed'"


@dataclass
class Load:
    """Orders without keys, of clients who repeat one only if it went to a closed connection.

    Attributes:
        placed: Tags of those that were acknowledged.
        failed: What else was heard.
        repeated: How many went to a connection that had been closed while nobody used it.
    """

    placed: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    repeated: int = 0

    async def run(self, server: Server, skus: list[str], called_off: asyncio.Event) -> None:
        """Order until called off."""
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        async with (
            aiohttp.ClientSession(
                server.url,
                headers=JSON,
                trace_configs=[tracing],
                timeout=aiohttp.ClientTimeout(total=HANG_S),
            ) as session,
            asyncio.TaskGroup() as clients,
        ):
            for number in range(CLIENTS):
                clients.create_task(self._shop(session, number, skus, called_off))

    async def _shop(
        self,
        session: aiohttp.ClientSession,
        number: int,
        skus: list[str],
        called_off: asyncio.Event,
    ) -> None:
        for visit in count():
            if called_off.is_set():
                return
            await self._place(session, skus[visit % len(skus)], f"{number}-{visit}")
            await asyncio.sleep(PAUSE_S)

    async def _place(self, session: aiohttp.ClientSession, sku: str, tag: str) -> None:
        body = {"product": sku, "warehouse": "main", "quantity": 1, "customer": tag}
        while True:
            seen = SimpleNamespace(reused=False)
            try:
                async with session.post("/orders", json=body, trace_request_ctx=seen) as response:
                    said = await response.text()
            except aiohttp.ClientError as error:
                if seen.reused:
                    self.repeated += 1
                    continue
                self.failed.append(f"{tag}: {error!r}")
                return
            if response.status == 201:
                self.placed.add(tag)
            else:
                self.failed.append(f"{tag}: {response.status} {said}")
            return


async def _note_reuse(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _facts: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.reused = True


async def test_a_rolling_restart_loses_no_request_and_doubles_none(
    database_url: str, tmp_path: Path
) -> None:
    """C13, Q1, Q7."""
    skus = [f"sku-{number}" for number in range(6)]
    log = tmp_path / "log"
    async with several("--database-url", database_url, log=log, patience=PATIENT) as server:
        await server.open_shop(**dict.fromkeys(skus, 100_000))
        former = set(await settled(database_url, server))
        load, called_off = Load(), asyncio.Event()
        loading = asyncio.create_task(load.run(server, skus, called_off))
        await until(lambda: len(load.placed) > 100)
        os.kill(server.pid, signal.SIGHUP)
        await until(lambda: server.logged("supervisor.rolled"), within_s=60)
        await until(lambda: not any(is_alive(pid) for pid in former))
        before = len(load.placed)
        await until(lambda: len(load.placed) > before + 100)
        called_off.set()
        await loading

        assert load.failed == []
        tags = [row["tag"] for row in await query(database_url, TAGS)]
        assert len(tags) == len(set(tags))
        assert set(tags) == load.placed
        assert not former & set(await settled(database_url, server))
        assert server.complaints() == []
        assert set(await books_of(database_url)) == set(skus)
