"""How long somebody wants to be left alone, by RFC 9110 §10.2.3: seconds, or a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

UNTOLD_S: Final = 5.0
"""For somebody who wants to be left alone and does not say for how long."""
LONGEST_S: Final = 3_600.0
"""Nobody is left alone for longer: he may have meant something else."""

_DIGITS_MAX: Final = 9


def retry_after_s(text: str | None, *, now: datetime) -> float:
    """Return for how long; `UNTOLD_S` if it is not said in a way that can be read.

    Args:
        text: The field's value, None if there is none.
        now: By the clock of whoever said it, if that is known.
    """
    told = (text or "").strip()
    if told.isascii() and told.isdigit():
        return min(float(told[:_DIGITS_MAX]), LONGEST_S)
    try:
        until = parsedate_to_datetime(told)
    except ValueError:
        return UNTOLD_S
    if until.tzinfo is None:  # "-0000": UTC, by RFC 5322
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), LONGEST_S)


def date_of(text: str | None, *, otherwise: datetime) -> datetime:
    """Return what a `Date` field says, or else another time."""
    try:
        date = parsedate_to_datetime((text or "").strip())
    except ValueError:
        return otherwise
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
