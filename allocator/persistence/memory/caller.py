"""Whoever waits for the answer to a call: it hears once, or gives up."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextvars import Context

from allocator.errors import JournalError


class Caller(ABC):
    """The client's side of a call, which is made when a task awaits the answer.

    For that task this is a future, with as much of one as a task asks for. So the answer itself
    wakes the task: a real future would take another callback of the loop for that.

    Attributes:
        answered: Whether it has heard, even if it does not wait any more.
        gone: Whether it gave up before.
        error: What it heard; None for the result.
    """

    # What one begins with is the class's: calls are many, and most of it never changes.
    answered = False
    gone = False
    error: JournalError | None = None
    _asyncio_future_blocking = False
    _context: Context | None = None
    _deadline_s = 0.0
    _failure: BaseException | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _timeout_s = 0.0
    _timer: asyncio.TimerHandle | None = None
    _wake: "Callable[[Caller], object] | None" = None

    @abstractmethod
    def call(self) -> None:
        """Make the call; somebody waits for the answer now."""

    @abstractmethod
    def heard(self) -> None:
        """Note that there is no need to answer any more."""

    def hear(self) -> Generator[object, None, None]:
        """Wait for the answer.

        Raises:
            TimeoutError: It took too long.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._deadline_s = loop.time() + self._timeout_s
        self._asyncio_future_blocking = True  # so a task knows a future from a mere yield
        try:
            yield self
        finally:
            self._wake = None
            self.gone |= not self.answered
            if self._timer is not None:
                self._timer.cancel()

    def arm(self) -> None:
        """Have the time-out count: a timer for every call would cost as much as the call."""
        if self._wake is not None and self._timer is None:
            assert self._loop is not None
            left_s = max(self._deadline_s - self._loop.time(), 0)
            self._timer = self._loop.call_later(left_s, self._time_out, context=self._context)

    def tell(self, error: JournalError | None) -> None:
        """Give it its answer, unless it has one."""
        if not self.answered:
            self.answered = True
            self.error = error
            self._wake_soon()

    def tell_later(self, delay_s: float, error: JournalError | None) -> None:
        """Give it its answer after a while, where it waits."""
        if self._wake is None:
            self.tell(error)
            self.heard()
            return
        assert self._loop is not None
        self._loop.call_later(delay_s, self._receive, error, context=self._context)

    # What a task calls.

    def add_done_callback(self, wake: Callable[["Caller"], object], *, context: Context) -> None:
        """Begin to wait."""
        self._wake = wake
        self._context = context
        self.call()

    def result(self) -> None:
        """Return if there is an answer."""
        if self._failure is not None:
            raise self._failure

    def cancel(self, msg: object = None) -> bool:
        """Give up; return whether that is news."""
        if self._wake is None:
            return False
        self._failure = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self._wake_soon()
        return True

    # How it wakes that task: once.

    def _wake_soon(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            assert self._loop is not None
            self._loop.call_soon(wake, self, context=self._context)

    def _receive(self, error: JournalError | None) -> None:
        wake, self._wake = self._wake, None
        if not self.answered:
            self.answered = True
            self.error = error
            self.heard()
        if wake is not None:
            wake(self)

    def _time_out(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            self._failure = TimeoutError()
            wake(self)
