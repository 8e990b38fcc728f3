"""Wires the parts of one worker; the only module that knows them all, and that reads a clock."""

import asyncio
import gc
import os
import socket
import ssl
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import structlog

from allocator.actors.limits import Limits
from allocator.actors.lives import Lives
from allocator.actors.openings import Openings
from allocator.actors.router import Router
from allocator.actors.statistics import Figures
from allocator.config import Config, states_in
from allocator.crew import Crew, Outside, crew_of
from allocator.domain.ids import IdSeal
from allocator.domain.interests import Interest
from allocator.domain.positions import Position
from allocator.errors import JournalError
from allocator.feeding.feeding import Feeding
from allocator.feeding.front import Front
from allocator.feeding.letterbox import Letterbox
from allocator.feeding.station import Tools
from allocator.http.app import make_app
from allocator.http.context import CartTerms, Context
from allocator.http.doors import Doors
from allocator.http.entrance import Entrance, is_loopback, open_entrance, url_of
from allocator.http.metrics import FORMER
from allocator.http.statistics import HttpStatistics, figures_of
from allocator.payments.calls import Calls
from allocator.payments.opening import calls_of
from allocator.peers.frames import Hello
from allocator.peers.sockets import UnixSockets
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.carts import PostgresCarts
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.dry_runs import PostgresDryRuns
from allocator.persistence.feed import Feed
from allocator.persistence.installation import Installation, open_installation
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.ownership import Ownership
from allocator.persistence.past import PostgresPast
from allocator.persistence.pools import PostgresPools
from allocator.persistence.projection import Projection
from allocator.persistence.readings import PostgresReadings
from allocator.persistence.reconciliations import PostgresReconciliations
from allocator.persistence.tail import begin_tail
from allocator.persistence.tickets import PostgresTickets
from allocator.persistence.webhooks import PostgresWebhooks
from allocator.persistence.wms import PostgresFeeds, TailRows
from allocator.persistence.wms_told import PostgresTold
from allocator.till import Till
from allocator.webhooks.courier import Patience
from allocator.webhooks.delivery import Delivering
from allocator.webhooks.sending import Terms
from allocator.wms.http_wms import Terms as WmsTerms
from allocator.wms.http_wms import open_wms
from allocator.wms.sender import Patience as SenderPatience

log = structlog.get_logger()

_CONNECTIONS: Final = 8
_LIST_CONNECTIONS: Final = 4
"""Of their own: lists may be slow, and neither an order nor a heartbeat is to wait behind them."""
BACKLOG: Final = 1024
_GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Young, middle, old. Requests make garbage that reference counts free; collecting it as often as
Python does by default only walks the living."""


def now_ms() -> int:
    """Return milliseconds of Unix time."""
    return time.time_ns() // 1_000_000


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that serves.

    Attributes:
        url: Where.
        context: What its handlers see of it.
        background: Tasks that end before the server only by a bug.
        tls: What encrypts its connections; None if nothing does.
    """

    url: str
    context: Context
    background: list[asyncio.Task[None]]
    tls: ssl.SSLContext | None = None


class _Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A worker, and what its HTTP side is made of."""

    crew: Crew
    context: Context
    feed: Feed
    statistics: HttpStatistics
    calls: Calls | None
    feeding: Feeding


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is given when it starts.

    Attributes:
        revive: Has the database run again, if that is this process's business.
        server: Names the server; its workers are each other's peers.
        place: Number of the worker.
        directory: Of the peers' sockets; None if there are no peers.
        may_retire: Stops this process if nobody looks after it; returns whether it does.
    """

    listener: socket.socket
    database_url: str
    revive: Callable[[], Awaitable[None]]
    server: str
    place: int = 0
    directory: Path | None = None
    may_retire: Callable[[], bool] = bool

    @property
    def address(self) -> Path | None:
        """Where peers reach this process; None if there are none."""
        if self.directory is None:
            return None
        return self.directory / f"{self.place}-{os.getpid()}.sock"


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The same for a process that has yet to be started, and can travel there."""

    config: Config
    listener_fd: int
    server: str
    directory: str
    place: int = 0


@asynccontextmanager
async def seated(config: Config, seat: Seat) -> AsyncIterator[Running]:
    """Serve while the context is open; leaving it drains, and gives the shards to others.

    Raises:
        JournalError: The database does not answer.
    """
    async with AsyncExitStack() as stack:
        installation = await _installation(seat.database_url)
        timeout_s = config.database_timeout_ms / 1000
        pool = await open_pool(seat.database_url, size=_CONNECTIONS, timeout_s=timeout_s)
        stack.callback(pool.terminate)
        lists = await open_pool(
            seat.database_url, size=_LIST_CONNECTIONS, timeout_s=timeout_s, plans_anew=True
        )
        stack.callback(lists.terminate)
        parts = _assemble(config, seat, installation, pool, lists)
        if parts.crew.door is not None:
            stack.push_async_callback(parts.crew.door.close)
        await parts.context.doors.open()
        background = await parts.crew.begin()
        background += _background(config, seat.database_url, installation.era)
        background.append(asyncio.create_task(parts.feed.run(), name="events"))
        background.append(asyncio.create_task(_deliver(config, seat, parts), name="webhooks"))
        background.append(asyncio.create_task(parts.context.doors.run(), name="doors"))
        background.append(asyncio.create_task(parts.feeding.run(), name="warehouse feeds"))
        app = make_app(
            parts.context,
            statistics=parts.statistics,
            body_max_bytes=config.body_max_bytes,
            slow_request_ms=config.slow_request_ms,
            subscribers_max=config.subscribers_max,
        )
        entrance = await open_entrance(
            config,
            app,
            seat.listener,
            backlog=BACKLOG,
            statistics=parts.statistics.connections,
        )
        background.append(asyncio.create_task(entrance.reception.run(), name="reception"))
        try:
            yield Running(
                url=url_of(config, seat.listener),
                context=parts.context,
                background=background,
                tls=entrance.tls,
            )
        finally:
            await _stop(config, seat, parts, entrance)
            with suppress(JournalError):  # it is only for people to look at
                await parts.context.doors.note_use()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)


async def _installation(url: str) -> Installation:
    connection = await connect(url, application_name="allocator start")
    try:
        return await open_installation(connection)
    finally:
        connection.terminate()


def _assemble(
    config: Config, seat: Seat, installation: Installation, pool: Pool, lists: Pool
) -> _Parts:
    journal = _journal(config, seat, installation, pool)
    statistics = HttpStatistics()
    calls = calls_of(config, agent=f"allocator/{version('allocator')}", clock=now_ms)
    feed = Feed(seat.database_url)
    lives = None if seat.address is None else Lives(seat.address.parent, life=seat.address.stem)
    crew = crew_of(
        Outside(clock=now_ms, journal=journal, sockets=UnixSockets()),
        limits=_limits(config),
        hello=Hello(name=str(seat.place), build=version("allocator")),
        address=seat.address,
        figures=lambda: _encoded(own, lives),  # asked when it is there
        may_retire=seat.may_retire,
    )
    if calls is not None:
        crew.worker.office.cashier = Till(calls, asker=crew.asker)
        statistics.calls = calls.statistics
    own = partial(_own_figures, crew, statistics)
    catalogue = PostgresCatalogue(pool, era=installation.era, clock=now_ms)
    doors = Doors(
        PostgresApiKeys(pool, era=installation.era, clock=now_ms),
        clock=now_ms,
        may_stand_open=is_loopback(seat.listener),
        rate_limit=config.rate_limit,
    )
    names = PostgresPools(pool)
    router = Router(names)
    feeds = PostgresFeeds(lists)
    openings = Openings(names, begin=crew.asker.begin)
    feeding = Feeding(
        _feeding_tools(seat, installation, crew, lists=lists, pools=openings, feed=feed),
        is_ours=crew.worker.is_ours,
        statistics=statistics.feeds,
        is_alone=seat.directory is None,
    )
    crew.worker.office.poller = feeding
    context = Context(
        asker=crew.asker,
        doors=doors,
        figures=partial(_figures, crew, own, lives),
        router=router,
        catalogue=catalogue,
        readings=PostgresReadings(lists, journal, era=installation.era),
        tickets=PostgresTickets(lists),
        carts=PostgresCarts(lists),
        cart_terms=_cart_terms(config, calls),
        states=states_in(config.states),
        past=PostgresPast(lists),
        clock=now_ms,
        feed=feed,
        webhooks=PostgresWebhooks(
            pool, era=installation.era, clock=now_ms, anywhere=config.webhook_anywhere
        ),
        feeds=Front(feeding, feeds, now=partial(_settled, feed), anywhere=config.webhook_anywhere),
        letterbox=Letterbox(PostgresTold(lists), openings, knock=feeding.knock, clock=now_ms),
        history=PostgresReconciliations(lists),
        dry_runs=PostgresDryRuns(lists),
        ids=IdSeal(installation.id_secret),
        version=version("allocator"),
        server_version=installation.server_version,
    )
    return _Parts(
        crew=crew,
        context=context,
        statistics=statistics,
        feed=feed,
        calls=calls,
        feeding=feeding,
    )


def _feeding_tools(  # noqa: PLR0913 (what they are made of)
    seat: Seat,
    installation: Installation,
    crew: Crew,
    *,
    lists: Pool,
    pools: Openings,
    feed: Feed,
) -> Tools:
    async def open_rows() -> TailRows:
        return TailRows(await begin_tail(seat.database_url, name="allocator wms"))

    terms = WmsTerms(agent=f"allocator/{version('allocator')}")
    return Tools(
        store=PostgresFeeds(lists),
        told=PostgresTold(lists),
        dry_runs=PostgresDryRuns(lists),
        reach=crew.asker,
        pools=pools,
        open_rows=open_rows,
        open_wms=partial(open_wms, terms=terms, clock=now_ms),
        patience=SenderPatience(),
        era=installation.era,
        now=partial(_settled, feed),
        clock=now_ms,
        clock_us=lambda: time.monotonic_ns() // 1_000,
    )


async def _settled(feed: Feed) -> Position:
    """Return the position up to which everything in the journal is settled."""
    async with feed.listen(Interest()) as listener:
        return listener.reached


def _cart_terms(config: Config, calls: Calls | None) -> CartTerms:
    return CartTerms(
        ttl_ms=config.cart_ttl_ms,
        cap_ms=config.cart_cap_ms,
        open_max=config.carts_max,
        timeout_ms=config.payment_timeout_ms,
        may_charge=None if calls is None else lambda: calls.has_room,
    )


def _journal(config: Config, seat: Seat, installation: Installation, pool: Pool) -> PostgresJournal:
    ownership = Ownership(
        pool,
        name=f"{socket.gethostname()}:{os.getpid()}",
        server=seat.server,
        address="" if seat.address is None else str(seat.address),
        dead_after_ms=config.dead_after_ms,
    )
    return PostgresJournal(
        url=seat.database_url,
        timeout_s=config.database_timeout_ms / 1000,
        pool=pool,
        ownership=ownership,
        era=installation.era,
        revive=seat.revive,
    )


def _encoded(own: Callable[[], Figures], lives: Lives | None) -> bytes:
    assert lives is not None, "peers ask for it"
    return msgspec.msgpack.encode(lives.keep(own()))


def _own_figures(crew: Crew, statistics: HttpStatistics) -> Figures:
    worker = crew.worker
    return figures_of(
        worker,
        statistics,
        now_ms=now_ms(),
        forwards=crew.forwards,
        hand_overs=worker.hand_overs,
    )


async def _figures(
    crew: Crew, own: Callable[[], Figures], lives: Lives | None
) -> dict[str, Figures | None]:
    """Return what each worker of this server has counted, by its place; None if it is silent."""
    if crew.cluster is None or lives is None:
        return {"0": own()}
    told = await crew.cluster.figures()
    figures = {
        name: None if said is None else msgspec.msgpack.decode(said, type=Figures)
        for name, said in told.items()
    }
    return figures | {FORMER: lives.former([each for each in figures.values() if each is not None])}


def _limits(config: Config) -> Limits:
    return Limits(
        mailbox_max=config.mailbox_max,
        worker_max=config.worker_max,
        batch_max=config.batch_max,
        actors_max=config.actors_max,
        idle_ms=config.idle_ms,
        heartbeat_ms=config.heartbeat_ms,
    )


def _background(config: Config, url: str, era: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(_fold(config, url), name="folding")]
    if config.projection:
        tasks.append(asyncio.create_task(Projection(url=url, era=era).run(), name="projection"))
    return tasks


async def _deliver(config: Config, seat: Seat, parts: _Parts) -> None:
    """Deliver webhooks, if no other process does."""
    delivering = Delivering(
        url=seat.database_url,
        feed=parts.feed,
        ids=parts.context.ids,
        patience=Patience(attempts=config.webhook_attempts, first_pause_ms=config.webhook_pause_ms),
        terms=Terms(
            agent=f"allocator/{parts.context.version}",
            timeout_ms=config.webhook_timeout_ms,
            anywhere=config.webhook_anywhere,
        ),
        statistics=parts.statistics.deliveries,
        clock=now_ms,
    )
    await delivering.run()


async def _fold(config: Config, url: str) -> None:
    """Keep the folding process running; it ends by itself when its input does."""
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "allocator.persistence.folding",
            str(config.snapshot_events),
            config.log_level,
            stdin=PIPE,
        )
        assert process.stdin is not None
        try:
            process.stdin.write(f"{url}\n".encode())
            code = await process.wait()
        finally:
            process.stdin.close()
            if process.returncode is None:
                process.kill()  # it keeps nothing that the journal could not make again
                await process.wait()
        log.warning("folding.ended", exit_code=code)
        await asyncio.sleep(1)


async def until_stopped(stop: asyncio.Event, background: list[asyncio.Task[None]]) -> bool:
    """Wait for a signal; return True if something that never ends has ended instead."""
    signalled = asyncio.create_task(stop.wait())
    await asyncio.wait({signalled, *background}, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in background if task.done()]
    for task in ended:
        log.error("server.task_ended", task=task.get_name(), exc_info=task.exception())
    signalled.cancel()
    return bool(ended)


async def _stop(config: Config, seat: Seat, parts: _Parts, entrance: Entrance) -> None:
    """Stop accepting, finish what was accepted, then give the shards back.

    In this order also among peers: as long as one of them has requests to finish, the shards
    have owners. What the payment provider has been asked is waited for as long as anybody is
    left who can take the answer; if the whole server stops, for as long as requests.
    """
    crew, calls = parts.crew, parts.calls
    by_s = asyncio.get_running_loop().time() + config.drain_ms / 1000
    entrance.shut()
    seat.listener.close()  # uvloop only lets go of its own; whoever waits for the port need not
    if crew.peering is None:  # our own requests are all there are
        if calls is not None:
            await entrance.hush()  # or there might always be one more that wants to pay
            await crew.hear_out(calls, by_s=by_s)
        await crew.worker.stop(drain_ms=config.drain_ms)
    await entrance.empty()
    await crew.leave(calls, by_s=by_s)
    if calls is not None:
        await calls.stop()


def settle_memory() -> None:
    """Keep the collector from walking what will live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
