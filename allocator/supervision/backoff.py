"""How long to wait before what has died is started again, and when to stop trying.

Nothing here reads a clock: times come in, decisions go out.
"""

from typing import Final

from msgspec import Struct

_DOUBLINGS_MAX: Final = 30
"""No wait is doubled more often: by then any bound is reached, and numbers stay small."""


class Backoff(Struct, frozen=True, kw_only=True):
    """How patient a place is with workers that die in it.

    The first restart in a row waits for nothing, the second for `shortest_ms`, and each further
    one twice as long as the one before.

    Attributes:
        shortest_ms: The second wait in a row.
        longest_ms: Where waits stop growing.
        settled_ms: A worker that served for so long has ended the row.
        crashes_max: As many may die within `window_ms`; one more, and the place gives up.
        window_ms: See `crashes_max`.
    """

    shortest_ms: int = 100
    longest_ms: int = 5_000
    settled_ms: int = 10_000
    crashes_max: int = 8
    window_ms: int = 60_000


class Crashes(Struct, frozen=True, kw_only=True):
    """What has died in one place so far.

    Attributes:
        recent_ms: When, within the window; oldest first.
        in_a_row: How many, since one last served for long enough.
    """

    recent_ms: tuple[int, ...] = ()
    in_a_row: int = 0


def after_crash(crashes: Crashes, backoff: Backoff, *, served_ms: int, now_ms: int) -> Crashes:
    """Add a worker that has died.

    Args:
        crashes: Those before.
        backoff: What to make of them.
        served_ms: For how long it served; 0 if it never did.
        now_ms: Of any clock that does not go back.
    """
    kept = (at_ms for at_ms in crashes.recent_ms if at_ms > now_ms - backoff.window_ms)
    settled = served_ms >= backoff.settled_ms
    return Crashes(
        recent_ms=(*kept, now_ms),
        in_a_row=1 if settled else crashes.in_a_row + 1,
    )


def gives_up(crashes: Crashes, backoff: Backoff) -> bool:
    """Whether so much has died that another start would only hide it."""
    return len(crashes.recent_ms) > backoff.crashes_max


def delay_ms(crashes: Crashes, backoff: Backoff) -> int:
    """Return how long the next start has to wait, milliseconds."""
    if crashes.in_a_row <= 1:
        return 0
    doublings = min(crashes.in_a_row - 2, _DOUBLINGS_MAX)
    return min(backoff.shortest_ms << doublings, backoff.longest_ms)
