"""Brings the trouble of a plan upon an installation, and in the end takes all of it away."""

import asyncio
import signal
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from random import Random
from typing import Final, assert_never

from allocator.persistence.memory.trouble import Call, End, Operation, Trouble
from allocator.simulation.installation import Installation
from allocator.simulation.process import Process
from allocator.simulation.processes import WorkerProcess
from allocator.simulation.steps import (
    Arrive,
    Away,
    Bequeath,
    Break,
    Crash,
    Cut,
    Drag,
    Foreign,
    Happening,
    Jump,
    Kill,
    Lag,
    Leave,
    Lose,
    Orphan,
    Part,
    Pause,
    Roll,
    Slow,
)
from allocator.simulation.steps import Trouble as Step

_THERE_S: Final = (0.0, 0.0, 0.0005, 0.002)
_COMMIT_S: Final = (0.0, 0.0005, 0.001, 0.003)
_BACK_S: Final = (0.0002, 0.0005, 0.001, 0.003)
"""What the parts of a call of the database take on a good day; a part of nothing costs no step."""
_USUAL: Final = tuple(
    Trouble(request_s=request_s, commit_s=commit_s, reply_s=reply_s)
    for request_s, commit_s, reply_s in product(_THERE_S, _COMMIT_S, _BACK_S)
)
_WRITES: Final = ("append", "confirm")
_SAYS_S: Final = 0.01
_SAYS_MAX: Final = 200
"""So often it is looked whether a feed's worker has said something."""
_LINE_S: Final = (0.00005, 0.0002, 0.001)
"""What bytes take between two workers."""


class Troubles:
    """Everything that goes wrong in one run.

    Args:
        dice: Decides what takes how long.
        note: Told what happens.
    """

    def __init__(
        self, installation: Installation, *, dice: Random, note: Callable[[str], None]
    ) -> None:
        self._installation = installation
        self._note = note
        self._dice = dice
        self._slow_s: list[float] = []
        self._lag_s: list[float] = []
        self._drag_s: defaultdict[int, list[float]] = defaultdict(list)
        self._broken: defaultdict[tuple[int, Operation], list[End]] = defaultdict(list)
        self._ends: list[asyncio.Task[None]] = []
        self._paused: list[Process] = []
        installation.database.trouble = self._of_call
        installation.network.delay = self._of_line

    async def run(self, steps: Sequence[Step | Happening]) -> None:
        """Let each happen at its time."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for step in steps:
            wait_s = began_s + step.at_ms / 1000 - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._note(f"trouble: {step}")
            self._bring(step)

    def heal(self) -> None:
        """Take everything away that still is; only clocks stay as they are."""
        for task in self._ends:
            task.cancel()
        installation = self._installation
        self._slow_s.clear()
        self._lag_s.clear()
        self._drag_s.clear()
        self._broken.clear()
        installation.network.heal()
        installation.database.start()
        for process in self._paused:
            process.resume()
        if installation.warehouse is not None:
            installation.warehouse.heal()
        installation.foreign.clear()
        for worker in [worker for worker in installation.workers if worker.foreign]:
            worker.signal(signal.SIGKILL)
        if installation.server is None or not installation.server.alive:
            installation.start()

    def _bring(self, step: Step | Happening) -> None:
        match step:
            case Kill() | Pause() | Leave() | Roll() | Orphan() | Jump() | Foreign():
                self._bring_upon_processes(step)
            case Cut() | Part() | Lag():
                self._bring_upon_lines(step)
            case Slow() | Drag() | Break() | Crash():
                self._bring_upon_the_database(step)
            case Arrive() | Lose() | Away():
                self._bring_upon_the_warehouse(step)
            case Bequeath(for_ms=for_ms):
                self._ends.append(asyncio.create_task(self._bequeath(for_ms)))
            case _:
                assert_never(step)

    def _bring_upon_lines(self, step: Cut | Part | Lag) -> None:
        network = self._installation.network
        match step:
            case Cut(one=one, other=other):
                for two in self._both(one, other):
                    network.cut(*two)
            case Part(one=one, other=other, for_ms=for_ms):
                for two in self._both(one, other):
                    network.partition(*two)
                self._after(for_ms, network.heal)
            case Lag(delay_ms=delay_ms, for_ms=for_ms):
                self._for_a_while(self._lag_s, delay_ms / 1000, for_ms)
            case _:
                assert_never(step)

    def _bring_upon_the_database(self, step: Slow | Drag | Break | Crash) -> None:
        database = self._installation.database
        match step:
            case Slow(delay_ms=delay_ms, for_ms=for_ms):
                self._for_a_while(self._slow_s, delay_ms / 1000, for_ms)
            case Drag(place=place, delay_ms=delay_ms, for_ms=for_ms):
                self._for_a_while(self._drag_s[place], delay_ms / 1000, for_ms)
            case Break(place=place, operation=operation, end=end, times=times):
                self._broken[place, operation] += [end] * times
            case Crash(for_ms=for_ms):
                database.crash()
                self._after(for_ms, database.start)
            case _:
                assert_never(step)

    def _bring_upon_the_warehouse(self, step: Happening) -> None:
        warehouse = self._installation.warehouse
        assert warehouse is not None, "it has a system of its own"
        match step:
            case Arrive(pool=pool, batch=batch, quantity=units, ttl_ms=ttl_ms):
                warehouse.receive(pool, batch, units, ttl_ms=ttl_ms)
            case Lose(pool=pool, batch=batch, quantity=units):
                warehouse.lose(pool, batch, units)
            case Away(for_ms=for_ms):
                warehouse.leave()
                self._after(for_ms, warehouse.come_back)
            case _:
                assert_never(step)

    async def _bequeath(self, for_ms: int) -> None:
        """Have lines to the feed's worker be silent, and it die when it has said something."""
        installation, feeders = self._installation, self._installation.feeders
        assert feeders is not None, "there is a feed"
        owner = installation.owner_of(feeders.warehouse.terms.feed)
        if owner is None:
            return
        for other in installation.workers:
            if other is not owner:
                installation.network.partition(owner.process, other.process)
        self._after(for_ms, installation.network.heal)
        said = len(feeders.asked)
        for _ in range(_SAYS_MAX):
            await asyncio.sleep(_SAYS_S)
            if len(feeders.asked) > said:
                break
        await asyncio.sleep(_SAYS_S)
        owner.signal(signal.SIGKILL)

    def _bring_upon_processes(
        self, step: Kill | Pause | Leave | Roll | Orphan | Jump | Foreign
    ) -> None:
        installation = self._installation
        match step:
            case Kill(places=places):
                for place in places:
                    self._signal(place, signal.SIGKILL)
            case Pause(place=place, for_ms=for_ms):
                self._pause(installation.in_place(place), for_ms)
            case Leave(place=place):
                self._signal(place, signal.SIGTERM)
            case Roll():
                installation.roll()
            case Orphan(for_ms=for_ms):
                installation.orphan()
                self._after(for_ms, installation.start)
            case Jump(place=place, by_ms=by_ms):
                self._jump(place, by_ms)
            case Foreign(place=place):
                installation.foreign.add(place)
                self._signal(place, signal.SIGKILL)
            case _:
                assert_never(step)

    def _of_call(self, call: Call) -> Trouble:
        """Say what becomes of one call of the database."""
        chance = self._dice.random
        usual = _USUAL[int(chance() * len(_USUAL))]
        place, slow_s = _place_of(call.client), 0.0
        ends = self._broken.get((place, call.operation))
        drags_s = self._drag_s.get(place) if call.operation in _WRITES else None
        if self._slow_s:
            slow_s = max(self._slow_s)
        elif not (ends or drags_s):
            return usual
        return Trouble(
            request_s=usual.request_s + (max(drags_s) * chance() if drags_s else 0.0),
            commit_s=usual.commit_s + slow_s * chance(),
            reply_s=usual.reply_s + slow_s * chance(),
            end=ends.pop(0) if ends else End.ANSWERED,
        )

    def _of_line(self, _one: Process, _other: Process) -> float:
        chance = self._dice.random
        delay_s = _LINE_S[int(chance() * len(_LINE_S))]
        return delay_s + max(self._lag_s) * chance() if self._lag_s else delay_s

    def _signal(self, place: int, number: signal.Signals) -> None:
        worker = self._installation.in_place(place)
        if worker is not None:
            worker.signal(number)

    def _pause(self, worker: WorkerProcess | None, for_ms: int) -> None:
        if worker is not None and not worker.process.paused:
            worker.process.pause()
            self._paused.append(worker.process)
            self._after(for_ms, worker.process.resume)

    def _jump(self, place: int, by_ms: int) -> None:
        """Let the clock of a place jump, for all workers that it will have."""
        skews_ms = self._installation.skews_ms
        skews_ms[place] = skews_ms.get(place, 0) + by_ms
        for worker in self._installation.workers:
            if worker.place == place:
                worker.process.clock_offset_ms = skews_ms[place]

    def _both(self, one: int, other: int) -> list[tuple[Process, Process]]:
        here, there = self._installation.in_place(one), self._installation.in_place(other)
        return [(here.process, there.process)] if here and there else []

    def _for_a_while(self, those: list[float], one: float, for_ms: int) -> None:
        those.append(one)
        self._after(for_ms, lambda: those.remove(one) if one in those else None)

    def _after(self, for_ms: int, end: Callable[[], object]) -> None:
        async def wait() -> None:
            await asyncio.sleep(for_ms / 1000)
            end()

        self._ends.append(asyncio.create_task(wait()))


@lru_cache(maxsize=1024)
def _place_of(client: str) -> int:
    """Return the place of who asks; journals have the names of their processes."""
    return int(client.split()[1].split(".", maxsplit=1)[0])
