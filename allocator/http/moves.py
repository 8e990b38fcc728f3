"""Moves of units from one place to another: request one, look at it, see which there were."""

from typing import Final, get_args

import msgspec
from aiohttp import web

from allocator.domain.moves import Move as MoveState
from allocator.domain.moves import MoveStatus, Reason, RepeatMove, RequestMove
from allocator.domain.occurrences import PROCESS_SEQ
from allocator.domain.queries import MoveQuery
from allocator.domain.reconciling import IsFed
from allocator.domain.rows import MoveFilter, MoveRow
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body, key_of
from allocator.http.doors import principal_of
from allocator.http.paging import listing, no_query, page_of, query
from allocator.http.patience import seen_in_time
from allocator.http.place_shapes import Move, MovedLot, MoveReason, PostMove
from allocator.http.problems import ProblemError, invalid, not_decided, not_found
from allocator.http.refusals import problem_for
from allocator.http.shapes import time_of

_decoder: Final = msgspec.json.Decoder(PostMove)
_STATUSES: Final = get_args(MoveStatus)


class MoveHandlers:
    """The routes under /moves."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/moves", self.post),
            web.get("/moves", self.list, allow_head=False),
            web.get("/moves/{id}", self.get, allow_head=False),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Move units; answers when they have arrived. 409 if one of the places says no."""
        body = await decode_body(request, _decoder)
        source = await self._context.pool(body.source, body.product, named="from")
        destination = await self._context.pool(body.destination, body.product, named="to")
        is_fed, key = self._context.feeds.is_fed(destination.warehouse), key_of(request)
        if is_fed and key is None:
            raise ProblemError(problem_for(IsFed()))
        outcome = await self._context.begin(
            RequestMove(
                product=body.product,
                source=source.actor_id,
                destination=destination.actor_id,
                from_code=source.warehouse,
                to_code=destination.warehouse,
                quantity=body.quantity,
                expects=destination.told is not None,
            ),
            principal=principal_of(request),
            key=key,
            scope="move",
            instead=RepeatMove() if is_fed else None,
        )
        shape = self._shape(_row_of(outcome.actor_id, await self._decided(outcome.actor_id)))
        return json_answer(shape, status=201, headers={"Location": f"/moves/{shape.id}"})

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a move as it stands; never stale."""
        no_query(request)
        address = self._ids.unseal(request.match_info["id"])
        row = None
        if address is not None and address[1] == PROCESS_SEQ:
            row = await self._context.readings.requested(address[0])
        if row is None:
            raise ProblemError(not_found("move"))
        if row.status == "in_transit":
            seen = await self._context.asker.look(row.actor_id, MoveQuery())
            assert seen.move is not None
            row = _row_of(row.actor_id, seen.move)
        return json_answer(self._shape(row))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List moves of the read model."""
        found = query(request, "product", "location", "status", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.moves(_filter_of(found), page)
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=self._shape,
                position=lambda row: (row.actor_id, 0),
            )
        )

    async def _decided(self, actor_id: int) -> MoveState:
        """Return a move that is done.

        Raises:
            ProblemError: 409 with the reason if it was refused; 503 if nobody knows yet.
        """
        seen = await seen_in_time(self._context.asker, actor_id, MoveQuery(decided=True))
        if seen is None:
            raise ProblemError(not_decided(self._id(actor_id)))
        move = seen.move
        assert move is not None
        if move.reason is None:
            return move
        problem = problem_for(move.reason)
        facts = problem.facts | {"move": self._id(actor_id)}
        raise ProblemError(msgspec.structs.replace(problem, facts=facts))

    def _id(self, actor_id: int) -> str:
        return self._ids.seal(actor_id, PROCESS_SEQ)

    def _shape(self, row: MoveRow) -> Move:
        return Move(
            id=self._id(row.actor_id),
            product=row.product,
            source=row.from_code,
            destination=row.to_code,
            quantity=row.quantity,
            status=row.status,
            requested_at=time_of(row.requested_at_ms),
            decided_at=None if row.decided_at_ms is None else time_of(row.decided_at_ms),
            lots=[
                MovedLot(origin=self._ids.seal_often(*lot.origin), quantity=lot.quantity)
                for lot in row.lots
            ],
            reason=None if row.reason is None else _reason_of(row.reason),
        )


def _row_of(actor_id: int, move: MoveState) -> MoveRow:
    request = move.request
    assert request is not None, "it begins with one"
    return MoveRow(
        actor_id=actor_id,
        product=request.product,
        from_code=request.from_code,
        to_code=request.to_code,
        quantity=request.quantity,
        status=move.status,
        requested_at_ms=move.requested_at_ms,
        decided_at_ms=move.decided_at_ms,
        lots=move.lots,
        reason=move.reason,
    )


def _reason_of(reason: Reason) -> MoveReason:
    problem = problem_for(reason)
    members = {"type": f"/problems/{problem.type}", "detail": problem.detail} | problem.facts
    return msgspec.convert(members, MoveReason)


def _filter_of(found: dict[str, str]) -> MoveFilter:
    status = found.get("status")
    if status is not None and status not in _STATUSES:
        raise ProblemError(invalid(f"status must be one of {', '.join(_STATUSES)}"))
    return msgspec.convert(
        {name: found[name] for name in MoveFilter.__struct_fields__ if name in found}, MoveFilter
    )
