"""The calls of one link that have no answer yet, and how old they are."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from allocator.peers.frames import Numbered

Response = TypeVar("Response")

_PARTS: Final = 32
"""Of a time-out; a call that is overdue is noticed within one of them."""


class Calls(Generic[Response]):
    """Futures by number, in the order in which the calls were made, and one timer for all.

    Calls have one time-out and ascending numbers, so that they are in order of age, too. Their
    times are kept once for each part of a time-out and not once for each call.

    Args:
        timeout_s: How old a call may become.
        expire: Told the highest number that is too old; it must `fail` all calls up to there.

    Attributes:
        timer: None if nothing has an age; then the next call must be marked.
    """

    def __init__(self, *, timeout_s: float, expire: Callable[[int], None]) -> None:
        self.timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._part_s = timeout_s / _PARTS
        self._patience_s = timeout_s + self._part_s
        self._expire = expire
        self._waiting: dict[int, asyncio.Future[Response]] = {}
        self._marks: deque[tuple[float, int]] = deque()  # of each part: its begin, and first call

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, number: int) -> asyncio.Future[Response]:
        """Return where the answer to a call will be; the number is the highest so far."""
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._waiting[number] = answer
        return answer

    def mark(self, number: int) -> None:
        """Note that the calls from `number` on are made now; due once a tick."""
        now_s = self._loop.time()
        if not self._marks or now_s >= self._marks[-1][0] + self._part_s:
            self._marks.append((now_s, number))
        if self.timer is None:
            self._set_timer()

    def answer(self, responses: Numbered[Response]) -> None:
        """Resolve calls; an answer that nobody waits for any more is dropped."""
        waiting = self._waiting
        for number, response in responses:
            answer = waiting.pop(number, None)
            # A cancelled call is kept until here: the peer still works on it.
            if answer is not None and not answer.done():
                answer.set_result(response)

    def fail(self, first: int, last: int, error: Exception) -> None:
        """Fail those calls from `first` to `last`, both included, that have no answer."""
        for number in self._between(first, last):
            self.fail_one(number, error)

    def fail_one(self, number: int, error: Exception) -> None:
        """Fail a call, unless it has its answer."""
        answer = self._waiting.pop(number, None)
        if answer is not None and not answer.done():
            answer.set_exception(error)

    def any_between(self, first: int, last: int) -> bool:
        """Whether one of these calls has no answer."""
        return bool(self._between(first, last))

    def stop(self) -> None:
        """Forget the time; whoever still waits is not failed any more."""
        if self.timer is not None:
            self.timer.cancel()

    def _between(self, first: int, last: int) -> list[int]:
        found = []
        for number in self._waiting:
            if number > last:
                break
            if number >= first:
                found.append(number)
        return found

    def _set_timer(self) -> None:
        self.timer = self._loop.call_at(self._marks[0][0] + self._patience_s, self._check)

    def _check(self) -> None:
        """Expire what is due; the timer was for the first mark, so that one is."""
        self.timer = None
        marks, now_s = self._marks, self._loop.time()
        marks.popleft()
        while marks and marks[0][0] + self._patience_s <= now_s:
            marks.popleft()
        through = marks[0][1] - 1 if marks else next(reversed(self._waiting), 0)
        if next(iter(self._waiting), through + 1) <= through:
            self._expire(through)
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            marks.clear()
            return
        while len(marks) > 1 and marks[1][1] <= oldest:
            marks.popleft()  # everything of that time is answered
        self._set_timer()
