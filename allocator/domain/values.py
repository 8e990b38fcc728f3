"""What every command, event and refusal is."""

from typing import TypeAlias

import msgspec

Pick: TypeAlias = tuple[int, int]
"""(seq of the lot, units taken from it); units are at least 1."""

Picks: TypeAlias = tuple[Pick, ...]
"""Lots in the order in which they were taken; no lot twice."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """A value: comparable, immutable, and outside the garbage collector's sight."""


def units_of(picks: Picks) -> int:
    """Return how many units the picks hold together."""
    return sum(units for _, units in picks)


def with_more(picks: Picks, added: Picks) -> Picks:
    """Return the picks with others added to them."""
    units_of = dict(picks)
    for seq, units in added:
        units_of[seq] = units_of.get(seq, 0) + units
    return tuple(units_of.items())


def with_less(picks: Picks, returned: Picks) -> Picks:
    """Return the picks without others, which are a part of them."""
    units_of = dict(picks)
    for seq, units in returned:
        units_of[seq] -= units
    return tuple((seq, units) for seq, units in units_of.items() if units)
