"""What those who run the server are told, and that HTTP is spoken well on the way."""

import asyncio
import os

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api_shapes import PROBLEM_JSON, Balance
from tests.integration.embedded_support import children_of
from tests.integration.shop import Shop, database, opened
from tests.integration.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def scraped(shop: Shop) -> dict[tuple[str, str], float]:
    """Every sample, by its name and its only label or nothing."""
    text = (await shop.get("/metrics")).body.decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if len(sample.labels) <= 1
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
    assert grown("allocator_appended_rows_total") == 3
    assert grown("allocator_appends_total") == 3
    assert grown("allocator_recoveries_total") == 1
    assert grown("allocator_actors") == 1
    assert grown("allocator_confirms_total") >= 2
    assert after["allocator_shards", ""] == 256
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


ROUTES = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/orders",
    "/stocks",
    "/stock-balances",
    "/warehouses",
    "/products",
    "/orders/{order}",
    "/stocks/{stock}",
    "/stock-balances/{warehouse}/{product}",
    "/warehouses/{warehouse}",
    "/products/{product}",
    "/journal?warehouse={warehouse}&product={product}",
]


@pytest.mark.parametrize("path", ROUTES)
async def test_head_is_get_without_the_body(shop: Shop, path: str) -> None:
    stock = await shop.received()
    order = await shop.placed()
    names = {"warehouse": shop.warehouse, "product": shop.product}
    target = path.format(order=order.id, stock=stock.id, **names)
    async with connected(shop.url) as wire:
        await wire.send(request("GET", target), request("HEAD", target), request("GET", "/healthz"))
        got = await wire.answer()
        headed = await wire.answer(bodiless=True)
        following = await wire.answer()

    assert headed.status_line == got.status_line == "HTTP/1.1 200 OK"
    assert headed.field("Content-Type") == got.field("Content-Type")
    if path not in {"/metrics", "/orders", "/stocks", "/stock-balances"}:  # these move meanwhile
        assert headed.field("Content-Length") == got.field("Content-Length")
    assert headed.has("ETag") == got.has("ETag")
    assert following.body == b'{"status":"alive"}'


@pytest.mark.parametrize(
    "target", ["/nope", "/orders/x", "/warehouses/a?x=1", "/orders/x/dispatch"]
)
async def test_head_of_what_is_refused_has_no_body_either(shop: Shop, target: str) -> None:
    async with connected(shop.url) as wire:
        await wire.send(request("HEAD", target), request("GET", "/healthz"))
        headed = await wire.answer(bodiless=True)
        following = await wire.answer()

    assert headed.status in {404, 405, 422}
    assert headed.field("Content-Type") == PROBLEM_JSON
    assert int(headed.field("Content-Length")) > 50
    assert following.body == b'{"status":"alive"}'


@pytest.mark.parametrize(
    ("version", "fields", "stays"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: Close"], False),
        ("1.0", [], False),
        ("1.0", ["Connection: keep-alive"], True),
        ("1.0", ["Connection: close"], False),
    ],
)
@pytest.mark.parametrize("status", [201, 409, 422])
async def test_the_connection_stays_or_closes_as_the_client_asked(
    shop: Shop, status: int, version: str, fields: list[str], *, stays: bool
) -> None:
    await shop.received(quantity=9)
    quantity = {201: 1, 409: 10, 422: 0}[status]
    body = msgspec.json.encode(shop.wanted(quantity=quantity))
    asked = request("POST", "/orders", body, *fields, version=version)
    async with connected(shop.url) as wire:
        await wire.send(asked)
        answer = await wire.answer()
        if stays:
            await wire.send(asked)
            assert (await wire.answer()).status == status
        else:
            assert await wire.rest() == b""

    assert answer.status_line.split(" ")[:2] == [f"HTTP/{version}", str(status)]
    assert answer.field("Server") == "allocator"
    assert answer.has("Date")
    assert answer.has("Location") == (status == 201)


async def test_pipelined_requests_are_answered_in_order(shop: Shop) -> None:
    """Q6: on one connection, too, the first comes first."""
    await shop.received(quantity=3)
    bodies = [msgspec.json.encode(shop.wanted(customer=str(n))) for n in range(5)]
    async with connected(shop.url) as wire:
        asks = [request("POST", "/orders", body) for body in bodies]
        await wire.send(b"".join([*asks[:3], request("GET", "/orders/x"), *asks[3:]]))
        answers = [await wire.answer() for _ in range(6)]

    assert [answer.status for answer in answers] == [201, 201, 201, 404, 409, 409]
    customers = [event.body.get("customer") for event in (await shop.journal())[1:]]
    assert customers == ["0", "1", "2"]


async def test_a_client_may_wait_for_leave_to_send_its_body(shop: Shop) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())
    head = request("POST", "/orders", body, "Expect: 100-continue")[: -len(body)]
    async with connected(shop.url) as wire:
        await wire.send(head)
        leave = await wire.answer()
        await wire.send(body)
        answer = await wire.answer()
        await wire.send(request("GET", "/healthz"))

        assert leave.status_line == "HTTP/1.1 100 Continue"
        assert answer.status == 201
        assert (await wire.answer()).status == 200


async def test_a_body_where_none_is_wanted_is_skipped(shop: Shop) -> None:
    async with connected(shop.url) as wire:
        await wire.send(request("GET", "/healthz", b"POST /orders HTTP/1.1\r\n\r\n"))
        await wire.send(request("GET", "/readyz"))

        assert (await wire.answer()).body == b'{"status":"alive"}'
        assert (await wire.answer()).body == b'{"status":"ready"}'


async def test_a_refused_body_is_skipped_and_the_connection_goes_on(shop: Shop) -> None:
    body = b"x" * 3_000_000
    async with connected(shop.url) as wire:
        sending = asyncio.create_task(wire.send(request("POST", "/orders", body)))
        refused = await wire.answer()
        await sending
        await wire.send(request("GET", "/healthz"))

        assert (refused.status, refused.field("Content-Type")) == (413, PROBLEM_JSON)
        assert (await wire.answer()).body == b'{"status":"alive"}'


async def test_a_client_that_leaves_before_its_answer_has_ordered_all_the_same(shop: Shop) -> None:
    """C13: its request was whole, so it is decided; a repeat with its key would tell."""
    await shop.received(quantity=40)
    body = msgspec.json.encode(shop.wanted())
    for n in range(20):
        async with connected(shop.url) as wire:
            await wire.send(request("POST", "/orders", body, f"Idempotency-Key: left {n}"))
            wire.vanish()
    orders = [await shop.placed(key=f"left {n}") for n in range(20)]

    assert len({order.id for order in orders}) == 20
    assert (await shop.balance()).numbers == (20, 20, 0, 40)
