"""The simulated warehouse system: slow, limited, stale and forgetful as asked for, and true."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from random import Random

import aiohttp
import msgspec
import pytest
from aiohttp import web

from allocator.wms.bucket import Limit
from allocator.wms.http_wms import HttpWms
from allocator.wms.interface import (
    InventoryItem,
    Push,
    PushLine,
    WmsBrokenError,
    WmsLimitedError,
    WmsUnavailableError,
)
from allocator.wms.simulator_nature import Nature
from allocator.wms.simulator_shapes import EventsBody
from tests.integration.providers import free_port
from tests.integration.serving import CHECKOUT, until
from tests.integration.wms import (
    NEVER_S,
    Box,
    asking,
    control,
    requests_of,
    sending,
    simulated,
    truth_of,
    whole_run,
)

QUIET = Nature(batch_s=NEVER_S, rate_per_s=100_000, burst=1_000, seed=12)


def receipt(sku: str, batch: str | None, quantity: int) -> dict[str, object]:
    return {"sku": sku, "batch": batch, "quantity": quantity}


def push(number: int, sku: str, *lines: PushLine) -> Push:
    return Push(number=number, sku=sku, lines=lines, at_ms=0)


def line(batch: str | None, decrease: int, shipped: int = 0) -> PushLine:
    return PushLine(batch=batch, decrease=decrease, shipped=shipped)


async def test_pushes_are_in_the_figures_once_the_batch_has_run() -> None:
    """N4: allocation lags; what it has not applied is not in what can be ordered."""
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        await control(url, "receipts", {"items": [receipt("tea", "a", 10)]})
        assert await wms.push([push(1, "tea", line("a", 3))]) == 1
        before = await wms.page(None)
        await control(url, "batch-now")
        after = await wms.page(None)

    assert [(before.applied_through, item.orderable) for item in before.items] == [(0, 10)]
    assert [(after.applied_through, item.orderable) for item in after.items] == [(1, 7)]
    assert after.as_of > before.as_of


async def test_a_batch_runs_by_itself() -> None:
    nature = msgspec.structs.replace(QUIET, batch_s=0.05)
    async with simulated(nature) as (simulator, url), asking(url) as wms:
        await wms.push([push(1, "tea", line("a", 3))])
        await until(lambda: simulator.truth.applied_through == 1)


async def test_pages_of_a_run_are_of_one_instant_whatever_happens_meanwhile() -> None:
    async with simulated(QUIET) as (_, url), asking(url, page_items=2) as wms:
        items = [receipt(f"tea-{n}", None, n + 1) for n in range(5)]
        await control(url, "receipts", {"items": items})
        first = await wms.page(None)
        await control(url, "damage", {"items": [receipt("tea-4", None, 5)]})
        pages = [first]
        while (cursor := pages[-1].next_cursor) is not None:
            pages.append(await wms.page(cursor))
        later = await whole_run(wms)

    assert {page.as_of for page in pages} == {first.as_of}
    assert sum(item.orderable for page in pages for item in page.items) == 15
    assert later[0].as_of > first.as_of
    assert [item.sku for page in later for item in page.items] == [f"tea-{n}" for n in range(4)]


async def test_the_next_page_of_a_run_that_is_forgotten_is_the_first_of_another() -> None:
    async with simulated(QUIET) as (_, url), asking(url, page_items=1) as wms:
        items = [receipt(f"tea-{n}", None, 1) for n in range(3)]
        await control(url, "receipts", {"items": items})
        first = await wms.page(None)
        for _ in range(5):
            await wms.page(None)
        again = await wms.page(first.next_cursor)

    assert again.as_of > first.as_of
    assert again.items == first.items


async def test_stale_pages_show_what_was_so_when_the_batch_last_ran() -> None:
    stale = msgspec.structs.replace(QUIET, stale=True)
    async with simulated(stale) as (_, url), asking(url) as wms:
        await control(url, "receipts", {"items": [receipt("tea", "a", 10)]})
        before = await wms.page(None)
        await control(url, "batch-now")
        after = await wms.page(None)

    assert before.items == ()
    assert [item.orderable for item in after.items] == [10]


async def test_expiry_and_receipt_of_a_batch_are_on_its_page() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        told = {"expires_at": "2027-01-31T00:00:00Z", "received_at": "2026-11-22T01:02:03.004Z"}
        await control(url, "receipts", {"items": [receipt("tea", "a", 2) | told]})
        page = await wms.page(None)

    assert page.items == (
        InventoryItem(
            sku="tea",
            batch="a",
            orderable=2,
            expires_at_ms=1_801_353_600_000,
            received_at_ms=1_795_309_323_004,
        ),
    )


async def test_a_repeat_does_nothing_and_other_contents_are_noticed() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        await wms.push([push(1, "tea", line("a", 3))])
        assert await wms.push([push(1, "tea", line("a", 3)), push(2, "tea", line("a", -1))]) == 2
        await wms.push([push(2, "tea", line("a", -2))])
        await control(url, "batch-now")
        truth = await truth_of(url)

    assert [item.allocated for item in truth.items] == [2]
    assert truth.repeats == 2
    assert truth.mistakes == ("push 2 was told again with other contents",)


async def test_what_was_promised_and_is_missing_is_below_zero() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        await control(url, "receipts", {"items": [receipt("tea", "a", 5)]})
        await wms.push([push(1, "tea", line("a", 4, shipped=1))])
        await control(url, "batch-now")
        await control(url, "damage", {"items": [receipt("tea", "a", 3)]})
        page = await wms.page(None)

        assert [item.orderable for item in page.items] == [-2]


async def test_what_we_set_aside_cannot_be_ordered_there_until_it_is_back() -> None:
    """N9: present but not sellable; the states are ours, and the WMS is told."""
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        await control(url, "receipts", {"items": [receipt("tea", "a", 5)]})
        await wms.push([push(1, "tea", PushLine(batch="a", decrease=0, aside=3))])
        await control(url, "batch-now")
        [before] = (await wms.page(None)).items
        await wms.push([push(2, "tea", PushLine(batch="a", decrease=0, aside=-2))])
        await control(url, "batch-now")
        [after] = (await wms.page(None)).items

    assert (before.orderable, after.orderable) == (2, 4)


@pytest.mark.parametrize("back", [0, 2])
async def test_a_picker_may_take_another_batch_and_the_sum_stays(back: int) -> None:
    swapping = msgspec.structs.replace(QUIET, swap_rate=1.0)
    async with simulated(swapping) as (_, url), asking(url) as wms:
        items = [receipt("tea", "a", 5), receipt("tea", "b", 5)]
        await control(url, "receipts", {"items": items})
        await wms.push([push(1, "tea", line("a", 3)), push(2, "tea", line("a", -back, 3 - back))])
        await control(url, "batch-now")
        truth = await truth_of(url)

    assert [item.orderable for item in truth.items] == [5, 2 + back]
    assert [item.shipped for item in truth.items] == [0, 3 - back]
    assert truth.swaps == 1
    assert truth.mistakes == ()


async def test_who_asks_too_often_is_told_when_to_come_again() -> None:
    limited = msgspec.structs.replace(QUIET, rate_per_s=0.5, burst=2)
    async with simulated(limited) as (_, url), asking(url) as wms:
        await wms.page(None)
        await wms.page(None)
        with pytest.raises(WmsLimitedError) as refused:
            await wms.page(None)
        requests = await requests_of(url)

    assert refused.value.retry_after_s == 2
    assert (requests.requests, requests.limited) == (3, 1)
    assert len(requests.times_us) == 3


async def test_an_outage_ends_when_it_is_told_to() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        await control(url, "outage", {"seconds": 3_600})
        with pytest.raises((WmsUnavailableError, TimeoutError)):
            await asyncio.wait_for(wms.page(None), 0.2)
        await control(url, "outage", {"seconds": 0})

        assert (await wms.page(None)).items == ()


SOAK = Nature(
    batch_s=0.1,
    rate_per_s=40,
    burst=3,
    latency_s=0.005,
    lost_rate=0.1,
    swap_rate=0.1,
    outage_every_s=1.0,
    outage_s=0.1,
    seed=7,
)


async def test_a_soak_loses_nothing_repeats_nothing_and_never_asks_too_often() -> None:
    """N3: twenty times the limit in orders, outages, lost answers, and workers that begin anew."""
    chance, box = Random(SOAK.seed), Box()
    limit = Limit(per_s=SOAK.rate_per_s, burst=SOAK.burst)
    async with simulated(SOAK) as (_, url):
        batches = [(f"tea-{n % 4}", f"b{n}") for n in range(12)]
        items = [receipt(sku, batch, 1_000) for sku, batch in batches]
        await control(url, "receipts", {"items": items})
        decreases, shipments = dict.fromkeys(batches, 0), dict.fromkeys(batches, 0)
        begun_s = time.monotonic()
        for life in range(3):
            async with sending(url, box, limit, seed=life) as sender:
                for _ in range(50):
                    for _ in range(16):  # 800 a second
                        sku, batch = key = chance.choice(batches)
                        open_units = decreases[key] - shipments[key]
                        decrease = chance.randint(-open_units, 3) if chance.random() < 0.3 else 1
                        shipped = chance.randint(0, open_units + decrease) // 4
                        decreases[key] += decrease
                        shipments[key] += shipped
                        box.push(sku, batch, decrease, shipped=shipped)
                    sender.wake()
                    await asyncio.sleep(0.02)
        await control(url, "outage", {"seconds": 0})
        async with sending(url, box, limit, seed=9):
            await until(lambda: box.through == len(box.pushes))
        took_s = time.monotonic() - begun_s
        await control(url, "batch-now")
        truth, requests = await truth_of(url), await requests_of(url)

    assert (truth.gaps, truth.mistakes) == (0, ())
    assert truth.received_through == truth.applied_through == len(box.pushes) == 2_400
    assert truth.repeats > 0
    assert requests.limited == 0
    assert requests.answers_lost > 0
    assert requests.requests <= SOAK.burst + SOAK.rate_per_s * took_s
    for sku in {sku for sku, _ in batches}:
        of_sku = [item for item in truth.items if item.sku == sku]
        mine = [key for key in batches if key[0] == sku]
        assert sum(item.shipped for item in of_sku) == sum(shipments[key] for key in mine)
        assert sum(item.received - item.orderable for item in of_sku) == sum(
            decreases[key] for key in mine
        )


async def test_webhooks_come_twice_and_in_disorder_and_tell_the_truth() -> None:
    heard: list[EventsBody] = []

    async def hear(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer alk_secret"
        if len(heard) == 1:
            heard.append(EventsBody(events=()))
            return web.Response(status=503)
        heard.append(msgspec.json.decode(await request.read(), type=EventsBody))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/wms/feeds/main/events", hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    nature = msgspec.structs.replace(
        QUIET,
        webhook_url=f"http://127.0.0.1:{runner.addresses[0][1]}/wms/feeds/main/events",
        webhook_key="alk_secret",
        duplicate_rate=0.3,
        disorder_rate=0.3,
    )
    try:
        async with simulated(nature) as (simulator, url), asking(url) as wms:
            for n in range(60):
                await control(url, "receipts", {"items": [receipt("tea", "a", n + 1)]})
            await wms.push([push(1, "tea", line("a", 30))])
            await control(url, "batch-now")
            await control(url, "damage", {"items": [receipt("tea", "a", 5)]})
            await until(lambda: simulator.webhooks.waiting == 0)
            requests = await requests_of(url)
    finally:
        await runner.cleanup()

    events = [event for body in heard for event in body.events]
    as_ofs = [event.as_of for event in events]
    latest = max(events, key=lambda event: event.as_of)
    assert len(set(as_ofs)) == 62
    assert len(as_ofs) > 62
    assert as_ofs != sorted(as_ofs)
    assert {event.type for event in events} == {"receipt", "adjustment", "orderable"}
    assert (latest.type, latest.delta, latest.orderable) == ("adjustment", -5, 1830 - 30 - 5)
    assert latest.applied_through == 1
    assert requests.events == len(events)
    assert requests.events_lost == 0


async def test_the_same_seed_behaves_the_same() -> None:
    behaviour = []
    for seed in (1, 1, 2):
        nature = msgspec.structs.replace(QUIET, lost_rate=0.5, swap_rate=0.5, seed=seed)
        async with simulated(nature) as (simulator, url), asking(url) as wms:
            items = [receipt("tea", "a", 100), receipt("tea", "b", 100)]
            await control(url, "receipts", {"items": items})
            lost = []
            for number in range(1, 21):
                try:
                    await wms.push([push(number, "tea", line("a", 1))])
                except WmsUnavailableError:
                    lost.append(number)
            await control(url, "batch-now")
            behaviour.append((lost, simulator.truth.swaps))

    assert behaviour[0] == behaviour[1] != behaviour[2]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("allocations", b'{"pushes": [{"number": 1, "sku": "tea", "lines": []}]}'),
        ("allocations", b'{"pushes": [{"number": 1, "sku": "tea"}]}'),
        ("sim/receipts", b'{"items": [{"sku": "tea", "quantity": 0}]}'),
        ("sim/damage", b'{"items": [{"sku": "tea", "quantity": -1}]}'),
        ("sim/outage", b"{}"),
    ],
)
async def test_what_makes_no_sense_is_refused(path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with (
        simulated(QUIET) as (simulator, url),
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{url}/{path}", data=body) as response,
    ):
        assert response.status == 400
        assert simulator.truth.received_through == 0


async def test_told_of_no_push_it_says_how_far_it_has_everything() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        assert await wms.push(()) == 0
        await wms.push([push(7, "tea", line("a", 1))])

        assert await wms.push(()) == 7


async def test_numbers_that_do_not_ascend_are_refused() -> None:
    async with simulated(QUIET) as (_, url), asking(url) as wms:
        with pytest.raises(WmsBrokenError, match="it answered 400"):
            await wms.push([push(2, "tea", line("a", 1)), push(1, "tea", line("a", 1))])


async def test_the_command_says_where_it_is_and_stops_when_it_is_asked_to() -> None:
    """N15: a WMS simulator with the batch and the limit, for tests and demonstrations."""
    process = start("--batch-s", "0.05", "--rate", "1000", "--burst", "100", "--seed", "7")
    try:
        assert process.stdout is not None
        said = await asyncio.to_thread(process.stdout.readline)
        name, url, *seed = said.replace(",", "").split()
        assert (name, seed) == ("wms-sim:", ["seed", "7"])

        await control(url, "receipts", {"items": [receipt("tea", "a", 10)]})
        async with asking(url) as wms:
            await wms.push([push(1, "tea", line("a", 3))])
            await until(lambda: _has_applied(wms, 1))
            assert [item.orderable for item in (await wms.page(None)).items] == [7]

        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.communicate()


async def _has_applied(wms: HttpWms, number: int) -> bool:
    return (await wms.page(None)).applied_through >= number


def test_a_port_that_is_taken_is_one_sentence() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        process = start("--port", str(port))
        _, complaint = process.communicate(timeout=30)

    assert process.returncode == 1
    assert complaint == f"allocator: cannot listen on port {port}: Address already in use.\n"


def test_nobody_is_told_at_what_is_no_address() -> None:
    process = start("--webhook-url", "nonsense")
    _, complaint = process.communicate(timeout=30)

    assert process.returncode == 2
    assert complaint == "allocator: --webhook-url: url must look like https://host/path.\n"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "allocator", "wms-sim", *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
