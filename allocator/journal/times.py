"""Times, as people write and read them: RFC 3339 in UTC, or how long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from allocator.errors import UsageError

# Whole numbers all the way: as seconds in a float, some milliseconds would become others.
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)
_AGO: Final = re.compile(r"(\d{1,9})([smhd])\Z", re.ASCII)
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def time_of(at_ms: int) -> datetime:
    """Return a time that encodes as RFC 3339 UTC."""
    return _EPOCH + at_ms * _MS


def text_of(at_ms: int) -> str:
    """Return a time as text of one length: to the millisecond, in UTC."""
    return time_of(at_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_duration(text: str) -> int:
    """Return the milliseconds that somebody meant by a text such as 90d.

    Raises:
        UsageError: It is no such text.
    """
    found = _AGO.match(text)
    if found is None:
        raise UsageError(f"{text!r} is not a length of time, like 90d; s, m, h and d are known")
    return int(found[1]) * _UNITS_MS[found[2]]


def parse_time(text: str, *, now_ms: int) -> int:
    """Return the milliseconds of Unix time that somebody meant.

    Raises:
        UsageError: It is no time.
    """
    if _AGO.match(text):
        return max(now_ms - parse_duration(text), 0)
    try:
        at = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(
            f"{text!r} is not a time: write 2026-11-21T04:58:10Z, with its zone, or 15m for a "
            "quarter of an hour ago; s, m, h and d are known"
        )
    return (at - _EPOCH) // _MS
