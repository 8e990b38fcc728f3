"""Whoever waits for the answer to a call: it hears once, or gives up."""

import asyncio
from contextvars import Context, copy_context

from allocator.errors import JournalError


class Caller:
    """The client's side of a call.

    Attributes:
        answered: Whether it has heard, even if it does not wait any more.
        gone: Whether it gave up before.
        error: What it heard; None for the result.
    """

    __slots__ = ("_context", "_deadline_s", "_reply", "_timer", "answered", "error", "gone")

    def __init__(self) -> None:
        self.answered = False
        self.gone = False
        self.error: JournalError | None = None
        self._context: Context | None = None
        self._deadline_s = 0.0
        self._reply: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def hear(self, *, timeout_s: float, armed: bool) -> None:
        """Return when there is an answer.

        Args:
            timeout_s: What is too long.
            armed: Whether it may take too long for all that is known; else `arm` may say so later.

        Raises:
            TimeoutError: It took too long.
        """
        loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._deadline_s = loop.time() + timeout_s
        self._reply = loop.create_future()
        if armed:
            self.arm()
        try:
            await self._reply
        finally:
            self.gone |= not self.answered
            if self._timer is not None:
                self._timer.cancel()

    def arm(self) -> None:
        """Have the time-out count: a timer for every call would cost as much as the call."""
        if self._context is not None and self._timer is None:
            loop = asyncio.get_running_loop()
            left_s = max(self._deadline_s - loop.time(), 0)
            self._timer = loop.call_later(left_s, self._time_out, context=self._context)

    def tell(self, error: JournalError | None) -> None:
        """Give it its answer, unless it has one."""
        if not self.answered:
            self.answered = True
            self.error = error
            if self._reply is not None and not self._reply.done():
                self._reply.set_result(None)

    def _time_out(self) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(TimeoutError())
