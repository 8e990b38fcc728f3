"""Signatures, pauses, and where webhooks may go: what needs neither a server nor a network."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from allocator.domain.positions import Position
from allocator.domain.targets import TargetError, check_url
from allocator.domain.webhooks import (
    message_id,
    pause_ms,
    secret_text,
    shortened,
    signatures,
)
from allocator.webhooks.sending import Message, Refused, Sender, Taken, Terms, open_sender
from tests.integration.receivers import receiver

MESSAGE = Message(id="1-2-3-4", body=b"{}")


class Names(AbstractResolver):
    """Everything has one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=family, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def sender(
    *, anywhere: bool = False, address: str = "127.0.0.1", timeout_ms: int = 500
) -> AsyncIterator[Sender]:
    terms = Terms(agent="allocator/test", timeout_ms=timeout_ms, anywhere=anywhere)
    async with open_sender(terms, clock=lambda: 1_700_000_000_123, names=Names(address)) as each:
        yield each


async def send(each: Sender, url: str) -> Taken | Refused:
    return await each.send(MESSAGE, url=url, secrets=(b"k",))


def test_a_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks, and its secret."""
    secret = bytes.fromhex("31f29ddd0adcc90dd4bd8a5b2bb8a5a0e0e2f7ae6d43a4f4")
    body = b'{"test": 2432232314}'

    made = signatures(
        [secret, b"another"], id_="msg_p5jXN8AQM9LWM0D4loKWxJek", at_s=1614265330, body=body
    )

    assert made.count("v1,") == 2
    assert signatures([secret], id_="a", at_s=1, body=b"") != signatures(
        [secret], id_="a", at_s=2, body=b""
    )


def test_a_secret_is_spelled_as_receivers_expect_it() -> None:
    assert secret_text(b"abc") == "whsec_YWJj"


def test_the_id_of_a_message_has_no_full_stop() -> None:
    assert message_id(Position(1, 7482, 27136, 5)) == "1-7482-27136-5"


def test_pauses_double_up_to_an_hour_and_half_of_each_is_chance() -> None:
    longest = [pause_ms(n, first_ms=1000, chance=1) for n in range(1, 16)]
    shortest = [pause_ms(n, first_ms=1000, chance=0) for n in range(1, 16)]

    assert longest[:4] == [1000, 2000, 4000, 8000]
    assert max(longest) == longest[-1] == 3_600_000
    assert [2 * each for each in shortest] == longest
    assert pause_ms(100, first_ms=3_600_000, chance=1) == 3_600_000


def test_a_reason_is_kept_as_one_line_of_bounded_length() -> None:
    assert shortened("a\nb\x1b[0m") == "a b [0m"
    assert len(shortened("x" * 1000)) == 300


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/events?of=stock",
        "https://shop.example:8443",
        "https://93.184.216.34/",
        "http://localhost:8000/x",
        "http://127.0.0.1/",
        "http://[::1]:80/",
    ],
)
def test_public_addresses_and_this_machine_may_be_told(url: str) -> None:
    check_url(url, anywhere=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "https://10.1.2.3/",
        "https://192.168.0.1/",
        "https://172.16.0.1/",
        "https://169.254.169.254/",
        "https://100.64.0.1/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
    ],
)
def test_private_addresses_may_be_told_only_if_the_operator_says_so(url: str) -> None:
    check_url(url, anywhere=True)

    with pytest.raises(TargetError):
        check_url(url, anywhere=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "shop.example",
        "https://shop.example:0/",
        "https://shop.example:99999/",
        "https://me@shop.example/",
        "https://me:it@shop.example/",
        "https://shop.example/#top",
        "https://shop.example/a b",
        "https://sh\\op.example/",
        "https://%31%30.0.0.1/",
        "https://ümlaut.example/",
        "file:///etc/passwd",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://x.example/" + "y" * 2000,
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused_always(url: str) -> None:
    with pytest.raises(TargetError):
        check_url(url, anywhere=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fe80::1"])
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(address: str) -> None:
    """As it does when somebody changes what his name stands for after it was checked."""
    async with sender(address=address) as each:
        refused = await send(each, "https://shop.example/")

    assert isinstance(refused, Refused)
    assert f"shop.example is {address}" in refused.why


async def test_an_address_in_digits_is_checked_again_when_it_is_used() -> None:
    async with sender() as each:
        refused = await send(each, "https://10.0.0.7/")

    assert isinstance(refused, Refused)
    assert "must lead to a public address, which 10.0.0.7 is not" in refused.why


async def test_a_message_goes_out_with_its_id_time_and_signature_and_nothing_of_ours() -> None:
    async with receiver() as heard, sender() as each:
        assert await send(each, heard.url) == Taken()
        [message] = heard.taken

    assert message.id == "1-2-3-4"
    assert message.headers["webhook-timestamp"] == "1700000000"
    assert message.is_signed_with(secret_text(b"k"))
    assert message.headers["user-agent"] == "allocator/test"
    assert not {"cookie", "authorization", "proxy-authorization"} & set(message.headers)


@pytest.mark.parametrize("status", [199, 204, 299, 301, 307, 400, 404, 410, 429, 500, 503])
async def test_only_2xx_means_taken_and_only_410_means_gone(status: int) -> None:
    async with receiver() as heard, sender() as each:
        heard.answer = lambda _: status
        result = await send(each, heard.url)

    if 200 <= status < 300:
        assert result == Taken()
    elif status >= 200:
        assert isinstance(result, Refused)
        assert result.is_gone == (status == 410)
        assert result.why.startswith(f"answered {status}")


async def test_a_receiver_may_ask_to_be_left_alone_for_an_hour_at_most() -> None:
    async with receiver() as heard, sender() as each:
        heard.answer = lambda _: 429
        heard.headers = {"Retry-After": "30"}
        first = await send(each, heard.url)
        heard.headers = {"Retry-After": "9" * 30}
        second = await send(each, heard.url)

    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    assert (first.retry_after_ms, second.retry_after_ms) == (30_000, 3_600_000)


async def test_a_receiver_that_says_nothing_costs_no_more_than_the_time_for_one_attempt() -> None:
    async with receiver() as heard, sender(timeout_ms=100) as each:
        heard.answer = lambda _: -1

        assert await send(each, heard.url) == Refused(why="no answer in time")


async def test_where_nobody_listens_the_reason_is_told() -> None:
    async with sender() as each:
        refused = await send(each, "http://127.0.0.1:1/")

    assert isinstance(refused, Refused)
    assert "Cannot connect" in refused.why
