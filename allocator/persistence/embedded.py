"""The PostgreSQL that comes with the allocator, for those who bring none.

A data directory holds one cluster and everything that belongs to it:

    lock            held by the one server process, for as long as it lives
    cluster/        PostgreSQL's own data directory
    settings.conf   how it is tuned, rewritten at every start
    socket/         where it listens; nobody else may enter
    log/            its log, at most a week of it
    programs/       a copy of PostgreSQL's programs, where the installed ones are out of reach
"""

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from allocator.persistence import embedded_settings
from allocator.persistence.embedded_process import ClusterProcesses, DirectoryLock
from allocator.persistence.embedded_programs import Account, Programs

DATABASE: Final = "allocator"
SUPERUSER: Final = "postgres"
PORT: Final = 5432


def default_data_dir() -> Path:
    """Say where data goes that nobody gave a place: root's to /var/lib, other users' home."""
    if os.geteuid() == 0:
        return Path("/var/lib/allocator")
    base = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path is invalid and is to be ignored.
    root = Path(base) if base.startswith("/") else Path.home() / ".local" / "share"
    return root / "allocator"


class EmbeddedPostgres:
    """A PostgreSQL server of our own, reachable over a private Unix socket only.

    Its data outlives us, however we end: a server that outlived us too is taken over by the
    next start. Every method blocks; any thread may call.
    """

    def __init__(self, data_dir: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir.absolute()
        self._overrides = dict(settings or {})
        self._lock = DirectoryLock(self._data_dir / "lock")
        self._one_at_a_time = threading.RLock()

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
        """Where the database `allocator` is, for asyncpg."""
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={self._socket_dir}&port={PORT}"

    @property
    def _cluster(self) -> Path:
        return self._data_dir / "cluster"

    @property
    def _socket_dir(self) -> Path:
        return self._data_dir / "socket"

    def start(self) -> None:
        """Serve the data directory, new or old, and wait until it accepts connections.

        Raises:
            UsageError: This directory cannot be served; the message says what to do.
            PostgresFailedError: One of PostgreSQL's programs failed.
        """
        with self._one_at_a_time:
            account = Account.for_cluster(self._cluster)
            self._make_directories(account)
            self._lock.acquire(account=account)
            self._programs = Programs.installed(data_dir=self._data_dir, account=account)
            self._processes = ClusterProcesses(programs=self._programs, cluster=self._cluster)
            if not self._cluster.exists():
                self._make_cluster()
            self._write_settings()
            self._run_server()
            self._make_database()

    def ensure_running(self) -> None:
        """Have the server accept connections again, if it does not."""
        with self._one_at_a_time:
            assert self._lock.is_held
            self._run_server()

    def stop(self) -> None:
        """End the server with everything written down, then let go of the directory."""
        with self._one_at_a_time:
            if not self._lock.is_held:
                return
            if self._processes.postmaster() is not None:
                self._programs.must("pg_ctl", "stop", "-D", "cluster", "-m", "fast", "-t", "120")
            self._lock.release()

    def _make_directories(self, account: Account) -> None:
        self._data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in ("socket", "log"):
            path = self._data_dir / name
            if not path.exists():
                path.mkdir(mode=0o700)
                account.give(path)

    def _make_cluster(self) -> None:
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=self._data_dir))
        self._programs.account.give(fresh)
        self._programs.must(
            "initdb",
            "-D",
            fresh.name,
            f"--username={SUPERUSER}",
            "--auth-local=trust",
            "--auth-host=reject",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        )
        fresh.rename(self._cluster)

    def _write_settings(self) -> None:
        text, _ = embedded_settings.render(
            overrides=self._overrides, version=self._programs.version, lz4=False
        )
        path = self._data_dir / "settings.conf"
        path.write_text(text)
        path.chmod(0o644)

    def _run_server(self) -> None:
        if self._processes.postmaster() is not None:
            return
        pinned = (
            "-c config_file=settings.conf -c listen_addresses= "
            f"-c unix_socket_directories={self._socket_dir} -c unix_socket_permissions=0700 "
            f"-c port={PORT}"
        )
        self._programs.must(
            "pg_ctl",
            "start",
            "-D",
            "cluster",
            "-l",
            "log/start.log",
            "-w",
            "-t",
            "600",
            "-o",
            pinned,
        )

    def _make_database(self) -> None:
        where = ("-h", str(self._socket_dir), "-p", str(PORT), "-U", SUPERUSER)
        found = self._programs.must(
            "psql",
            *where,
            "-XAtqc",
            "SELECT 1 FROM pg_database WHERE datname = 'allocator'",
            "postgres",
        )
        if not found.strip():
            self._programs.must("psql", *where, "-Xqc", f"CREATE DATABASE {DATABASE}", "postgres")
