"""What a customer of the flash sale does, against small servers on real sockets."""

import argparse
import asyncio
import random
import re
from collections.abc import Iterator

import pytest

from bench.arguments import at_least_one, http_address
from bench.sale_crowd import Customer, Mood, Tally, UnexpectedAnswerError, Venue, wish_list
from bench.sale_proof import Wish
from tests.unit.test_bench_clients import server as serving

_ORDER = b'{"id":"%b","status":"new","customer":null,"created_at":"","lines":[]}'
_HANG_UP = b""


def answer(status: int, body: bytes = b"{}", *, header: str = "") -> bytes:
    return f"HTTP/1.1 {status} x\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body


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
            assert key
            await reader.readexactly(int(length[1]))
            self.keys.append(key[1].decode())
            given = next(self._answers, self._last)
            if given == _HANG_UP:
                return
            writer.write(given)
            await writer.drain()


class Loaded(random.Random):
    """A die that always falls on one mood, and never on walking away."""

    def __init__(self, mood: Mood) -> None:
        super().__init__(1)
        self._mood = mood

    def choices(self, *_: object, **__: object) -> list[Mood]:  # type: ignore[override]
        return [self._mood]

    def random(self) -> float:
        return 0.9


async def shop(server: Server, *, mood: Mood = Mood.PATIENT) -> tuple[Wish, Tally]:
    wish = Wish(key="key", customer="Ada", quantity=2)
    tally = Tally()
    async with serving(server.converse) as port:
        venue = Venue(host="127.0.0.1", port=port, product="tea")
        await Customer(venue, [wish], tally=tally, dice=Loaded(mood)).shop()
    return wish, tally


@pytest.mark.parametrize("mood", list(Mood))
async def test_whatever_goes_wrong_the_order_is_had_in_the_end_under_one_key(mood: Mood) -> None:
    server = Server(answer(201, _ORDER % b"7"))

    wish, tally = await shop(server, mood=mood)

    assert (wish.status, wish.order_ids) == (201, {"7"})
    assert (tally.units, tally.done) == (2, 1)
    assert set(server.keys) == {"key"}


@pytest.mark.parametrize("first", [_HANG_UP, answer(503, header="Retry-After: 0\r\n"), answer(429)])
async def test_a_customer_without_a_decision_asks_again(first: bytes) -> None:
    server = Server(first, answer(201, _ORDER % b"7"))

    wish, _ = await shop(server)

    assert wish.status == 201
    assert server.keys == ["key", "key"]


async def test_a_refused_customer_leaves() -> None:
    server = Server(answer(409))

    wish, tally = await shop(server)

    assert (wish.status, tally.refused, server.keys) == (409, 1, ["key"])


async def test_every_id_that_a_key_was_told_is_remembered() -> None:
    server = Server(answer(201, _ORDER % b"7"), answer(201, _ORDER % b"8"))

    wish, tally = await shop(server, mood=Mood.AGAIN)

    assert wish.order_ids == {"7", "8"}
    assert tally.units == 2


@pytest.mark.parametrize(
    ("answers", "mood"),
    [
        ([answer(500)], Mood.PATIENT),
        ([answer(422)], Mood.PATIENT),
        ([answer(201, _ORDER % b"7"), answer(409)], Mood.AGAIN),
        ([answer(409), answer(201, _ORDER % b"7")], Mood.AGAIN),
    ],
)
async def test_an_answer_that_cannot_be_ends_the_sale(answers: list[bytes], mood: Mood) -> None:
    with pytest.raises(UnexpectedAnswerError):
        await shop(Server(*answers), mood=mood)


@pytest.mark.parametrize("units", [0, 1, 2, 3, 100])
def test_wishes_sum_up_and_end_with_single_units(units: int) -> None:
    quantities = [wish.quantity for wish in wish_list("Ada", units=units, dice=random.Random(1))]

    assert sum(quantities) == units
    assert quantities[-2:] == [1] * min(units, 2)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "ten"])
def test_a_number_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="above zero"):
        at_least_one(text)


@pytest.mark.parametrize("text", ["shop", "https://x", "http://", "http://x:0", "http://x:port"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not like"):
        http_address(text)
