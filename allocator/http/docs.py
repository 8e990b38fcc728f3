"""Routes that explain the API: a document for programs, a page for people."""

from typing import Final

import msgspec
from aiohttp import web

from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.openapi import document
from allocator.http.page.whole import page
from allocator.http.problems import ProblemError, not_found
from allocator.http.reference.problem_types import PROBLEM_TYPES, explanation
from allocator.http.reference.server import HTML

_UNCACHED: Final = "no-cache"


class DocsHandlers:
    """The routes /openapi.json, /docs and /problems/{type}; made once, then only sent."""

    def __init__(self, *, version: str) -> None:
        self._document = msgspec.json.encode(document(version=version))
        rendered = page(version=version)
        self._page = rendered.html
        self._page_headers = {
            "Content-Type": HTML,
            "Content-Security-Policy": rendered.security_policy,
            "Cache-Control": _UNCACHED,
        }

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.get("/openapi.json", self.openapi, allow_head=False),
            web.get("/docs", self.docs, allow_head=False),
            web.get("/problems/{type}", self.problem_type, allow_head=False),
        ]

    async def openapi(self, _request: web.Request) -> JsonAnswer:
        """Return the document."""
        return JsonAnswer(self._document)

    async def docs(self, _request: web.Request) -> web.Response:
        """Return the page."""
        return web.Response(body=self._page, headers=self._page_headers)

    async def problem_type(self, request: web.Request) -> web.StreamResponse:
        """Explain a type of problem: to programs here, to browsers on the page."""
        kind = PROBLEM_TYPES.get(request.match_info["type"])
        if kind is None:
            raise ProblemError(not_found("type of problem"))
        vary = {"Vary": "Accept"}
        if "text/html" in request.headers.get("Accept", ""):
            location = f"/docs#problem-{kind.name}"
            return web.Response(status=302, headers=vary | {"Location": location})
        return json_answer(explanation(kind), headers=vary)
