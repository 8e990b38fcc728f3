"""The aiohttp application: its routes, each inside the one guard that owns what may go wrong.

The guard wraps handlers when they are registered rather than being a middleware: aiohttp pays
for a middleware, and for the application around it, again at every request.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Final, TypeAlias

import structlog
from aiohttp import HttpVersion11, web

from allocator.domain.api_keys import Needed
from allocator.errors import AllocatorError
from allocator.http.adjustments import AdjustmentHandlers
from allocator.http.answers import PatientAnswer, Stream
from allocator.http.batch import BatchHandlers
from allocator.http.cart_lookup import CartLookup
from allocator.http.carts import CartHandlers
from allocator.http.checkouts import CheckoutHandlers
from allocator.http.context import Context
from allocator.http.docs import DocsHandlers
from allocator.http.doors import Doors
from allocator.http.events import SUBSCRIBERS_MAX, EventHandlers
from allocator.http.feeds import FeedHandlers
from allocator.http.health import HealthHandlers
from allocator.http.history import HistoryHandlers
from allocator.http.locations import LocationHandlers
from allocator.http.moves import MoveHandlers
from allocator.http.names import NameHandlers
from allocator.http.orders import OrderHandlers
from allocator.http.problems import (
    EXPECTATION_FAILED,
    INTERNAL,
    Problem,
    ProblemError,
    answer,
    malformed,
    method_not_allowed,
    not_found,
    problem_of,
    problem_of_http,
)
from allocator.http.reconciliations import ReconciliationHandlers
from allocator.http.reference.everything import OPERATIONS
from allocator.http.statistics import HttpStatistics
from allocator.http.stocks import StockHandlers
from allocator.http.tickets import TicketHandlers
from allocator.http.told import ToldHandlers
from allocator.http.webhooks import WebhookHandlers

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NEEDED: Final = {(one.method, one.path): one.role for one in OPERATIONS}
"""The role that each operation needs: what is not described is not served."""

_OPENED: Final = (Stream, PatientAnswer)
"""What its client wanted to take long."""


def make_app(
    context: Context,
    *,
    statistics: HttpStatistics,
    body_max_bytes: int,
    slow_request_ms: int,
    subscribers_max: int = SUBSCRIBERS_MAX,
) -> web.Application:
    """Return the application of one worker."""
    guard = _Guard(context.doors, statistics, slow_request_s=slow_request_ms / 1000)
    app = web.Application(client_max_size=body_max_bytes)
    events = EventHandlers(context, statistics=statistics, subscribers_max=subscribers_max)
    app.on_shutdown.append(events.stop)
    carts = CartLookup(context)
    routes = [
        *OrderHandlers(context).routes(),
        *BatchHandlers(context, line_max_bytes=body_max_bytes).routes(),
        *StockHandlers(context).routes(),
        *AdjustmentHandlers(context).routes(),
        *MoveHandlers(context).routes(),
        *TicketHandlers(context).routes(),
        *CartHandlers(context, carts).routes(),
        *CheckoutHandlers(context, carts).routes(),
        *NameHandlers(context).routes(),
        *LocationHandlers(context).routes(),
        *HistoryHandlers(context).routes(),
        *events.routes(),
        *WebhookHandlers(context).routes(),
        *FeedHandlers(context).routes(),
        *ToldHandlers(context).routes(),
        *ReconciliationHandlers(context).routes(),
        *HealthHandlers(context).routes(),
        *DocsHandlers(version=context.version).routes(),
    ]
    _register(app, routes, guard)
    return app


def _register(app: web.Application, routes: Iterable[web.RouteDef], guard: "_Guard") -> None:
    """Add the routes, then what answers for other methods and other paths."""
    methods: defaultdict[str, set[str]] = defaultdict(set)
    for route in routes:
        handler = guard.around(route.handler, needed=_NEEDED[route.method, route.path])
        # RFC 9110 §9.1: whoever knows GET knows HEAD.
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            methods[route.path].add(method)
            app.router.add_route(method, route.path, handler, expect_handler=_meet_expectation)
    for path, known in methods.items():
        refuse = _refuser(method_not_allowed(frozenset(known)))
        app.router.add_route("*", path, guard.around(refuse, needed="none"))
    unknown = _refuser(not_found("route; /openapi.json lists them"))
    app.router.add_route("*", "/{path:.*}", guard.around(unknown, needed="none"))


async def _meet_expectation(request: web.Request) -> web.StreamResponse | None:
    """Give leave to send a body: the one expectation that RFC 9110 §10.1.1 knows."""
    if request.headers["Expect"].lower() != "100-continue":
        return answer(EXPECTATION_FAILED, instance=request.rel_url.raw_path)
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # by which aiohttp tells whether an answer has begun
    return None


def _refuser(problem: Problem) -> Handler:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        raise ProblemError(problem)

    return refuse


class _Guard:
    """Renders what a request may cause as a problem; anything else is our bug, and a 500."""

    def __init__(self, doors: Doors, statistics: HttpStatistics, *, slow_request_s: float) -> None:
        self._doors = doors
        self._statistics = statistics
        self._slow_request_s = slow_request_s

    def around(self, handler: Handler, *, needed: Needed) -> Handler:
        """Return the handler, guarded: whoever has not the role that is needed stays outside."""
        admission = None if needed == "none" else self._doors.admission(needed)

        async def guarded(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            try:
                if admission is not None and not admission.at_once(request):
                    await admission.after_a_look(request)
                result = await handler(request)
            except Exception as error:  # noqa: BLE001 (of a bug, the client sees only that there is one)
                result = self._rescue(request, error)
            took_s = (result.opened if isinstance(result, _OPENED) else perf_counter()) - started
            self._statistics.count(result.status, took_s)
            if took_s > self._slow_request_s:
                _log_slow(request, result, took_s)
            return result

        return guarded

    def _rescue(self, request: web.Request, error: Exception) -> web.StreamResponse:
        match error:
            case ProblemError(problem=problem):
                pass
            case AllocatorError(retryable=True):
                problem = problem_of(error)
            case web.HTTPException():
                problem = problem_of_http(error)
            case web.RequestPayloadError():
                problem = malformed("the body is not encoded as its head says")
            case ConnectionError():  # the client is gone: this reaches nobody
                problem = malformed("the connection ended before the body did")
            case _:
                problem = problem_of(error) if isinstance(error, AllocatorError) else INTERNAL
                log.error(
                    "request.failed", method=request.method, path=request.path, exc_info=error
                )
        return answer(problem, instance=request.rel_url.raw_path)


def _log_slow(request: web.Request, result: web.StreamResponse, took_s: float) -> None:
    log.warning(
        "request.slow",
        method=request.method,
        path=request.path,
        status=result.status,
        took_ms=round(took_s * 1000),
    )
