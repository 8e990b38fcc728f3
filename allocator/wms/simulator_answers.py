"""How the simulated warehouse system reads and writes."""

import math
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from allocator.wms.shapes import Body

_T = TypeVar("_T")
_JSON: Final = "application/json"

_encode: Final = msgspec.json.Encoder().encode


async def asked(request: web.Request, shape: type[_T]) -> _T:
    """Return what a request says.

    Raises:
        web.HTTPException: It says something else.
    """
    if request.content_type != _JSON:
        raise web.HTTPUnsupportedMediaType(text=_told(f"send {_JSON}"), content_type=_JSON)
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=_told(str(error)), content_type=_JSON) from error


def answer(body: Body) -> web.Response:
    """Answer a request."""
    return web.Response(body=_encode(body), content_type=_JSON)


def complaint(status: HTTPStatus, what: str, *, retry_after_s: float | None = None) -> web.Response:
    """Say why a request is not answered, and when it may be."""
    headers = {} if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}
    return web.Response(status=status, text=_told(what), content_type=_JSON, headers=headers)


def _told(what: str) -> str:
    return _encode({"error": what}).decode()
