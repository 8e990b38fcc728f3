"""Who asks, and whether they may."""

from typing import Final

from aiohttp import web

PRINCIPAL: Final = web.RequestKey("principal", str)
"""The name of the API key that a request came with."""


def principal_of(request: web.Request) -> str:
    """Return the name of the API key that a request came with; "" where none is needed."""
    principal: str = request.get(PRINCIPAL, "")
    return principal
