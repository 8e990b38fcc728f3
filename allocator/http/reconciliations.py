"""What was found different between warehouse systems (WMS) and us, each with an explanation."""

import re
from typing import Final

from aiohttp import web

from allocator.domain.catalogue import is_code
from allocator.domain.reconciling import LotReconciled
from allocator.domain.values import units_of
from allocator.feeding.history import ENDLESS, Place, Reconciliation
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context
from allocator.http.feed_shapes import ShownReconciliation
from allocator.http.paging import limit_of, listing, name_cursor, query
from allocator.http.problems import ProblemError, invalid, not_found
from allocator.http.shapes import TIME_MAX_MS, time_of

_CURSOR: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})\.([0-9]{1,19})")


class ReconciliationHandlers:
    """The route that lists them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ids = context.ids

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        path = "/wms/feeds/{warehouse}/reconciliations"
        return [web.get(path, self.list, allow_head=False)]

    async def list(self, request: web.Request) -> JsonAnswer:
        """List reconciliations of a warehouse, or of a product there, the newest first."""
        found = query(request, "product", "limit", "cursor")
        warehouse, limit = request.match_info["warehouse"], limit_of(found)
        standing = await self._context.feeds.find(warehouse) if is_code(warehouse) else None
        if standing is None:
            raise ProblemError(not_found("feed"))
        pool, before = None, _place_in(name_cursor(found))
        rows = []
        if "product" in found:
            pool = await self._context.router.find(warehouse, found["product"])
        if pool is not None or "product" not in found:
            rows = list(
                await self._context.history.reconciliations(
                    standing.actor_id,
                    before=before,
                    limit=limit,
                    pool=None if pool is None else pool.actor_id,
                )
            )
        return json_answer(listing(rows, limit=limit, shape=self._shape, position=_cursor_of))

    def _shape(self, row: Reconciliation) -> ShownReconciliation:
        place, event = row.place, row.event
        return ShownReconciliation(
            id=self._ids.seal(place.actor_id, place.seq),
            at=time_of(place.at_ms),
            product=row.product,
            batch=event.code,
            as_of=event.as_of,
            orderable=event.orderable,
            applied=event.applied,
            counted=event.before,
            change=appeared(event),
            available=event.available,
            shortfall=event.short,
            explanation=explanation(event),
        )


def appeared(event: LotReconciled) -> int:
    """Return how many units became available; negative if so many are not there after all."""
    return event.opened + units_of(event.changes)


def explanation(event: LotReconciled) -> str:
    """Say in a sentence what was found, and what came of it."""
    theirs = event.orderable + event.applied
    said = f"the WMS says {event.orderable} orderable"
    if event.applied:
        said += f" and has applied {event.applied} of ours, {theirs} together"
    return f"{said}; we counted {event.before}: {_outcome(event)}"


def _outcome(event: LotReconciled) -> str:
    change = appeared(event)
    if change > 0:
        there = f"{change} more {'is' if change == 1 else 'are'} available"
    elif change < 0:
        there = f"{-change} fewer {'is' if change == -1 else 'are'} available"
    else:
        there = "nothing became available"
    if past := units_of(event.expired):
        there += f", {past} past their date {'is' if past == 1 else 'are'} gone"
    if not event.short:
        return there
    if event.short == 1:
        return f"{there}, and 1 unit that is promised or set aside is missing"
    return f"{there}, and {event.short} units that are promised or set aside are missing"


def _cursor_of(row: Reconciliation) -> str:
    return f"{row.place.at_ms}.{row.place.actor_id}.{row.place.seq}"


def _place_in(cursor: str) -> Place | None:
    if not cursor:
        return None
    match = _CURSOR.fullmatch(cursor)
    numbers = [] if match is None else [int(each) for each in match.groups()]
    if not numbers or numbers[0] > TIME_MAX_MS or max(numbers) > ENDLESS:
        raise ProblemError(invalid("cursor must be a next_cursor of the same list, unchanged"))
    return Place(*numbers)
