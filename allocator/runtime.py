"""Wires everything; the only module that knows all parts, and the only one that reads a clock."""

import asyncio
import gc
import os
import signal
import socket
import time
from contextlib import AsyncExitStack

import structlog
import uvloop
from aiohttp import web

from allocator.actors.router import Router
from allocator.actors.worker import Limits, Worker
from allocator.config import Config
from allocator.domain.ids import IdSeal
from allocator.errors import AllocatorError, UsageError
from allocator.http.app import make_app
from allocator.http.context import Context
from allocator.http.statistics import HttpStatistics
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir
from allocator.persistence.installation import open_installation, refuse_unsafe_storage
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership
from allocator.persistence.readings import PostgresReadings

log = structlog.get_logger()


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code."""
    return uvloop.run(_serve(config))


def now_ms() -> int:
    """Return milliseconds of Unix time."""
    return time.time_ns() // 1_000_000


async def _serve(config: Config) -> int:
    async with AsyncExitStack() as stack:
        url = config.database_url
        if url is None:
            pg = EmbeddedPostgres(config.data_dir or default_data_dir())
            await asyncio.to_thread(pg.start)
            stack.callback(pg.stop)
            url = pg.dsn
        connection = await connect(url, application_name="allocator start")
        await migrate(connection)
        installation = await open_installation(connection)
        await connection.close()
        pool = await open_pool(url, size=8)
        stack.push_async_callback(pool.close)
        ownership = Ownership(
            pool, name=f"{socket.gethostname()}:{os.getpid()}", dead_after_ms=config.dead_after_ms
        )
        journal = PostgresJournal(url=url, pool=pool, ownership=ownership, era=installation.era)
        limits = Limits(
            mailbox_max=config.mailbox_max,
            worker_max=config.worker_max,
            batch_max=config.batch_max,
            actors_max=config.actors_max,
            idle_ms=config.idle_ms,
            heartbeat_ms=config.heartbeat_ms,
        )
        worker = Worker(journal, clock=now_ms, limits=limits)
        await worker.start()
        catalogue = PostgresCatalogue(pool, era=installation.era, clock=now_ms)
        context = Context(
            worker=worker,
            router=Router(catalogue),
            catalogue=catalogue,
            readings=PostgresReadings(pool, journal, era=installation.era),
            ids=IdSeal(installation.id_secret),
            server_version=installation.server_version,
        )
        app = make_app(
            context,
            statistics=HttpStatistics(),
            body_max_bytes=config.body_max_bytes,
            slow_request_ms=config.slow_request_ms,
        )
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, config.host, config.port)
        await site.start()
        gc.freeze()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, stop.set)
        await stop.wait()
        await worker.stop(drain_ms=config.drain_ms)
        await runner.cleanup()
    return 0
