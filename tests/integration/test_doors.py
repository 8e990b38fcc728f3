"""The doors: who may do what, who stands in the journal for it, and how soon somebody is out."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from allocator.config import Config
from allocator.domain.api_keys import ROLES, Role, may
from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.operation import Operation
from allocator.runtime.serving import Running
from allocator.server import running
from tests.integration.described import BY_NAME, Contract
from tests.integration.described_carts import provider
from tests.integration.letting_in import bearing, calling_as, let_in, secret_of, shut_out
from tests.integration.shop import Shop, client, database, opened, until
from tests.integration.test_docs import learn, place_everything
from tests.integration.workers import several, strangers

EVERYBODY: dict[str, Role] = {role: role for role in ROLES}
TRUTH = ("journal", "actors", "warehouses", "products", "pools", "api_keys")
STRANGERS = {
    "nobody": {},
    "another scheme": {"Authorization": f"Basic {secret_of('operator')}"},
    "no scheme": {"Authorization": secret_of("operator")},
    "no secret": {"Authorization": "Bearer"},
    "a part of a secret": bearing(secret_of("operator")[:-1]),
    "another secret": bearing(secret_of("operator")[:-1] + "z"),
    "two secrets": bearing(f"{secret_of('operator')} {secret_of('client')}"),
    "revoked": bearing(secret_of("former")),
}


@asynccontextmanager
async def keyed(database_url: str, *, rate_limit: int = 0) -> AsyncIterator[Running]:
    """A server with a key of each role, and one that was revoked."""
    await let_in(database_url, former="operator", **EVERYBODY)
    await shut_out(database_url, "former")
    async with provider() as payment_url:
        config = Config(
            database_url=database_url, port=0, rate_limit=rate_limit, payment_url=payment_url
        )
        async with running(config) as server:
            yield server


@asynccontextmanager
async def shops(server: Running, *names: str) -> AsyncIterator[list[Shop]]:
    """One shop in the hands of several, of whom the first opened it."""
    async with AsyncExitStack() as stack:
        found = []
        for name in names:
            session = await stack.enter_async_context(calling_as(bearing(secret_of(name))))
            found.append(Shop(server, session))
        await found[0].open()
        yield [found[0].elsewhere(shop) for shop in found]


async def contract_of(server: Running, session: aiohttp.ClientSession) -> Contract:
    async with session.get(f"{server.url}/openapi.json") as response:
        return Contract(session, server.url, await response.read())


async def settled(database_url: str) -> None:
    """Wait until nothing that was begun has anything outstanding."""
    async with database(database_url) as connection:

        async def is_settled() -> bool:
            return not await connection.fetchval(
                "SELECT count(*) FROM actors WHERE kind <> 'pool' AND wake_at IS NOT NULL"
            )

        await until(is_settled)


async def contents(database_url: str) -> dict[str, Sequence[object]]:
    """All that is true, but for when keys were used."""
    async with database(database_url) as connection:
        return {
            table: [
                {name: value for name, value in row.items() if name != "last_used_at"}
                for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY actor_id")
            ]
            if table != "actors"
            else await connection.fetch("SELECT * FROM actors ORDER BY id")
            for table in TRUTH
        }


async def test_a_key_of_one_role_gets_403_for_what_another_may_and_nothing_changes(
    database_url: str,
) -> None:
    tried = 0
    async with keyed(database_url) as server, calling_as(bearing(secret_of("operator"))) as session:
        contract = await contract_of(server, session)
        await place_everything(contract)
        await settled(database_url)
        before = await contents(database_url)
        for operation in OPERATIONS:
            for role in ROLES:
                if not may(role, operation.role):
                    tried += 1
                    said = await contract.ask(
                        operation.name, headers=bearing(secret_of(role)), key="forbidden"
                    )
                    assert (said.status, said.problem) == (403, "forbidden"), operation.name
                    assert said.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
        assert await contents(database_url) == before
    assert tried >= 9


async def test_who_has_no_key_gets_401_wherever_one_is_needed_and_nothing_changes(
    database_url: str,
) -> None:
    async with keyed(database_url) as server, calling_as(bearing(secret_of("operator"))) as session:
        await place_everything(await contract_of(server, session))
        await settled(database_url)
        before = await contents(database_url)
        async with client() as stranger:
            contract = await contract_of(server, stranger)

            async def knock(operation: Operation, who: str) -> None:
                headers = STRANGERS[who]
                said = await contract.ask(operation.name, headers=headers, key="unknown")
                shut = operation.role != "none"
                assert (said.problem == "unauthenticated") == shut, (operation.name, who)
                assert (said.status == 401) == shut
                if shut:
                    assert said.headers["WWW-Authenticate"].startswith("Bearer")

            await asyncio.gather(*(knock(one, who) for one in OPERATIONS for who in STRANGERS))
        assert await contents(database_url) == before


async def test_each_role_may_do_what_is_its_own(database_url: str) -> None:
    async with keyed(database_url) as server, calling_as(bearing(secret_of("operator"))) as session:
        contract = await contract_of(server, session)
        for name in ("put_warehouse", "put_product", "receive_stock", "place_order"):
            said = await contract.ask(name, headers=bearing(secret_of(_weakest(name))))
            assert said.status == 201, name
            learn(BY_NAME[name].answers[0].example, said, contract)
        for operation in OPERATIONS:
            for role in ROLES:
                if may(role, operation.role):
                    said = await contract.ask(
                        operation.name, headers=bearing(secret_of(role)), key=f"{role}'s"
                    )
                    assert said.status not in {401, 403}, (operation.name, role)


def _weakest(name: str) -> Role:
    """The role that may do the least of those that may do this."""
    return next(role for role in ROLES if may(role, BY_NAME[name].role))


async def test_the_key_s_name_stands_in_every_row_of_the_journal(database_url: str) -> None:
    async with (
        keyed(database_url) as server,
        shops(server, "operator", "stock", "client") as (_, depot, shop),
    ):
        assert (await depot.put(f"/warehouses/{shop.warehouse}", {"name": "New"})).status == 200
        body = {"sku": shop.product, "name": "Name", "price": None}
        assert (await depot.post("/products", body)).status == 200
        await depot.received(quantity=9)
        order = await shop.placed()
        keyed_order = await shop.placed(key="k")
        [result, _] = await shop.batch(shop.wanted(), shop.wanted(key="l"))
        assert result.status == 201
        await depot.dispatch(order)
        await shop.cancel(keyed_order)
        kinds = [(event.kind, event.principal) for event in await shop.journal()]
        async with database(database_url) as connection:
            rows = await connection.fetch(
                "SELECT key, seq, principal FROM journal JOIN actors ON id = actor_id "
                "WHERE key IN ($1, $2) ORDER BY key, seq",
                f"warehouse:{shop.warehouse}",
                f"product:{shop.product}",
            )

    assert kinds == [
        ("stock_received", "stock"),
        ("order_placed", "client"),
        ("order_placed", "client"),
        ("order_placed", "client"),
        ("order_placed", "client"),
        ("order_dispatched", "stock"),
        ("order_cancelled", "client"),
    ]
    assert [(row["seq"], row["principal"]) for row in rows] == [
        (1, "operator"),
        (1, "operator"),
        (2, "stock"),
    ]


async def test_the_same_idempotency_key_of_two_callers_is_two_requests(database_url: str) -> None:
    async with (
        keyed(database_url) as server,
        shops(server, "operator", "client") as (owner, shop),
    ):
        await owner.received(quantity=9)
        hers = await owner.placed(key="k", customer="hers")
        his = await shop.placed(key="k", customer="his")

        assert his.id != hers.id
        assert (await owner.placed(key="k", customer="hers")).id == hers.id
        assert (await shop.placed(key="k", customer="his")).id == his.id
        assert (await shop.order(key="k", customer="hers")).problem(422).type.endswith("key-reused")


async def test_until_there_is_a_key_this_machine_needs_none_and_from_then_on_it_does(
    database_url: str,
) -> None:
    async with opened(database_url) as shop:
        await shop.received(quantity=2)
        assert (await shop.journal())[0].principal == ""
        [headers] = (await let_in(database_url, first="client")).values()
        answer = await shop.send("POST", "/orders", shop.wanted(), headers=headers)
        assert answer.status == 201

        async def shut() -> bool:
            return (await shop.order()).status == 401

        await until(shut)
        await shut_out(database_url, "first")

        async def out() -> bool:
            answer = await shop.send("POST", "/orders", shop.wanted(), headers=headers)
            return answer.status == 401

        await until(out)
        assert (await shop.order()).status == 401, "revoking the last key opens nothing"


async def test_a_key_is_known_from_the_moment_it_is_made(database_url: str) -> None:
    async with keyed(database_url) as server, client() as session:
        for number in range(5):
            new: dict[str, Role] = {f"new-{number}": "client"}
            [headers] = (await let_in(database_url, **new)).values()
            async with session.get(f"{server.url}/orders", headers=headers) as response:
                assert response.status == 200


async def test_a_key_has_its_share_of_requests_and_others_theirs(database_url: str) -> None:
    async with (
        keyed(database_url, rate_limit=5) as server,
        calling_as(bearing(secret_of("client"))) as session,
        calling_as(bearing(secret_of("stock"))) as other,
    ):
        statuses, kinds = [], set()
        for _ in range(20):
            async with session.get(f"{server.url}/warehouses") as response:
                statuses.append(response.status)
                kinds.add((response.headers.get("Retry-After"), response.content_type))
        async with other.get(f"{server.url}/warehouses") as response:
            assert response.status == 200

        async def again() -> bool:
            async with session.get(f"{server.url}/warehouses") as response:
                return response.status == 200

        await until(again)
    assert 5 <= statuses.count(200) <= 12
    assert set(statuses) == {200, 429}
    assert kinds == {(None, "application/json"), ("1", "application/problem+json")}


async def test_a_batch_ends_with_its_key(database_url: str) -> None:
    async with keyed(database_url) as server, shops(server, "operator", "client") as (owner, shop):
        await owner.received(quantity=9)
        gone = asyncio.Event()

        async def lines() -> AsyncIterator[bytes]:
            line = shop.wanted()
            yield msgspec.json.encode(line) + b"\n"
            await gone.wait()
            yield msgspec.json.encode(line) + b"\n"

        url = f"{server.url}/orders/batch"
        async with shop.client.post(
            url, data=lines(), headers={"Content-Type": "application/x-ndjson"}
        ) as response:
            first = await response.content.readline()
            await shut_out(database_url, "client")

            async def shut() -> bool:
                return (await shop.get("/orders")).status == 401

            await until(shut)
            gone.set()
            second = await response.content.readline()

    assert b'"status":201' in first
    assert b'"status":401' in second
    assert b"/problems/unauthenticated" in second


async def test_who_is_shut_out_is_told_nothing_more(database_url: str) -> None:
    async with (
        keyed(database_url) as server,
        shops(server, "operator", "client") as (owner, shop),
        shop.client.get(f"{server.url}/events?product={shop.product}") as response,
    ):
        await owner.received(quantity=1)
        assert b"stock_received" in await response.content.readuntil(b"}\n\n")
        await shut_out(database_url, "client")

        async def shut() -> bool:
            return (await shop.get("/orders")).status == 401

        await until(shut)
        await owner.received(quantity=2)
        rest = await response.content.read()

    assert b"stock_received" not in rest


async def test_all_workers_shut_a_revoked_key_out_and_say_who_asked(
    database_url: str, tmp_path: Path
) -> None:
    headers = await let_in(database_url, owner="operator", shop="client")
    async with several("--database-url", database_url, log=tmp_path / "log") as server:
        async with strangers(server, tmp_path / "log") as stranger, client() as session:
            stranger.headers = headers["owner"]
            await stranger.open_shop(**{f"tea-{number}": 9 for number in range(8)})
            stranger.headers = headers["shop"]
            for number in range(8):
                await stranger.placed(f"tea-{number}")  # some of them at the other worker
                await stranger.placed(f"tea-{number}", key=f"k-{number}")
            await shut_out(database_url, "shop")

            async def out() -> bool:
                answers = [await stranger.ask("GET", "/warehouses") for _ in range(10)]
                return {answer.status for answer in answers} == {401}

            await until(out)
            async with session.get(f"{server.url}/healthz") as response:
                assert response.status == 200
        async with database(database_url) as connection:
            rows = await connection.fetch(
                "SELECT kind, principal, count(*) FROM journal WHERE kind IN "
                "('order_placed', 'stock_received') GROUP BY 1, 2 ORDER BY 1"
            )
    assert [tuple(row) for row in rows] == [
        ("order_placed", "shop", 16),
        ("stock_received", "owner", 8),
    ]


async def test_the_last_use_of_a_key_is_remembered(database_url: str) -> None:
    last = "SELECT name, last_used_at IS NOT NULL FROM api_keys ORDER BY name"
    async with (
        keyed(database_url) as server,
        calling_as(bearing(secret_of("stock"))) as session,
        session.get(f"{server.url}/orders") as response,
    ):
        assert response.status == 200
    async with database(database_url) as connection:
        used = {row[0]: row[1] for row in await connection.fetch(last)}

    assert used == {"client": False, "former": False, "operator": False, "stock": True}


@pytest.mark.parametrize("has_key", [False, True])
async def test_others_are_let_near_only_where_there_is_a_key(
    database_url: str, *, has_key: bool
) -> None:
    if has_key:
        await let_in(database_url, owner="operator")
    arguments = ["--database-url", database_url, "--host", "0.0.0.0", "--port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "allocator",
        "serve",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = b""
        while b"server.started" not in said and b"--host 0.0.0.0" not in said:
            line = await process.stdout.readline()
            assert line, said
            said += line
    finally:
        if process.returncode is None and has_key:
            process.terminate()
        code = await process.wait()

    assert (b"server.started" in said) == has_key
    assert (b"allocator keys create --role operator" in said) == (not has_key)
    assert code == (0 if has_key else 2)
