"""Which process holds a connection: what the workers of one port do not say themselves.

The kernel knows it: its table of sockets has an inode for each, and a process's open files name
the inodes of its sockets (proc(5), /proc/net/tcp and /proc/[pid]/fd).
"""

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from bench.errors import BenchError

_PROC = Path("/proc")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_ACCEPTED_WITHIN_S = 5.0
_POLL_S = 0.01


class HolderError(BenchError):
    """Nobody holds a connection that is open."""


def inodes_by_client(table: str, *, port: int) -> dict[int, int]:
    """Return the inodes of a server's accepted sockets by their clients' ports.

    Args:
        table: The text of /proc/net/tcp. A connection that nobody has accepted yet has inode 0
            there, and is left out.
        port: The server's.
    """
    rows = (line.split() for line in table.splitlines()[1:])
    sockets = ((_port(row[1]), _port(row[2]), int(row[9])) for row in rows)
    return {client: inode for local, client, inode in sockets if local == port and client and inode}


def socket_inodes(links: Iterable[str]) -> set[int]:
    """Return the inodes of the sockets among what a process's descriptors point to."""
    return {int(found[1]) for link in links if (found := _SOCKET.fullmatch(link))}


def holders(*, port: int, clients: Collection[int], pids: Collection[int]) -> dict[int, int]:
    """Return the process that holds each connection to a port, by the client's own port.

    Raises:
        HolderError: One of them was accepted by none of these processes within 5 s.
    """
    deadline = time.monotonic() + _ACCEPTED_WITHIN_S
    while True:
        inodes = inodes_by_client(_table(), port=port)
        pid_of = {inode: pid for pid in pids for inode in socket_inodes(_links(pid))}
        held = {
            client: pid_of[inode]
            for client, inode in inodes.items()
            if client in clients and inode in pid_of
        }
        if len(held) == len(clients):
            return held
        if time.monotonic() > deadline:
            raise HolderError(f"{len(clients) - len(held)} connections are held by no worker")
        time.sleep(_POLL_S)


def connections_by_process(port: int) -> Counter[int]:
    """Return how many accepted connections of a port each process holds, of those we may see."""
    inodes = set(inodes_by_client(_table(), port=port).values())
    pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())
    held = {pid: len(inodes & socket_inodes(_links(pid))) for pid in pids}
    return Counter({pid: count for pid, count in held.items() if count})


def _table() -> str:
    return (_PROC / "net" / "tcp").read_text()


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _links(pid: int) -> list[str]:
    """Return what a process's descriptors point to; what is gone or not ours to see is left out."""
    links = []
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for path in (_PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                links.append(str(path.readlink()))
    return links
