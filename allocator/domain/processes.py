"""Processes: actors that lead several others through steps.

A process journals what it has decided and what came of it, and asks. Its **intents** are the asks
that are still outstanding, derived from its state alone: a recovered process simply has them again.

The shell sends an ask when the event that justifies it is durable, sends it again until there is an
answer, and tells the process. Asks of one number belong together: the process hears of them once,
when all of them have been answered. `Errands` keeps count of that.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias, TypeVar, get_args

import msgspec

from allocator.domain.holds import AlreadyHeld, HoldAsked, HoldRefused
from allocator.domain.messages import CancelOrder, DispatchOrder, Event, Refusal
from allocator.domain.transfers import AlreadySent, Asked, SendRefused, Stale
from allocator.domain.values import Message

Answer: TypeAlias = Event | Refusal | None
"""The event that an ask led to, the last one if there were several; why not; or None: there was
nothing to do, as after a step that was done before."""

Wanted: TypeAlias = Asked | HoldAsked | DispatchOrder | CancelOrder
"""What processes ask. An order of a pool closes once, so that to close it needs no stamp."""

_Name: TypeAlias = tuple[int, int]
"""(number, actor): what tells asks of a process apart."""

T = TypeVar("T", bound=Wanted)

AT_ONCE: Final = 0
"""When a process with something outstanding is to be woken: a time that is past by every clock, so
that whoever comes to own it wakes it, whatever the clock said under which it began."""

REFUSALS: Final = (*get_args(Refusal), SendRefused, HoldRefused)
"""The answers that say no; of which `AlreadySent` and `AlreadyHeld` do not."""


class Ask(Message, frozen=True, kw_only=True):
    """What a process wants of another actor.

    Attributes:
        number: Ascends within the process; the same for asks that belong together.
        command: Not stamped yet.
        in_turn: Whether it is asked when those of its number that stand before it are answered.
        otherwise: What is asked instead, if one of them was refused.
    """

    number: int
    actor_id: int
    command: Wanted
    in_turn: bool = False
    otherwise: Wanted | None = None


class Answered(Message, frozen=True, kw_only=True):
    """Tell a process what came of the asks of a number; a command of its shell.

    Attributes:
        answer: The last one.
        answers: All of them, by the actor that gave it.
    """

    number: int
    answer: Answer
    answers: tuple[tuple[int, Answer], ...] = ()


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
    if isinstance(command, DispatchOrder | CancelOrder):
        return command
    return msgspec.structs.replace(command, process=process, sent_at_ms=sent_at_ms)


class Errands:
    """The asks of one process under way, in this life of it; nothing of this has to be durable."""

    __slots__ = ("_answers", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[_Name, Ask] = {}
        self._answers: dict[_Name, Answer] = {}

    def renew(self, intents: Sequence[Ask]) -> list[Ask]:
        """Return the asks that are to be sent for the first time.

        Those that are not intended any more are forgotten, answered or not.
        """
        if not intents:
            self._waiting.clear()
            self._answers.clear()
            return []
        wanted = {(ask.number, ask.actor_id) for ask in intents}
        self._answers = {name: said for name, said in self._answers.items() if name in wanted}
        self._waiting = {name: ask for name, ask in self._waiting.items() if name in wanted}
        unanswered: set[int] = set()
        new = []
        for ask in intents:
            name = (ask.number, ask.actor_id)
            if name in self._answers:
                continue
            if name not in self._waiting and not (ask.in_turn and ask.number in unanswered):
                self._waiting[name] = self._as_things_stand(ask)
                new.append(self._waiting[name])
            unanswered.add(ask.number)
        return new

    def waiting(self) -> list[Ask]:
        """Return the asks that have not been answered: to be sent again, now and then."""
        return list(self._waiting.values())

    def hear(self, ask: Ask, answer: Answer, intents: Sequence[Ask]) -> Answered | None:
        """Take an answer; return what to tell the process, if it completes a number.

        None as well if nobody waits for it any more, or it was stale: send that one again.
        """
        name = (ask.number, ask.actor_id)
        if name not in self._waiting or isinstance(answer, Stale):
            return None
        del self._waiting[name]
        self._answers[name] = answer
        asked = [(each.number, each.actor_id) for each in intents if each.number == ask.number]
        if not all(each in self._answers for each in asked):
            return None
        # What the process makes of it shows in its intents; what it still intends is sent again.
        answers = tuple((each[1], self._answers.pop(each)) for each in asked)
        return Answered(number=ask.number, answer=answer, answers=answers)

    def _as_things_stand(self, ask: Ask) -> Ask:
        """Return what is asked instead, if one of the same number was refused."""
        if ask.otherwise is None or not any(
            number == ask.number and is_refusal(said) for (number, _), said in self._answers.items()
        ):
            return ask
        return msgspec.structs.replace(ask, command=ask.otherwise)


def is_refusal(answer: Answer) -> bool:
    """Say whether an answer says no."""
    return isinstance(answer, REFUSALS) and not isinstance(answer, AlreadySent | AlreadyHeld)
