"""A database in which much has happened, to be damaged, and what verification says of it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from allocator.domain.interests import Interest
from allocator.domain.webhooks import Webhook
from allocator.journal.verify.command import look_around, look_between
from allocator.journal.verify.faults import Fault
from allocator.journal.verify.job import Part, Server
from allocator.journal.verify.workers import Job, audit_here
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import Pool, open_pool
from allocator.persistence.folding import fold
from allocator.persistence.reader import JournalReader
from allocator.persistence.webhooks import PostgresWebhooks
from tests.integration.shop import Shop, database, opened

HOUR_MS = 3_600_000
LONG_AGO_MS = 1_700_000_000_000


async def fill(database_url: str) -> Shop:
    """Have everything happen once: two pools, of which one has snapshots, and a key revoked."""
    async with opened(database_url) as shop:
        shop.warehouse, shop.product = "main", "tea"
        await shop.open()
        await trade(shop)
        other = Shop(shop.server, shop.client)
        other.warehouse, other.product = "main", "coffee"
        assert (await other.put("/products/coffee", {"name": "Coffee"})).status == 201
        price = {"amount": 250, "currency": "EUR"}
        assert (await other.put("/products/coffee", {"name": "C", "price": price})).status == 200
        await other.received(quantity=3)
        await other.placed(customer="ada")
        await sell_tickets(shop)
        await shop.projected()
    async with pooled(database_url) as pool:
        await fold(JournalReader(pool), await actor_of(database_url, "main/tea"))
    async with opened(database_url) as again:
        shop = shop.elsewhere(again)
        await shop.placed(quantity=2, customer="grace")
        await shop.projected()
    async with pooled(database_url) as pool:
        keys = PostgresApiKeys(pool, era=1, clock=lambda: LONG_AGO_MS)
        await keys.create("till", role="client", secret_digest=bytes(32), principal="")
        await keys.revoke("till", principal="ada")
        hooks = PostgresWebhooks(pool, era=1, clock=lambda: LONG_AGO_MS, anywhere=True)
        for name in ("kept", "gone", "renewed"):
            await hooks.put(hook(name), principal="ada")
        await hooks.rotate("kept", principal="ada")
        for name in ("gone", "renewed"):
            await hooks.delete(name, principal="ada")
        later = PostgresWebhooks(pool, era=1, clock=lambda: LONG_AGO_MS + 1, anywhere=True)
        await later.put(hook("renewed", kinds=("order_placed",)), principal="")
        await fold(JournalReader(pool), await actor_of(database_url, "main/tea"))
    return shop


def hook(name: str, *, kinds: tuple[str, ...] | None = None) -> Webhook:
    """A webhook that nobody ever delivers to."""
    interest = Interest(warehouse="main", product=None, kinds=kinds)
    return Webhook(name=name, url="https://hooks.example/", interest=interest)


async def trade(shop: Shop) -> None:
    """Orders over several lots are dispatched, cancelled and left open; a lot may yet expire."""
    await shop.received(quantity=9, reference="PO-1")
    await shop.received(
        quantity=5, lot="L-2", expires_at=shop.time_in(milliseconds=HOUR_MS), key="received"
    )
    spanning = await shop.placed(quantity=6, customer="ada", key="spanning")
    await shop.placed(quantity=2, customer="Žofie")
    given_back = await shop.placed()
    await shop.dispatch(spanning)
    await shop.cancel(given_back)
    await shop.received(quantity=4, expires_at=shop.time_in(milliseconds=2 * HOUR_MS))


async def sell_tickets(shop: Shop) -> None:
    """An option has sold a part of its tickets, and another never had any."""
    for allocation in (9, 0):
        body = {"name": "Gig", "desc": "Doors at eight.", "allocation": allocation}
        option = msgspec.json.decode((await shop.post("/ticket_options", body)).body)["id"]
        purchase = {"quantity": 2, "user_id": "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"}
        await shop.post(f"/ticket_options/{option}/purchases", purchase)


async def actor_of(database_url: str, place: str) -> int:
    """The actor of a pool."""
    async with database(database_url) as connection:
        found = await connection.fetchval("SELECT id FROM actors WHERE key = $1", f"pool:{place}")
    return int(found)


@asynccontextmanager
async def pooled(database_url: str) -> AsyncIterator[Pool]:
    """A pool of connections, as the package has it."""
    pool = await open_pool(database_url, size=2)
    try:
        yield pool
    finally:
        pool.terminate()


async def faults(
    database_url: str, *, repair: bool = False, server: Server | None = None
) -> Sequence[Fault]:
    """What verification finds; all of it is told one by one."""
    whole, ranges = await look_around(database_url)
    job = Job(url=database_url, repair=repair, server=server)
    reports = await audit_here(job, ranges)
    told = [*whole.told, *(fault for report in reports for fault in report.told)]
    assert len(told) == sum(sum(report.counts.values()) for report in reports) + len(whole.told)
    if any(report.has_held for report in reports):
        parts = [Part(part=part, parts=2) for part in range(2)]
        told += [fault for report in await audit_here(job, parts) for fault in report.told]
    if any(report.has_moved for report in reports):
        told += (await look_between(database_url)).told
    return told


async def contents(database_url: str) -> dict[str, list[object]]:
    """Everything that is derived, but for snapshots."""
    columns = {
        "orders": "to_jsonb(orders)",
        "stocks": "to_jsonb(stocks)",
        "balances": "to_jsonb(balances)",
        "ticket_options": "to_jsonb(ticket_options)",
        "quarantined_projections": "actor_id",
        "actors": "to_jsonb(actors)",
    }
    async with database(database_url) as connection:
        return {
            table: [
                row[0] for row in await connection.fetch(f"SELECT {what} FROM {table} ORDER BY 1")
            ]
            for table, what in columns.items()
        }


class Said(msgspec.Struct, frozen=True, order=True):
    """What a fault names; seq 0 for none."""

    kind: str
    actor: str
    table: str
    seq: int

    @classmethod
    def by(cls, fault: Fault) -> "Said":
        return cls(fault.kind, fault.actor, fault.table, fault.seq or 0)
