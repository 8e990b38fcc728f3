"""After an event: an operator settles what is unknown, carts come to their end, orders leave.

Nothing is killed any more. What cannot be found out in peace fails the event.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar
from urllib.request import urlopen

import msgspec

from bench.chaos_gather import GatherError, ask_all, ask_patiently, until_quiet
from bench.chaos_server import Victim
from bench.databases import fetch_count
from bench.event_crowd import Venue
from bench.event_evidence import Charge, Evidence, Facts
from bench.event_history import History, Numbers, Payment, Sent, Visit
from bench.event_ledger import fetch_journal
from bench.event_requests import (
    Balance,
    Cart,
    Checkout,
    Order,
    Purchase,
    balance_request,
    checkout_request,
    close_request,
    get_request,
    resolve_request,
    send_request,
)
from bench.sale_caller import Caller

_SETTLED_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.1
_LOOKED_UP: Final = 2 / 3
"""So many of what is unknown the operator gets round to; the others stay held."""

_CAPTURING: Final = """
SELECT count(*) FROM journal AS begun
WHERE kind = 'checkout_begun' AND NOT EXISTS (
    SELECT FROM journal AS later
    WHERE later.actor_id = begun.actor_id AND later.seq > begun.seq
      AND later.kind IN ('checkout_paid', 'checkout_failed', 'checkout_unknown'))
"""
_OPEN: Final = """
SELECT count(*) FROM carts WHERE status = 'open' AND NOT EXISTS (
    SELECT FROM checkouts WHERE checkouts.actor_id = carts.actor_id AND status = 'unknown')
"""
_PAID: Final = "SELECT count(*) FROM journal WHERE kind = 'checkout_paid'"


_Ask: TypeAlias = Callable[[Caller, Visit], Awaitable[None]]
_Shape = TypeVar("_Shape")


class _Purchases(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Purchase]
    next_cursor: str | None


class Closing:
    """Brings an event to its end, and looks at it.

    Args:
        dice: Decide what the operator gets round to.
    """

    def __init__(
        self, victim: Victim, venue: Venue, history: History, *, dice: random.Random
    ) -> None:
        self._victim = victim
        self._venue = venue
        self._history = history
        self._dice = dice

    async def evidence(self) -> Evidence:
        """Wait for all that goes on by itself, do what people do, and gather everything.

        Raises:
            GatherError: Something did not come to its end, or was not answered.
        """
        await until_quiet(self._victim)
        await self._until_none(_CAPTURING, "payments are under way")
        charges = self._charges()
        await self._resolve(charges)
        await self._all(self._history.visits, self._close)
        await self._until_none(_OPEN, "carts are open")
        checkouts = await self._checkouts()
        await self._send(checkouts)
        await until_quiet(self._victim)
        facts = Facts(
            history=self._history,
            journal=await asyncio.to_thread(fetch_journal, self._victim.url),
            charges=self._charges(),
            prices=self._venue.prices,
            ends=await self._ends(),
            checkouts=checkouts,
            purchases=await self._purchases(),
            unexplained_ends=self._victim.unexplained_ends,
        )
        return Evidence(facts)

    def _charges(self) -> list[Charge]:
        with urlopen(self._venue.ledger_url) as ledger:
            return [msgspec.json.decode(line, type=Charge) for line in ledger]

    async def _until_none(self, query: str, what: str) -> None:
        try:
            async with asyncio.timeout(_SETTLED_WITHIN_S):
                await _until_zero(self._victim.url, query)
        except TimeoutError as error:
            raise GatherError(f"after {_SETTLED_WITHIN_S:.0f} s {what}") from error

    async def _resolve(self, charges: Sequence[Charge]) -> None:
        """Have the operator look into the provider's ledger for what is unknown."""
        last = {str(charge.client_id): charge for charge in charges}

        async def look_up(caller: Caller, visit: Visit) -> None:
            for payment in visit.payments:
                for checkout in payment.ids:
                    await settle(caller, visit.customer, payment, checkout)

        async def settle(caller: Caller, customer: str, payment: Payment, checkout: str) -> None:
            seen = await _read(caller, checkout_request(checkout), Checkout)
            if seen is None or seen.status != "unknown" or self._dice.random() > _LOOKED_UP:
                return
            charge = last.get(customer)
            payment.resolved = "failed" if charge is None else charge.outcome
            reference = None if charge is None else charge.id
            request = resolve_request(checkout, outcome=payment.resolved, reference=reference)
            answer = await ask_patiently(caller, request)
            if answer.status != HTTPStatus.OK:
                self._history.unexpected.append(f"{payment.key} was not resolved: {answer}")

        await self._all(self._history.visits, look_up)

    async def _close(self, caller: Caller, visit: Visit) -> None:
        """Give up a cart whose payment failed: it would be kept for two minutes more."""
        for name in visit.opened.ids:
            cart = await _read(caller, get_request(f"/carts/{name}"), Cart)
            if cart is None or cart.status != "open" or cart.checkout is None:
                continue
            last = await _read(caller, checkout_request(cart.checkout), Checkout)
            if last is not None and last.status != "unknown":
                await ask_patiently(caller, close_request(name))

    async def _checkouts(self) -> dict[str, Checkout | None]:
        names = sorted(set[str]().union(*(each.ids for each in self._history.payments)))

        async def read(caller: Caller, name: str) -> Checkout | None:
            return await _read(caller, checkout_request(name), Checkout)

        return dict(zip(names, await ask_all(self._venue.port, names, read), strict=True))

    async def _send(self, checkouts: dict[str, Checkout | None]) -> None:
        """Have every order leave of which anybody was told."""
        orders = [
            (each.key, name) for each in self._history.orders if each.is_done for name in each.ids
        ]
        for payment in self._history.payments:
            shown = [checkouts[name] for name in payment.ids]
            orders += [
                (payment.key, each.order)
                for each in shown
                if each is not None and each.order is not None
            ]

        async def send(caller: Caller, accepted: tuple[str, str]) -> Sent:
            key, name = accepted
            answer = await ask_patiently(caller, send_request(name))
            if answer.status != HTTPStatus.OK:
                return Sent(key=key, status=answer.status)
            order = msgspec.json.decode(answer.body, type=Order)
            lines = {line.product: line.quantity for line in order.lines}
            return Sent(key=key, status=answer.status, customer=order.customer, lines=lines)

        self._history.sent += await ask_all(self._venue.port, orders, send)

    async def _ends(self) -> dict[str, tuple[int, Numbers]]:
        products = list(self._venue.prices)

        async def read(caller: Caller, product: str) -> tuple[int, Numbers]:
            seen = await _read(caller, balance_request(product), Balance)
            return (0, (0, 0, 0, 0)) if seen is None else (seen.version, seen.numbers)

        return dict(zip(products, await ask_all(self._venue.port, products, read), strict=True))

    async def _purchases(self) -> list[Purchase]:
        """Return the whole list, which follows the journal, once it is as long as that says."""
        paid = await asyncio.to_thread(fetch_count, self._victim.url, _PAID)
        deadline = asyncio.get_running_loop().time() + _SETTLED_WITHIN_S
        while True:
            listed = (await ask_all(self._venue.port, ["/purchases?limit=200"], _whole_list))[0]
            if len(listed) >= paid or asyncio.get_running_loop().time() > deadline:
                return listed
            await asyncio.sleep(_POLL_S)

    async def _all(self, visits: Sequence[Visit], ask: _Ask) -> None:
        await ask_all(self._venue.port, visits, ask)


async def _until_zero(url: str, query: str) -> None:
    while True:
        if not await asyncio.to_thread(fetch_count, url, query):
            return
        await asyncio.sleep(_POLL_S)


async def _whole_list(caller: Caller, path: str) -> list[Purchase]:
    listed: list[Purchase] = []
    cursor: str | None = ""
    while cursor is not None:
        asked = get_request(f"{path}&cursor={cursor}" if cursor else path)
        page = await _read(caller, asked, _Purchases)
        if page is None:
            raise GatherError(f"{path} is not answered")
        listed += page.items
        cursor = page.next_cursor
    return listed


async def _read(caller: Caller, request: bytes, shape: type[_Shape]) -> _Shape | None:
    answer = await ask_patiently(caller, request)
    return msgspec.json.decode(answer.body, type=shape) if answer.status == HTTPStatus.OK else None
