"""Makes a failing list of steps short: what is left matters.

Delta debugging (Zeller and Hildebrandt 2002) without its complements: whole chunks are left out,
halves first, then ever smaller ones, at last one step at a time, until no single step can go.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

Step = TypeVar("Step")

TRIES_MAX: Final = 2_000
SECONDS_MAX: Final = 20.0


class Shrunk(msgspec.Struct, Generic[Step], frozen=True, kw_only=True):
    """A shorter list that fails, too.

    Attributes:
        tries: How many lists were tried.
        complete: Whether every step left is needed; else time or tries ran out.
    """

    steps: list[Step]
    tries: int
    complete: bool


def shrink(
    steps: Sequence[Step],
    fails: Callable[[list[Step]], bool],
    *,
    tries_max: int = TRIES_MAX,
    seconds_max: float = SECONDS_MAX,
    clock: Callable[[], float] = time.monotonic,
) -> Shrunk[Step]:
    """Return the shortest list found that fails, its steps in their order.

    Args:
        steps: Known to fail; are not tried again.
        fails: Whether a list fails; must give the same list the same answer.
        tries_max: Lists to try.
        seconds_max: No try begins later.
        clock: Reads seconds.
    """
    until_s = clock() + seconds_max
    left = list(steps)
    tries, position, removed = 0, 0, False
    chunk = (len(left) + 1) // 2
    while chunk and left:
        if tries >= tries_max or clock() >= until_s:
            return Shrunk(steps=left, tries=tries, complete=False)
        shorter = left[:position] + left[position + chunk :]
        tries += 1
        if fails(shorter):
            left, removed = shorter, True
        else:
            position += chunk
        if position >= len(left):
            # What was needed may not be any more: ones are tried until a whole round is in vain.
            again = removed and chunk == 1
            chunk = 1 if again else chunk // 2
            position, removed = 0, False
    return Shrunk(steps=left, tries=tries, complete=True)
