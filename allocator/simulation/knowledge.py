"""What clients know, from what they heard, and what they therefore ask to get what they want."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, TypeVar, assert_never

from allocator.actors.messages import Outcome
from allocator.domain import adjustments, carts
from allocator.domain.carts import CartOpened
from allocator.domain.checkouts import BeginCheckout, CheckoutBegun, ResolveCheckout
from allocator.domain.feeds import DeleteFeed, FeedPut, PollNow, PutFeed
from allocator.domain.kinds import Command
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
)
from allocator.domain.moves import RequestMove
from allocator.domain.orders import CancelLines, DispatchLines, Line, RequestOrder
from allocator.domain.queries import (
    BalanceQuery,
    CartQuery,
    CheckoutQuery,
    FeedQuery,
    LinesQuery,
    LotQuery,
    MoveQuery,
    OpenOrderQuery,
    Query,
    View,
)
from allocator.simulation.history import NEWBORN, Edited, Heard, Moved, Ordered
from allocator.simulation.steps import Wish
from allocator.simulation.wants import (
    Adjust,
    CheckOut,
    Close,
    CloseCart,
    CloseLines,
    Count,
    Feed,
    Lines,
    Look,
    Move,
    OpenCart,
    Place,
    Portion,
    Receive,
    Resolve,
    SetLine,
    Steal,
)

T = TypeVar("T")

PRODUCTS: Final = ("tea", "pot", "cup")
"""Pools of one product are of the first."""


class Question(NamedTuple):
    """What is asked, and of which actor."""

    actor_id: int
    ask: Command | Query


class Knowledge:
    """What all clients know together.

    Args:
        now_ms: Reads the clock by which lots expire.
        outcome_of: Looks into the provider's books for who asked, and in which attempt.
        put: How the warehouse is to be fed that can be; None if none can.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        outcome_of: Callable[[int, int], Literal["paid", "failed"]],
        put: PutFeed | None = None,
    ) -> None:
        self._put = put
        self._is_put = False
        self._now_ms = now_ms
        self._outcome_of = outcome_of
        self._orders: defaultdict[int, list[int]] = defaultdict(list)
        self._lots: defaultdict[int, list[int]] = defaultdict(list)
        self._versions: dict[int, int] = {}  # of pools, as they were seen last
        self._moves: list[int] = []
        self._carts: dict[int, int] = {}  # by what they are called
        self._attempts: dict[int, tuple[int, int]] = {}  # to pay for them, and who: the latest
        self._led: list[tuple[int, int]] = []  # orders of several lines, and how many these are

    def question_for(self, wish: Wish, *, number: int) -> Question | None:
        """Return what to ask to get what is wanted; None if there is nothing of which it could be.

        Args:
            wish: What is wanted.
            number: Of the operation; what begins with it is called after it, to tell it apart.
        """
        want = wish.want
        question: Question | None
        match want:
            case Move():
                question = Question(NEWBORN, _request_of(wish.pool, want, number))
            case Lines(portions=portions):
                question = _order_of(portions, number)
            case CloseLines():
                question = self._end_of(want)
            case Look(what="feed"):
                question = Question(wish.pool, FeedQuery()) if self._is_put else None
            case Look():
                question = Question(*self._look(wish.pool, want))
            case OpenCart(ttl_ms=ttl_ms, cap_ms=cap_ms):
                customer = f"customer {number}"
                begin = carts.OpenCart(customer=customer, ttl_ms=ttl_ms, cap_ms=cap_ms)
                question = Question(NEWBORN, begin)
            case Feed(what=what):
                known = self._is_put or what == "put"
                question = Question(wish.pool, self._of_feed(what)) if known else None
            case Adjust() | Count():
                question = self._adjustment(wish.pool, want, number)
            case SetLine() | CloseCart() | CheckOut() | Resolve():
                question = self._of_cart(wish, want, number)
            case _:
                question = Question(wish.pool, self._command(wish, want))
        return question

    def _of_cart(
        self, wish: Wish, want: SetLine | CloseCart | CheckOut | Resolve, number: int
    ) -> Question | None:
        cart = self._carts.get(want.cart)
        if cart is None:
            return None
        command: Command
        match want:
            case SetLine(quantity=quantity, product=product):
                command = carts.SetLine(
                    line=Line(
                        pool=wish.pool,
                        warehouse=f"place of {number}",
                        product=product or PRODUCTS[0],
                        quantity=quantity,
                        told=product,
                    )
                )
            case CloseCart():
                command = carts.CloseCart()
            case CheckOut(timeout_ms=timeout_ms):
                command = BeginCheckout(
                    seen=0, prices=(), currency="", client_id=number, timeout_ms=timeout_ms
                )
            case Resolve(hasty=hasty):
                if cart not in self._attempts:
                    return None
                client_id, attempt = self._attempts[cart]
                command = ResolveCheckout(
                    attempt=attempt,
                    outcome="failed" if hasty else self._outcome_of(client_id, attempt),
                    reference=f"finding {number}",
                )
            case _:
                assert_never(want)
        return Question(cart, command)

    def _of_feed(self, what: Literal["put", "delete", "poll"]) -> Command:
        match what:
            case "put":
                assert self._put is not None, "the warehouse has a system of its own"
                return self._put
            case "delete":
                return DeleteFeed()
            case "poll":
                return PollNow()
            case _:
                assert_never(what)

    def _adjustment(self, pool: int, want: Adjust | Count, number: int) -> Question | None:
        """Return what changes the states of units; its reason is nobody else's."""
        reason = f"finding {number}"
        if isinstance(want, Count):
            if pool not in self._versions:
                return None
            count = adjustments.SetState(
                state=want.state,
                quantity=want.quantity,
                version=self._versions[pool],
                reason=reason,
                product=want.product,
            )
            return Question(pool, count)
        lot = None if want.which is None else _nth(self._lots[pool], want.which, otherwise=1)
        adjust = adjustments.Adjust(
            source=want.source,
            target=want.target,
            quantity=want.quantity,
            lot=lot,
            reason=reason,
            product=want.product,
        )
        return Question(pool, adjust)

    def _command(self, wish: Wish, want: Receive | Place | Steal | Close) -> Command:
        """Return what is asked of a pool."""
        match want:
            case Receive(quantity=quantity, ttl_ms=ttl_ms):
                expires_at_ms = None if ttl_ms is None else self._now_ms() + ttl_ms
                return ReceiveStock(
                    quantity=quantity, expires_at_ms=expires_at_ms, product=want.product
                )
            case Place(quantity=quantity) | Steal(quantity=quantity):
                customer = f"client {wish.client}"
                return PlaceOrder(quantity=quantity, customer=customer, product=want.product)
            case Close(which=which, dispatch=dispatch):
                order = _nth(self._orders[wish.pool], which, otherwise=1)
                return DispatchOrder(order=order) if dispatch else CancelOrder(order=order)
            case _:
                assert_never(want)

    def learn(self, wish: Wish, heard: Heard | None) -> bool:
        """Remember what came of something; return whether it was a success."""
        match heard:
            case Moved(outcome=outcome):
                self._moves.append(outcome.actor_id)
            case Ordered(outcome=outcome, order=order):
                if order.status != "declined":
                    self._led.append((outcome.actor_id, len(order.lines)))
            case Outcome(event=CheckoutBegun(client_id=client_id)):
                self._attempts[heard.actor_id] = client_id, heard.seq
            case Outcome(event=OrderPlaced()):
                self._orders[heard.actor_id].append(heard.seq)
            case Outcome(event=StockReceived()):
                self._lots[heard.actor_id].append(heard.seq)
            case Outcome(event=CartOpened()) if isinstance(wish.want, OpenCart):
                self._carts[wish.want.cart] = heard.actor_id
            case View():
                self._note_seen(wish, heard)
            case Outcome() | Edited():
                self._is_put = self._is_put or _is_put(heard)
            case _:
                return False
        return not isinstance(heard, View)

    def _note_seen(self, wish: Wish, view: View) -> None:
        """Know how a pool stood, or that a cart has become an order."""
        if view.balance is not None:
            self._versions[wish.pool] = view.balance.version
        if view.cart is not None and view.cart.order is not None:
            assert isinstance(wish.want, Look)
            paid = self._carts[wish.want.which], len(view.cart.order.lines)
            if paid not in self._led:
                self._led.append(paid)

    def _look(self, pool: int, look: Look) -> tuple[int, Query]:
        which, cart = look.which, self._carts.get(look.which)
        query: Query = BalanceQuery(product=look.product)
        match look.what:
            case "order":
                query = OpenOrderQuery(seq=_nth(self._orders[pool], which, otherwise=1))
            case "lot":
                query = LotQuery(seq=_nth(self._lots[pool], which, otherwise=1))
            case "move" if self._moves:
                return _nth(self._moves, which, otherwise=0), MoveQuery()
            case "lines" if self._led:
                return _nth(self._led, which, otherwise=(0, 0))[0], LinesQuery()
            case "checkout" if cart is not None and cart in self._attempts:
                return cart, CheckoutQuery(attempt=self._attempts[cart][1])
            case "cart" | "checkout" if cart is not None:
                return cart, CartQuery()
            case _:
                pass
        return pool, query

    def _end_of(self, want: CloseLines) -> Question | None:
        if not self._led:
            return None
        actor_id, lines = _nth(self._led, want.which, otherwise=(0, 0))
        if not want.dispatch:
            return Question(actor_id, CancelLines())
        parts = () if want.part is None else ((want.part[0] % lines, want.part[1]),)
        return Question(actor_id, DispatchLines(parts=parts))


def _is_put(heard: Outcome | Edited) -> bool:
    return isinstance(heard, Outcome) and isinstance(heard.event, FeedPut)


def _request_of(source: int, move: Move, number: int) -> RequestMove:
    """Return a request that no other operation makes: the places are called after it."""
    return RequestMove(
        product=move.product or PRODUCTS[0],
        source=source,
        destination=move.to,
        from_code=f"from {number}",
        to_code=f"to {number}",
        quantity=move.quantity,
        expects=move.expects,
    )


def _order_of(portions: Sequence[Portion], number: int) -> Question:
    """Return an order, lines of one pool as one; a single line is an order of its pool."""
    wanted: dict[int, Portion] = {}
    for portion in portions:
        former = wanted.get(portion.pool)
        units = portion.quantity + (0 if former is None else former.quantity)
        wanted[portion.pool] = Portion(portion.pool, units, portion.product)
    customer = f"customer {number}"
    lines = tuple(
        Line(
            pool=pool,
            warehouse=f"place {pool}",
            product=each.product or PRODUCTS[0],
            quantity=each.quantity,
            told=each.product,
        )
        for pool, each in sorted(wanted.items())
    )
    if len(lines) > 1:
        return Question(NEWBORN, RequestOrder(lines=lines, customer=customer))
    [line] = lines
    ask = PlaceOrder(quantity=line.quantity, customer=customer, product=line.told)
    return Question(line.pool, ask)


def _nth(those: Sequence[T], which: int, *, otherwise: T) -> T:
    """Return one of what is known; something else, if nothing is."""
    return those[which % len(those)] if those else otherwise
