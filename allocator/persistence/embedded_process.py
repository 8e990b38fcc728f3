"""The processes of one cluster, and the files that name them.

A process number proves nothing: numbers are reused, at once in a restarted container. What
shows that a process belongs to a cluster is that it is called postgres and works in the
cluster's directory, as each of PostgreSQL's processes does from its start to its end.
"""

import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from allocator.persistence.embedded_errors import DataDirectoryInUseError
from allocator.persistence.embedded_layout import SOCKET_NAME, Layout
from allocator.persistence.embedded_programs import Programs

PROC: Final = Path("/proc")

_POLL_S: Final = 0.05
_KNOCK_TIMEOUT_S: Final = 1.0

# No process ever has it: above every number that Linux (4,194,304) or macOS hands out.
_NOBODYS_PID: Final = 2**31 - 1

# postmaster.pid: the process on line 1, and on line 8 `starting`, `ready` or `stopping`.
_PID_LINE: Final = 0
_STATUS_LINE: Final = 7

# How long processes without a postmaster may take to notice, and what they are told then.
# Nothing durable is lost by any of it: what was committed is in the WAL.
_LEFTOVERS: Final = (
    (2.0, signal.SIGTERM),
    (3.0, signal.SIGQUIT),
    (3.0, signal.SIGKILL),
)
_LAST_PATIENCE_S: Final = 5.0

# Prints the numbers of the processes that are PostgreSQL's and work in this directory or in
# its $1: a pg_ctl whose parent was killed may be about to start a postmaster.
# A script, because it must run as PostgreSQL's account: to see where a process works, root
# in a container needs a right that is usually taken away.
_PROCESSES: Final = """
for process in /proc/[0-9]*; do
    [ "$process/cwd" -ef "$1" ] || [ "$process/cwd" -ef . ] || continue
    read -r name < "$process/comm" || continue
    case $name in postgres | pg_ctl) echo "${process#/proc/}" ;; esac
done 2> /dev/null
exit 0
"""


@dataclass(frozen=True, kw_only=True)
class ClusterProcesses:
    """The processes of one cluster. Only for the holder of the directory's lock."""

    programs: Programs
    layout: Layout

    def everyone(self) -> frozenset[int]:
        """Every process of PostgreSQL that works here, the postmaster among them."""
        if not PROC.exists():
            # macOS: no way to ask. What answers on our private socket is the postmaster, and
            # a postmaster that listens has written its number down.
            recorded = self._recorded_pid()
            return frozenset({recorded} if recorded is not None and self._answers() else ())
        done = self.programs.command(
            ["/bin/sh", "-c", _PROCESSES, "sh", self.layout.cluster.name], cwd=self.layout.root
        )
        return frozenset(int(pid) for pid in done.stdout.split())

    def postmaster(self) -> int | None:
        """The number of the living postmaster."""
        recorded = self._recorded_pid()
        return recorded if recorded in self.everyone() else None

    def is_stopping(self) -> bool:
        """Whether the postmaster has been told to stop, by us or by anybody."""
        lines = self._pid_file_lines()
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "stopping"

    def was_started_with(self, option: str) -> bool:
        """Whether the last server to be started was given this option."""
        options = self.layout.cluster / "postmaster.opts"
        return options.exists() and f'"{option}"' in options.read_text("utf-8", "replace")

    def end_leftovers(self) -> None:
        """Wait until no process is left without a postmaster, and help it along.

        A new postmaster beside an old backend would write to the same files.

        Raises:
            DataDirectoryInUseError: They cannot be ended.
        """
        for patience_s, signal_number in _LEFTOVERS:
            if _becomes_true(lambda: not self._leftovers(), within_s=patience_s):
                return
            for pid in self._leftovers():
                self._signal(pid, signal_number)
        if not _becomes_true(lambda: not self._leftovers(), within_s=_LAST_PATIENCE_S):
            raise self._in_use("processes of a former server, which do not end")

    def disarm_stale_files(self) -> None:
        """Have no file name a process as our server when no server runs.

        The number in postmaster.pid is replaced and the file kept: it also says which shared
        memory to look at, by which PostgreSQL sees for itself that no old backend is alive.

        Raises:
            DataDirectoryInUseError: A server that we cannot see answers on the socket.
        """
        if self._answers():
            raise self._in_use("a PostgreSQL that cannot be seen from here, as in a container")
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self.layout.socket_dir / name).unlink(missing_ok=True)
        if self._recorded_pid() is None:
            # Cut off as it was written: PostgreSQL would refuse to start over it.
            self._pid_file.unlink(missing_ok=True)
        else:
            self._replace_recorded_pid()

    @property
    def _pid_file(self) -> Path:
        return self.layout.cluster / "postmaster.pid"

    def _pid_file_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return []

    def _recorded_pid(self) -> int | None:
        lines = self._pid_file_lines()
        # Somebody's single-user server is recorded with a minus; pg_ctl will say so.
        number = lines[_PID_LINE].strip().removeprefix("-") if lines else ""
        return int(number) if number.isascii() and number.isdecimal() else None

    def _replace_recorded_pid(self) -> None:
        lines = [str(_NOBODYS_PID), *self._pid_file_lines()[1:]]
        text = "".join(f"{line}\n" for line in lines)
        account = self.programs.account
        self.layout.replace(self._pid_file, text, account=account, mode=0o600)

    def _leftovers(self) -> frozenset[int]:
        everyone = self.everyone()
        return frozenset() if self._recorded_pid() in everyone else everyone

    def _signal(self, pid: int, number: signal.Signals) -> None:
        """Signal a process of ours, and no other that takes its number in this moment."""
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if pid in self._leftovers():
                signal.pidfd_send_signal(process, number)
        except ProcessLookupError:
            return
        finally:
            os.close(process)

    def _answers(self) -> bool:
        """Whether anybody listens on the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(_KNOCK_TIMEOUT_S)
            try:
                knock.connect(str(self.layout.socket_dir / SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except TimeoutError:
                return True  # too busy to answer is there
            return True

    def _in_use(self, holder: str) -> DataDirectoryInUseError:
        return DataDirectoryInUseError(data_dir=self.layout.root, holder=holder)


def _becomes_true(condition: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
