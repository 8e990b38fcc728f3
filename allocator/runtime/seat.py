"""What a worker is given when it starts: everything that it does not make itself."""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from allocator.config import Config


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
