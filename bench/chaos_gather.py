"""The evidence of a round, gathered from a server that is left in peace and from its database."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import msgspec

from bench.chaos_caller import Balance, get_bytes, request_of
from bench.chaos_crowd import Shop
from bench.chaos_evidence import Evidence, Listed, PoolEvidence, ShownOrder
from bench.chaos_history import Kind, Numbers, Operation
from bench.chaos_ledger import fetch_rows
from bench.chaos_server import Victim
from bench.databases import fetch_count
from bench.errors import BenchError
from bench.messages import WAREHOUSE, Order
from bench.processes import is_ready
from bench.sale_caller import Answer, Caller

_PAGE = 200
_AT_ONCE = 8
_REPEATED_MAX = 500
_ANSWER_WITHIN_S = 10.0
_QUIET_WITHIN_S = 60.0
_QUIET_S = 0.5
_POLL_S = 0.05
_ROWS = "SELECT count(*) FROM journal"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class GatherError(BenchError):
    """The server, though left in peace, does not answer what the evidence needs."""


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Listed]


async def until_quiet(victim: Victim) -> None:
    """Return when the server is ready and nothing that was given up still arrives.

    Raises:
        GatherError: That took too long.
        DatabaseError: It is ready, and its database does not answer.
    """
    try:
        async with asyncio.timeout(_QUIET_WITHIN_S):
            await _until_ready(victim)
            before, now = -1, 0
            while before != now:
                await asyncio.sleep(_QUIET_S)
                before, now = now, await asyncio.to_thread(fetch_count, victim.url, _ROWS)
    except TimeoutError as error:
        raise GatherError(
            f"the server was not ready again {_QUIET_WITHIN_S:.0f} s after the last fault"
        ) from error


async def _until_ready(victim: Victim) -> None:
    while True:
        if victim.is_whole and await asyncio.to_thread(is_ready, victim.port):
            return
        await asyncio.sleep(_POLL_S)


async def gather_evidence(
    victim: Victim, shop: Shop, *, unexpected: Sequence[str], dice: random.Random
) -> Evidence:
    """Read everything that became of a shop.

    Raises:
        GatherError: The server does not answer.
        DatabaseError: PostgreSQL does not.
    """
    products = [*shop.hot, *shop.cold]
    operations: dict[str, list[Operation]] = {product: [] for product in products}
    for operation in shop.history:
        operations[operation.product].append(operation)
    rows = await asyncio.to_thread(fetch_rows, victim.url, products)

    async def pool(caller: Caller, product: str) -> PoolEvidence:
        return PoolEvidence(
            product,
            operations=operations[product],
            rows=rows[product],
            listed=await _journal(caller, product),
            numbers=await _numbers(caller, product),
        )

    placed = [each for each in shop.history if each.kind is Kind.PLACE and each.ids]
    ids = sorted(set[str]().union(*(each.ids for each in placed)))
    repeats = dice.sample(placed, min(_REPEATED_MAX, len(placed)))
    answers = await ask_all(shop.port, repeats, _repeat)
    return Evidence(
        pools=await ask_all(shop.port, products, pool),
        shown=dict(zip(ids, await ask_all(shop.port, ids, _order), strict=True)),
        repeated={each.key: answer for each, answer in zip(repeats, answers, strict=True)},
        unexpected=unexpected,
        unexplained_ends=victim.unexplained_ends,
    )


async def ask_all(
    port: int, items: Sequence[_Item], ask: Callable[[Caller, _Item], Awaitable[_Result]]
) -> list[_Result]:
    """Ask about each thing, a few at a time, and return the results in their order."""
    results: dict[int, _Result] = {}
    places = iter(range(len(items)))

    async def work() -> None:
        caller = Caller(host="127.0.0.1", port=port)
        try:
            for place in places:
                results[place] = await ask(caller, items[place])
        finally:
            caller.hang_up()

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return [results[place] for place in range(len(items))]


async def _journal(caller: Caller, product: str) -> list[Listed]:
    listed: list[Listed] = []
    where = f"/journal?product={quote(product)}&warehouse={WAREHOUSE}&limit={_PAGE}"
    while True:
        after = listed[-1].seq if listed else 0
        answer = await ask_patiently(caller, get_bytes(f"{where}&after={after}"))
        items = msgspec.json.decode(answer.body, type=_Page).items
        listed += items
        if len(items) < _PAGE:
            return listed


async def _numbers(caller: Caller, product: str) -> Numbers | None:
    answer = await ask_patiently(caller, get_bytes(f"/stock-balances/{WAREHOUSE}/{product}"))
    if answer.status != HTTPStatus.OK:
        return None
    seen = msgspec.json.decode(answer.body, type=Balance)
    return Numbers(seen.version, seen.available, seen.ordered, seen.on_hand)


async def _order(caller: Caller, order_id: str) -> ShownOrder | None:
    answer = await ask_patiently(caller, get_bytes(f"/orders/{order_id}"))
    if answer.status != HTTPStatus.OK:
        return None
    order = msgspec.json.decode(answer.body, type=Order)
    return ShownOrder(
        customer=order.customer,
        quantity=sum(line.quantity for line in order.lines),
        status=order.status,
    )


async def _repeat(caller: Caller, operation: Operation) -> str:
    answer = await ask_patiently(caller, request_of(operation, ""))
    if answer.status != HTTPStatus.CREATED:
        return ""
    return msgspec.json.decode(answer.body, type=Order).id


async def ask_patiently(caller: Caller, request: bytes) -> Answer:
    """Ask until there is an answer: a worker that is leaving closes its connections."""
    line = request.partition(b"\r")[0].decode()
    try:
        async with asyncio.timeout(_QUIET_WITHIN_S):
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    answer = await caller.ask(request, within_s=_ANSWER_WITHIN_S)
                    if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                        return answer
                await asyncio.sleep(_POLL_S)
    except TimeoutError as error:
        raise GatherError(f"no answer to {line} in {_QUIET_WITHIN_S:.0f} s") from error
