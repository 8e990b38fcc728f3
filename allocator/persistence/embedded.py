"""The PostgreSQL that comes with the allocator, for those who bring none."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import (
    DataDirectoryRefusedError,
    DataDirectoryUnreachableError,
)
from allocator.persistence.embedded_layout import PORT, Layout
from allocator.persistence.embedded_lock import DirectoryLock
from allocator.persistence.embedded_process import ClusterProcesses
from allocator.persistence.embedded_programs import Programs
from allocator.persistence.embedded_server import DATABASE, SUPERUSER, Server
from allocator.persistence.embedded_settings import render_settings


def default_data_dir() -> Path:
    """Say where data goes when nobody says: root's below /var/lib, other users' below home."""
    if os.geteuid() == 0:
        return Path("/var/lib/allocator")
    base = os.environ.get("XDG_DATA_HOME", "")
    # XDG Base Directory Specification: a relative path is invalid and is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "allocator"


class EmbeddedPostgres:
    """A PostgreSQL server of our own, reachable over a private Unix socket only.

    Its data outlives us, however we end; a server that outlives us too is taken over by the
    next start. Every method blocks; any thread may call.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """Prepare to serve a directory, touching nothing.

        Args:
            data_dir: Made if it is not there, with its parents; existing parents stay as they are.
            settings: PostgreSQL settings by name; they win over ours.

        Raises:
            SettingRefusedError: One of the settings is none, or follows from the directory.
        """
        self._layout = Layout(Path(os.path.realpath(data_dir)))
        self._overrides = dict(settings or {})
        render_settings(overrides=self._overrides, lz4=False)
        self._lock = DirectoryLock(self._layout.lock)
        self._one_at_a_time = threading.RLock()
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """Where the database `allocator` is, for asyncpg; the same before, during and after."""
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={self._layout.socket_dir}&port={PORT}"

    def start(self) -> None:
        """Serve the directory, new or old, and wait until it accepts connections.

        A failed start lets go of the directory and may be repeated.

        Raises:
            UsageError: This directory cannot be served; the message says what to do.
            PostgresFailedError: One of PostgreSQL's programs failed.
        """
        with self._one_at_a_time, self._one_sentence(), ExitStack() as undo:
            if self._server is not None:
                self._server.bring_up()
                return
            programs = self._programs()
            self._check_reach(programs)
            self._layout.make_root()
            self._check_reach(programs)  # what was made on the way follows our umask
            self._lock.acquire(account=programs.account)
            undo.callback(self._lock.release)
            self._server = self._begin(programs)
            undo.pop_all()

    def ensure_running(self) -> None:
        """Have the server accept connections again, if it does not.

        Raises:
            PostgresFailedError: It does not start; repeating may help.
        """
        with self._one_at_a_time, self._one_sentence():
            assert self._server is not None, "only what was started can be kept running"
            self._server.bring_up()

    def stop(self) -> None:
        """End the server with everything written down and let go; a no-op if not started.

        Raises:
            PostgresFailedError: It does not stop; the directory is let go of all the same.
        """
        with self._one_at_a_time, self._one_sentence(), ExitStack() as always:
            if self._server is None:
                return
            always.callback(self._lock.release)
            server, self._server = self._server, None
            server.stop()
            self._layout.clear_socket_dir()

    @contextmanager
    def _one_sentence(self) -> Iterator[None]:
        """Have what the file system refuses be said like everything else that goes wrong."""
        try:
            yield
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            reason = f"cannot be used: {error.strerror}{where}"
            raise DataDirectoryRefusedError(data_dir=self._layout.root, reason=reason) from error

    def _programs(self) -> Programs:
        account = Account.for_cluster(self._layout.cluster)
        return Programs.installed(data_dir=self._layout.root, account=account)

    def _check_reach(self, programs: Programs) -> None:
        barrier = programs.first_unreachable(self._layout.nearest_existing())
        if barrier is not None:
            raise DataDirectoryUnreachableError(
                data_dir=self._layout.root, account=programs.account.name, barrier=barrier
            )

    def _begin(self, installed: Programs) -> Server:
        layout = self._layout
        programs = installed.within_reach(layout.programs)
        server = Server(
            layout=layout,
            programs=programs,
            processes=ClusterProcesses(programs=programs, layout=layout),
            settings=render_settings(overrides=self._overrides, lz4=programs.have_lz4()),
        )
        layout.clear_unfinished()
        if not layout.cluster.exists():
            server.make_cluster()
        layout.check_cluster(account=programs.account, major=programs.major)
        server.bring_up()
        server.make_database()
        programs.clear_other_copies(layout.programs)
        return server
