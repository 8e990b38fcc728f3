"""What happens in a run, all of it decided by one number.

Each seed draws a few kinds of trouble and gives each many chances; all kinds at once would rarely
let one of them come to its point (swarm testing, Groce et al. 2012). A step can be left out and
the rest is still a plan, which is what makes a failing one short.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal, TypeAlias, TypeVar

import msgspec

from allocator.simulation.knowledge import PRODUCTS
from allocator.simulation.plan_adjusting import Shelves
from allocator.simulation.plan_directed import DayName, directed, onlookers
from allocator.simulation.plan_feeds import Stocking
from allocator.simulation.plan_places import Spot, product_at, spots_of
from allocator.simulation.plan_shops import Shop
from allocator.simulation.plan_troubles import troubles_of, troubles_of_payments
from allocator.simulation.steps import Step, Wish
from allocator.simulation.wants import (
    Close,
    Look,
    Move,
    Place,
    Receive,
    Sight,
    Steal,
    Want,
)
from allocator.simulation.warehouse import Terms

T = TypeVar("T")

Fitness: TypeAlias = DayName | Literal["fed"]
"""What some day is needed for: it was made for that, or a warehouse is fed on it."""

OPERATIONS: Final = 200
_CLIENTS: Final = 10
_IDLE_MS: Final = (2_500, 2_500, 2_500, 2_500, 2_500, 2_500, 2_500, 250)
"""To look for who is idle takes most of a run if it is done often."""
_MOVES: Final = (0, 0, 8, 16)
_MANY: Final = 20
_MOVING: Final = 1 / 10
"""On so many days much is moved."""
_COST: Final = 6
"""A move takes the time of so many other things."""
_LOAD_MS: Final = (4_000, 4_000, 10_000)
"""Days are short or long: long enough for every patience to come to its end."""
_STOCKED_MS: Final = 300
"""Before most of the orders, pools get something to sell."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A run before it runs.

    Attributes:
        seed: Decides everything that the steps leave open: who goes first, how long a byte takes.
        idle_ms: After so long without a message, actors leave memory.
        payment_ms: So long the payment provider is waited for.
        load_ms: So long clients begin new things, and things go wrong.
        day: What it is made for, if it is.
        terms: How the warehouse is fed that has a system of its own; None if none has.
        steps: By time.
    """

    seed: int
    load_ms: int = 4_000
    idle_ms: int = 2_500
    payment_ms: int = 1_500
    day: DayName | None = None
    terms: Terms | None = None
    steps: tuple[Step, ...]

    def is_fit_for(self, need: Fitness) -> bool:
        """Say whether it is such a day."""
        return self.terms is not None if need == "fed" else self.day == need


def plan_of(seed: int, *, operations: int = OPERATIONS) -> Plan:
    """Return the plan of a seed, the same for ever."""
    dice = Random(f"plan {seed}")
    load_ms = dice.choice(_LOAD_MS)
    places = spots_of(dice)
    asked = [places[0], *places]  # one of them is the hot one
    is_moving = dice.random() < _MOVING
    moves = _MANY if is_moving else dice.choice(_MOVES)
    hours = (_STOCKED_MS, load_ms)
    shop = Shop(Random(f"shop {seed}"), asked, clients=_CLIENTS, hours=hours).day()
    wishes = [_wish(dice, asked, number, load_ms) for number in range(operations - _COST * moves)]
    wishes = wishes[: max(0, len(wishes) - shop.cost)] + shop.wishes
    shelves = Shelves(Random(f"shelves {seed}"), asked, clients=_CLIENTS, hours=hours)
    adjusting = shelves.day()
    wishes = wishes[len(adjusting) :] + adjusting
    wishes += [
        _move(dice, asked, number, load_ms) for number in range(operations, operations + moves)
    ]
    opening = [
        Wish(
            at_ms=0,
            client=number % _CLIENTS,
            pool=place.pool,
            want=Receive(quantity=dice.randint(5, 25), product=product_at(dice, place)),
        )
        for number, place in enumerate(places)
    ]
    troubles = troubles_of(dice, load_ms, moving=is_moving)
    if shop.paying_ms:
        troubles = troubles_of_payments(Random(f"payments {seed}"), shop.paying_ms)
    idle_ms = dice.choice(_IDLE_MS)
    special = Random(f"directed {seed}")
    day = directed(special, wishes, load_ms=load_ms)
    if day is not None and day.watched:
        wishes += onlookers(special, [place.pool for place in asked], load_ms=load_ms)
    if day is not None:
        troubles, idle_ms = day.troubles, day.idle_ms or idle_ms
    stocking = Stocking(Random(f"stock {seed}"), places, clients=_CLIENTS, hours=hours)
    fed = stocking.day()
    has_heirs = day is None and fed.troubles is not None
    if has_heirs and fed.troubles is not None:
        troubles = list(fed.troubles)
    steps = stocking.around([*opening, *wishes, *troubles], fed)
    ordered = sorted(steps, key=lambda step: step.at_ms)
    return Plan(
        seed=seed,
        load_ms=load_ms,
        idle_ms=idle_ms,
        payment_ms=shop.payment_ms,
        day="heirs" if has_heirs else None if day is None else day.name,
        terms=fed.terms,
        steps=tuple(ordered),
    )


def _wish(dice: Random, places: list[Spot], number: int, load_ms: int) -> Wish:
    draw = _one_of(dice, _WANTS)
    place = _one_of(dice, places)
    return _wish_for(dice, place, number, load_ms, draw(dice, product_at(dice, place)))


def _move(dice: Random, places: list[Spot], number: int, load_ms: int) -> Wish:
    source, destination = _one_of(dice, places), _one_of(dice, places)
    if source.pool == destination.pool:  # seldom wanted
        destination = _one_of(dice, places)
    both = source.single and destination.single
    want = Move(
        to=destination.pool,
        product=_one_of(dice, PRODUCTS) if both else PRODUCTS[0],
        quantity=1 + _below(dice, 6),
        expects=destination.single,
    )
    return _wish_for(dice, source, number, load_ms, want)


def _wish_for(dice: Random, place: Spot, number: int, load_ms: int, want: Want) -> Wish:
    keyed = dice.random() < 2 / 3
    return Wish(
        at_ms=_below(dice, load_ms - _STOCKED_MS) + _STOCKED_MS,
        client=_below(dice, _CLIENTS),
        pool=place.pool,
        key=f"key {number}" if keyed else None,
        copies=2 if keyed and dice.random() < 1 / 10 else 1,
        attempts=_one_of(dice, _ATTEMPTS),
        want=want,
    )


def _receive(dice: Random, product: str | None) -> Want:
    ttl_ms = _below(dice, 1_800) + 200 if _below(dice, 3) == 0 else None
    return Receive(quantity=1 + _below(dice, 6), ttl_ms=ttl_ms, product=product)


def _order(dice: Random, product: str | None) -> Want:
    return Place(quantity=1 + _below(dice, 3), product=product)


def _close(dice: Random, _: str | None) -> Want:
    return Close(which=_below(dice, 64), dispatch=dice.random() < 1 / 2)


def _look(dice: Random, product: str | None) -> Want:
    return Look(what=_one_of(dice, _LOOKS), which=_below(dice, 64), product=product)


def _steal(dice: Random, product: str | None) -> Want:
    return Steal(quantity=1 + _below(dice, 3), product=product)


# Wishes are many: these two take a third of the time of what `Random` has for it.


def _below(dice: Random, number: int) -> int:
    return int(dice.random() * number)


def _one_of(dice: Random, things: Sequence[T]) -> T:
    return things[int(dice.random() * len(things))]


_WANTS: Final[list[Callable[[Random, str | None], Want]]] = [
    *[_order] * 10,
    *[_close] * 4,
    *[_look] * 3,
    *[_receive] * 2,
    _steal,
]
_LOOKS: Final[tuple[Sight, ...]] = (
    "balance",
    "balance",
    "move",
    "order",
    "lot",
)
_ATTEMPTS: Final = (1, 2, 12, 12)
