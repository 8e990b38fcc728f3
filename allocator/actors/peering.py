"""Who owns which shard, and the lines to them; takes over from the dead and makes room for the new.

The database says who owns what. It is asked again every heartbeat, whenever a peer says that
something changed, and whenever a request found nobody. A peer whose line broke and whose socket
nobody listens on any more is dead: its shards are taken at once, without waiting for its
heartbeat to grow old. Should it live after all, it is fenced and loses nothing but its shards.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias
from weakref import WeakSet

import msgspec
import structlog

from allocator.actors.ports import Journal
from allocator.actors.statistics import ForwardStatistics
from allocator.actors.wire import Notice, Request, Response, Stay
from allocator.actors.worker import Worker
from allocator.domain.shares import Survey, surplus, wants
from allocator.errors import AllocatorError, JournalError
from allocator.peers.frames import Hello, Numbered
from allocator.peers.link import Link
from allocator.peers.sockets import Sockets

log = structlog.get_logger()

PeerLink: TypeAlias = Link[Request, Response]

_TIMEOUT_S: Final = 3.0
_IN_FLIGHT_MAX: Final = 20_000
_PAUSE_S: Final = 0.01
_PAUSE_MAX_S: Final = 0.2
"""Between two looks, however many ask for one: longer each time that nothing was new, since a
database that is away or busy is not helped by whoever asks again and again."""
_CONNECT_S: Final = 1.0

_responses: Final = msgspec.msgpack.Decoder(Numbered[Response])


class Peering:
    """The other workers of this server.

    Args:
        worker: Ours.
        sockets: By which the others are reached.
        hello: What this process says of itself.
        address: Of our own door.
        every_ms: How often the owners are looked up when nothing happens.

    Attributes:
        changed: Called after every look, also one that failed.
        closed: Whether nobody will be found any more.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        worker: Worker,
        journal: Journal,
        *,
        sockets: Sockets,
        statistics: ForwardStatistics,
        hello: Hello,
        address: Path,
        every_ms: int,
    ) -> None:
        self.statistics = statistics
        self.changed: Callable[[], None] = _nothing
        self.closed = False
        self._worker = worker
        self._journal = journal
        self._sockets = sockets
        self._hello = hello
        self._address = str(address)
        self._every_s = every_ms / 1000
        self._links: dict[str, PeerLink] = {}
        self._owners: list[PeerLink | None] = []
        self._owning: list[PeerLink] = []  # each once
        self._survey: Survey | None = None
        self._suspects: set[str] = set()
        self._ended: WeakSet[PeerLink] = WeakSet()  # as long as somebody holds on to them
        self._asked = asyncio.Event()
        self._partings: dict[asyncio.Task[None], None] = {}
        self._stays: dict[str, float] = {}  # of each who asked, until when; time of the loop
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        """Of this process."""
        return self._hello.name

    @property
    def complete(self) -> bool:
        """Whether every shard has a living owner who can be asked, as far as is known."""
        survey = self._survey
        if survey is None or self._suspects or not all(survey.owners):
            return False
        return not any(link.is_barred for link in self._owning)

    @property
    def alone(self) -> bool:
        """Whether we are leaving and nobody is left who could take what we had."""
        return self._worker.retired and self._survey is not None and not self._survey.peers

    @property
    def replaced(self) -> bool:
        """Whether another worker has come in our place, so that we leave and the server stays."""
        return any(link.peer == self.name for link in self._links.values())

    @property
    def is_needed(self) -> bool:
        """Whether another has asked us to stay, to be told what it waits for."""
        now_s = self._loop.time()
        return any(until_s > now_s for until_s in self._stays.values())

    def owner_of(self, shard: int) -> PeerLink | None:
        """Return the line to a shard's owner; None if it is unknown, or ourselves."""
        return self._owners[shard] if self._owners else None

    def address_of(self, shard: int) -> str:
        """Return where the peer listens that owns a shard; "" if that is unknown, or ourselves."""
        survey = self._survey
        if survey is None or not (owner := survey.owners[shard]):
            return ""
        addresses = {peer.incarnation: peer.address for peer in survey.peers}
        address = addresses.get(owner, "")
        return "" if address == self._address else address

    def line_at(self, address: str) -> PeerLink | None:
        """Return the line to the peer that listens there; None if we know nobody."""
        return self._links.get(address)

    def has_ended(self, link: PeerLink) -> bool:
        """Whether the process at the other end is known to be gone for good."""
        return link in self._ended

    def call_all(self, request: Request) -> dict[str, asyncio.Future[Response]]:
        """Ask every peer; those that cannot be asked are left out.

        Returns:
            Their answers to come, by their names; while workers are exchanged two have one name,
            and the second goes by that of its socket.
        """
        calls: dict[str, asyncio.Future[Response]] = {}
        for path, link in self._links.items():
            name = link.peer if link.peer not in {*calls, self.name} else Path(path).stem
            try:
                calls[name] = link.call(request)
            except AllocatorError as error:
                log.debug("peering.cannot_ask", peer=link.peer, error=str(error))
        return calls

    def suspect(self, link: PeerLink) -> None:
        """Have it found out whether the process at the other end is dead."""
        self._suspects.update(path for path, other in self._links.items() if other is link)
        self.look_around()

    def look_around(self) -> None:
        """Look the owners up soon."""
        self._asked.set()

    def notify(self) -> None:
        """Have all peers look."""
        for call in self.call_all(Notice()).values():
            call.add_done_callback(_ignore)

    def ask_to_stay(self, *, within_ms: int) -> list[asyncio.Future[Response]]:
        """Have all peers keep their shards for a while; 0 if they need not any more."""
        calls = list(self.call_all(Stay(self._address, within_ms)).values())
        for call in calls:
            call.add_done_callback(_ignore)
        return calls

    def note_stay(self, address: str, *, within_ms: int) -> None:
        """Remember until when one needs us that has given its shards away."""
        if within_ms:
            self._stays[address] = self._loop.time() + within_ms / 1000
        else:
            self._stays.pop(address, None)

    def _try_shut_doors(self) -> None:
        """Try the doors again that were shut: nobody may ask for what is behind them for long."""
        for link in self._links.values():
            if link.is_barred:
                with suppress(AllocatorError):  # too early
                    link.call(Notice()).add_done_callback(_ignore)

    async def run(self) -> None:
        """Keep looking for ever; cancel to stop."""
        self.look_around()
        pause_s = _PAUSE_S
        while True:
            if not self._asked.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._every_s):
                        await self._asked.wait()
            is_urgent = self._asked.is_set()
            self._asked.clear()
            known = self._survey
            try:
                await self._look()
            except JournalError as error:
                log.warning("peering.cannot_look", error=str(error))
            self._try_shut_doors()
            self.changed()
            is_vain = is_urgent and self._survey is known
            pause_s = min(2 * pause_s, _PAUSE_MAX_S) if is_vain else _PAUSE_S
            await asyncio.sleep(pause_s)

    async def leave(self) -> None:
        """Give our shards to the others for good."""
        await self._worker.retire()
        self.notify()

    async def close(self) -> None:
        """Give up every call, and fail what waits for an owner."""
        self.closed = True
        self.changed()
        links, self._links, self._owners, self._owning = list(self._links.values()), {}, [], []
        await asyncio.gather(*self._partings, *(link.close() for link in links))

    async def _look(self) -> None:
        gone = await self._gone()
        survey = await self._journal.survey()
        await self._learn(survey)
        worker = self._worker
        if self.closed or not worker.open:
            return
        if dead := [peer.incarnation for peer in survey.peers if peer.address in gone]:
            log.warning("peering.taking_over", dead=dead)
            await worker.claim(dead=dead)
        elif wants(survey, worker.shards):
            await worker.claim()
        elif excess := surplus(survey, worker.shards):
            await worker.give(excess)
            self.notify()
        else:
            return
        await self._learn(await self._journal.survey())

    async def _learn(self, survey: Survey) -> None:
        if self.closed or survey == self._survey:
            return
        addresses = {peer.incarnation: peer.address for peer in survey.peers}
        for path in sorted(self._links.keys() - addresses.values()):
            parting = asyncio.create_task(_part(self._links.pop(path)))
            self._partings[parting] = None
            parting.add_done_callback(self._partings.pop)
        self._suspects &= self._links.keys()
        fresh = [
            peer
            for peer in survey.peers
            if peer.address != self._address and peer.address not in self._links
        ]
        for peer in fresh:
            self._links[peer.address] = self._line_to(peer.address, peer.name)
        if fresh:
            self.notify()  # and with that connect: the loss of a line tells of a death
        self._survey = survey
        lines = {owner: self._links.get(address) for owner, address in addresses.items()}
        self._owners = list(map(lines.get, survey.owners))
        self._owning = [line for line in dict.fromkeys(self._owners) if line is not None]

    def _line_to(self, path: str, name: str) -> PeerLink:
        def lost(_name: str) -> None:
            if path in self._links:  # or we have parted from it
                self._suspects.add(path)
                self.look_around()

        return Link(
            Path(path),
            sockets=self._sockets,
            hello=self._hello,
            peer=name,
            responses=_responses,
            timeout_s=_TIMEOUT_S,
            in_flight_max=_IN_FLIGHT_MAX,
            connect_s=_CONNECT_S,
            on_lost=lost,
        )

    async def _gone(self) -> set[str]:
        """Return where suspects listened that nobody answers for; the others are cleared."""
        if not self._suspects:
            return set()
        suspects = sorted(self._suspects)  # more may come while these are asked
        gone = {path for path in suspects if not await self._answers(path)}
        self._suspects.difference_update(set(suspects) - gone)
        self._ended.update(link for path, link in self._links.items() if path in gone)
        return gone

    async def _answers(self, path: str) -> bool:
        """Whether a process has this socket open; one that is merely slow does."""
        knock = _Knock()
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._sockets.connect(Path(path), lambda: knock)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (OSError, TimeoutError):
            return True
        knock.leave()
        return True


class _Knock(asyncio.Protocol):
    """A connection that is made to see whether anybody is there."""

    def __init__(self) -> None:
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def leave(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def _part(link: PeerLink) -> None:
    """Close the line to a peer that gave its shards away, when it has answered what it took."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_TIMEOUT_S):
            while link.in_flight:  # noqa: ASYNC110 (a line has no event for it)
                await asyncio.sleep(_PAUSE_S)
    await link.close()


def _ignore(call: asyncio.Future[Response]) -> None:
    if not call.cancelled():
        call.exception()


def _nothing() -> None:
    """Nobody wants to know yet."""
