"""What the log says of who said it."""

from pathlib import Path

from tests.integration.serving import until
from tests.integration.truth import query
from tests.integration.workers import PATIENT, settled, several, spread

END_WRITERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
JOIN workers ON application_name = incarnation::text WHERE NOT fenced
"""

LIVING = "SELECT incarnation::text FROM workers WHERE NOT fenced"


async def test_a_line_says_the_incarnation_that_its_worker_has_by_then(
    database_url: str, tmp_path: Path
) -> None:
    async def living() -> set[str]:
        return {row["incarnation"] for row in await query(database_url, LIVING)}

    log = tmp_path / "log"
    async with several("--database-url", database_url, log=log, patience=PATIENT) as server:
        await settled(database_url, server)
        products = await spread(server, database_url)
        former = await living()
        await query(database_url, END_WRITERS)
        for sku in products.values():
            await server.order(sku)  # if no heartbeat has noticed yet, this does

        async def repaired() -> bool:
            found = {line.incarnation for line in server.logged("worker.repaired")}
            # Whoever had to do so once more left what it was in between behind.
            found -= {line.incarnation for line in server.logged("worker.repairing")}
            return len(found) == len(former) and found == await living()

        await until(repaired)

        assert len(former) == 2
        assert former <= {line.incarnation for line in server.logged("worker.repairing")}
        assert not former & {line.incarnation for line in server.logged("worker.repaired")}
