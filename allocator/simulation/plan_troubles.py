"""What goes wrong in a run: a few kinds of trouble, with many chances, or a theme."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeAlias

from allocator.persistence.memory.trouble import End, Operation
from allocator.simulation.steps import (
    Break,
    Crash,
    Cut,
    Drag,
    Foreign,
    Jump,
    Kill,
    Lag,
    Leave,
    Orphan,
    Part,
    Pause,
    Roll,
    Slow,
    Trouble,
)

WORKERS: Final = 3

_UNDER_WAY_MS: Final = 600
"""So long a payment is likely to be under way."""

_Draw: TypeAlias = Callable[[Random, int], Trouble]
_Theme: TypeAlias = Sequence[tuple[_Draw, int]]
"""Kinds of trouble, and how many of each."""


def troubles_of(dice: Random, load_ms: int, *, moving: bool) -> list[Trouble]:
    """Draw a few kinds and some of each, or a theme; one run in eighteen has a quiet day.

    On a day on which much is moved, the theme is one for that.
    """
    if moving:
        return _drawn(dice, load_ms, _MOVING_THEMES)
    if dice.random() < _THEMED:
        return _drawn(dice, load_ms, _THEMES)
    kinds = dice.sample(_KINDS, k=dice.choice([0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4]))
    return _drawn(dice, load_ms, [[(draw, dice.randint(1, most)) for draw, most in kinds]])


def troubles_of_payments(dice: Random, moments_ms: Sequence[int]) -> list[Trouble]:
    """Draw a theme for a day on which much is paid for; it goes wrong soon after these moments."""
    counted = dice.choice(_PAYING_THEMES)
    return [
        draw(dice, dice.choice(moments_ms) + dice.randrange(_UNDER_WAY_MS))
        for draw, count in counted
        for _ in range(count)
    ]


def _drawn(dice: Random, load_ms: int, themes: Sequence[_Theme]) -> list[Trouble]:
    """Draw one of the themes, and when each of its troubles comes."""
    counted = dice.choice(themes)
    return [draw(dice, dice.randrange(load_ms)) for draw, count in counted for _ in range(count)]


def _place(dice: Random) -> int:
    return dice.randrange(WORKERS)


def _two(dice: Random) -> tuple[int, int]:
    one, other = dice.sample(range(WORKERS), k=2)
    return one, other


def _kill(dice: Random, at_ms: int) -> Trouble:
    count = dice.choice([1, 1, 1, 2, WORKERS])
    return Kill(at_ms=at_ms, places=tuple(dice.sample(range(WORKERS), k=count)))


def _pause(dice: Random, at_ms: int) -> Trouble:
    return Pause(at_ms=at_ms, place=_place(dice), for_ms=dice.choice([5, 50, 800, 2_500, 5_000]))


def _stall(dice: Random, at_ms: int) -> Trouble:
    """Stop a worker for as long as others need to take its place, and an operator his."""
    return Pause(at_ms=at_ms, place=_place(dice), for_ms=5_000)


def _leave(dice: Random, at_ms: int) -> Trouble:
    return Leave(at_ms=at_ms, place=_place(dice))


def _roll(_: Random, at_ms: int) -> Trouble:
    return Roll(at_ms=at_ms)


def _orphan(dice: Random, at_ms: int) -> Trouble:
    return Orphan(at_ms=at_ms, for_ms=dice.choice([0, 300, 2_000]))


def _cut(dice: Random, at_ms: int) -> Trouble:
    one, other = _two(dice)
    return Cut(at_ms=at_ms, one=one, other=other)


def _part(dice: Random, at_ms: int) -> Trouble:
    one, other = _two(dice)
    return Part(at_ms=at_ms, one=one, other=other, for_ms=dice.choice([20, 500, 8_000]))


def _lag(dice: Random, at_ms: int) -> Trouble:
    return Lag(at_ms=at_ms, delay_ms=dice.choice([5, 50, 400]), for_ms=dice.randint(100, 2_000))


def _slow(dice: Random, at_ms: int) -> Trouble:
    return Slow(at_ms=at_ms, delay_ms=dice.choice([2, 30, 400]), for_ms=dice.randint(100, 2_000))


def _drag(dice: Random, at_ms: int) -> Trouble:
    return Drag(
        at_ms=at_ms,
        place=_place(dice),
        delay_ms=dice.choice([15, 60, 200, 400]),
        for_ms=dice.randint(300, 2_500),
    )


def _break(dice: Random, at_ms: int) -> Trouble:
    operation: Operation = dice.choice(_OFTEN if dice.random() < 2 / 3 else _SELDOM)
    end = dice.choice([end for end in End if end is not End.ANSWERED])
    return Break(
        at_ms=at_ms,
        place=_place(dice),
        operation=operation,
        end=end,
        times=dice.choice([1, 1, 1, 3]),
    )


def _crash(dice: Random, at_ms: int) -> Trouble:
    return Crash(at_ms=at_ms, for_ms=dice.choice([0, 100, 1_500, 6_000]))


def _jump(dice: Random, at_ms: int) -> Trouble:
    by_ms = dice.choice([-3_600_000, -1_500, -20, 20, 1_500, 3_600_000])
    return Jump(at_ms=at_ms, place=_place(dice), by_ms=by_ms)


def _foreign(dice: Random, at_ms: int) -> Trouble:
    return Foreign(at_ms=at_ms, place=_place(dice))


_OFTEN: Final[tuple[Operation, ...]] = ("append", "append", "confirm", "find_keys")
_SELDOM: Final[tuple[Operation, ...]] = (
    "renew",
    "claim",
    "survey",
    "beat",
    "origin",
    "records",
    "due_wakes",
    "numbers",
    "save_snapshot",
    "resign",
)
_KINDS: Final[list[tuple[_Draw, int]]] = [
    (_kill, 4),
    (_pause, 3),
    (_leave, 4),
    (_roll, 1),
    (_orphan, 1),
    (_cut, 6),
    (_part, 4),
    (_lag, 3),
    (_slow, 3),
    (_drag, 4),
    (_break, 8),
    (_crash, 2),
    (_jump, 4),
    (_foreign, 1),
]
_THEMED: Final = 1 / 3
_THEMES: Final[list[_Theme]] = [
    [(_kill, 4), (_drag, 6)],
    [(_kill, 4), (_slow, 4)],
    [(_leave, 4), (_slow, 4)],
    [(_cut, 6), (_kill, 2), (_slow, 3)],
    [(_leave, 4), (_drag, 6)],
    [(_leave, 4), (_kill, 2), (_break, 8)],
    [(_pause, 4), (_kill, 4), (_cut, 4)],
    [(_pause, 5)],
    [(_part, 8)],
    [(_leave, 8), (_drag, 12)],
    [(_leave, 14), (_drag, 14)],
    [(_roll, 4), (_drag, 14)],
]
"""What needs each other, and meets too seldom by chance: shards move while writes are late."""
_MOVING_THEMES: Final[list[_Theme]] = [
    [(_part, 6), (_kill, 4)],
    [(_part, 6), (_kill, 3), (_break, 6)],
]
"""For days on which much is moved: what was asked of a pool lies before a line that is silent, and
whoever asked dies; another brings the move to its end meanwhile."""
_PAYING_THEMES: Final[list[_Theme]] = [
    [(_stall, 4)],
    [(_stall, 3), (_jump, 3)],
    [(_jump, 10)],
    [(_leave, 6), (_part, 6)],
    [(_kill, 6)],
    [(_roll, 3), (_slow, 4)],
    [(_break, 16)],
    [(_jump, 4), (_pause, 3), (_kill, 2)],
]
"""For days on which much is paid for: whoever has asked for money stands still, dies or leaves, and
clocks say that it is too late."""
