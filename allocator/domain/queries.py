"""What may be read of a pool without changing it, as values that can travel between processes."""

from typing import TypeAlias, assert_never

import msgspec

from allocator.domain.messages import Picks
from allocator.domain.pool import Balance, Lot, Pool


class BalanceQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The pool's numbers."""


class LotQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A lot that still has units on hand."""

    seq: int


class OpenOrderQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What an open order holds."""

    seq: int


Query: TypeAlias = BalanceQuery | LotQuery | OpenOrderQuery


class View(msgspec.Struct, frozen=True):
    """What was seen; only the field that was asked for is filled, and None if there is nothing.

    Attributes:
        lot: A copy.
        picks: Of the order, if it is open.
    """

    balance: Balance | None = None
    lot: Lot | None = None
    picks: Picks | None = None


def look(pool: Pool, query: Query) -> View:
    """Return what `query` asks for, as it is now."""
    match query:
        case BalanceQuery():
            return View(balance=pool.balance())
        case LotQuery(seq=seq):
            lot = pool.lots.get(seq)
            return View(lot=None if lot is None else msgspec.structs.replace(lot))
        case OpenOrderQuery(seq=seq):
            return View(picks=pool.orders.get(seq))
        case _:
            assert_never(query)
