"""The totals of a server whose workers are killed and exchanged: they never fall."""

import os
import signal
from pathlib import Path

from tests.integration.serving import until
from tests.integration.workers import settled, several, spread, strangers

PLACED = 'allocator_orders_total{outcome="placed",reason=""}'
SCRAPES = 12


async def test_totals_do_not_fall_with_a_worker_that_is_killed(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        several("--database-url", database_url, log=tmp_path / "log") as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        products = await spread(server, database_url)
        for sku in products.values():
            for _ in range(5):
                await server.placed(sku)
        assert await stranger.metric(PLACED) == 10
        os.kill(min(server.workers()), signal.SIGKILL)

        async def answers() -> bool:
            return all([(await stranger.ask("GET", "/metrics")).status == 200 for _ in range(9)])

        await until(answers)
        await settled(database_url, server)
        for sku in products.values():
            await server.placed(sku)

        assert [await stranger.metric(PLACED) for _ in range(SCRAPES)] == [12] * SCRAPES
        assert await stranger.metric("allocator_shards") == 256
