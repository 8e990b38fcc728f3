"""What may be read of an actor without changing it, as values that can travel between processes."""

from typing import TypeAlias, assert_never

import msgspec

from allocator.domain import recall_rules, reconcile_rules
from allocator.domain.carts import Cart
from allocator.domain.checkouts import Checkout
from allocator.domain.feeds import Feed
from allocator.domain.kinds import State
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.domain.pool import Balance, Lot, Pool
from allocator.domain.reconciling import LotReconciled, Reconcile, TurnUnknown
from allocator.domain.stand_ins import owed
from allocator.domain.values import Picks


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


class LinesQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An order of several lines as it stands; also what a cart became that was paid for.

    Attributes:
        decided: Answer only when it is accepted or declined.
    """

    decided: bool = False


class CartQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A cart as it stands, with the last one of its checkouts.

    Attributes:
        edit: Answer only when this edit is settled, or never will be; 0 for at once.
    """

    edit: int = 0


class CheckoutQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """An attempt to pay for a cart, as it stands.

    Attributes:
        decided: Answer only when something is known of the money, if only that it is unknown.
    """

    attempt: int
    decided: bool = False


class FeedQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A feed as it stands."""


class ShortQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """How many promised units a pool misses, and the row that attached or detached it."""


class ReconcileQuery(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What would change in a pool if its feed asked this of it."""

    ask: Reconcile


Query: TypeAlias = (
    BalanceQuery
    | LotQuery
    | OpenOrderQuery
    | MoveQuery
    | LinesQuery
    | CartQuery
    | CheckoutQuery
    | FeedQuery
    | ShortQuery
    | ReconcileQuery
)


def may_wait(query: Query) -> bool:
    """Say whether `look` may have nothing to show for it yet."""
    match query:
        case MoveQuery(decided=wanted) | LinesQuery(decided=wanted):
            return wanted
        case CheckoutQuery(decided=wanted):
            return wanted
        case CartQuery(edit=edit):
            return edit > 0
        case _:
            return False


class View(msgspec.Struct, frozen=True):
    """What was seen; only the field that was asked for is filled, and None if there is nothing.

    Attributes:
        lot: A copy; `move`, `order`, `cart` and `feed` likewise.
        picks: Of the order, if it is open; `flagged`, whether units of it are recalled; `blocked`,
            how many of them cannot leave now.
        repicked: With those: the seq of the last event with which an order of the pool got other
            lots; 0 if none ever did.
        product: With a balance or a lot: the product by which a location is occupied that holds
            one at a time; None if it is free, or another kind of pool.
        found: What would be journaled, if anything; None if whoever asks does not know yet by which
            row the pool was attached.
        turn: With `short`: the row that attached the pool to a feed last, or detached it; 0 if none
            ever did.
    """

    balance: Balance | None = None
    lot: Lot | None = None
    picks: Picks | None = None
    flagged: bool = False
    blocked: int = 0
    repicked: int = 0
    product: str | None = None
    move: Move | None = None
    order: Order | None = None
    cart: Cart | None = None
    checkout: Checkout | None = None
    feed: Feed | None = None
    short: int | None = None
    found: tuple[LotReconciled, ...] | None = None
    turn: int = 0


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
            return _open_order_view(state, seq)
        case ShortQuery() | ReconcileQuery() if isinstance(state, Pool):
            return _look_at_feeding(state, query)
        case _:
            return _look_at_process(state, query)


def _look_at_feeding(pool: Pool, query: ShortQuery | ReconcileQuery) -> View:
    if isinstance(query, ShortQuery):
        return View(short=owed(pool), turn=0 if pool.fed is None else pool.fed.turn)
    decision = reconcile_rules.decide(pool, query.ask, now_ms=query.ask.sent_at_ms)
    if isinstance(decision, TurnUnknown):
        return View()
    events = decision if isinstance(decision, tuple) else ()
    return View(found=tuple(each for each in events if isinstance(each, LotReconciled)))


def _open_order_view(pool: Pool, seq: int) -> View:
    picks = pool.orders.get(seq)
    if not picks or not pool.recalls:
        return View(picks=picks, repicked=pool.repicked)
    return View(
        picks=picks,
        flagged=recall_rules.is_flagged(pool, picks),
        blocked=recall_rules.blocked(pool, picks),
        repicked=pool.repicked,
    )


def _look_at_process(state: State, query: Query) -> View | None:
    match query:
        case MoveQuery(decided=decided) if isinstance(state, Move):
            waits = decided and state.status == "in_transit"
            return None if waits else View(move=msgspec.structs.replace(state))
        case LinesQuery(decided=decided) if isinstance(state, Order):
            waits = decided and state.status == "requested"
            return None if waits else View(order=_copy(state))
        case FeedQuery() if isinstance(state, Feed):
            return View(feed=msgspec.structs.replace(state))
        case LinesQuery() | CartQuery() | CheckoutQuery() if isinstance(state, Cart):
            return _look_at_cart(state, query)
        case _:
            raise TypeError(f"a {type(query).__name__} is not for a {type(state).__name__}")


def _look_at_cart(cart: Cart, query: LinesQuery | CartQuery | CheckoutQuery) -> View | None:
    match query:
        case LinesQuery():
            return View(order=_copy(cart.order))
        case CartQuery(edit=edit):
            if cart.status == "open" and any(each.seq == edit for each in cart.edits):
                return None
            last = cart.checkouts[-1:]
            seen = msgspec.structs.replace(cart, checkouts=last, order=_copy(cart.order))
            return View(cart=seen)
        case CheckoutQuery(attempt=attempt, decided=decided):
            checkout = cart.checkout(attempt)
            waits = decided and checkout is not None and checkout.status == "capturing"
            return None if waits else View(checkout=checkout)
        case _:
            assert_never(query)


def _copy(order: Order | None) -> Order | None:
    return None if order is None else msgspec.structs.replace(order)


def balance_of(pool: Pool, product: str | None) -> Balance:
    """Return a pool's numbers, if they are of this product; zeros if they are of another.

    Args:
        pool: As it stands.
        product: None for whichever it is of.
    """
    if product is None or pool.product is None or product == pool.product:
        return pool.balance()
    return Balance(version=pool.version, available=0, ordered=0, held=0, expired=0)
