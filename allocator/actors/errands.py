"""What processes ask of other actors: sent when it is justified, again until it is answered.

An ask of another worker's actor leaves with a turn of the journal writer, like a reply: when the
event behind it is stored, and while we still are the one who may write. Those of our own actors
need not wait for that (`near`). A process whose worker was deposed goes on believing
in its intents; such a turn fails, and nothing leaves. What had left before is old by its stamp.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import structlog

from allocator.actors.messages import Answer, Envelope, KeyReused, Noted, Outcome
from allocator.actors.near import Hearing, Near
from allocator.actors.paying import Cashier, NoCashier
from allocator.actors.polling import NoPoller, Poller
from allocator.domain import processes
from allocator.domain.kinds import Command, State, intents
from allocator.domain.orders import OrderRequested
from allocator.domain.pool import Pool
from allocator.domain.processes import Ask, stamped
from allocator.domain.transfers import Stale
from allocator.errors import AllocatorError

if TYPE_CHECKING:
    from allocator.actors.actor import Actor

log = structlog.get_logger()

_Asked: TypeAlias = tuple["Errand", int, int]
"""Of whom, in which step, of which actor."""

_AGAIN_MIN_S: Final = 0.05
_AGAIN_MAX_S: Final = 2.0
_LONG_S: Final = 60.0
_DOUBLINGS: Final = 10  # an outage may last for as many tries as no float can hold


class Asker(Protocol):
    """Reaches any actor, whoever owns it."""

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        """Have an actor decide; raises `AllocatorError` if it is not accepted."""


class Office:
    """Sends the asks of one worker's processes, and brings them the answers.

    Args:
        asker: Whom to ask.
        proven_ms: Returns when the last turn that succeeded was sent: then we certainly were the
            only writer. Milliseconds of Unix time.
        is_hosted: Says whether an actor is still the one in memory.
        near: How those are asked that are of this worker.

    Attributes:
        asker: Another, if there are several workers.
        cashier: Has charges taken, where anybody can.
        poller: Asks warehouse systems, where anybody can.
        sent: Asks that left; `repeated` counts those that had left before.
        processes: How many are in memory.
    """

    def __init__(
        self,
        *,
        asker: Asker,
        proven_ms: Callable[[], int],
        is_hosted: Callable[["Actor"], bool],
        near: Near,
    ) -> None:
        self.asker = asker
        self.cashier: Cashier = NoCashier()
        self.poller: Poller = NoPoller()
        self._near = near
        self.sent = 0
        self.repeated = 0
        self.processes = 0
        self._proven_ms = proven_ms
        self._is_hosted = is_hosted
        self._loop = asyncio.get_running_loop()
        self._since_s: dict[_Asked, float] = {}  # in this order
        self._warned_s = self._loop.time()

    @property
    def outstanding(self) -> int:
        """How many asks are not answered, whether they are under way or will be again."""
        return len(self._since_s)

    def oldest_ms(self) -> int:
        """Return for how long the oldest of them has been so, in this life of its process."""
        since_s = next(iter(self._since_s.values()), None)
        return 0 if since_s is None else round((self._loop.time() - since_s) * 1000)

    def note(self, errand: "Errand", ask: Ask) -> None:
        """Take account of an ask that is about to leave for the first time."""
        self._since_s.setdefault((errand, ask.number, ask.actor_id), self._loop.time())

    def strike(self, errand: "Errand", ask: Ask) -> None:
        """Take no more account of an ask: it is answered, or will not leave again."""
        self._since_s.pop((errand, ask.number, ask.actor_id), None)

    def begin(self, errand: "Errand", ask: Ask) -> None:
        """Have an ask leave for the first time: at once, or with the next turn."""
        self.note(errand, ask)
        if self._near.is_near(ask.actor_id):
            self._near.soon(partial(self._ask_near, errand, ask))
        else:
            errand.actor.depart(_Departure(errand, ask, tries=0, pool_ms=0))

    def at_hand(self, request: OrderRequested) -> "list[tuple[Actor, Pool]] | None":
        """Return the pools of an order's lines if all of them could decide now, else None."""
        return self._near.at_hand([line.pool for line in request.lines])

    def _ask_near(self, errand: "Errand", ask: Ask) -> None:
        if not self._is_hosted(errand.actor):
            self.strike(errand, ask)
            return
        if not self._may_act(errand):
            self._again(errand, ask, tries=0, pool_ms=0)
            return
        self.sent += 1
        try:
            self._near.ask(Hearing(self, errand, ask), ask, process=errand.actor.actor_id)
        except AllocatorError:
            self._again(errand, ask, tries=0, pool_ms=0)

    def hear_near(
        self, errand: "Errand", ask: Ask, answer: processes.Answer, *, by: "Actor"
    ) -> None:
        """Bring the answer of one of our own actors, which is not durable yet."""
        self._near.soon(partial(self._tell_near, errand, ask, answer, by))

    def _tell_near(self, errand: "Errand", ask: Ask, answer: processes.Answer, by: "Actor") -> None:
        if not self._is_hosted(by):  # it was dropped since, and its word may be lost with it
            self._again(errand, ask, tries=0, pool_ms=0)
        elif isinstance(answer, Stale):
            self._again(errand, ask, tries=0, pool_ms=answer.now_ms)
        elif self._hears(errand, ask):
            errand.actor.lean()
            errand.hear(ask, answer)

    def _hears(self, errand: "Errand", ask: Ask) -> bool:
        """Say whether a process may be told an answer; have it asked again if it may be later."""
        if self._is_hosted(errand.actor) and not self._may_act(errand):
            self._again(errand, ask, tries=0, pool_ms=0)
            return False
        self.strike(errand, ask)
        return self._is_hosted(errand.actor)

    def _may_act(self, errand: "Errand") -> bool:
        return self._near.may_act(errand.actor.actor_id)

    def miss_near(self, errand: "Errand", ask: Ask) -> None:
        """Ask again: one of our own actors was dropped before it decided."""
        self._again(errand, ask, tries=0, pool_ms=0)

    def send(self, errand: "Errand", ask: Ask, *, tries: int, pool_ms: int) -> None:
        """Ask, and bring the answer back, or try again later."""
        if not self._is_hosted(errand.actor):
            self.strike(errand, ask)
            return
        command = stamped(
            ask.command,
            process=errand.actor.actor_id,
            sent_at_ms=max(self._proven_ms(), pool_ms),
        )
        self.sent += 1
        self.repeated += tries > 0
        try:
            reply = self.asker.ask(ask.actor_id, command)
        except AllocatorError:
            self._again(errand, ask, tries=tries, pool_ms=pool_ms)
        else:
            reply.add_done_callback(partial(self._heard, errand, ask, tries))

    def _heard(self, errand: "Errand", ask: Ask, tries: int, reply: asyncio.Future[Answer]) -> None:
        if reply.cancelled() or reply.exception() is not None:
            self._again(errand, ask, tries=tries, pool_ms=0)
            return
        answer = reply.result()
        if isinstance(answer, Stale):
            self._again(errand, ask, tries=tries, pool_ms=answer.now_ms)
        elif self._hears(errand, ask):
            errand.hear(ask, _said(answer))

    def _again(self, errand: "Errand", ask: Ask, *, tries: int, pool_ms: int) -> None:
        """Leave once more with a later turn: by then another may be the writer."""
        self._warn(errand, ask, tries=tries)
        delay_s = min(_AGAIN_MIN_S * 2 ** min(tries, _DOUBLINGS), _AGAIN_MAX_S)
        departure = _Departure(errand, ask, tries=tries + 1, pool_ms=pool_ms)
        self._loop.call_later(delay_s, self._depart, departure)

    def _depart(self, departure: "_Departure") -> None:
        actor = departure.errand.actor
        if not self._is_hosted(actor) or not departure.errand.is_waiting(departure.ask):
            self.strike(departure.errand, departure.ask)
        elif self._may_act(departure.errand):
            actor.depart(departure)
        else:
            self._loop.call_later(_AGAIN_MIN_S, self._depart, departure)

    def _warn(self, errand: "Errand", ask: Ask, *, tries: int) -> None:
        """Name one of those that have waited for long, now and then."""
        now_s = self._loop.time()
        since_s = self._since_s.get((errand, ask.number, ask.actor_id), now_s)
        if now_s - max(since_s, self._warned_s) < _LONG_S:
            return
        self._warned_s = now_s
        log.warning(
            "process.waits",
            actor=errand.actor.actor_id,
            asked=ask.actor_id,
            seconds=round(now_s - since_s),
            tries=tries + 1,
            outstanding=self.outstanding,
        )


class Errand:
    """The asks of one process, in this life of it.

    Attributes:
        actor: The process.
    """

    __slots__ = ("_asks", "_office", "actor")

    def __init__(self, actor: "Actor", office: Office) -> None:
        self.actor = actor
        self._office = office
        self._asks = processes.Errands()
        office.processes += 1

    @property
    def busy(self) -> bool:
        """Whether anything that was asked has not been answered."""
        return bool(self._asks.waiting())

    def is_waiting(self, ask: Ask) -> bool:
        """Say whether this ask is still to be answered."""
        return ask in self._asks.waiting()

    def begin(self, state: State) -> None:
        """Have everything leave that is intended and has not left yet."""
        for ask in self._asks.renew(intents(state)):
            self._office.begin(self, ask)

    def leave(self, ask: Ask, *, tries: int, pool_ms: int) -> None:
        """Send an ask whose turn has come."""
        self._office.send(self, ask, tries=tries, pool_ms=pool_ms)

    def give_up(self, ask: Ask) -> None:
        """Let an ask not leave: nobody can say whether what justifies it is stored."""
        self._office.strike(self, ask)

    def end(self) -> None:
        """Be of no use any more: the process leaves memory."""
        self._office.processes -= 1

    def hear(self, ask: Ask, answer: processes.Answer) -> None:
        """Tell the process what came of it, if that is all that it waits for."""
        state = self.actor.state
        assert state is not None, "it was active when it asked"
        told = self._asks.hear(ask, answer, intents(state))
        if told is not None:
            self.actor.tell_own(Envelope(told))
        else:
            self.begin(state)  # the next one may be asked now


class _Departure:
    """An ask that waits for its turn, in the place of a reply; if the turn fails, it never was."""

    __slots__ = ("_pool_ms", "_tries", "ask", "errand")

    def __init__(self, errand: Errand, ask: Ask, *, tries: int, pool_ms: int) -> None:
        self.errand = errand
        self.ask = ask
        self._tries = tries
        self._pool_ms = pool_ms

    def done(self) -> bool:
        return False

    def set_result(self, _answer: Answer, /) -> None:
        self.errand.leave(self.ask, tries=self._tries, pool_ms=self._pool_ms)

    def set_exception(self, _error: Exception, /) -> None:
        """Ask nothing: the process is dropped, and recovers its intents."""
        self.errand.give_up(self.ask)


def _said(answer: Answer) -> processes.Answer:
    match answer:
        case Outcome(event=event):
            return event  # type: ignore[return-value]  # of a pool, as was asked
        case Noted():
            return None
        case KeyReused():
            raise AssertionError("asks of processes have no keys")
        case _:
            return answer  # type: ignore[return-value]  # likewise
