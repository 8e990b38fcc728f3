"""Workers and the servers that supervise them, as simulated processes.

What runs in them is what runs in real ones (`crew`, `supervision`, `peers`, `actors`). Simulated is
what a kernel does for them: processes, signals, and connections of clients.
"""

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from allocator.actors.limits import Limits
from allocator.crew import Crew, Outside, crew_of
from allocator.domain.ids import SHARDS
from allocator.errors import AllocatorError, JournalError, UnavailableError
from allocator.payments.calls import Bounds, Calls
from allocator.peers.frames import Hello
from allocator.peers.sockets import Sockets
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.journal import MemoryJournal
from allocator.simulation.feeders import Door, Feeders
from allocator.simulation.handling import ask
from allocator.simulation.history import Heard, Operation
from allocator.simulation.process import Process
from allocator.simulation.provider import Provider
from allocator.till import Till

LIMITS: Final = Limits(
    mailbox_max=24,
    worker_max=64,
    batch_max=16,
    snapshot_events=6,
    heartbeat_ms=500,
)
"""Small, so that everything that is bounded meets its bound in a short run."""

DRAIN_S: Final = 3.0
_TIMEOUT_S: Final = 2.0
_CALLS_MAX: Final = 3
"""Of the provider, at once; as many more may wait."""
_FOREIGN_VERSION: Final = 99
_EVERY_SHARD: Final = frozenset(range(SHARDS))
_FAILED: Final = 1
_LATER: Final = 75
"""As `worker_process` ends."""


Respond: TypeAlias = Callable[[Heard | None], None]
"""Has a client hear an answer; None is the end of the connection."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What every process of an installation finds there.

    Attributes:
        provider: Who is asked for money.
        payment_ms: So long one waits for that.
        failures: What workers did that none may ever do.
        feeders: What has feeds work; None where none is wanted.
    """

    database: MemoryDatabase
    sockets: Sockets
    provider: Provider
    payment_ms: int
    failures: list[str]
    feeders: Feeders | None = None
    limits: Limits = LIMITS


class WorkerProcess:
    """A worker from its start to its end. Satisfies `supervision.child.ProcessHandle`.

    Args:
        process: Nothing runs in it yet.
        parent: Of the server that started it.
        server: Names the server; its workers are each other's peers.

    Attributes:
        foreign: Whether it speaks no version that others know.
        accepting: Whether it takes connections of clients.
        orphaned: Whether its server is dead.
        lingering: Whether it has given its place up, and may still wait for the provider.
        requests: What it has taken and not answered, each with how to answer it.
        door: Where a warehouse's own system tells it something; None if there is none.
    """

    def __init__(  # noqa: PLR0913 (what a process is started with)
        self,
        machine: Machine,
        process: Process,
        *,
        parent: Process,
        pid: int,
        place: int,
        server: str,
        foreign: bool,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self.place = place
        self.process = process
        self.address = Path(f"/{place}-{pid}.sock")
        self.ready: asyncio.Future[float] = loop.create_future()
        self.exited: asyncio.Future[float] = loop.create_future()
        self.accepting = False
        self.orphaned = False
        self.lingering = False
        self.requests: dict[int, Respond] = {}
        self.crew: Crew | None = None
        self.door: Door | None = None
        self._calls: Calls | None = None
        self._machine = machine
        self._parent = parent
        self._server = server
        self.foreign = foreign
        self._stop = asyncio.Event()
        self._number = 0
        self._arriving: dict[int, Respond] = {}
        process.on_end(self._note_end)
        self._serving = process.spawn(self._serve(), name=f"serve {place}")

    @property
    def returncode(self) -> int | None:
        """How it ended."""
        return self.process.returncode

    @property
    def requested(self) -> int:
        """How many requests are on their way here or not yet answered."""
        return len(self._arriving) + len(self.requests)

    @property
    def paying(self) -> bool:
        """Whether it waits for the provider, or has to tell what that said."""
        if self._calls is None:
            return False
        counted = self._calls.statistics
        return counted.waiting + counted.under_way + counted.reporting > 0

    def signal(self, number: signal.Signals, /) -> None:
        """Send it a signal."""
        self.process.signal(number)

    def request(self, operation: Operation, respond: Respond, *, after_s: float) -> None:
        """Have a client's request arrive after a while."""
        self._number = number = self._number + 1
        self._arriving[number] = respond
        self.process.call_later(after_s, self._take, number, operation)

    def _take(self, number: int, operation: Operation) -> None:
        """Carry a request out."""
        respond = self._arriving.pop(number)
        if not self.accepting or self.crew is None:
            respond(None)
            return
        self.requests[number] = respond
        try:
            answer = ask(self.crew, operation, begin_feed=self._begin_feed)
        except AllocatorError as error:
            del self.requests[number]
            respond(error)
        else:
            answer.add_done_callback(partial(self._answer, number))

    def _answer(self, number: int, answer: "asyncio.Future[Heard]") -> None:
        heard = _heard(answer)
        if respond := self.requests.pop(number, None):
            respond(heard)

    async def _serve(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        crew = self._crew()
        self._calls = calls = self._seeing_through()
        crew.worker.office.cashier = Till(calls, asker=crew.asker)
        try:
            background = await crew.begin()
        except AllocatorError as error:
            self.process.end(_LATER if isinstance(error, JournalError) else _FAILED)
            return
        background += self._feed(crew)
        self.crew = crew
        self.accepting = True
        self._parent.call(_resolve, self.ready)
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({stopped, *background}, return_when=asyncio.FIRST_COMPLETED)
        failed = [task.get_name() for task in background if task.done()]
        self._machine.failures.extend(f"{self.process.name}: {name} ended" for name in failed)
        self.accepting = False
        by_s = asyncio.get_running_loop().time() + DRAIN_S
        await self._drain()
        self.lingering = True
        await crew.leave(calls, by_s=by_s)
        if self.paying:
            self._machine.provider.note_end(self.process)
            if crew.peering is not None and not crew.peering.alone:
                self._machine.failures.append(f"{self.process.name} left before it had its answers")
        await calls.stop()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        self.process.end(_FAILED if failed else 0)

    def _crew(self) -> Crew:
        hello = Hello(name=str(self.place), build="simulated")
        if self.foreign:
            version = _FOREIGN_VERSION
            hello = msgspec.structs.replace(hello, oldest=version, newest=version)
        journal = MemoryJournal(
            self._machine.database,
            name=self.process.name,
            server=self._server,
            address=str(self.address),
            timeout_s=_TIMEOUT_S,
        )
        journal.violations = self._machine.failures
        return crew_of(
            Outside(clock=self.process.now_ms, journal=journal, sockets=self._machine.sockets),
            limits=self._machine.limits,
            hello=hello,
            address=self.address,
            figures=bytes,
            may_retire=self._may_retire,
        )

    def _feed(self, crew: Crew) -> list[asyncio.Task[None]]:
        """Have the feeds work of which the actors are here, if there can be any."""
        if self._machine.feeders is None:
            return []
        feeding = self._machine.feeders.feeding(crew, self.process)
        crew.worker.office.poller = feeding
        self.door = self._machine.feeders.door(crew, self.process, feeding)
        return [asyncio.create_task(feeding.run(), name="warehouse feeds")]

    async def _begin_feed(self) -> None:
        assert self._machine.feeders is not None, "a feed is wanted"
        await self._machine.feeders.begin(self.process)

    def _seeing_through(self) -> Calls:
        machine = self._machine
        bounds = Bounds(calls_max=_CALLS_MAX, waiting_max=_CALLS_MAX, timeout_ms=machine.payment_ms)
        return Calls(machine.provider, bounds=bounds, clock=self.process.now_ms)

    def _may_retire(self) -> bool:
        if self.orphaned:
            self._stop.set()
        return self.orphaned

    async def _drain(self) -> None:
        """Finish what was taken, as the web server does; hang up on the rest."""
        until_s = asyncio.get_running_loop().time() + DRAIN_S
        while self.requests and asyncio.get_running_loop().time() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self._hang_up()

    def _hang_up(self) -> None:
        requests, self.requests = self.requests, {}
        for respond in requests.values():
            respond(None)

    def _note_end(self) -> None:
        """Do what the kernel does: hang up on clients, and tell the parent."""
        self.accepting = False
        if self.crew is not None:  # the garbage collector does not see what is in mailboxes
            directory = self.crew.worker.directory
            directory.drop(directory.of(_EVERY_SHARD), because=UnavailableError(reason="dead"))
        self._hang_up()
        for respond in self._arriving.values():
            respond(None)
        self._parent.call(_resolve, self.exited)


def _heard(answer: "asyncio.Future[Heard]") -> Heard | None:
    if answer.cancelled():
        return None
    error = answer.exception()
    if error is None:
        return answer.result()
    return error if isinstance(error, AllocatorError) else None


def _resolve(moment: asyncio.Future[float]) -> None:
    if not moment.done():
        moment.set_result(asyncio.get_running_loop().time())
