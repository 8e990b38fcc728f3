"""A host: it takes messages for the actors of some shards, finds the actors, and has them decide.

Of which shards, and since when, is the business of the worker that it is a part of.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from allocator.actors.actor import Actor
from allocator.actors.directory import Directory
from allocator.actors.errands import Office
from allocator.actors.keys import KeyedRequest, Keys
from allocator.actors.limits import Limits
from allocator.actors.messages import Answer, Envelope, Read
from allocator.actors.near import Hearing, Near
from allocator.actors.numbers import Numbers
from allocator.actors.ports import Clock, Journal
from allocator.actors.wakes import WakeUps
from allocator.actors.writer import JournalWriter
from allocator.domain.ids import SHARD_BITS, SHARD_MASK, SHARDS, shard_of
from allocator.domain.kinds import Command, State
from allocator.domain.pool import Pool
from allocator.domain.queries import Query, View, look, may_wait
from allocator.errors import MovedError, OverloadedError, UnavailableError

T = TypeVar("T")

PATIENCE_S: Final = 2.0
"""So long a look waits for what is not there yet: less than one worker waits for another."""

MOVING: Final = "another worker is taking this shard over"


class Host:
    """Takes messages for the actors of its shards.

    Args:
        journal: What they are recovered from.
        writer: Stores what they decide.
        clock: Says what time it is.
        limits: Of all that waits.

    Attributes:
        shards: Of which it accepts messages; empty while another worker has them all.
    """

    def __init__(
        self, journal: Journal, writer: JournalWriter, *, clock: Clock, limits: Limits
    ) -> None:
        self.shards: frozenset[int] = frozenset()
        self._owned = self.shards  # those that it is giving away as well
        self._listed = self.shards, list(range(SHARDS))
        self.writer = writer
        self.numbers = Numbers(journal)
        self.directory = Directory(
            journal,
            make=self._make,
            is_new=self.numbers.use,
            snapshot_events=limits.snapshot_events,
        )
        self.office = Office(
            asker=self,
            proven_ms=lambda: writer.proven_ms,
            is_hosted=self.directory.hosts,
            near=Near(self, clock=clock),
        )
        self.keys = Keys(writer, self._find)
        self.wakes = WakeUps(
            journal,
            clock=clock,
            shards=lambda: self.shards if self._closed is None else frozenset(),
            find=self._find,
        )
        self._clock = clock
        self._limits = limits
        # Not looked up again at every request: each time asks the kernel for the process id.
        self._new_reply: Callable[[], asyncio.Future[Answer]] = (
            asyncio.get_running_loop().create_future
        )
        self._closed: str | None = "the server is starting"

    @property
    def ready(self) -> bool:
        """Whether every shard is served."""
        return self._closed is None and len(self.shards) == SHARDS

    @property
    def open(self) -> bool:
        """Whether messages are accepted, for the shards that are ours."""
        return self._closed is None

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        """Have an actor decide; the answer comes when it is durable.

        Args:
            actor_id: Of a shard that is ours.
            command: What it is to do.
            principal: Who asks, for the journal; "" if that is not known.

        Raises:
            UnavailableError: Not accepted; nothing was done.
            QuarantinedError: The actor cannot be recovered.
        """
        self._admit(actor_id)
        reply = self._new_reply()
        self._find(actor_id).tell(Envelope(command, reply, principal))
        return reply

    def is_ours(self, actor_id: int) -> bool:
        """Say whether an actor is of one of our shards."""
        return actor_id & SHARD_MASK in self.shards

    def active(self, actor_id: int) -> Actor | None:
        """Return one of our actors if it would decide at once what it is told, else None."""
        if self._closed is not None or not self.is_ours(actor_id):
            return None
        return self.directory.active(actor_id)

    def tell(self, actor_id: int, command: Command, reply: Hearing) -> None:
        """Like `ask`, for one of our own actors, who hears what is decided before it is durable."""
        self._admit(actor_id)
        self._find(actor_id).tell(Envelope(command, reply))

    def ask_once(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Like `ask`, but a repeat of a request that succeeded gets the first answer again."""
        self._admit(request.actor_id)
        reply = self._new_reply()
        self.keys.ask(request, reply)
        return reply

    async def read(self, actor_id: int, view: Callable[[Pool], T]) -> T:
        """Look at a pool, which is durable and still ours when this returns.

        Raises: as `ask`.
        """
        seen: list[T] = []

        def see(state: State) -> None:
            assert isinstance(state, Pool), "another kind of actor"
            seen.append(view(state))

        await self._watch(actor_id, see)
        return seen[0]

    async def begin(self, scope: str | None) -> int:
        """Return the id of an actor that is about to come into being, with its first message.

        Args:
            scope: What is the same for the same request, so that a repeat of it goes the same
                way; None if there is no telling: then it is one of our own, if possible.

        Raises:
            UnavailableError: The database does not answer.
        """
        number = await self.numbers.take()
        shard = self._shard_for(number) if scope is None else shard_of(scope)
        actor_id = number << SHARD_BITS | shard
        if shard in self.shards:
            self.numbers.note_unused(actor_id)
        return actor_id

    def _shard_for(self, number: int) -> int:
        """Spread what comes into being over our shards; over all of them if we have none."""
        if self._listed[0] is not self.shards:
            self._listed = self.shards, sorted(self.shards) or list(range(SHARDS))
        ours = self._listed[1]
        return ours[number % len(ours)]

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state, durable and still ours when this returns.

        Raises: as `ask`. Whoever wants to wait for longer than `PATIENCE_S` asks again.
        """
        seen: list[View] = []

        def view(state: State) -> bool:
            found = look(state, query)
            if found is not None:
                seen.append(found)
            return found is not None

        if may_wait(query):
            await self._wait(actor_id, view)
        else:
            await self._watch(actor_id, view)
        return seen[0]

    async def _watch(self, actor_id: int, view: Callable[[State], object]) -> None:
        self._admit(actor_id)
        reply = self._new_reply()
        self._find(actor_id).tell(Envelope(Read(view), reply))
        await reply

    async def _wait(self, actor_id: int, view: Callable[[State], object]) -> None:
        """Likewise for what may not be there yet: those who gave up must not fill a mailbox."""
        self._admit(actor_id)
        reply = self._new_reply()
        actor = self._find(actor_id)
        actor.tell(Envelope(Read(view), reply))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await reply
        except TimeoutError as error:
            raise UnavailableError(reason="what is waited for has not come yet") from error
        finally:
            actor.forget(reply)

    def _admit(self, actor_id: int) -> None:
        if actor_id & SHARD_MASK not in self.shards:
            raise MovedError(reason=self._closed or MOVING)
        if self._closed is not None:
            raise UnavailableError(reason=self._closed)
        if self.writer.unanswered >= self._limits.worker_max:
            raise OverloadedError(whose="server", limit=self._limits.worker_max)

    def _find(self, actor_id: int) -> Actor:
        if actor_id & SHARD_MASK not in self._owned:
            raise MovedError(reason=MOVING)
        return self.directory.get(actor_id)

    def _make(self, actor_id: int) -> Actor:
        return Actor(
            actor_id,
            writer=self.writer,
            office=self.office,
            clock=self._clock,
            mailbox_max=self._limits.mailbox_max,
        )
