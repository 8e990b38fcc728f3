"""What the server says about itself is what it does: every route, every example, every problem."""

import asyncio
import gzip
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from uuid import UUID

import aiohttp
import asyncpg
import msgspec
from aiohttp import web

from allocator.config import Config
from allocator.domain.transfers import LOTS_MAX
from allocator.http.app import make_app
from allocator.http.reference.everything import OPERATIONS
from allocator.http.reference.examples import ORDER_ID
from allocator.http.reference.operation import KEY
from allocator.http.reference.problem_types import PROBLEM_TYPES
from allocator.http.reference.values import example_of, path_parameters
from allocator.http.reference.webhooks import LETTER_ID
from allocator.http.statistics import HttpStatistics
from allocator.server import running
from allocator.wms.simulator_nature import Nature
from tests.integration.described import BY_NAME, Contract, Said, settled
from tests.integration.described_carts import (
    decided,
    of_another,
    provider,
    provoke_refused_carts,
)
from tests.integration.shop import until
from tests.integration.wms import NEVER_S, simulated

BODY_MAX = 1_024
NOWHERE = "00000000-0000-8000-8000-000000000000"

UNPROVOKED = {"overloaded", "try-again", "history-pruned", "internal", "cart-changed"}
"""Problems that no request is at fault for, in a shop that has just been opened."""

NEEDS_DATABASE = [one.name for one in OPERATIONS if "try-again" in one.problems]


@asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[Contract]:
    """A client of a running server, that knows its document."""
    async with AsyncExitStack() as stack:
        payment_url = await stack.enter_async_context(provider())
        config = Config(
            database_url=database_url,
            port=0,
            body_max_bytes=BODY_MAX,
            webhook_attempts=1,
            carts_max=1,
            payment_url=payment_url,
        )
        server = await stack.enter_async_context(running(config))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with session.get(f"{server.url}/openapi.json") as response:
            document = await response.read()
        yield Contract(session, server.url, document)


async def place_everything(contract: Contract) -> None:
    """Have the warehouse, the product, the stock, the order and so on of the examples."""
    placing = ("put_warehouse", "put_product", "receive_stock", "place_order")
    others = ("open_ticket_option", "put_location", "move_stock", "open_cart")
    for name in (*placing, *others, "put_cart_line", "check_out"):
        said = await contract.ask(name)
        learn(BY_NAME[name].answers[0].example, said, contract)
    await decided(contract)


def learn(example: object, said: Said, contract: Contract) -> None:
    """Compare an answer with its example; ids of the example stand for the answer's from now."""
    expected: object = msgspec.json.decode(msgspec.json.encode(example))
    compare(expected, said.json(), ids=contract.ids)


def compare(expected: object, actual: object, *, ids: dict[str, str]) -> None:
    """Find both alike, but for times and for what ids are in particular."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        assert list(expected) == list(actual)
        for name, value in expected.items():
            compare(value, actual[name], ids=ids)
    elif isinstance(expected, list) and isinstance(actual, list):
        assert len(expected) == len(actual)
        for one, other in zip(expected, actual, strict=True):
            compare(one, other, ids=ids)
    elif is_id(expected):
        assert is_id(actual)
        assert ids.setdefault(str(expected), str(actual)) == actual
    elif is_time(expected):
        assert is_time(actual)
    else:
        assert expected == actual


def is_id(value: object) -> bool:
    return (
        isinstance(value, str)
        and bool(re.fullmatch(r"[0-9a-f-]{36}", value))
        and UUID(value).version == 8
    )


def is_time(value: object) -> bool:
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\dT", value):
        return False
    return datetime.fromisoformat(value).utcoffset() is not None


async def test_every_route_is_described_and_every_described_route_is_served(
    database_url: str,
) -> None:
    async with running(Config(database_url=database_url, port=0)) as server:
        app = make_app(
            server.context,
            statistics=HttpStatistics(),
            body_max_bytes=BODY_MAX,
            slow_request_ms=1_000,
        )
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.method != "*" and isinstance(route.resource, web.Resource)
    }
    described = {(one.method, one.path) for one in OPERATIONS}
    heads = {("HEAD", one.path) for one in OPERATIONS if one.method == "GET"}

    assert served == described | heads


async def test_the_document_lists_what_the_reference_tells(database_url: str) -> None:
    async with serving(database_url) as contract:
        document = (await contract.ask("get_openapi")).json()
    assert isinstance(document, dict)
    listed = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "put", "post", "delete", "patch"}
    }

    assert listed == {(one.method, one.path) for one in OPERATIONS}


async def test_other_methods_are_refused_with_those_that_are_described(database_url: str) -> None:
    async with serving(database_url) as contract:
        for operation in OPERATIONS:
            said = await contract.patch(operation.name)

            assert said.status == 405
            assert f"`Allow: {said.headers['Allow']}`" in contract.description(operation.path)


async def test_what_the_examples_ask_is_answered_as_they_say(database_url: str) -> None:
    told = [
        *("put_warehouse", "post_warehouse", "get_warehouse", "list_warehouses"),
        *("put_product", "post_product", "get_product", "list_products", "put_webhook"),
        *("receive_stock", "place_order", "get_order", "get_stock"),
        *("get_stock_balance", "list_journal", "listen"),
        *("list_orders", "list_stocks", "list_stock_balances"),
        *("place_orders", "dispatch_order", "cancel_order"),
        *("adjust_stock", "set_state", "list_adjustments"),
        *("put_location", "move_stock", "get_move", "list_moves"),
        *("get_location", "list_locations"),
        *("open_ticket_option", "get_ticket_option", "purchase_tickets", "list_purchases"),
        *("open_cart", "put_cart_line", "get_cart", "check_out", "get_checkout"),
        *("list_paid_purchases", "resolve_checkout", "close_cart"),
        *("list_dead_letters", "retry_dead_letter", "delete_dead_letter", "rotate_webhook"),
        *("get_webhook", "list_webhooks", "delete_webhook"),
        *("put_feed", "get_feed", "list_feeds", "tell_events", "tell_snapshot"),
        *("list_reconciliations", "poll_feed", "delete_feed"),
        *("get_health", "get_readiness", "get_metrics"),
        *("get_openapi", "get_docs", "get_problem_type"),
    ]
    async with serving(database_url) as contract:
        for name in told:
            operation = BY_NAME[name]
            answer = operation.answers[0]
            if name == "cancel_order":  # the other thing that may become of the same order
                again = await contract.ask("place_order", key="again")
                contract.ids[ORDER_ID] = again.headers["Location"].removeprefix("/orders/")
            if name in _FOLLOWING:
                said = await settled(contract, name, 1)
            elif name == "get_checkout":
                said = await decided(contract)
            elif name in _OF_ANOTHER_CART:
                said = await of_another(contract, name)
            elif name in _LETTING_GO:
                said = await let_go(contract, name)
            else:
                body = _TO_NOBODY.get(name)
                said = await contract.ask(name, body=body)

            assert said.status == answer.status, name
            if name == "list_dead_letters":
                contract.ids[LETTER_ID] = _letter_in(said)
            if answer.example is None or answer.shape is str or operation.tag in _GOING:
                continue  # how a delivery goes is no matter of examples
            lines = answer.example if isinstance(answer.example, tuple) else (answer.example,)
            for example, body in zip(lines, said.body.splitlines(), strict=True):
                line = msgspec.structs.replace(said, body=body)
                learn(example, line, contract)
    assert sorted(told) == sorted(BY_NAME)


async def test_every_problem_that_is_described_happens_and_no_other_does(
    database_url: str,
) -> None:
    async with serving(database_url) as contract:
        await place_everything(contract)
        for name in BY_NAME:
            await provoke(contract, name)
        await provoke_refusals(contract)
    described = {
        (one.name, problem)
        for one in OPERATIONS
        for problem in one.problems
        if problem not in UNPROVOKED
    }

    assert contract.seen == described


async def provoke(contract: Contract, name: str) -> None:
    """Send an operation everything that is wrong on its face."""
    operation = BY_NAME[name]
    await contract.ask(name, query={"no_such_parameter": "1"})
    for body in (b"{", b"{}", b'"\xff"', b'{"no_such_field": 1}', b" " * (BODY_MAX + 1)):
        if operation.method != "GET":
            await contract.ask(name, body=body, key="bad body")
    if operation.method != "GET":
        await contract.ask(name, body=b"{}", headers={"Content-Type": "text/plain"})
    if operation.method != "GET" and name != "place_orders":
        # The server closes the connection, and says so only to who said it first.
        packed = {"Content-Encoding": "gzip", "Connection": "close"}
        await contract.ask(name, body=b"no gzip", headers=packed)
        await contract.ask(name, body=gzip.compress(b"{"), headers=packed)
    if operation.key:
        await contract.ask(name, key="")
        await contract.ask(name, key="k" * 256)
    for parameter in path_parameters(operation.path):
        await contract.ask(name, at={parameter.name: NOWHERE})
        await contract.ask(name, at={parameter.name: "a%20b"})
    for parameter in operation.query:
        await contract.ask(name, query={parameter.name: "x" * 256})


async def provoke_refusals(contract: Contract) -> None:
    """Ask for what cannot be done as things stand."""
    order = {"product": "tea-01", "warehouse": "main"}
    too_many = msgspec.json.encode(order | {"quantity": 1_000_000})
    other = msgspec.json.encode(order | {"quantity": 3})
    await contract.ask("place_order", body=too_many, key="too many")
    for name in ("place_order", "receive_stock"):
        await contract.ask(name, body=other)
    for name in ("dispatch_order", "cancel_order"):
        await contract.ask(name, key="order-7781")
    await contract.ask("dispatch_order")
    again = await contract.ask("place_order", key="parts")
    parts = msgspec.json.encode({"lines": [order | {"quantity": 3}]})
    path = {"id": again.headers["Location"].removeprefix("/orders/")}
    await contract.ask("dispatch_order", body=parts, at=path, key="parts of it")
    for name in ("dispatch_order", "cancel_order"):
        await contract.ask(name, key="late")
    tickets = {"user_id": "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"}
    for quantity, key in ((101, "too many tickets"), (2, "tickets"), (3, "tickets")):
        body = msgspec.json.encode(tickets | {"quantity": quantity})
        await contract.ask("purchase_tickets", body=body, key=key)
    other = b'{"name": "Tea tasting", "desc": "Another evening.", "allocation": 100}'
    await contract.ask("open_ticket_option", body=other)
    await contract.ask("post_warehouse", body=b'{"code": "main", "name": "other"}')
    await contract.ask("put_warehouse", at={"code": "shelf-07"})
    await contract.ask("put_location", at={"code": "main"})
    await provoke_refused_adjustments(contract)
    await provoke_refused_moves(contract)
    await provoke_refused_carts(contract)
    await contract.ask("post_product", body=b'{"sku": "tea-01", "name": "other"}')
    await provoke_feeds(contract)


async def provoke_feeds(contract: Contract) -> None:
    """Have the warehouse be fed, in another way, by hand, and no longer."""
    await contract.ask("put_feed", body=_TO_NOBODY["put_feed"])
    await contract.ask("put_feed", body=b'{"url": "http://127.0.0.1:1/", "excludes": ["lost"]}')

    async def is_refused() -> bool:
        said = await contract.ask("receive_stock", key=secrets.token_hex(8))
        return said.problem == "warehouse-fed"

    await until(is_refused)
    await provoke_refused_in_a_fed_warehouse(contract)
    await contract.ask("delete_feed")
    await contract.ask("poll_feed", query={"dry_run": "true"})
    for name in ("tell_events", "tell_snapshot"):
        await contract.ask(name)


async def provoke_refused_in_a_fed_warehouse(contract: Contract) -> None:
    """Find units, count some, and move some there, of which its own system knows nothing."""
    tea: dict[str, object] = {"product": "tea-01"}
    found = msgspec.json.encode(tea | {"warehouse": "main", "delta": 1, "reason": "found"})
    async with simulated(Nature(batch_s=NEVER_S, rate_per_s=500.0, burst=100)) as (_, url):
        fed = {"url": url, "poll_s": 0.2, "rate_per_s": 400.0, "burst": 80}
        await contract.ask("put_feed", body=msgspec.json.encode(fed))
        await contract.ask("poll_feed")

        async def is_attached() -> bool:
            said = await contract.ask("adjust_stock", body=found, key=secrets.token_hex(8))
            return said.problem == "warehouse-fed"

        await until(is_attached)
    balance = await contract.ask("get_stock_balance")
    read = {"If-Match": balance.headers["ETag"]}
    await contract.ask("set_state", body=b'{"quantity": 99}', headers=read, key="counted, and fed")
    move = msgspec.json.encode(tea | {"from": "shelf-07", "to": "main", "quantity": 1})
    await contract.ask("move_stock", body=move, key="moved, and fed")


async def provoke_refused_adjustments(contract: Contract) -> None:
    """Have nothing to adjust, an old version or none, and an order whose stock is recalled."""
    at = {"product": "pot-08", "state": "damaged"}
    await contract.ask("post_product", body=b'{"sku": "pot-08", "name": "Pot"}')
    pot: dict[str, object] = {"product": "pot-08", "warehouse": "main"}
    received = await contract.ask("receive_stock", body=msgspec.json.encode(pot), key="pot-08")
    order = await contract.ask("place_order", body=msgspec.json.encode(pot), key="order of pot-08")
    few = msgspec.json.encode(pot | {"to": "damaged", "quantity": 5, "reason": "broken"})
    await contract.ask("adjust_stock", body=few, key="few")
    stock = received.headers["Location"].removeprefix("/stocks/")
    whole = msgspec.json.encode(pot | {"to": "damaged", "stock": stock, "reason": "broken"})
    for body in (whole, few):
        await contract.ask("adjust_stock", body=body, key="recalled")
    path = {"id": order.headers["Location"].removeprefix("/orders/")}
    await contract.ask("dispatch_order", body=b"{}", at=path, key="flagged")
    for match in ("*", '"1"'):
        await contract.ask("set_state", headers={"If-Match": match}, at=at, key="stale")
    now, more = {"If-Match": '"3"'}, b'{"quantity": 9}'
    expired = at | {"state": "expired"}
    await contract.ask("set_state", body=more, headers=now, at=expired, key="more")
    for body in (more, b'{"quantity": 8}'):
        await contract.ask("set_state", body=body, headers=now, at=at, key="set")


async def provoke_adjustments_that_are_too_large(contract: Contract) -> None:
    """Adjust too many stocks, and find what cannot be where it was found."""
    all_pots: dict[str, object] = {"product": "pot-07", "warehouse": "main", "reason": "broken"}
    body = msgspec.json.encode(all_pots | {"to": "damaged", "quantity": LOTS_MAX + 1})
    await contract.ask("adjust_stock", body=body, key="many lots")
    body = msgspec.json.encode(all_pots | {"warehouse": "shelf-07", "delta": 1})
    await contract.ask("adjust_stock", body=body, key="occupied")
    for warehouse, quantity in (("main", 0), ("shelf-07", 9)):
        place = {"warehouse": warehouse, "product": "pot-07"}
        seen = await contract.ask("get_stock_balance", at=place)
        headers = {"If-Match": seen.headers["ETag"]}
        body = msgspec.json.encode({"quantity": quantity})
        at = place | {"state": "available"}
        await contract.ask("set_state", body=body, headers=headers, at=at, key=warehouse)


async def provoke_refused_moves(contract: Contract) -> None:
    """Have too little, too many lots, and a place where another product is."""
    move = {"product": "tea-01", "from": "main", "to": "shelf-07", "quantity": 1_000_000}
    for key in ("too many", "move-311"):
        await contract.ask("move_stock", body=msgspec.json.encode(move), key=key)
    await contract.ask("post_product")
    other = {"product": "pot-07", "warehouse": "shelf-07"}
    await contract.ask("receive_stock", body=msgspec.json.encode(other), key="occupied")
    move |= {"product": "pot-07", "quantity": LOTS_MAX + 1}
    await contract.ask("move_stock", body=msgspec.json.encode(move), key="occupied move")
    pot = msgspec.json.encode({"product": "pot-07", "warehouse": "main"})
    pots = [f"pot {number}" for number in range(LOTS_MAX + 1)]
    await asyncio.gather(*(contract.ask("receive_stock", body=pot, key=key) for key in pots))
    await provoke_adjustments_that_are_too_large(contract)
    await contract.ask("put_location", at={"code": "shelf-08"})
    move |= {"to": "shelf-08"}
    await contract.ask("move_stock", body=msgspec.json.encode(move), key="many lots")


async def test_parameters_that_are_described_are_those_that_are_known(database_url: str) -> None:
    async with serving(database_url) as contract:
        for operation in OPERATIONS:
            said = await contract.ask(operation.name, query={"no_such_parameter": "1"})
            if said.problem is None:
                assert operation.query == (), operation.name
                continue
            problem = said.json()
            assert isinstance(problem, dict)
            known = problem["detail"].partition("known are: ")[2].split(", ")

            assert known == ([one.name for one in operation.query] or ["none"]), operation.name


async def test_bounds_of_parameters_are_those_described(database_url: str) -> None:
    tried = 0
    async with serving(database_url) as contract:
        for operation in OPERATIONS:
            parameters = contract.parameters(operation.name, place="query")
            needed = {one.name: one.example for one in parameters if one.required}
            for one in parameters:
                for value, accepted in one.schema.at_the_edge():
                    if accepted and one.name == "cursor":
                        continue  # a cursor is more than a text of some length
                    tried += 1
                    said = await contract.ask(operation.name, query=needed | {one.name: value})

                    # A version within its bounds may not have been reached.
                    taken = said.problem in {None, "not-found"}
                    assert taken == accepted, (operation.name, one.name, value)
    assert tried > 50


async def test_bounds_of_keys_are_those_described(database_url: str) -> None:
    async with serving(database_url) as contract:
        await place_everything(contract)
        for operation in OPERATIONS:
            keys = contract.parameters(operation.name, place="header")

            assert [one.name for one in keys] == [one.name for one in operation.headers]
            for one in (each for each in keys if each.name == KEY):
                for key, accepted in (("", False), ("k", True), *one.schema.at_the_edge()):
                    said = await contract.ask(operation.name, key=key)

                    assert (b"Idempotency-Key must be" not in said.body) == accepted, len(key)


async def test_a_list_goes_on_where_its_cursor_says(database_url: str) -> None:
    async with serving(database_url) as contract:
        for name in ("put_warehouse", "post_warehouse"):
            await contract.ask(name)
        first = (await contract.ask("list_warehouses", query={"limit": "1"})).json()
        assert isinstance(first, dict)
        rest = await contract.ask("list_warehouses", query={"cursor": first["next_cursor"]})

        assert example_of(BY_NAME["list_warehouses"].answers[0]) == {
            "items": [*first["items"], *_items(rest)],
            "next_cursor": None,
        }


_FOLLOWING = {
    "list_orders",
    "list_stocks",
    "list_stock_balances",
    "list_purchases",
    "list_dead_letters",
    "list_moves",
    "list_paid_purchases",
}
"""What shows a moment later what was done; one thing each."""

_LETTING_GO = {"get_location", "list_locations"}
"""What shows a moment later that a move has ended at the place."""

_OF_ANOTHER_CART = {"resolve_checkout", "close_cart"}
"""What cannot be done with the cart that was paid for."""

_TO_NOBODY = {
    "put_webhook": b'{"url": "http://127.0.0.1:1/", "kinds": ["stock_received"]}',
    "put_feed": b'{"url": "http://127.0.0.1:1/"}',
}
_GOING = {"Webhooks", "Warehouse systems"}


async def let_go(contract: Contract, name: str) -> Said:
    """Ask until what is told of a place is as new as in the example."""
    example = msgspec.json.encode(BY_NAME[name].answers[0].example)
    [version] = re.findall(rb'"version":\d+', example)
    async with asyncio.timeout(20):
        while True:
            said = await contract.ask(name)
            if version in said.body:
                return said
            await asyncio.sleep(0.05)


def _letter_in(said: Said) -> str:
    [letter] = _items(said)
    assert isinstance(letter, dict)
    return str(letter["id"])


def _items(said: Said) -> list[object]:
    listed = said.json()
    assert isinstance(listed, dict)
    return list(listed["items"])


async def test_without_the_database_what_needs_it_says_so_and_the_rest_serves(
    database_url: str,
) -> None:
    server_url = re.sub(r"/test_\w+\?", "/postgres?", database_url)
    name = re.findall(r"/(test_\w+)\?", database_url)[0]
    async with serving(database_url) as contract:
        await place_everything(contract)
        other = await asyncpg.connect(server_url)
        try:
            await other.execute(f"DROP DATABASE {name} WITH (FORCE)")
            answered = {one: await contract.ask(one) for one in BY_NAME}
        finally:
            await other.execute(f"CREATE DATABASE {name}")
            await other.close()

    assert sorted(one for one, said in answered.items() if said.problem) == sorted(NEEDS_DATABASE)
    assert {said.problem for said in answered.values()} == {"try-again", None}
    assert answered["get_health"].status == 200
    assert answered["get_readiness"].status == 503
    assert b'"status":503' in answered["place_orders"].body


async def test_every_type_of_problem_is_explained_where_it_points_to(database_url: str) -> None:
    async with serving(database_url) as contract:
        for name, kind in PROBLEM_TYPES.items():
            said = await contract.ask("get_problem_type", at={"type": name})
            explained = said.json()

            assert isinstance(explained, dict)
            assert explained["type"] == f"/problems/{name}"
            assert explained["title"] == kind.example.title


async def test_a_browser_that_asks_about_a_problem_is_sent_to_the_page(database_url: str) -> None:
    async with serving(database_url) as contract:
        said = await contract.ask("get_problem_type", headers={"Accept": "text/html,*/*;q=0.8"})
        page = await contract.ask("get_docs")

    assert said.status == 302
    assert said.headers["Location"] == "/docs#problem-try-again"
    assert b'id="problem-try-again"' in page.body
