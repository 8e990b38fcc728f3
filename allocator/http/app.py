"""The aiohttp application: its routes, and the one middleware that owns what may go wrong."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TypeAlias

import structlog
from aiohttp import web

from allocator.errors import AllocatorError
from allocator.http.context import Context
from allocator.http.names import NameHandlers
from allocator.http.orders import OrderHandlers
from allocator.http.problems import (
    INTERNAL,
    ProblemError,
    problem_of,
    problem_of_http,
    response,
)
from allocator.http.statistics import HttpStatistics
from allocator.http.stocks import StockHandlers

log = structlog.get_logger()

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware: TypeAlias = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]


def make_app(
    context: Context, *, statistics: HttpStatistics, body_max_bytes: int, slow_request_ms: int
) -> web.Application:
    """Return the application of one worker."""
    guard = _guard(statistics, slow_request_s=slow_request_ms / 1000)
    app = web.Application(client_max_size=body_max_bytes, middlewares=[guard])
    for handlers in (OrderHandlers(context), StockHandlers(context), NameHandlers(context)):
        app.add_routes(handlers.routes())
    return app


def _guard(statistics: HttpStatistics, *, slow_request_s: float) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Render what a request may cause as a problem; anything else is our bug, and a 500."""
        started = perf_counter()
        try:
            answer = await handler(request)
        except ProblemError as error:
            answer = response(error.problem, instance=request.path)
        except AllocatorError as error:
            answer = response(problem_of(error), instance=request.path)
            if not error.retryable:
                _log_failure(request)
        except web.HTTPException as error:
            answer = response(problem_of_http(error), instance=request.path)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
        except Exception:  # noqa: BLE001 (a bug may reach the log, and of it nothing the client)
            answer = response(INTERNAL, instance=request.path)
            _log_failure(request)
        took_s = perf_counter() - started
        statistics.count(answer.status, took_s)
        if took_s > slow_request_s:
            _log_slow(request, answer, took_s)
        return answer

    return guard


def _log_failure(request: web.Request) -> None:
    log.exception("request.failed", method=request.method, path=request.path)


def _log_slow(request: web.Request, answer: web.StreamResponse, took_s: float) -> None:
    log.warning(
        "request.slow",
        method=request.method,
        path=request.path,
        status=answer.status,
        took_ms=round(took_s * 1000),
    )
