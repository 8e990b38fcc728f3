"""Asks between actors of one worker: nothing about them has to wait.

What an actor decides because of another's decision is journaled with that or after it, by the one
writer of the worker; if the first never comes to be stored, the second does not, either. So such
an ask leaves before the event behind it is stored, and its answer is passed on before it is. Only
one thing has to be seen to: whoever has heard something keeps something unreleased, so that it is
dropped together with those whose word it took.

Nobody is called from within: an ask that led to another, and so on, would be a recursion.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from allocator.actors.messages import Answer
from allocator.domain import processes
from allocator.domain.kinds import Command
from allocator.domain.pool import Pool
from allocator.domain.processes import Ask, stamped

if TYPE_CHECKING:
    from allocator.actors.actor import Actor
    from allocator.actors.errands import Errand, Office

_AT_ONCE: Final = 256
"""So many are asked or told before others have their turn."""


class Neighbourhood(Protocol):
    """The actors of this worker."""

    def is_ours(self, actor_id: int) -> bool:
        """Say whether an actor is of this worker, now."""

    def active(self, actor_id: int) -> "Actor | None":
        """Return one of our actors if it would decide at once what it is told, else None."""

    def tell(self, actor_id: int, command: Command, reply: "Hearing") -> None:
        """Have one of our actors decide; raises `AllocatorError` if that is not accepted."""


class Near:
    """Brings asks and answers from one actor of a worker to another.

    Args:
        neighbourhood: Of whom it may be asked.
        clock: Milliseconds of Unix time. An ask that does not leave its worker cannot be late.
    """

    def __init__(self, neighbourhood: Neighbourhood, *, clock: Callable[[], int]) -> None:
        self._neighbourhood = neighbourhood
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def is_near(self, actor_id: int) -> bool:
        """Say whether an actor can be asked here."""
        return self._neighbourhood.is_ours(actor_id)

    def at_hand(self, pools: Sequence[int]) -> "list[tuple[Actor, Pool]] | None":
        """Return these pools if all of them could decide now, else None.

        None of them is in the midst of anything: they do not call anybody.
        """
        found = []
        for actor_id in pools:
            actor = self._neighbourhood.active(actor_id)
            if actor is None or type(actor.state) is not Pool or not actor.has_room:
                return None
            found.append((actor, actor.state))
        return found

    def may_act(self, actor_id: int) -> bool:
        """Say whether an actor may decide anything: not while its shard is given away.

        Nobody would wait for the row, and it would be stored when another worker has the shard.
        """
        return self._neighbourhood.is_ours(actor_id)

    def soon(self, step: Callable[[], None]) -> None:
        """Do something as soon as no actor is in the midst of anything."""
        self._waiting.append(step)
        self._schedule()

    def ask(self, hearing: "Hearing", ask: Ask, *, process: int) -> None:
        """Ask now.

        Raises:
            AllocatorError: It was not accepted; the actor may be another worker's by now.
        """
        command = stamped(ask.command, process=process, sent_at_ms=self._clock())
        self._neighbourhood.tell(ask.actor_id, command, hearing)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_scheduled = False
        for _ in range(_AT_ONCE):
            if not self._waiting:
                return
            self._waiting.popleft()()
        self._schedule()


class Hearing:
    """Hears what a neighbour decides, in the place of a reply."""

    __slots__ = ("_ask", "_errand", "_heard", "_office")

    def __init__(self, office: "Office", errand: "Errand", ask: Ask) -> None:
        self._office = office
        self._errand = errand
        self._ask = ask
        self._heard = False

    def decided(self, answer: processes.Answer, *, by: "Actor") -> None:
        """Take the answer, which is not durable yet."""
        if self._heard:
            return
        self._heard = True
        self._office.hear_near(self._errand, self._ask, answer, by=by)

    def done(self) -> bool:
        """Return whether nobody waits any more: the process does, or is dropped."""
        return False

    def set_result(self, _answer: Answer, /) -> None:
        """Do nothing: it is durable now, and was heard before."""

    def set_exception(self, _error: Exception, /) -> None:
        """Have it asked again: nothing was decided, or it falls with all that came of it."""
        if not self._heard:
            self._heard = True
            self._office.miss_near(self._errand, self._ask)
