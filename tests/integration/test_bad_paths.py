"""Paths, ids, queries and methods that make no sense: each gets one clear sentence."""

from urllib.parse import quote
from uuid import UUID

import msgspec
import pytest

from allocator.domain.ids import IdSeal
from tests.integration.api_shapes import Problem
from tests.integration.shop import NDJSON, Shop, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")

POSTS = ["/orders", "/stocks", "/moves", "/warehouses", "/products"]

IDS = [
    "x",
    "8f14e45f-ceea-867a-9a36-dedd4bea2543",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-8fff-bfff-ffffffffffff",
    "f" * 36,
    "-" * 36,
    "+" + "f" * 35,
    "0x" + "f" * 34,
    "f" * 35 + "_",
    "ffffffff_ffff_8fff_bfff_ffffffffffff",
    quote("é" * 36),
    quote("\uff11" * 36),
    "%00",
    "%FF",
    "x" * 4_000,
    "..%2F..%2Fhealthz",
    "{id}",
]


@pytest.mark.parametrize("encoded", IDS, ids=lambda encoded: encoded[:40])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/{}"),
        ("GET", "/stocks/{}"),
        ("GET", "/moves/{}"),
        ("POST", "/orders/{}/dispatch"),
        ("POST", "/orders/{}/cancel"),
    ],
)
async def test_an_id_that_we_never_gave_is_not_found(
    shop: Shop, method: str, path: str, encoded: str
) -> None:
    problem = (await shop.send(method, path.replace("{}", encoded))).problem(404)

    assert problem.type == "/problems/not-found"


async def test_an_id_has_one_spelling_in_either_case(shop: Shop) -> None:
    await shop.received()
    order = await shop.placed()

    assert await shop.shown(order.id.upper()) == order
    for other in (order.id.replace("-", ""), f"{{{order.id}}}", f"{order.id}%20", order.id[:-1]):
        (await shop.get(f"/orders/{other}")).problem(404)


async def test_no_id_can_be_guessed_from_another(shop: Shop) -> None:
    """Its neighbours in the same shop differ from it in a few bits, which are not to be had."""
    await shop.received(quantity=40)
    results = await shop.batch(*(shop.wanted() for _ in range(40)))
    ids = [result.order.id for result in results if result.order is not None]
    value = int(ids[20].replace("-", ""), 16)
    neighbours = {str(UUID(int=value ^ change)) for change in (*range(1, 64), 1 << 70, 1 << 120)}

    assert not neighbours & set(ids)
    for neighbour in neighbours:
        (await shop.get(f"/orders/{neighbour}")).problem(404)


async def test_an_id_of_another_kind_is_not_found(shop: Shop) -> None:
    stock = await shop.received()
    order = await shop.placed()

    (await shop.get(f"/orders/{stock.id}")).problem(404)
    (await shop.get(f"/stocks/{order.id}")).problem(404)
    (await shop.dispatch(stock.id)).problem(404)
    (await shop.cancel(stock.id)).problem(404)
    assert (await shop.balance()).numbers == (0, 1, 0, 1)


async def test_an_id_of_what_did_not_happen_yet_is_not_found(shop: Shop) -> None:
    """Sealed by our own secret, and still nothing of ours."""
    await shop.received()
    ids: IdSeal = shop.server.context.ids
    address = ids.unseal((await shop.placed()).id)
    assert address is not None
    actor_id, seq = address
    strangers = [(actor_id, seq + 1), (actor_id, 0), (actor_id + 256, 1), ((1 << 44) - 1, 1)]

    for stranger in [*strangers, (0, 0), (actor_id, (1 << 36) - 1)]:
        sealed = ids.seal(*stranger)
        (await shop.get(f"/orders/{sealed}")).problem(404)
        (await shop.get(f"/stocks/{sealed}")).problem(404)
        (await shop.dispatch(sealed)).problem(404)


async def test_an_id_of_another_installation_is_not_found(shop: Shop, database_url: str) -> None:
    await shop.received()
    order = await shop.placed()
    async with opened(database_url) as elsewhere:
        await elsewhere.received()
        stranger = await elsewhere.placed()
        (await elsewhere.get(f"/orders/{order.id}")).problem(404)
        (await elsewhere.dispatch(order)).problem(404)

    (await shop.get(f"/orders/{stranger.id}")).problem(404)
    assert (await shop.shown(order)).status == "new"


@pytest.mark.parametrize("path", [*POSTS, "/orders/batch", "/orders/x/dispatch"])
async def test_a_change_takes_no_parameters(shop: Shop, path: str) -> None:
    """Who asks for a trial must not be given the real thing."""
    fields = NDJSON if path == "/orders/batch" else {}
    body = b"" if path == "/orders/x/dispatch" else msgspec.json.encode(shop.wanted())
    answer = await shop.send("POST", f"{path}?dry_run=true", body, headers=fields)

    assert "'dry_run'" in answer.problem(422).detail


LISTS = [
    "/orders",
    "/stocks",
    "/stock-balances",
    "/locations",
    "/moves",
    "/warehouses",
    "/products",
]


@pytest.mark.parametrize("path", [*LISTS, "/journal"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.0",
        "limit=",
        "limit=x",
        "limit=%D9%A3",
        "limit=%C2%B2",
        "limit=" + "9" * 300,
        "limit=1&limit=1",
        "unknown=1",
        "Limit=1",
        "limit=%00",
        "=1",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(shop: Shop, path: str, query: str) -> None:
    wanted = f"&product={shop.product}&warehouse={shop.warehouse}" if path == "/journal" else ""
    problem = (await shop.get(f"{path}?{query}{wanted}")).problem(422)

    assert "limit" in problem.detail or "parameter" in problem.detail


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%00",
        "é",
        "!!!!",
        "W10",  # []
        "WzFd",  # [1]
        "WzEsMiwzXQ",  # [1,2,3]
        "Wy0xLDBd",  # [-1,0]
        "WzAsOTIyMzM3MjAzNjg1NDc3NTgwOF0",  # [0,9223372036854775808]
        "WzEuNSwwXQ",  # [1.5,0]
        "InhcdTAwMDAi",  # "x\u0000"
        "IlxcdWQ4MDAi",
        "Ilx1ZDgwMCI",  # a lone surrogate
        "Iv8i",  # not UTF-8
        "InggeSI",  # "x y"
        "W1tbW1tb",
        "A" * 255,
        "A" * 256,
    ],
)
async def test_a_cursor_that_we_never_gave_is_refused(shop: Shop, path: str, cursor: str) -> None:
    problem = (await shop.get(f"{path}?cursor={quote(cursor, safe='%')}")).problem(422)

    assert "cursor" in problem.detail


@pytest.mark.parametrize(
    "query",
    [
        "status=open",
        "status=NEW",
        "status=",
        "customer=%0A",
        "product=%00",
        "customer=" + "x" * 256,
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(shop: Shop, query: str) -> None:
    (await shop.get(f"/orders?{query}")).problem(422)


@pytest.mark.parametrize(
    "query", ["product=%ED%A0%80", "product=%FF", "warehouse=a/b", "customer=%F0%9F%98%80"]
)
async def test_a_filter_that_nothing_can_fit_finds_nothing(shop: Shop, query: str) -> None:
    assert msgspec.json.decode((await shop.get(f"/orders?{query}")).body)["items"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/orders/{order}",
        "/stocks/{stock}",
        "/stock-balances/{warehouse}/{product}",
        "/warehouses/{warehouse}",
        "/products/{product}",
    ],
)
async def test_one_thing_takes_no_other_parameters(shop: Shop, path: str) -> None:
    """Who asks for another moment, or for a part, must not be shown something else."""
    stock = await shop.received()
    order = await shop.placed()
    names = {"warehouse": shop.warehouse, "product": shop.product}
    known = path.format(order=order.id, stock=stock.id, **names)

    assert (await shop.get(known)).status == 200
    problem = (await shop.get(f"{known}?since=2020-01-01T00:00:00Z")).problem(422)
    assert "'since'" in problem.detail


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/orders", "GET, HEAD, POST"),
        ("PUT", "/orders/x", "GET, HEAD"),
        ("GET", "/orders/x/dispatch", "POST"),
        ("GET", "/orders/x/cancel", "POST"),
        ("GET", "/orders/batch", "POST"),
        ("DELETE", "/orders/batch", "POST"),
        ("PATCH", "/stocks", "GET, HEAD, POST"),
        ("POST", "/stock-balances", "GET, HEAD"),
        ("DELETE", "/warehouses/a", "GET, HEAD, PUT"),
        ("POST", "/products/a", "GET, HEAD, PUT"),
        ("POST", "/journal", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/orders", "GET, HEAD, POST"),
        ("TRACE", "/orders", "GET, HEAD, POST"),
        ("PATCH", "/metrics", "GET, HEAD"),
    ],
)
async def test_another_method_is_refused_and_the_known_ones_are_named(
    shop: Shop, method: str, path: str, allowed: str
) -> None:
    answer = await shop.send(method, path)
    problem = answer.problem(405)

    assert answer.headers["Allow"] == allowed
    assert problem.type == "/problems/method-not-allowed"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/orders/", "/orders/x/y", "//orders", "/Orders", "/%FF", "/orders%2Fx", "/%00"],
)
async def test_an_unknown_route_is_a_problem_too(shop: Shop, method: str, path: str) -> None:
    problem = (await shop.send(method, path)).problem(404)

    assert problem.instance == path


async def test_a_problem_tells_where_it_happened_as_a_reference(shop: Shop) -> None:
    """C17: RFC 9457 wants a URI reference, so it is not decoded."""
    problem = (await shop.get("/warehouses/%C3%A9%20%2F")).problem(404)

    assert problem.instance == "/warehouses/%C3%A9%20%2F"


async def test_a_refusal_says_what_was_wrong_in_a_sentence(shop: Shop) -> None:
    """C17: clear responses: what was asked, what there is, and facts for programs."""
    await shop.received(quantity=2)
    problem = await shop.refused(409, "/orders", shop.wanted(quantity=3))

    assert problem == Problem(
        type="/problems/insufficient-stock",
        title="Not enough stock",
        status=409,
        detail="3 requested, 2 available",
        instance="/orders",
        requested=3,
        available=2,
    )
