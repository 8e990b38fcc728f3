"""What customers want on a day on which they shop: orders of several lines, and carts to pay for.

Such days have dice of their own, so that the others are what they would be without them.
"""

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

from msgspec import structs

from allocator.simulation.plan_places import Spot, product_at
from allocator.simulation.steps import Wish
from allocator.simulation.wants import (
    CheckOut,
    CloseCart,
    CloseLines,
    Lines,
    Look,
    OpenCart,
    Portion,
    Resolve,
    SetLine,
    Want,
)

_SHOPPING: Final = 1 / 2
"""On so many days there is any of it."""
_ORDERS: Final = (0, 6, 12)
_CARTS: Final = (0, 2, 4, 6)
_CART_COST: Final = 16
_PAYING: Final = 1 / 5
"""On so many of them much is paid for."""
_MANY: Final = 10
_RESOLVED: Final = 2
"""So often an operator comes by each checkout; on days with many of them more often."""
_TTL_MS: Final = (200, 800, 800, 3_000, 3_000, 60_000)
_PAYMENT_MS: Final = (1_500, 500, 1_500)
_SOON_MS: Final = (0, 10, 40, 150, 150, 600)
"""What a customer takes for what comes next; now and then, nothing."""
_COST: Final = 7
"""An order of several lines takes the time of so many other things."""
_UNITS_MAX: Final = 3
_ATTEMPTS: Final = (1, 2, 12, 12)


class Shopping(NamedTuple):
    """What is wanted, how many other things take as long, and what payments may take.

    Attributes:
        paying_ms: On a day on which much is paid for, when.
    """

    wishes: list[Wish]
    cost: int
    payment_ms: int
    paying_ms: tuple[int, ...] = ()


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
        self._resolved = _RESOLVED

    def day(self) -> Shopping:
        """Draw one; on many nobody shops."""
        if self._dice.random() >= _SHOPPING:
            return Shopping([], 0, _PAYMENT_MS[0])
        orders, carts = self._dice.choice(_ORDERS), self._dice.choice(_CARTS)
        paying = self._dice.random() < _PAYING
        if paying:
            orders, carts = 0, _MANY
            self._resolved = _MANY
        wishes = [self._wish(self._order()) for _ in range(orders)]
        wishes += [self._wish(self._end()) for _ in range(orders)]
        wishes += [self._look() for _ in range(orders // 2)]
        payment_ms = self._dice.choice(_PAYMENT_MS)
        for cart in range(carts):
            wishes += self._cart(cart, payment_ms)
        moments = tuple(wish.at_ms for wish in wishes if isinstance(wish.want, CheckOut))
        cost = _COST * orders + _CART_COST * carts
        return Shopping(wishes, cost, payment_ms, moments if paying else ())

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

    def _cart(self, cart: int, payment_ms: int) -> list[Wish]:
        """Draw what is wanted of one cart: it is filled, and paid for, left, or given up."""
        dice, ttl_ms = self._dice, self._dice.choice(_TTL_MS)
        opened = self._wish(OpenCart(cart=cart, ttl_ms=ttl_ms, cap_ms=2 * ttl_ms))
        wishes = [structs.replace(opened, attempts=_ATTEMPTS[-1])]
        at_ms = opened.at_ms + dice.choice((100, 300))
        paying: list[Want] = [CheckOut(cart=cart, timeout_ms=payment_ms)]
        wants: list[Want] = [self._line(cart) for _ in range(dice.choice((1, 2, 2, 3, 4)))]
        wants += dice.choice((paying, paying, paying, paying * 2, [CloseCart(cart=cart)], []))
        for want in wants:
            wishes.append(self._next(opened, want, at_ms))
            at_ms += dice.choice(_SOON_MS)
        return wishes + [
            self._next(opened, want, at_ms + dice.randrange(3 * payment_ms))
            for want in self._afterthoughts(cart, paying)
        ]

    def _afterthoughts(self, cart: int, paying: list[Want]) -> list[Want]:
        """Draw what is wanted of a cart at any time, by anybody."""
        dice = self._dice
        resolve = [Resolve(cart=cart, hasty=dice.random() < 1 / 2)] * self._resolved
        looks: list[Want] = [Look(what=what, which=cart) for what in ("cart", "checkout")]
        others = [self._line(cart), CloseCart(cart=cart), *paying]
        return [*resolve, *looks, *dice.sample(others, k=dice.choice((0, 1, 1, 2)))]

    def _line(self, cart: int) -> SetLine:
        return SetLine(cart=cart, quantity=self._dice.choice((0, 1, 1, 2, 2, 3)))

    def _next(self, opened: Wish, want: Want, at_ms: int) -> Wish:
        """Return something that is wanted of a cart, mostly by who has opened it."""
        keyed = isinstance(want, CheckOut | Resolve) and self._dice.random() < 1 / 2
        wish = self._wish(want, keyed=keyed)
        client = opened.client if self._dice.random() < 2 / 3 else wish.client
        return structs.replace(wish, at_ms=min(at_ms, self._hours[1]), client=client)

    def _look(self) -> Wish:
        return self._wish(Look(what="lines", which=self._dice.randrange(64)), keyed=False)

    def _wish(self, want: Want, *, keyed: bool | None = None) -> Wish:
        dice = self._dice
        self._keys += 1
        if keyed is None:
            keyed = dice.random() < 2 / 3
        spot = dice.choice(self._spots)
        if isinstance(want, SetLine):
            want = structs.replace(want, product=product_at(dice, spot))
        return Wish(
            at_ms=dice.randrange(*self._hours),
            client=dice.randrange(self._clients),
            pool=spot.pool,
            key=f"shop {self._keys}" if keyed else None,
            copies=2 if keyed and dice.random() < 1 / 8 else 1,
            attempts=dice.choice(_ATTEMPTS),
            want=want,
        )
