"""Shops from files, into servers that know nothing, something, or other things."""

import asyncio
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from allocator.client.answers import RefusedError
from allocator.errors import AllocatorError
from allocator.fixtures import shelves
from allocator.fixtures.command import run_seed
from tests.integration.api_shapes import Balance, Order
from tests.integration.letting_in import let_in, secret_of
from tests.integration.serving import CHECKOUT
from tests.integration.shop import Shop, client, opened, until
from tests.integration.test_readme import README
from tests.integration.test_replay_server import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


class File:
    """A file of a test's own: names that nobody else has, one bin, one website.

    Attributes:
        said: The report of the last run, also of one that failed.
        warned: What was said of a server that does not answer.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "shop.toml"
        self.said: list[str] = []
        self.warned: list[str] = []
        self.tag = secrets.token_hex(4)
        self.warehouse = f"w-{self.tag}"
        self.bin = f"bin-{self.tag}"
        self.website = f"website-{self.tag}"
        self.tea = f"tea-{self.tag}"
        self.mug = f"mug-{self.tag}"
        self.text = (
            f'name = "shop-{self.tag}"\n'
            f'[[warehouses]]\ncode = "{self.warehouse}"\nname = "Main street"\n'
            f'[[locations]]\ncode = "{self.bin}"\nwarehouse = "{self.warehouse}"\n'
            f'[[locations]]\ncode = "{self.website}"\nwarehouse = "{self.warehouse}"\n'
            "single_product = false\n"
            f'[[products]]\nsku = "{self.tea}"\nname = "Earl Grey"\n'
            'price = { amount = 480, currency = "EUR" }\n'
            f'[[products]]\nsku = "{self.mug}"\nname = "Mug"\n'
        )
        self.stock(self.tea, self.bin, "quantity = 10\nlot = 'B7'")
        self.stock(self.tea, self.website, "quantity = 4\nexpires_at = 2050-06-30T00:00:00Z")
        self.stock(self.mug, self.website, "quantity = 3\nreference = 'PO 7'")

    def stock(self, product: str, place: str, rest: str) -> None:
        """Write one more entry."""
        self.text += f'[[stocks]]\nproduct = "{product}"\nwarehouse = "{place}"\n{rest}\n'

    def change(self, old: str, new: str) -> None:
        """Write something differently."""
        assert self.text.count(old) == 1, self.text
        self.text = self.text.replace(old, new)

    async def into(
        self, url: str, *, key: str | None = None, clients: int = 4, patience_s: float = 20
    ) -> list[str]:
        """Seed it, in a thread that may have a loop of its own; returns the report."""
        self.path.write_text(self.text)
        self.said.clear()
        code = await asyncio.to_thread(
            run_seed,
            source=str(self.path),
            url=url,
            say=self.said.append,
            warn=self.warned.append,
            key=key,
            clients=clients,
            patience_s=patience_s,
        )
        assert code == 0
        return self.said[1:]


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path)


async def balance(shop: Shop, place: str, product: str) -> tuple[int, int]:
    """What is available, and of which version that is."""
    found = (await shop.get(f"/stock-balances/{place}/{product}")).read(Balance)
    return found.available, found.version


class Level(msgspec.Struct):
    """What there is of a product at a place."""

    product: str
    available: int


CREATED = [
    "warehouses  1 created",
    "locations   2 created",
    "products    2 created",
    "stocks      3 created",
]
THERE = [line.replace("created", "already there") for line in CREATED]


async def test_everything_is_there_after_one_run_and_not_twice_after_two(
    shop: Shop, file: File
) -> None:
    """O6: a fixtures command populates."""
    assert await file.into(shop.url) == CREATED
    assert await file.into(shop.url) == THERE

    assert await balance(shop, file.bin, file.tea) == (10, 1)
    assert await balance(shop, file.website, file.tea) == (4, 1)
    assert await balance(shop, file.website, file.mug) == (3, 1)
    assert b'"single_product":true' in (await shop.get(f"/locations/{file.bin}")).body
    assert b'"amount":480' in (await shop.get(f"/products/{file.tea}")).body


async def test_stock_that_has_been_sold_does_not_come_again(shop: Shop, file: File) -> None:
    await file.into(shop.url)
    body = {"product": file.mug, "warehouse": file.website, "quantity": 3}
    order = (await shop.post("/orders", body)).read(Order, status=201)
    await shop.dispatch(order)

    assert await file.into(shop.url) == THERE
    assert (await balance(shop, file.website, file.mug))[0] == 0


async def test_what_is_new_in_the_file_is_added(shop: Shop, file: File) -> None:
    await file.into(shop.url)
    file.stock(file.tea, file.bin, "quantity = 5")
    file.stock(file.tea, file.bin, "quantity = 5")

    assert (await file.into(shop.url))[3] == "stocks      2 created, 3 already there"
    assert await balance(shop, file.bin, file.tea) == (20, 3)


async def test_lots_of_a_place_come_in_as_the_file_has_them(shop: Shop, file: File) -> None:
    for number in range(5):
        file.stock(file.mug, file.website, f"lot = 'L{number}'")
    await file.into(shop.url)

    history = await shop.get(f"/journal?warehouse={file.website}&product={file.mug}")
    lots = re.findall(rb'"lot":"(L\d)"', history.body)
    assert lots == [b"L0", b"L1", b"L2", b"L3", b"L4"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("quantity = 10", "quantity = 11"), ("lot = 'B7'", "lot = 'B8'"), ("lot = 'B7'\n", "")],
)
async def test_stock_that_is_written_differently_afterwards_is_refused(
    shop: Shop, file: File, old: str, new: str
) -> None:
    await file.into(shop.url)
    file.change(old, new)

    with pytest.raises(RefusedError) as refused:
        await file.into(shop.url)

    assert str(refused.value).startswith(
        f"[[stocks]] 1 on line 19 ({file.tea} at {file.bin}): this came in before with other"
    )
    assert await balance(shop, file.bin, file.tea) == (10, 1)


async def test_it_is_refused_by_its_key_where_the_history_is_too_long_to_read(
    shop: Shop, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    await file.into(shop.url)
    monkeypatch.setattr(shelves, "PAGES_MAX", 0)
    assert (await file.into(shop.url))[3] == "stocks      3 created"
    file.change("quantity = 10", "quantity = 11")

    with pytest.raises(RefusedError, match="this came in before with other contents"):
        await file.into(shop.url)

    assert await balance(shop, file.bin, file.tea) == (10, 1)


async def test_what_came_in_is_found_on_any_page_of_the_history(
    shop: Shop, file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    await file.into(shop.url)
    monkeypatch.setattr(shelves, "PAGE", 1)
    for number in range(3):
        file.stock(file.mug, file.website, f"quantity = {number + 1}")
    await file.into(shop.url)

    assert (await file.into(shop.url))[3] == "stocks      6 already there"


async def test_names_and_prices_become_what_the_file_says(shop: Shop, file: File) -> None:
    await file.into(shop.url)
    file.change("480", "520")
    file.change("Main street", "Side street")

    report = await file.into(shop.url)

    assert report[0] == "warehouses  1 changed"
    assert report[2] == "products    1 changed, 1 already there"
    assert report[4] == f"changed     {file.tea}, {file.warehouse}"
    assert b'"amount":520' in (await shop.get(f"/products/{file.tea}")).body


async def test_a_place_that_is_something_else_is_refused_with_the_reason(
    shop: Shop, file: File
) -> None:
    await shop.put(f"/warehouses/{file.bin}", {"name": "No bin"})

    with pytest.raises(RefusedError) as refused:
        await file.into(shop.url, clients=1)

    assert str(refused.value) == (
        f"[[locations]] 1 on line 5 ({file.bin}): the server says 409: {file.bin} is a warehouse"
    )
    assert file.said[1:] == [CREATED[0], "locations   none", "products    none", "stocks      none"]


async def test_a_location_that_holds_another_product_is_refused_with_the_reason(
    shop: Shop, file: File
) -> None:
    await file.into(shop.url)
    again = File(file.path.parent)
    again.text = file.text.replace(f'name = "shop-{file.tag}"', 'name = "other"').replace(
        f'product = "{file.tea}"\nwarehouse = "{file.bin}"',
        f'product = "{file.mug}"\nwarehouse = "{file.bin}"',
    )

    with pytest.raises(RefusedError, match=rf"\({file.mug} at {file.bin}\): the server says 409"):
        await again.into(shop.url)

    assert await balance(shop, file.bin, file.mug) == (0, 1)


async def asks_for_keys(shop: Shop) -> bool:
    """Whether the server knows that there are any."""
    return (await shop.get("/products")).status == 401


async def test_another_api_key_brings_no_stock_again(database_url: str, file: File) -> None:
    async with opened(database_url) as shop:
        await file.into(shop.url)
        await let_in(database_url, ada="operator")
        await until(partial(asks_for_keys, shop))
        report = await file.into(shop.url, key=secret_of("ada"))

    assert report == THERE


async def test_a_key_that_may_not_is_told_so(database_url: str, file: File) -> None:
    async with opened(database_url) as shop:
        await let_in(database_url, till="client")
        await until(partial(asks_for_keys, shop))

        with pytest.raises(RefusedError, match=r"\[\[warehouses\]\] 1 .* the server says 403: "):
            await file.into(shop.url, key=secret_of("till"))


@asynccontextmanager
async def answering(journal: str) -> AsyncIterator[str]:
    """A server that takes every name and has one history for everything; yields its address."""

    async def put(_request: web.Request) -> web.Response:
        return web.Response(status=201)

    async def history(_request: web.Request) -> web.Response:
        return web.Response(text=journal)

    app = web.Application()
    app.add_routes([web.put("/{path:.*}", put), web.get("/journal", history)])
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        ('{"items": [], "next_after": null, "pruned_up_to": 7}', "nobody can tell whether this"),
        ('{"rows": []}', "the server's answer 200 is not as agreed"),
    ],
)
async def test_no_stock_is_received_where_the_history_does_not_say_enough(
    file: File, journal: str, why: str
) -> None:
    async with answering(journal) as url:
        with pytest.raises(RefusedError, match=why):
            # One at a time: who is told of the first refusal hangs up while others are connecting,
            # and this server would close without them.
            await file.into(url, clients=1)

    assert file.said[-1] == "stocks      none"


async def test_a_server_that_stays_away_ends_it_when_the_patience_does(file: File) -> None:
    with pytest.raises(AllocatorError, match=r"GET /warehouses/.* went unanswered for 0\.1 s"):
        await file.into("http://127.0.0.1:1", patience_s=0.1)

    assert file.warned == ["no answer yet (connection refused); repeating"]


async def available(url: str, place: str, product: str) -> int:
    """What is available according to a server that may not be there; then 0."""
    path = f"{url}/stock-balances/{place}/{product}"
    try:
        async with client() as session, session.get(path) as answer:
            found = msgspec.json.decode(await answer.read()) if answer.status == 200 else {}
    except aiohttp.ClientError:
        return 0
    return int(found.get("available", 0))


async def test_a_crash_in_the_middle_doubles_nothing(
    database_url: str, file: File, tmp_path: Path
) -> None:
    for _ in range(300):
        file.stock(file.mug, file.website, "quantity = 2")
    async with serving(database_url, tmp_path) as server:

        async def half_there() -> bool:
            return await available(server.url, file.website, file.mug) > 100

        seeding = asyncio.ensure_future(file.into(server.url, patience_s=60))
        await until(half_there)
        server.crash()
        assert not seeding.done()
        server.restart()

        assert (await seeding)[3] == "stocks      303 created"
        assert (await file.into(server.url))[3] == "stocks      303 already there"
        assert await available(server.url, file.website, file.mug) == 603


async def allocator(*arguments: str) -> tuple[int, str, str]:
    """Run the command as it is typed; returns its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "allocator", *arguments),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def test_the_demo_is_a_shop_that_sells_and_says_what_is_documented(
    database_url: str,
) -> None:
    """O6, O7: everything on the website can be ordered."""
    page = (CHECKOUT / "docs" / "fixtures.md").read_text("utf-8")
    [shown] = re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    reports = shown.split("$ allocator seed demo\n")[1:]
    assert f"$ .venv/bin/allocator seed demo\n{reports[0]}```" in README
    async with opened(database_url) as shop:
        for report in reports:
            done = await allocator("seed", "demo", "--url", shop.url)
            assert done == (0, report.replace("http://127.0.0.1:8080", shop.url), "")

        await shop.projected()
        there = await shop.all_of(Level, "/stock-balances", warehouse="website")
        for level in there:
            body = {"product": level.product, "warehouse": "website", "quantity": level.available}
            assert (await shop.post("/orders", body)).status == 201

    assert len(there) == 8


async def test_the_exit_code_says_whether_anything_was_sent(shop: Shop, file: File) -> None:
    file.change(f'sku = "{file.mug}"', 'sku = "no sku"')
    file.path.write_text(file.text)
    wrong = await allocator("seed", str(file.path), "--url", shop.url)
    away = await allocator("seed", "demo", "--url", "http://127.0.0.1:1", "--patience-s", "0")

    assert (wrong[0], wrong[1]) == (2, "")
    assert wrong[2].startswith(f"allocator: {file.path}: [[products]] 2 on line 16: sku: it takes")
    assert away[0] == 1
    assert "locations   none" in away[1]
    assert away[2].endswith("went unanswered for 0 s (connection refused).\n")
