"""The kinds of actors, and what they have in common: the four functions, and a state as bytes.

A state has a `version`, the seq of its last event, and `last_at_ms`, the time of that. What kind an
actor is stands in the database with its id. To send an actor the command of another kind, or replay
events of another, is a bug.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, assert_never, get_args

from allocator.domain import messages, move_rules, rules
from allocator.domain.messages import OpenTicketOption, Wake
from allocator.domain.moves import Move, MoveEvent, RequestMove, SamePlace
from allocator.domain.pool import Pool
from allocator.domain.processes import Answered, Ask
from allocator.domain.snapshots import dump_move, dump_pool, load_move, load_pool

Kind: TypeAlias = Literal["pool", "move"]
"""As it is stored with the actor."""

State: TypeAlias = Pool | Move

Command: TypeAlias = messages.Command | RequestMove
"""What may be asked from outside, and between workers."""

Message: TypeAlias = Command | Answered
"""And what the shell tells a process."""

Event: TypeAlias = messages.Event | MoveEvent

Refusal: TypeAlias = messages.Refusal | SamePlace

Decision: TypeAlias = tuple[Event, ...] | Refusal

_BEGINNINGS: Final[dict[type[object], Kind]] = {OpenTicketOption: "pool", RequestMove: "move"}

# Sets, because asking a struct whether it is none of several others is slow; and so is `cast`.
_MOVE_MESSAGES: Final = frozenset({RequestMove, Answered})
_MOVE_EVENTS: Final = frozenset(get_args(MoveEvent))


def blank(kind: Kind) -> State:
    """Return the state of an actor to which nothing has happened."""
    match kind:
        case "pool":
            return Pool()
        case "move":
            return Move()
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
        case "move":
            return "move"
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
    if isinstance(state, Pool) and type(message) not in _MOVE_MESSAGES:
        return rules.decide(state, message, now_ms=now_ms)  # type: ignore[arg-type]  # it is
    if isinstance(state, Move) and isinstance(message, RequestMove | Answered | Wake):
        return move_rules.decide(state, message)
    raise TypeError(f"a {type(message).__name__} is not for a {type(state).__name__}")


def evolve(state: State, event: Event, *, at_ms: int) -> None:
    """Apply the next fact.

    Raises:
        TypeError: It is one of another kind of actor; the state is unchanged.
    """
    of_move = type(event) in _MOVE_EVENTS
    if isinstance(state, Pool) and not of_move:
        rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    elif isinstance(state, Move) and of_move:
        move_rules.evolve(state, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
    else:
        raise TypeError(f"a {type(event).__name__} does not happen to a {type(state).__name__}")


def wake_at(state: State) -> int | None:
    """Return when an actor next wants a `Wake`, milliseconds of Unix time, or None."""
    return rules.wake_at(state) if isinstance(state, Pool) else move_rules.wake_at(state)


def intents(state: State) -> Sequence[Ask]:
    """Return the asks that are outstanding, by number; only processes have any."""
    return () if isinstance(state, Pool) else move_rules.intents(state)


def is_process(state: State) -> bool:
    """Say whether an actor asks others for anything."""
    return not isinstance(state, Pool)


def weight(state: State) -> int:
    """Say how many open orders a snapshot has to hold; the rest does not count."""
    return len(state.orders) if isinstance(state, Pool) else 0


def has_ended(state: State) -> bool:
    """Say whether nothing will happen to an actor any more, so that it need not stay in memory."""
    return isinstance(state, Move) and state.ended


def dump(state: State) -> bytes:
    """Return the whole state; equal states give equal bytes."""
    return dump_pool(state) if isinstance(state, Pool) else dump_move(state)


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
        case _:
            assert_never(kind)
