"""Keeps worker processes serving until it is told to stop.

It does not serve itself and knows nothing of what they do. Signals are its interface: SIGTERM or
SIGINT drains and stops, another one of them stops at once, SIGHUP exchanges the workers one by one.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from allocator.supervision.backoff import Backoff
from allocator.supervision.child import Child, Program, Spawn
from allocator.supervision.place import GaveUpError, Patience, Place, WorkerStatus
from allocator.supervision.process import spawn as spawn_process

log = structlog.get_logger()


class Supervisor:
    """The parent of `count` workers.

    Args:
        count: How many places there are.
        program: What their workers run.
        patience: How long that may take.
        backoff: How often they may die.
        clock: Milliseconds of Unix time.
        spawn: Starts their processes.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        count: int,
        program: Program,
        *,
        patience: Patience,
        clock: Callable[[], int],
        backoff: Backoff | None = None,
        spawn: Spawn = spawn_process,
    ) -> None:
        self._places = [
            Place(
                number,
                program,
                patience=patience,
                backoff=backoff or Backoff(),
                clock=clock,
                spawn=spawn,
            )
            for number in range(count)
        ]
        self._patience = patience
        self._stop_asked = asyncio.Event()
        self._kill_asked = asyncio.Event()
        self._roll_asked = asyncio.Event()

    async def run(self, background: Sequence[asyncio.Task[None]] = ()) -> int:
        """Keep the workers serving until `stop`; when this returns, none of them is left.

        Args:
            background: Tasks of the program around that never end unless by a bug; if one does,
                everything is stopped. They are not cancelled here.

        Returns:
            The exit code. 0 after a stop that let the workers drain. 1 if they were killed at
            once, a place gave up, or a task of `background` ended. At the first start, that of a
            worker that cannot start as configured: 1 or 2.
        """
        with self._hearing_signals():
            tasks = [asyncio.create_task(place.keep(), name="place") for place in self._places]
            tasks.append(asyncio.create_task(self._roll_when_asked(), name="rolling"))
            asked = asyncio.create_task(self._stop_asked.wait(), name="stop")
            try:
                await asyncio.wait(
                    {asked, *tasks, *background}, return_when=asyncio.FIRST_COMPLETED
                )
                exit_code = _exit_code_of([*tasks, *background])
            finally:
                for task in (asked, *tasks):
                    task.cancel()
                await asyncio.gather(asked, *tasks, return_exceptions=True)
                killed = await self._end_all()
        log.info("supervisor.stopped")
        return exit_code or int(killed)

    async def started(self) -> None:
        """Return when every place has had a worker that serves."""
        for place in self._places:
            await place.filled.wait()

    def stop(self) -> None:
        """Have the workers drain and end; asked again, kill them at once."""
        if self._stop_asked.is_set():
            self._kill_asked.set()
        self._stop_asked.set()

    def roll(self) -> None:
        """Exchange the workers one by one; asked while that is going on, once more after it."""
        self._roll_asked.set()

    def status(self) -> list[WorkerStatus]:
        """Describe all workers, ordered by place."""
        return [worker for place in self._places for worker in place.status()]

    async def _roll_when_asked(self) -> None:
        while True:
            await self._roll_asked.wait()
            self._roll_asked.clear()
            await self._roll()

    async def _roll(self) -> None:
        log.info("supervisor.rolling", workers=len(self._places))
        for number, place in enumerate(self._places):
            if not await place.replace():
                log.error("supervisor.roll_stopped", place=number, why="the new one never served")
                return
        log.info("supervisor.rolled")

    async def _end_all(self) -> bool:
        """End every worker; return whether one was killed because somebody would not wait."""
        self._stop_asked.set()  # whoever asks from now on asks for the second time
        children = [child for place in self._places for child in place.children]
        log.info("supervisor.stopping", workers=len(children))
        hurry = asyncio.create_task(self._kill_when_asked(children), name="hurry")
        within_ms = self._patience.end_ms
        await asyncio.gather(*(child.end(within_ms=within_ms) for child in children))
        return not hurry.cancel()

    async def _kill_when_asked(self, children: Sequence[Child]) -> None:
        await self._kill_asked.wait()
        log.warning("supervisor.killing_all")
        for child in children:
            child.kill()

    @contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        meanings = {
            signal.SIGTERM: self.stop,
            signal.SIGINT: self.stop,
            signal.SIGHUP: self.roll,
        }
        for number, meaning in meanings.items():
            loop.add_signal_handler(number, meaning)
        try:
            yield
        finally:
            for number in meanings:
                loop.remove_signal_handler(number)


def _exit_code_of(tasks: Sequence[asyncio.Task[None]]) -> int:
    """Say what it means that these have ended, none of which was to end; 0 if none has."""
    codes = [0]
    for task in tasks:
        if not task.done():
            continue
        error = None if task.cancelled() else task.exception()
        if isinstance(error, GaveUpError):
            log.error("supervisor.gave_up", place=error.place, error=str(error))
            codes.append(error.exit_code)
        else:
            log.error("supervisor.task_ended", task=task.get_name(), exc_info=error)
            codes.append(1)
    return max(codes)
