"""What may be read of an actor without changing it, as values that can travel between processes."""

from typing import TypeAlias

import msgspec

from allocator.domain.kinds import State
from allocator.domain.messages import Picks
from allocator.domain.moves import Move
from allocator.domain.pool import Balance, Lot, Pool


class BalanceQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A pool's numbers; zeros if it is a location that holds another product.

    Attributes:
        product: Of which; None for whichever is there.
    """

    product: str | None = None


class LotQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A lot that still has units on hand."""

    seq: int


class OpenOrderQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What an open order holds."""

    seq: int


class MoveQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A move as it stands.

    Attributes:
        decided: Answer only when it is done or refused.
    """

    decided: bool = False


Query: TypeAlias = BalanceQuery | LotQuery | OpenOrderQuery | MoveQuery


class View(msgspec.Struct, frozen=True):
    """What was seen; only the field that was asked for is filled, and None if there is nothing.

    Attributes:
        lot: A copy; `move` likewise.
        picks: Of the order, if it is open.
        product: With a balance or a lot: the product by which a location is occupied that holds
            one at a time; None if it is free, or another kind of pool.
    """

    balance: Balance | None = None
    lot: Lot | None = None
    picks: Picks | None = None
    product: str | None = None
    move: Move | None = None


def look(state: State, query: Query) -> View | None:
    """Return what `query` asks for, as it is now; None if it has to wait for that.

    Raises:
        TypeError: It is for another kind of actor.
    """
    match query:
        case BalanceQuery(product=product) if isinstance(state, Pool):
            there = state.product if state.occupied else None
            return View(balance=balance_of(state, product), product=there)
        case LotQuery(seq=seq) if isinstance(state, Pool):
            lot = state.lots.get(seq)
            if lot is None:
                return View()
            return View(lot=msgspec.structs.replace(lot), product=state.product)
        case OpenOrderQuery(seq=seq) if isinstance(state, Pool):
            return View(picks=state.orders.get(seq))
        case MoveQuery(decided=decided) if isinstance(state, Move):
            if decided and state.status == "in_transit":
                return None
            return View(move=msgspec.structs.replace(state))
        case _:
            raise TypeError(f"a {type(query).__name__} is not for a {type(state).__name__}")


def balance_of(pool: Pool, product: str | None) -> Balance:
    """Return a pool's numbers, if they are of this product; zeros if they are of another.

    Args:
        pool: As it stands.
        product: None for whichever it is of.
    """
    if product is None or pool.product is None or product == pool.product:
        return pool.balance()
    return Balance(version=pool.version, available=0, ordered=0, held=0, expired=0)
