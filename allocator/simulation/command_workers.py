"""Processes that run chunks of seeds, one a core, and end when nobody reads what they say."""

import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self, TypeAlias

from allocator.errors import AllocatorError
from allocator.simulation.command_runs import Chunk, Report, Simulator, run_chunk

_JOIN_S = 5.0

Line: TypeAlias = "Connection[Chunk, Report]"


class LostRunsError(AllocatorError):
    """A process that ran seeds died of something that no run may do; look at those seeds."""

    def __init__(self, *, chunk: Chunk) -> None:
        last = chunk.first + chunk.count - 1
        super().__init__(f"the process that ran seeds {chunk.first} to {last} died")
        self.chunk = chunk


class Workers:
    """Run chunks beside each other; one alone runs them here.

    Args:
        simulator: What runs.
        processes: How many.
    """

    def __init__(self, simulator: Simulator, *, processes: int) -> None:
        self._simulator = simulator
        self._lines: dict[Line, SpawnProcess] = {}
        # Not forked: a copy of a process with threads or an open terminal is full of surprises.
        context = multiprocessing.get_context("spawn")
        for _ in range(processes if processes > 1 else 0):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, simulator), daemon=True)
            process.start()
            theirs.close()
            self._lines[ours] = process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for line, process in self._lines.items():
            line.close()
            process.terminate()
        for process in self._lines.values():
            process.join(_JOIN_S)

    def run(self, chunks: Iterable[Chunk]) -> Iterator[Report]:
        """Yield what came of each chunk, in any order; the next is taken when somebody is free.

        Raises:
            LostRunsError: A process died.
        """
        if not self._lines:
            for chunk in chunks:
                yield run_chunk(self._simulator, chunk)
            return
        waiting = iter(chunks)
        under_way: dict[Line, Chunk] = {}
        free = list(self._lines)
        while True:
            for line, chunk in zip(free, waiting, strict=False):
                under_way[line] = chunk
                _send(line, chunk)
            if not under_way:
                return
            ready = wait(under_way)
            free = [line for line in under_way if line in ready]
            for line in free:
                yield _receive(line, under_way.pop(line))


def _send(line: Line, chunk: Chunk) -> None:
    try:
        line.send(chunk)
    except OSError as error:
        raise LostRunsError(chunk=chunk) from error


def _receive(line: Line, chunk: Chunk) -> Report:
    try:
        report: Report = line.recv()
    except (EOFError, OSError) as error:
        raise LostRunsError(chunk=chunk) from error
    return report


def _serve(line: "Connection[Report, Chunk]", simulator: Simulator) -> None:
    """Run chunks until the line closes. Ctrl-C is for who started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        while True:
            line.send(run_chunk(simulator, line.recv()))
