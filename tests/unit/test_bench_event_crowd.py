"""What a visitor of an event does and remembers, in a shop on a real socket that plays along."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.event_crowd import Tally, Venue, Visitor
from bench.event_faults import Blow, plan
from bench.event_history import History
from tests.unit.test_bench_clients import server as serving

VISITORS = 40
LATER = b'{"type":"/x","detail":"%s"}'
Answer = tuple[int, bytes]
Habit = Callable[[str, str], Answer | None]
"""Answers some requests otherwise; takes the method and the path."""


class PretendedShop:
    """Has enough of everything, and takes everybody's money."""

    def __init__(self, habit: Habit = lambda _method, _path: None) -> None:
        self.keys: Counter[str] = Counter()
        self._habit = habit

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"Content-Length: (\d+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            method, path, _ = head.split(" ", 2)
            key = re.search(r"Idempotency-Key: (\S+)", head)
            name = key[1] if key else ""
            self.keys[name] += 1
            status, body = self._habit(method, path) or _answer(method, path, name)
            retry = "Retry-After: 1\r\n" if status == 503 else ""
            head = f"HTTP/1.1 {status} x\r\n{retry}Content-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()


def _answer(method: str, path: str, key: str) -> Answer:
    status, body = 200, "{}"
    match method, path.split("/")[1], path.rpartition("/")[2]:
        case "PUT", _, _:
            pass
        case "POST", "carts", "carts":
            status, body = 201, f'{{"id":"c-{key}","status":"open"}}'
        case "POST", "carts", _:
            status, body = 202, f'{{"id":"k-{key}","status":"capturing","amount":5}}'
        case "POST", _, _:
            status, body = 201, f'{{"id":"o-{key}"}}'
        case "DELETE", _, _:
            status, body = 204, ""
        case "GET", "stock-balances", _:
            body = '{"version":1,"available":5,"ordered":0,"held":0,"on_hand":5}'
        case _:
            body = '{"id":"k","status":"paid","amount":5}'
    return status, body.encode()


async def visited(shop: PretendedShop) -> History:
    """Have some visitors come, all at once; return what they remember."""
    history, tally = History(), Tally()
    async with serving(shop.converse) as port:
        venue = Venue(
            port=port, ledger_url="", hot=["tea", "pot"], cold=["cup", "can", "tin"], prices={}
        )
        visitors = (
            Visitor(venue, number, history=history, tally=tally, seed="1")
            for number in range(VISITORS)
        )
        await asyncio.gather(*(visitor.come() for visitor in visitors))
    assert sum(tally.ends.values()) == VISITORS
    return history


async def test_visitors_shop_and_remember_what_they_were_told() -> None:
    shop = PretendedShop()
    history = await visited(shop)

    assert (history.unexpected, history.negative, history.shorts) == ([], [], [])
    assert history.looks
    assert {payment.seen for payment in history.payments} == {"paid"}
    assert any(len(order.lines) == 1 for order in history.orders)
    assert any(len(order.lines) > 1 for order in history.orders)
    for wanted in history.wanted():
        assert wanted.is_done != wanted.given_up
        assert len(wanted.ids) == wanted.is_done
        assert shop.keys[wanted.key] >= wanted.is_done
    assert max(shop.keys[wanted.key] for wanted in history.wanted()) > 1


async def test_no_line_of_a_cart_is_wanted_with_the_same_number_twice() -> None:
    """Or the journal's rows would not say which answer is about which."""
    history = await visited(PretendedShop())

    for visit in history.visits:
        wanted = [(edit.product, edit.quantity) for edit in visit.edits]
        assert len(set(wanted)) == len(wanted)


async def test_a_number_below_zero_in_any_answer_is_remembered() -> None:
    def owes(method: str, path: str) -> Answer | None:
        body = b'{"version":1,"available":-1,"ordered":0,"held":0,"on_hand":-1}'
        return (200, body) if (method, path[:6]) == ("GET", "/stock") else None

    history = await visited(PretendedShop(owes))

    assert len(history.negative) == len(history.looks) > 0


async def test_what_the_contract_has_no_room_for_is_remembered_and_not_asked_again() -> None:
    history = await visited(
        PretendedShop(lambda _, path: (500, b"{}") if path == "/orders" else None)
    )

    told = [order for order in history.orders if not order.strays]
    assert len(history.unexpected) >= len(told) > 0
    assert "was answered 500 after None" in history.unexpected[0]
    assert all(order.given_up and not order.ids for order in history.orders)


@pytest.mark.parametrize(("detail", "strays"), [(b"nothing was done", False), (b"unknown", True)])
async def test_who_is_told_to_come_back_asks_again_with_the_same_key(
    detail: bytes, *, strays: bool
) -> None:
    answers: Iterator[Answer] = iter([(503, LATER % detail)] * 10)
    history = await visited(
        PretendedShop(lambda _, path: next(answers, None) if path == "/orders" else None)
    )

    assert history.unexpected == []
    assert next(answers, None) is None
    assert any(order.is_done for order in history.orders)
    assert any(order.strays for order in history.orders) or not strays


async def test_a_refusal_is_remembered_by_product() -> None:
    lines = b'[{"product":"%s","requested":1,"available":0}]'

    def has_nothing(_method: str, path: str) -> Answer | None:
        body = b'{"type":"/x","detail":"","requested":7,"available":0,"lines":%s}' % (
            lines % b"tea"
        )
        return (409, body) if path == "/orders" else None

    history = await visited(PretendedShop(has_nothing))

    of_one = [order for order in history.orders if len(order.lines) == 1 and order.status == 409]
    assert of_one
    assert {short.available for short in history.shorts} == {0}
    assert any("was refused for" in each for each in history.unexpected)  # of what nobody wanted


@pytest.mark.parametrize("seconds", [4.0, 45.0])
def test_each_event_has_one_exchange_one_death_of_everything_and_some_of_workers(
    seconds: float,
) -> None:
    planned = plan(seed="1", seconds=seconds)
    blows = Counter(each.blow for each in planned)

    assert (blows[Blow.ROLL], blows[Blow.KILL_EVERYTHING]) == (1, 1)
    assert blows[Blow.KILL_WORKER] >= 2
    assert [each.at_s for each in planned] == sorted(each.at_s for each in planned)
    assert 0 < planned[0].at_s < planned[-1].at_s < seconds
    assert plan(seed="1", seconds=seconds) == planned
    assert plan(seed="2", seconds=seconds) != planned
