"""Going back: another database becomes what this one was, whole transactions at a time."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import msgspec
import pytest
import pytest_asyncio

from allocator.domain.interests import Interest
from allocator.domain.webhooks import Webhook
from allocator.errors import UsageError
from allocator.journal.aftermath import Aftermath
from allocator.journal.command import Source
from allocator.journal.restoring import RestoreFlags, run_restore
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import connect
from allocator.persistence.cuts import Cut, record
from allocator.persistence.webhooks import PostgresWebhooks
from tests.integration.crowd import crowd, promised
from tests.integration.serving import CHECKOUT, serving
from tests.integration.shop import opened, until
from tests.integration.transfers import (
    another,
    empty,
    everything,
    now,
    project,
    restore,
    small_blocks,
)
from tests.integration.truth import Book, books_of, query
from tests.integration.verifying import faults, pooled

CUTS = 20
CUTS_SQL = "SELECT era, xid::text AS xid FROM cuts ORDER BY at"
STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RESTORE = (sys.executable, "-m", "allocator", "restore")


class Told(msgspec.Struct):
    """What `--json` says."""

    xid: int
    restored: bool
    events: int
    aftermath: Aftermath


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def busy(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Cut]]:
    """A database in which much happened at once, and moments of it."""
    url, log = module_database_url, tmp_path_factory.mktemp("busy") / "log"
    async with serving("--workers", "2", "--database-url", url, log=log) as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told, cutting(url):
            await promised(told, more=400)
            while len(await query(url, CUTS_SQL)) <= 2 * CUTS:
                await promised(told, more=20)
    assert told.wrong == []
    rows = await query(url, CUTS_SQL)
    return url, [Cut(era=row["era"], xid=int(row["xid"])) for row in rows]


@asynccontextmanager
async def cutting(url: str) -> AsyncIterator[None]:
    """Record far more cuts than one a second."""
    connection = await connect(url, application_name="test")

    async def record_often() -> None:
        while True:
            await record(connection)
            await asyncio.sleep(0.01)

    recording = asyncio.create_task(record_often())
    try:
        yield
    finally:
        recording.cancel()
        await asyncio.wait({recording})
        connection.terminate()


async def test_any_moment_of_a_busy_time_can_be_restored(busy: tuple[str, list[Cut]]) -> None:
    """The balances are those of a model that adds up what had happened by then."""
    url, cuts = busy
    assert len(cuts) > 2 * CUTS

    async with another(url) as target:
        for cut in Random(5).sample(cuts, CUTS):
            await restore(url, target, cut)
            await project(target)

            books = await books_of(url, era=cut.era, xid=cut.xid)
            assert await balances(target) == balances_of(books), cut
            assert await orders(target) == orders_of(books), cut
            assert await faults(target) == [], cut
            await empty(target)


async def test_a_restored_moment_is_told_from_its_aftermath(busy: tuple[str, list[Cut]]) -> None:
    url, cuts = busy
    middle = cuts[len(cuts) // 2]
    [row] = await query(
        url,
        "SELECT at FROM cuts WHERE (era, xid) = ($1, $2::text::xid8)",
        middle.era,
        str(middle.xid),
    )
    at = row["at"]

    async with another(url) as target:
        told = await restored("--to", at.isoformat(), "--into", target, "--json", url=url)

        books = await books_of(target)
        later = await books_of(url)
    closed = {
        (sku, seq): order.status
        for sku, book in later.items()
        for seq, order in book.orders.items()
        if seq in books[sku].orders and books[sku].orders[seq].status == "new"
    }
    assert told.xid <= middle.xid
    assert told.restored
    aftermath = told.aftermath
    assert told.events + aftermath.events == await rows_in(url)
    assert aftermath.kinds["order_placed"] == sum(
        len(later[sku].orders) - len(book.orders) for sku, book in books.items()
    )
    assert aftermath.dispatched_again_total == len(aftermath.dispatched_again)
    assert aftermath.dispatched_again_total == [*closed.values()].count("dispatched") > 0
    assert [each.kind for each in aftermath.outside] == ["order_dispatched"]


async def test_a_time_after_everything_is_the_present(busy: tuple[str, list[Cut]]) -> None:
    url, _ = busy
    async with another(url) as target:
        told = await restored("--to", "0s", "--into", target, "--json", url=url)

        assert await everything(target) == await everything(url)
        assert told.aftermath.events == 0


async def test_what_cannot_be_restored_is_refused(busy: tuple[str, list[Cut]]) -> None:
    url, cuts = busy
    async with another(url) as target:
        for to, into, why in (
            ("2020-01-01T00:00:00Z", target, "was recorded, the first one is of 20"),
            ("99.1.1.1", target, "has not settled yet"),
            ("yesterday", target, "'yesterday' is not a time"),
            ("0s", url, "never happens in place"),
        ):
            with pytest.raises(UsageError, match=why):
                await asyncio.to_thread(run_restore, flags(to, into=into), source(url))
        await restore(url, target, cuts[0])
        with pytest.raises(UsageError, match="not empty"):
            await asyncio.to_thread(run_restore, flags("0s", into=target), source(url))


@pytest.mark.parametrize("pieces", [1, 6, 20])
async def test_a_restore_that_is_interrupted_goes_on(
    busy: tuple[str, list[Cut]], monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    url, cuts = busy
    cut = cuts[len(cuts) // 3]
    position = f"{cut.era}.{cut.xid - 1}.1.1"
    small_blocks(monkeypatch)
    async with another(url) as target, another(url) as whole:
        await restore(url, target, cut, pieces=pieces)
        with pytest.raises(UsageError, match="has not finished"):
            async with opened(target):
                pass
        await asyncio.to_thread(run_restore, flags(position, into=target), source(url))
        await restore(url, whole, cut)

        assert await everything(target) == await everything(whole)


async def test_names_are_what_they_were(database_url: str) -> None:
    price = {"amount": 480, "currency": "EUR"}
    async with opened(database_url) as shop, another(database_url) as target:
        await shop.put(f"/products/{shop.product}", {"name": "Then", "price": price})
        await shop.received(quantity=5)
        cut = await now(database_url)
        await shop.put(f"/products/{shop.product}", {"name": "Now"})
        await shop.put("/warehouses/later", {"name": "Later"})
        await shop.post("/stocks", shop.wanted(warehouse="later", quantity=1))
        await shop.placed()

        await restore(database_url, target, cut)

        async with opened(target) as back:
            there = shop.elsewhere(back)
            product = await there.get(f"/products/{shop.product}")
            assert msgspec.json.decode(product.body) == {
                "sku": shop.product, "name": "Then", "price": price
            }  # fmt: skip
            assert (await there.get("/warehouses/later")).status == 404
            assert (await there.put("/warehouses/later", {"name": "Anew"})).status == 201
            assert (await there.put(f"/products/{shop.product}", {"name": "Anew"})).status == 200
            assert (await there.balance()).available == 5
            await there.placed(quantity=5)
            await there.projected()
        assert await faults(target) == []


async def test_a_key_that_was_revoked_since_stays_revoked(database_url: str) -> None:
    async with opened(database_url):
        pass
    async with pooled(database_url) as pool, another(database_url) as target:
        keys = PostgresApiKeys(pool, era=1, clock=lambda: 1_700_000_000_000)
        await keys.create("lost", role="client", secret_digest=b"1" * 32, principal="")
        await keys.create("kept", role="client", secret_digest=b"2" * 32, principal="")
        cut = await now(database_url)
        await keys.revoke("lost", principal="ada")
        await keys.create("later", role="client", secret_digest=b"3" * 32, principal="")

        await restore(database_url, target, cut)

        async with pooled(target) as other:
            live = await PostgresApiKeys(other, era=2, clock=int).live()
        assert [key.name for key in live] == ["kept"]
        [row] = await query(
            target, "SELECT era, principal FROM journal WHERE kind = 'api_key_revoked'"
        )
        assert (row["era"], row["principal"]) == (2, "cli:test")
        assert await faults(target) == []


async def test_the_webhooks_of_a_copy_tell_nobody_anything_until_they_are_wanted(
    database_url: str,
) -> None:
    """Their receivers are those of the installation that goes on."""
    async with opened(database_url):
        pass
    async with pooled(database_url) as pool, another(database_url) as target:
        hooks = PostgresWebhooks(pool, era=1, clock=lambda: 1_700_000_000_000, anywhere=False)
        interest = Interest(warehouse=None, product=None, kinds=None)
        hook = Webhook(name="erp", url="https://erp.example/hook", interest=interest)
        await hooks.put(hook, principal="")

        await restore(database_url, target, await now(database_url))

        standing = "SELECT enabled, last_error FROM webhook_deliveries"
        [row] = await query(target, standing)
        assert (row["enabled"], row["last_error"].split(":")[0]) == (
            False,
            "restored from another installation",
        )
        async with pooled(target) as other:
            await PostgresWebhooks(other, era=2, clock=int, anywhere=False).put(hook, principal="")
        [row] = await query(target, standing)
        assert row["enabled"]


async def test_a_lot_that_expired_since_expires_again(database_url: str) -> None:
    async with opened(database_url) as shop, another(database_url) as target:
        await shop.received(quantity=3, expires_at=shop.time_in(milliseconds=1_500))
        cut = await now(database_url)
        await until(lambda: happened(database_url, "lot_expired"))

        await restore(database_url, target, cut)

        assert not await happened(target, "lot_expired")
        async with opened(target):
            await until(lambda: happened(target, "lot_expired"))


def flags(to: str, *, into: str) -> RestoreFlags:
    return RestoreFlags(to=to, into=into, start_over=False, as_json=False)


def source(url: str) -> Source:
    return Source(database_url=url, data_dir=None)


async def restored(*arguments: str, url: str) -> Told:
    """Run `allocator restore` as its user does, and return what it says."""
    run = await asyncio.to_thread(
        subprocess.run,
        [*_RESTORE, *arguments, "--database-url", url],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return msgspec.json.decode(run.stdout, type=Told)


async def happened(url: str, kind: str) -> bool:
    rows = await query(url, "SELECT 1 FROM journal WHERE kind = $1", kind)
    return bool(rows)


async def rows_in(url: str) -> int:
    [row] = await query(url, "SELECT count(*) AS n FROM journal")
    return int(row["n"])


async def balances(url: str) -> dict[str, tuple[int, int, int]]:
    rows = await query(
        url,
        "SELECT pools.product, version, available, ordered "
        "FROM balances JOIN pools USING (actor_id)",
    )
    return {row["product"]: (row["version"], row["available"], row["ordered"]) for row in rows}


def balances_of(books: dict[str, Book]) -> dict[str, tuple[int, int, int]]:
    return {sku: (book.version, book.available, book.ordered) for sku, book in books.items()}


async def orders(url: str) -> dict[tuple[str, int], tuple[str, int]]:
    rows = await query(
        url,
        "SELECT pools.product, seq, status, quantity FROM orders JOIN pools USING (actor_id)",
    )
    return {(row["product"], row["seq"]): (row["status"], row["quantity"]) for row in rows}


def orders_of(books: dict[str, Book]) -> dict[tuple[str, int], tuple[str, int]]:
    return {
        (sku, seq): (order.status, order.quantity)
        for sku, book in books.items()
        for seq, order in book.orders.items()
    }
