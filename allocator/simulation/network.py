"""How simulated processes reach each other, and what can be wrong with it.

Within a connection nothing is lost, doubled or reordered, as on one machine; but connections
break, hang, and are slow, each when the dice or whoever holds the network say so.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from allocator.peers.errors import DoorError
from allocator.peers.sockets import Listening, Sockets
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.process import Process, current_process
from allocator.simulation.stream import End

_ROOM_BYTES: Final = 65_536
_DELAY_MAX_S: Final = 0.0005


class Network:
    """All sockets of a simulated machine.

    Attributes:
        dice: Decide how bytes come in pieces, and how much a broken connection still delivers.
        delay: Returns how long a piece takes from one process to another, seconds; to be replaced.
        parted: Between whom nothing arrives.
        room_bytes: How much can be written to a connection before somebody reads it.
    """

    def __init__(self, loop: SimulationLoop, dice: Random) -> None:
        self.dice = dice
        self.delay: Callable[[Process, Process], float] = lambda _one, _other: (
            dice.random() * _DELAY_MAX_S
        )
        self.room_bytes = _ROOM_BYTES
        self._loop = loop
        self._listeners: dict[Path, _Listener] = {}
        self._ends: dict[Process, dict[End, None]] = {}
        self.parted: set[frozenset[Process]] = set()
        self._healed = asyncio.Event()

    def sockets(self) -> Sockets:
        """Return what any process may listen and connect with."""
        return _Sockets(self)

    def cut(self, one: Process, other: Process) -> None:
        """Break every connection between two processes; they hear of it after a moment."""
        for end in self._between(one, other):
            end.break_off()

    def partition(self, one: Process, other: Process) -> None:
        """Have nothing arrive between two processes until this is healed.

        What is written meanwhile arrives then, and who connects waits as long.
        """
        self.parted.add(frozenset((one, other)))
        self._healed.clear()

    def heal(self) -> None:
        """End every partition."""
        self.parted.clear()
        for ends in self._ends.values():
            for end in list(ends):
                end.wake()
                end.notice()
        self._healed.set()

    # What connections ask; see `stream.Conditions`.

    def is_parted(self, one: Process, other: Process) -> bool:
        """Whether nothing arrives for now."""
        return frozenset((one, other)) in self.parted

    def forget(self, end: End) -> None:
        """Note that a connection is over for one of its ends."""
        self._ends[end.process].pop(end, None)

    # What sockets ask.

    def listen(self, path: Path, make: Callable[[], asyncio.Protocol]) -> "_Listener":
        """Have the current process listen at a path.

        Raises:
            DoorError: A living process listens there.
        """
        former = self._listeners.get(path)
        if former is not None and former.process.alive:
            raise DoorError(f"another process listens at {path}")
        listener = _Listener(self, path=path, make=make, process=current_process())
        self._listeners[path] = listener
        return listener

    def listener(self, path: Path) -> "_Listener":
        """Return who listens at a path.

        Raises:
            FileNotFoundError: Nobody ever did, or they have stopped.
            ConnectionRefusedError: Whoever did is dead.
        """
        found = self._listeners.get(path)
        if found is None:
            raise FileNotFoundError(f"there is no socket at {path}")
        if not found.process.alive:
            raise ConnectionRefusedError(f"nobody listens at {path}")
        return found

    def stop_listening(self, listener: "_Listener", path: Path) -> None:
        """Leave nothing at the path, unless somebody else is there by now."""
        if self._listeners.get(path) is listener:
            del self._listeners[path]

    async def until_healed(self) -> None:
        """Wait until every partition has ended."""
        await self._healed.wait()

    def connect(self, one: Process, other: Process) -> tuple[End, End]:
        """Return the ends of a new connection; they have no protocols yet."""
        here, there = (End(each, loop=self._loop, conditions=self) for each in (one, other))
        here.peer, there.peer = there, here
        for end in (here, there):
            self._ends_of(end.process)[end] = None
        return here, there

    def _ends_of(self, process: Process) -> dict[End, None]:
        ends = self._ends.get(process)
        if ends is None:
            ends = self._ends[process] = {}
            process.on_end(lambda: self._hang_up(process))
        return ends

    def _hang_up(self, dead: Process) -> None:
        for end in list(self._ends[dead]):
            end.vanish()

    def _between(self, one: Process, other: Process) -> list[End]:
        ends = [end for end in self._ends.get(one, ()) if end.peer.process is other]
        return [each for end in ends for each in (end, end.peer)]


class _Sockets:
    """Those of whichever process uses them."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def listen(self, path: Path, make: Callable[[], asyncio.Protocol]) -> Listening:
        """Take connections at a path."""
        await asyncio.sleep(0)
        return self._network.listen(path, make)

    async def connect(self, path: Path, make: Callable[[], asyncio.Protocol]) -> None:
        """Connect to whoever listens at a path."""
        network, here = self._network, current_process()
        await asyncio.sleep(network.delay(here, network.listener(path).process))
        while network.is_parted(here, network.listener(path).process):
            await network.until_healed()
        listener = network.listener(path)
        end, other_end = network.connect(here, listener.process)
        end.open(make)
        listener.process.call(listener.accept, other_end)


class _Listener:
    """A path on which a process takes connections."""

    def __init__(
        self,
        network: Network,
        *,
        path: Path,
        make: Callable[[], asyncio.Protocol],
        process: Process,
    ) -> None:
        self.process = process
        self._network = network
        self._path = path
        self._make = make
        self._stopped = False

    def stop(self) -> None:
        """Take no more, and leave nothing at the path."""
        self._stopped = True
        self._network.stop_listening(self, self._path)

    async def wait_stopped(self) -> None:
        """Return when it is over."""
        await asyncio.sleep(0)

    def accept(self, end: End) -> None:
        """Take a connection, unless it comes too late; then it breaks."""
        if self._stopped:
            end.vanish()
        else:  # and as in asyncio, the protocol is made a moment later, even if we stop until then
            self.process.call(end.open, self._make)
