"""The simulated provider: slow, unwilling and silent as asked for, and its ledger tells all."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from allocator.domain.checkouts import Charge
from allocator.payments.calls import Bounds, Calls, Report
from allocator.payments.http_provider import HttpProvider
from allocator.payments.provider import Verdict
from allocator.payments.simulator import Entry, Nature, Simulator, serving
from tests.integration.providers import free_port
from tests.integration.serving import CHECKOUT

TIMEOUT_MS = 3_000
CHARGES = 200
QUICK = Nature(mean_s=0.005, fail_rate=0.2, hang_rate=0.05, seed=12)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def simulated(nature: Nature) -> AsyncIterator[tuple[Simulator, str]]:
    simulator = Simulator(nature, clock=now_ms)
    async with serving(simulator) as url:
        yield simulator, url


async def charge_all(url: str, count: int, *, timeout_ms: int = TIMEOUT_MS) -> dict[int, Verdict]:
    """Have so many clients charged, and return what became of each."""
    bounds = Bounds(calls_max=count, waiting_max=0, timeout_ms=timeout_ms)
    calls = Calls(HttpProvider(url, agent="test"), bounds=bounds, clock=now_ms)
    told: dict[int, Verdict] = {}

    def reporter(client_id: int) -> Report:
        async def report(verdict: Verdict) -> None:
            told[client_id] = verdict

        return report

    for client_id in range(count):
        charge = Charge(
            attempt=2,
            amount=100 + client_id,
            currency="EUR",
            client_id=client_id,
            deadline_ms=now_ms() + timeout_ms,
        )
        calls.charge(charge, reporter(client_id))
    await calls.linger()
    return told


async def ledger_of(url: str) -> list[Entry]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.content_type == "application/x-ndjson"
        return [msgspec.json.decode(line, type=Entry) for line in (await response.read()).split()]


async def test_the_ledger_and_the_verdicts_agree_on_every_charge() -> None:
    """O12: a provider simulator for tests and demonstrations, and what it says is so."""
    async with simulated(QUICK) as (_, url):
        told = await charge_all(url, CHARGES)
        ledger = {entry.client_id: entry for entry in await ledger_of(url)}

    assert len(ledger) == CHARGES
    assert len({entry.id for entry in ledger.values()}) == CHARGES
    for client_id, verdict in told.items():
        entry = ledger[client_id]
        assert entry.amount == (100 + client_id) / 100
        assert verdict.outcome == ("unknown" if entry.hangs else entry.outcome)
        assert verdict.reference == (None if entry.hangs else entry.id)
        assert entry.answered == (
            None if entry.hangs else {"paid": 201, "failed": 402}[entry.outcome]
        )
    outcomes = Counter(verdict.outcome for verdict in told.values())
    assert 20 <= outcomes["failed"] <= 60, "one in five"
    assert 3 <= outcomes["unknown"] <= 20, "one in twenty"


async def test_whoever_leaves_before_the_answer_is_charged_all_the_same() -> None:
    slow = Nature(mean_s=3_600, fail_rate=0, hang_rate=0, seed=1)
    async with simulated(slow) as (simulator, url):
        verdicts = await charge_all(url, 1, timeout_ms=1_000)

    assert verdicts[0].outcome == "unknown"
    [entry] = simulator.ledger
    assert (entry.outcome, entry.answered) == ("paid", None)


async def test_the_same_seed_decides_the_same() -> None:
    decisions = []
    for seed in (1, 1, 2):
        nature = Nature(mean_s=0, fail_rate=0.5, hang_rate=0, seed=seed)
        async with simulated(nature) as (simulator, url):
            for _ in range(40):
                await charge_all(url, 1)
        decisions.append([entry.outcome for entry in simulator.ledger])

    assert decisions[0] == decisions[1] != decisions[2]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"amount": 5.0, "client_id": 3}', "application/json", 201),
        (b'{"amount": 5, "client_id": 3}', "application/json", 201),
        (b'{"amount": "5.0", "client_id": 3}', "application/json", 400),
        (b'{"amount": 5.0, "client_id": "3"}', "application/json", 400),
        (b'{"amount": 5.0}', "application/json", 400),
        (b'{"amount": 5.0, "client_id": 3, "attempt": 1}', "application/json", 400),
        (b"", "application/json", 400),
        (b'{"amount": 5.0, "client_id": 3}', "text/plain", 415),
    ],
)
async def test_it_takes_what_the_row_says_and_nothing_else(
    body: bytes, media_type: str, status: int
) -> None:
    willing = Nature(mean_s=0, fail_rate=0, hang_rate=0, seed=1)
    async with simulated(willing) as (simulator, url), aiohttp.ClientSession() as session:
        headers = {"Content-Type": media_type}
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == status

    assert len(simulator.ledger) == (1 if status == 201 else 0)


async def test_the_command_says_where_it_is_and_stops_when_it_is_asked_to() -> None:
    process = start("--mean-s", "0.005", "--fail-rate", "0", "--hang-rate", "0", "--seed", "7")
    try:
        assert process.stdout is not None
        said = await asyncio.to_thread(process.stdout.readline)
        name, url, *seed = said.replace(",", "").split()
        assert (name, seed) == ("payments-sim:", ["seed", "7"])

        told = await charge_all(url, 20)
        assert {verdict.outcome for verdict in told.values()} == {"paid"}
        assert len(await ledger_of(url)) == 20

        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_one_sentence() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        process = start("--port", str(port))
        _, complaint = process.communicate(timeout=30)

    assert process.returncode == 1
    assert complaint == f"allocator: cannot listen on port {port}: Address already in use.\n"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "allocator", "payments-sim", *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
