"""One feed at work in the worker that owns it: it makes pushes, sends them, and hears pages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Final, TypeAlias

import msgspec
import structlog

from allocator.domain.feeds import EndPoll, EndRun, Feed, Poll
from allocator.domain.positions import Position
from allocator.domain.queries import FeedQuery
from allocator.errors import AllocatorError
from allocator.feeding.agreement import agreed
from allocator.feeding.counting import CountedWms
from allocator.feeding.dry_runs import DryRunner, DryRuns
from allocator.feeding.inbox import Inbox
from allocator.feeding.kit import Kit, Pools
from allocator.feeding.ports import Rows, Standing, Store
from allocator.feeding.pusher import Pusher
from allocator.feeding.reach import Reach
from allocator.feeding.runner import Runner
from allocator.feeding.snapshots import Snapshots
from allocator.feeding.told import Told
from allocator.wms.bucket import Limit
from allocator.wms.gate import Gate, LimitedWms
from allocator.wms.interface import Push, Wms
from allocator.wms.sender import Patience, Progress, Sender

log = structlog.get_logger()

_AGAIN_S: Final = 1.0

OpenWms: TypeAlias = Callable[[str], AbstractAsyncContextManager[Wms]]


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What all stations of a worker work with.

    Attributes:
        open_rows: Opens the journal.
        open_wms: Opens the warehouse system at a URL.
        era: Of the journal.
        now: Returns the position up to which everything in the journal is settled.
        clock: Milliseconds of Unix time.
        clock_us: Microseconds of a clock that does not go back.
        chance: Spreads attempts.
    """

    store: Store
    told: Told
    dry_runs: DryRuns
    reach: Reach
    pools: Pools
    open_rows: Callable[[], Awaitable[Rows]]
    open_wms: OpenWms
    patience: Patience
    era: int
    now: Callable[[], Awaitable[Position]]
    clock: Callable[[], int]
    clock_us: Callable[[], int]
    chance: Random = msgspec.field(default_factory=Random)


class Station:
    """One feed at work.

    Args:
        kit: The feed's; its turns survive this station.
        count: Told of each request to the warehouse system what became of it.
        rests_until_ms: Until then pools may yet hear what a former owner of the feed has said.
        former: The gate of the station that it takes the place of, if it asks the same system.

    Attributes:
        settings: How its feed is fed.
        progress: Of what is sent; None before it begins.
        gate: Before the warehouse system; survives what fails here.
    """

    def __init__(
        self,
        kit: Kit,
        tools: Tools,
        *,
        count: Callable[[str], None],
        rests_until_ms: int = 0,
        former: Gate | None = None,
    ) -> None:
        self.settings = kit.settings
        self.progress: Progress | None = None
        limit = Limit(per_s=kit.settings.rate_per_s, burst=kit.settings.burst)
        self.gate = former.heir(limit) if former else Gate(limit, clock=tools.clock_us)
        self._kit = kit
        self._tools = tools
        self._count = count
        self._rests_until_ms = rests_until_ms
        self._runs = asyncio.Lock()
        self._polls: asyncio.Queue[Poll] = asyncio.Queue(maxsize=1)
        self._polled = 0
        self._inbox: Inbox | None = None
        self._snapshots: Snapshots | None = None
        self._dry_runner: DryRunner | None = None

    def poll(self, poll: Poll) -> None:
        """Have a poll be seen through; it takes the place of one that waits."""
        if self._polls.full():
            self._polls.get_nowait()
        self._polled = poll.number
        self._polls.put_nowait(poll)

    def knock(self) -> None:
        """Have it be worked off what was told or asked from outside."""
        for each in (self._inbox, self._snapshots, self._dry_runner):
            if each is not None:
                each.knock()

    async def run(self) -> None:
        """Work for ever, whatever fails; cancel to stop."""
        while True:
            try:
                await self._work()
            except AllocatorError as error:
                log.warning("wms.interrupted", warehouse=self._kit.warehouse, error=str(error))
            except Exception:
                log.exception("wms.failed", warehouse=self._kit.warehouse)
            await asyncio.sleep(_AGAIN_S)

    async def _work(self) -> None:
        tools = self._tools
        standing = await self._standing()
        rows = await tools.open_rows()
        try:
            async with tools.open_wms(self.settings.url) as direct:
                wms = LimitedWms(CountedWms(direct, count=self._count), self.gate)
                dry_runner = self._dry_runner = DryRunner(self._kit, wms, kept=tools.dry_runs)
                async with _beside(dry_runner.run()):  # who asks hears why nobody knows
                    is_agreed = await agreed(
                        standing, wms, tools.store, era=tools.era, excuse=self._excuse
                    )
                if not is_agreed:
                    return
                standing = await self._standing()
                sender = Sender(
                    wms,
                    _Outbox(tools.store, self._kit.feed),
                    name=self.settings.url,
                    after=standing.acknowledged,
                    patience=tools.patience,
                    clock=tools.clock,
                    chance=tools.chance,
                )
                self.progress = sender.progress
                pusher = Pusher(standing, tools.store, rows, made=sender.wake, clock=tools.clock)
                inbox = self._inbox = Inbox(self._kit)
                snapshots = self._snapshots = Snapshots(self._kit, runs=self._runs)
                await _until_one_fails(
                    pusher.run(),
                    sender.run(),
                    self._hear(Runner(self._kit, wms)),
                    self._after_rest(inbox.run),
                    self._after_rest(snapshots.run),
                    dry_runner.run(),
                )
        finally:
            rows.close()

    async def _excuse(self, failure: str, wait_s: float) -> None:
        """Have a poll that waits end in vain."""
        log.warning("wms.poll_failed", warehouse=self._kit.warehouse, error=failure)
        if not self._polls.empty():
            poll, wait_ms = self._polls.get_nowait(), int(wait_s * 1000)
            end = EndPoll(poll=poll.number, failure=failure[:200], retry_after_ms=wait_ms)
            await self._kit.reach.ask(self._kit.feed, end)

    async def _standing(self) -> Standing:
        feeds = await self._tools.store.feeds()
        [standing] = [each for each in feeds if each.actor_id == self._kit.feed]
        return standing

    async def _after_rest(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something when nothing that a former owner has said can be heard any more."""
        await self._rest()
        await work()

    async def _rest(self) -> None:
        await asyncio.sleep(max(0, self._rests_until_ms - self._tools.clock()) / 1000)

    async def _hear(self, runner: Runner) -> None:
        await self._clear()
        await self._rest()
        while True:
            poll = await self._polls.get()
            self._polled = 0  # if this is cut off, nobody else sees it through
            async with self._runs:
                await runner.poll(poll)

    async def _look(self) -> Feed:
        seen = await self._kit.reach.look(self._kit.feed, FeedQuery())
        return seen.feed or Feed()

    async def _clear(self) -> None:
        """End what a former life has left: nobody else will."""
        feed = await self._look()
        if feed.poll and feed.poll != self._polled:
            await self._kit.reach.ask(self._kit.feed, EndPoll(poll=feed.poll, failure=_GONE))
            feed = await self._look()  # its run may have begun in between
        run = feed.open_run
        if run is not None and run.poll:
            await self._kit.reach.ask(
                self._kit.feed,
                EndRun(run=run.number, complete=False, lots=0, differences=0, failure=_GONE),
            )


_GONE: Final = "whoever asked is gone"


class _Outbox:
    """The pushes of one feed, as its sender sees them."""

    def __init__(self, store: Store, feed: int) -> None:
        self._store = store
        self._feed = feed

    async def pending(self, *, after: int, limit: int) -> Sequence[Push]:
        """Return the first pushes above a number, in order."""
        return await self._store.pending(self._feed, after=after, limit=limit)

    async def newest(self) -> int:
        """Return the highest number there is."""
        return await self._store.newest(self._feed)

    async def acknowledged(self, through: int) -> None:
        """Have it durable that everything up to a number has come."""
        await self._store.acknowledge(self._feed, through)


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do some work for as long as something else is done inside."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until_one_fails(*work: Awaitable[None]) -> None:
    """Do everything at once; when one ends, end the others, and raise what it fell over."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
