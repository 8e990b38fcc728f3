"""Any kind of process can keep a place, as long as it says when it serves and when it ends."""

import asyncio
import signal

from allocator.supervision.backoff import Backoff
from allocator.supervision.child import ProcessHandle, Program
from allocator.supervision.place import GaveUpError, Patience, Place
from tests.virtual_time import now_ms, settle, virtual_time

PROGRAM = Program(command=("never", "run"), settings=lambda place: {"place": place})
PATIENCE = Patience(ready_ms=1_000, drain_ms=2_000, grace_ms=500)


class Puppet:
    """A process whose life the test decides."""

    def __init__(self, pid: int) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self.ready: asyncio.Future[float] = loop.create_future()
        self.exited: asyncio.Future[float] = loop.create_future()
        self.returncode: int | None = None
        self.signals: list[signal.Signals] = []

    def signal(self, number: signal.Signals, /) -> None:
        """Note it; SIGKILL is obeyed."""
        self.signals.append(number)
        if number == signal.SIGKILL:
            self.end(-number)

    def serve(self) -> None:
        """Say that it serves."""
        self.ready.set_result(asyncio.get_running_loop().time())

    def end(self, returncode: int) -> None:
        """Be gone."""
        self.returncode = returncode
        self.exited.set_result(asyncio.get_running_loop().time())


class Stage:
    """A place, and the processes that were started for it."""

    def __init__(self) -> None:
        self.puppets: list[Puppet] = []
        self.place = Place(
            3, PROGRAM, patience=PATIENCE, backoff=Backoff(), clock=now_ms, spawn=self._spawn
        )
        self.keeping = asyncio.create_task(self.place.keep())

    async def _spawn(self, program: Program, place: int) -> ProcessHandle:
        assert (program, place) == (PROGRAM, 3)
        self.puppets.append(Puppet(100 + len(self.puppets)))
        return self.puppets[-1]

    async def serving(self) -> Puppet:
        """Have the latest process serve."""
        await settle()
        self.puppets[-1].serve()
        await settle()
        return self.puppets[-1]

    async def close(self) -> None:
        """End the keeping."""
        self.keeping.cancel()
        await asyncio.wait([self.keeping])


@virtual_time
async def test_a_process_that_dies_is_followed_by_another() -> None:
    stage = Stage()
    first = await stage.serving()
    first.end(-signal.SIGKILL)
    second = await stage.serving()

    assert second is not first
    assert [(each.pid, each.state) for each in stage.place.status()] == [(second.pid, "serving")]

    await stage.close()


@virtual_time
async def test_a_process_that_does_not_end_when_it_is_told_to_is_killed() -> None:
    stage = Stage()
    deaf = await stage.serving()
    replacing = asyncio.create_task(stage.place.replace())
    await stage.serving()
    began_s = asyncio.get_running_loop().time()

    assert await replacing
    assert deaf.signals == [signal.SIGTERM, signal.SIGKILL]
    assert asyncio.get_running_loop().time() - began_s == PATIENCE.end_ms / 1000

    await stage.close()


@virtual_time
async def test_a_process_that_never_serves_is_given_up() -> None:
    stage = Stage()
    await asyncio.sleep((PATIENCE.ready_ms + PATIENCE.grace_ms) / 1000 + 0.1)
    silent, second = stage.puppets

    assert silent.signals == [signal.SIGTERM, signal.SIGKILL]
    assert not second.signals

    await stage.close()


@virtual_time
async def test_a_first_worker_that_found_no_database_is_followed_by_another() -> None:
    stage = Stage()
    await settle()
    stage.puppets[0].end(75)
    second = await stage.serving()

    assert [each.pid for each in stage.place.status()] == [second.pid]
    assert not stage.keeping.done()

    await stage.close()


@virtual_time
async def test_a_first_worker_that_cannot_start_as_configured_is_the_end() -> None:
    stage = Stage()
    await settle()
    stage.puppets[0].end(1)
    await settle()

    assert isinstance(stage.keeping.exception(), GaveUpError)
