"""What a body about orders asks for: one line or several, all of an order or a part."""

from typing import Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, UnsetType

from allocator.http.context import decode, require_json
from allocator.http.order_shapes import DispatchLine, PostDispatch
from allocator.http.paging import no_query
from allocator.http.problems import ProblemError, invalid

One = TypeVar("One")
Several = TypeVar("Several")


class _Members(msgspec.Struct, frozen=True):
    lines: Raw | UnsetType = UNSET
    product: Raw | UnsetType = UNSET
    warehouse: Raw | UnsetType = UNSET
    quantity: Raw | UnsetType = UNSET


_LINES: Final = b'"lines"'
"""What an order of several has, nearly always spelled like this, and of one nearly never."""

_members: Final = msgspec.json.Decoder(_Members)
_dispatch: Final = msgspec.json.Decoder(PostDispatch)


def order_in(
    body: bytes, one: msgspec.json.Decoder[One], several: msgspec.json.Decoder[Several]
) -> One | Several:
    """Return the order of one line that a body asks for, or of several if it has `lines`.

    Raises:
        ProblemError: 400 or 422; as `decode`.
    """
    try:
        return several.decode(body) if _LINES in body else one.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _looked_at_closely(body, one, several)


def _looked_at_closely(
    body: bytes, one: msgspec.json.Decoder[One], several: msgspec.json.Decoder[Several]
) -> One | Several:
    try:
        return decode(body, one)
    except ProblemError:
        members = _members_of(body)
        if members is None or members.lines is UNSET:
            raise
    if (members.product, members.warehouse, members.quantity) != (UNSET, UNSET, UNSET):
        raise ProblemError(_MIXED)
    return decode(body, several)


async def parts_in(request: web.Request) -> list[DispatchLine]:
    """Return which units of an order are to leave; none for all that is left.

    Raises:
        ProblemError: 400, 415 or 422.
    """
    no_query(request)
    body = await request.read() if request.body_exists else b""
    if not body:
        return []
    require_json(request)
    lines = decode(body, _dispatch).lines
    return [] if lines is UNSET else lines


def _members_of(body: bytes) -> _Members | None:
    """Return which members a body has, or None if it is no JSON object."""
    try:
        return _members.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


_MIXED: Final = invalid(
    "an order has `lines`, each with its product, warehouse and quantity, or these alone: not both"
)
