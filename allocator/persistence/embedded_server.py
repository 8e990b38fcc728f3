"""One PostgreSQL server: making its cluster, and having it run as we want it."""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from typing import Final

from allocator.persistence.embedded_errors import PostgresFailedError
from allocator.persistence.embedded_layout import PORT, Layout
from allocator.persistence.embedded_process import ClusterProcesses
from allocator.persistence.embedded_programs import Programs, last_word

DATABASE: Final = "allocator"
SUPERUSER: Final = "postgres"

# Recovery of the largest WAL that the settings allow takes a minute or two on a slow disk.
_RECOVERY_S: Final = 600

# The last checkpoint writes at most shared_buffers.
_STOP_S: Final = 120

# A postmaster does not answer before it listens; nor does one whose socket was deleted.
_SILENCE_S: Final = 10.0
_POLL_S: Final = 0.05

# pg_isready's exit code for a server that starts up, recovers or stops.
_REJECTING: Final = 1

_INITDB: Final = (
    f"--username={SUPERUSER}",
    "--auth-local=trust",  # whoever may enter the socket's directory is the account itself
    "--auth-host=reject",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # sorts by code point, and the same after every upgrade of libc
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """The server of one data directory. Only for the holder of the directory's lock."""

    layout: Layout
    programs: Programs
    processes: ClusterProcesses
    settings: str

    def make_cluster(self) -> None:
        """Make a new, empty cluster: whole or, however we end, not there."""
        unfinished = self.layout.new_cluster_dir(self.programs.account)
        try:
            self.programs.must("initdb", "-D", unfinished.name, *_INITDB)
            self.layout.finish_cluster(unfinished)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def bring_up(self) -> None:
        """Have the server accept connections, with our settings.

        A running one is taken over if that is how it runs, and replaced if not.

        Raises:
            DataDirectoryInUseError: Processes that cannot be ended, or seen, use the cluster.
            PostgresFailedError: The server does not start, or does not stop.
        """
        self.layout.make_ours(self.programs.account)
        self.processes.end_leftovers()
        if self.processes.postmaster() is not None:
            if self._comes_to_answer() and self.processes.was_started_with(self._fingerprint):
                return
            self.stop()
        self.processes.disarm_stale_files()
        self._launch()

    def stop(self) -> None:
        """End the server, if it runs, with everything written down.

        Raises:
            PostgresFailedError: It does not stop.
        """
        if self.processes.postmaster() is None:
            return
        arguments = ("stop", "-D", self.layout.cluster.name, "-m", "fast", "-t", str(_STOP_S))
        done = self.programs.run("pg_ctl", *arguments)
        # It may have ended by itself in between, which pg_ctl calls a failure.
        if done.returncode and self.processes.postmaster() is not None:
            raise self.programs.failed("pg_ctl stop", last_word(done.stderr))

    def make_database(self) -> None:
        """Have the database `allocator` exist.

        Raises:
            PostgresFailedError: It cannot be made.
        """
        if self._has_database():
            return
        try:
            self._sql(f"CREATE DATABASE {DATABASE}")
        except PostgresFailedError:
            # The last start may have been killed in this moment, and its statement goes on.
            if not self._has_database():
                raise

    @property
    def _fingerprint(self) -> str:
        """An option that means nothing to PostgreSQL and tells us how it was started."""
        programs = f"{self.programs.version} {self.programs.bin_dir}"
        told = "\n".join((programs, str(self.layout.socket_dir), self.settings))
        return f"allocator.settings={hashlib.sha256(os.fsencode(told)).hexdigest()[:32]}"

    def _comes_to_answer(self) -> bool:
        """Wait for a living postmaster to accept connections; not if it never will.

        Raises:
            PostgresFailedError: Its recovery takes too long; it goes on.
        """
        began = time.monotonic()
        while (waited_s := time.monotonic() - began) < _RECOVERY_S:
            code = self.programs.run("pg_isready", *self._address).returncode
            if code == 0:
                return True
            if self.processes.is_stopping() or self.processes.postmaster() is None:
                return False
            if code != _REJECTING and waited_s > _SILENCE_S:
                return False
            time.sleep(_POLL_S)
        detail = f"still recovering after {_RECOVERY_S} s; it goes on, so start again later"
        raise self.programs.failed("server", detail)

    def _launch(self) -> None:
        self.layout.start_log.unlink(missing_ok=True)
        account = self.programs.account
        self.layout.replace(self.layout.settings, self.settings, account=account, mode=0o600)
        done = self.programs.run(
            "pg_ctl",
            "start",
            *("-D", self.layout.cluster.name),
            *("-l", str(self.layout.start_log.relative_to(self.layout.root))),
            *("-w", "-t", str(_RECOVERY_S)),
            *("-o", " ".join(f"-c {option}" for option in self._options)),
        )
        if done.returncode:
            raise self.programs.failed("server", self._why_it_failed(done.stderr))

    @property
    def _options(self) -> tuple[str, ...]:
        """What no file may change. A shell reads it: nothing here needs quoting."""
        return (
            f"config_file={self.layout.settings.name}",
            "listen_addresses=",
            f"unix_socket_directories={self.layout.socket_dir}",
            "unix_socket_permissions=0700",
            f"port={PORT}",
            self._fingerprint,
        )

    @property
    def _address(self) -> tuple[str, ...]:
        return ("-h", str(self.layout.socket_dir), "-p", str(PORT), "-U", SUPERUSER)

    def _has_database(self) -> bool:
        return bool(self._sql("SELECT 1 FROM pg_database WHERE datname = 'allocator'"))

    def _sql(self, statement: str) -> str:
        answer = self.programs.must(
            "psql", *self._address, "-XAtq", "-c", statement, "-d", "postgres"
        )
        return answer.strip()

    def _why_it_failed(self, complaint: str) -> str:
        """Find the server's last word: before its log was open, in its log, or in pg_ctl's."""
        logs = sorted(self.layout.log.glob("postgresql-*.log"), key=lambda log: log.stat().st_mtime)
        for log in (self.layout.start_log, *logs[-1:]):
            text = log.read_text("utf-8", "replace") if log.exists() else ""
            if any(mark in text for mark in ("FATAL:", "PANIC:")):
                return last_word(text)
        return last_word(complaint)
