"""Two workers on one database, clients who come and go, and everything that can break.

A script of steps runs in virtual time. Whatever it was, the faults stop at its end, and then what
every client was told is held against the journal: see `simulation_laws`.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from hypothesis import strategies as st

from allocator.actors.keys import KeyedRequest
from allocator.actors.limits import Limits
from allocator.actors.messages import Answer, Outcome
from allocator.domain.ids import SHARD_MASK
from allocator.domain.messages import CancelOrder, Command, DispatchOrder, PlaceOrder
from allocator.domain.pool import Balance, Pool
from allocator.errors import AllocatorError, JournalError
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.trouble import Operation
from tests.builders import ACTOR, keyed, place, receive
from tests.memory_journal import Fault
from tests.scene import Scene
from tests.virtual_time import now_ms, settle

ACTORS: Final = (ACTOR, ACTOR + 257)
_LIMITS: Final = Limits(mailbox_max=6, worker_max=10, batch_max=2, idle_ms=1_000)
_TAKEN_OVER_S: Final = 4.0
_HEALED_S: Final = 30.0

Client: TypeAlias = Literal[0, 1, "owner"]
"""Which worker a client talks to; a router may be wrong."""

Reply: TypeAlias = asyncio.Future[Answer] | asyncio.Future[Balance]


class Receive(NamedTuple):
    """Stock comes."""

    worker: Client
    actor_id: int
    quantity: int
    ttl_s: int | None
    key: str | None


class Place(NamedTuple):
    """An order comes."""

    worker: Client
    actor_id: int
    quantity: int
    key: str | None


class Close(NamedTuple):
    """An order ends that somebody was told of, perhaps again; if there is none, no order 1 does."""

    worker: Client
    which: int
    dispatch: bool
    key: str | None


class Retry(NamedTuple):
    """A client that asked under a key asks the same again, perhaps elsewhere."""

    worker: Client
    which: int


class Look(NamedTuple):
    """Somebody reads a balance."""

    worker: Client
    actor_id: int


class Leave(NamedTuple):
    """A client gives up waiting."""

    which: int


class Break(NamedTuple):
    """The next call fails."""

    worker: Client
    operation: Operation
    fault: Fault


class Slow(NamedTuple):
    """From now on, calls take their time."""

    worker: Client
    seconds: float


class Pass(NamedTuple):
    """Time passes, or only what is due happens."""

    seconds: float


class Stun(NamedTuple):
    """A worker's heartbeats stand still, long enough for it to be thought dead."""

    worker: Client


class Crash(NamedTuple):
    """A worker dies, and another starts in its place."""

    worker: Client


class Give(NamedTuple):
    """A worker gives its shards to the other, and after some time everything goes on."""

    worker: Client
    seconds: float


class Exchange(NamedTuple):
    """A worker retires, and another starts in its place."""

    worker: Client


Trouble: TypeAlias = Break | Slow | Pass | Stun | Crash | Give | Exchange
Step: TypeAlias = Receive | Place | Close | Retry | Look | Leave | Trouble

_OWNER: Client = "owner"
_WORKERS: st.SearchStrategy[Client] = st.sampled_from([_OWNER, _OWNER, _OWNER, 0, 1])
_ACTORS = st.sampled_from([ACTORS[0], *ACTORS])
_KEYS = st.none() | st.sampled_from(["a", "b", "c"])
_WHICH = st.integers(0, 40)
_FAULTS = st.sampled_from(Fault)
_GIVING_S = st.sampled_from([0.0, 0.01])
_WRITES: st.SearchStrategy[Operation] = st.sampled_from(["append", "append", "confirm"])
_READS: st.SearchStrategy[Operation] = st.sampled_from(["origin", "records", "find_keys"])
_REST: st.SearchStrategy[Operation] = st.sampled_from(
    ["renew", "claim", "beat", "save_snapshot", "due_wakes"]
)

_PLACES = st.builds(Place, _WORKERS, _ACTORS, st.integers(1, 3), _KEYS)
_TICKS = st.builds(Pass, st.sampled_from([0.0, 0.0, 0.001, 0.3]))
_USUAL: list[st.SearchStrategy[Step]] = [
    _PLACES,
    _PLACES,
    st.builds(Retry, _WORKERS, _WHICH),
    st.builds(Close, _WORKERS, _WHICH, st.booleans(), _KEYS),
    st.builds(Look, _WORKERS, _ACTORS),
    _TICKS,
]
_UNUSUAL: list[st.SearchStrategy[Step]] = [
    st.builds(Receive, _WORKERS, _ACTORS, st.integers(1, 5), st.none() | st.integers(1, 4), _KEYS),
    st.builds(Leave, _WHICH),
    st.builds(Break, _WORKERS, _WRITES, _FAULTS),
    st.builds(Break, _WORKERS, _READS, _FAULTS),
    st.builds(Break, _WORKERS, _REST, _FAULTS),
    st.builds(Slow, _WORKERS, st.sampled_from([0.0, 0.001, 0.4])),
    st.builds(Pass, st.just(3.0)),
    st.builds(Stun, _WORKERS),
    st.builds(Crash, _WORKERS),
    st.builds(Give, _WORKERS, _GIVING_S),
    st.builds(Exchange, _WORKERS),
]


def _script_of(unusual: list[int]) -> st.SearchStrategy[list[Step]]:
    kinds = _USUAL + [_UNUSUAL[number] for number in unusual]
    return st.lists(st.one_of(kinds), min_size=20, max_size=60)


# A few kinds of trouble a script, each often, find more than all of them at once, each seldom.
SCRIPTS = st.lists(st.integers(0, len(_UNUSUAL) - 1), min_size=1, max_size=4, unique=True).flatmap(
    _script_of
)

# Many hand-overs, and each sooner than idle actors leave memory.
_MOMENTS = st.builds(Pass, st.just(0.01))
_HANDING = st.builds(Give, st.just(_OWNER), _GIVING_S)
_LOOKS = st.builds(Look, st.just(_OWNER), _ACTORS)
HAND_OVERS = st.lists(
    st.one_of([_PLACES, _LOOKS, _MOMENTS, _HANDING, st.builds(Retry, _WORKERS, _WHICH)]),
    min_size=20,
    max_size=60,
)


@dataclass
class Told:
    """What one client asked and heard.

    Attributes:
        command: None for a read.
        rows_before, rows_after: How many rows of the actor were committed when it was asked,
            and when it was answered.
        result: None if nothing was ever heard: the client left, or the worker died.
    """

    worker: int
    actor_id: int
    command: Command | None
    request: KeyedRequest | None
    rows_before: int
    rows_after: int = 0
    result: Answer | Balance | BaseException | None = None


class Simulation:
    """Runs one script.

    Attributes:
        told: In the order of asking.
        scenes: All that ever ran; the last two are those that run.
    """

    def __init__(self) -> None:
        self.database = MemoryDatabase(clock=now_ms)
        self.told: list[Told] = []
        self.scenes: list[Scene] = []
        self._running: list[Scene] = []
        self._waiting: list[tuple[Told, Scene, Reply]] = []
        self._giving: dict[Scene, list[asyncio.Task[None]]] = {}

    async def run(self, steps: list[Step]) -> None:
        """Run the script, then let everything heal."""
        for _ in range(2):
            self._running.append(await self._start())
        for actor_id in ACTORS:
            self._ask(0, actor_id, receive(7), None)
        for step in steps:
            await self._do(step)
        for scene in self.scenes:
            scene.journal.heal()
        await asyncio.sleep(_HEALED_S)
        await settle()

    @property
    def alive(self) -> list[Scene]:
        """The scenes whose workers run."""
        return self._running

    def hanging(self) -> list[Told]:
        """Return who asked a worker that lives and still waits."""
        return [
            told
            for told, scene, reply in self._waiting
            if not reply.done() and scene in self._running
        ]

    async def _do(self, step: Step) -> None:
        match step:
            case Break() | Slow() | Pass() | Stun() | Crash() | Give() | Exchange():
                await self._trouble(step)
            case Leave(which):
                if self._waiting:
                    self._waiting[which % len(self._waiting)][2].cancel()
            case Retry(worker, which):
                self._retry(worker, which)
            case Look(worker, actor_id):
                self._look(worker, actor_id)
            case Receive(worker, actor_id, quantity, ttl_s, key):
                expires_at_ms = None if ttl_s is None else now_ms() + ttl_s * 1000
                self._ask(worker, actor_id, receive(quantity, expires_at_ms=expires_at_ms), key)
            case Place(worker, actor_id, quantity, key):
                self._ask(worker, actor_id, place(quantity), key)
            case Close(worker, which, dispatch, key):
                actor_id, order = self._order(which)
                closing = DispatchOrder(order=order) if dispatch else CancelOrder(order=order)
                self._ask(worker, actor_id, closing, key)

    async def _trouble(self, step: Trouble) -> None:
        match step:
            case Break(worker, operation, fault):
                self._scene(worker).journal.break_next(operation, fault)
            case Slow(worker, seconds):
                self._scene(worker).journal.latency_s = lambda _: seconds
            case Pass(seconds):
                await asyncio.sleep(seconds)
            case Stun(worker):
                hold = self._scene(worker).journal.hold("beat")
                asyncio.get_running_loop().call_later(2 * _TAKEN_OVER_S, hold.release)
                await asyncio.sleep(_TAKEN_OVER_S)
            case Crash(worker):
                scene = self._scene(worker)
                for giving in self._giving.pop(scene, []):
                    giving.cancel()
                await scene.crash()
                await self._replace(scene)
            case Give(worker, seconds):
                scene = self._scene(worker)
                giving = asyncio.create_task(self._hand_over(scene))
                self._giving.setdefault(scene, []).append(giving)
                await asyncio.sleep(seconds)
            case Exchange(worker):
                scene = self._scene(worker)
                await scene.worker.retire()
                assert not [
                    each for _, of, each in self._waiting if of is scene and not each.done()
                ]
                await self._replace(scene)

    async def _hand_over(self, giver: Scene) -> None:
        """Have the other worker take the lower half of the shards, with all actors in it."""
        for scene in list(self._running):
            await scene.worker.give(scene.worker.shards)
        for taker in list(self._running):
            if taker is not giver:
                with suppress(JournalError):
                    await taker.worker.claim()

    async def _replace(self, scene: Scene) -> None:
        self._running[self._running.index(scene)] = await self._start()

    def _order(self, which: int) -> tuple[int, int]:
        """Return the actor and seq of an order that was placed."""
        placed = [
            (told.actor_id, told.result.seq)
            for told in self.told
            if isinstance(told.result, Outcome) and isinstance(told.command, PlaceOrder)
        ]
        return placed[which % len(placed)] if placed else (ACTORS[0], 1)

    def _scene(self, worker: Client, actor_id: int = ACTORS[0]) -> Scene:
        """Return who is meant; somebody, if nobody owns the actor."""
        if worker != "owner":
            return self._running[worker]
        for scene in self._running:
            if actor_id & SHARD_MASK in scene.worker.shards:
                return scene
        return self._running[0]

    async def _start(self) -> Scene:
        scene = Scene(self.database, _LIMITS, now_ms, server="one")
        self.scenes.append(scene)
        await scene.worker.start()
        return scene

    def _ask(self, worker: Client, actor_id: int, command: Command, key: str | None) -> None:
        scene = self._scene(worker, actor_id)
        request = None if key is None else keyed(key, command, actor_id=actor_id)
        self._send(scene, actor_id, command, request)

    def _retry(self, worker: Client, which: int) -> None:
        keyed_asks = [told for told in self.told if told.request is not None]
        if keyed_asks:
            told = keyed_asks[which % len(keyed_asks)]
            self._send(
                self._scene(worker, told.actor_id), told.actor_id, told.command, told.request
            )

    def _send(
        self,
        scene: Scene,
        actor_id: int,
        command: Command | None,
        request: KeyedRequest | None,
    ) -> None:
        told = self._begin(scene, actor_id, command, request)
        try:
            if request is not None:
                self._listen(told, scene, scene.ask_once(request))
            elif command is not None:
                self._listen(told, scene, scene.ask(command, actor_id=actor_id))
        except AllocatorError as error:
            told.result = error

    def _look(self, worker: Client, actor_id: int) -> None:
        scene = self._scene(worker, actor_id)
        told = self._begin(scene, actor_id, None, None)
        read = scene.worker.read(actor_id, Pool.balance)
        self._listen(told, scene, asyncio.ensure_future(read))

    def _begin(
        self, scene: Scene, actor_id: int, command: Command | None, request: KeyedRequest | None
    ) -> Told:
        rows = len(self.database.rows[actor_id])
        told = Told(self.scenes.index(scene), actor_id, command, request, rows)
        self.told.append(told)
        return told

    def _listen(self, told: Told, scene: Scene, reply: Reply) -> None:
        def hear(reply: Reply) -> None:
            told.rows_after = len(self.database.rows[told.actor_id])
            if not reply.cancelled():
                told.result = reply.exception() or reply.result()

        reply.add_done_callback(hear)
        self._waiting.append((told, scene, reply))
