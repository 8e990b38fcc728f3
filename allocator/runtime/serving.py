"""Has one worker serve, from its start until what was accepted is finished."""

import asyncio
import gc
import ssl
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import msgspec
import structlog

from allocator.config import Config
from allocator.errors import JournalError
from allocator.http.app import make_app
from allocator.http.context import Context
from allocator.http.entrance import Entrance, open_entrance, url_of
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import Installation, open_installation
from allocator.persistence.projection import Projection
from allocator.runtime.parts import Parts, assemble
from allocator.runtime.seat import Seat
from allocator.webhooks.courier import Patience
from allocator.webhooks.delivery import Delivering
from allocator.webhooks.sending import Terms

log = structlog.get_logger()

_CONNECTIONS: Final = 8
_LIST_CONNECTIONS: Final = 4
"""Of their own: lists may be slow, and neither an order nor a heartbeat is to wait behind them."""
BACKLOG: Final = 1024
_GC_THRESHOLDS: Final = (2_500, 2, 7_000)
"""Young, middle, old. Requests make garbage that reference counts free; collecting it as often as
Python does by default only walks the living. But what comes to stay, as a hundred thousand pools
do when a WMS is first heard, is walked twice however often: better in many steps of milliseconds
than in one of a third of a second, while every order waits."""


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
        parts = assemble(config, seat, installation, pool, lists)
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


def _background(config: Config, url: str, era: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(_fold(config, url), name="folding")]
    if config.projection:
        tasks.append(asyncio.create_task(Projection(url=url, era=era).run(), name="projection"))
    return tasks


async def _deliver(config: Config, seat: Seat, parts: Parts) -> None:
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
        clock=parts.context.clock,
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


async def _stop(config: Config, seat: Seat, parts: Parts, entrance: Entrance) -> None:
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
