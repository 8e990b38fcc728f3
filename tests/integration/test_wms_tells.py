"""What warehouse systems (WMS) tell by themselves: events of batches, and snapshots in parts."""

from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from allocator.http.told_shapes import TakenEvents, TakenPart
from allocator.wms.simulator_nature import Nature
from tests.integration.api_shapes import Answer
from tests.integration.shop import Shop, database, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by
from tests.integration.wms import NEVER_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_S = 3600.0
HARMLESS = Nature(
    batch_s=NEVER_S,
    rate_per_s=500.0,
    burst=100,
    duplicate_rate=0.4,
    disorder_rate=0.4,
    seed=5,
)


class Telling:
    """A fed warehouse, and what its system tells of it."""

    def __init__(self, fed: Fed) -> None:
        self.fed = fed
        self.shop = fed.shop

    def event(self, batch: str | None = "L7", **members: object) -> dict[str, object]:
        """Something that is told of a batch, as the simulator would."""
        truth = self.fed.wms.truth
        found = truth.batch((self.shop.product, batch))
        event: dict[str, object] = {
            "id": f"e-{truth.as_of}",
            "type": "adjustment",
            "sku": self.shop.product,
            "batch": batch,
            "orderable": found.orderable,
            "as_of": truth.as_of,
            "applied_through": truth.applied_through,
        }
        return event | members

    async def send(self, *events: dict[str, object]) -> Answer:
        return await self.shop.post(f"{self.fed.path}/events", {"events": events})

    async def tell(self, *events: dict[str, object]) -> TakenEvents:
        answer = await self.send(*events)
        assert answer.status == 202, answer.body
        return msgspec.json.decode(answer.body, type=TakenEvents)

    async def push(self, **members: object) -> Answer:
        truth = self.fed.wms.truth
        body = {"as_of": truth.as_of, "applied_through": truth.applied_through} | members
        return await self.shop.post(f"{self.fed.path}/snapshots", body)

    async def pushed(self, **members: object) -> TakenPart:
        answer = await self.push(**members)
        assert answer.status == 202, answer.body
        return msgspec.json.decode(answer.body, type=TakenPart)

    def item(self, batch: str | None = "L7", **members: object) -> dict[str, object]:
        """What a snapshot says of a batch."""
        orderable = self.fed.wms.truth.batch((self.shop.product, batch)).orderable
        item: dict[str, object] = {
            "sku": self.shop.product,
            "batch": batch,
            "orderable": orderable,
        }
        return item | members

    async def becomes(self, available: int) -> None:
        async def is_so() -> bool:
            return await self.fed.available() == available

        await until(is_so)

    async def heard(self) -> None:
        """Wait until nothing that was told waits any more."""

        async def is_heard() -> bool:
            standing = await self.shop.server.context.feeds.find(self.shop.warehouse)
            return standing is not None and not standing.is_told

        await until(is_heard)


@pytest_asyncio.fixture(loop_scope="module")
async def telling(shop: Shop) -> AsyncIterator[Telling]:
    async with fed_by(shop, NATURE) as fed:
        yield Telling(fed)


async def rarely_polled(telling: Telling, quantity: int = 10) -> None:
    """Have units of L7 be there, heard once, and then no poll for an hour unless it is wished."""
    await telling.fed.begun(quantity)
    telling.fed.wms.truth.as_of += 1
    as_of = telling.fed.wms.truth.as_of
    await telling.fed.put(poll_s=HOUR_S)  # it is polled once more now

    async def is_heard() -> bool:
        completed = (await telling.fed.shown()).completed
        return completed is not None and completed.as_of >= as_of

    await until(is_heard)


async def test_n12_a_loss_that_is_told_is_believed_at_once(telling: Telling) -> None:
    await rarely_polled(telling)
    telling.fed.wms.truth.damage((telling.shop.product, "L7"), 4)

    taken = await telling.tell(telling.event())

    assert taken == TakenEvents(taken=1, duplicates=0, older=0, unknown=())
    await telling.becomes(6)


async def test_n12_a_receipt_that_is_told_appears_in_the_only_batch(telling: Telling) -> None:
    await rarely_polled(telling)
    telling.fed.wms.truth.receive((telling.shop.product, "L7"), 5)

    await telling.tell(telling.event(type="receipt", delta=5))

    await telling.becomes(15)


async def test_n12_a_receipt_of_a_new_batch_has_the_wms_be_polled(telling: Telling) -> None:
    await rarely_polled(telling)
    telling.fed.wms.truth.receive((telling.shop.product, "L8"), 5)

    await telling.tell(telling.event("L8", type="receipt", delta=5))

    await telling.becomes(15)


async def test_n12_a_receipt_has_the_wms_be_polled_though_something_newer_came_along(
    telling: Telling,
) -> None:
    await rarely_polled(telling)
    truth, place = telling.fed.wms.truth, (telling.shop.product, "L8")
    truth.receive(place, 5)
    receipt = telling.event("L8", type="receipt", delta=5)
    truth.damage(place, 1)

    await telling.tell(receipt, telling.event("L8", delta=-1))

    await telling.becomes(14)


async def test_n12_what_comes_twice_or_late_changes_nothing(telling: Telling) -> None:
    await rarely_polled(telling)
    truth, place = telling.fed.wms.truth, (telling.shop.product, "L7")
    truth.damage(place, 1)
    first = telling.event()
    truth.damage(place, 2)
    second = telling.event()

    assert (await telling.tell(second)).taken == 1
    await telling.becomes(7)

    assert await telling.tell(second, first) == TakenEvents(
        taken=0, duplicates=1, older=1, unknown=()
    )
    await telling.heard()
    assert await telling.fed.available() == 7


async def test_of_events_in_one_request_the_newest_of_a_batch_counts(telling: Telling) -> None:
    await rarely_polled(telling)
    as_of = telling.fed.wms.truth.as_of

    taken = await telling.tell(
        telling.event(as_of=as_of + 2, orderable=3),
        telling.event(as_of=as_of + 1, orderable=1),
        telling.event(as_of=as_of + 2, orderable=3),
    )

    assert taken == TakenEvents(taken=1, duplicates=1, older=1, unknown=())
    await telling.becomes(3)


async def test_n10_an_event_counts_what_was_applied_by_then(telling: Telling) -> None:
    await rarely_polled(telling)
    await telling.shop.placed(quantity=3)
    await telling.fed.told(1)
    telling.fed.wms.run_batch()
    telling.fed.wms.truth.damage((telling.shop.product, "L7"), 1)

    await telling.tell(telling.event())  # 6 orderable, 3 applied

    await telling.becomes(6)


async def test_a_product_that_nobody_has_named_is_named_in_the_answer(telling: Telling) -> None:
    await rarely_polled(telling)
    as_of = telling.fed.wms.truth.as_of + 1

    taken = await telling.tell(
        telling.event(sku="stranger", as_of=as_of), telling.event(orderable=4, as_of=as_of)
    )

    assert (taken.taken, taken.unknown) == (1, ("stranger",))
    await telling.becomes(4)


async def test_an_event_with_a_push_that_was_never_sent_is_refused(telling: Telling) -> None:
    await rarely_polled(telling)

    answer = await telling.send(telling.event(applied_through=99))

    assert answer.status == 409
    assert b"push 99 was never sent" in answer.body


async def test_nobody_tells_anything_of_a_warehouse_that_is_not_fed(telling: Telling) -> None:
    assert (await telling.send(telling.event())).status == 404

    await telling.fed.begun(1)
    await telling.shop.send("DELETE", telling.fed.path)

    assert (await telling.send(telling.event())).status == 409


STAYING = """
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER stay BEFORE UPDATE ON wms_events FOR EACH ROW
    WHEN (old.is_waiting AND NOT new.is_waiting) EXECUTE FUNCTION stay();
"""


async def test_how_much_waits_to_be_followed_and_for_how_long_is_told(
    telling: Telling, module_database_url: str
) -> None:
    await rarely_polled(telling)

    async def waits(number: int) -> bool:
        return await telling.fed.metric("waiting_events") == number

    async def waits_long() -> bool:
        return await telling.fed.metric("event_lag_seconds") > 1

    async with database(module_database_url) as looking:
        await looking.execute(STAYING)
        since = []
        for _ in range(2):  # the second one takes the place of the first, and has waited as long
            telling.fed.wms.truth.damage((telling.shop.product, "L7"), 1)
            assert (await telling.tell(telling.event())).taken == 1
            since += await looking.fetch("SELECT taken_at FROM wms_events WHERE is_waiting")
        assert since[0] == since[1]
        await until(partial(waits, 1))
        await until(waits_long)
        await looking.execute("DROP FUNCTION stay CASCADE")
        await until(partial(waits, 0))

    assert await telling.fed.metric("event_lag_seconds") == 0


async def test_n12_a_snapshot_in_parts_is_heard_when_it_is_whole(telling: Telling) -> None:
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    telling.fed.wms.truth.receive((telling.shop.product, "L8"), 5)
    telling.fed.wms.truth.damage((telling.shop.product, "L7"), 1)

    first = await telling.pushed(part=2, parts=2, items=[telling.item("L8")])

    assert first.missing == (1,)
    assert await telling.fed.available() == 10

    second = await telling.pushed(part=1, parts=2, items=[telling.item("L7")])

    assert (second.taken, second.missing) == (1, ())
    await telling.becomes(14)


async def test_a_snapshot_of_which_a_part_is_missing_concludes_nothing(telling: Telling) -> None:
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of + 1
    await telling.pushed(as_of=as_of, part=1, parts=2, items=[])
    await telling.pushed(as_of=as_of + 1, items=[telling.item(orderable=8)])

    await telling.becomes(8)
    await telling.heard()
    older = await telling.pushed(as_of=as_of, part=2, parts=2, items=[])
    assert older.missing == ()
    await telling.heard()
    assert await telling.fed.available() == 8


async def test_what_no_part_of_a_snapshot_names_has_nothing_to_sell(telling: Telling) -> None:
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)

    await telling.pushed(as_of=telling.fed.wms.truth.as_of + 1, items=[])

    await telling.becomes(0)


async def test_a_snapshot_whose_parts_name_a_batch_twice_concludes_nothing(
    telling: Telling,
) -> None:
    await telling.fed.begun(10)
    await telling.fed.put(poll_s=0)
    as_of = telling.fed.wms.truth.as_of + 1
    with capture_logs() as logs:
        for part, orderable in ((1, 3), (2, 20)):
            items = [telling.item(orderable=orderable), telling.item(f"L{part}", orderable=1)]
            await telling.pushed(as_of=as_of, part=part, parts=2, items=items)
        await telling.heard()

    [failed] = [each for each in logs if each["event"] == "wms.run_failed"]
    assert "the WMS names 4 batches, 1 of them again" in failed["error"]
    assert await telling.fed.available() == 10

    await telling.pushed(as_of=as_of + 1, items=[telling.item(orderable=8)])

    await telling.becomes(8)


async def test_two_snapshots_as_of_one_moment_are_a_conflict(telling: Telling) -> None:
    await telling.fed.begun(10)
    as_of = telling.fed.wms.truth.as_of + 1000
    await telling.pushed(as_of=as_of, part=1, parts=3, items=[])

    answer = await telling.push(as_of=as_of, part=1, parts=2, items=[])

    assert answer.status == 409
    assert b"has 3 parts" in answer.body


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"part": 3, "parts": 2, "items": []}, b"part must be at most parts"),
        (
            {
                "items": [
                    {"sku": "tea", "batch": "L7", "orderable": 1},
                    {"sku": "tea", "batch": "L7", "orderable": 2},
                ]
            },
            b"named twice",
        ),
        ({"items": [{"sku": "tea", "quantity": 1}]}, b"unknown field"),
    ],
)
async def test_a_snapshot_that_makes_no_sense_is_refused(
    telling: Telling, members: dict[str, object], why: bytes
) -> None:
    await telling.fed.begun(1)

    answer = await telling.push(**members)

    assert answer.status == 422
    assert why in answer.body


async def test_n12_the_simulators_webhooks_arrive_in_the_end(shop: Shop) -> None:
    """Twice, and in disorder: afterwards both sides say the same."""
    nature = msgspec.structs.replace(
        HARMLESS, webhook_url=f"{shop.url}/wms/feeds/{shop.warehouse}/events"
    )
    async with fed_by(shop, nature) as fed:
        telling = Telling(fed)
        await rarely_polled(telling)
        place = (shop.product, "L7")
        for units in range(1, 6):
            fed.wms.receive(fed.wms.truth.batch(place), 2)
            fed.wms.damage(place, 1)
            await shop.placed(quantity=1)
            await fed.told(units)
            fed.wms.run_batch()
        available = fed.wms.truth.batch(place).orderable

        await telling.becomes(available)

        await until(partial(_all_is_told, fed))
        await telling.heard()
        assert await fed.available() == available
        assert fed.wms.webhooks.lost == 0
        assert fed.wms.truth.mistakes == []


async def _all_is_told(fed: Fed) -> bool:
    return not fed.wms.webhooks.waiting


async def test_a_page_that_is_older_than_an_event_raises_nothing(shop: Shop) -> None:
    """Not even if the event has changed nothing, so that no pool knows of it."""
    async with fed_by(shop, msgspec.structs.replace(NATURE, stale=True)) as fed:
        telling, place = Telling(fed), (shop.product, "L7")
        fed.wms.truth.receive(place, 10)
        fed.wms.run_batch()
        await fed.put()
        await telling.becomes(10)
        await fed.put(poll_s=0)
        fed.wms.truth.receive(place, 4)
        fed.wms.run_batch()  # whose page says 14
        as_of = fed.wms.truth.as_of
        fed.wms.truth.damage(place, 4)

        assert (await telling.tell(telling.event())).taken == 1
        await telling.heard()
        await fed.put(poll_s=0.2)

        async def is_heard() -> bool:
            completed = (await fed.shown()).completed
            return completed is not None and completed.as_of == as_of

        await until(is_heard)
        assert await fed.available() == 10

        fed.wms.run_batch()
        await fed.put(poll_s=0.3)
        await telling.becomes(10)
