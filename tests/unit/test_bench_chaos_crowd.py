"""What a client of a soak does and remembers, against small servers on real sockets."""

import asyncio
import itertools
import random
import re
from collections.abc import Iterator, Sequence

import pytest

from bench.chaos_caller import UnexpectedAnswerError, answer_of, request_of
from bench.chaos_crowd import Client, Mood, Shop, Tally
from bench.chaos_history import (
    Answer,
    Done,
    Kind,
    NotNow,
    NotOpen,
    Numbers,
    Operation,
    Shown,
    TooLittle,
)
from bench.sale_caller import Answer as HttpAnswer
from tests.unit.test_bench_clients import server as serving

KEY = "shop-0-0"
LATER = b"HTTP/1.1 503 x\r\nRetry-After: 1\r\nContent-Length: 35\r\n\r\n"
UNKNOWN = LATER + b'{"type":"/x","detail":"is unknown"}'
HANG_UP = b""


def ok(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def order(
    *, status: str = "new", customer: str = KEY, quantity: int = 1, picked: int | None = None
) -> bytes:
    line = (
        f'{{"product":"tea","warehouse":"main","quantity":{quantity},'
        f'"stocks":[{{"id":"s","quantity":{quantity if picked is None else picked}}}]}}'
    )
    return (
        f'{{"id":"o","status":"{status}","customer":"{customer}","created_at":"","lines":[{line}]}}'
    ).encode()


PLACED = ok(201, order())


class Server:
    """Gives prepared answers, the last one for ever, and remembers the keys it was asked with."""

    def __init__(self, *answers: bytes) -> None:
        self.keys: list[str] = []
        self._answers: Iterator[bytes] = iter(answers)
        self._last = answers[-1]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            key = re.search(rb"Idempotency-Key: (\S+)", head)
            assert length
            await reader.readexactly(int(length[1]))
            self.keys.append(key[1].decode() if key else "")
            given = next(self._answers, self._last)
            if given == HANG_UP:
                return
            writer.write(given)
            await writer.drain()


class Loaded(random.Random):
    """A die by which a client places an order for one unit, in one mood, and never leaves."""

    def __init__(self, mood: Mood, kind: Kind) -> None:
        super().__init__(1)
        self._falls = {Mood: mood, Kind: kind}

    def choices(self, population: Sequence[object], *_: object) -> list[object]:  # type: ignore[override]
        return [self._falls[type(population[0])]]  # type: ignore[index]

    def randint(self, a: int, b: int) -> int:  # noqa: ARG002 (its signature)
        return a

    def random(self) -> float:
        return 0.9


class Hasty(random.Random):
    """A die by which nobody thinks longer than has to be, or connects anew."""

    def uniform(self, a: float, b: float) -> float:  # noqa: ARG002 (its signature)
        return a

    def random(self) -> float:
        return 0.9


class AfterOne(asyncio.Event):
    """Calls a client off who looks for the second time."""

    def is_set(self) -> bool:
        was_set = super().is_set()
        self.set()
        return was_set


async def shop(
    server: Server, *, mood: Mood = Mood.PATIENT, kind: Kind = Kind.PLACE
) -> tuple[Shop, Tally]:
    """Let a client do one thing."""
    tally = Tally()
    async with serving(server.converse) as port:
        venue = Shop(name="shop", port=port, hot=["tea"], cold=["tea"])
        venue.orders["tea"] = [("placed", "o")]
        client = Client(venue, 0, tally=tally, dice=Loaded(mood, kind))
        await asyncio.wait_for(client.shop(AfterOne()), 30)
    return venue, tally


@pytest.mark.parametrize("mood", list(Mood))
async def test_whatever_goes_wrong_the_order_is_had_in_the_end_under_one_key(mood: Mood) -> None:
    server = Server(PLACED)

    venue, _ = await shop(server, mood=mood)

    [operation] = venue.history
    assert operation.ids == {"o"}
    assert set(server.keys) == {KEY}
    assert venue.orders["tea"] == [("placed", "o"), (KEY, "o")]


async def test_every_attempt_is_remembered_with_its_times_and_its_answer() -> None:
    venue, tally = await shop(Server(UNKNOWN, HANG_UP, PLACED))

    [operation] = venue.history
    answers = [attempt.answer for attempt in operation.attempts]
    assert answers == [NotNow(nothing_done=False), None, Done("o")]
    times = [
        time for each in operation.attempts for time in (each.asked_ns, each.answered_ns) if time
    ]
    assert times == sorted(times)
    assert len(times) == 5
    assert tally.outcomes == {"NotNow": 1, "broken": 1, "Done": 1}
    assert tally.retries == 2


async def test_a_reading_that_was_not_answered_is_not_repeated() -> None:
    venue, _ = await shop(Server(HANG_UP), kind=Kind.SEE_BALANCE)

    [operation] = venue.history
    assert [attempt.answer for attempt in operation.attempts] == [None]


async def test_a_lookout_reads_over_one_connection_until_it_is_called_off() -> None:
    tally, called_off, accepted = Tally(), asyncio.Event(), 0

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        for asked in itertools.count(1):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(200, BALANCE))
            if asked == 2:
                called_off.set()

    async with serving(converse) as port:
        venue = Shop(name="shop", port=port, hot=["tea"], cold=[])
        lookout = Client(venue, 0, tally=tally, dice=Hasty(1))
        await asyncio.wait_for(lookout.look_out(called_off), 60)

    assert accepted == 1
    kinds = {(each.kind, each.product, len(each.attempts)) for each in venue.history}
    assert kinds == {(Kind.SEE_BALANCE, "tea", 1)}
    assert len(venue.history) == 2


async def test_an_answer_that_must_not_be_is_remembered_and_ends_the_asking() -> None:
    venue, tally = await shop(Server(ok(500, b"oops")))

    assert tally.unexpected == [f"place {KEY} was answered 500: oops"]
    assert not venue.history[0].is_settled()


def test_a_gap_is_the_time_between_settling_answers() -> None:
    tally = Tally()
    tally.settle(10**18)
    tally.settle(10**18 + 10_000_000)
    tally.settle(10**18 + 50_000_000)

    assert tally.gaps[1:] == [(10**18 + 10_000_000, 10**18 + 50_000_000)]


def operation(kind: Kind) -> Operation:
    return Operation(key=KEY, product="tea", kind=kind, quantity=1, order="placed")


def http(status: int, body: bytes, *, retry_after_s: int = 0) -> HttpAnswer:
    return HttpAnswer(status=status, body=body, retry_after_s=retry_after_s)


def problem(kind: str, more: str = "") -> bytes:
    return f'{{"type":"/problems/{kind}","detail":"nothing was done"{more}}}'.encode()


SHORT = problem("insufficient-stock", ',"requested":1,"available":0')
BALANCE = b'{"version":4,"available":3,"ordered":2,"held":0,"on_hand":5}'


@pytest.mark.parametrize(
    ("kind", "answer", "meaning"),
    [
        (Kind.PLACE, http(201, order()), Done("o")),
        (Kind.PLACE, http(409, SHORT), TooLittle(0)),
        (
            Kind.PLACE,
            http(503, problem("try-again"), retry_after_s=1),
            NotNow(nothing_done=True),
        ),
        (Kind.RECEIVE, http(201, b'{"id":"s","quantity":1}'), Done("s")),
        (Kind.CANCEL, http(200, order(status="cancelled")), Done("o")),
        (Kind.DISPATCH, http(409, problem("order-not-open")), NotOpen()),
        (Kind.SEE_ORDER, http(200, order(status="dispatched")), Shown("dispatched")),
        (Kind.SEE_BALANCE, http(200, BALANCE), Numbers(4, 3, 2, 5)),
    ],
)
def test_answers_are_understood(kind: Kind, answer: HttpAnswer, meaning: Answer) -> None:
    assert answer_of(operation(kind), answer) == meaning


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Kind.PLACE, http(200, order())),
        (Kind.PLACE, http(201, order(quantity=2))),
        (Kind.PLACE, http(201, order(customer="somebody else"))),
        (Kind.PLACE, http(201, order(status="cancelled"))),
        (Kind.PLACE, http(201, order(picked=2))),
        (Kind.PLACE, http(409, problem("order-not-open"))),
        (Kind.PLACE, http(503, problem("try-again"))),
        (Kind.CANCEL, http(200, order(status="dispatched"))),
        (Kind.CANCEL, http(409, SHORT)),
        (Kind.RECEIVE, http(201, b'{"id":"s","quantity":2}')),
        (Kind.SEE_ORDER, http(404, problem("not-found"))),
        (Kind.SEE_BALANCE, http(200, b"no balance")),
        (Kind.SEE_BALANCE, http(500, b"\xff")),
    ],
)
def test_what_the_contract_has_no_room_for_is_not_understood(
    kind: Kind, answer: HttpAnswer
) -> None:
    with pytest.raises(UnexpectedAnswerError, match=f"{kind.value} {KEY} was answered"):
        answer_of(operation(kind), answer)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (Kind.PLACE, b"POST /orders HTTP/1.1"),
        (Kind.RECEIVE, b"POST /stocks HTTP/1.1"),
        (Kind.DISPATCH, b"POST /orders/o/dispatch HTTP/1.1"),
        (Kind.CANCEL, b"POST /orders/o/cancel HTTP/1.1"),
        (Kind.SEE_ORDER, b"GET /orders/o HTTP/1.1"),
        (Kind.SEE_BALANCE, b"GET /stock-balances/main/tea HTTP/1.1"),
    ],
)
def test_only_changes_carry_a_key(kind: Kind, line: bytes) -> None:
    request = request_of(operation(kind), "o")

    assert request.startswith(line)
    assert (b"Idempotency-Key: " in request) == kind.changes
