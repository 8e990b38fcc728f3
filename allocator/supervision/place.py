"""One place for a worker: whoever dies in it is followed by another."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal

import structlog
from msgspec import Struct

from allocator.errors import AllocatorError
from allocator.supervision.backoff import Backoff, Crashes, after_crash, delay_ms, gives_up
from allocator.supervision.child import Child, Program, Spawn, in_words
from allocator.supervision.process import spawn as spawn_process

log = structlog.get_logger()

_CANNOT_START: Final = frozenset({1, 2})
"""Exit codes of a worker that will not start as configured, however often it is tried."""

State = Literal["down", "starting", "serving", "stopping"]


class Patience(Struct, frozen=True, kw_only=True):
    """How long workers may take.

    Attributes:
        ready_ms: From their start until they serve.
        drain_ms: To finish what they have accepted; they are told it elsewhere and keep to it.
        grace_ms: Longer than that until they are killed.
        linger_ms: Longer again for one whose place is filled, which waits for others.
    """

    ready_ms: int = 60_000
    drain_ms: int = 30_000
    grace_ms: int = 5_000
    linger_ms: int = 0

    @property
    def end_ms(self) -> int:
        """From the order to end until the kill."""
        return self.drain_ms + self.grace_ms


class WorkerStatus(Struct, frozen=True, kw_only=True):
    """A worker as people see it.

    Attributes:
        place: Which it fills. While workers are exchanged a place has two.
        pid: None if the place waits for the next start.
        restarts: How often the place had to start another because one had died.
        started_at_ms: Unix time.
    """

    place: int
    state: State
    restarts: int
    pid: int | None = None
    started_at_ms: int | None = None


class GaveUpError(AllocatorError):
    """A place cannot be filled; stop the others and exit with `exit_code`."""

    def __init__(self, *, place: int, why: str, exit_code: int = 1) -> None:
        super().__init__(f"no worker can be kept in place {place}: {why}")
        self.place = place
        self.exit_code = exit_code


class Place:
    """Keeps one worker serving.

    Args:
        number: Of the place, from 0.
        program: What its worker runs.
        patience: How long that may take.
        backoff: How often it may die.
        clock: Milliseconds of Unix time.
        spawn: Starts its processes.

    Attributes:
        children: Its processes that have not ended; more than one while they are exchanged.
        filled: Set when the first worker has served, and for ever.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        number: int,
        program: Program,
        *,
        patience: Patience,
        backoff: Backoff,
        clock: Callable[[], int],
        spawn: Spawn = spawn_process,
    ) -> None:
        self.children: list[Child] = []
        self.filled = asyncio.Event()
        self._number = number
        self._program = program
        self._patience = patience
        self._backoff = backoff
        self._clock = clock
        self._spawn = spawn
        self._current: Child | None = None
        self._crashes = Crashes()
        self._restarts = 0
        self._exchange = asyncio.Lock()  # two at once would fill the place twice
        self._ended = asyncio.Event()
        self._lingering: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Keep a worker here for ever; cancelling this leaves `children` as they are.

        Raises:
            GaveUpError: It would be of no use.
        """
        while True:
            self._ended.clear()
            async with self._exchange:
                if self._current is None:
                    self._current = await self._fill()
                elif self._current.has_ended:
                    await self._back_off(served_ms=self._current.served_ms)
                    self._current = await self._fill()
            await self._ended.wait()

    async def replace(self) -> bool:
        """Put a new worker here, then have the former one end.

        Returns:
            False if the new one never served; the former one then stays.
        """
        async with self._exchange:
            former = self._current
            successor = await self._start()
            if successor is None:
                return False
            self._current = successor
        if former is not None:
            await self._part_with(former)
        return True

    async def _part_with(self, former: Child) -> None:
        """Have a worker end whose place is filled; one that lingers is not waited for."""
        end_ms = self._patience.end_ms
        ending = asyncio.create_task(former.end(within_ms=end_ms + self._patience.linger_ms))
        self._lingering.add(ending)
        ending.add_done_callback(self._lingering.discard)
        await asyncio.wait({ending}, timeout=end_ms / 1000 if self._patience.linger_ms else None)

    def status(self) -> list[WorkerStatus]:
        """Describe its workers, the oldest first; a place without any has one entry too."""
        if not self.children:
            return [WorkerStatus(place=self._number, state="down", restarts=self._restarts)]
        return [
            WorkerStatus(
                place=self._number,
                state=_state_of(child),
                restarts=self._restarts,
                pid=child.pid,
                started_at_ms=child.started_at_ms,
            )
            for child in self.children
        ]

    async def _fill(self) -> Child:
        while (child := await self._start()) is None:
            await self._back_off(served_ms=0)
        return child

    async def _back_off(self, *, served_ms: int) -> None:
        now_ms = round(asyncio.get_running_loop().time() * 1000)
        self._crashes = after_crash(
            self._crashes, self._backoff, served_ms=served_ms, now_ms=now_ms
        )
        if gives_up(self._crashes, self._backoff):
            crashes, window_s = len(self._crashes.recent_ms), self._backoff.window_ms / 1000
            why = f"{crashes} have died within {window_s:g} s"
            raise GaveUpError(place=self._number, why=why)
        await asyncio.sleep(delay_ms(self._crashes, self._backoff) / 1000)
        self._restarts += 1

    async def _start(self) -> Child | None:
        """Start a worker and wait until it serves; None if it does not come to that."""
        now_ms = self._clock()
        try:
            child = await Child.start(
                self._program, spawn=self._spawn, place=self._number, now_ms=now_ms
            )
        except OSError as error:
            self._not_started(str(error), exit_code=1)
            return None
        self.children.append(child)
        child.exited.add_done_callback(lambda _: self._note_end(child))
        if await child.until_ready(within_ms=self._patience.ready_ms):
            self.filled.set()
            took_ms = self._clock() - now_ms
            log.info("supervisor.worker_serves", place=self._number, pid=child.pid, took_ms=took_ms)
            return child
        if child.returncode is not None:
            self._not_started(in_words(child.returncode), exit_code=child.returncode)
        else:
            await self._give_up_on(child)
        return None

    async def _give_up_on(self, child: Child) -> None:
        within_ms = self._patience.ready_ms
        log.error(
            "supervisor.worker_not_ready", place=self._number, pid=child.pid, within_ms=within_ms
        )
        await child.end(within_ms=self._patience.grace_ms)

    def _not_started(self, why: str, *, exit_code: int) -> None:
        if not self.filled.is_set() and exit_code in _CANNOT_START:
            raise GaveUpError(
                place=self._number, why=f"it cannot start: {why}", exit_code=exit_code
            )
        log.error("supervisor.worker_not_started", place=self._number, reason=why)

    def _note_end(self, child: Child) -> None:
        self.children.remove(child)
        self._ended.set()
        assert child.returncode is not None
        facts = {"place": self._number, "pid": child.pid, "reason": in_words(child.returncode)}
        if not child.asked_to_end:
            log.warning("supervisor.worker_died", **facts, served_ms=child.served_ms)
        elif child.returncode:
            log.warning("supervisor.worker_ended", **facts)
        else:
            log.info("supervisor.worker_ended", **facts)


def _state_of(child: Child) -> State:
    if child.asked_to_end:
        return "stopping"
    return "serving" if child.serves else "starting"
