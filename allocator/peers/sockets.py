"""Unix sockets as files: private, and never in the way of the next process."""

import errno
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Final

from allocator.peers.errors import DoorError

# Of sockaddr_un.sun_path without the final NUL: unix(7), and sys/un.h of the BSDs.
_PATH_MAX: Final = 107 if sys.platform == "linux" else 103


def listening_socket(path: Path) -> socket.socket:
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


def inode_of(path: Path) -> tuple[int, int] | None:
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
