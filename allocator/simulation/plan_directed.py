"""Days on which is made to meet what seldom meets by chance, and that a guard is there for.

Each has been found by a mutant that nobody noticed otherwise. Such days have dice of their own, so
that the others are what they would be without them.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, NamedTuple, TypeAlias

from allocator.simulation.plan_troubles import WORKERS
from allocator.simulation.steps import Drag, Jump, Kill, Leave, Part, Trouble, Wish
from allocator.simulation.wants import CheckOut, Move

_DIRECTED: Final = 1 / 5
_MOVING: Final = 1 / 25
_PAYING: Final = 1 / 2
"""On so many of those days that are fit for it."""
_MOVES_MIN: Final = 8
_CHECKOUTS_MIN: Final = 8
_RESTLESS_MS: Final = 50
_HOUR_MS: Final = 3_600_000
_UNDER_WAY_MS: Final = 600
_PAIRS: Final = ((0, 1), (1, 2), (0, 2))


class Directed(NamedTuple):
    """What goes wrong on such a day, and after how long actors leave memory; None: as usual."""

    troubles: list[Trouble]
    idle_ms: int | None = None


_Day: TypeAlias = Callable[[Random, int], Directed]


def directed(dice: Random, wishes: Sequence[Wish], *, load_ms: int) -> Directed | None:
    """Draw such a day, or, mostly, none.

    Args:
        dice: Of this alone.
        wishes: What is wanted, whatever happens.
        load_ms: How long the day is.
    """
    paying_ms = [wish.at_ms for wish in wishes if isinstance(wish.want, CheckOut)]
    if len(paying_ms) >= _CHECKOUTS_MIN:
        return _hasty_clocks(dice, paying_ms) if dice.random() < _PAYING else None
    moves = sum(isinstance(wish.want, Move) for wish in wishes)
    if moves >= _MOVES_MIN and dice.random() < _MOVING:
        return _hours_ahead(dice, load_ms)
    return dice.choice(_DAYS)(dice, load_ms) if dice.random() < _DIRECTED else None


def _restless(dice: Random, load_ms: int) -> Directed:
    """Actors leave memory as soon as they may, while rows are late on their way."""
    return Directed([*_late_writes(dice, load_ms, (150, 300, 600))], _RESTLESS_MS)


def _comings_and_goings(dice: Random, load_ms: int) -> Directed:
    """Workers come and go, and shards with them, while rows are late on their way."""
    leaving = [Leave(at_ms=at_ms, place=_place(dice)) for at_ms in range(200, load_ms, 600)]
    return Directed([*_late_writes(dice, load_ms, (150, 300, 600)), *leaving])


def _silent_lines(dice: Random, load_ms: int) -> Directed:
    """What was forwarded is done late, and the line falls silent before anybody is told."""
    silent = [
        Part(at_ms=dice.randrange(load_ms), one=one, other=other, for_ms=8_000)
        for one, other in _PAIRS
        for _ in range(2)
    ]
    return Directed([*_late_writes(dice, load_ms, (200, 400)), *silent])


def _hours_ahead(dice: Random, load_ms: int) -> Directed:
    """A clock is an hour ahead, processes begin by it, and their worker dies; and so again."""
    troubles: list[Trouble] = [*_late_writes(dice, load_ms, (60, 200))]
    place = _place(dice)
    for at_ms in range(300, load_ms, 900):
        troubles.append(Jump(at_ms=at_ms, place=place, by_ms=_HOUR_MS))
        troubles.append(Kill(at_ms=at_ms + dice.randrange(300, 500), places=(place,)))
        troubles.append(Jump(at_ms=at_ms + 600, place=place, by_ms=-_HOUR_MS))
    return Directed(troubles)


def _hasty_clocks(dice: Random, paying_ms: Sequence[int]) -> Directed:
    """Clocks say that it is too late for the provider, who answers all the same."""
    moments_ms = [dice.choice(paying_ms) + dice.randrange(_UNDER_WAY_MS) for _ in range(6)]
    return Directed(
        [
            Jump(at_ms=at_ms, place=place, by_ms=1_500)
            for at_ms in moments_ms
            for place in range(WORKERS)
        ]
    )


def _late_writes(dice: Random, load_ms: int, delays_ms: tuple[int, ...]) -> Iterator[Drag]:
    """Have the writes of every worker be late, all day long."""
    for at_ms in range(0, load_ms, 1_500):
        for place in range(WORKERS):
            yield Drag(at_ms=at_ms, place=place, delay_ms=dice.choice(delays_ms), for_ms=1_500)


def _place(dice: Random) -> int:
    return dice.randrange(WORKERS)


_DAYS: Final[tuple[_Day, ...]] = (
    *[_restless] * 3,
    *[_comings_and_goings] * 2,
    _silent_lines,
)
