"""A worker in a process of its own: `python -m allocator.worker_process`, started by a supervisor.

Its settings are one line of JSON on standard input. When that ends, nobody looks after it any
more: it serves on, and makes room when a new server asks it to.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog
import uvloop

from allocator.errors import AllocatorError, JournalError
from allocator.logs import bind_worker, configure_logs
from allocator.runtime.seat import Seat, WorkerSettings
from allocator.runtime.serving import seated, settle_memory, until_stopped

log = structlog.get_logger()

_EXIT_FAILED: Final = 1
_EXIT_LATER: Final = 75
"""Not what is asked of it is wrong, but the moment (EX_TEMPFAIL of sysexits.h): try again."""


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerSettings)
    configure_logs(settings.config.log_level)
    bind_worker(settings.place)
    # Ctrl-C in a terminal reaches every process: when to drain is the supervisor's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return uvloop.run(_serve(settings))
    except AllocatorError as error:
        log.error("worker.cannot_start", error=str(error))  # noqa: TRY400 (one sentence says it)
        return _EXIT_LATER if isinstance(error, JournalError) else _EXIT_FAILED


async def _serve(settings: WorkerSettings) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    orphaned = asyncio.create_task(_hear_the_end_of_stdin(), name="orphaned")
    assert settings.config.database_url is not None
    seat = Seat(
        listener=socket.socket(fileno=settings.listener_fd),
        database_url=settings.config.database_url,
        revive=_nothing,
        server=settings.server,
        place=settings.place,
        directory=Path(settings.directory),
        may_retire=lambda: _retire(orphaned, stop),
    )
    async with seated(settings.config, seat) as worker:
        settle_memory()
        _say_ready()
        log.info("worker.started", pid=os.getpid())
        failed = await until_stopped(stop, worker.background)
        log.info("worker.stopping")
    orphaned.cancel()
    return _EXIT_FAILED if failed else 0


def _say_ready() -> None:
    with suppress(BrokenPipeError):  # nobody supervises us any more: no reason not to serve
        os.write(sys.stdout.fileno(), b'{"ready": true}\n')


def _retire(orphaned: asyncio.Task[None], stop: asyncio.Event) -> bool:
    """Stop if nobody looks after us; return whether we do."""
    if not orphaned.done():
        return False
    stop.set()
    return True


async def _hear_the_end_of_stdin() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    await reader.read()
    log.warning("worker.orphaned")


async def _nothing() -> None:
    """Revive nothing: the supervisor keeps the database running."""


if __name__ == "__main__":
    sys.exit(main())
