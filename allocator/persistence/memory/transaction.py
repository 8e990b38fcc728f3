"""One call on the database's side: it waits for locks, holds them, and commits or not, once.

What a transaction does is a generator that yields whenever it must wait; whoever releases what it
waits for lets it go on. So most run from beginning to end in one go, without task or timer, and
those that wait do so in the order in which they came.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, Protocol, TypeAlias

from allocator.errors import JournalError
from allocator.persistence.memory.caller import Caller
from allocator.persistence.memory.locks import Lock, Session, Waiting
from allocator.persistence.memory.trouble import NO_TROUBLE, End, Operation, Trouble

Address: TypeAlias = tuple[int, int]
"""(actor id, seq)."""
Steps: TypeAlias = Generator[None, None, None]
"""Part of what a transaction does; yields to wait."""
Body: TypeAlias = "Callable[[Transaction], Generator[None, None, object]]"

PATIENCE_S: Final = 0.5
"""As long as `persistence.ownership` waits before it ends the sessions of those it fences."""
FROZEN_S: Final = 1.0
"""As long as PostgreSQL waits for the next statement of a take-over."""


class Host(Protocol):
    """The database that transactions run in.

    Attributes:
        up: Whether it runs.
        ongoing: Transactions that have not ended, or whose caller has heard nothing; in order.
        running: Those that have locked something and not ended, by transaction id.
        inserting: Which transaction is about to use an address.
    """

    up: bool
    ongoing: "dict[Transaction, None]"
    running: "dict[int, Transaction]"
    inserting: "dict[Address, Transaction]"

    def later(self, delay_s: float, then: Callable[[], None]) -> None:
        """Do something on the database's side."""

    def next_xid(self) -> int:
        """Return a new transaction id."""

    def terminate(self, incarnations: Sequence[int]) -> None:
        """End the sessions of these incarnations."""


class Transaction(Caller):
    """One call; whoever awaits it makes it, and gets the result.

    Args:
        body: What it does and returns; what it changes is left to `effects`.
        read: Instead of a body, if it neither waits nor changes anything.
        session: Whose statement it is; None for a connection of its own.
        several: Whether it is of several statements: then it ends when its caller leaves.
        timeout_s: How long its caller waits.

    Attributes:
        deposes: Whose sessions are ended if this has to wait for long.
        effects: What the commit does, in order.
        xid: Its id, from the first lock on; 0 before.
        over: Whether it has ended.
    """

    deposes: Sequence[int] = ()
    xid = 0
    over = False
    _steps: Generator[None, None, object] | None = None
    _result: object = None
    _inserting: Sequence[Address] = ()
    _begun = _committing = _lost = False

    def __init__(  # noqa: PLR0913 (what a call is)
        self,
        host: Host,
        operation: Operation,
        body: "Body | None",
        trouble: Trouble,
        *,
        read: Callable[[], object] | None = None,
        session: Session | None = None,
        several: bool = False,
        timeout_s: float = 0.0,
    ) -> None:
        self.effects: list[Callable[[], None]] = []
        self._host = host
        self._operation = operation
        self._body = body
        self._read = read
        self._trouble = trouble
        self._session = session
        self._several = several
        self._timeout_s = timeout_s
        self._held: list[Lock] = []
        self._awaited_by: list[Waiting] = []

    # For its caller.

    def __await__(self) -> Generator[object, None, object]:
        """Return the result.

        Raises:
            JournalError: It failed, or it was not heard of in time.
        """
        if self._trouble is NO_TROUBLE:
            yield None  # let others go first
            self.begin()
        if not self.answered:
            self._host.ongoing[self] = None
            try:
                yield from self.hear()
            except TimeoutError:
                raise self._error_of("TimeoutError") from None
            finally:
                if self.gone:
                    self._go_on_alone()
        if self.error is not None:
            raise self.error
        return self._result

    def call(self) -> None:
        """Have it arrive when it does; at once, if nothing takes time."""
        trouble = self._trouble
        takes_s = trouble.request_s + trouble.commit_s + trouble.reply_s
        # For all that is known; to wait for somebody comes on top.
        if self._begun or takes_s >= self._timeout_s or trouble.end in _ENDLESS:
            self.arm()
        if trouble.request_s:
            self._host.later(trouble.request_s, self.begin)
        elif not self._begun:
            self.begin()

    def heard(self) -> None:
        """Be forgotten, unless it still goes on."""
        if self.over and (self.answered or self.gone):
            self._host.ongoing.pop(self, None)

    def _go_on_alone(self) -> None:
        """Be without a caller: a statement goes on, and several end where they are."""
        if self._session is not None:
            self._session.broken = True
        if self._several and not self._committing:
            self._undo()
        self.heard()

    # For what it does.

    def share(self, lock: Lock) -> Steps:
        """Share a row's lock until the end."""
        while lock.holder is not None and lock.holder is not self:
            lock.waiting.append(self)
            yield
        lock.sharers.append(self)
        self._hold(lock)

    def hold(self, lock: Lock) -> Steps:
        """Hold a row's lock alone until the end."""
        if lock.holder is self:
            return
        while lock.holder is not None or lock.sharers:
            lock.waiting.append(self)
            yield
        lock.holder = self
        self._hold(lock)

    def _hold(self, lock: Lock) -> None:
        self._held.append(lock)
        if not self.xid:
            self.xid = self._host.next_xid()
            self._host.running[self.xid] = self

    def reserve(self, addresses: Sequence[Address]) -> Steps:
        """Keep others from using these addresses, after waiting for those who are about to."""
        inserting = self._host.inserting
        while rival := next((inserting[each] for each in addresses if each in inserting), None):
            rival.wait_for_end(self)
            yield
        if self._trouble.commit_s or self._trouble.end is End.STUCK:
            self._inserting = addresses
            inserting.update(dict.fromkeys(addresses, self))

    def wait_for_end(self, one: Waiting) -> None:
        """Have another look again when this has ended."""
        self._awaited_by.append(one)

    # On the database's side.

    def begin(self) -> None:
        """Arrive, and run until it has to wait or has ended."""
        if self.over:
            return
        self._begun = True
        session = self._session
        if self._several and self.gone:
            self.over = True
        elif not self._host.up:
            self._fail("PostgreSQL is not running")
        elif self._lost or (session is not None and session.broken and not self.gone):
            self._fail("the connection was closed")
        elif self._trouble.end is End.REFUSED:
            self._fail("PostgreSQL did not do it")
        elif self._read is not None:
            self._result = self._read()
            self._executed()
        else:
            assert self._body is not None
            self._steps = self._body(self)
            self.go_on()
            self._be_patient()

    def go_on(self) -> None:
        """Run until it has to wait or has ended."""
        if self.over or self._committing or self._steps is None:
            return
        try:
            next(self._steps)
        except StopIteration as stop:
            self._steps = None
            self._result = stop.value
            self._executed()
        except JournalError as error:
            self._undo()
            self._reply_with(error)

    def terminate(self) -> None:
        """Do as a backend that is told to end: at once, unless it is committing."""
        self._lost = True
        if self._begun and not self._committing and not self.over:
            self._undo()
            self._reply_with(self._error_of("terminating connection"))

    def disconnect(self) -> None:
        """Go on without a caller."""
        if not self.answered:
            self.gone = True
            self.tell(self._error_of("the connection was closed"))
            self.heard()

    def vanish(self) -> None:
        """End with the database: nothing of it is left, nobody goes on."""
        self.over = True
        self._steps = None
        self.effects.clear()
        self._deliver(self._error_of("the connection was lost"))

    def _be_patient(self) -> None:
        if self.over or self._committing:
            return
        self.arm()
        if self.deposes:
            self._host.later(PATIENCE_S, self._lose_patience)

    def _lose_patience(self) -> None:
        if not (self.over or self._committing or self._steps is None):
            self._host.later(PATIENCE_S, self._lose_patience)
            self._host.terminate(self.deposes)

    def _executed(self) -> None:
        trouble = self._trouble
        if trouble.end is End.STUCK:
            if self._several:
                self._host.later(FROZEN_S, self.terminate)
            return
        self._committing = True
        if trouble.end is End.CUT:
            self._break()
        if trouble.commit_s and self.xid:
            self._host.later(trouble.commit_s, self._finish)
        else:
            self._finish()

    def _finish(self) -> None:
        if self.over:
            return
        end = self._trouble.end
        if end is End.ROLLED_BACK:
            self._undo()
            self._reply_with(self._error_of("PostgreSQL rolled it back"))
            return
        for effect in self.effects:
            effect()
        self._end()
        if self._lost or end is End.LOST:
            self._break()
        elif end is not End.SILENT:
            self._reply_with(None)

    def _undo(self) -> None:
        if not self.over:
            self._steps = None
            self._end()

    def _end(self) -> None:
        self.over = True
        if self.xid:
            self.effects = []
            self._unlock()
        for each in self._awaited_by:
            each.go_on()
        if self.answered or self.gone:
            self.heard()

    def _unlock(self) -> None:
        host = self._host
        host.running.pop(self.xid, None)
        for address in self._inserting:
            del host.inserting[address]
        held, self._held = self._held, []
        for lock in held:
            lock.release(self)

    def _fail(self, why: str) -> None:
        self.over = True
        self._lost = True
        if self._session is not None:
            self._session.broken = True
        self._reply_with(self._error_of(why))

    def _break(self) -> None:
        if self._session is not None:
            self._session.broken = True
        self._reply_with(self._error_of("the connection was lost"))

    def _reply_with(self, error: JournalError | None) -> None:
        trouble = self._trouble
        delay_s = trouble.reply_s
        if self._committing and not self.xid:  # it had nothing to commit, and takes as long
            delay_s += trouble.commit_s
        if delay_s:
            self.tell_later(delay_s, error)
        else:
            self._deliver(error)

    def _deliver(self, error: JournalError | None) -> None:
        self.tell(error)
        self.heard()

    def _error_of(self, why: str) -> JournalError:
        return JournalError(f"{self._operation}: {why}")


_ENDLESS: Final = (End.SILENT, End.STUCK)
