"""The lock on a data directory, which one process at a time may serve."""

import fcntl
import os
import weakref
from pathlib import Path

from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import (
    DataDirectoryInUseError,
    DataDirectoryRefusedError,
)


class DirectoryLock:
    """Held by the one process that serves a data directory; dropped by the kernel at its death.

    No child holds it: not what we execute, for the descriptor is closed then, and not what we
    fork, which would keep it beyond our own end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds it."""
        return self._descriptor is not None

    def acquire(self, *, account: Account) -> None:
        """Take the lock now or not at all.

        Raises:
            DataDirectoryInUseError: Another process has it, or we have it twice.
            DataDirectoryRefusedError: We may not write to the directory.
        """
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(descriptor, 32).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise DataDirectoryInUseError(
                data_dir=self._path.parent, holder=f"process {pid}" if pid else "another process"
            ) from error
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        account.give(self._path)
        self._descriptor = descriptor
        _held_locks.add(self)

    def release(self) -> None:
        """Let the next server have the directory; a no-op if the lock is not held."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close our descriptor only: a parent that has it too still holds the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        data_dir = self._path.parent
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            owner = Account.owning(data_dir).name
            raise DataDirectoryRefusedError(
                data_dir=data_dir,
                reason=f"belongs to {owner} and cannot be written to: {error.strerror}",
            ) from error


_held_locks: weakref.WeakSet[DirectoryLock] = weakref.WeakSet()


def _forget_locks_of_the_parent() -> None:
    for lock in _held_locks:
        lock.forget()


os.register_at_fork(after_in_child=_forget_locks_of_the_parent)
