"""Adjustments of stock: units found, gone, set aside or released, and the history of that."""

import re
from typing import Final, NoReturn

import msgspec
from aiohttp import web

from allocator.domain.adjustments import AVAILABLE, EXPIRED, STATES, Adjust, SetState, UnitsAdjusted
from allocator.domain.catalogue import PoolRef
from allocator.domain.rows import AdjustmentRow
from allocator.http.adjustment_shapes import (
    Adjustment,
    PostAdjustment,
    PutState,
    StateChange,
    StateRecall,
)
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body, key_of
from allocator.http.doors import principal_of
from allocator.http.paging import listing, page_of, query
from allocator.http.problems import (
    ProblemError,
    invalid,
    not_found,
    version_required,
)
from allocator.http.shapes import time_of
from allocator.http.stocks import require_both

_decoder: Final = msgspec.json.Decoder(PostAdjustment)
_state_decoder: Final = msgspec.json.Decoder(PutState)
_VERSION: Final = re.compile(r'"(0|[1-9][0-9]{0,17})"')


class AdjustmentHandlers:
    """The routes under /adjustments, and the one that sets a state."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids
        self._states = {AVAILABLE, EXPIRED, *STATES, *context.states}

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/adjustments", self.post),
            web.get("/adjustments", self.list, allow_head=False),
            web.put("/stock-balances/{warehouse}/{product}/{state}", self.put),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Adjust units; 409 if there are not so many in the state."""
        body = await decode_body(request, _decoder)
        source, target, quantity = self._wanted(body)
        pool = await self._context.pool(body.warehouse, body.product)
        command = Adjust(
            source=source,
            target=target,
            quantity=quantity,
            lot=None if body.stock is None else self._lot(pool, body.stock),
            reason=body.reason,
            reference=body.reference,
            product=pool.told,
        )
        shape = await self._do(request, pool, command)
        return json_answer(shape, status=201)

    async def put(self, request: web.Request) -> JsonAnswer:
        """Set a state to what was counted; 412 if that is stale, 428 without a version."""
        body = await decode_body(request, _state_decoder)
        state = request.match_info["state"]
        if state not in self._states:
            raise ProblemError(not_found("state"))
        warehouse, product = request.match_info["warehouse"], request.match_info["product"]
        await require_both(self._context, warehouse, product)
        version = _version_in(request)
        pool = await self._context.pool(warehouse, product)
        command = SetState(
            state=state,
            quantity=body.quantity,
            version=version,
            reason=body.reason,
            reference=body.reference,
            product=pool.told,
        )
        shape = await self._do(request, pool, command)
        return json_answer(shape, headers={"ETag": f'"{shape.version}"'})

    async def list(self, request: web.Request) -> JsonAnswer:
        """List adjustments of the journal, by place and product, each place's in their order."""
        found = query(request, "product", "warehouse", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.adjustments(
            warehouse=found.get("warehouse"), product=found.get("product"), page=page
        )
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=self._shape,
                position=lambda row: (row.actor_id, row.seq),
            )
        )

    async def _do(
        self, request: web.Request, pool: PoolRef, command: Adjust | SetState
    ) -> Adjustment:
        outcome = await self._context.ask(
            pool.actor_id,
            command,
            principal=principal_of(request),
            key=key_of(request),
            scope="adjustment",
        )
        assert isinstance(outcome.event, UnitsAdjusted)
        return self._shape(
            AdjustmentRow(
                actor_id=pool.actor_id,
                seq=outcome.seq,
                warehouse=pool.warehouse,
                product=pool.product,
                at_ms=outcome.at_ms,
                event=outcome.event,
            )
        )

    def _wanted(self, body: PostAdjustment) -> tuple[str | None, str | None, int | None]:
        """Return (source, target, quantity); 422 if the body says too much or too little."""
        for state in (body.state, body.source, body.target):
            if state is not None and state not in self._states:
                names = ", ".join(sorted(self._states))
                raise ProblemError(invalid(f"there is no state {state}; there are {names}"))
        return _by_delta(body, body.delta) if body.delta is not None else _by_move(body)

    def _lot(self, pool: PoolRef, sealed: str) -> int:
        address = self._ids.unseal(sealed)
        if address is None or address[0] != pool.actor_id:
            raise ProblemError(invalid("stock must be the id of a stock of this product there"))
        return address[1]

    def _shape(self, row: AdjustmentRow) -> Adjustment:
        event, ids, actor_id = row.event, self._ids, row.actor_id
        return Adjustment(
            id=ids.seal(actor_id, row.seq),
            product=row.product,
            warehouse=row.warehouse,
            at=time_of(row.at_ms),
            reason=event.reason,
            reference=event.reference,
            changes=[
                StateChange(
                    stock=ids.seal_often(actor_id, lot),
                    source=source,
                    target=target,
                    quantity=units,
                )
                for lot, source, target, units in event.changes
            ],
            recalled=[
                StateRecall(stock=ids.seal_often(actor_id, lot), state=state, quantity=units)
                for lot, state, units in event.recalled
            ],
            version=row.seq,
        )


def _by_delta(body: PostAdjustment, delta: int) -> tuple[str | None, str | None, int | None]:
    if body.source is not None or body.target is not None or body.quantity is not None:
        _refuse("delta goes with state alone; from, to and quantity are for units that stay")
    state = body.state or AVAILABLE
    if not delta:
        _refuse("delta must not be 0")
    if delta < 0:
        return state, None, -delta
    if state == EXPIRED:
        _refuse("units expire by themselves, at their time; expired ones can be written off")
    return None, state, delta


def _by_move(body: PostAdjustment) -> tuple[str | None, str | None, int | None]:
    source, target = body.source or AVAILABLE, body.target or AVAILABLE
    if body.state is not None:
        _refuse("state goes with delta; say from and to")
    if EXPIRED in {source, target}:
        _refuse("expired units can only be written off: a negative delta with state expired")
    if source == target:
        _refuse(f"from and to are both {source}: nothing would change; or a delta is missing")
    if body.quantity is None and body.stock is None:
        _refuse("quantity is missing; only all of one stock needs none")
    return source, target, body.quantity


def _refuse(why: str) -> NoReturn:
    raise ProblemError(invalid(why))


def _version_in(request: web.Request) -> int:
    """Return the version that the client has read."""
    sent = request.headers.getall("If-Match", [])
    if not sent or sent == ["*"]:
        raise ProblemError(version_required())
    match = _VERSION.fullmatch(sent[0].strip()) if len(sent) == 1 else None
    if match is None:
        raise ProblemError(invalid('If-Match must be the ETag of a balance, such as "7"'))
    return int(match[1])
