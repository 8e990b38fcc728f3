"""Lists: `?limit=`, an opaque `?cursor=`, and filters; an unknown parameter is an error."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from allocator.domain.catalogue import is_code
from allocator.domain.rows import Address, Page
from allocator.http.problems import ProblemError, invalid
from allocator.http.shapes import Listing

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
PARAMETER_MAX: Final = 255

_BIGINT_MAX: Final = (1 << 63) - 1

Row = TypeVar("Row")
Shape = TypeVar("Shape")

_address_decoder: Final = msgspec.json.Decoder(Address)


def query(request: web.Request, *names: str) -> dict[str, str]:
    """Return the query parameters, of which only `names` may be there.

    Raises:
        ProblemError: 422, naming one that is unknown, repeated, or unfit for a database.
    """
    found: dict[str, str] = {}
    for name, text in request.query.items():
        if name not in names:
            known = ", ".join(names) or "none"
            raise ProblemError(invalid(f"unknown parameter {name!r}; known are: {known}"))
        if name in found:
            raise ProblemError(invalid(f"parameter {name!r} is given twice"))
        if len(text) > PARAMETER_MAX or not text.isprintable():
            raise ProblemError(
                invalid(f"{name} must be at most {PARAMETER_MAX} printable characters")
            )
        found[name] = text
    return found


def no_query(request: web.Request) -> None:
    """Refuse query parameters where there are none; who sends one believes that it counts.

    Raises:
        ProblemError: 422.
    """
    if request.rel_url.raw_query_string:
        query(request)


def number(found: dict[str, str], name: str, *, default: int, low: int, high: int) -> int:
    """Return a number among the parameters.

    Raises:
        ProblemError: 422, it is none or out of bounds.
    """
    text = found.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() and len(text) < len(str(1 << 64)) else -1
    if not low <= value <= high:
        raise ProblemError(invalid(f"{name} must be a whole number from {low} to {high}"))
    return value


def limit_of(found: dict[str, str], *, default: int = LIMIT_DEFAULT) -> int:
    """Return how many items a page may have."""
    return number(found, "limit", default=default, low=1, high=LIMIT_MAX)


def page_of(found: dict[str, str]) -> Page:
    """Return which page of a list of addresses is wanted."""
    after: Address = (0, 0)
    if "cursor" in found:
        try:
            after = _address_decoder.decode(_unwrap(found["cursor"]))
        except msgspec.DecodeError as error:
            raise ProblemError(_BAD_CURSOR) from error
        if not all(0 <= part <= _BIGINT_MAX for part in after):
            raise ProblemError(_BAD_CURSOR)
    return Page(limit=limit_of(found), after=after)


def name_cursor(found: dict[str, str]) -> str:
    """Return after which name a list of names goes on."""
    if "cursor" not in found:
        return ""
    try:
        name = msgspec.json.decode(_unwrap(found["cursor"]), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError(_BAD_CURSOR) from error
    if not is_code(name):
        raise ProblemError(_BAD_CURSOR)
    return name


def listing(
    rows: Sequence[Row],
    *,
    limit: int,
    shape: Callable[[Row], Shape],
    position: Callable[[Row], Address | str],
) -> Listing[Shape]:
    """Show a page; a full one may have a next, which begins after the last row's `position`."""
    cursor = _wrap(position(rows[-1])) if len(rows) == limit else None
    return Listing(items=[shape(row) for row in rows], next_cursor=cursor)


_BAD_CURSOR: Final = invalid("cursor must be a next_cursor of the same list, unchanged")


def _wrap(position: Address | str) -> str:
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _unwrap(cursor: str) -> bytes:
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (Base64Error, ValueError) as error:
        raise ProblemError(_BAD_CURSOR) from error
