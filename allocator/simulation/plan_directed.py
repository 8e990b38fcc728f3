"""Days on which is made to meet what seldom meets by chance, and that a guard is there for.

Each has been found by a mutant that nobody noticed otherwise. Such days have dice of their own, so
that the others are what they would be without them.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final, Literal, NamedTuple, TypeAlias

from allocator.simulation.plan_troubles import WORKERS
from allocator.simulation.steps import Drag, Jump, Kill, Leave, Part, Trouble, Wish
from allocator.simulation.wants import CheckOut, Look, Move

_DIRECTED: Final = 1 / 8
_MOVING: Final = 1 / 25
_PAYING: Final = 1 / 2
"""On so many of those days that are fit for it."""
_MOVES_MIN: Final = 8
_CHECKOUTS_MIN: Final = 8
_RESTLESS_MS: Final = 50
_HOUR_MS: Final = 3_600_000
_UNDER_WAY_MS: Final = 600
_ONLOOKERS: Final = 4
_ONLOOKER: Final = 100
"""Number of the first of them; other clients have lower ones."""
_LOOK_MS: Final = 150
_PAIRS: Final = ((0, 1), (1, 2), (0, 2))


DayName: TypeAlias = Literal[
    "restless", "comings and goings", "silent lines", "hours ahead", "hasty clocks", "heirs"
]


class Directed(NamedTuple):
    """Such a day.

    Attributes:
        troubles: What goes wrong, instead of anything else.
        idle_ms: After how long actors leave memory; None: as usual.
        watched: Whether pools are looked at again and again, beside what is wanted.
    """

    name: DayName
    troubles: list[Trouble]
    idle_ms: int | None = None
    watched: bool = False


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


def onlookers(dice: Random, pools: Sequence[int], *, load_ms: int) -> Iterator[Wish]:
    """Have clients come who only look: whoever changes nothing sees what is out of date.

    Args:
        dice: Decide when they look, and where.
        pools: What they look at, as often as it is to be drawn.
        load_ms: How long the day is.
    """
    for client in range(_ONLOOKER, _ONLOOKER + _ONLOOKERS):
        for at_ms in range(_LOOK_MS, load_ms, _LOOK_MS):
            yield Wish(
                at_ms=at_ms + dice.randrange(_LOOK_MS),
                client=client,
                pool=dice.choice(pools),
                attempts=1,
                want=Look(),
            )


def _restless(dice: Random, load_ms: int) -> Directed:
    """Actors leave memory as soon as they may, while rows are late on their way."""
    return Directed(
        "restless", [*_late_writes(dice, load_ms, (150, 300, 600))], _RESTLESS_MS, watched=True
    )


def _comings_and_goings(dice: Random, load_ms: int) -> Directed:
    """Workers come and go, and shards with them, while rows are late on their way."""
    leaving = [Leave(at_ms=at_ms, place=_place(dice)) for at_ms in range(200, load_ms, 600)]
    troubles: list[Trouble] = [*_late_writes(dice, load_ms, (150, 300, 600)), *leaving]
    return Directed("comings and goings", troubles, watched=True)


def _silent_lines(dice: Random, load_ms: int) -> Directed:
    """What was forwarded is done late, and the line falls silent before anybody is told."""
    silent = [
        Part(at_ms=dice.randrange(load_ms), one=one, other=other, for_ms=8_000)
        for one, other in _PAIRS
        for _ in range(2)
    ]
    return Directed("silent lines", [*_late_writes(dice, load_ms, (200, 400)), *silent])


def _hours_ahead(dice: Random, load_ms: int) -> Directed:
    """A clock is an hour ahead, processes begin by it, and their worker dies; and so again."""
    troubles: list[Trouble] = [*_late_writes(dice, load_ms, (60, 200))]
    place = _place(dice)
    for at_ms in range(300, load_ms, 900):
        troubles.append(Jump(at_ms=at_ms, place=place, by_ms=_HOUR_MS))
        troubles.append(Kill(at_ms=at_ms + dice.randrange(300, 500), places=(place,)))
        troubles.append(Jump(at_ms=at_ms + 600, place=place, by_ms=-_HOUR_MS))
    return Directed("hours ahead", troubles)


def _hasty_clocks(dice: Random, paying_ms: Sequence[int]) -> Directed:
    """Clocks say that it is too late for the provider, who answers all the same."""
    moments_ms = [dice.choice(paying_ms) + dice.randrange(_UNDER_WAY_MS) for _ in range(6)]
    return Directed(
        "hasty clocks",
        [
            Jump(at_ms=at_ms, place=place, by_ms=1_500)
            for at_ms in moments_ms
            for place in range(WORKERS)
        ],
    )


def _late_writes(dice: Random, load_ms: int, delays_ms: tuple[int, ...]) -> Iterator[Drag]:
    """Have the writes of every worker be late, all day long."""
    for at_ms in range(0, load_ms, 1_500):
        for place in range(WORKERS):
            yield Drag(at_ms=at_ms, place=place, delay_ms=dice.choice(delays_ms), for_ms=1_500)


def _place(dice: Random) -> int:
    return dice.randrange(WORKERS)


_DAYS: Final[tuple[_Day, ...]] = (
    _restless,
    _comings_and_goings,
    _comings_and_goings,
    _silent_lines,
)
