"""What those who run the server are told: health, readiness, metrics."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api_shapes import Balance
from tests.integration.embedded_support import children_of
from tests.integration.shop import Shop, database, opened, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def scraped(shop: Shop) -> dict[tuple[str, str], float]:
    """Every sample, by its name and its labels; those that are empty say nothing."""
    text = (await shop.get("/metrics")).body.decode()
    return {
        (sample.name, " ".join(filter(None, sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_server_that_lives_says_so(shop: Shop) -> None:
    answer = await shop.get("/healthz")

    assert (answer.status, answer.body) == (200, b'{"status":"alive"}')


async def test_a_server_that_serves_says_so(shop: Shop) -> None:
    answer = await shop.get("/readyz")

    assert (answer.status, answer.body) == (200, b'{"status":"ready"}')


async def test_a_server_without_its_journal_lives_and_is_not_ready(database_url: str) -> None:
    async with opened(database_url) as shop, database(database_url) as behind:
        await shop.received()
        await behind.execute("ALTER TABLE journal RENAME TO journal_elsewhere")
        (await shop.receive()).problem(503)
        unready = await shop.get("/readyz")

        assert (unready.status, unready.headers["Retry-After"]) == (503, "1")
        assert (await shop.get("/healthz")).status == 200
        # Of the database it can say nothing; of itself it can.
        text = (await shop.get("/metrics")).body.decode()
        assert "allocator_append_failures_total 1.0" in text
        assert "allocator_projection_lag_events" not in text

        await behind.execute("ALTER TABLE journal_elsewhere RENAME TO journal")
        await shop.ready()
        assert (await shop.receive()).status == 201


async def test_a_pair_whose_journal_is_damaged_fails_alone_and_loudly(database_url: str) -> None:
    """Nothing is guessed about it, and the others are served as ever."""
    async with opened(database_url) as shop:
        await shop.received(quantity=3, expires_at=Shop.time_in(milliseconds=1_000))
        order = await shop.placed()
    async with database(database_url) as behind:
        await behind.execute("UPDATE journal SET kind = 'from_the_future' WHERE kind LIKE 'order%'")

    async with opened(database_url) as other:
        shop = shop.elsewhere(other)
        for answer in (
            await shop.get(f"/stock-balances/{shop.warehouse}/{shop.product}"),
            await shop.order(),
            await shop.receive(),
            await shop.dispatch(order),
            await shop.get(f"/orders/{order.id}"),
        ):
            assert answer.problem(500).type == "/problems/internal"
        await other.received(quantity=1, expires_at=Shop.time_in(milliseconds=1_000))

        async def is_woken() -> bool:
            return (await other.journal())[-1].kind == "lot_expired"

        await until(is_woken)
        assert (await shop.get("/readyz")).status == 200
        assert await shop.metric("allocator_quarantined_actors") == 1
        assert [event.kind for event in await shop.journal()][1] == "from_the_future"


async def test_a_server_that_stopped_has_left_no_process_behind(database_url: str) -> None:
    before = set(children_of(os.getpid()))
    async with opened(database_url):
        assert set(children_of(os.getpid())) > before

    assert set(children_of(os.getpid())) <= before


async def test_metrics_are_what_a_scraper_reads(shop: Shop) -> None:
    answer = await shop.get("/metrics")
    families = {
        family.name: family for family in text_string_to_metric_families(answer.body.decode())
    }

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert families["allocator_request_seconds"].type == "histogram"
    assert families["allocator_requests"].type == "counter"
    assert families["allocator_actors"].type == "gauge"
    assert all(family.documentation for family in families.values())
    [sample] = families["allocator_info"].samples
    assert sample.labels["version"] == "0.1.0"
    assert sample.labels["postgresql"].startswith("1")


async def test_metrics_count_what_happened(shop: Shop) -> None:
    before = await scraped(shop)
    await shop.received(quantity=2)
    order = await shop.placed()
    await shop.refused(409, "/orders", shop.wanted(quantity=5))
    await shop.refused(422, "/orders", shop.wanted(quantity=0))
    await shop.refused(400, "/orders", b"nope")
    await shop.balance()
    await shop.dispatch(order)
    await shop.get("/nope")
    after = await scraped(shop)

    def grown(name: str, label: str = "") -> float:
        return after.get((name, label), 0.0) - before.get((name, label), 0.0)

    assert grown("allocator_requests_total", "201") == 2
    assert grown("allocator_requests_total", "200") == 3  # the first scrape is one of them
    for status in ("400", "404", "409", "422"):
        assert grown("allocator_requests_total", status) == 1
    assert grown("allocator_orders_total", "placed") == 1
    assert grown("allocator_orders_total", "dispatched") == 1
    assert grown("allocator_orders_total", "refused insufficient_stock") == 1
    assert grown("allocator_stocks_total", "received") == 1
    assert grown("allocator_commit_rows_count") == grown("allocator_commit_seconds_count") == 3
    assert grown("allocator_appended_rows_total") == 3
    assert grown("allocator_appends_total") == 3
    assert grown("allocator_recoveries_total") == 1
    assert grown("allocator_actors") == 1
    assert grown("allocator_confirms_total") >= 2
    assert after["allocator_shards", ""] == after["allocator_worker_shards", "0"] == 256
    assert after["allocator_unowned_shards", ""] == 0
    assert after["allocator_worker_up", "0"] == 1
    assert after["allocator_unanswered_messages", ""] == 0
    assert after["allocator_quarantined_actors", ""] == 0
    assert after["allocator_quarantined_projections", ""] == 0
    assert after["allocator_append_failures_total", ""] == 0


async def test_the_histogram_of_requests_adds_up(shop: Shop) -> None:
    for _ in range(5):
        await shop.balance()
    samples = await scraped(shop)
    buckets = [
        (float(label), value)
        for (name, label), value in samples.items()
        if name == "allocator_request_seconds_bucket"
    ]
    counts = [count for _, count in sorted(buckets)]
    requests = sum(v for (name, _), v in samples.items() if name == "allocator_requests_total")

    assert max(buckets)[0] == float("inf")
    assert counts == sorted(counts)
    assert counts[-1] == samples["allocator_request_seconds_count", ""] == requests
    assert 0 < samples["allocator_request_seconds_sum", ""] < 60 * requests


async def test_the_lag_of_the_read_models_falls_to_nothing(shop: Shop) -> None:
    """C4: lists are behind by this many events, and then by none."""
    await shop.received(quantity=300)
    await shop.batch(*(shop.wanted() for _ in range(300)))
    await shop.projected()
    [listed] = await shop.all_of(Balance, "/stock-balances", warehouse=shop.warehouse)

    assert listed == await shop.balance()
    assert listed.numbers == (0, 300, 0, 300)


async def test_a_transaction_that_holds_the_read_models_back_is_told(
    shop: Shop, module_database_url: str
) -> None:
    await shop.projected()
    async with database(module_database_url) as behind, behind.transaction():
        await behind.execute("SELECT pg_current_xact_id()")
        await shop.received(quantity=2)
        await shop.placed()
        samples = await scraped(shop)

        assert samples["allocator_projection_held_back_events", ""] == 2
        assert samples["allocator_projection_lag_events", ""] == 2
        assert (await shop.balance()).numbers == (1, 1, 0, 2)
    await shop.projected()
