"""What must be true between a process and the pools that hold for it, at any one moment.

The journal of each may be sound by itself, and the two still contradict each other. A pool does
what it was asked, and a process says what pools have told it, so that whatever stands in one of
them was in the other before. What a process has outstanding may be done already or not: that is no
contradiction.
"""

from functools import cached_property
from typing import Final, TypeAlias

from allocator.domain.carts import Cart, LineWanted
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event, evolve, intents
from allocator.domain.messages import OrderCancelled, OrderDispatched, OrderPartlyDispatched
from allocator.domain.orders import Held, Line, Order, OrderAccepted, OrderRequested
from allocator.domain.transfers import ProcessLetGo
from allocator.domain.values import Picks, units_of, with_less, with_more

Leading: TypeAlias = Order | Cart
"""The processes for which pools hold units."""

_NOTHING: Final = Held(order=0, picks=())


class Dealings:
    """What a process has asked of pools and was told by them, as its own journal has it.

    Args:
        state: To which nothing has happened.

    Attributes:
        state: It, after all rows that were taken.
    """

    def __init__(self, state: Leading) -> None:
        self.state = state
        self._wanted: dict[tuple[int, int], int] = {}
        self._places: dict[int, str] = {}

    def take(self, seq: int, at_ms: int, event: Event) -> None:
        """Apply the next row, which is lawful; all of them come before anything is asked."""
        lines: tuple[Line, ...] = ()
        if isinstance(event, OrderRequested):
            lines = event.lines
        elif isinstance(event, LineWanted):
            lines = (event.line,)
        for line in lines:
            self._wanted[line.pool, seq] = line.quantity
        if isinstance(event, OrderAccepted):
            lines = event.lines  # of one that was decided at once, and asked for nothing
        for line in lines:
            self._places[line.pool] = f"{line.warehouse}/{line.product}"
        evolve(self.state, event, at_ms=at_ms)

    @cached_property
    def order(self) -> Order | None:
        """What became of it, if its units are the customer's for good."""
        order = self.state if isinstance(self.state, Order) else self.state.order
        return None if order is None or not order.held else order

    @property
    def is_over(self) -> bool:
        """Whether it was declined, was closed or has expired, so that nothing is held for it."""
        return self.state.status in {"declined", "closed", "expired"}

    @cached_property
    def outstanding(self) -> frozenset[int]:
        """The pools that it is asking for something."""
        return frozenset(ask.actor_id for ask in intents(self.state))

    @cached_property
    def promised(self) -> dict[int, Held]:
        """By pool, what it was told to be its own."""
        if self.order is not None:
            pools = (line.pool for line in self.order.lines)
            return dict(zip(pools, self.order.held, strict=True))
        if isinstance(self.state, Cart) and not self.is_over:
            return {
                line.line.pool: Held(order=line.order, picks=line.picks)
                for line in self.state.filled()
            }
        return {}

    @cached_property
    def left(self) -> dict[int, int]:
        """By pool, how many units of its order it has decided to keep there."""
        if self.order is None:
            return {}
        pools = (line.pool for line in self.order.lines)
        return dict(zip(pools, self.order.left, strict=True))

    def wanted(self, pool: int, *, step: int) -> int | None:
        """Return how many units it asked a pool for in a step, None if it did not."""
        return self._wanted.get((pool, step))

    def place(self, pool: int) -> str:
        """Return what people call a pool."""
        return self._places.get(pool, f"actor {pool}")


class Keeping:
    """What a pool does for a process, as the pool's journal has it.

    Args:
        pool: Its actor.
        dealings: The process, which has been heard to the end.

    Attributes:
        unasked: Why one of its rows cannot be, if that is so.
    """

    def __init__(self, pool: int, dealings: Dealings) -> None:
        self.unasked = ""
        self._pool = pool
        self._dealings = dealings
        self._place = dealings.place(pool)
        self._own = dealings.promised.get(pool, _NOTHING)
        self._held = _NOTHING
        self._ordered = 0
        self._left: int | None = None
        self._is_cancelled = False

    def take(self, event: Event) -> None:
        """Apply the pool's next row about the process."""
        self.unasked = self.unasked or self._why_unasked(event)
        match event:
            case UnitsHeld():
                picks = _changed(self._held.picks, event)
                self._held = Held(order=event.order if picks else 0, picks=picks)
            case HoldConfirmed():
                self._held = _NOTHING
                self._ordered = self._left = event.quantity
            case ProcessLetGo():
                self._held = _NOTHING
            case OrderPartlyDispatched():
                self._left = event.left
            case OrderDispatched():
                self._left = 0
            case OrderCancelled():
                self._left, self._is_cancelled = 0, True
            case _:
                pass  # it refused, and keeps what it has

    def contradicts(self) -> str:
        """Say why all of its rows cannot be, beside what the process says, or nothing."""
        is_asked = self._pool in self._dealings.outstanding
        if self._left is not None:
            return self._contradicts_end(self._left, is_asked=is_asked)
        if self._dealings.order is None:
            # As long as it is asked, the answer may be on its way.
            return "" if is_asked else self._contradicts_hold()
        if is_asked:
            return self._contradicts_hold() if self._own.picks else ""
        units = units_of(self._own.picks)
        if units:
            return f"{units} units are its own, and {self._place} has made no order of them"
        return self._contradicts_hold()

    def _contradicts_hold(self) -> str:
        held, own = units_of(self._held.picks), units_of(self._own.picks)
        if self._held == self._own:
            return ""
        if self._dealings.is_over:
            return f"{self._place} holds {held} units for it, and it has ended"
        if held == own:
            return f"{self._place} holds {held} other units for it than it knows of"
        return f"{self._place} holds {held} units for it, and it knows of {own}"

    def _contradicts_end(self, left: int, *, is_asked: bool) -> str:
        """Compare what became of its order; the pool is the last to come to know."""
        order, decided = self._dealings.order, self._dealings.left.get(self._pool, 0)
        if left < decided or (left > decided and not is_asked):
            return f"{decided} units of it are left, and {left} at {self._place}"
        was_cancelled = order is not None and order.status == "cancelled"
        if self._is_cancelled and not was_cancelled:
            return f"{self._place} has {self._ordered} units back, and it was not cancelled"
        if was_cancelled and not self._is_cancelled and not is_asked:
            return f"{self._ordered} units have left {self._place}, and it was cancelled"
        return ""

    def _why_unasked(self, event: Event) -> str:
        """Say why the process cannot have asked for this, or nothing if it can."""
        dealings, place = self._dealings, self._place
        match event:
            case (
                UnitsHeld(step=step, quantity=quantity) | HoldRefused(step=step, requested=quantity)
            ):
                wanted = dealings.wanted(self._pool, step=step)
                asked = "nothing" if wanted is None else f"{wanted}"
                why = f"{place} was asked for {quantity} units, and it asked for {asked}"
                return "" if wanted == quantity else why
            case HoldConfirmed(order=number, picks=picks, quantity=quantity):
                is_own = dealings.order and self._own == Held(order=number, picks=picks)
                why = f"{place} has made an order of {quantity} units that are not its own"
                return "" if is_own else why
            case ProcessLetGo(quantity=quantity):
                has_given_up = not self._own.picks and (dealings.is_over or dealings.order)
                why = f"{place} has let go of {quantity} units that it did not give up"
                return "" if has_given_up else why
            case _:
                return ""


def _changed(held: Picks, event: UnitsHeld) -> Picks:
    """Return what is held after a change; what cannot have happened is told of the pool itself."""
    try:
        return with_less(with_more(held, event.added), event.returned)
    except KeyError:
        return ()
