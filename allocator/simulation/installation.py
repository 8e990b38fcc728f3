"""One installation: a database, a server with its workers, and how clients reach it.

The server may die and leave its workers behind; then another is started, which asks them to leave
before it begins, as `allocator serve` does.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from allocator.domain.ids import SHARD_MASK
from allocator.domain.records import Record
from allocator.orphans import retires
from allocator.persistence.memory.database import MemoryDatabase
from allocator.simulation.feeders import Feeders
from allocator.simulation.history import Attempt, Heard, Operation
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.network import Network
from allocator.simulation.plan import Plan
from allocator.simulation.plan_troubles import WORKERS
from allocator.simulation.process import Process
from allocator.simulation.processes import DRAIN_S, LIMITS, Machine, WorkerProcess
from allocator.simulation.provider import Provider
from allocator.simulation.telling import Teller
from allocator.simulation.warehouse import Warehouse
from allocator.supervision.backoff import Backoff
from allocator.supervision.child import Program
from allocator.supervision.place import Patience
from allocator.supervision.supervisor import Supervisor

_DEAD_AFTER_MS: Final = 1_200
_START_S: Final = (0.02, 0.05, 0.3)
"""What starting a process takes."""
_WAY_S: Final = (0.0, 0.0002, 0.0005, 0.002, 0.03)
"""What a client's bytes take."""
_POLL_S: Final = 0.02
_SOON_MS: Final = 5_000
"""A cart that has to be woken within that time is waited for."""
_BACKOFF: Final = Backoff(shortest_ms=50, longest_ms=400, crashes_max=1_000)
_PATIENCE: Final = Patience(ready_ms=20_000, drain_ms=round(DRAIN_S * 1000), grace_ms=4_000)


class Installation:
    """Everything but the clients.

    Args:
        dice: Decides what nobody else does.
        books: Likewise, for the payment provider; `stock`, for the warehouse; `tales`,
            for what that tells by itself.
        plan: What happens.

    Attributes:
        database: Of all servers.
        provider: Who takes the money.
        warehouse: The system of the warehouse that has one; `feeders`, what asks it.
        workers: Those that live, the oldest first.
        foreign: Places whose next worker speaks another version.
        failures: What a server did that it must never do.
    """

    def __init__(  # noqa: PLR0913 (what decides)
        self,
        loop: SimulationLoop,
        *,
        dice: Random,
        books: Random,
        stock: Random,
        tales: Random,
        plan: Plan,
    ) -> None:
        self.network = Network(loop, dice)
        self.database_process = loop.process("database")
        self.database = MemoryDatabase(
            clock=self.database_process.now_ms,
            dead_after_ms=_DEAD_AFTER_MS,
            spawn=self.database_process.spawn,
        )
        self.provider = Provider(loop, dice=books, database=self.database)
        self.workers: list[WorkerProcess] = []
        self.foreign: set[int] = set()
        self.failures: list[str] = []
        self.server: Process | None = None
        self.skews_ms: dict[int, int] = {}
        self._loop = loop
        self._wire = loop.outside
        self._dice = dice
        self.warehouse: Warehouse | None = None
        self.feeders: Feeders | None = None
        if plan.terms is not None:
            self.warehouse = Warehouse(loop, dice=stock, terms=plan.terms)
            self.feeders = Feeders(self.database, self.warehouse)
            Teller(loop, dice=tales, warehouse=self.warehouse, workers=lambda: self.workers)
        self._machine = Machine(
            database=self.database,
            sockets=self.network.sockets(),
            failures=self.failures,
            limits=msgspec.structs.replace(LIMITS, idle_ms=plan.idle_ms),
            provider=self.provider,
            payment_ms=plan.payment_ms,
            feeders=self.feeders,
        )
        self._servers = 0
        self._pids = 0
        self._exit_code: int | None = None
        self._stopped = False
        self._serving: list[asyncio.Task[None]] = []

    # What a person does to it.

    def start(self) -> None:
        """Start a server, which begins when no worker of a dead one is left."""
        self._servers += 1
        self.server = self._loop.process(f"server {self._servers}")
        name = self.server.name
        self._serving.append(self.server.spawn(self._serve(self.server, name), name=name))

    def stop(self) -> None:
        """Have the server drain and end."""
        assert self.server is not None
        self._stopped = True
        self.server.signal(signal.SIGTERM)

    def roll(self) -> None:
        """Have the server exchange its workers."""
        if self.server is not None and self.server.alive:
            self.server.signal(signal.SIGHUP)

    def orphan(self) -> None:
        """Kill the server; its workers live on."""
        if self.server is not None and self.server.alive:
            self.server.kill()
        for worker in self.workers:
            worker.orphaned = True

    def in_place(self, place: int) -> WorkerProcess | None:
        """Return the newest worker of a place."""
        for worker in reversed(self.workers):
            if worker.place == place:
                return worker
        return None

    # What holds of it.

    @property
    def whole(self) -> bool:
        """Whether a server runs, its workers serve, and every shard has an owner."""
        running = self.server is not None and self.server.alive
        serving = [w for w in self.workers if w.accepting and not w.orphaned]
        return (
            running
            and len(serving) == WORKERS
            and all(w in serving or w.lingering for w in self.workers)
            and all(w.crew is not None and w.crew.asker.ready for w in serving)
        )

    @property
    def asked(self) -> bool:
        """Whether clients, even who wait no more, or workers who pay are yet to be answered."""
        return any(worker.requested or worker.paying for worker in self.workers)

    def unfinished(self) -> list[int]:
        """Return the processes that have something outstanding, as far as is stored.

        A cart that will only be woken in a while has nothing: it is open, or its checkout is
        waited for by the clock of a worker that was ahead.
        """
        wakes = self.database.wakes
        return [
            actor_id
            for actor_id, kind in self.database.kinds.items()
            if actor_id in wakes
            and kind != "feed"  # it polls for ever
            and (kind != "cart" or wakes[actor_id] <= self._now_ms_at(actor_id) + _SOON_MS)
        ]

    def changing(self) -> list[int]:
        """Return the open carts of which an edit waits for whoever asks for it."""
        return [
            actor_id
            for actor_id, kind in self.database.kinds.items()
            if kind == "cart" and _is_changing(self.database.journal_of(actor_id))
        ]

    def owner_of(self, actor_id: int) -> WorkerProcess | None:
        """Return who has an actor, as far as it knows; None if nobody has."""
        for worker in self.workers:
            if worker.crew is not None and actor_id & SHARD_MASK in worker.crew.worker.shards:
                return worker
        return None

    def _now_ms_at(self, actor_id: int) -> int:
        """Return the time as the owner of an actor has it; the latest, if it has none."""
        owner = self.owner_of(actor_id)
        if owner is not None:
            return owner.process.now_ms()
        return max((worker.process.now_ms() for worker in self.workers), default=0)

    @property
    def exit_code(self) -> int | None:
        """Of the latest server that has ended by itself."""
        return self._exit_code

    # How clients reach it.

    def send(self, operation: Operation, attempt: Attempt) -> "asyncio.Future[Heard | None]":
        """Have a worker answer a client; None when the connection breaks."""
        answer: asyncio.Future[Heard | None] = self._loop.create_future()
        open_doors = [worker for worker in self.workers if worker.accepting]
        if not open_doors:
            self._wire.call_later(self._way_s(), _tell, answer, None)
            return answer
        worker = open_doors[int(self._dice.random() * len(open_doors))]
        attempt.worker = worker.process.name

        def respond(heard: Heard | None) -> None:
            self._wire.call_later(self._way_s(), _tell, answer, heard)

        worker.request(operation, respond, after_s=self._way_s())
        return answer

    def _way_s(self) -> float:
        return _WAY_S[int(self._dice.random() * len(_WAY_S))]  # a third of what `choice` takes

    # What runs in the server's process.

    async def _serve(self, process: Process, name: str) -> None:
        self._exit_code = None
        await self._make_room()
        supervisor = Supervisor(
            WORKERS,
            Program(command=(name,), settings=lambda place: place),
            patience=msgspec.structs.replace(_PATIENCE, linger_ms=self._machine.payment_ms),
            clock=process.now_ms,
            backoff=_BACKOFF,
            spawn=self._spawn,
        )
        self._exit_code = await supervisor.run()
        if not self._stopped:
            self.failures.append(f"{name} ended by itself, with {self._exit_code}")
        process.end(self._exit_code)

    async def _make_room(self) -> None:
        """Ask the workers of a dead server to leave until all have."""
        while self.workers:
            for worker in list(self.workers):
                await retires(worker.address, self._machine.sockets)
            await asyncio.sleep(_POLL_S)

    async def _spawn(self, program: Program, place: int) -> WorkerProcess:
        await asyncio.sleep(self._dice.choice(_START_S))
        assert self.server is not None
        self._pids += 1
        process = self._loop.process(f"worker {place}.{self._pids}")
        process.clock_offset_ms = self.skews_ms.get(place, 0)
        worker = WorkerProcess(
            self._machine,
            process,
            parent=self.server,
            pid=self._pids,
            place=place,
            server=program.command[0],
            foreign=place in self.foreign,
        )
        self.workers.append(worker)
        process.on_end(lambda: self.workers.remove(worker))
        return worker


def _is_changing(rows: Sequence[Record]) -> bool:
    counted = Counter(row.kind for row in rows)
    settled = counted["line_held"] + counted["line_refused"]
    over = counted["cart_closed"] or counted["cart_expired"] or counted["checkout_paid"]
    return counted["line_wanted"] > settled and not over


def _tell(answer: "asyncio.Future[Heard | None]", heard: Heard | None) -> None:
    if not answer.done():
        answer.set_result(heard)
