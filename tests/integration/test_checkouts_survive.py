"""Servers that die, and workers that are exchanged, while the provider takes its time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from allocator.domain.ids import SHARD_MASK
from tests.integration.embedded_support import is_alive
from tests.integration.providers import Till, till
from tests.integration.serving import Answer, Server, serving, until
from tests.integration.truth import appends_held, query
from tests.integration.workers import settled, several, shares

CARTS = 12
TIMEOUT_MS = 4_000
_PAID = b'HTTP/1.1 201 Created\r\nContent-Length: 15\r\n\r\n{"id": "c-one"}'


class Shape(msgspec.Struct, frozen=True):
    """A cart, or a checkout."""

    id: str
    status: str


class Provider:
    """One that takes as long as a test wants.

    Attributes:
        till: Where it is, and what it hears.
        go_on: Set it to have everybody answered, and again from then on.
    """

    def __init__(self, till: Till, go_on: asyncio.Event) -> None:
        self.till = till
        self.go_on = go_on

    async def asked(self, count: int) -> None:
        """Wait until so many charges have come."""
        await until(lambda: len(self.till.requests) == count)


@asynccontextmanager
async def patient() -> AsyncIterator[Provider]:
    """A provider that answers nobody before it is told to."""
    go_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await each.hear(reader)
        await go_on.wait()
        writer.write(_PAID)
        await writer.drain()
        writer.close()

    async with till(answer) as each:
        yield Provider(each, go_on)


def shape_in(answer: Answer, *, status: int) -> Shape:
    assert answer.status == status, answer
    return msgspec.json.decode(answer.body, type=Shape)


async def priced(server: Server, quantity: int) -> None:
    """Have tea that can be paid for."""
    await server.open_shop(tea=quantity)
    price = {"amount": 250, "currency": "EUR"}
    await server.ok("PUT", "/products/tea", {"name": "Tea", "price": price})


async def filled(server: Server, number: int) -> str:
    """Return a cart of one unit, of a shard that its key says."""
    opened = await server.ask("POST", "/carts", {"customer": str(number)}, key=f"cart {number}")
    cart = shape_in(opened, status=201)
    await server.ok("PUT", f"/carts/{cart.id}/lines/main/tea", {"quantity": 1})
    return cart.id


async def paying(server: Server, number: int) -> str:
    """Begin to pay for a cart of one unit, of a shard that its key says; return the checkout."""
    cart = await filled(server, number)
    begun = await server.ask("POST", f"/carts/{cart}/checkout")
    return shape_in(begun, status=202).id


async def paying_at(shards: frozenset[int], database_url: str, server: Server) -> str:
    """Begin to pay for a cart of one of these shards; return the checkout."""
    known: set[int] = set()
    for number in range(64):
        cart = await filled(server, number)
        rows = await query(database_url, "SELECT id FROM actors WHERE kind = 'cart'")
        [new] = {row["id"] for row in rows} - known
        known.add(new)
        if new & SHARD_MASK in shards:
            begun = await server.ask("POST", f"/carts/{cart}/checkout")
            return shape_in(begun, status=202).id
    raise AssertionError("every cart is of another shard")


async def statuses(server: Server, checkouts: list[str]) -> list[str]:
    answers = [await server.ask("GET", f"/checkouts/{each}") for each in checkouts]
    return [shape_in(answer, status=200).status for answer in answers]


async def is_paid(server: Server, checkout: str) -> bool:
    """Say whether it is, if the server says anything: one that has just started may be busy."""
    answer = await server.ask("GET", f"/checkouts/{checkout}")
    return answer.status == 200 and shape_in(answer, status=200).status == "paid"


@asynccontextmanager
async def paying_crowd(
    database_url: str, directory: Path, *arguments: str
) -> AsyncIterator[tuple[Server, Provider, list[str]]]:
    """A server with two workers, each of which has asked the provider for some of the charges."""
    async with (
        patient() as provider,
        several(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            *arguments,
            log=directory / "log",
            patience=(),
        ) as server,
    ):
        await priced(server, CARTS)
        await settled(database_url, server)
        checkouts = [await paying(server, number) for number in range(CARTS)]
        await provider.asked(CARTS)
        yield server, provider, checkouts


async def test_a_charge_that_a_kill_interrupts_becomes_unknown_and_is_never_made_again(
    database_url: str, tmp_path: Path
) -> None:
    """Q4, Q7, O10: nobody can know what became of it."""
    async with (
        patient() as provider,
        serving(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            *("--payment-timeout-ms", str(TIMEOUT_MS), "--dead-after-ms", "1000"),
            log=tmp_path / "log",
        ) as server,
    ):
        await priced(server, 5)
        checkout = await paying(server, 42)
        await provider.asked(1)
        server.crash()
        await server.start_ready()
        provider.go_on.set()

        async def is_unknown() -> bool:
            return await statuses(server, [checkout]) == ["unknown"]

        assert await statuses(server, [checkout]) in (["capturing"], ["unknown"])
        await until(is_unknown)
        assert len(provider.till.requests) == 1
        body = {"outcome": "paid", "reference": "c-one"}
        await server.ok("POST", f"/checkouts/{checkout}/resolve", body)
        assert await statuses(server, [checkout]) == ["paid"]
        await until_ordered(server, 1)


async def test_an_exchange_of_workers_makes_no_charge_unknown(
    database_url: str, tmp_path: Path
) -> None:
    """Q4, O10: those that leave hear the answers, and tell those who have the carts."""
    async with (
        patient() as provider,
        several(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            *("--payment-timeout-ms", "60000"),
            log=tmp_path / "log",
        ) as server,
    ):
        await priced(server, CARTS)
        former = set(await settled(database_url, server))
        checkouts = [await paying(server, number) for number in range(CARTS)]
        await provider.asked(CARTS)
        os.kill(server.pid, signal.SIGHUP)

        async def one_has_left() -> bool:
            owners = set(await shares(database_url))
            return len(owners) == len(former) and not former <= owners

        await until(one_has_left)
        assert all(is_alive(pid) for pid in former)
        assert set(await statuses(server, checkouts)) == {"capturing"}
        provider.go_on.set()

        async def all_paid() -> bool:
            return set(await statuses(server, checkouts)) == {"paid"}

        await until(all_paid)
        await until(lambda: not any(is_alive(pid) for pid in former), within_s=60)
        assert len(provider.till.requests) == CARTS
        assert server.complaints() == []
        await until_ordered(server, CARTS)


async def test_one_worker_hears_what_it_can_before_it_stops(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        patient() as provider,
        serving(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            log=tmp_path / "log",
        ) as server,
    ):
        await priced(server, 5)
        checkout = await paying(server, 42)
        await provider.asked(1)
        ending = asyncio.create_task(server.terminate())
        await until(lambda: server.logged("server.stopping"))
        provider.go_on.set()
        assert await ending == 0
        await server.start_ready()

        assert await statuses(server, [checkout]) == ["paid"]


async def test_a_checkout_that_is_being_stored_is_heard_out_before_one_worker_stops(
    database_url: str, tmp_path: Path
) -> None:
    """O10, Q7: nobody has been asked for the money yet when the server is told to stop."""
    async with (
        patient() as provider,
        serving(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            log=tmp_path / "log",
        ) as server,
    ):

        async def is_being_stored() -> bool:
            waiting = "SELECT FROM pg_locks WHERE relation = 'journal'::regclass AND NOT granted"
            return bool(await query(database_url, waiting))

        await priced(server, 5)
        cart = await filled(server, 42)
        async with appends_held(database_url, lock="LOCK journal IN EXCLUSIVE MODE"):
            begun = asyncio.create_task(server.ask("POST", f"/carts/{cart}/checkout"))
            await until(is_being_stored)
            ending = asyncio.create_task(server.terminate())
            await until(lambda: bool(server.logged("server.stopping")))
        await provider.asked(1)
        checkout = shape_in(await begun, status=202).id
        provider.go_on.set()
        assert await ending == 0
        await server.start_ready()

        assert await statuses(server, [checkout]) == ["paid"]


async def test_a_server_that_stops_as_a_whole_hears_what_it_can_before(
    database_url: str, tmp_path: Path
) -> None:
    """O10, Q7: nobody comes in the place of its workers, so they keep what they have."""
    async with paying_crowd(database_url, tmp_path) as (server, provider, checkouts):
        ending = asyncio.create_task(server.terminate())
        await until(lambda: server.logged("worker.stopping"))
        provider.go_on.set()
        assert await ending == 0
        assert server.complaints() == []
        await server.start_ready()

        assert set(await statuses(server, checkouts)) == {"paid"}
        await until_ordered(server, CARTS)


async def test_a_server_that_stops_waits_for_one_that_lingers_since_its_exchange(
    database_url: str, tmp_path: Path
) -> None:
    """O10, Q7: the others wait for nothing, but somebody has to write down what it hears."""
    async with (
        patient() as provider,
        several(
            *("--database-url", database_url, "--payment-url", provider.till.url),
            log=tmp_path / "log",
            patience=(),
        ) as server,
    ):
        await priced(server, CARTS)
        owners = await settled(database_url, server)
        [leaver] = [
            each.pid for each in server.logged("supervisor.worker_serves") if not each.place
        ]
        checkout = await paying_at(owners[leaver], database_url, server)
        await provider.asked(1)
        os.kill(server.pid, signal.SIGHUP)

        async def it_has_left() -> bool:
            found = await shares(database_url)
            return len(found) == len(owners) and leaver not in found

        await until(it_has_left)
        ending = asyncio.create_task(server.terminate())
        await until(lambda: len(server.logged("worker.stopping")) == 1 + len(owners))
        await asyncio.sleep(0.5)  # enough for the others to go, if they would
        provider.go_on.set()
        assert await ending == 0
        assert server.complaints() == []
        await server.start_ready()

        await until(lambda: is_paid(server, checkout))


async def test_a_server_that_is_told_to_stop_twice_ends_at_once_and_knows_no_outcome(
    database_url: str, tmp_path: Path
) -> None:
    """Q5: what was under way becomes unknown when its time is over; nothing is sent again."""
    timeout = ("--payment-timeout-ms", str(TIMEOUT_MS))
    async with paying_crowd(database_url, tmp_path, *timeout) as (server, provider, checkouts):
        ending = asyncio.create_task(server.terminate())
        await until(lambda: server.logged("supervisor.stopping"))
        os.kill(server.pid, signal.SIGTERM)
        assert await ending == 1
        assert server.logged("supervisor.killing_all")
        await server.start_ready()
        provider.go_on.set()

        async def all_unknown() -> bool:
            return set(await statuses(server, checkouts)) == {"unknown"}

        await until(all_unknown)
        assert len(provider.till.requests) == CARTS


async def test_a_lingering_worker_that_is_killed_takes_nothing_from_the_others(
    database_url: str, tmp_path: Path
) -> None:
    """What it waited for alone is under way until its time is over, and unknown from then on."""
    async with paying_crowd(database_url, tmp_path) as (server, provider, checkouts):
        former = set(server.workers())
        os.kill(server.pid, signal.SIGHUP)

        async def one_has_left() -> bool:
            owners = set(await shares(database_url))
            return len(owners) == len(former) and not former <= owners

        await until(one_has_left)
        [victim] = former - set(await shares(database_url))
        os.kill(victim, signal.SIGKILL)
        await until(lambda: not is_alive(victim))
        provider.go_on.set()
        await until(lambda: not any(is_alive(pid) for pid in former), within_s=60)
        found = await statuses(server, checkouts)

        assert set(found) == {"paid", "capturing"}
        await until_ordered(server, found.count("paid"))


async def until_ordered(server: Server, units: int) -> None:
    async def is_ordered() -> bool:
        return (await server.balance("tea")).ordered == units

    await until(is_ordered)
