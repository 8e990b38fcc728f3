"""What every command, event and refusal is."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

Pick: TypeAlias = tuple[int, int]
"""(seq of the lot, units taken from it); units are at least 1."""

Picks: TypeAlias = tuple[Pick, ...]
"""Lots in the order in which they were taken; no lot twice."""


States: TypeAlias = tuple[tuple[str, int], ...]
"""Units by state, ascending by the state's name; no state without units."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A value: comparable, immutable, and outside the garbage collector's sight."""


def units_of(picks: Picks | States) -> int:
    """Return how many units picks, or states, hold together."""
    return sum(units for _, units in picks)


def first(picks: Picks, quantity: int) -> Picks:
    """Return the part of some picks that is used first: so many units, or all that there are."""
    part = []
    for seq, units in picks:
        if quantity <= 0:
            break
        part.append((seq, min(units, quantity)))
        quantity -= units
    return tuple(part)


def with_more(picks: Picks, added: Picks) -> Picks:
    """Return the picks with others added to them."""
    units_of = dict(picks)
    for seq, units in added:
        units_of[seq] = units_of.get(seq, 0) + units
    return tuple(units_of.items())


def after_repicks(picks: Picks, repicks: Iterable[tuple[Picks, Picks]]) -> Picks:
    """Return the picks with which an order stands, that were others when it was placed.

    Args:
        picks: They.
        repicks: What it gave back and got, each time.
    """
    for returned, added in repicks:
        picks = with_less(with_more(picks, added), returned)
    return picks


def with_less(picks: Picks, returned: Picks) -> Picks:
    """Return the picks without others, which are a part of them."""
    units_of = dict(picks)
    for seq, units in returned:
        units_of[seq] -= units
    return tuple((seq, units) for seq, units in units_of.items() if units)


def moved(states: States, state: str, units: int) -> States:
    """Return the states with so many units more in one of them, or fewer, which are there."""
    units_in = dict(states)
    units_in[state] = units_in.get(state, 0) + units
    return tuple(sorted((name, there) for name, there in units_in.items() if there))
