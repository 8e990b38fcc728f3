"""What is done to a server during a soak: planned from a seed, then inflicted and timed."""

import asyncio
import enum
import functools
import random
import signal
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from time import perf_counter_ns

import msgspec

from bench.chaos_caller import get_bytes
from bench.chaos_processes import Process
from bench.chaos_server import Victim
from bench.databases import DatabaseError
from bench.messages import WAREHOUSE
from bench.sale_caller import Caller

_FIRST_AFTER_S = (0.5, 1.5)
_GAP_S = (1.0, 4.0)
_QUIET_END_S = 1.0
_PAUSE_S = (3.0, 6.5)
_KILLS_MAX = 8
_KILLS_WINDOW_S = 60.0
_PROBED_MAX = 4
_PROBE_WITHIN_S = 1.0
_PROBE_EVERY_S = 0.02
_RETURN_WITHIN_S = 60.0
_NS_PER_S = 1_000_000_000


class Fault(enum.Enum):
    """A thing that may happen to a server."""

    KILL_WORKER = "kill a worker"
    KILL_SEVERAL = "kill several workers"
    KILL_SERVER = "kill the server"
    PAUSE_WORKER = "pause a worker"
    END_SESSIONS = "end sessions"
    KILL_POSTGRES = "kill PostgreSQL"
    ROLL = "exchange the workers"


_ALONE = (Fault.KILL_SERVER, Fault.PAUSE_WORKER, Fault.END_SESSIONS, Fault.KILL_POSTGRES)
_WEIGHTS = {
    Fault.KILL_WORKER: 5,
    Fault.KILL_SEVERAL: 2,
    Fault.KILL_SERVER: 2,
    Fault.PAUSE_WORKER: 5,
    Fault.END_SESSIONS: 3,
    Fault.KILL_POSTGRES: 2,
    Fault.ROLL: 1,
}


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A fault to come.

    Attributes:
        at_s: After the beginning.
        dice: Seed of the choices that can only be made when it happens.
    """

    fault: Fault
    at_s: float
    dice: int


class Inflicted(msgspec.Struct, kw_only=True):
    """A fault that happened.

    Attributes:
        returns_s: Until pools that it took away answered again, seconds, one each.
    """

    fault: Fault
    at_ns: int
    returns_s: list[float] = []


def plan(*, seed: str, seconds: float, workers: int) -> list[Planned]:
    """Draw faults and their moments; equal arguments give equal plans.

    Each kind comes once before any comes again by chance. Workers are killed less often than
    a supervisor takes for a reason to give up.
    """
    dice = random.Random(seed)
    kinds = list(Fault) if workers > 1 else list(_ALONE)
    each_once = dice.sample(kinds, len(kinds))
    kills: deque[float] = deque(maxlen=_KILLS_MAX)
    planned: list[Planned] = []
    at_s = dice.uniform(*_FIRST_AFTER_S)
    while at_s < seconds - _QUIET_END_S:
        by_chance = dice.choices(kinds, [_WEIGHTS[kind] for kind in kinds])[0]
        fault = each_once.pop() if each_once else by_chance
        is_kill = fault in {Fault.KILL_WORKER, Fault.KILL_SEVERAL}
        too_often = len(kills) == _KILLS_MAX and at_s - kills[0] < _KILLS_WINDOW_S
        if not (is_kill and too_often):
            planned.append(Planned(fault=fault, at_s=at_s, dice=dice.randrange(1 << 30)))
            kills.extend([at_s] if is_kill else [])
        at_s += dice.uniform(*_GAP_S)
    return planned


class Injector:
    """Inflicts a plan on a server.

    Args:
        hot: Products to look for where it is not known which pools a fault took away.
        say: Hears one line a fault.
    """

    def __init__(self, victim: Victim, *, hot: Sequence[str], say: Callable[[str], None]) -> None:
        self.inflicted: list[Inflicted] = []
        self._victim = victim
        self._hot = hot
        self._say = say
        self._paused: list[Process] = []

    async def run(self, planned: Sequence[Planned]) -> None:
        """Let everything happen at its time, and return when nothing is paused any more."""
        begun_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as tasks:
                for each in planned:
                    await asyncio.sleep(begun_s + each.at_s - asyncio.get_running_loop().time())
                    await self._inflict(each, tasks)
        finally:
            self._resume_all()

    async def _inflict(self, planned: Planned, tasks: asyncio.TaskGroup) -> None:
        dice = random.Random(planned.dice)
        fault, victim = planned.fault, self._victim
        everyone = victim.workers()
        # A stopped worker is left to wake up: what it says then is worth hearing.
        workers = [worker for worker in everyone if worker not in self._paused] or everyone
        match fault:
            case Fault.KILL_WORKER | Fault.KILL_SEVERAL if workers:
                several = fault is Fault.KILL_SEVERAL
                count = min(len(workers), dice.randint(2, max(2, len(workers)))) if several else 1
                await self._kill(fault, dice.sample(workers, count), tasks)
            case Fault.KILL_SERVER:
                self._resume_all()  # a paused orphan would keep the port from its successor
                happened = self._note(fault, f"process {victim.child.pid}")
                victim.kill()
                self._await_return(happened, self._hot, tasks)
            case Fault.PAUSE_WORKER if workers:
                worker = dice.choice(workers)
                self._pause(worker, dice.uniform(*_PAUSE_S), tasks)
            case Fault.END_SESSIONS:
                await self._end_sessions(dice.choice((0.2, 0.5, 1.0)))
            case Fault.KILL_POSTGRES if (postmaster := victim.postmaster()) is not None:
                happened = self._note(fault, f"process {postmaster.pid}")
                postmaster.signal(signal.SIGKILL)
                self._await_return(happened, self._hot, tasks)
            case Fault.ROLL if victim.child.poll() is None and workers:
                self._note(fault, f"process {victim.child.pid}")
                victim.child.send_signal(signal.SIGHUP)
            case _:
                self._say(f"{fault.value}: there is none at this moment")

    async def _kill(
        self, fault: Fault, workers: Sequence[Process], tasks: asyncio.TaskGroup
    ) -> None:
        lost: set[str] = set()
        for worker in workers:
            try:
                lost.update(await self._victim.products_of(worker))
            except DatabaseError:
                lost.update(self._hot)
        happened = self._note(fault, ", ".join(f"process {each.pid}" for each in workers))
        for worker in workers:
            worker.signal(signal.SIGKILL)
        self._await_return(happened, sorted(lost), tasks)

    def _pause(self, worker: Process, seconds: float, tasks: asyncio.TaskGroup) -> None:
        self._note(Fault.PAUSE_WORKER, f"process {worker.pid} for {seconds:.1f} s")
        worker.signal(signal.SIGSTOP)
        self._paused.append(worker)
        tasks.create_task(self._resume_after(worker, seconds))

    async def _resume_after(self, worker: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        worker.signal(signal.SIGCONT)
        if worker in self._paused:
            self._paused.remove(worker)

    def _resume_all(self) -> None:
        for worker in self._paused:
            worker.signal(signal.SIGCONT)
        self._paused.clear()

    async def _end_sessions(self, share: float) -> None:
        at_ns = perf_counter_ns()
        try:
            ended = await self._victim.end_sessions(share)
        except DatabaseError as error:
            self._say(f"{Fault.END_SESSIONS.value}: {error}")
            return
        self._note(Fault.END_SESSIONS, f"{ended} of them", at_ns=at_ns)

    def _note(self, fault: Fault, what: str, *, at_ns: int | None = None) -> Inflicted:
        happened = Inflicted(fault=fault, at_ns=perf_counter_ns() if at_ns is None else at_ns)
        self.inflicted.append(happened)
        self._say(f"{fault.value}: {what}")
        return happened

    def _await_return(
        self, happened: Inflicted, products: Sequence[str], tasks: asyncio.TaskGroup
    ) -> None:
        """Time how long pools are away, by asking some of them until they answer."""
        hot_first = sorted(products, key=lambda product: product not in self._hot)
        for product in hot_first[:_PROBED_MAX]:
            tasks.create_task(self._probe(happened, product))

    async def _probe(self, happened: Inflicted, product: str) -> None:
        ask = functools.partial(_answers, Caller(host="127.0.0.1", port=self._victim.port), product)
        elapsed_s = 0.0
        while elapsed_s < _RETURN_WITHIN_S and not await ask():
            await asyncio.sleep(_PROBE_EVERY_S)
            elapsed_s = (perf_counter_ns() - happened.at_ns) / _NS_PER_S
        happened.returns_s.append((perf_counter_ns() - happened.at_ns) / _NS_PER_S)


async def _answers(caller: Caller, product: str) -> bool:
    request = get_bytes(f"/stock-balances/{WAREHOUSE}/{product}")
    try:
        answer = await caller.ask(request, within_s=_PROBE_WITHIN_S)
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        caller.hang_up()
    return answer.status == HTTPStatus.OK
