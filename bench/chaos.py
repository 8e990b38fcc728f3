"""A soak that kills everything at random, and then proves that nobody was told anything wrong.

Question: whatever dies and whenever, is every acknowledged change there, once, in order, and
    was every refusal and every balance true at some moment between asking and answering?
Load shape: a shop with a few hot products of little stock and many cold ones. Clients place,
    cancel, dispatch, receive and read; they give up, hang up and ask again with the same
    Idempotency-Key. Meanwhile, from a printed seed, workers, the server, PostgreSQL and database
    sessions are killed, workers are stopped past their take-over, or exchanged one by one.
Expected: every claim holds, always.
Non-goals: speed; though how long nobody was served after each fault is measured and shown.

A long soak is held in rounds, each with products of its own, so that its histories fit in memory
and a contradiction shows early. Run `python -m bench.chaos --seed 1 --seconds 60`. Exits with 1
when a claim does not hold.
"""

import argparse
import asyncio
import functools
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from bench.api import Api
from bench.arguments import at_least_one
from bench.chaos_crowd import Client, Shop, Tally
from bench.chaos_evidence import Evidence
from bench.chaos_faults import Inflicted, Injector, plan
from bench.chaos_gather import gather_evidence, until_quiet
from bench.chaos_report import Verdicts, keep, print_course
from bench.chaos_server import Victim, suffering
from bench.databases import scratch_directory
from bench.errors import BenchError
from bench.processes import free_port, unwind_on_sigterm, wait_ready
from bench.targets import Figure
from bench.turns import Bench

_ROUND_S = 60.0
_SMOKE_S = 10.0
_HOT, _HOT_UNITS = 4, 30
_COLD, _COLD_UNITS = 40, 20
_WORKERS = 2
_CLIENTS = 24
_LOOKOUTS = 24
_FINISH_WITHIN_S = 120.0


class ChaosError(BenchError):
    """The soak did not come to its end, or a claim does not hold."""


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how hard.

    Attributes:
        kept: Where the evidence of a failed round goes, if anywhere.
    """

    seed: int
    seconds: float
    workers: int
    clients: int
    kept: Path | None = None


def hold_soak(soak: Soak, *, directory: Path, console: Console) -> bool:
    """Run a server in a directory, let everything happen to it, and say whether all claims hold.

    Raises:
        ChaosError: Clients were left without an answer.
        ServerError: The server did not start, or not again.
        GatherError: It did not answer what the evidence needs.
    """
    console.print(f"seed {soak.seed}: {soak.seconds:.0f} s, {soak.workers} workers")
    say = functools.partial(_say, console, since_s=time.monotonic())
    tally, verdicts = Tally(), Verdicts()
    inflicted: list[Inflicted] = []
    with suffering(directory, port=free_port(), workers=soak.workers) as victim:
        wait_ready(victim.child, port=victim.port, log=victim.log)
        left_s, number = soak.seconds, 0
        while left_s > 0:
            seconds = min(left_s, _ROUND_S)
            round_ = _Round(soak, victim, number, tally=tally, say=say)
            seen = uvloop.run(round_.hold(seconds))
            inflicted += round_.inflicted
            left_s, number = left_s - seconds, number + 1
            if not verdicts.judge(seen):
                if soak.kept is not None:
                    keep(seen, log=victim.log, directory=soak.kept)
                break
            say(f"round {number} holds")
    print_course(tally, inflicted, console=console)
    verdicts.print(console)
    return not verdicts.contradictions


def prove_chaos(bench: Bench) -> list[Figure]:
    """Hold a soak as a part of a run; it has no figure, only claims.

    Raises:
        ChaosError: One of them does not hold.
    """
    seconds = _SMOKE_S if bench.size.name == "smoke" else _ROUND_S
    soak = Soak(seed=bench.seed, seconds=seconds, workers=_WORKERS, clients=_CLIENTS)
    directory = bench.directory / "chaos"
    directory.mkdir()
    if not hold_soak(soak, directory=directory, console=Console(stderr=True, soft_wrap=True)):
        raise ChaosError("not every claim held")
    return []


class _Round:
    """A shop that opens, suffers, and is looked at.

    Attributes:
        inflicted: The faults that happened.
    """

    def __init__(
        self, soak: Soak, victim: Victim, number: int, *, tally: Tally, say: Callable[[str], None]
    ) -> None:
        name = f"r{number}"
        self._soak = soak
        self._victim = victim
        self._seed = f"{soak.seed}-{number}"
        self._tally = tally
        self._shop = Shop(
            name=name,
            port=victim.port,
            hot=[f"{name}-hot-{each}" for each in range(_HOT)],
            cold=[f"{name}-cold-{each:02}" for each in range(_COLD)],
        )
        self._injector = Injector(victim, hot=self._shop.hot, say=say)

    @property
    def inflicted(self) -> list[Inflicted]:
        return self._injector.inflicted

    async def hold(self, seconds: float) -> Evidence:
        """Let it happen, and gather the evidence."""
        await asyncio.to_thread(self._open)
        keeping = asyncio.create_task(self._victim.keep_up())
        living = asyncio.create_task(self._live(seconds))
        try:
            await asyncio.wait({keeping, living}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping  # it never ends but by an error
            return await living
        finally:
            for task in (keeping, living):
                task.cancel()
            await asyncio.gather(keeping, living, return_exceptions=True)

    def _open(self) -> None:
        with Api(port=self._shop.port) as api:
            api.open_warehouse()
            for product in (*self._shop.hot, *self._shop.cold):
                api.must("PUT", f"/products/{product}", {"name": product})

    async def _live(self, seconds: float) -> Evidence:
        called_off = asyncio.Event()
        clients = [self._client(number) for number in range(self._soak.clients)]
        for product in self._shop.hot:
            await clients[0].receive(product, _HOT_UNITS)
        for product in self._shop.cold:
            await clients[0].receive(product, _COLD_UNITS)
        self._tally.resume()
        planned = plan(seed=self._seed, seconds=seconds, workers=self._soak.workers)
        lookouts = [self._client(len(clients) + number) for number in range(_LOOKOUTS)]
        shopping = asyncio.gather(
            *(client.shop(called_off) for client in clients),
            *(client.look_out(called_off) for client in lookouts),
        )
        try:
            await asyncio.gather(self._injector.run(planned), asyncio.sleep(seconds))
            called_off.set()
            await asyncio.wait_for(shopping, _FINISH_WITHIN_S)
        except TimeoutError as error:
            raise ChaosError(f"no answer for {_FINISH_WITHIN_S:.0f} s after the end") from error
        finally:
            shopping.cancel()
            await asyncio.gather(shopping, return_exceptions=True)
        await until_quiet(self._victim)
        return await gather_evidence(
            self._victim,
            self._shop,
            unexpected=self._tally.unexpected,
            dice=random.Random(self._seed),
        )

    def _client(self, number: int) -> Client:
        dice = random.Random(f"{self._seed}-{number}")
        return Client(self._shop, number, tally=self._tally, dice=dice)


def _say(console: Console, what: str, *, since_s: float) -> None:
    console.print(f"{time.monotonic() - since_s:7.2f} s  {what}", highlight=False, markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="kill everything and prove that nothing was lost")
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed unless given")
    parser.add_argument("--seconds", type=at_least_one, default=60)
    parser.add_argument("--workers", type=at_least_one, default=_WORKERS)
    parser.add_argument("--clients", type=at_least_one, default=_CLIENTS)
    parser.add_argument("--keep", type=Path, help="directory for the evidence of a failed round")
    return parser.parse_args()


def main() -> None:
    """Hold a soak; exit with 1 when a claim does not hold."""
    chosen = _arguments()
    unwind_on_sigterm()
    soak = Soak(
        seed=random.randrange(1 << 32) if chosen.seed is None else chosen.seed,
        seconds=chosen.seconds,
        workers=chosen.workers,
        clients=chosen.clients,
        kept=chosen.keep,
    )
    try:
        with scratch_directory() as directory:
            holds = hold_soak(soak, directory=directory, console=Console(soft_wrap=True))
    except BenchError as error:
        sys.exit(f"chaos: {error}")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
