"""Visitors of an event: they fill carts, pay, or order at once; impatient, and sure to ask again.

Each comes once, at a moment of their own. What they do is drawn from a seeded die; what the server
makes of it is for the proof to judge.
"""

import asyncio
import random
import re
from collections import Counter
from http import HTTPStatus
from time import perf_counter_ns
from typing import Final, TypeVar

import msgspec

from bench.event_history import Edit, History, Look, Ordered, Payment, Short, Visit, Wanted
from bench.event_requests import (
    Balance,
    Cart,
    Checkout,
    Problem,
    balance_request,
    cart_request,
    checkout_request,
    close_request,
    edit_request,
    order_request,
    pay_request,
)
from bench.sale_caller import Answer, Caller

_PATIENCE_S: Final = (3.0, 6.0)
_WAIT_S: Final = 2
_IMPATIENCE_MAX_S: Final = 0.02
_PAUSE_S: Final = 0.05
_PAUSE_MAX_S: Final = 0.8
_MISCHIEF: Final = 0.2
_WALKS_AWAY: Final = 0.03
_LOOKS: Final = 0.3
_SHOPPERS, _AT_ONCE, _SEVERAL = 70, 15, 15
_BEST_SELLER: Final = 0.7
_LINES_MAX, _UNITS_MAX, _PAYMENTS_MAX = 3, 3, 3
_CHANGES_MIND: Final = 0.3
_LEAVES, _CLOSES = 0.08, 0.07
_TRIES_AGAIN: Final = 0.7
_ASKS_AGAIN: Final = 0.1
_CREATES: Final = {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}
_LATER: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_NEGATIVE: Final = re.compile(rb"[:,\[]-\d")

_Shape = TypeVar("_Shape")


class Venue(msgspec.Struct, frozen=True, kw_only=True):
    """Where the event is, and what is for sale.

    Attributes:
        hot: What most have come for, and of which there is too little.
        cold: Everything else.
        prices: In minor units, by product.
        ledger_url: Where the provider shows what it was asked for.
    """

    port: int
    ledger_url: str
    hot: list[str]
    cold: list[str]
    prices: dict[str, int]


class Tally:
    """What has happened so far.

    Attributes:
        requests: All that were sent.
        unanswered: Those whose answer never came, for whatever reason.
        gap_ns: The longest time in which nobody got an answer that settled anything.
    """

    def __init__(self) -> None:
        self.requests = self.unanswered = self.later = self.gap_ns = 0
        self.ends: Counter[str] = Counter()
        self._settled_ns = perf_counter_ns()

    def resume(self) -> None:
        """Go on after a time in which nobody asked."""
        self._settled_ns = perf_counter_ns()

    def settle(self, now_ns: int) -> None:
        """Note an answer that settled something."""
        self.gap_ns = max(self.gap_ns, now_ns - self._settled_ns)
        self._settled_ns = now_ns


class Visitor:
    """One customer, with one connection at a time."""

    def __init__(
        self, venue: Venue, number: int, *, history: History, tally: Tally, seed: str
    ) -> None:
        self._venue = venue
        self._customer = str(number)
        self._history = history
        self._tally = tally
        self._dice = random.Random(f"{seed}-{number}")
        self._caller = Caller(host="127.0.0.1", port=venue.port)

    async def come(self) -> None:
        """Do what they have come for."""
        dice = self._dice
        try:
            await self._maybe_look()
            kinds = (self._shop, self._order_at_once, self._order_several)
            await dice.choices(kinds, (_SHOPPERS, _AT_ONCE, _SEVERAL))[0]()
            await self._maybe_look()
        finally:
            self._caller.hang_up()

    async def _shop(self) -> None:
        opened = Wanted(key=f"cart-{self._customer}")
        visit = Visit(customer=self._customer, opened=opened)
        self._history.visits.append(visit)
        cart = _shape(await self._pursue(opened, cart_request(visit), {201}), Cart)
        if cart is None:
            return self._end("never heard of the cart")
        filled = await self._fill(visit, cart.id)
        if filled is None:
            return self._end("the cart expired")
        fate = self._dice.random()
        if fate < _LEAVES:
            return self._end("left the cart")
        if fate < _LEAVES + _CLOSES or not any(filled.values()):
            return await self._close(visit, cart.id)
        return await self._pay(visit, cart.id)

    async def _fill(self, visit: Visit, cart: str) -> dict[str, int] | None:
        """Put some products into the cart; return units by product, or None if it is over."""
        filled: dict[str, int] = {}
        for product in self._some_products():
            quantity = self._dice.randint(1, _UNITS_MAX)
            edit = await self._edit(visit, cart, product, quantity)
            if edit.short is not None and 0 < edit.short[1] < quantity:
                edit = await self._edit(visit, cart, product, edit.short[1])
            if edit.status == HTTPStatus.CONFLICT and edit.short is None:
                return None
            filled[product] = edit.quantity if edit.is_done else 0
        for product, quantity in list(filled.items()):
            if quantity and self._dice.random() < _CHANGES_MIND:
                # Another number each time, so that the journal's rows name what was wanted.
                other = self._dice.choice([0, _UNITS_MAX + self._dice.randint(1, 2)])
                edit = await self._edit(visit, cart, product, other)
                filled[product] = other if edit.is_done else quantity
        return filled

    async def _edit(self, visit: Visit, cart: str, product: str, quantity: int) -> Edit:
        name = f"edit-{self._customer}-{len(visit.edits)}"
        edit = Edit(key=name, product=product, quantity=quantity)
        visit.edits.append(edit)
        answer = await self._pursue(edit, edit_request(cart, edit), {200, 409})
        if answer is not None and answer.status == HTTPStatus.CONFLICT:
            said = msgspec.json.decode(answer.body, type=Problem)
            if said.requested is not None and said.available is not None:
                edit.short = (said.requested, said.available)
        return edit

    async def _pay(self, visit: Visit, cart: str) -> None:
        while len(visit.payments) < _PAYMENTS_MAX:
            payment = Payment(key=f"pay-{self._customer}-{len(visit.payments)}")
            visit.payments.append(payment)
            answer = await self._pursue(payment, pay_request(cart, payment), {202, 409})
            checkout = _shape(answer, Checkout)
            if checkout is None:
                return self._end("could not check out")
            await self._await_outcome(payment, checkout)
            if payment.seen != "failed":
                return self._end(payment.seen)
            if self._dice.random() > _TRIES_AGAIN:
                break
        if self._dice.random() < 1 / 2:
            return self._end("left after a failed payment")
        return await self._close(visit, cart)

    async def _await_outcome(self, payment: Payment, checkout: Checkout) -> None:
        payment.seen = checkout.status
        while payment.seen == "capturing":
            look = Wanted(key="")
            answer = await self._pursue(look, checkout_request(checkout.id, wait_s=_WAIT_S), {200})
            if (seen := _shape(answer, Checkout)) is None:
                return
            payment.seen = seen.status

    async def _close(self, visit: Visit, cart: str) -> None:
        close = Wanted(key=f"close-{visit.customer}")
        await self._pursue(close, close_request(cart), {204, 409})
        self._end("closed the cart")

    async def _order_at_once(self) -> None:
        await self._order({self._product(): self._dice.randint(1, _UNITS_MAX)})

    async def _order_several(self) -> None:
        products = self._some_products(at_least=2)
        await self._order({product: self._dice.randint(1, 2) for product in products})

    async def _order(self, lines: dict[str, int]) -> None:
        order = Ordered(key=f"order-{self._customer}", customer=self._customer, lines=lines)
        self._history.orders.append(order)
        answer = await self._pursue(order, order_request(order), {201, 409})
        if answer is not None and answer.status == HTTPStatus.CONFLICT:
            self._note_shortages(order, msgspec.json.decode(answer.body, type=Problem))
        self._end("ordered" if order.is_done else "found too little")

    def _note_shortages(self, order: Ordered, said: Problem) -> None:
        assert order.answered_ns is not None, "it was answered"
        short = {line.product: (line.requested, line.available) for line in said.lines}
        if len(order.lines) == 1:
            short = {next(iter(order.lines)): (said.requested or 0, said.available or 0)}
        self._history.shorts += [
            Short(
                product=each,
                requested=requested,
                available=available,
                asked_ns=order.asked_ns,
                answered_ns=order.answered_ns,
            )
            for each, (requested, available) in short.items()
        ]
        if any(order.lines.get(each) != requested for each, (requested, _) in short.items()):
            self._history.unexpected.append(f"{order.key} was refused for {short}")

    async def _maybe_look(self) -> None:
        if self._dice.random() > _LOOKS:
            return
        look, product = Wanted(key=""), self._product()
        answer = await self._pursue(look, balance_request(product), {200})
        seen = _shape(answer, Balance)
        if seen is not None and look.answered_ns is not None:
            self._history.looks.append(
                Look(
                    product=product,
                    version=seen.version,
                    numbers=seen.numbers,
                    asked_ns=look.asked_ns,
                    answered_ns=look.answered_ns,
                )
            )

    def _product(self) -> str:
        hot = self._dice.random() < _BEST_SELLER
        return self._dice.choice(self._venue.hot if hot else self._venue.cold)

    def _some_products(self, *, at_least: int = 1) -> list[str]:
        count = self._dice.randint(at_least, _LINES_MAX)
        found = {self._product(): None for _ in range(count)}
        while len(found) < at_least:
            found[self._product()] = None
        return list(found)

    def _end(self, how: str) -> None:
        self._tally.ends[how] += 1

    async def _pursue(self, wanted: Wanted, request: bytes, settles: set[int]) -> Answer | None:
        """Ask until an answer settles it; return that, or None if they walked away."""
        leaves = bool(wanted.key) and self._dice.random() < _WALKS_AWAY
        misses = 0
        while True:
            answer = await self._attempt(wanted, request, settles)
            if wanted.status is not None:
                if wanted.status in _CREATES and self._dice.random() < _ASKS_AGAIN:
                    await self._attempt(wanted, request, settles)  # though there was an answer
                return answer
            if answer is not None or leaves:
                wanted.given_up = True
                return None
            await asyncio.sleep(self._dice.uniform(0, min(_PAUSE_MAX_S, _PAUSE_S * 2**misses)))
            misses += 1

    async def _attempt(self, wanted: Wanted, request: bytes, settles: set[int]) -> Answer | None:
        """Ask once and note it; return an answer that is not about coming back later."""
        self._tally.requests += 1
        asked_ns = perf_counter_ns()
        if not wanted.asked_ns or not wanted.key:  # a reading is about its last attempt
            wanted.asked_ns = asked_ns
        try:
            answer = await self._send(request)
        except (OSError, asyncio.IncompleteReadError):
            answer = None
        if answer is None:
            self._tally.unanswered += 1
            wanted.strays = True
            return None
        if answer.status in _LATER and answer.retry_after_s:
            said = msgspec.json.decode(answer.body, type=Problem)
            self._tally.later += 1
            wanted.strays |= "nothing was done" not in said.detail
            return None
        self._note(wanted, answer, settles)
        return answer

    async def _send(self, request: bytes) -> Answer | None:
        dice = self._dice
        mood = dice.random()
        if mood < _MISCHIEF / 2:  # the connection breaks in the middle of it, or right behind it
            end = dice.randrange(1, len(request)) if dice.random() < 1 / 2 else len(request)
            await self._caller.send_and_leave(request[:end], rudely=dice.random() < 1 / 2)
            return None
        patience = (0.0, _IMPATIENCE_MAX_S) if mood < _MISCHIEF else _PATIENCE_S
        return await self._caller.ask(request, within_s=dice.uniform(*patience))

    def _note(self, wanted: Wanted, answer: Answer, settles: set[int]) -> None:
        now_ns = perf_counter_ns()
        if _NEGATIVE.search(answer.body):
            self._history.negative.append(answer.body.decode(errors="replace")[:300])
        is_repeat = wanted.status is not None
        if answer.status not in settles or (is_repeat and answer.status >= HTTPStatus.BAD_REQUEST):
            self._history.unexpected.append(
                f"{wanted.key or 'a reading'} was answered {answer.status} after {wanted.status}: "
                f"{answer.body.decode(errors='replace')[:300]}"
            )
            return
        if not is_repeat:
            wanted.status, wanted.answered_ns = answer.status, now_ns
            self._tally.settle(now_ns)
        if answer.status in _CREATES:
            wanted.ids.add(msgspec.json.decode(answer.body, type=Named).id)


class Named(msgspec.Struct, frozen=True):
    """Anything that has an id."""

    id: str


def _shape(answer: Answer | None, shape: type[_Shape]) -> _Shape | None:
    """Read an answer, if there is one that is a success."""
    if answer is None or answer.status >= HTTPStatus.BAD_REQUEST:
        return None
    return msgspec.json.decode(answer.body, type=shape)
