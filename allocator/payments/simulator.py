"""A payment provider to try things on: real HTTP, slow as one, and it keeps a ledger of charges.

It decides a charge when it comes, by its seed; the answer comes later, or never. Whoever leaves
before has been charged all the same, as anywhere: that is what `unknown` is about.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from random import Random
from typing import Final

import msgspec
from aiohttp import web

PATH: Final = "/charges"
CHARGES_MAX: Final = 1_000_000
"""So many are kept in memory; a simulator that has had them refuses more."""

_BACKLOG: Final = 4_096
_LINES_A_WRITE: Final = 1_000

_encode: Final = msgspec.json.Encoder().encode


class Nature(msgspec.Struct, frozen=True, kw_only=True):
    """How it behaves.

    Attributes:
        mean_s: How long an answer takes on average; times are exponential.
        fail_rate: How many of a charge are refused: 0.05 for one in twenty.
        hang_rate: To how many of a charge there is never an answer, whatever was decided.
        seed: The same seed and the same order of requests make the same decisions.
    """

    mean_s: float
    fail_rate: float
    hang_rate: float
    seed: int


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a request, to the letter."""

    amount: int | float
    client_id: int | float


class Entry(msgspec.Struct, kw_only=True):
    """A charge in the ledger.

    Attributes:
        id: The reference.
        at_ms: When it came, in milliseconds of Unix time.
        outcome: `paid` or `failed`: whether the money was taken.
        answered: The status that was answered, or null: not yet, or never.
        answered_at_ms: When.
        hangs: Whether it is never answered.
    """

    id: str
    client_id: int | float
    amount: int | float
    at_ms: int
    outcome: str
    answered: int | None = None
    answered_at_ms: int | None = None
    hangs: bool = False


class Simulator:
    """Takes charges, and says what it took.

    Args:
        nature: How it behaves.
        clock: Milliseconds of Unix time.

    Attributes:
        ledger: Every charge that it was asked for, in order.
    """

    def __init__(self, nature: Nature, *, clock: Callable[[], int]) -> None:
        self.ledger: list[Entry] = []
        self._nature = nature
        self._clock = clock
        self._chance = Random(nature.seed)  # noqa: S311 (it has to fall the same way again)

    def application(self) -> web.Application:
        """Return what answers requests."""
        app = web.Application()
        app.router.add_post(PATH, self._charge)
        app.router.add_get(PATH, self._show)
        return app

    async def _charge(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
        try:
            wanted = msgspec.json.decode(await request.read(), type=Wanted)
        except msgspec.DecodeError as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))
        if len(self.ledger) >= CHARGES_MAX:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{CHARGES_MAX} charges are all I keep")
        entry, takes_s = self._decide(wanted)
        if entry.hangs:
            await asyncio.Event().wait()  # until the client has gone
        await asyncio.sleep(takes_s)
        return self._answer(entry)

    def _decide(self, wanted: Wanted) -> tuple[Entry, float]:
        """Write a charge down, and return how long its answer takes."""
        nature, chance = self._nature, self._chance
        fails, hangs = chance.random() < nature.fail_rate, chance.random() < nature.hang_rate
        entry = Entry(
            id=f"charge-{len(self.ledger) + 1}",
            client_id=wanted.client_id,
            amount=wanted.amount,
            at_ms=self._clock(),
            outcome="failed" if fails else "paid",
            hangs=hangs,
        )
        self.ledger.append(entry)
        return entry, chance.expovariate(1.0) * nature.mean_s

    def _answer(self, entry: Entry) -> web.Response:
        paid = entry.outcome == "paid"
        status = HTTPStatus.CREATED if paid else HTTPStatus.PAYMENT_REQUIRED
        entry.answered, entry.answered_at_ms = status, self._clock()
        return _json(status, {"id": entry.id, "status": entry.outcome})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """Give the ledger, a line of JSON a charge."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for begin in range(0, len(self.ledger), _LINES_A_WRITE):
            entries = self.ledger[begin : begin + _LINES_A_WRITE]
            await response.write(b"".join(_encode(entry) + b"\n" for entry in entries))
        await response.write_eof()
        return response


@asynccontextmanager
async def serving(simulator: Simulator, *, port: int = 0) -> AsyncIterator[str]:
    """Have a simulator serve this machine, and nobody else.

    Args:
        simulator: Who.
        port: On which; 0 takes a free one.

    Yields:
        The URL for `--payment-url`, which shows the ledger, too.
    """
    runner = web.AppRunner(
        simulator.application(), access_log=None, shutdown_timeout=0, handler_cancellation=True
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=_BACKLOG).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()


def _json(status: int, body: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=_encode(body), content_type="application/json")


def _problem(status: int, detail: str) -> web.Response:
    return _json(status, {"error": detail})
