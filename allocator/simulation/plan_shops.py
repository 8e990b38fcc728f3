"""What customers want on a day on which they shop: orders of several lines, all or nothing.

Such days have dice of their own, so that the others are what they would be without them.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from allocator.simulation.plan_places import Spot, product_at
from allocator.simulation.steps import Wish
from allocator.simulation.wants import CloseLines, Lines, Look, Portion, Want

_SHOPPING: Final = 1 / 2
"""On so many days there is any of it."""
_ORDERS: Final = (0, 6, 12)
_COST: Final = 7
"""An order of several lines takes the time of so many other things."""
_UNITS_MAX: Final = 3
_ATTEMPTS: Final = (1, 2, 12, 12)


class Shopping(NamedTuple):
    """What is wanted, and how many other things take as long."""

    wishes: list[Wish]
    cost: int


class Shop:
    """Draws the wishes of one day.

    Args:
        dice: Of this alone.
        spots: Where units can be had, as often as they are to be drawn.
        clients: How many there are.
        hours: When they want something, from and to, milliseconds.
    """

    def __init__(
        self, dice: Random, spots: Sequence[Spot], *, clients: int, hours: tuple[int, int]
    ) -> None:
        self._dice = dice
        self._spots = spots
        self._clients = clients
        self._hours = hours
        self._keys = 0

    def day(self) -> Shopping:
        """Draw one; on many nobody shops."""
        if self._dice.random() >= _SHOPPING:
            return Shopping([], 0)
        orders = self._dice.choice(_ORDERS)
        wishes = [self._wish(self._order()) for _ in range(orders)]
        wishes += [self._wish(self._end()) for _ in range(orders)]
        wishes += [self._look() for _ in range(orders // 2)]
        return Shopping(wishes, _COST * orders)

    def _order(self) -> Lines:
        dice = self._dice
        spots = [dice.choice(self._spots) for _ in range(dice.choice((2, 2, 3)))]
        products = {spot.pool: product_at(dice, spot) for spot in spots}
        return Lines(
            portions=tuple(
                Portion(spot.pool, dice.randint(1, _UNITS_MAX), products[spot.pool])
                for spot in spots
            )
        )

    def _end(self) -> CloseLines:
        dice = self._dice
        part = (dice.randrange(3), dice.randint(1, 2)) if dice.random() < 1 / 2 else None
        return CloseLines(which=dice.randrange(64), dispatch=dice.random() < 3 / 4, part=part)

    def _look(self) -> Wish:
        return self._wish(Look(what="lines", which=self._dice.randrange(64)), keyed=False)

    def _wish(self, want: Want, *, keyed: bool | None = None) -> Wish:
        dice = self._dice
        self._keys += 1
        if keyed is None:
            keyed = dice.random() < 2 / 3
        return Wish(
            at_ms=dice.randrange(*self._hours),
            client=dice.randrange(self._clients),
            pool=dice.choice(self._spots).pool,
            key=f"shop {self._keys}" if keyed else None,
            copies=2 if keyed and dice.random() < 1 / 8 else 1,
            attempts=dice.choice(_ATTEMPTS),
            want=want,
        )
