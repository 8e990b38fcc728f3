"""`allocator journal tail`: what happened, in lines that can be read, and on from any of them."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.journal_command import following, journal
from tests.integration.serving import CHECKOUT, serving
from tests.integration.shop import Shop, database, opened, until
from tests.integration.tails import TEA, journal_in, write, write_long_ago

NOBODY = "postgresql://nobody@127.0.0.1:1/none"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest_asyncio.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    async with opened(database_url, projection=False) as shop:
        yield shop


async def test_a_line_says_when_where_what_of_which_thing_and_with_which_key(
    shop: Shop, database_url: str
) -> None:
    stock = await shop.received(quantity=5, lot="B7", expires_at="2050-06-30T00:00:00Z")
    order = await shop.placed(quantity=2, customer="ada", key="ada-1")
    await shop.dispatch(order)
    given_back = await shop.placed(quantity=1)
    await shop.cancel(given_back)

    told = await journal("tail", "--database-url", database_url, "--after", "start")

    assert told.code == 0
    place = f"{shop.product}@{shop.warehouse}"
    expected = [
        f'warehouse {shop.warehouse}  #1  named "Name"',
        f'product {shop.product}  #1  named "Name"',
        f"{place}  #1  received 5, lot B7, expires 2050-06-30T00:00:00.000Z  stock {stock.id}",
        f"{place}  #2  ordered 2 for ada: 2 of #1  order {order.id}  key ada-1",
        f"{place}  #3  dispatched 2: 2 of #1  order {order.id}",
        f"{place}  #4  ordered 1: 1 of #1  order {given_back.id}",
        f"{place}  #5  cancelled 1: 1 of #1  order {given_back.id}",
    ]
    assert [line.split("  ", 1)[1] for line in told.lines] == expected
    assert all(re.match(TIME + "  ", line) for line in told.lines)


async def test_json_has_everything_that_the_row_has(shop: Shop, database_url: str) -> None:
    await shop.received(quantity=5)
    order = await shop.placed(quantity=2, key="ada-1")
    event = (await shop.journal())[-1]

    [told] = (
        await journal("tail", "--database-url", database_url, "--json", "--limit", "1")
    ).objects

    assert re.fullmatch(r"1\.\d+\.\d+\.2", str(told.pop("position")))
    assert datetime.fromisoformat(str(told.pop("at"))) == event.at
    assert told == {
        "warehouse": shop.warehouse,
        "product": shop.product,
        "seq": 2,
        "kind": "order_placed",
        "version": event.version,
        "thing": "order",
        "id": order.id,
        "principal": "",
        "idempotency_key": "ada-1",
        "body": {"quantity": 2, "picks": [[1, 2]]},
    }


async def test_each_filter_leaves_out_what_it_does_not_name(shop: Shop, database_url: str) -> None:
    other = Shop(shop.server, shop.client)
    await other.open()
    moved = Shop(shop.server, shop.client)
    moved.warehouse, moved.product = shop.warehouse, other.product
    for each in (shop, other, moved):
        await each.received(quantity=3)
        await each.placed()
    here, there, between = (f"{each.product}@{each.warehouse}" for each in (shop, other, moved))

    async def places(*flags: str) -> list[str]:
        told = await journal("tail", "--database-url", database_url, "--after", "start", *flags)
        assert told.code == 0, told.errors
        return [" ".join(line.split("  ")[1:3]) for line in told.lines]

    assert await places("--product", shop.product) == [
        f"product {shop.product} #1",
        f"{here} #1",
        f"{here} #2",
    ]
    assert await places("--warehouse", shop.warehouse, "--kind", "order_placed") == [
        f"{here} #2",
        f"{between} #2",
    ]
    assert await places("--warehouse", other.warehouse, "--product", other.product) == [
        f"{there} #1",
        f"{there} #2",
    ]
    assert await places("--kind", "order_placed", "--kind", "product_put") == [
        f"product {shop.product} #1",
        f"product {other.product} #1",
        f"{here} #2",
        f"{there} #2",
        f"{between} #2",
    ]


async def test_since_begins_at_a_time_or_so_long_ago(database_url: str) -> None:
    now = datetime.now(UTC)
    async with journal_in(database_url), database(database_url) as writer:
        for seq, minutes in enumerate((300, 200, 100, 50, 10), start=1):
            at = now - timedelta(minutes=minutes)
            await write(writer, (TEA, seq), at_ms=int(at.timestamp() * 1000))

    async def seqs(since: str) -> list[object]:
        told = await journal("tail", "--database-url", database_url, "--json", "--since", since)
        assert told.code == 0, told.errors
        return [each["seq"] for each in told.objects]

    assert await seqs("110m") == [3, 4, 5]
    assert await seqs("1h") == [4, 5]
    assert await seqs("30d") == [1, 2, 3, 4, 5]
    at = now - timedelta(minutes=199)
    assert await seqs(at.isoformat()) == [3, 4, 5]
    assert await seqs(at.astimezone(UTC).isoformat().replace("+00:00", "Z")) == [3, 4, 5]


async def test_without_a_beginning_it_shows_the_last_twenty_or_so_many(
    database_url: str,
) -> None:
    async with journal_in(database_url), database(database_url) as writer:
        await write(writer, *((TEA, seq) for seq in range(1, 31)))

    shown = await journal("tail", "--database-url", database_url)
    three = await journal("tail", "--database-url", database_url, "--limit", "3")

    assert [line.split("  ")[2] for line in shown.lines] == [f"#{n}" for n in range(11, 31)]
    assert [line.split("  ")[2] for line in three.lines] == ["#28", "#29", "#30"]


async def test_it_says_how_to_go_on_and_nothing_is_shown_twice_or_left_out(
    database_url: str,
) -> None:
    await _two_eras(database_url)
    shown, after = [], "start"
    for _ in range(5):
        told = await journal(
            "tail", "--database-url", database_url, "--json", "--after", after, "--limit", "2"
        )
        shown += [(each["position"], each["seq"]) for each in told.objects]
        after = told.goes_on

    assert [seq for _, seq in shown] == [1, 2, 3, 4, 5, 6]
    assert [str(position).split(".")[0] for position, _ in shown] == ["1"] * 3 + ["2"] * 3
    assert after == shown[-1][0]


async def _two_eras(database_url: str) -> None:
    """Have six rows, of which three were written in another cluster, in later transactions."""
    async with journal_in(database_url), database(database_url) as writer:
        await writer.execute("UPDATE installation SET era = 2")
        for seq in (1, 2, 3):
            await write_long_ago(database_url, (TEA, seq), era=1, xid=(1 << 40) + seq)
        for seq in (4, 5, 6):
            await write(writer, (TEA, seq), era=2)


async def test_following_shows_what_a_server_does_as_it_does_it(
    shop: Shop, database_url: str
) -> None:
    await shop.received(quantity=50)
    async with following(
        "--database-url", database_url, "--warehouse", shop.warehouse, "--kind", "order_placed",
        "--after", "start", "--json",
    ) as tail:  # fmt: skip
        orders = [await shop.placed(customer=str(number)) for number in range(20)]
        shown = [await tail.line() for _ in orders]
        late = await shop.placed()
        shown.append(await tail.line())
        ended = await tail.interrupt()

        assert [
            f'"id":"{order.id}"' in line for order, line in zip([*orders, late], shown, strict=True)
        ]
        assert (ended.code, ended.lines) == (130, [])
        told = await journal("tail", "--database-url", database_url, "--after", ended.goes_on)
        assert told.lines == []


async def test_following_with_a_limit_shows_so_many_of_what_comes(
    shop: Shop, database_url: str
) -> None:
    await shop.received(quantity=50)
    async with following("--database-url", database_url, "--limit", "2") as tail:
        await _looks_around(database_url)
        orders = [await shop.placed() for _ in range(3)]

        assert [orders[n].id in await tail.line() for n in range(2)] == [True, True]
        assert await tail.line() == ""


async def _looks_around(database_url: str) -> None:
    """Wait until somebody has read all there is, and looks for more."""
    async with database(database_url) as looking:
        sql = """
        SELECT count(*) FROM pg_stat_activity WHERE application_name = 'allocator journal'
        AND datname = current_database() AND query LIKE '%pg_prepared_xacts%'
        """

        async def looks() -> bool:
            return bool(await looking.fetchval(sql))

        await until(looks)


async def test_a_transaction_that_holds_the_tail_back_is_named(
    shop: Shop, database_url: str
) -> None:
    await shop.received(quantity=50)
    async with (
        following("--database-url", database_url, "--limit", "1") as tail,
        database(database_url) as sleeper,
    ):
        await _looks_around(database_url)
        async with sleeper.transaction():
            await sleeper.execute("SET application_name = 'a report'")
            await sleeper.execute("SELECT pg_current_xact_id()")
            pid = await sleeper.fetchval("SELECT pg_backend_pid()")
            order = await shop.placed()
            warning = await tail.warning()

            assert f"1 row is held back by process {pid} (a report, role postgres, " in warning
            assert "idle in transaction, for " in warning
            assert f"SELECT pg_terminate_backend({pid}) ends it" in warning
        assert order.id in await tail.line()


async def test_following_outlives_the_connection(shop: Shop, database_url: str) -> None:
    await shop.received(quantity=50)
    async with (
        following("--database-url", database_url) as tail,
        database(database_url) as looking,
    ):
        for _ in range(3):
            await tail.line()
        await looking.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'allocator journal' AND datname = current_database()"
        )
        assert "trying again" in await tail.warning()
        order = await shop.placed()

        assert order.id in await tail.line()


@pytest.mark.parametrize(
    ("flags", "read"),
    [(["--after", "start"], 1), (["--follow"], 1), ([], 0)],
    ids=["amid many lines", "while it waits", "before the first line"],
)
async def test_whoever_stops_reading_ends_it_quietly(
    database_url: str, flags: list[str], read: int
) -> None:
    async with journal_in(database_url), database(database_url) as writer:
        await write(writer, *((TEA, seq) for seq in range(1, 5_001)))
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f'"$@" | head -n {read}; echo "${{PIPESTATUS[0]}}"', "bash"),
        *(sys.executable, "-m", "allocator", "journal", "tail", "--database-url", database_url),
        *flags,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        said, complained = await process.communicate()

    assert [*said.decode().splitlines()[read:], complained] == ["0", b""]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--kind", "order_lost"], "there is no kind 'order_lost'; there are stock_received, "),
        (["--since", "yesterday"], "'yesterday' is not a time: write 2026-11-21T04:58:10Z"),
        (["--since", "2026-11-21T04:58:10"], "is not a time"),
        (["--after", "7"], "'7' is not a position, like 1.7482.27136.5"),
        (["--limit", "0"], "0 is not in the range"),
        (["--data-dir", "somewhere"], "--data-dir and --database-url exclude each other"),
        (["--database-url", "mysql://db/x"], "--database-url must look like"),
        (["here"], "unexpected extra argument (here)"),
    ],
)
async def test_a_mistake_is_one_sentence_that_says_what_would_be_right(
    flags: list[str], sentence: str
) -> None:
    told = await journal("tail", "--database-url", NOBODY, *flags)

    assert (told.code, told.lines) == (2, [])
    assert sentence in told.errors
    assert told.errors.startswith("allocator: ")
    assert told.errors.count("\n") == 1


async def test_names_that_do_not_exist_are_refused(database_url: str) -> None:
    async with journal_in(database_url):
        pass
    product = await journal("tail", "--database-url", database_url, "--product", "tee")
    warehouse = await journal("tail", "--database-url", database_url, "--warehouse", "mein")

    assert (product.code, warehouse.code) == (2, 2)
    assert product.errors == "allocator: there is no product 'tee' in this database.\n"
    assert warehouse.errors == "allocator: there is no warehouse 'mein' in this database.\n"


async def test_a_database_that_does_not_answer_or_was_never_used_is_said(
    database_url: str,
) -> None:
    away = await journal("tail", "--database-url", NOBODY)
    empty = await journal("tail", "--database-url", database_url)

    assert (away.code, empty.code) == (1, 2)
    assert away.errors.startswith("allocator: cannot connect to PostgreSQL")
    assert empty.errors.startswith("allocator: nothing is stored in this database yet")


async def test_a_data_directory_is_read_beside_its_server_and_without_it(
    reachable_dir: Path, tmp_path: Path
) -> None:
    data = str(reachable_dir / "data")
    async with serving("--data-dir", data, log=tmp_path / "log") as server:
        await server.open_shop(tea=5)
        order = await server.placed("tea")
        beside = await journal("tail", "--data-dir", data)
        async with following("--data-dir", data) as tail:
            for _ in range(4):
                await tail.line()
            await server.placed("tea")
            assert "#3" in await tail.line()
        assert await server.terminate() == 0

    without = await journal("tail", "--data-dir", data)
    waiting = await journal("tail", "--data-dir", data, "--follow")

    assert (beside.code, without.code) == (0, 0), (beside.errors, without.errors)
    assert order.id in beside.lines[-1]
    assert without.lines[:-1] == beside.lines
    assert waiting.code == 2
    assert "start `allocator serve` first, or leave --follow out" in waiting.errors
    assert not (reachable_dir / "data" / "cluster" / "postmaster.pid").exists()


async def test_a_data_directory_without_data_is_refused_and_not_made(tmp_path: Path) -> None:
    told = await journal("tail", "--data-dir", str(tmp_path / "typo"))

    assert told.code == 2
    assert f"there is no data in {tmp_path / 'typo'}" in told.errors
    assert not (tmp_path / "typo").exists()
