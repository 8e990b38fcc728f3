"""Carts: open one, put units into it and out again, look at it, give it up."""

import re
from typing import Final

import msgspec
from aiohttp import web

from allocator.actors.messages import Noted
from allocator.domain.carts import Cart as CartState
from allocator.domain.carts import CartNotOpen, CloseCart, OpenCart, SetLine
from allocator.domain.catalogue import PoolRef
from allocator.domain.messages import InsufficientStock
from allocator.domain.orders import Line
from allocator.domain.queries import CartQuery
from allocator.errors import UnavailableError
from allocator.http.answers import EmptyAnswer, JsonAnswer, json_answer
from allocator.http.cart_lookup import CART_SEQ, CartLookup
from allocator.http.cart_shapes import PostCart, PutCartLine
from allocator.http.context import Context, decode_body, key_of, success
from allocator.http.doors import principal_of
from allocator.http.open_carts import OpenCarts
from allocator.http.paging import no_query
from allocator.http.patience import seen_in_time
from allocator.http.problems import ProblemError, invalid, not_found, too_many_carts
from allocator.http.refusals import problem_for

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_NO_NUMBER: Final = (
    'customer must be a number of up to 18 digits in quotes, like "42": the payment provider knows '
    "nobody by anything else"
)

_cart_decoder: Final = msgspec.json.Decoder(PostCart)
_line_decoder: Final = msgspec.json.Decoder(PutCartLine)


class CartHandlers:
    """The routes under /carts, but for checkouts."""

    def __init__(self, context: Context, lookup: CartLookup) -> None:
        self._context = context
        self._lookup = lookup
        self._open = OpenCarts(context.carts, limit=context.cart_terms.open_max)

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.put("/carts/{id}/lines/{warehouse}/{product}", self.put_line),
            web.post("/carts", self.post),
            web.get("/carts/{id}", self.get, allow_head=False),
            web.delete("/carts/{id}", self.delete),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Open a cart; 409 if the customer has as many as may be."""
        body = await decode_body(request, _cart_decoder)
        if not _NUMBER.fullmatch(body.customer):
            raise ProblemError(invalid(_NO_NUMBER))
        principal, key = principal_of(request), key_of(request)
        once: object = object() if key is None else (principal, key)
        if await self._open.is_full(body.customer, once) and not (
            key is not None and await self._context.carts.is_key_used(principal, key)
        ):
            raise ProblemError(too_many_carts(self._open.limit))
        terms = self._context.cart_terms
        command = OpenCart(customer=body.customer, ttl_ms=terms.ttl_ms, cap_ms=terms.cap_ms)
        self._open.begin(body.customer, once)
        try:
            outcome = await self._context.begin(command, principal=principal, key=key, scope="cart")
            if outcome.at_ms + terms.ttl_ms > self._context.clock():  # a repeat may be of old
                self._open.note(body.customer, outcome.actor_id)
        finally:
            self._open.end(body.customer, once)
        state = await self._lookup.state(outcome.actor_id)
        location = f"/carts/{self._context.ids.seal(outcome.actor_id, CART_SEQ)}"
        shape = await self._lookup.shown(outcome.actor_id, state)
        return json_answer(shape, status=201, headers={"Location": location})

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a cart as it stands; never stale."""
        no_query(request)
        actor_id = await self._lookup.actor(request.match_info["id"])
        state = await self._lookup.state(actor_id)
        return json_answer(await self._lookup.shown(actor_id, state))

    async def put_line(self, request: web.Request) -> JsonAnswer:
        """Have so many units of a product in the cart; 409 if there are not enough."""
        body = await decode_body(request, _line_decoder)
        actor_id = await self._lookup.actor(request.match_info["id"])
        pool = await self._pool(request)
        line = Line(
            pool=pool.actor_id,
            warehouse=pool.warehouse,
            product=pool.product,
            quantity=body.quantity,
            told=pool.told,
        )
        answer = await self._context.asker.ask(
            actor_id, SetLine(line=line), principal=principal_of(request)
        )
        if isinstance(answer, Noted):  # it removes what is not there
            state = await self._lookup.state(actor_id)
        else:
            state = await self._settled(actor_id, pool, edit=success(answer).seq)
        return json_answer(await self._lookup.shown(actor_id, state))

    async def delete(self, request: web.Request) -> EmptyAnswer:
        """Give a cart up; once more changes nothing. 409 if it has expired or was paid for."""
        no_query(request)
        if request.body_exists and await request.read() not in {b"", b"{}"}:
            raise ProblemError(invalid("this request takes no body"))
        actor_id = await self._lookup.actor(request.match_info["id"])
        answer = await self._context.asker.ask(
            actor_id, CloseCart(), principal=principal_of(request)
        )
        if answer != CartNotOpen(status="closed"):
            success(answer)
        return EmptyAnswer()

    async def _pool(self, request: web.Request) -> PoolRef:
        warehouse, product = request.match_info["warehouse"], request.match_info["product"]
        pool = await self._context.router.open(warehouse, product)
        if pool is None:
            raise ProblemError(not_found("warehouse or product"))
        return pool

    async def _settled(self, actor_id: int, pool: PoolRef, *, edit: int) -> CartState:
        """Return a cart in which an edit was done.

        Raises:
            ProblemError: 409, it was not.
            UnavailableError: Nobody knows yet.
        """
        seen = await seen_in_time(self._context.asker, actor_id, CartQuery(edit=edit))
        if seen is None:
            reason = "the stock of this product does not answer; the change goes on without you"
            raise UnavailableError(reason=reason)
        cart = seen.cart
        assert cart is not None
        if any(each.seq == edit for each in cart.edits):  # the cart is over, and it never will be
            raise ProblemError(problem_for(CartNotOpen(status=cart.status or "")))
        line = cart.line_of(pool.actor_id)
        if line is not None and line.edit == edit and line.refused is not None:
            requested, available = line.refused
            refusal = InsufficientStock(requested=requested, available=available)
            raise ProblemError(problem_for(refusal))
        return cart
