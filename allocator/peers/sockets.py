"""How the processes of one machine reach each other; in earnest, by Unix sockets.

As files they are private, and never in the way of the next process.
"""

import asyncio
import errno
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from allocator.peers.errors import DoorError

# Of sockaddr_un.sun_path without the final NUL: unix(7), and sys/un.h of the BSDs.
_PATH_MAX: Final = 107 if sys.platform == "linux" else 103


class Listening(Protocol):
    """A path on which connections are taken."""

    def stop(self) -> None:
        """Take no more, and leave nothing at the path, unless somebody else is there by now."""

    async def wait_stopped(self) -> None:
        """Return when it is over; every connection must be closed before."""


class Sockets(Protocol):
    """Stream sockets that have paths."""

    async def listen(self, path: Path, make: Callable[[], asyncio.Protocol]) -> Listening:
        """Take connections at a path, each with a protocol of its own.

        The socket of a process that is dead is replaced.

        Raises:
            DoorError: The path is not to be had, or a living process listens there.
        """

    async def connect(self, path: Path, make: Callable[[], asyncio.Protocol]) -> None:
        """Connect to whoever listens at a path; return when the protocol was told so.

        Raises:
            ConnectionRefusedError, FileNotFoundError: Nobody listens.
            OSError: It cannot be reached for now, and says nothing of who may listen.
        """


class UnixSockets:
    """Those of this machine."""

    async def listen(self, path: Path, make: Callable[[], asyncio.Protocol]) -> Listening:
        """Take connections from processes of this account."""
        bound = _bound_socket(path)
        inode = _inode_of(path)
        server = await asyncio.get_running_loop().create_unix_server(make, sock=bound)
        return _UnixListening(server, path=path, inode=inode)

    async def connect(self, path: Path, make: Callable[[], asyncio.Protocol]) -> None:
        """Connect to whoever listens at a path."""
        await asyncio.get_running_loop().create_unix_connection(make, str(path))


class _UnixListening:
    """A server, and the file that it made."""

    def __init__(
        self, server: asyncio.Server, *, path: Path, inode: tuple[int, int] | None
    ) -> None:
        self._server = server
        self._path = path
        self._inode = inode

    def stop(self) -> None:
        """Close the server and remove its file, and not that of a successor."""
        self._server.close()
        if _inode_of(self._path) == self._inode:
            self._path.unlink()

    async def wait_stopped(self) -> None:
        """Return when the server is closed."""
        await self._server.wait_closed()


def _bound_socket(path: Path) -> socket.socket:
    """Return a socket at `path` that only this account can connect to, once it listens.

    The file of a process that is dead is replaced.

    Raises:
        DoorError: The path is too long, or cannot be bound, or a living process listens there.
    """
    length = len(os.fsencode(path))
    if length > _PATH_MAX:
        raise DoorError(
            f"the socket path {path} has {length} bytes, and this system allows {_PATH_MAX}; "
            "choose a shorter directory"
        )
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(bound, path)
        # Nobody can connect before it listens, so nobody has seen it with another mode.
        path.chmod(0o600)
    except OSError as error:
        bound.close()
        raise DoorError(f"no socket can be opened at {path}: {error.strerror}") from error
    except DoorError:
        bound.close()
        raise
    return bound


def _inode_of(path: Path) -> tuple[int, int] | None:
    """Tell this file from another that may later have its name; None if there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _bind(unbound: socket.socket, path: Path) -> None:
    try:
        unbound.bind(str(path))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        _remove_dead(path)
        unbound.bind(str(path))


def _remove_dead(path: Path) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise DoorError(f"{path} is in the way: it is no socket")
    if _is_answered(path):
        raise DoorError(f"another process listens at {path}")
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:  # its queue is full
            return True
        return True
