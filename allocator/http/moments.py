"""Looking back: which moment of the past a request means, and what cannot be shown of it."""

from datetime import datetime
from http import HTTPStatus
from typing import Final

import msgspec

from allocator.domain.past import Pruned, TooFarBack
from allocator.http.paging import number
from allocator.http.problems import Problem, ProblemError, invalid
from allocator.http.shapes import ms_of, time_of

VERSION_MAX: Final = (1 << 36) - 1


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A version, or a time in milliseconds of Unix time; one of them is None."""

    version: int | None = None
    at_ms: int | None = None


def moment_in(found: dict[str, str], *, now_ms: int) -> Moment | None:
    """Return the moment among the parameters, or None: the present.

    Raises:
        ProblemError: 422, it is no moment of the past, or there are two.
    """
    if not found:
        return None
    if "version" not in found:
        return Moment(at_ms=time_in(found, now_ms=now_ms))
    if "at" in found:
        raise ProblemError(invalid("at and version exclude each other: each names a moment"))
    return Moment(version=number(found, "version", default=0, low=0, high=VERSION_MAX))


def time_in(found: dict[str, str], *, now_ms: int) -> int:
    """Return the time among the parameters, milliseconds of Unix time.

    Raises:
        ProblemError: 422, it is none, or is not over yet.
    """
    try:
        at = msgspec.convert(found["at"], datetime)
    except msgspec.ValidationError:
        at = None
    if at is None or at.tzinfo is None:
        raise ProblemError(
            invalid("at must be a time of RFC 3339 with its zone, like 2026-01-31T12:00:00Z")
        )
    at_ms = ms_of(at)
    if at_ms >= now_ms:  # more may yet happen at that time
        raise ProblemError(
            invalid(f"at must lie in the past; this server's clock says {_text(now_ms)}")
        )
    return at_ms


def pruned(beginning: Pruned) -> Problem:
    """Say that the journal does not go back so far any more."""
    at = _text(beginning.at_ms)
    return Problem(
        type="history-pruned",
        title="The history of that time is gone",
        status=HTTPStatus.GONE,
        detail=f"the journal is kept from version {beginning.version} of {at} on",
        facts={"earliest_version": beginning.version, "earliest_at": at},
    )


def too_far_back(distance: TooFarBack) -> Problem:
    """Say that a request may not cost so much."""
    return invalid(
        f"{distance.events} events lie between that moment and the nearest snapshot, and at most "
        f"{distance.limit} are replayed for a request; `allocator journal show` tells all of them"
    )


def _text(at_ms: int) -> str:
    return str(msgspec.to_builtins(time_of(at_ms)))
