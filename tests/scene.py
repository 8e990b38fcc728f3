"""A worker over a journal in memory, in virtual time, and what must hold whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from structlog.testing import capture_logs

from allocator.actors.keys import KeyedRequest
from allocator.actors.limits import Limits
from allocator.actors.messages import Answer, Envelope, Outcome
from allocator.actors.ports import Clock
from allocator.actors.worker import Worker
from allocator.domain.kinds import Command, blank, kind_of
from allocator.domain.pool import Balance, Pool
from allocator.domain.replay import replay
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR, first_broken, receive
from tests.memory_journal import MemoryJournal
from tests.virtual_time import now_ms, settle

T = TypeVar("T")

DRAIN_MS: Final = 5_000
_PATIENCE_S: Final = 120.0


class Scene:
    """One worker and its journal.

    Attributes:
        database: May be shared with other scenes: then their workers compete.
        logs: What was logged, oldest first.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        limits: Limits,
        clock: Clock,
        *,
        server: str = "",
        address: str = "",
    ) -> None:
        self.database = database
        self.logs: Sequence[MutableMapping[str, object]] = []
        self.journal = MemoryJournal(database, server=server, address=address)
        self.worker = Worker(self.journal, clock=clock, limits=limits)

    def ask(self, command: Command, *, actor_id: int = ACTOR) -> asyncio.Future[Answer]:
        """Have an actor decide."""
        return self.worker.ask(actor_id, command)

    def ask_once(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Have an actor decide, once."""
        return self.worker.ask_once(request)

    def tell(self, command: Command, *, actor_id: int = ACTOR) -> None:
        """Have an actor decide; nobody waits for the answer."""
        self.worker.directory.get(actor_id).tell(Envelope(command))

    async def outcome(self, command: Command, *, actor_id: int = ACTOR) -> Outcome:
        """Have an actor do something, and wait until it is durable."""
        return succeeded(await soon(self.ask(command, actor_id=actor_id)))

    async def stock(
        self, quantity: int, *, actor_id: int = ACTOR, expires_at_ms: int | None = None
    ) -> None:
        """Receive a lot."""
        await self.outcome(receive(quantity, expires_at_ms=expires_at_ms), actor_id=actor_id)

    async def balance(self, *, actor_id: int = ACTOR) -> Balance:
        """Return a pool's numbers."""
        return await soon(self.worker.read(actor_id, Pool.balance))

    async def outage(self) -> None:
        """Lose an append, and wait until the worker serves again."""
        self.journal.break_next("confirm")
        lost = asyncio.ensure_future(self.worker.read(ACTOR, Pool.balance))
        await asyncio.wait([lost])
        assert lost.exception() is not None
        await self.serving_again()

    async def serving_again(self) -> None:
        """Wait until the worker accepts messages."""
        await settle()
        async with asyncio.timeout(_PATIENCE_S):
            while not self.worker.ready:  # noqa: ASYNC110 (in virtual time nobody waits)
                await asyncio.sleep(0.01)

    def kinds(self, *, actor_id: int = ACTOR) -> list[str]:
        """Return what an actor's journal says, in order."""
        return [record.kind for record in self.database.journal_of(actor_id)]

    def check(self) -> None:
        """Assert what must hold at any time, whatever broke."""
        assert self.journal.violations == []
        assert [task.get_name() for task in self.worker.tasks if task.done()] == []
        check_journal(self.database)

    async def crash(self) -> None:
        """End the worker as `kill -9` would: nothing is said, nothing is handed over."""
        for task in self.worker.tasks:
            task.cancel()
        await asyncio.gather(*self.worker.tasks, return_exceptions=True)
        self.worker.tasks = []


def check_journal(database: MemoryDatabase) -> None:
    """Assert that every actor's rows follow each other, replay, and form a chain."""
    for actor_id in list(database.rows):
        records = database.journal_of(actor_id)
        replay(blank(kind_of(database.kinds.get(actor_id))), records)
        assert first_broken(records) is None


async def soon(answer: Awaitable[T]) -> T:
    """Return an answer that must come without any further doing."""
    async with asyncio.timeout(_PATIENCE_S):
        return await answer


def succeeded(answer: Answer) -> Outcome:
    """Return an answer, which is an outcome."""
    assert isinstance(answer, Outcome), answer
    return answer


@asynccontextmanager
async def serving(
    database: MemoryDatabase | None = None,
    *,
    limits: Limits | None = None,
    clock: Clock = now_ms,
    server: str = "",
    address: str = "",
) -> AsyncIterator[Scene]:
    """Run a worker; afterwards everything is answered, counted down, and in order.

    Workers of one named server share the shards; without a name each is of its own.
    """
    database = database or MemoryDatabase(clock=now_ms)
    scene = Scene(database, limits or Limits(), clock, server=server, address=address)
    with capture_logs() as scene.logs:
        await scene.worker.start()

        yield scene

        if scene.worker.tasks:
            await settle()
            scene.check()
            assert scene.worker.writer.unanswered == 0
        await scene.crash()
