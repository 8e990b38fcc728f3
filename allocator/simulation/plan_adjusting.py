"""What is counted, found, broken and recalled on a day on which somebody looks at the shelves."""

from random import Random
from typing import Final

from msgspec import structs

from allocator.simulation.plan_places import Spot, product_at
from allocator.simulation.steps import Wish
from allocator.simulation.wants import Adjust, Count, Look, Want

_DAYS: Final = 1 / 3
"""On so many days there is any of it."""
_WISHES: Final = (10, 24)
_LOOKED_MS: Final = (10, 50, 400)
"""What it takes to count after a look."""
_STATES: Final = ("available", "damaged", "quarantined")
_MOVES: Final[tuple[tuple[str | None, str | None], ...]] = (
    ("available", "damaged"),
    ("available", "quarantined"),
    ("damaged", "available"),
    ("quarantined", "available"),
    ("damaged", None),
    ("available", None),
    ("expired", None),
    (None, "available"),
    (None, "damaged"),
)
_RECALLS: Final = (
    ("available", "quarantined"),
    ("available", "quarantined"),
    ("available", "damaged"),
    ("quarantined", "available"),
    ("damaged", "available"),
)
_ATTEMPTS: Final = (1, 2, 12)


class Shelves:
    """Draws the wishes of one day.

    Args:
        dice: Of this alone.
        spots: What is looked at.
        clients: How many there are.
        hours: When they want something, from and to, milliseconds.
    """

    def __init__(
        self, dice: Random, spots: list[Spot], *, clients: int, hours: tuple[int, int]
    ) -> None:
        self._dice = dice
        self._spots = spots
        self._clients = clients
        self._hours = hours
        self._keys = 0

    def day(self) -> list[Wish]:
        """Draw them; on many days nobody looks."""
        dice, wishes = self._dice, list[Wish]()
        if dice.random() >= _DAYS:
            return wishes
        for _ in range(dice.choice(_WISHES)):
            wishes += dice.choice((self._adjust, self._recall, self._recall, self._count))()
        return wishes

    def _adjust(self) -> list[Wish]:
        dice = self._dice
        source, target = dice.choice(_MOVES)
        which = dice.randrange(64) if dice.random() < 1 / 2 else None
        return [
            self._wish(Adjust(source=source, target=target, quantity=self._units(), which=which))
        ]

    def _recall(self) -> list[Wish]:
        dice = self._dice
        source, target = dice.choice(_RECALLS)
        quantity = None if dice.random() < 2 / 3 else self._units()
        which = dice.randrange(64)
        return [self._wish(Adjust(source=source, target=target, quantity=quantity, which=which))]

    def _count(self) -> list[Wish]:
        """Look, and say what was counted; a look comes to nothing if another has come between."""
        dice = self._dice
        count = self._wish(Count(state=dice.choice(_STATES), quantity=dice.randrange(12)))
        look = Wish(
            at_ms=max(0, count.at_ms - dice.choice(_LOOKED_MS)),
            client=count.client,
            pool=count.pool,
            want=Look(product=count.want.product),
        )
        return [look, count]

    def _units(self) -> int:
        return self._dice.randint(1, 5)

    def _wish(self, want: Adjust | Count) -> Wish:
        dice = self._dice
        self._keys += 1
        keyed = dice.random() < 2 / 3
        spot = dice.choice(self._spots)
        placed: Want = structs.replace(want, product=product_at(dice, spot))
        return Wish(
            at_ms=dice.randrange(*self._hours),
            client=dice.randrange(self._clients),
            pool=spot.pool,
            key=f"shelf {self._keys}" if keyed else None,
            copies=2 if keyed and dice.random() < 1 / 8 else 1,
            attempts=dice.choice(_ATTEMPTS),
            want=placed,
        )
