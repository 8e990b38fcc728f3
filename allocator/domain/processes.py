"""Processes: actors that lead several others through steps.

A process journals what it has decided and what came of it, and asks. Its **intents** are the asks
that are still outstanding, derived from its state alone: a recovered process simply has them again.

The shell sends an ask when the event that justifies it is durable, sends it again until there is an
answer, and tells the process. Asks of one number belong together: the process hears of them once,
when all of them have been answered. `Errands` keeps count of that.
"""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import msgspec

from allocator.domain.messages import Event, Refusal
from allocator.domain.transfers import Asked, Stale
from allocator.domain.values import Message

Answer: TypeAlias = Event | Refusal | None
"""The event that an ask led to, the last one if there were several; why not; or None: there was
nothing to do, as after a step that was done before."""

T = TypeVar("T", bound=Asked)


class Ask(Message, frozen=True, kw_only=True):
    """What a process wants of another actor.

    Attributes:
        number: Ascends within the process; the same for asks that belong together.
        command: Not stamped yet.
    """

    number: int
    actor_id: int
    command: Asked


class Answered(Message, frozen=True, kw_only=True):
    """Tell a process what came of the asks of a number; a command of its shell."""

    number: int
    answer: Answer


def stamped(command: T, *, process: int, sent_at_ms: int) -> T:
    """Return an ask's command as it is to be sent.

    Args:
        command: As `intents` has it.
        process: The actor that asks.
        sent_at_ms: A time at which the sender certainly still was that actor's only writer, such
            as when its last append that succeeded was sent; never just what the clock says. A
            deposed writer that wakes up after an hour believes in its intents, too: this is how
            pools tell. If the pool called the ask stale, its time, if that is later.
    """
    return msgspec.structs.replace(command, process=process, sent_at_ms=sent_at_ms)


class Errands:
    """The asks of one process under way, in this life of it; nothing of this has to be durable."""

    __slots__ = ("_answered", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], Ask] = {}
        self._answered: set[tuple[int, int]] = set()

    def renew(self, intents: Sequence[Ask]) -> list[Ask]:
        """Return the asks that are to be sent for the first time.

        Those that are not intended any more are forgotten, answered or not.
        """
        wanted = {(ask.number, ask.actor_id): ask for ask in intents}
        self._answered &= wanted.keys()
        self._waiting = {name: ask for name, ask in wanted.items() if name in self._waiting}
        new = [
            ask
            for name, ask in wanted.items()
            if name not in self._waiting and name not in self._answered
        ]
        self._waiting |= {(ask.number, ask.actor_id): ask for ask in new}
        return new

    def waiting(self) -> list[Ask]:
        """Return the asks that have not been answered: to be sent again, now and then."""
        return list(self._waiting.values())

    def hear(self, ask: Ask, answer: Answer) -> Answered | None:
        """Take an answer; return what to tell the process, if it completes a number.

        None as well if nobody waits for it any more, or it was stale: send that one again.
        """
        name = (ask.number, ask.actor_id)
        if name not in self._waiting or isinstance(answer, Stale):
            return None
        del self._waiting[name]
        self._answered.add(name)
        if any(number == ask.number for number, _ in self._waiting):
            return None
        # What the process makes of it shows in its intents; what it still intends is sent again.
        self._answered = {each for each in self._answered if each[0] != ask.number}
        return Answered(number=ask.number, answer=answer)
