"""A guard of the design that can be switched off."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

from allocator.simulation.plan import Fitness

Method: TypeAlias = Callable[..., Any]  # type: ignore[explicit-any]  # any method at all


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A guard, and what is there when it is not.

    Attributes:
        rule: The guard, in words.
        owner: The class, or module, whose method or function keeps it.
        method: By name.
        make: Makes the method without it from the one with it.
        behind: Name of the mutant whose guard stands before this one, and has to be off as well,
            or this one would have nothing to do.
        day: The kind of day that is made for it, if it is hardly ever noticed on others; only such
            are tried.
    """

    rule: str
    owner: type | ModuleType
    method: str
    make: Callable[[Method], Method]
    behind: str | None = None
    day: Fitness | None = None
