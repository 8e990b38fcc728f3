"""What one worker is made of, and the order in which it opens and closes.

Whoever starts it hands it the world outside: in earnest that is `runtime`, and otherwise a
simulator, which has the same parts stand on tables, sockets and time of its own.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from allocator.actors.cluster import Cluster
from allocator.actors.limits import Limits
from allocator.actors.peering import Peering
from allocator.actors.ports import Clock, Journal
from allocator.actors.statistics import ForwardStatistics
from allocator.actors.wire import Request, Response
from allocator.actors.worker import Worker
from allocator.payments.calls import Calls
from allocator.peers.door import Door
from allocator.peers.frames import Hello, Numbered
from allocator.peers.sockets import Sockets

_OUTSTANDING_MAX: Final = 20_000
_FAREWELL_S: Final = 1.0
_LOOK_S: Final = 0.1
_SOON_S: Final = 0.01
_STAY_MS: Final = 2_000
"""So long those that leave wait for one that lingers, if it is not heard of again."""

_requests: Final = msgspec.msgpack.Decoder(Numbered[Request])


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs of the world; nothing in it reaches for more.

    Attributes:
        journal: Knows the address of the worker's door, if there is one.
    """

    clock: Clock
    journal: Journal
    sockets: Sockets


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one worker; without peers, all but the first are missing."""

    worker: Worker
    cluster: Cluster | None = None
    peering: Peering | None = None
    door: Door[Request, Response] | None = None
    forwards: ForwardStatistics | None = None

    @property
    def asker(self) -> Cluster | Worker:
        """Whom to ask, whichever worker owns the actor."""
        return self.cluster or self.worker

    async def begin(self) -> list[asyncio.Task[None]]:
        """Take part: be reachable, own shards, and know who owns the others.

        Returns:
            Tasks that end before `leave` only by a bug.

        Raises:
            DoorError: The address is not to be had.
            JournalError: The database does not answer; close the door.
        """
        if self.door is not None:
            # First: whoever is known and does not listen at its address counts as dead.
            await self.door.open()
        await self.worker.start()
        tasks = list(self.worker.tasks)
        if self.peering is not None:
            tasks.append(asyncio.create_task(self.peering.run(), name="peering"))
        return tasks

    async def hear_out(self, calls: Calls, *, by_s: float) -> None:
        """Return when no charge is waited for, and nothing is being decided that may be one.

        Nothing of the kind can begin if whoever awaits this has the worker accept nothing more
        before it awaits anything else. It ends sooner if it takes too long, or is of no use since
        somebody has come in our place.

        Args:
            calls: Whatever leaves for the payment provider.
            by_s: Until when that is waited for; time of the loop.
        """
        now_s = asyncio.get_running_loop().time
        peering, writer = self.peering, self.worker.writer

        def makes_sense() -> bool:
            return now_s() < by_s and not (peering is not None and peering.replaced)

        while makes_sense():
            if calls.busy:
                await _linger(calls, while_=makes_sense)
            elif writer.unanswered or (peering is not None and peering.is_needed):
                await asyncio.sleep(_SOON_S)
            else:
                return

    async def leave(self, calls: Calls | None = None, *, by_s: float = 0.0) -> None:
        """Give the shards to the peers, then close the lines to them and the door.

        No request of our own may be under way: it might need a peer. Theirs are answered. A
        worker without peers has nobody to give anything to, and just stops.

        If nobody has come in our place, the others may be leaving as well. So as long as anything
        is waited for, be it by one that has left its place before, the shards are kept, and those
        taken that others leave: whoever waits last has all of them, and can write down what comes.

        Args:
            calls: Heard out before we part: they need whoever has the shards.
            by_s: Until when they are kept for that; time of the loop.
        """
        if self.peering is not None:
            if calls is not None:
                await self.hear_out(calls, by_s=by_s)
            await self.peering.leave()
            if calls is not None:  # for what began meanwhile, too
                await _linger_beside(self.peering, calls)
            await self.peering.close()
            await self.worker.stop(drain_ms=0)
        if self.door is not None:
            await self.door.close(drain_s=_FAREWELL_S)


async def _linger_beside(peering: Peering, calls: Calls) -> None:
    """Wait for charges as long as anybody is left who could be told, and ask them to be."""

    def makes_sense() -> bool:
        if peering.alone:
            return False
        peering.ask_to_stay(within_ms=_STAY_MS)
        return True

    if calls.busy:
        await _linger(calls, while_=makes_sense)
        if released := peering.ask_to_stay(within_ms=0):
            await asyncio.wait(released, timeout=_LOOK_S)


async def _linger(calls: Calls, *, while_: Callable[[], bool]) -> None:
    """Wait for charges, as long as it makes sense."""
    working = asyncio.ensure_future(calls.linger())
    try:
        while while_() and not working.done():
            await asyncio.wait({working}, timeout=_LOOK_S)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def crew_of(  # noqa: PLR0913 (what it is made of)
    outside: Outside,
    *,
    limits: Limits,
    hello: Hello,
    address: Path | None,
    figures: Callable[[], bytes],
    may_retire: Callable[[], bool],
) -> Crew:
    """Put a worker together; it does nothing yet.

    Args:
        outside: The world that it is in.
        limits: What bounds it; peers are looked for with every heartbeat.
        hello: What it says of itself to its peers.
        address: Of its door; None if it has no peers.
        figures: Returns what this process has counted, encoded.
        may_retire: Stops this process if nobody looks after it; returns whether it does.
    """
    worker = Worker(
        outside.journal, clock=outside.clock, limits=limits, has_peers=address is not None
    )
    if address is None:
        return Crew(worker=worker)
    forwards = ForwardStatistics()
    peering = Peering(
        worker,
        outside.journal,
        sockets=outside.sockets,
        statistics=forwards,
        hello=hello,
        address=address,
        every_ms=limits.heartbeat_ms,
    )
    cluster = Cluster(worker, peering, figures=figures, may_retire=may_retire)
    worker.office.asker = cluster
    door: Door[Request, Response] = Door(
        address,
        sockets=outside.sockets,
        hello=hello,
        requests=_requests,
        handle=cluster.handle,
        outstanding_max=_OUTSTANDING_MAX,
    )
    return Crew(worker=worker, cluster=cluster, peering=peering, door=door, forwards=forwards)
