"""The course of an event: doors open, visitors come, everything is killed, and doors close."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from bench.chaos_gather import ask_patiently
from bench.chaos_server import Victim
from bench.errors import BenchError
from bench.event_close import Closing
from bench.event_crowd import Tally, Venue, Visitor
from bench.event_evidence import Evidence
from bench.event_faults import Blows, plan
from bench.event_history import STOCK, History
from bench.messages import WAREHOUSE
from bench.mixes import request_bytes
from bench.sale_caller import Caller

_HOT, _COLD = 4, 24
_PRICES: Final = (99, 250, 1_299, 4_990)
_HOT_UNITS_A_CLIENT: Final = 0.6
_COLD_UNITS_A_CLIENT: Final = 3
_FIRST_CUSTOMER: Final = 100_000
_FINISH_WITHIN_S: Final = 120.0


class EventError(BenchError):
    """The event did not come to its end, or a claim does not hold."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """How large it is.

    Attributes:
        seconds: In which visitors come.
        mean_ms: How long the provider takes on average, of exponential times.
        timeout_ms: How long it is waited for.
        cart_ttl_ms: When a cart expires that nobody changes.
        kept: Where the evidence of an event goes that contradicts a claim, if anywhere.
    """

    seed: int
    clients: int = 3_000
    seconds: float = 45
    workers: int = 2
    mean_ms: int = 300
    timeout_ms: int = 4_000
    cart_ttl_ms: int = 6_000
    kept: Path | None = None


class Course:
    """A shop that opens its doors, suffers, and is looked at."""

    def __init__(
        self,
        event: Event,
        victim: Victim,
        *,
        ledger_url: str,
        tally: Tally,
        say: Callable[[str], None],
    ) -> None:
        self._event = event
        self._victim = victim
        self._tally = tally
        self._say = say
        self._history = History()
        hot = [f"best-{number}" for number in range(_HOT)]
        cold = [f"other-{number:02}" for number in range(_COLD)]
        self._venue = Venue(
            port=victim.port,
            ledger_url=ledger_url,
            hot=hot,
            cold=cold,
            prices=dict(zip([*hot, *cold], itertools.cycle(_PRICES), strict=False)),
        )
        self.blows = Blows(victim, seed=f"{event.seed}-whom", say=say)

    async def hold(self) -> Evidence:
        """Let it happen, and gather the evidence."""
        await self._stock()
        keeping = asyncio.create_task(self._victim.keep_up())
        living = asyncio.create_task(self._live())
        try:
            await asyncio.wait({keeping, living}, return_when=asyncio.FIRST_COMPLETED)
            if keeping.done():
                await keeping  # it never ends but by an error
            return await living
        finally:
            for task in (keeping, living):
                task.cancel()
            await asyncio.gather(keeping, living, return_exceptions=True)

    async def _stock(self) -> None:
        units = round(self._event.clients * _HOT_UNITS_A_CLIENT / _HOT)
        plenty = self._event.clients * _COLD_UNITS_A_CLIENT
        caller = Caller(host="127.0.0.1", port=self._venue.port)
        await _must(caller, "PUT", f"/warehouses/{WAREHOUSE}", {"name": WAREHOUSE})
        for product, price in self._venue.prices.items():
            body = {"name": product, "price": {"amount": price, "currency": "EUR"}}
            await _must(caller, "PUT", f"/products/{product}", body)
            quantity = units if product in self._venue.hot else plenty
            # In two lots, so that it shows which one units are taken from.
            for number, part in enumerate((quantity // 2, quantity - quantity // 2)):
                stock = {"product": product, "warehouse": WAREHOUSE, "quantity": part}
                await _must(caller, "POST", "/stocks", stock, key=f"{STOCK}{product}-{number}")
        caller.hang_up()
        self._history.opened_ns = time.perf_counter_ns()

    async def _live(self) -> Evidence:
        event, seed = self._event, str(self._event.seed)
        self._tally.resume()
        dice = random.Random(f"{seed}-arrivals")
        crowd = asyncio.gather(
            *(
                self._visit(number, dice.uniform(0, event.seconds))
                for number in range(event.clients)
            )
        )
        try:
            if not await self.blows.run(plan(seed=seed, seconds=event.seconds)):
                raise EventError(f"the server did not come back: see {self._victim.log}")
            await asyncio.wait_for(crowd, event.seconds + _FINISH_WITHIN_S)
        except TimeoutError as error:
            raise EventError(
                f"the visitors were not done {_FINISH_WITHIN_S:.0f} s after the end"
            ) from error
        finally:
            crowd.cancel()
            await asyncio.gather(crowd, return_exceptions=True)
        self._say("the doors are closed")
        dice = random.Random(f"{seed}-operator")
        return await Closing(self._victim, self._venue, self._history, dice=dice).evidence()

    async def _visit(self, number: int, after_s: float) -> None:
        await asyncio.sleep(after_s)
        visitor = Visitor(
            self._venue,
            _FIRST_CUSTOMER + number,
            history=self._history,
            tally=self._tally,
            seed=str(self._event.seed),
        )
        await visitor.come()


async def _must(
    caller: Caller, method: str, path: str, body: Mapping[str, object], *, key: str | None = None
) -> None:
    """Have something done, asking again as long as nobody knows whether it was."""
    request = request_bytes(path, msgspec.json.encode(body), method=method, key=key)
    answer = await ask_patiently(caller, request)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise EventError(f"{method} {path} was answered {answer.status}: {answer.body.decode()}")
