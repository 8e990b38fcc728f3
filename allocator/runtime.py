"""Wires everything; the only module that knows all parts, and the only one that reads a clock."""

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Final

import msgspec
import structlog
import uvloop
from aiohttp import web

from allocator.actors.router import Router
from allocator.actors.worker import Limits, Worker
from allocator.config import Config
from allocator.domain.ids import IdSeal
from allocator.errors import AllocatorError, JournalError, UsageError
from allocator.http.app import make_app
from allocator.http.context import Context
from allocator.http.statistics import HttpStatistics
from allocator.logs import configure_logs
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir
from allocator.persistence.installation import (
    Installation,
    open_installation,
    refuse_unsafe_storage,
)
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership
from allocator.persistence.projection import Projection
from allocator.persistence.readings import PostgresReadings

log = structlog.get_logger()

_CONNECTIONS: Final = 8
_LIST_CONNECTIONS: Final = 4
"""Of their own: lists may be slow, and neither an order nor a heartbeat is to wait behind them."""
_BACKLOG: Final = 1024
_GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Young, middle, old. Requests make garbage that reference counts free; collecting it as often as
Python does by default only walks the living."""


class _Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where PostgreSQL is, and how to have it run again.

    Attributes:
        dead_after_ms: Of other incarnations; 0 where no other process can be alive.
    """

    url: str
    revive: Callable[[], Awaitable[None]]
    dead_after_ms: int


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises:
        UsageError: It cannot start as configured.
        JournalError: It cannot start because the database does not answer.
    """
    configure_logs(config.log_level)
    return uvloop.run(_serve(config))


def now_ms() -> int:
    """Return milliseconds of Unix time."""
    return time.time_ns() // 1_000_000


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server that serves.

    Attributes:
        url: Where.
        context: Its parts.
        background: Tasks that end before the server only by a bug.
    """

    url: str
    context: Context
    background: list[asyncio.Task[None]]


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Serve while the context is open; leaving it drains and stops.

    Raises:
        UsageError: It cannot start as configured.
        JournalError: The database does not answer.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(config))
        database = await stack.enter_async_context(_open_database(config))
        installation = await _prepare(database.url, trust_storage=config.trust_storage)
        timeout_s = config.database_timeout_ms / 1000
        pool = await open_pool(database.url, size=_CONNECTIONS, timeout_s=timeout_s)
        stack.callback(pool.terminate)
        lists = await open_pool(database.url, size=_LIST_CONNECTIONS, timeout_s=timeout_s)
        stack.callback(lists.terminate)
        worker, context = _assemble(config, database, installation, pool, lists)
        await worker.start()
        background = [*worker.tasks, *_background(config, database.url, installation.era)]
        runner = await _start_http(config, context, listener)
        host, port = listener.getsockname()[:2]
        try:
            yield Running(url=f"http://{host}:{port}", context=context, background=background)
        finally:
            await _stop(config, runner, worker, background)


async def _serve(config: Config) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    started_ms = now_ms()
    async with running(config) as server:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        log.info("server.started", url=server.url, took_ms=now_ms() - started_ms)
        failed = await _until_stopped(stop, server.background)
        log.info("server.stopping")
    log.info("server.stopped")
    return 1 if failed else 0


def _listen(config: Config) -> socket.socket:
    """Bind first: whoever finds the port taken should not have started a database for it."""
    try:
        return socket.create_server(
            (config.host, config.port),
            family=socket.AF_INET6 if ":" in config.host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except OSError as error:
        where = f"{config.host} port {config.port}"
        raise UsageError(f"cannot listen on {where}: {error.strerror or error}") from error


@asynccontextmanager
async def _open_database(config: Config) -> AsyncIterator[_Database]:
    if config.database_url is not None:
        yield _Database(
            url=config.database_url, revive=_nothing, dead_after_ms=config.dead_after_ms
        )
        return
    embedded = EmbeddedPostgres(config.data_dir or default_data_dir())

    async def revive() -> None:
        try:
            await asyncio.to_thread(embedded.ensure_running)
        except AllocatorError as error:
            raise JournalError(f"the embedded PostgreSQL does not start: {error}") from error

    await asyncio.to_thread(embedded.start)
    try:
        # The lock on the data directory proves that whoever served from it before is gone.
        yield _Database(url=embedded.dsn, revive=revive, dead_after_ms=0)
    finally:
        await asyncio.to_thread(embedded.stop)


async def _nothing() -> None:
    """Revive nothing: the database is somebody else's."""


async def _prepare(url: str, *, trust_storage: bool) -> Installation:
    """Check the server, bring the schema up to date, and read what all servers share."""
    connection = await connect(url, application_name="allocator start")
    try:
        if not trust_storage:
            await refuse_unsafe_storage(connection)
        for name in await migrate(connection):
            log.info("database.migrated", migration=name)
        return await open_installation(connection)
    finally:
        connection.terminate()


def _assemble(
    config: Config, database: _Database, installation: Installation, pool: Pool, lists: Pool
) -> tuple[Worker, Context]:
    name = f"{socket.gethostname()}:{os.getpid()}"
    ownership = Ownership(
        pool, name=name, server=name, address="", dead_after_ms=database.dead_after_ms
    )
    era = installation.era
    journal = PostgresJournal(
        url=database.url,
        timeout_s=config.database_timeout_ms / 1000,
        pool=pool,
        ownership=ownership,
        era=era,
        revive=database.revive,
    )
    limits = Limits(
        mailbox_max=config.mailbox_max,
        worker_max=config.worker_max,
        batch_max=config.batch_max,
        actors_max=config.actors_max,
        idle_ms=config.idle_ms,
        heartbeat_ms=config.heartbeat_ms,
    )
    worker = Worker(journal, clock=now_ms, limits=limits)
    catalogue = PostgresCatalogue(pool, era=era, clock=now_ms)
    context = Context(
        worker=worker,
        router=Router(catalogue),
        catalogue=catalogue,
        readings=PostgresReadings(lists, journal, era=era),
        ids=IdSeal(installation.id_secret),
        version=version("allocator"),
        server_version=installation.server_version,
    )
    return worker, context


def _background(config: Config, url: str, era: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(_fold(config, url), name="folding")]
    if config.projection:
        tasks.append(asyncio.create_task(Projection(url=url, era=era).run(), name="projection"))
    return tasks


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


async def _start_http(config: Config, context: Context, listener: socket.socket) -> web.AppRunner:
    app = make_app(
        context,
        statistics=HttpStatistics(),
        body_max_bytes=config.body_max_bytes,
        slow_request_ms=config.slow_request_ms,
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=config.drain_ms / 1000)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=_BACKLOG).start()
    return runner


async def _until_stopped(stop: asyncio.Event, background: list[asyncio.Task[None]]) -> bool:
    """Wait for a signal; return True if something that never ends has ended instead."""
    signalled = asyncio.create_task(stop.wait())
    await asyncio.wait({signalled, *background}, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in background if task.done()]
    for task in ended:
        log.error("server.task_ended", task=task.get_name(), exc_info=task.exception())
    signalled.cancel()
    return bool(ended)


async def _stop(
    config: Config, runner: web.AppRunner, worker: Worker, background: list[asyncio.Task[None]]
) -> None:
    """Stop accepting, finish what was accepted, give the shards back."""
    for site in list(runner.sites):
        await site.stop()
    await worker.stop(drain_ms=config.drain_ms)
    await runner.cleanup()
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
