"""What clients know, from what they heard, and what they therefore ask to get what they want."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar, assert_never

from allocator.actors.messages import Outcome
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
    LinesQuery,
    LotQuery,
    MoveQuery,
    OpenOrderQuery,
    Query,
)
from allocator.simulation.history import NEWBORN, Heard, Moved, Ordered
from allocator.simulation.steps import Wish
from allocator.simulation.wants import (
    Close,
    CloseLines,
    Lines,
    Look,
    Move,
    Place,
    Portion,
    Receive,
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
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._orders: defaultdict[int, list[int]] = defaultdict(list)
        self._lots: defaultdict[int, list[int]] = defaultdict(list)
        self._moves: list[int] = []
        self._led: list[tuple[int, int]] = []  # orders of several lines, and how many these are

    def question_for(self, wish: Wish, *, number: int) -> Question | None:
        """Return what to ask to get what is wanted; None if there is nothing of which it could be.

        Args:
            wish: What is wanted.
            number: Of the operation; what begins with it is called after it, to tell it apart.
        """
        want = wish.want
        match want:
            case Move():
                return Question(NEWBORN, _request_of(wish.pool, want, number))
            case Lines(portions=portions):
                return _order_of(portions, number)
            case CloseLines():
                return self._end_of(want)
            case Look():
                return self._look(wish.pool, want)
            case _:
                return Question(wish.pool, self._command(wish, want))

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

    def learn(self, heard: Heard | None) -> bool:
        """Remember what came of something; return whether it was a success."""
        match heard:
            case Moved(outcome=outcome):
                self._moves.append(outcome.actor_id)
            case Ordered(outcome=outcome, order=order):
                if order.status != "declined":
                    self._led.append((outcome.actor_id, len(order.lines)))
            case Outcome(event=OrderPlaced()):
                self._orders[heard.actor_id].append(heard.seq)
            case Outcome(event=StockReceived()):
                self._lots[heard.actor_id].append(heard.seq)
            case Outcome():
                pass
            case _:
                return False
        return True

    def _look(self, pool: int, look: Look) -> Question:
        which = look.which
        if look.what == "order":
            order = _nth(self._orders[pool], which, otherwise=1)
            return Question(pool, OpenOrderQuery(seq=order))
        if look.what == "lot":
            return Question(pool, LotQuery(seq=_nth(self._lots[pool], which, otherwise=1)))
        if look.what == "move" and self._moves:
            return Question(_nth(self._moves, which, otherwise=0), MoveQuery())
        if look.what == "lines" and self._led:
            return Question(_nth(self._led, which, otherwise=(0, 0))[0], LinesQuery())
        return Question(pool, BalanceQuery(product=look.product))

    def _end_of(self, want: CloseLines) -> Question | None:
        if not self._led:
            return None
        actor_id, lines = _nth(self._led, want.which, otherwise=(0, 0))
        if not want.dispatch:
            return Question(actor_id, CancelLines())
        parts = () if want.part is None else ((want.part[0] % lines, want.part[1]),)
        return Question(actor_id, DispatchLines(parts=parts))


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
