"""Stocks and their balances."""

from datetime import datetime
from typing import Final

import msgspec
from aiohttp import web

from allocator.domain.catalogue import PoolRef, is_code
from allocator.domain.messages import ReceiveStock, StockReceived
from allocator.domain.past import Pruned, TooFarBack
from allocator.domain.pool import Balance, Lot
from allocator.domain.queries import BalanceQuery, LotQuery
from allocator.domain.reconciling import IsFed, RepeatReceipt
from allocator.domain.rows import StockRow
from allocator.domain.values import units_of
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body, key_of
from allocator.http.doors import principal_of
from allocator.http.moments import Moment, moment_in, pruned, too_far_back
from allocator.http.paging import listing, no_query, page_of, query
from allocator.http.problems import ProblemError, invalid, not_found
from allocator.http.refusals import problem_for
from allocator.http.shapes import TIME_MAX_MS, PostStock, ms_of
from allocator.http.shaping import balance_of, balance_shape, stock_of

_decoder: Final = msgspec.json.Decoder(PostStock)
_NOTHING: Final = Balance(version=0, available=0, ordered=0, held=0, expired=0)


class StockHandlers:
    """The routes under /stocks and /stock-balances."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/stocks", self.post),
            web.get("/stocks", self.list, allow_head=False),
            web.get("/stocks/{id}", self.get, allow_head=False),
            web.get("/stock-balances", self.list_balances, allow_head=False),
            web.get("/stock-balances/{warehouse}/{product}", self.balance, allow_head=False),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Receive units as one lot."""
        body = await decode_body(request, _decoder)
        is_fed, key = self._context.feeds.is_fed(body.warehouse), key_of(request)
        if is_fed and key is None:
            raise ProblemError(problem_for(IsFed()))
        pool = await self._context.pool(body.warehouse, body.product)
        command = ReceiveStock(
            quantity=body.quantity,
            lot=body.lot,
            expires_at_ms=None if body.expires_at is None else _expiry_ms(body.expires_at),
            reference=body.reference,
            product=pool.told,
        )
        outcome = await self._context.ask(
            pool.actor_id,
            command,
            principal=principal_of(request),
            key=key,
            scope="stock",
            instead=RepeatReceipt() if is_fed else None,
        )
        event = outcome.event
        assert isinstance(event, StockReceived)
        stock = stock_of(
            self._ids,
            StockRow(
                actor_id=pool.actor_id,
                seq=outcome.seq,
                warehouse=pool.warehouse,
                product=pool.product,
                quantity=event.quantity,
                available=event.quantity,
                received_at_ms=outcome.at_ms,
                expires_at_ms=event.expires_at_ms,
                lot=event.lot,
                reference=event.reference,
            ),
        )
        return json_answer(stock, status=201, headers={"Location": f"/stocks/{stock.id}"})

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a stock as it stands; never stale. A used-up one stays readable."""
        no_query(request)
        pool, seq = await self._context.address(request.match_info["id"], what="stock")
        seen = await self._context.asker.look(pool.actor_id, LotQuery(seq))
        if seen.lot is not None:
            product = seen.product or pool.product
            return json_answer(stock_of(self._ids, _row_of(pool, seen.lot, product=product)))
        row = await self._context.readings.received(pool, seq)
        if row is None:
            raise ProblemError(not_found("stock"))
        return json_answer(stock_of(self._ids, row))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List stocks of which something is on hand."""
        found = query(request, "product", "warehouse", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.stocks(
            warehouse=found.get("warehouse"), product=found.get("product"), page=page
        )
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=lambda row: stock_of(self._ids, row),
                position=lambda row: (row.actor_id, row.seq),
            )
        )

    async def balance(self, request: web.Request) -> JsonAnswer:
        """Return the numbers of a pair, as they stand or stood; zeros if it was never used."""
        found = query(request, "at", "version") if request.rel_url.raw_query_string else {}
        moment = moment_in(found, now_ms=self._context.clock()) if found else None
        warehouse, product = request.match_info["warehouse"], request.match_info["product"]
        pool = await self._context.router.find(warehouse, product)
        if pool is None:
            await require_both(self._context, warehouse, product)
            balance = _NOTHING
        else:
            seen = await self._context.asker.look(pool.actor_id, BalanceQuery(pool.told))
            balance = seen.balance or _NOTHING
        if moment is not None:
            balance = await self._former(pool, moment, present=balance)
        return json_answer(
            balance_shape(warehouse, product, balance),
            headers={"ETag": f'"{balance.version}"'},
        )

    async def _former(self, pool: PoolRef | None, moment: Moment, *, present: Balance) -> Balance:
        """Return the numbers at a moment.

        Everything that was decided up to it is durable, for `present` waited for that, and what is
        decided now happens later. So whoever asks again is answered the same.
        """
        past, version = self._context.past, moment.version
        if pool is not None and moment.at_ms is not None:
            known = await past.version_at(pool.actor_id, at_ms=moment.at_ms)
            if isinstance(known, Pruned):
                raise ProblemError(pruned(known))
            version = known
        elif version is not None and version > present.version:
            what = f"version {version} yet; the present one is {present.version}"
            raise ProblemError(not_found(what))
        if pool is None or version is None or version == present.version:
            return present
        balance = await past.balance(pool.actor_id, version=version, product=pool.told)
        match balance:
            case Pruned():
                raise ProblemError(pruned(balance))
            case TooFarBack():
                raise ProblemError(too_far_back(balance))
            case _:
                return balance

    async def list_balances(self, request: web.Request) -> JsonAnswer:
        """List balances of the read model."""
        found = query(request, "product", "warehouse", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.balances(
            warehouse=found.get("warehouse"), product=found.get("product"), page=page
        )
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=balance_of,
                position=lambda row: (row.actor_id, 0),
            )
        )


async def require_both(context: Context, warehouse: str, product: str) -> None:
    """See to it that both names in a path stand for something.

    Raises:
        ProblemError: 404, naming what does not exist.
    """
    catalogue = context.catalogue
    if not is_code(warehouse) or not (
        await catalogue.warehouse(warehouse) or await catalogue.location(warehouse)
    ):
        raise ProblemError(not_found("warehouse"))
    if not is_code(product) or await catalogue.product(product) is None:
        raise ProblemError(not_found("product"))


def _expiry_ms(at: datetime) -> int:
    at_ms = ms_of(at)
    if at_ms > TIME_MAX_MS:
        raise ProblemError(invalid("expires_at must lie before the year 10000 of UTC"))
    return at_ms


def _row_of(pool: PoolRef, lot: Lot, *, product: str) -> StockRow:
    return StockRow(
        actor_id=pool.actor_id,
        seq=lot.seq,
        warehouse=pool.warehouse,
        product=product,
        quantity=lot.quantity,
        available=lot.available,
        received_at_ms=lot.received_at_ms,
        expires_at_ms=lot.expires_at_ms,
        lot=lot.code,
        reference=lot.reference,
        origin=lot.origin,
        aside=lot.aside,
        recalled=units_of(lot.recalled),
    )
