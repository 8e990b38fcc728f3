"""Checkouts: pay for a cart, see what becomes of that, settle what nobody knows."""

from hashlib import blake2b
from time import perf_counter
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Outcome
from allocator.domain.carts import Cart as CartState
from allocator.domain.checkouts import BeginCheckout, ResolveCheckout
from allocator.domain.checkouts import Checkout as CheckoutState
from allocator.domain.queries import CheckoutQuery
from allocator.domain.rows import PaidRow
from allocator.errors import UnavailableError
from allocator.http.answers import JsonAnswer, PatientAnswer, json_answer
from allocator.http.cart_lookup import CartLookup, bought_of
from allocator.http.cart_shapes import PaidPurchase, PostResolution
from allocator.http.context import Context, decode_body, key_of, success
from allocator.http.doors import principal_of
from allocator.http.paging import listing, no_query, number, page_of, query
from allocator.http.patience import seen_in_time
from allocator.http.problems import ProblemError, invalid, not_found, overloaded
from allocator.http.shapes import time_of

WAIT_MAX_S: Final = 60

_decoder: Final = msgspec.json.Decoder(PostResolution)
_EMPTY: Final = BeginCheckout(seen=0, prices=(), currency="", client_id=0, timeout_ms=0)
"""Begins nothing, since no cart is at version 0; for a repeat, whose answer is known."""


class CheckoutHandlers:
    """The routes about paying."""

    def __init__(self, context: Context, lookup: CartLookup) -> None:
        self._context = context
        self._lookup = lookup
        self._ids = context.ids

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/carts/{id}/checkout", self.post),
            web.get("/checkouts/{id}", self.get, allow_head=False),
            web.post("/checkouts/{id}/resolve", self.resolve),
            web.get("/purchases", self.list_purchases, allow_head=False),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Begin to pay for a cart: the provider is asked, and nobody waits for it."""
        no_query(request)
        if request.body_exists and await request.read() not in {b"", b"{}"}:
            raise ProblemError(invalid("this request takes no body"))
        actor_id = await self._lookup.actor(request.match_info["id"])
        outcome = await self._begin(actor_id, principal_of(request), key_of(request))
        checkout = await self._checkout(actor_id, outcome.seq)
        shape = self._lookup.checkout(actor_id, checkout)
        location = {"Location": f"/checkouts/{shape.id}"}
        return json_answer(shape, status=202, headers=location)

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a checkout as it stands, or as soon as it is not `capturing` any more."""
        found = query(request, "wait")
        within_s = number(found, "wait", default=0, low=0, high=WAIT_MAX_S)
        actor_id, attempt = await self._lookup.attempt(request.match_info["id"])
        checkout = await self._checkout(actor_id, attempt)
        if within_s and checkout.status == "capturing":
            wanted = CheckoutQuery(attempt, decided=True)
            asker = self._context.asker
            opened = perf_counter()
            seen = await seen_in_time(asker, actor_id, wanted, within_s=within_s)
            if seen is not None and seen.checkout is not None:
                checkout = seen.checkout
            return PatientAnswer(self._lookup.checkout(actor_id, checkout), opened=opened)
        return json_answer(self._lookup.checkout(actor_id, checkout))

    async def resolve(self, request: web.Request) -> JsonAnswer:
        """Settle a checkout that is `unknown`; 409 if it is not."""
        body = await decode_body(request, _decoder)
        actor_id, attempt = await self._lookup.attempt(request.match_info["id"])
        await self._checkout(actor_id, attempt)
        await self._context.ask(
            actor_id,
            ResolveCheckout(
                attempt=attempt,
                outcome=body.outcome,
                reference=None if body.reference is UNSET else body.reference,
            ),
            principal=principal_of(request),
            key=key_of(request),
            scope="resolve",
        )
        return json_answer(self._lookup.checkout(actor_id, await self._checkout(actor_id, attempt)))

    async def list_purchases(self, request: web.Request) -> JsonAnswer:
        """List what was bought, from the read model."""
        found = query(request, "customer", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.carts.paid(found.get("customer"), page)
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=self._purchase,
                position=lambda row: (row.actor_id, row.attempt),
            )
        )

    async def _begin(self, actor_id: int, principal: str, key: str | None) -> Outcome:
        """Begin; a repeat gets its first answer, though the cart is another one by then."""
        try:
            command = await self._command(actor_id)
        except (ProblemError, UnavailableError):
            if key is None or not await self._context.carts.is_key_used(principal, key):
                raise
            command = _EMPTY
        if key is None:
            return success(await self._context.asker.ask(actor_id, command, principal=principal))
        said = b"checkout\n%d" % actor_id  # whatever was in the cart by then
        keyed = KeyedRequest(
            actor_id=actor_id,
            command=command,
            principal=principal,
            key=key,
            request_digest=blake2b(said, digest_size=16).digest(),
        )
        return success(await self._context.asker.ask_once(keyed))

    async def _command(self, actor_id: int) -> BeginCheckout:
        """Return what pays for a cart as it stands.

        Raises:
            ProblemError: 422, it cannot be paid for like that; 503, the provider is not asked now.
            UnavailableError: There is no provider.
        """
        terms = self._context.cart_terms
        if terms.may_charge is None:
            reason = "this server has no payment provider: see --payment-url"
            raise UnavailableError(reason=reason)
        cart = await self._lookup.state(actor_id)
        currency, prices = await self._prices(cart)
        client_id = cart.customer or ""
        if not (client_id.isascii() and client_id.isdigit()):
            raise ProblemError(invalid("the customer of the cart must be a number"))
        if not terms.may_charge():
            raise ProblemError(overloaded("as many charges as may be wait for the provider"))
        return BeginCheckout(
            seen=cart.version,
            prices=tuple(prices.items()),
            currency=currency,
            client_id=int(client_id),
            timeout_ms=terms.timeout_ms,
        )

    async def _prices(self, cart: CartState) -> tuple[str, dict[int, int]]:
        """Return the currency of a cart, and what a unit of each pool costs."""
        known = await self._lookup.prices(cart)
        prices: dict[int, int] = {}
        currencies = {price.currency for price in known.values() if price is not None}
        for each in cart.filled():
            price = known.get(each.line.product)
            if price is None:
                product = each.line.product
                raise ProblemError(invalid("a product in the cart has no price", product=product))
            prices[each.line.pool] = price.amount
        if len(currencies) > 1:
            named = " and ".join(sorted(currencies))
            raise ProblemError(invalid(f"a cart is paid for in one currency, not in {named}"))
        return next(iter(currencies), ""), prices

    async def _checkout(self, actor_id: int, attempt: int) -> CheckoutState:
        seen = await self._context.asker.look(actor_id, CheckoutQuery(attempt))
        if seen.checkout is None:
            raise ProblemError(not_found("checkout"))
        return seen.checkout

    def _purchase(self, row: PaidRow) -> PaidPurchase:
        return PaidPurchase(
            checkout=self._ids.seal(row.actor_id, row.attempt),
            order=self._ids.seal(row.actor_id, row.changed),
            customer=row.customer,
            amount=row.amount,
            currency=row.currency,
            items=[bought_of(item) for item in row.items],
            paid_at=time_of(row.paid_at_ms),
        )
