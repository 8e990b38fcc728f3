"""Ticket options: open one, look at it, buy from it, see who did."""

from typing import Final, TypeAlias

import msgspec
from aiohttp import web

from allocator.domain.messages import OpenTicketOption, PlaceOrder, TicketOptionOpened
from allocator.domain.occurrences import OPTION_SEQ
from allocator.domain.queries import BalanceQuery
from allocator.http.answers import EmptyAnswer, JsonAnswer, json_answer
from allocator.http.context import Context, decode_body, key_of
from allocator.http.doors import principal_of
from allocator.http.paging import listing, no_query, page_of, query
from allocator.http.problems import ProblemError, not_found
from allocator.http.shapes import PostPurchase, PostTicketOption, Purchase, TicketOption, time_of

_option_decoder: Final = msgspec.json.Decoder(PostTicketOption)
_purchase_decoder: Final = msgspec.json.Decoder(PostPurchase)

_KNOWN_MAX: Final = 100_000

_Known: TypeAlias = tuple[int, TicketOptionOpened]


class TicketHandlers:
    """The routes under /ticket_options."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids
        self._known: dict[str, _Known] = {}

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        purchases = "/ticket_options/{id}/purchases"
        return [
            web.post(purchases, self.purchase),  # first, as it is looked for most
            web.get(purchases, self.list_purchases, allow_head=False),
            web.get("/ticket_options/{id}", self.get, allow_head=False),
            web.post("/ticket_options", self.post),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Open an option."""
        body = await decode_body(request, _option_decoder)
        outcome = await self._context.begin(
            OpenTicketOption(name=body.name, desc=body.desc, allocation=body.allocation),
            principal=principal_of(request),
            key=key_of(request),
            scope="ticket_option",
        )
        event = outcome.event
        assert isinstance(event, TicketOptionOpened)
        option = self._shape(outcome.actor_id, event, allocation=event.allocation)
        location = {"Location": f"/ticket_options/{option.id}"}
        return json_answer(option, status=201, headers=location)

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return an option with what is left of it; never stale."""
        no_query(request)
        actor_id, opened = await self._option(request)
        seen = await self._context.asker.look(actor_id, BalanceQuery())
        assert seen.balance is not None
        return json_answer(self._shape(actor_id, opened, allocation=seen.balance.available))

    async def purchase(self, request: web.Request) -> EmptyAnswer:
        """Sell tickets, all or none; 409 if fewer are left."""
        body = await decode_body(request, _purchase_decoder)
        known = self._known.get(request.match_info["id"])
        actor_id, _ = known or await self._option(request)
        await self._context.ask(
            actor_id,
            PlaceOrder(quantity=body.quantity, customer=body.user_id.lower()),
            principal=principal_of(request),
            key=key_of(request),
            scope="purchase",
        )
        return EmptyAnswer()

    async def list_purchases(self, request: web.Request) -> JsonAnswer:
        """List the purchases of an option from the read model, oldest first."""
        found = query(request, "limit", "cursor")
        page = page_of(found)
        actor_id, _ = await self._option(request)
        rows = await self._context.tickets.purchases(actor_id, page)
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=lambda row: Purchase(
                    user_id=row.customer,
                    quantity=row.quantity,
                    purchased_at=time_of(row.created_at_ms),
                ),
                position=lambda row: (0, row.seq),
            )
        )

    async def _option(self, request: web.Request) -> _Known:
        """Return the actor that the id in the path stands for, and what it was opened with.

        Neither ever changes, so what was found is remembered.
        """
        sealed = request.match_info["id"]
        known = self._known.get(sealed)
        if known is not None:
            return known
        address = self._ids.unseal(sealed)
        if address is not None and address[1] == OPTION_SEQ:
            opened = await self._context.tickets.option(address[0])
            if opened is not None:
                if len(self._known) >= _KNOWN_MAX:
                    self._known.clear()
                self._known[sealed] = address[0], opened
                return address[0], opened
        raise ProblemError(not_found("ticket option"))

    def _shape(self, actor_id: int, opened: TicketOptionOpened, *, allocation: int) -> TicketOption:
        return TicketOption(
            id=self._ids.seal(actor_id, OPTION_SEQ),
            name=opened.name,
            desc=opened.desc,
            allocation=allocation,
        )
