"""Who owns a data directory: the lock of its one server, and the processes that run in it.

A process number proves nothing: numbers are reused, at once in a restarted container. What
proves that a process belongs to a cluster is that it is called postgres and works in the
cluster's directory, as every PostgreSQL process does from its first moment to its last.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from allocator.persistence.embedded_errors import (
    DataDirectoryInUseError,
)
from allocator.persistence.embedded_programs import Account, Programs

POLL_S: Final = 0.02

# Above every number that Linux (4,194,304) or macOS gives to a process, below PostgreSQL's int.
_NOBODY_S_PID: Final = 2**31 - 1

# Where postmaster.pid says `starting`, `ready` or `stopping`.
_STATUS_LINE: Final = 7

# Prints the numbers of the processes that are called postgres and work in the directory $1.
# Run under PostgreSQL's account, because root in a container may lack the right to look.
_PROCESSES_IN = """
for process in /proc/[0-9]*; do
    [ "$process/cwd" -ef "$1" ] || continue
    read -r name < "$process/comm" && [ "$name" = postgres ] && echo "${process#/proc/}"
done 2> /dev/null
exit 0
"""


class DirectoryLock:
    """Held by the one process that serves a data directory; the kernel drops it at its death."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether we hold it."""
        return self._descriptor is not None

    def acquire(self, *, account: Account) -> None:
        """Take the lock at once.

        Raises:
            DataDirectoryInUseError: Another process has it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise DataDirectoryInUseError(
                data_dir=self._path.parent, holder=f"process {holder}" if holder else "another"
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        account.give(self._path)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next server have the directory; a no-op if the lock is not held."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, kw_only=True)
class ClusterProcesses:
    """The processes of one cluster, as the kernel knows them."""

    programs: Programs
    cluster: Path

    def all(self) -> frozenset[int]:
        """Every process that works in this cluster, the postmaster among them."""
        done = self.programs.run_any(
            ["/bin/sh", "-c", _PROCESSES_IN, "sh", self.cluster.name], cwd=self.cluster.parent
        )
        return frozenset(int(pid) for pid in done.stdout.split())

    def postmaster(self) -> int | None:
        """The number of this cluster's living postmaster."""
        recorded = self._recorded_pid()
        return recorded if recorded in self.all() else None

    def status(self) -> str:
        """What the postmaster last wrote about itself, such as `ready`; may be empty."""
        lines = self._pid_file_lines()
        return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else ""

    def _recorded_pid(self) -> int | None:
        lines = self._pid_file_lines()
        return int(lines[0]) if lines and lines[0].strip().isdecimal() else None

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []
