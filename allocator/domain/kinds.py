"""The kinds of actors, and what they have in common: the four functions, and a state as bytes.

A state has a `version`, the seq of its last event, and `last_at_ms`, the time of that. What kind an
actor is stands in the database with its id. To send an actor the command of another kind, or replay
events of another, is a bug.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, assert_never, get_args

from allocator.domain import (
    cart_rules,
    checkout_rules,
    feed_rules,
    messages,
    move_rules,
    order_rules,
    rules,
)
from allocator.domain.carts import Cart, CartEvent, CartRefusal, CloseCart, OpenCart, SetLine
from allocator.domain.checkouts import (
    BeginCheckout,
    Charge,
    CheckoutBegun,
    CheckoutRefusal,
    PaymentHeard,
    ResolveCheckout,
)
from allocator.domain.feeds import (
    BeginRun,
    DeleteFeed,
    EndFeed,
    EndPart,
    EndPoll,
    EndRun,
    Feed,
    FeedEvent,
    FeedRefusal,
    Poll,
    PollBegun,
    PollNow,
    PutFeed,
)
from allocator.domain.messages import OpenTicketOption, Wake
from allocator.domain.moves import Move, MoveEvent, RepeatMove, RequestMove, SamePlace
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    NotOpen,
    Order,
    OrderEvent,
    RequestOrder,
    TooMuch,
)
from allocator.domain.pool import Pool
from allocator.domain.processes import Answered, Ask
from allocator.domain.snapshots import (
    dump_pool,
    dump_process,
    load_cart,
    load_feed,
    load_move,
    load_order,
    load_pool,
)

Kind: TypeAlias = Literal["pool", "move", "order", "cart", "feed"]
"""As it is stored with the actor."""

State: TypeAlias = Pool | Move | Order | Cart | Feed

Command: TypeAlias = (
    messages.Command
    | RequestMove
    | RepeatMove
    | RequestOrder
    | DispatchLines
    | CancelLines
    | OpenCart
    | SetLine
    | CloseCart
    | BeginCheckout
    | PaymentHeard
    | ResolveCheckout
    | PutFeed
    | DeleteFeed
    | EndFeed
    | PollNow
    | EndPoll
    | BeginRun
    | EndPart
    | EndRun
)
"""What may be asked from outside, and between workers."""

Message: TypeAlias = Command | Answered
"""And what the shell tells a process."""

Event: TypeAlias = messages.Event | MoveEvent | OrderEvent | CartEvent | FeedEvent

Refusal: TypeAlias = (
    messages.Refusal | SamePlace | NotOpen | TooMuch | CartRefusal | CheckoutRefusal | FeedRefusal
)

Decision: TypeAlias = tuple[Event, ...] | Refusal

_BEGINNINGS: Final[dict[type[object], Kind]] = {
    OpenTicketOption: "pool",
    RequestMove: "move",
    RepeatMove: "move",
    RequestOrder: "order",
    OpenCart: "cart",
    PutFeed: "feed",
}

# Sets, because asking a struct whether it is none of several others is slow; and so is `cast`.
_MOVE_MESSAGES: Final = frozenset({RequestMove, RepeatMove, Answered, Wake})
_ORDER_MESSAGES: Final = frozenset(get_args(order_rules.Command))
_CART_MESSAGES: Final = frozenset(get_args(cart_rules.Command))
_FEED_MESSAGES: Final = frozenset(get_args(feed_rules.Command))
_PROCESS_MESSAGES: Final = (_MOVE_MESSAGES | _ORDER_MESSAGES | _CART_MESSAGES | _FEED_MESSAGES) - {
    Wake
}
_MOVE_EVENTS: Final = frozenset(get_args(MoveEvent))
_ORDER_EVENTS: Final = frozenset(get_args(OrderEvent))
_CART_EVENTS: Final = frozenset(get_args(CartEvent))
_FEED_EVENTS: Final = frozenset(get_args(FeedEvent))
_PROCESS_EVENTS: Final = _MOVE_EVENTS | _ORDER_EVENTS | _CART_EVENTS | _FEED_EVENTS


def blank(kind: Kind) -> State:
    """Return the state of an actor to which nothing has happened."""
    match kind:
        case "pool":
            return Pool()
        case "move":
            return Move()
        case "order":
            return Order()
        case "cart":
            return Cart()
        case "feed":
            return Feed()
        case _:
            assert_never(kind)


def kind_of(name: str | None) -> Kind:
    """Return the kind of an actor as it is stored; one that nobody stored is a pool.

    Raises:
        ValueError: A newer release knows it.
    """
    match name:
        case "pool" | None:
            return "pool"
        case "move" | "order" | "cart" | "feed":
            return name
        case _:
            raise ValueError(f"there is an actor of unknown kind {name!r}")


def kind_begun_by(message: object) -> Kind | None:
    """Return what comes into being with this message, or None: it is for what is there."""
    return _BEGINNINGS.get(type(message))


def decide(state: State, message: Message, *, now_ms: int) -> Decision:
    """Say what `message` would do to `state`, changing nothing.

    Raises:
        TypeError: It is meant for another kind of actor.
    """
    if isinstance(state, Pool) and type(message) not in _PROCESS_MESSAGES:
        return rules.decide(state, message, now_ms=now_ms)  # type: ignore[arg-type]  # it is
    if isinstance(state, Cart) and type(message) in _CART_MESSAGES:
        return cart_rules.decide(state, message, now_ms=now_ms)  # type: ignore[arg-type]  # it is
    if isinstance(state, Order) and type(message) in _ORDER_MESSAGES:
        return order_rules.decide(state, message)  # type: ignore[arg-type]  # it is
    if isinstance(state, Move) and type(message) in _MOVE_MESSAGES:
        return move_rules.decide(state, message)  # type: ignore[arg-type]  # it is
    if isinstance(state, Feed) and type(message) in _FEED_MESSAGES:
        return feed_rules.decide(state, message, now_ms=now_ms)  # type: ignore[arg-type]  # it is
    raise TypeError(f"a {type(message).__name__} is not for a {type(state).__name__}")


def evolve(state: State, event: Event, *, at_ms: int) -> None:
    """Apply the next fact.

    Raises:
        TypeError: It is one of another kind of actor; the state is unchanged.
    """
    if isinstance(state, Pool) and type(event) not in _PROCESS_EVENTS:
        rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    elif isinstance(state, Move) and type(event) in _MOVE_EVENTS:
        move_rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    elif isinstance(state, Order) and type(event) in _ORDER_EVENTS:
        order_rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    elif isinstance(state, Cart) and type(event) in _CART_EVENTS:
        cart_rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    elif isinstance(state, Feed) and type(event) in _FEED_EVENTS:
        feed_rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    else:
        raise TypeError(f"a {type(event).__name__} does not happen to a {type(state).__name__}")


def wake_at(state: State) -> int | None:
    """Return when an actor next wants a `Wake`, milliseconds of Unix time, or None."""
    match state:
        case Pool():
            return rules.wake_at(state)
        case Move():
            return move_rules.wake_at(state)
        case Order():
            return order_rules.wake_at(state)
        case Feed():
            return feed_rules.due_at(state)
        case _:
            return cart_rules.wake_at(state)


def due_at(state: State) -> int | None:
    """Return from when on a `Wake` changes something, milliseconds of Unix time, or None.

    Other wake-ups are for what is not in memory; this one is for whoever it is, busy or not.
    """
    match state:
        case Pool():
            return rules.wake_at(state)
        case Cart():
            return cart_rules.due_at(state)
        case Feed():
            return feed_rules.due_at(state)
        case _:
            return None


def intents(state: State) -> Sequence[Ask]:
    """Return the asks that are outstanding, by number; only processes have any."""
    match state:
        case Pool() | Feed():
            return ()
        case Move():
            return move_rules.intents(state)
        case Order():
            return order_rules.intents(state)
        case _:
            return cart_rules.intents(state)


def outgoing(state: State, event: Event) -> Charge | Poll | None:
    """Return what leaves for the outside because of an event that was just decided, or None.

    It is no intent. Once the event is durable it is sent, in the life that decided it; whoever was
    recovered never sends it: nobody can know whether it left before.
    """
    if isinstance(event, CheckoutBegun) and isinstance(state, Cart):
        return checkout_rules.outgoing(state, event)
    if isinstance(event, PollBegun) and isinstance(state, Feed):
        return feed_rules.outgoing(state, event)
    return None


def is_process(state: State) -> bool:
    """Say whether an actor asks others for anything."""
    return not isinstance(state, Pool)


def weight(state: State) -> int:
    """Say how many open orders a snapshot has to hold; the rest does not count."""
    return len(state.orders) if isinstance(state, Pool) else 0


def has_ended(state: State) -> bool:
    """Say whether nothing will happen to an actor any more, so that it need not stay in memory."""
    match state:
        case Pool() | Feed():
            return False
        case Move():
            return state.ended
        case Order():
            return order_rules.has_ended(state)
        case _:
            return cart_rules.has_ended(state)


def is_at_rest(state: State) -> bool:
    """Say whether nothing goes on with an actor of which hardly anybody asks twice.

    An order of several lines that waits for its dispatch is recovered from a row or a few.
    """
    return not state.outstanding if isinstance(state, Order) else has_ended(state)


def dump(state: State) -> bytes:
    """Return the whole state; equal states give equal bytes."""
    return dump_pool(state) if isinstance(state, Pool) else dump_process(state)


def load(kind: Kind, image: bytes) -> State:
    """Return the state that `dump` wrote.

    Raises:
        msgspec.DecodeError: Not such bytes; the caller falls back to an older snapshot.
    """
    match kind:
        case "pool":
            return load_pool(image)
        case "move":
            return load_move(image)
        case "order":
            return load_order(image)
        case "cart":
            return load_cart(image)
        case "feed":
            return load_feed(image)
        case _:
            assert_never(kind)
