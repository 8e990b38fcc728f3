"""`allocator feeds`: what operators type, and what they read."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec
import pytest
import pytest_asyncio

from allocator.client.answers import RefusedError
from allocator.client.feeds import (
    Desk,
    run_add,
    run_dry,
    run_list,
    run_poll,
    run_reconciliations,
    run_remove,
    run_show,
)
from allocator.client.patience import NoAnswerError
from allocator.http.feed_shapes import PutFeedBody, ShownFeed, ShownReconciliation
from tests.integration.providers import free_port
from tests.integration.serving import CHECKOUT
from tests.integration.shop import Shop, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by
from tests.integration.wms import control

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def told(fed: Fed, run: Callable[[Desk], int], *, as_json: bool = False) -> list[str]:
    """Return what a command says; its client has a thread, and a loop, of its own."""
    lines: list[str] = []
    desk = Desk(
        server=fed.shop.url,
        key=None,
        patience_s=20,
        say=lines.append,
        warn=lines.append,
        as_json=as_json,
    )
    assert await asyncio.to_thread(run, desk) == 0
    return lines


def on(warehouse: str, run: Callable[[str, Desk], int]) -> Callable[[Desk], int]:
    return lambda desk: run(warehouse, desk)


def body_of(fed: Fed, **members: float) -> PutFeedBody:
    return msgspec.convert(
        {"url": fed.url, "poll_s": 0.2, "rate_per_s": 400.0} | members, PutFeedBody
    )


async def test_a_feed_is_added_shown_listed_and_removed(fed: Fed) -> None:
    warehouse = fed.shop.warehouse
    fed.wms.truth.receive((fed.shop.product, "L7"), 10)
    [added] = await told(fed, lambda desk: run_add(warehouse, body_of(fed), desk))
    await fed.heard()
    shown = await told(fed, on(warehouse, run_show))
    [row] = [line for line in await told(fed, run_list) if line.startswith(warehouse)]
    [polled] = await told(fed, on(warehouse, run_poll))
    [removed] = await told(fed, on(warehouse, run_remove))
    [left] = [line for line in await told(fed, run_list) if line.startswith(warehouse)]

    assert added == (
        f"{warehouse} is fed from now on by {fed.url}: polled every 0.2 s, "
        "asked 400 times a second at most"
    )
    assert said(shown, "heard").startswith("1 batch, ")
    assert said(shown, "told") == "up to push 0 of 0; its figures are up to 0"
    assert said(shown, "waiting") == "nothing"
    assert said(shown, "shortfall") == "none"
    assert re.fullmatch(rf"{warehouse}  on +{fed.url}  \S+Z +0 +0", row)
    assert polled == f"{warehouse}: its WMS is asked as soon as its limit allows"
    assert "about to be fed no longer" in removed
    assert left.split()[1] == "deleted"


async def test_a_feed_that_is_added_again_is_fed_as_said_last(fed: Fed) -> None:
    warehouse = fed.shop.warehouse
    await told(fed, lambda desk: run_add(warehouse, body_of(fed), desk))
    [again] = await told(fed, lambda desk: run_add(warehouse, body_of(fed, burst=7), desk))

    assert again.startswith(f"{warehouse} is fed by {fed.url}: ")
    assert again.endswith(", 7 at once after a quiet time")


async def test_programs_read_what_the_server_says(fed: Fed) -> None:
    await fed.begun(3)
    [shown] = await told(fed, on(fed.shop.warehouse, run_show), as_json=True)
    listed = [
        msgspec.json.decode(line, type=ShownFeed)
        for line in await told(fed, run_list, as_json=True)
    ]

    assert msgspec.json.decode(shown, type=ShownFeed).url == fed.url
    assert fed.shop.warehouse in {each.warehouse for each in listed}


async def test_what_was_counted_otherwise_is_listed_with_an_explanation(fed: Fed) -> None:
    warehouse, product = fed.shop.warehouse, fed.shop.product
    await fed.begun(3)
    fed.wms.truth.receive((product, None), 2)
    await fed.heard()
    lines = await told(
        fed, lambda desk: run_reconciliations(warehouse, desk, product=None, limit=10)
    )
    [newest] = await told(
        fed,
        lambda desk: run_reconciliations(warehouse, desk, product=product, limit=1),
        as_json=True,
    )

    assert [line.partition("Z  ")[2] for line in lines] == [
        f"{product}, no batch: the WMS says 2 orderable; we counted 0: 2 more are available",
        f"{product}, batch L7: the WMS says 3 orderable; we counted 0: 3 more are available",
    ]
    assert msgspec.json.decode(newest, type=ShownReconciliation).change == 2


async def test_what_would_change_is_shown_before_it_does(fed: Fed) -> None:
    warehouse, product = fed.shop.warehouse, fed.shop.product
    await fed.begun(3)
    await fed.put(poll_s=0)
    fed.wms.truth.damage((product, "L7"), 2)
    *changes, summary = await told(fed, on(warehouse, run_dry))

    assert changes == [
        f"{product}, batch L7: the WMS says 1 orderable; we counted 3: 2 fewer are available"
    ]
    assert summary.startswith("1 batch, as of ")
    assert summary.endswith(": 1 differs; 0 more units, 2 fewer, 0 missing. Nothing has changed")
    assert await fed.available() == 3


async def test_trouble_is_told(fed: Fed) -> None:
    await fed.begun(3)
    await control(fed.url, "outage", {"seconds": 3_600})
    lines: list[str] = []

    async def is_told() -> bool:
        lines[:] = await told(fed, on(fed.shop.warehouse, run_show))
        return any(line.startswith("trouble ") for line in lines)

    await until(is_told)

    assert "in vain: " in said(lines, "trouble")
    assert "Z" in said(lines, "next poll")


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (run_show, "the server says 404"),
        (run_poll, "the server says 404"),
        (run_remove, "the server says 404"),
        (lambda w, desk: run_add(w, PutFeedBody(url="ftp://x"), desk), "the server says 422"),
    ],
)
async def test_what_the_server_refuses_is_said_with_its_reason(
    fed: Fed, run: Callable[[str, Desk], int], why: str
) -> None:
    with pytest.raises(RefusedError, match=f"{fed.shop.warehouse}: {why}: "):
        await told(fed, on(fed.shop.warehouse, run))


async def test_a_server_that_is_away_is_said_to_be() -> None:
    warned: list[str] = []
    desk = Desk(
        server=f"http://127.0.0.1:{free_port()}",
        key=None,
        patience_s=0.1,
        say=warned.append,
        warn=warned.append,
    )

    with pytest.raises(NoAnswerError, match="GET /wms/feeds"):
        await asyncio.to_thread(run_list, desk)

    assert warned
    assert all("no answer yet" in line for line in warned)


async def test_the_command_does_all_that_by_its_flags(fed: Fed) -> None:
    warehouse, server = fed.shop.warehouse, ("--server", fed.shop.url)
    added = await asyncio.to_thread(
        command,
        *("add", warehouse, "--url", fed.url, "--poll-s", "0.5", "--rate-per-s", "2.5"),
        *("--burst", "3", "--excludes", "expired, damaged", *server),
    )
    shown = await fed.shown()
    wrong = await asyncio.to_thread(command, "show", "nowhere", *server)

    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout.startswith(f"{warehouse} is fed from now on by {fed.url}: polled every 0.5")
    assert (shown.poll_s, shown.rate_per_s, shown.burst) == (0.5, 2.5, 3)
    assert shown.excludes == ("damaged", "expired")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("allocator: nowhere: the server says 404: ")


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the real command."""
    return subprocess.run(
        [sys.executable, "-m", "allocator", "feeds", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def said(lines: Sequence[str], name: str) -> str:
    """What a line says that begins with this word."""
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    return line[len(name) :].strip()
