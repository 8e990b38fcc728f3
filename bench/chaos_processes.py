"""Other processes, as Linux tells of them: found by their parent, and signalled for certain."""

import os
import signal
from pathlib import Path

import msgspec

PROC = Path("/proc")


class Process(msgspec.Struct, frozen=True):
    """A process that no other can be mistaken for: numbers are reused, their start is not."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return process_of(self.pid) == self

    def signal(self, number: signal.Signals) -> bool:
        """Signal it and no other; return whether it was there."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.is_alive:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def process_of(pid: int) -> Process | None:
    """Return the living process of a number (proc(5), stat's fields 3 and 22)."""
    fields = _stat(pid)
    return None if not fields or fields[0] in {"Z", "X"} else Process(pid, int(fields[19]))


def children_of(pid: int) -> list[Process]:
    """Return the living children of a process, by number."""
    pids = sorted(int(path.name) for path in PROC.iterdir() if path.name.isdecimal())
    found = [process_of(each) for each in pids if _stat(each)[1:2] == [str(pid)]]
    return [each for each in found if each is not None]


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may itself hold spaces and parentheses."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
