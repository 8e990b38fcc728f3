"""Processes that audit ranges and parts, one a core, and end when nobody reads what they say."""

import asyncio
import gc
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec

from allocator.errors import AllocatorError
from allocator.journal.verify.job import Auditor, Part, Report, Server, Task
from allocator.persistence.windows import open_windows

_JOIN_S: Final = 5.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to audit, and how.

    Attributes:
        url: Of the database.
        repair: Whether to make again what is derived and wrong.
        server: Whom to ask for balances, None for nobody.
    """

    url: str
    repair: bool
    server: Server | None


class Advance(msgspec.Struct, frozen=True):
    """So many more events have been audited."""

    events: int


class Failure(msgspec.Struct, frozen=True):
    """The database or the server did not answer."""

    sentence: str


Said: TypeAlias = Advance | Report | Failure
Line: TypeAlias = "Connection[Task, Said]"


class LostWorkerError(AllocatorError):
    """A process died of something that no audit may do."""

    def __init__(self) -> None:
        super().__init__("a process that verified a part of the journal died; run it again")


class FailedError(AllocatorError):
    """A process could not go on."""


class Workers:
    """Audit ranges beside each other.

    Args:
        job: What they do.
        processes: How many; 0 has it done here, which is quicker where there is little to do.
    """

    def __init__(self, job: Job, *, processes: int) -> None:
        self._job = job
        self._lines: dict[Line, SpawnProcess] = {}
        # Not forked: a copy of a process with threads or an open terminal is full of surprises.
        context = multiprocessing.get_context("spawn")
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, job), daemon=True)
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

    @property
    def parts(self) -> Sequence[Part]:
        """As many parts as there are processes, and at least one."""
        parts = max(1, len(self._lines))
        return [Part(part=part, parts=parts) for part in range(parts)]

    def run(self, tasks: Sequence[Task]) -> Iterator[Advance | Report]:
        """Yield what comes of ranges or parts, as it comes; each is given to whoever is free.

        Raises:
            LostWorkerError: A process died.
            AllocatorError: The database or the server does not answer.
        """
        if not self._lines:
            yield from asyncio.run(audit_here(self._job, tasks))
            return
        waiting = iter(tasks)
        free, busy = set(self._lines), set[Line]()
        while True:
            for line, task in zip(tuple(free), waiting, strict=False):
                _send(line, task)
                free.remove(line)
                busy.add(line)
            if not busy:
                return
            for line in busy.intersection(wait(busy)):
                said = _receive(line)
                if isinstance(said, Report):
                    busy.remove(line)
                    free.add(line)
                yield said


def _send(line: Line, task: Task) -> None:
    try:
        line.send(task)
    except OSError as error:
        raise LostWorkerError from error


def _receive(line: Line) -> Advance | Report:
    try:
        said = line.recv()
    except (EOFError, OSError) as error:
        raise LostWorkerError from error
    if isinstance(said, Failure):
        raise FailedError(said.sentence)
    return said


async def audit_here(job: Job, tasks: Sequence[Task]) -> list[Report]:
    """Audit ranges or parts in this process."""
    async with _auditor(job, lambda _events: None) as auditor:
        return [await auditor.audit(each) for each in tasks]


@asynccontextmanager
async def _auditor(job: Job, advance: Callable[[int], None]) -> AsyncIterator[Auditor]:
    async with AsyncExitStack() as stack:
        windows = await stack.enter_async_context(open_windows(job.url))
        rebuilding = server = None
        # What is not asked for is not imported: it would be a third of the process's memory.
        if job.repair:
            from allocator.persistence.rebuilding import open_rebuilding  # noqa: PLC0415

            rebuilding = await stack.enter_async_context(open_rebuilding(job.url))
        if job.server is not None:
            from allocator.journal.verify.server import open_server  # noqa: PLC0415

            server = await stack.enter_async_context(open_server(job.server))
        yield Auditor(windows, rebuilding=rebuilding, server=server, advance=advance)


def _serve(line: "Connection[Said, Task]", job: Job) -> None:
    """Audit ranges until the line closes. Ctrl-C is for who started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):
        try:
            asyncio.run(_serve_ranges(line, job))
        except AllocatorError as error:
            line.send(Failure(str(error)))


async def _serve_ranges(line: "Connection[Said, Task]", job: Job) -> None:
    def advance(events: int) -> None:
        line.send(Advance(events))

    # Rows come and go by the thousand and hold no cycles: the collector would only count them.
    gc.disable()
    async with _auditor(job, advance) as auditor:
        while True:
            line.send(await auditor.audit(line.recv()))
            gc.collect()
