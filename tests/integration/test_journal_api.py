"""The journal over HTTP: everything that happened, in order, and nothing that did not."""

import asyncio

import pytest

from allocator.domain.codec import VERSIONS
from allocator.domain.records import GENESIS, chain
from tests.integration.api_shapes import JournalPage
from tests.integration.shop import Shop, database, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = JournalPage(items=[], next_after=None, pruned_up_to=0)
SAID = (
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


async def page_of(shop: Shop, query: str = "") -> JournalPage:
    path = f"/journal?warehouse={shop.warehouse}&product={shop.product}{query}"
    return (await shop.get(path)).read(JournalPage)


async def test_everything_that_happens_to_a_pair_is_told_in_order(shop: Shop) -> None:
    """C8, C10, C12: each change of a balance is one event."""
    await shop.received(quantity=5, lot="L", reference="R")
    await shop.received(quantity=2)
    first, second = await shop.placed(quantity=6, customer="Ada"), await shop.placed(key="journal")
    await shop.dispatch(first)
    await shop.cancel(second)
    page = await page_of(shop)

    assert page.next_after is None
    assert [(event.seq, event.kind, event.body) for event in page.items] == [
        (1, "stock_received", {"quantity": 5, "lot": "L", "reference": "R"}),
        (2, "stock_received", {"quantity": 2}),
        (3, "order_placed", {"quantity": 6, "picks": [(1, 5), (2, 1)], "customer": "Ada"}),
        (4, "order_placed", {"quantity": 1, "picks": [(2, 1)]}),
        (5, "order_dispatched", {"order": 3, "quantity": 6, "picks": [(1, 5), (2, 1)]}),
        (6, "order_cancelled", {"order": 4, "quantity": 1, "picks": [(2, 1)]}),
    ]
    assert [event.at for event in page.items] == sorted(event.at for event in page.items)
    assert [event.idempotency_key for event in page.items] == [None] * 3 + ["journal", None, None]
    assert [event.version for event in page.items] == [VERSIONS[each.kind] for each in page.items]
    assert {event.principal for event in page.items} == {""}
    assert page.items[2].at == first.created_at


async def test_a_lot_that_expires_is_told(shop: Shop) -> None:
    await shop.received(quantity=2)
    await shop.received(quantity=3, expires_at=Shop.time_in(milliseconds=1_000))
    await shop.placed()

    async def is_told() -> bool:
        return len((await page_of(shop)).items) == 4

    await until(is_told)
    assert (await page_of(shop)).items[3].body == {"lot": 2, "quantity": 2}


async def test_what_was_refused_or_only_looked_at_is_not_told(shop: Shop) -> None:
    """C9, C13: a refusal is not journaled."""
    await shop.received(quantity=1)
    order = await shop.placed()
    await shop.refused(409, "/orders", shop.wanted())
    await shop.refused(422, "/orders", shop.wanted(quantity=0))
    await shop.dispatch(order)
    await shop.refused(409, f"/orders/{order.id}/dispatch", None)
    await shop.shown(order)
    await shop.balance()

    assert len((await page_of(shop)).items) == 3
    assert (await shop.balance()).version == 3


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 200])
async def test_pages_follow_each_other_without_gap_or_repetition(shop: Shop, limit: int) -> None:
    await shop.received(quantity=9)
    for _ in range(5):
        await shop.placed()
    seqs: list[int] = []
    after: int | None = 0
    while after is not None:
        page = await page_of(shop, f"&limit={limit}&after={after}")
        assert len(page.items) <= limit
        seqs += [event.seq for event in page.items]
        after = page.next_after

    assert seqs == [1, 2, 3, 4, 5, 6]


async def test_a_long_journal_is_walked_in_pages_of_two_hundred(shop: Shop) -> None:
    await shop.received(quantity=1_000)
    await shop.batch(*(shop.wanted() for _ in range(449)))
    pages = [await page_of(shop, f"&limit=200&after={after}") for after in (0, 200, 400, 450)]

    assert [len(page.items) for page in pages] == [200, 200, 50, 0]
    assert [page.next_after for page in pages] == [200, 400, None, None]
    assert [event.seq for page in pages for event in page.items] == list(range(1, 451))


@pytest.mark.parametrize("after", [1, 2, (1 << 36) - 1])
async def test_nothing_stands_after_the_end(shop: Shop, after: int) -> None:
    await shop.received()

    assert await page_of(shop, f"&after={after}") == NOTHING


@pytest.mark.parametrize(
    "after", ["-1", "1.5", "x", "", str(1 << 36), "9" * 30, "%00", "1&after=1", "+1"]
)
async def test_a_place_to_begin_that_makes_no_sense_is_refused(shop: Shop, after: str) -> None:
    path = f"/journal?warehouse={shop.warehouse}&product={shop.product}&after={after}"

    assert "after" in (await shop.get(path)).problem(422).detail


@pytest.mark.parametrize("query", ["", "?product=a", "?warehouse={warehouse}"])
async def test_whose_journal_must_be_said(shop: Shop, query: str) -> None:
    await shop.received()
    problem = (await shop.get(f"/journal{query.format(warehouse=shop.warehouse)}")).problem(422)

    assert "product and warehouse" in problem.detail


async def test_a_pair_to_which_nothing_happened_has_an_empty_journal(shop: Shop) -> None:
    assert await page_of(shop) == NOTHING
    unknown = await shop.get("/journal?warehouse=not-there&product=a%2Fb")
    assert unknown.read(JournalPage).items == []


async def test_the_journal_has_an_event_as_soon_as_its_answer_is_there(shop: Shop) -> None:
    """Q7: nothing is promised before it is durable."""
    await shop.received(quantity=50)

    async def buy_and_look(customer: str) -> bool:
        await shop.placed(customer=customer)
        page = await page_of(shop, "&limit=200")
        return any(event.body.get("customer") == customer for event in page.items)

    assert all(await asyncio.gather(*(buy_and_look(str(n)) for n in range(40))))


async def test_the_rows_of_a_pair_are_a_chain(shop: Shop, module_database_url: str) -> None:
    """An edited, missing or reordered row would show: each digest is over the one before."""
    await shop.received(quantity=9, lot="Žluťoučký \n kůň")
    order = await shop.placed(key="chain", customer="Ada")
    await shop.dispatch(order, key="chain's end")
    async with database(module_database_url) as behind:
        rows = await behind.fetch(
            "SELECT journal.*, (extract(epoch FROM at) * 1000)::bigint AS at_ms"
            " FROM journal JOIN pools USING (actor_id) WHERE product = $1 ORDER BY seq",
            shop.product,
        )
    digest = GENESIS
    for row in rows:
        digest = chain(digest, **{name: row[name] for name in SAID})
        assert row["digest"] == digest
    assert len(rows) == 3
