"""A crowd at a flash sale: impatient, badly connected, and sure to try again.

Each customer has a list of wishes and works through it one by one, with as many attempts as
it takes. All attempts for a wish carry the same Idempotency-Key. What a customer does in an
attempt is drawn from a seeded die, so a sale can be repeated.
"""

import asyncio
import enum
import random
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from time import perf_counter_ns

import msgspec

from bench.errors import BenchError
from bench.messages import WAREHOUSE, Order
from bench.mixes import request_bytes
from bench.sale_caller import Answer, Caller
from bench.sale_proof import Wish

_PATIENCE_S = 30.0
_IMPATIENCE_MAX_S = 0.02
_RETRY_AFTER_MAX_S = 0.2
_PAUSE_S = 0.02
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_MISCHIEF_MAX = 3
_LAST_WISHES = 2
_WISH_UNITS_MAX = 3


class Mood(enum.Enum):
    """What a customer does with one attempt."""

    PATIENT = "waits for the answer"
    IMPATIENT = "gives up after some milliseconds"
    CUT_OFF = "loses the connection in the middle of the request"
    GONE = "hangs up right after the request"
    DOUBLE_CLICK = "sends the same request twice at once"
    AGAIN = "asks once more though there was an answer"


_MOODS = (Mood.PATIENT, Mood.IMPATIENT, Mood.CUT_OFF, Mood.GONE, Mood.DOUBLE_CLICK, Mood.AGAIN)
_WEIGHTS = (50, 15, 10, 10, 10, 5)
_WALKS_AWAY = 0.01


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sale is."""

    host: str
    port: int
    product: str


class Tally:
    """What has happened so far, for whoever watches.

    Attributes:
        moods: Attempts by mood.
        unanswered: Attempts whose answer never arrived, for whatever reason.
        busy: Attempts that were answered 503.
    """

    def __init__(self) -> None:
        self.done = 0
        self.units = 0
        self.refused = 0
        self.walked_away = 0
        self.unanswered = 0
        self.busy = 0
        self.moods: Counter[Mood] = Counter()

    @property
    def attempts(self) -> int:
        """All attempts of all customers."""
        return self.moods.total()


class UnexpectedAnswerError(BenchError):
    """A customer was told something that the contract has no room for."""


def wish_list(customer: str, *, units: int, dice: random.Random) -> list[Wish]:
    """Return wishes of one to three units that sum up to `units`.

    The last two are for one unit: whatever rest the larger wishes leave, somebody takes it.
    """
    quantities = []
    left = units - _LAST_WISHES
    while left > 0:
        quantities.append(min(left, dice.randint(1, _WISH_UNITS_MAX)))
        left -= quantities[-1]
    quantities += [1] * min(units, _LAST_WISHES)
    return [
        Wish(key=f"{customer}-{number}", customer=customer, quantity=quantity)
        for number, quantity in enumerate(quantities)
    ]


class Customer:
    """One customer, who works through a wish list."""

    def __init__(
        self, venue: Venue, wishes: Sequence[Wish], *, tally: Tally, dice: random.Random
    ) -> None:
        self._venue = venue
        self._wishes = wishes
        self._tally = tally
        self._dice = dice
        self._caller = Caller(host=venue.host, port=venue.port)

    async def shop(self) -> None:
        """Try for each wish until it is settled; the last two are never given up.

        Raises:
            UnexpectedAnswerError: an answer that no customer should get.
        """
        try:
            for number, wish in enumerate(self._wishes):
                is_last = number >= len(self._wishes) - _LAST_WISHES
                await self._pursue(wish, may_walk_away=not is_last)
                self._tally.done += 1
        finally:
            self._caller.hang_up()

    async def _pursue(self, wish: Wish, *, may_walk_away: bool) -> None:
        wish.asked_ns = perf_counter_ns()
        mischief_left = _MISCHIEF_MAX
        while wish.status is None:
            mood = self._mood() if mischief_left else Mood.PATIENT
            mischief_left -= mood is not Mood.PATIENT
            self._tally.moods[mood] += 1
            try:
                await self._attempt(wish, mood)
            except (OSError, asyncio.IncompleteReadError):
                self._tally.unanswered += 1
                await asyncio.sleep(_PAUSE_S)
            if may_walk_away and self._walks_away_from(wish):
                return

    def _walks_away_from(self, wish: Wish) -> bool:
        leaves = wish.status is None and self._dice.random() < _WALKS_AWAY
        self._tally.walked_away += leaves
        return leaves

    def _mood(self) -> Mood:
        return self._dice.choices(_MOODS, _WEIGHTS)[0]

    async def _attempt(self, wish: Wish, mood: Mood) -> None:
        request = _request(self._venue, wish)
        match mood:
            case Mood.PATIENT:
                await self._ask(wish, request)
            case Mood.IMPATIENT:
                await self._ask(wish, request, within_s=self._dice.uniform(0, _IMPATIENCE_MAX_S))
            case Mood.CUT_OFF:
                part = request[: self._dice.randrange(1, len(request))]
                await self._caller.send_and_leave(part, rudely=self._coin())
            case Mood.GONE:
                await self._caller.send_and_leave(request, rudely=self._coin())
            case Mood.DOUBLE_CLICK:
                await self._ask_twice_at_once(wish, request)
            case Mood.AGAIN:
                await self._ask(wish, request)
                await self._ask(wish, request)

    def _coin(self) -> bool:
        return self._dice.random() < 1 / 2

    async def _ask_twice_at_once(self, wish: Wish, request: bytes) -> None:
        second = Caller(host=self._venue.host, port=self._venue.port)
        try:
            outcomes = await asyncio.gather(
                self._ask(wish, request),
                self._ask(wish, request, caller=second),
                return_exceptions=True,
            )
        finally:
            second.hang_up()
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _ask(
        self,
        wish: Wish,
        request: bytes,
        *,
        within_s: float = _PATIENCE_S,
        caller: Caller | None = None,
    ) -> None:
        answer = await (caller or self._caller).ask(request, within_s=within_s)
        if answer.status in _BUSY:
            self._tally.busy += 1
            await asyncio.sleep(min(answer.retry_after_s, _RETRY_AFTER_MAX_S))
            return
        self._settle(wish, answer)

    def _settle(self, wish: Wish, answer: Answer) -> None:
        """Note an answer that settles a wish, or that repeats what settled it."""
        is_first = wish.status is None
        if is_first:
            wish.answered_ns = perf_counter_ns()
            wish.status = answer.status
        if answer.status == HTTPStatus.CREATED == wish.status:
            wish.order_ids.add(msgspec.json.decode(answer.body, type=Order).id)
            self._tally.units += wish.quantity if is_first else 0
        elif answer.status == HTTPStatus.CONFLICT == wish.status:
            self._tally.refused += is_first
        else:
            raise UnexpectedAnswerError(
                f"{wish.key} was answered {answer.status} after {wish.status}: "
                f"{answer.body.decode(errors='replace')[:500]}"
            )


def _request(venue: Venue, wish: Wish) -> bytes:
    order = {
        "product": venue.product,
        "warehouse": WAREHOUSE,
        "quantity": wish.quantity,
        "customer": wish.customer,
    }
    return request_bytes("/orders", msgspec.json.encode(order), key=wish.key)
