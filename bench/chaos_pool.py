"""A pool as a sequential machine, simpler than the server's own: the model of its history.

**Effects** are what a journal keeps: stock came, an order was placed or closed. **Sightings** are
answers that changed nothing and yet claim something about the moment they were given: a refusal
that there was too little, a balance, the status of an order. Orders go by the key they were
placed with.
"""

from typing import TypeAlias, assert_never

import msgspec


class _Said(msgspec.Struct, frozen=True, gc=False):
    """A value."""


class Received(_Said, frozen=True):
    """Units came."""

    quantity: int


class Placed(_Said, frozen=True):
    """Units were promised."""

    order: str
    quantity: int


class Closed(_Said, frozen=True):
    """An order left, or its units came back; `status` says which."""

    order: str
    status: str


Effect: TypeAlias = Received | Placed | Closed


class WasShort(_Said, frozen=True):
    """An order was refused because fewer units were available."""

    quantity: int
    available: int


class WasClosed(_Said, frozen=True):
    """A dispatch or cancel was refused because the order was not new any more."""

    order: str


class SawNumbers(_Said, frozen=True):
    """A balance was read."""

    version: int
    available: int
    ordered: int
    on_hand: int


class SawOrder(_Said, frozen=True):
    """An order was read."""

    order: str
    status: str


Sighting: TypeAlias = WasShort | WasClosed | SawNumbers | SawOrder
PoolAsk: TypeAlias = Effect | Sighting

NEW = "new"


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool is at a version.

    Attributes:
        orders: Each as (key, quantity, status); closed ones stay.
    """

    version: int = 0
    available: int = 0
    ordered: int = 0
    orders: frozenset[tuple[str, int, str]] = frozenset()

    def find(self, order: str) -> tuple[str, int, str] | None:
        """Return an order as it stands."""
        return next((each for each in self.orders if each[0] == order), None)


EMPTY = PoolState()


def step(state: PoolState, ask: PoolAsk) -> PoolState | None:
    """Return the state after `ask`, or None where the pool would not have answered so."""
    match ask:
        case Received() | Placed() | Closed():
            return _after(state, ask)
        case WasShort() | WasClosed() | SawNumbers() | SawOrder():
            return state if _is_true(state, ask) else None
        case _:
            assert_never(ask)


def _after(state: PoolState, effect: Effect) -> PoolState | None:
    match effect:
        case Received(quantity=quantity):
            return PoolState(
                version=state.version + 1,
                available=state.available + quantity,
                ordered=state.ordered,
                orders=state.orders,
            )
        case Placed(order=order, quantity=quantity):
            if quantity > state.available or state.find(order) is not None:
                return None
            return PoolState(
                version=state.version + 1,
                available=state.available - quantity,
                ordered=state.ordered + quantity,
                orders=state.orders | {(order, quantity, NEW)},
            )
        case Closed(order=order, status=status):
            return _closed(state, order, status)
        case _:
            assert_never(effect)


def _closed(state: PoolState, order: str, status: str) -> PoolState | None:
    found = state.find(order)
    if found is None or found[2] != NEW:
        return None
    quantity = found[1]
    return PoolState(
        version=state.version + 1,
        available=state.available + (quantity if status == "cancelled" else 0),
        ordered=state.ordered - quantity,
        orders=state.orders - {found} | {(order, quantity, status)},
    )


def _is_true(state: PoolState, sighting: Sighting) -> bool:
    match sighting:
        case WasShort(quantity=quantity, available=available):
            return state.available == available < quantity
        case WasClosed(order=order):
            found = state.find(order)
            return found is not None and found[2] != NEW
        case SawNumbers():
            return sighting == SawNumbers(
                state.version, state.available, state.ordered, state.available + state.ordered
            )
        case SawOrder(order=order, status=status):
            found = state.find(order)
            return found is not None and found[2] == status
        case _:
            assert_never(sighting)
