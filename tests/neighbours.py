"""Workers of one server in one process and in virtual time, with lines that break as told.

The database, the lines, and the doors by which the living are told from the dead are in memory.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from allocator.actors.cluster import Cluster
from allocator.actors.peering import Peering, PeerLink
from allocator.actors.statistics import ForwardStatistics
from allocator.actors.wire import Ask, Look, Measure, Request, Response
from allocator.errors import AllocatorError
from allocator.peers.errors import PeerUnreachableError
from allocator.peers.frames import Hello
from allocator.peers.link import Link
from allocator.peers.sockets import Listening
from allocator.persistence.memory.database import MemoryDatabase
from tests.scene import Scene, serving
from tests.virtual_time import now_ms

HEARTBEAT_MS: Final = 500
NEVER_MS: Final = 3_600_000


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one request.

    Attributes:
        error: What its caller hears; None is nothing, ever.
        carried_out: Whether the other worker does it all the same.
        response: What is said instead of the truth.
    """

    error: AllocatorError | None = None
    carried_out: bool = False
    response: Response | None = None


class Neighbour(Peering):
    """A worker, its lines, and what is known of the others."""

    def __init__(self, town: "Town", scene: Scene, address: Path) -> None:
        super().__init__(
            scene.worker,
            scene.journal,
            sockets=town,
            statistics=ForwardStatistics(),
            hello=Hello(name=address.stem, build="test"),
            address=address,
            every_ms=HEARTBEAT_MS,
        )
        self.scene = scene
        self.address = str(address)
        self.supervised = True
        self.cluster = Cluster(
            scene.worker,
            self,
            figures=f"figures of {address.stem}".encode,
            may_retire=lambda: not self.supervised,
        )
        self._town = town

    def _line_to(self, path: str, name: str) -> PeerLink:  # noqa: ARG002 (it is in the path)
        def broken() -> None:
            self.suspect(line)

        line = MemoryLink(self._town, path, broken)
        return line


class MemoryLink(Link[Request, Response]):
    """A line to another worker of the town."""

    def __init__(self, town: "Town", to: str, broken: Callable[[], None]) -> None:
        self.peer = Path(to).stem
        self.broken = broken
        self._town = town
        self._to = to
        self.calls: list[asyncio.Future[Response]] = []
        self.out_of_reach = False
        town.lines[to].append(self)

    @property
    def in_flight(self) -> int:
        """Calls without an answer."""
        return sum(not call.done() for call in self.calls)

    @property
    def is_barred(self) -> bool:
        """Whether it could not be connected."""
        return self.out_of_reach

    def call(self, request: Request) -> asyncio.Future[Response]:
        """Pass a request on, unless there is trouble."""
        call = self._town.deliver(self._to, request)
        self.calls.append(call)
        return call

    async def close(self) -> None:
        """Be forgotten."""
        self._town.lines[self._to].remove(self)


class Town:
    """All workers. Satisfies `Sockets`, as far as it takes to see whether one of them lives.

    Attributes:
        lines: By where they lead.
        sent: Requests of clients, in order, with where they were sent.
    """

    def __init__(self, directory: Path, database: MemoryDatabase) -> None:
        self.database = database
        self.lines: defaultdict[str, list[MemoryLink]] = defaultdict(list)
        self.sent: list[tuple[str, Request]] = []
        self._directory = directory
        self._stack = AsyncExitStack()
        self._neighbours: dict[str, Neighbour] = {}
        self._troubles: deque[Trouble] = deque()
        self._open: set[str] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}

    @property
    def neighbours(self) -> list[Neighbour]:
        """The living and the dead, in the order in which they moved in."""
        return list(self._neighbours.values())

    @property
    def first(self) -> Neighbour:
        """Who has been here longest."""
        return self.neighbours[0]

    @property
    def second(self) -> Neighbour:
        """Who came next."""
        return self.neighbours[1]

    async def move_in(self) -> Neighbour:
        """Add a worker, which looks around from now on."""
        address = self._directory / f"{len(self._neighbours)}.sock"
        self._open.add(str(address))
        opening = serving(self.database, server="one", address=str(address))
        scene = await self._stack.enter_async_context(opening)
        neighbour = self._neighbours[str(address)] = Neighbour(self, scene, address)
        self._looking[str(address)] = asyncio.create_task(neighbour.run())
        return neighbour

    async def close(self) -> None:
        """End all."""
        for looking in self._looking.values():
            await _end(looking)
        await self._stack.aclose()

    def trouble(self, *troubles: Trouble) -> None:
        """Have these become of the next requests."""
        self._troubles.extend(troubles)

    async def kill(self, neighbour: Neighbour, *, silently: bool = False) -> None:
        """Let a worker die as by `kill -9`: nobody listens any more, and its lines break.

        If it dies silently, there was no line to it.
        """
        self._open.remove(neighbour.address)
        await neighbour.scene.crash()
        await _end(self._looking.pop(neighbour.address))
        if not silently:
            self.cut(neighbour)

    def cut(self, neighbour: Neighbour) -> None:
        """Break the lines to a worker."""
        for line in list(self.lines[neighbour.address]):
            line.broken()

    async def listen(self, path: Path, make: Callable[[], asyncio.Protocol]) -> Listening:
        """Refuse: requests come by `MemoryLink`s, and need no door."""
        raise NotImplementedError

    async def connect(self, path: Path, make: Callable[[], asyncio.Protocol]) -> None:  # noqa: ARG002 (nothing is said)
        """Find out whether a worker lives."""
        if str(path) not in self._open:
            raise ConnectionRefusedError

    def deliver(self, path: str, request: Request) -> asyncio.Future[Response]:
        """Have a request carried out."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response] = loop.create_future()
        neighbour = self._neighbours.get(path)
        if neighbour is None or path not in self._open:
            raise PeerUnreachableError(peer=path, why="nobody listens")
        carry_out = partial(neighbour.cluster.handle, request)
        trouble = None
        if isinstance(request, Ask | Look | Measure):
            self.sent.append((path, request))
            trouble = self._troubles.popleft() if self._troubles else None
        if trouble is None:
            loop.call_soon(carry_out, partial(_answer, answer))
            return answer
        if trouble.carried_out:
            loop.call_soon(carry_out, _forget)
        if trouble.error is not None:
            loop.call_soon(answer.set_exception, trouble.error)
        elif trouble.response is not None:
            loop.call_soon(answer.set_result, trouble.response)
        return answer


@asynccontextmanager
async def town_of(count: int, directory: Path) -> AsyncIterator[Town]:
    """Run workers of one server; one that is silent is never taken for dead."""
    town = Town(directory, MemoryDatabase(clock=now_ms, dead_after_ms=NEVER_MS))
    try:
        for _ in range(count):
            await town.move_in()
        yield town
    finally:
        await town.close()


def _answer(answer: asyncio.Future[Response], response: Response) -> None:
    if not answer.done():
        answer.set_result(response)


def _forget(_response: Response) -> None:
    """Nobody hears it."""


async def _end(task: asyncio.Task[None]) -> None:
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.wait([task])
