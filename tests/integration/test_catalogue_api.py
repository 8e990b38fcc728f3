"""Warehouses and products: created once, changed at will, journaled like everything else."""

import asyncio
import secrets
from collections import Counter

import msgspec
import pytest

from allocator.domain.records import GENESIS, chain
from tests.integration.api_shapes import Balance, Order, Price, Product, Stock, Warehouse
from tests.integration.shop import Shop, database

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ["warehouses", "products"]


def unused() -> str:
    return f"n-{secrets.token_hex(6)}"


def member(kind: str) -> str:
    """What the code of this kind is called in a body."""
    return {"warehouses": "code", "products": "sku"}[kind]


async def test_each_resource_can_be_read_at_its_address(shop: Shop) -> None:
    """C1: Warehouse, Product, Stock, StockBalance, Order."""
    stock = await shop.received(quantity=2)
    order = await shop.placed()
    warehouse = await shop.get(f"/warehouses/{shop.warehouse}")
    product = await shop.get(f"/products/{shop.product}")

    assert warehouse.read(Warehouse) == Warehouse(code=shop.warehouse, name="Name")
    assert product.read(Product) == Product(sku=shop.product, name="Name", price=None)
    assert (await shop.get(f"/stocks/{stock.id}")).read(Stock).available == 1
    assert (await shop.balance()).ordered == 1
    assert await shop.shown(order) == order


async def test_one_product_is_usable_in_every_warehouse(shop: Shop) -> None:
    """C2: each warehouse has stock of its own of the same product."""
    codes = [unused() for _ in range(3)]
    for number, code in enumerate(codes, 1):
        await shop.put(f"/warehouses/{code}", {"name": code})
        await shop.received(warehouse=code, quantity=number)
    await shop.placed(warehouse=codes[1], quantity=2)

    balances = [
        (await shop.get(f"/stock-balances/{code}/{shop.product}")).read(Balance).numbers
        for code in codes
    ]
    assert balances == [(1, 0, 0, 1), (0, 2, 0, 2), (3, 0, 0, 3)]


@pytest.mark.parametrize("kind", KINDS)
async def test_put_creates_once_and_changes_after_that(shop: Shop, kind: str) -> None:
    path = f"/{kind}/{unused()}"
    answers = [await shop.put(path, {"name": name}) for name in ("One", "One", "Two", "One")]

    assert [answer.status for answer in answers] == [201, 200, 200, 200]
    assert (await shop.get(path)).body == answers[3].body == answers[0].body


@pytest.mark.parametrize("kind", KINDS)
async def test_post_creates_and_accepts_an_equal_repeat_and_nothing_else(
    shop: Shop, kind: str
) -> None:
    code = unused()
    body = {member(kind): code, "name": "One"}
    created, repeated = await shop.post(f"/{kind}", body), await shop.post(f"/{kind}", body)
    problem = await shop.refused(409, f"/{kind}", body | {"name": "Two"})

    assert (created.status, repeated.status) == (201, 200)
    assert created.headers["Location"] == repeated.headers["Location"] == f"/{kind}/{code}"
    assert created.body == repeated.body == (await shop.get(f"/{kind}/{code}")).body
    assert problem.type == "/problems/conflict"
    assert code in problem.detail


@pytest.mark.parametrize("kind", KINDS)
async def test_of_many_equal_creations_at_once_one_creates(shop: Shop, kind: str) -> None:
    body = {member(kind): unused(), "name": "One"}
    answers = await asyncio.gather(*(shop.post(f"/{kind}", body) for _ in range(20)))

    assert Counter(answer.status for answer in answers) == {201: 1, 200: 19}


@pytest.mark.parametrize("kind", KINDS)
async def test_of_many_different_creations_at_once_one_creates(shop: Shop, kind: str) -> None:
    code = unused()
    bodies = [{member(kind): code, "name": f"Name {n}"} for n in range(20)]
    answers = await asyncio.gather(*(shop.post(f"/{kind}", body) for body in bodies))
    [created] = [answer for answer in answers if answer.status == 201]

    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert (await shop.get(f"/{kind}/{code}")).body == created.body


@pytest.mark.parametrize("kind", KINDS)
async def test_of_many_puts_at_once_one_creates_and_each_change_is_journaled_once(
    shop: Shop, kind: str, module_database_url: str
) -> None:
    code = unused()
    names = [f"Name {n}" for n in range(20)]
    puts = [shop.put(f"/{kind}/{code}", {"name": name}) for name in names]
    answers = await asyncio.gather(*puts)
    rows = await journal_of(module_database_url, f"{kind[:-1]}:{code}")

    assert Counter(answer.status for answer in answers) == {201: 1, 200: 19}
    assert sorted(row["name"] for row in rows) == sorted(names)
    stored = msgspec.json.decode((await shop.get(f"/{kind}/{code}")).body)
    assert stored["name"] == rows[-1]["name"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_is_journaled_and_a_repeat_of_it_is_not(
    shop: Shop, kind: str, module_database_url: str
) -> None:
    """The rows of a name form a chain of digests from its first to its latest contents."""
    code = unused()
    for name in ("One", "One", "Zwei ✓", "Zwei ✓", "One"):
        await shop.put(f"/{kind}/{code}", {"name": name})
    await shop.refused(409, f"/{kind}", {member(kind): code, "name": "Other"})
    rows = await journal_of(module_database_url, f"{kind[:-1]}:{code}")

    assert [row["name"] for row in rows] == ["One", "Zwei ✓", "One"]


async def test_the_price_of_a_product_is_set_changed_and_taken_away(shop: Shop) -> None:
    path = f"/products/{unused()}"
    shown = []
    for price in ({"amount": 250, "currency": "EUR"}, {"amount": 0, "currency": "USD"}, None):
        assert (await shop.put(path, {"name": "Tea", "price": price})).status in {200, 201}
        shown.append((await shop.get(path)).read(Product).price)

    assert shown == [Price(amount=250, currency="EUR"), Price(amount=0, currency="USD"), None]


async def test_a_product_that_differs_only_in_its_price_is_another(shop: Shop) -> None:
    body = {"sku": unused(), "name": "Tea", "price": {"amount": 250, "currency": "EUR"}}
    assert (await shop.post("/products", body)).status == 201
    await shop.refused(409, "/products", body | {"price": {"amount": 251, "currency": "EUR"}})
    await shop.refused(409, "/products", body | {"price": None})

    assert (await shop.post("/products", body)).status == 200


@pytest.mark.parametrize(
    "price",
    [
        {"amount": -1, "currency": "EUR"},
        {"amount": 1.5, "currency": "EUR"},
        {"amount": 1_000_000_000_001, "currency": "EUR"},
        {"amount": 1, "currency": "eur"},
        {"amount": 1, "currency": "EURO"},
        {"amount": 1, "currency": "EUR\n"},
        {"amount": 1},
        {"amount": 1, "currency": "EUR", "vat": 1},
        {},
        250,
    ],
)
async def test_a_price_that_makes_no_sense_is_refused(shop: Shop, price: object) -> None:
    path = f"/products/{unused()}"
    (await shop.put(path, {"name": "Tea", "price": price})).problem(422)

    (await shop.get(path)).problem(404)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["a", "A.b_c-9", "-", "0", "...", ".a", "x" * 64])
async def test_codes_are_letters_digits_dots_underscores_and_hyphens(
    shop: Shop, kind: str, code: str
) -> None:
    assert (await shop.put(f"/{kind}/{code}", {"name": "One"})).status in {200, 201}
    assert msgspec.json.decode((await shop.get(f"/{kind}/{code}")).body)[member(kind)] == code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "encoded",
    ["%20", "a%20b", "a%2Fb", "%C3%A9", "%00", "a%00", "a%0A", "%F0%9F%98%80", "%FF", "x" * 65],
)
async def test_other_codes_are_refused_and_never_found(shop: Shop, kind: str, encoded: str) -> None:
    problem = (await shop.put(f"/{kind}/{encoded}", {"name": "One"})).problem(422)

    assert problem.detail.startswith(f"{member(kind)} must be 1 to 64 of A-Z a-z 0-9 . _ -")
    assert problem.instance == f"/{kind}/{encoded}"
    (await shop.get(f"/{kind}/{encoded}")).problem(404)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("code", ["", " ", "a b", "a/b", "é", "a\n", "\0", "x" * 65, ".", ".."])
async def test_other_codes_are_refused_in_a_body(shop: Shop, kind: str, code: str) -> None:
    await shop.refused(422, f"/{kind}", {member(kind): code, "name": "One"})


@pytest.mark.parametrize("kind", KINDS)
async def test_dots_that_a_path_takes_for_directions_name_nothing(shop: Shop, kind: str) -> None:
    """A client that follows RFC 3986 could never ask for them again: it resolves `/..` itself."""
    for code in (".", ".."):
        (await shop.put(f"/{kind}/{code}", {"name": "One"})).problem(422)


@pytest.mark.parametrize("kind", KINDS)
async def test_names_are_listed_by_code_page_by_page(shop: Shop, kind: str) -> None:
    start = unused()
    codes = sorted(f"{start}{letter}" for letter in "aZ.-_09b")
    for code in codes:
        await shop.put(f"/{kind}/{code}", {"name": code})

    for limit in (1, 3, 200):
        found = await shop.all_of(dict[str, object], f"/{kind}", limit=limit)
        listed = [str(each[member(kind)]) for each in found]
        assert listed == sorted(listed)
        assert [code for code in listed if code.startswith(start)] == codes


async def test_a_renamed_warehouse_keeps_its_stock(shop: Shop) -> None:
    await shop.received(quantity=3)
    await shop.put(f"/warehouses/{shop.warehouse}", {"name": "Another name"})

    assert (await shop.placed(quantity=3)).lines[0].warehouse == shop.warehouse
    assert (await shop.get(f"/warehouses/{shop.warehouse}")).read(Warehouse).name == "Another name"


async def test_a_pair_can_be_used_as_soon_as_its_names_exist(shop: Shop) -> None:
    """An unknown name is never remembered as unknown."""
    code, sku = unused(), unused()
    body = {"warehouse": code, "product": sku}
    await shop.refused(422, "/orders", body)
    await shop.put(f"/warehouses/{code}", {"name": "One"})
    problem = await shop.refused(422, "/orders", body)
    await shop.put(f"/products/{sku}", {"name": "One"})

    assert problem.detail == "no such product"
    assert (await shop.post("/stocks", body)).status == 201
    assert (await shop.post("/orders", body)).read(Order, status=201).status == "new"


async def journal_of(database_url: str, key: str) -> list[dict[str, str]]:
    """Return the bodies that an actor's rows hold, after checking the chain of their digests."""
    async with database(database_url) as behind:
        rows = await behind.fetch(
            "SELECT journal.*, (extract(epoch FROM at) * 1000)::bigint AS at_ms"
            " FROM journal JOIN actors ON actors.id = journal.actor_id"
            " WHERE actors.key = $1 ORDER BY seq",
            key,
        )
    digest = GENESIS
    for row in rows:
        digest = chain(
            digest,
            **{
                name: row[name]
                for name in (
                    "actor_id",
                    "seq",
                    "at_ms",
                    "kind",
                    "version",
                    "body",
                    "principal",
                    "idempotency_key",
                    "request_digest",
                )
            },
        )
        assert row["digest"] == digest
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [msgspec.json.decode(row["body"]) for row in rows]
