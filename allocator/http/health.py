"""Routes for those who run the server: health, readiness, metrics."""

from http import HTTPStatus

from aiohttp import web

from allocator.errors import JournalError
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context
from allocator.http.metrics import CONTENT_TYPE, metrics_text
from allocator.http.shapes import Health


class HealthHandlers:
    """The routes /healthz, /readyz and /metrics."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.get("/healthz", self.healthy),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        ]

    async def healthy(self, _request: web.Request) -> JsonAnswer:
        """Say that the process lives and its loop turns; a restart would help against neither."""
        return json_answer(Health(status="alive"))

    async def ready(self, _request: web.Request) -> JsonAnswer:
        """Say whether requests are served: 503 while starting, repairing, waiting or stopping."""
        if self._context.asker.ready:
            return json_answer(Health(status="ready"))
        return json_answer(
            Health(status="not ready"),
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            headers={"Retry-After": "1"},
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """Return Prometheus metrics; those of the read models only if the database answers."""
        context = self._context
        try:
            lag = await context.readings.lag()
        except JournalError:
            lag = None
        versions = {"version": context.version, "postgresql": context.server_version}
        text = metrics_text(await context.figures(), lag=lag, versions=versions)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
