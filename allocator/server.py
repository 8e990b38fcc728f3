"""One server: a worker in this process, or a supervisor with several in processes of their own."""

import asyncio
import os
import signal
import socket
import ssl
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import structlog
import uvloop

from allocator.actors.lives import SUFFIX as LIVES_SUFFIX
from allocator.config import Config
from allocator.errors import AllocatorError, JournalError, UsageError
from allocator.http.entrance import is_loopback, tls_of, url_of
from allocator.http.tls import load_certificate
from allocator.logs import configure_logs
from allocator.orphans import retire_orphans, until_gone
from allocator.persistence.api_keys import refuse_open_doors
from allocator.persistence.connections import connect
from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir
from allocator.persistence.installation import refuse_unfinished_import, refuse_unsafe_storage
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import fence_all
from allocator.runtime.parts import now_ms
from allocator.runtime.seat import Seat, WorkerSettings
from allocator.runtime.serving import BACKLOG, Running, seated, settle_memory, until_stopped
from allocator.supervision.child import Program
from allocator.supervision.place import Patience
from allocator.supervision.supervisor import Supervisor

log = structlog.get_logger()

_KEEP_EVERY_S: Final = 0.5
_BIND_EVERY_S: Final = 0.02
_BIND_TRIES: Final = 250


class _Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where PostgreSQL is, and how to have it run again.

    Attributes:
        ours: Whether nobody else can use it: then no other worker can be alive.
    """

    url: str
    revive: Callable[[], Awaitable[None]]
    ours: bool


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises:
        UsageError: It cannot start as configured.
        JournalError: It cannot start because the database does not answer.
    """
    configure_logs(config.log_level)
    tls_of(config)  # before anything is started for nothing
    return uvloop.run(_serve_alone(config) if config.workers == 1 else _supervise(config))


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Serve with one worker in this process while the context is open; leaving it drains.

    Raises:
        UsageError: It cannot start as configured.
        JournalError: The database does not answer.
    """
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(config))
        database = await stack.enter_async_context(_open_database(config))
        await _prepare(database, listener, trust_storage=config.trust_storage)
        seat = Seat(
            listener=listener,
            database_url=database.url,
            revive=database.revive,
            server=str(uuid4()),
        )
        yield await stack.enter_async_context(seated(config, seat))


async def _serve_alone(config: Config) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    started_ms = now_ms()
    async with running(config) as server:
        if server.tls is not None:
            reread = partial(_reread_certificate, config, server.tls)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reread)
        settle_memory()
        log.info("server.started", url=server.url, took_ms=now_ms() - started_ms)
        failed = await until_stopped(stop, server.background)
        log.info("server.stopping")
    log.info("server.stopped")
    return 1 if failed else 0


def _reread_certificate(config: Config, tls: ssl.SSLContext) -> None:
    """Use what is in the files now for new connections; keep what there was if it is no good."""
    assert config.tls_cert is not None
    assert config.tls_key is not None
    try:
        tls_of(config)
        load_certificate(tls, config.tls_cert, config.tls_key)
    except UsageError as error:
        log.error("server.certificate_refused", error=str(error))  # noqa: TRY400 (one sentence says it)
    else:
        log.info("server.certificate_read")


async def _supervise(config: Config) -> int:
    started_ms = now_ms()
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(_peers_directory(config))
        listener, orphans = await _listen_unless_orphaned(config, directory)
        # They may need a database to finish, which nobody but us has run again.
        database = await stack.enter_async_context(_open_database(config))
        if listener is None:
            listener = await _listen_after(orphans, config)
        stack.enter_context(listener)
        for suffix in (".sock", LIVES_SUFFIX):
            for stale in directory.glob(f"*{suffix}"):  # of the dead: the port is ours alone
                stale.unlink()
        await _prepare(database, listener, trust_storage=config.trust_storage)
        name = str(uuid4())
        settings = WorkerSettings(
            config=msgspec.structs.replace(config, data_dir=None, database_url=database.url),
            listener_fd=listener.fileno(),
            server=name,
            directory=str(directory),
        )
        supervisor = Supervisor(
            config.workers,
            Program(
                command=(sys.executable, "-m", "allocator.worker_process"),
                settings=lambda place: msgspec.structs.replace(settings, place=place),
                pass_fds=(listener.fileno(),),
            ),
            patience=_patience(config),
            clock=now_ms,
        )
        keeping = asyncio.create_task(_keep(database), name="database")
        announcing = asyncio.create_task(
            _announce(supervisor, url_of(config, listener), started_ms)
        )
        try:
            return await supervisor.run([keeping])
        finally:
            for task in (keeping, announcing):
                task.cancel()
            await asyncio.gather(keeping, announcing, return_exceptions=True)


def _patience(config: Config) -> Patience:
    """Let workers linger that have asked the payment provider; where there is none, none does."""
    linger_ms = 0 if config.payment_url is None else config.payment_timeout_ms
    return Patience(drain_ms=config.drain_ms, linger_ms=linger_ms)


async def _announce(supervisor: Supervisor, url: str, started_ms: int) -> None:
    await supervisor.started()
    log.info("server.started", url=url, took_ms=now_ms() - started_ms)


async def _keep(database: _Database) -> None:
    """Have the database run again whenever it does not: the workers cannot."""
    while True:
        await asyncio.sleep(_KEEP_EVERY_S)
        try:
            await database.revive()
        except JournalError as error:
            log.warning("server.database_stays_away", error=str(error))


@contextmanager
def _peers_directory(config: Config) -> Iterator[Path]:
    """Make the directory of the workers' sockets: the same for the same port, found again.

    Raises:
        UsageError: It belongs to somebody else.
    """
    if config.port == 0:
        with tempfile.TemporaryDirectory(prefix="allocator-") as fresh:
            yield Path(fresh)
        return
    directory = Path(tempfile.gettempdir()) / f"allocator-{os.getuid()}-{config.port}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(f"{directory} must be a directory that only this user can enter")
    yield directory


async def _listen_unless_orphaned(
    config: Config, directory: Path
) -> tuple[socket.socket | None, list[Path]]:
    """Bind, or have workers that outlived their supervisor leave the port to us.

    Raises:
        UsageError: Somebody else has it.
    """
    try:
        return _listen(config), []
    except UsageError:
        if orphans := await retire_orphans(directory):
            return None, orphans
        raise


async def _listen_after(orphans: list[Path], config: Config) -> socket.socket:
    await until_gone(orphans, within_ms=config.drain_ms)
    for _ in range(_BIND_TRIES):  # their processes have yet to end
        with suppress(UsageError):
            return _listen(config)
        await asyncio.sleep(_BIND_EVERY_S)
    return _listen(config)


def _listen(config: Config) -> socket.socket:
    """Bind first: whoever finds the port taken should not have started a database for it."""
    try:
        return socket.create_server(
            (config.host, config.port),
            family=socket.AF_INET6 if ":" in config.host else socket.AF_INET,
            backlog=BACKLOG,
        )
    except OSError as error:
        where = f"{config.host} port {config.port}"
        raise UsageError(f"cannot listen on {where}: {error.strerror or error}") from error


@asynccontextmanager
async def _open_database(config: Config) -> AsyncIterator[_Database]:
    """Have a database that answers, while the context is open."""
    if config.database_url is not None:
        yield _Database(url=config.database_url, revive=_nothing, ours=False)
        return
    embedded = EmbeddedPostgres(config.data_dir or default_data_dir())

    async def revive() -> None:
        try:
            await asyncio.to_thread(embedded.ensure_running)
        except AllocatorError as error:
            raise JournalError(f"the embedded PostgreSQL does not start: {error}") from error

    await asyncio.to_thread(embedded.start)
    try:
        yield _Database(url=embedded.dsn, revive=revive, ours=True)
    finally:
        await asyncio.to_thread(embedded.stop)


async def _nothing() -> None:
    """Revive nothing: the database is somebody else's."""


async def _prepare(database: _Database, listener: socket.socket, *, trust_storage: bool) -> None:
    """Check the server, bring the schema up to date, and fence whoever cannot be alive.

    The lock on the directory of a database of ours proves that whoever served from it before is
    gone, or at least that nobody looks after it any more.
    """
    connection = await connect(database.url, application_name="allocator start")
    try:
        if not trust_storage:
            await refuse_unsafe_storage(connection)
        for name in await migrate(connection):
            log.info("database.migrated", migration=name)
        await refuse_unfinished_import(connection)
        if not is_loopback(listener):
            await refuse_open_doors(connection, address=listener.getsockname()[0])
        if database.ours:
            await fence_all(connection)
    finally:
        connection.terminate()
