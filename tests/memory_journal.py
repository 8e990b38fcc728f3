"""The journal in memory, stopped and broken where a test wants it to be.

A test stops a call with `hold`, before it is sent or before its caller hears, and breaks the next
one with `break_next`. `journal.log` says what was done in which order.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from enum import Enum, auto
from typing import Final, Literal, TypeVar

from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.journal import MemoryJournal as Journal
from allocator.persistence.memory.locks import Session
from allocator.persistence.memory.transaction import Transaction
from allocator.persistence.memory.trouble import NO_TROUBLE, Call, End, Operation, Trouble

T = TypeVar("T")

_CHUNK: Final = 3
_LATE_S: Final = 0.4


class Fault(Enum):
    """How a call breaks. Its caller sees a `JournalError` each time."""

    NOT_DONE = auto()
    DONE = auto()  # and the answer was lost
    DONE_LATER = auto()  # an append that fencing waits for


_TROUBLES: Final = {
    Fault.NOT_DONE: Trouble(end=End.REFUSED),
    Fault.DONE: Trouble(end=End.LOST),
    Fault.DONE_LATER: Trouble(end=End.CUT, commit_s=_LATE_S),
}


class Hold:
    """Stops one call until the test lets it go on.

    Args:
        stubborn: Being cancelled does not end the call: a driver may first have to get rid of
            its connection, and then fail with an error of its own.
    """

    def __init__(self, *, stubborn: bool) -> None:
        self._stubborn = stubborn
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    @property
    def is_reached(self) -> bool:
        """Whether the call has come so far."""
        return self._reached.is_set()

    async def reached(self) -> None:
        """Return when the call has come so far."""
        await self._reached.wait()

    def release(self) -> None:
        """Let the call go on."""
        self._released.set()

    async def stop_here(self) -> None:
        """Be the call."""
        self._reached.set()
        while not self._released.is_set():
            try:
                await self._released.wait()
            except asyncio.CancelledError:
                if not self._stubborn:
                    raise


class MemoryJournal(Journal):
    """One worker's access to a `MemoryDatabase`.

    Attributes:
        log: (operation, "sent" or "done", rows of it), in the order in which it happened; an
            operation that failed is never done.
        latency_s: Asked how long each call takes, before and again after it is done.
    """

    def __init__(self, database: MemoryDatabase, *, server: str = "", address: str = "") -> None:
        super().__init__(database, server=server, address=address, chunk=_CHUNK)
        self.log: list[tuple[Operation, Literal["sent", "done"], int]] = []
        self.latency_s: Callable[[Operation], float] = lambda _: 0.0
        self._holds: defaultdict[tuple[Operation, bool], deque[Hold]] = defaultdict(deque)
        self._faults: defaultdict[Operation, deque[Fault]] = defaultdict(deque)
        self._held: list[Hold] = []

    def hold(self, operation: Operation, *, done: bool = False, stubborn: bool = False) -> Hold:
        """Stop the next call before it is sent; or, when it is done, before its caller hears."""
        hold = Hold(stubborn=stubborn)
        self._holds[operation, done].append(hold)
        self._held.append(hold)
        return hold

    def break_next(self, operation: Operation, fault: Fault = Fault.NOT_DONE) -> None:
        """Let the next call fail."""
        self._faults[operation].append(fault)

    def heal(self) -> None:
        """Let everything go on, and nothing break any more."""
        self._faults.clear()
        self.latency_s = lambda _: 0.0
        self._holds.clear()
        for hold in self._held:
            hold.release()

    def count(self, operation: Operation) -> int:
        """Return how often an operation was asked for."""
        return sum(1 for name, what, _ in self.log if (name, what) == (operation, "sent"))

    def appends(self) -> list[int]:
        """Return how many rows each append had that was sent."""
        return [rows for name, what, rows in self.log if (name, what) == ("append", "sent")]

    def _trouble(self, call: Call) -> Trouble:
        faults = self._faults[call.operation]
        if faults:
            return _TROUBLES[faults.popleft()]
        latency_s = self.latency_s(call.operation)
        return Trouble(request_s=latency_s, reply_s=latency_s) if latency_s else NO_TROUBLE

    async def _call(  # noqa: PLR0913 (what a call is)
        self,
        operation: Operation,
        body: Callable[[Transaction], Generator[None, None, T]] | None,
        *,
        read: Callable[[], T] | None = None,
        rows: int = 0,
        session: Session | None = None,
        several: bool = False,
    ) -> T:
        self.log.append((operation, "sent", rows))
        await self._pass(operation, done=False)
        try:
            result = await super()._call(
                operation, body, read=read, rows=rows, session=session, several=several
            )
        finally:
            await self._pass(operation, done=True)
        self.log.append((operation, "done", rows))
        return result

    async def _pass(self, operation: Operation, *, done: bool) -> None:
        holds = self._holds[operation, done]
        if holds:
            await holds.popleft().stop_here()
