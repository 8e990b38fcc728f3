"""Clients of a soak: they change and read, give up, lose connections, and keep asking.

All attempts at a change carry the same Idempotency-Key, and go on until an answer settles it. What
a client does is drawn from a seeded die; what the server makes of it is for the proof to judge.
"""

import asyncio
import contextlib
import enum
import itertools
import random
from collections import Counter
from time import perf_counter_ns

import msgspec

from bench.chaos_caller import UnexpectedAnswerError, answer_of, request_of
from bench.chaos_history import Attempt, Kind, NotNow, Operation
from bench.sale_caller import Caller

_PATIENCE_S = (1.0, 5.0)
_LONG_PATIENCE_S = (8.0, 10.0)
_LONG_THOUGHT_S = (0.2, 8.0)
_RECONNECTS = 0.3
_IMPATIENCE_MAX_S = 0.02
_THOUGHT_MAX_S = 0.04
_PAUSE_S = 0.05
_MISCHIEF_MAX = 3
_WALKS_AWAY = 0.02
_LEAVES_IT_TO_OTHERS = 0.2
_SMALL_GAP_NS = 20_000_000
_UNITS_MAX = 3
_DELIVERY_UNITS = (5, 40)
_HOT_SHARE = 0.6

_KINDS = (
    Kind.PLACE,
    Kind.DISPATCH,
    Kind.CANCEL,
    Kind.SEE_BALANCE,
    Kind.SEE_ORDER,
    Kind.RECEIVE,
)
_WEIGHTS = (50, 14, 12, 12, 8, 4)


class Mood(enum.Enum):
    """What a client does with one attempt."""

    PATIENT = "waits"
    IMPATIENT = "gives up after some milliseconds"
    CUT_OFF = "loses the connection in the middle of the request"
    GONE = "hangs up right after the request"
    AGAIN = "asks once more though there was an answer"


_MOODS = tuple(Mood)
_MOOD_WEIGHTS = (76, 8, 4, 5, 7)


class Tally:
    """What has happened so far.

    Attributes:
        attempts: Requests, by what they asked.
        outcomes: What came of them, by the name of the answer.
        gaps: Spans without any settling answer, as (begin, end) in nanoseconds; short ones are
            left out.
        unexpected: Answers that must not be.
    """

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.retries = 0
        self.gaps: list[tuple[int, int]] = []
        self.unexpected: list[str] = []
        self._settled_ns = perf_counter_ns()

    def resume(self) -> None:
        """Go on after a time in which nobody asked."""
        self._settled_ns = perf_counter_ns()

    def settle(self, now_ns: int) -> None:
        """Note an answer that settled something."""
        if now_ns - self._settled_ns > _SMALL_GAP_NS:
            self.gaps.append((self._settled_ns, now_ns))
        self._settled_ns = now_ns


class Shop(msgspec.Struct, kw_only=True):
    """Where the clients are.

    Attributes:
        hot: Products that most want, and of which there is little.
        cold: Products that somebody wants now and then.
        orders: Placed orders that may still be new, as (key, id), by product; shared, so that
            clients get in each other's way.
        history: What all clients did.
    """

    name: str
    port: int
    hot: list[str]
    cold: list[str]
    orders: dict[str, list[tuple[str, str]]] = {}
    history: list[Operation] = []


class Client:
    """One client with one connection at a time."""

    def __init__(self, shop: Shop, number: int, *, tally: Tally, dice: random.Random) -> None:
        self._shop = shop
        self._names = (f"{shop.name}-{number}-{each}" for each in itertools.count())
        self._tally = tally
        self._dice = dice
        self._caller = Caller(host="127.0.0.1", port=shop.port)
        self._patience_s = _PATIENCE_S

    async def shop(self, called_off: asyncio.Event) -> None:
        """Ask until called off, and finish what was begun."""
        try:
            while not called_off.is_set():
                await self._do_something()
                await asyncio.sleep(self._dice.uniform(0, _THOUGHT_MAX_S))
        finally:
            self._caller.hang_up()

    async def look_out(self, called_off: asyncio.Event) -> None:
        """Read a balance now and then over a connection that is mostly idle, and wait long.

        Whoever asks all the time hangs on a worker from the moment it is stopped. This one asks
        it when others have taken its pools over, and hears what it says when it wakes up.
        """
        self._patience_s = _LONG_PATIENCE_S
        try:
            while not called_off.is_set():
                product = self._dice.choice(self._shop.hot)
                look = Operation(key=next(self._names), product=product, kind=Kind.SEE_BALANCE)
                await self._pursue(look, mischief_left=0)
                if self._dice.random() < _RECONNECTS:  # or all hang on whoever was up first
                    self._caller.hang_up()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._dice.uniform(*_LONG_THOUGHT_S)):
                        await called_off.wait()
        finally:
            self._caller.hang_up()

    async def receive(self, product: str, quantity: int) -> None:
        """Take units in."""
        await self._pursue(
            Operation(key=next(self._names), product=product, kind=Kind.RECEIVE, quantity=quantity),
            mischief_left=0,
        )

    async def _do_something(self) -> None:
        dice = self._dice
        product = dice.choice(self._shop.hot if dice.random() < _HOT_SHARE else self._shop.cold)
        kind = dice.choices(_KINDS, _WEIGHTS)[0]
        operation = Operation(key=next(self._names), product=product, kind=kind)
        order_id = ""
        match kind:
            case Kind.PLACE:
                operation.quantity = dice.randint(1, _UNITS_MAX)
            case Kind.RECEIVE:
                operation.quantity = dice.randint(*_DELIVERY_UNITS)
            case Kind.DISPATCH | Kind.CANCEL | Kind.SEE_ORDER:
                orders = self._shop.orders.get(product)
                if not orders:
                    return
                place = dice.randrange(len(orders))
                operation.order, order_id = orders[place]
                if kind.changes and dice.random() > _LEAVES_IT_TO_OTHERS:
                    del orders[place]
            case Kind.SEE_BALANCE:
                pass
        await self._pursue(operation, order_id, mischief_left=_MISCHIEF_MAX)

    async def _pursue(
        self, operation: Operation, order_id: str = "", *, mischief_left: int
    ) -> None:
        request = request_of(operation, order_id)
        self._shop.history.append(operation)
        while not operation.is_settled():
            mood = Mood.PATIENT
            if mischief_left:
                mood = self._dice.choices(_MOODS, _MOOD_WEIGHTS)[0]
                mischief_left -= mood is not Mood.PATIENT
            goes_on = await self._attempt(operation, request, mood)
            if mood is Mood.AGAIN and operation.is_settled():
                await self._attempt(operation, request, Mood.PATIENT)
            if not goes_on or not operation.kind.changes or self._walks_away(operation):
                break
        if operation.kind is Kind.PLACE:
            known = self._shop.orders.setdefault(operation.product, [])
            known += [(operation.key, each) for each in operation.ids]

    def _walks_away(self, operation: Operation) -> bool:
        leaves = not operation.is_settled() and self._dice.random() < _WALKS_AWAY
        operation.given_up |= leaves and operation.kind is not Kind.RECEIVE
        return operation.given_up

    async def _attempt(self, operation: Operation, request: bytes, mood: Mood) -> bool:
        """Ask once and note it; return whether it makes sense to go on."""
        tally = self._tally
        tally.attempts[operation.kind.value] += 1
        tally.retries += bool(operation.attempts)
        attempt = Attempt(perf_counter_ns())
        operation.attempts.append(attempt)
        try:
            if mood in {Mood.CUT_OFF, Mood.GONE}:
                end = self._dice.randrange(1, len(request)) if mood is Mood.CUT_OFF else None
                await self._caller.send_and_leave(request[:end], rudely=self._dice.random() < 1 / 2)
                tally.outcomes["left"] += 1
                return True
            patience = (0, _IMPATIENCE_MAX_S) if mood is Mood.IMPATIENT else self._patience_s
            answer = await self._caller.ask(request, within_s=self._dice.uniform(*patience))
            attempt.answer = answer_of(operation, answer)
            attempt.answered_ns = perf_counter_ns()
        except (OSError, asyncio.IncompleteReadError) as error:
            tally.outcomes["timed out" if isinstance(error, TimeoutError) else "broken"] += 1
            await asyncio.sleep(0 if mood is Mood.IMPATIENT else _PAUSE_S)
            return True
        except UnexpectedAnswerError as error:
            tally.unexpected.append(str(error))
            return False
        self._note(attempt)
        if isinstance(attempt.answer, NotNow):
            await asyncio.sleep(_PAUSE_S)  # shorter than asked for: it is a rude crowd
        return True

    def _note(self, attempt: Attempt) -> None:
        self._tally.outcomes[type(attempt.answer).__name__] += 1
        if attempt.settles and attempt.answered_ns is not None:
            self._tally.settle(attempt.answered_ns)
