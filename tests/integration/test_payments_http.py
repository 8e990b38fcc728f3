"""The provider is asked once for a charge, and what it did not say clearly is unknown (row O11)."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine

import pytest
import trustme
import uvloop

from allocator.domain.checkouts import Charge
from allocator.payments import exchange
from allocator.payments.http_provider import HttpProvider
from allocator.payments.provider import Verdict
from tests.integration.providers import Till, answering, free_port, reset, till
from tests.integration.serving import until

AGENT = "allocator/test"
PATIENT_S = 10.0
CHARGE = Charge(attempt=3, amount=500, currency="EUR", client_id=42, deadline_ms=0)
PAID = b'HTTP/1.1 201 Created\r\nContent-Length: 12\r\n\r\n{"id":"r-1"}'

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[object, object, None]], None]:
    """Run a coroutine on the loop that serves, and on the one that everybody knows."""

    def run_it(scenario: Coroutine[object, object, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(scenario)

    return run_it


async def ask(
    url: str, *, within_s: float = PATIENT_S, tls: ssl.SSLContext | None = None
) -> Verdict:
    begun_s = time.monotonic()
    verdict = await HttpProvider(url, agent=AGENT, tls=tls).charge(CHARGE, within_s=within_s)
    assert time.monotonic() - begun_s < PATIENT_S / 2, "it waited for too long"
    return verdict


async def outcome_of(server: Till, *, within_s: float = PATIENT_S) -> str:
    """Ask a server, and see that it was asked exactly once."""
    verdict = await ask(server.url, within_s=within_s)
    await asyncio.sleep(0.05)  # would there be another request?
    assert server.connections == 1
    assert len(server.requests) == 1
    return verdict.outcome


Run = Callable[[Coroutine[object, object, None]], None]


def test_the_provider_is_sent_an_amount_in_major_units_and_a_client_id(run: Run) -> None:
    """O11: POST {"amount", "client_id"} to the URL that was configured."""

    async def scenario() -> None:
        async with answering(PAID) as server:
            verdict = await ask(server.url)

        assert verdict == Verdict(outcome="paid", detail="answered 201", reference="r-1")
        [request] = server.requests
        head, _, body = request.partition(b"\r\n\r\n")
        assert body == b'{"amount":5.0,"client_id":42}'
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /api/refund/?shop=1 HTTP/1.1"
        assert f"Host: {server.url.split('/')[2]}" in lines
        assert "Content-Type: application/json" in lines
        assert "Connection: close" in lines

    run(scenario())


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "paid"), (204, "paid"), (402, "failed"), (404, "failed"), (500, "unknown")],
)
def test_the_status_of_the_answer_decides(run: Run, status: int, outcome: str) -> None:
    async def scenario() -> None:
        async with answering(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status) as server:
            assert await outcome_of(server) == outcome

    run(scenario())


def test_a_redirect_is_not_followed(run: Run) -> None:
    async def scenario() -> None:
        async with answering(PAID) as elsewhere:
            redirect = f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n"
            async with answering(redirect.encode()) as server:
                assert await outcome_of(server) == "unknown"
            assert elsewhere.connections == 0

    run(scenario())


@pytest.mark.parametrize("after", ["close", "reset"])
@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 20",),
        (b"HTTP/1.1 201 Created\r\nContent-Length: 12\r\n",),
        (b"SSH-2.0\r\n",),
    ],
)
def test_a_connection_that_ends_without_an_answer_is_unknown_and_not_tried_again(
    run: Run, pieces: tuple[bytes, ...], after: str
) -> None:
    async def scenario() -> None:
        async with answering(*pieces, after=after) as server:
            assert await outcome_of(server) == "unknown"

    run(scenario())


def test_a_connection_that_ends_before_the_request_was_read_is_not_tried_again(run: Run) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async def scenario() -> None:
        async with till(hang_up) as server:
            verdict = await ask(server.url)
            await asyncio.sleep(0.05)
            assert server.connections == 1
        assert verdict.outcome != "paid"

    run(scenario())


def test_every_charge_has_a_connection_of_its_own_though_the_server_would_keep_it(run: Run) -> None:
    async def scenario() -> None:
        async with answering(PAID, after="stay") as server:
            provider = HttpProvider(server.url, agent=AGENT)
            for _ in range(3):
                verdict = await provider.charge(CHARGE, within_s=PATIENT_S)
                assert verdict.outcome == "paid"
            await until(lambda: server.left == 3)  # each was closed when its answer was whole

        assert (server.connections, len(server.requests)) == (3, 3)

    run(scenario())


def test_no_answer_in_time_is_unknown(run: Run) -> None:
    async def scenario() -> None:
        async with answering(after="stay") as server:
            verdict = await ask(server.url, within_s=0.1)
            assert verdict == Verdict(outcome="unknown", detail="no answer in 0.1 s")
            await until(lambda: server.left == 1)  # nor does it hold the connection

    run(scenario())


def test_an_answer_may_come_in_the_smallest_pieces(run: Run) -> None:
    async def scenario() -> None:
        async with answering(*(bytes([byte]) for byte in PAID), after="stay") as server:
            assert (await ask(server.url)).reference == "r-1"

    run(scenario())


def test_money_is_taken_though_the_rest_of_the_answer_never_comes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_BODY_S", 0.05)

    async def scenario() -> None:
        async with answering(PAID[:-3], after="stay") as server:
            verdict = await ask(server.url)
        assert verdict == Verdict(outcome="paid", detail="answered 201")

    run(scenario())


@pytest.mark.parametrize(
    ("begin", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Much: ", "unknown"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", "paid"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "paid"),
        (b"HTTP/1.1 402 X\r\n\r\n", "failed"),
    ],
)
def test_an_endless_answer_is_read_up_to_a_bound(run: Run, begin: bytes, outcome: str) -> None:
    async def scenario() -> None:
        async with answering(begin, after="go on") as server:
            assert (await ask(server.url)).outcome == outcome

    run(scenario())


def test_an_answer_to_what_was_not_asked_is_none_and_nothing_is_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def speak_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(PAID)
        await writer.drain()

    open_at_once = exchange._open  # noqa: SLF001

    async def open_slowly(
        door: exchange.Door, *, ends_s: float
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        transport, waiting = await open_at_once(door, ends_s=ends_s)
        await waiting.ended
        return transport, waiting

    monkeypatch.setattr(exchange, "_open", open_slowly)

    async def scenario() -> None:
        async with till(speak_first) as server:
            verdict = await ask(server.url)
            await until(lambda: server.left == 1)

        assert verdict == Verdict(
            outcome="failed", detail="nothing was sent: the connection was over at once"
        )
        assert server.requests == []

    run(scenario())


def test_where_nobody_listens_nothing_was_sent_and_the_charge_has_failed(run: Run) -> None:
    async def scenario() -> None:
        verdict = await ask(f"http://127.0.0.1:{free_port()}/")

        assert verdict.outcome == "failed"
        assert verdict.detail.startswith("nothing was sent: no connection: ")
        assert "refused" in verdict.detail

    run(scenario())


async def test_a_name_that_nobody_knows_is_a_charge_that_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)

    verdict = await ask("http://provider.invalid/")

    assert verdict.outcome == "failed"
    assert verdict.detail.startswith("nothing was sent: no connection: ")
    assert "Name or service not known" in verdict.detail


def test_a_name_that_cannot_be_is_a_charge_that_has_failed(run: Run) -> None:
    async def scenario() -> None:
        assert (await ask(f"http://{'a' * 64}.example/")).outcome == "failed"

    run(scenario())


def test_a_connection_that_does_not_open_in_time_is_a_charge_that_has_failed(run: Run) -> None:
    async def say_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        """Have the handshake wait."""

    async def scenario() -> None:
        async with till(say_nothing) as server:
            verdict = await ask(server.url.replace("http:", "https:"), within_s=0.1)
        assert verdict == Verdict(
            outcome="failed", detail="nothing was sent: no connection in time"
        )

    run(scenario())


def test_the_system_has_to_trust_the_certificate(run: Run) -> None:
    authority = trustme.CA()
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serves)
    trusts = ssl.create_default_context()
    authority.configure_trust(trusts)

    async def scenario() -> None:
        async with answering(PAID, tls=serves) as server:
            stranger = await ask(server.url)
            assert server.requests == []
            friend = await ask(server.url, tls=trusts)

        assert stranger.outcome == "failed"
        assert "certificate verify failed" in stranger.detail.lower()
        assert friend == Verdict(outcome="paid", detail="answered 201", reference="r-1")
        assert len(server.requests) == 1

    run(scenario())


def test_one_that_is_cancelled_lets_go_of_its_connection(run: Run) -> None:
    async def scenario() -> None:
        async with answering(after="stay") as server:
            asking = asyncio.create_task(ask(server.url))
            await until(lambda: bool(server.requests))
            asking.cancel()
            await until(lambda: server.left == 1)
            assert asking.cancelled()

    run(scenario())
