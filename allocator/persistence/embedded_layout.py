"""What is where in a data directory, and whether it is fit to be served.

    lock            held by the one server process, for as long as it lives
    cluster/        PostgreSQL's own data directory
    settings.conf   how it is tuned, rewritten at every start
    socket/         where it listens; nobody else may enter
    log/            its log, at most a week of it
    programs/       a copy of PostgreSQL's programs, where the installed ones are out of reach

Run by root, the data directory stays root's and only `cluster`, `socket` and `log` are given
away: what PostgreSQL's account may write, root never follows.
"""

import hashlib
import os
import re
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import ClusterVersionError, DataDirectoryRefusedError

PORT: Final = 5432
SOCKET_NAME: Final = f".s.PGSQL.{PORT}"

# sockaddr_un's path is 108 bytes on Linux and 104 on macOS, the closing zero included.
_SOCKET_PATH_MAX_BYTES: Final = 103

# The socket's directory passes through a shell, a PostgreSQL list and a DSN: nothing that
# any of them would read as more than a character.
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._-]+")

_UNFINISHED: Final = ".cluster-"


@dataclass(frozen=True)
class Layout:
    """The places of one data directory; `root` is absolute and free of symbolic links.

    Every method may raise OSError.
    """

    root: Path

    @property
    def lock(self) -> Path:
        """The file whose lock says who serves."""
        return self.root / "lock"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory; whole, or not there."""
        return self.root / "cluster"

    @property
    def settings(self) -> Path:
        """The file that PostgreSQL is told to read its settings from."""
        return self.root / "settings.conf"

    @property
    def log(self) -> Path:
        """The directory of PostgreSQL's log."""
        return self.root / "log"

    @property
    def start_log(self) -> Path:
        """What PostgreSQL said before its log was open, at the last start."""
        return self.log / "start.log"

    @property
    def programs(self) -> Path:
        """The directory of copied programs, one folder a version."""
        return self.root / "programs"

    @property
    def socket_dir(self) -> Path:
        """Where the server listens: in the data directory, or in /tmp if its name forbids that.

        Always the same for the same data directory.
        """
        inside = self.root / "socket"
        whole = os.fsencode(inside / SOCKET_NAME)
        if len(whole) <= _SOCKET_PATH_MAX_BYTES and _PLAIN.fullmatch(str(inside)):
            return inside
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:20]
        # A fixed place, because another TMPDIR must not hide the server from its successor;
        # safe, because it is used only if it is ours and closed to others.
        return Path("/tmp") / f"allocator-{digest}"  # noqa: S108

    def nearest_existing(self) -> Path:
        """The data directory, or as long as it is not there the parent that it will be made in."""
        return next(path for path in (self.root, *self.root.parents) if path.exists())

    def make_root(self) -> None:
        """Have the data directory exist.

        Raises:
            DataDirectoryRefusedError: It is a cluster of somebody's own.
        """
        if not self.root.exists():
            self.root.mkdir(parents=True, exist_ok=True)
            # Root's is open to be passed through by PostgreSQL's account.
            self.root.chmod(0o755 if os.geteuid() == 0 else 0o700)
        if (self.root / "PG_VERSION").exists():
            raise self._refused("is a PostgreSQL cluster itself: choose another one")

    def make_ours(self, account: Account) -> None:
        """Have the directories exist that PostgreSQL writes to, beside the cluster.

        Raises:
            DataDirectoryRefusedError: One of them is not ours.
        """
        for path in (self.log, self.socket_dir):
            self._make_private(path, account)

    def check_cluster(self, *, account: Account, major: str) -> None:
        """Refuse a cluster that PostgreSQL `major` could not run under `account`.

        Raises:
            ClusterVersionError: Another major version made it.
            DataDirectoryRefusedError: It is somebody else's, or no cluster.
        """
        owner = Account.owning(self.cluster)
        if owner.uid != account.uid or owner.uid == 0:
            raise self._refused(
                f"has a cluster that belongs to {owner.name}, under whom PostgreSQL cannot be run "
                f"here: run as that user, or run `chown -R` on {self.cluster}"
            )
        try:
            found = (self.cluster / "PG_VERSION").read_text("utf-8", "replace").strip()
        except FileNotFoundError as error:
            raise self._refused("has a folder `cluster` that is none: move it away") from error
        if found != major:
            raise ClusterVersionError(data_dir=self.root, found=found, supported=major)

    def new_cluster_dir(self, account: Account) -> Path:
        """Make the directory that a cluster is made in, under a name that no start looks at."""
        # A fresh name each time: an orphaned initdb may still write to the last one.
        path = self.root / f"{_UNFINISHED}{os.urandom(8).hex()}"
        path.mkdir(mode=0o700)
        account.give(path)
        return path

    def finish_cluster(self, finished: Path) -> None:
        """Make a finished cluster the one to serve, in one step that outlasts a power cut."""
        finished.rename(self.cluster)
        descriptor = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, path: Path, text: str, *, account: Account, mode: int) -> None:
        """Have the file at `path` say `text`, in one step, whatever it was before."""
        rewritten = self.root / f"{path.name}.new"
        rewritten.unlink(missing_ok=True)
        # Opened exclusively: a symbolic link that is planted in between is not followed.
        with rewritten.open("x", encoding="utf-8") as file:
            file.write(text)
        rewritten.chmod(mode)
        account.give(rewritten)
        rewritten.rename(path)

    def clear_socket_dir(self) -> None:
        """Remove the socket's directory from /tmp, if that is where it is."""
        if not self.socket_dir.is_relative_to(self.root):
            # Whatever else was put there stays, and the directory with it.
            with suppress(OSError):
                self.socket_dir.rmdir()

    def clear_unfinished(self) -> None:
        """Remove what interrupted starts have left behind."""
        for path in self.root.glob(f"{_UNFINISHED}*"):
            # An orphaned initdb may be writing there; what it adds now goes next time.
            shutil.rmtree(path, ignore_errors=True)

    def _make_private(self, path: Path, account: Account) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        # What is in our directory follows the account; in /tmp a stranger may have been first.
        ours = path.is_relative_to(self.root) or found.st_uid in {os.geteuid(), account.uid}
        if not ours or not stat.S_ISDIR(found.st_mode):
            raise self._refused(f"needs the directory {path}, which is not ours: remove it")
        path.chmod(0o700)
        if found.st_uid != account.uid:
            # Itself last, so that a half-given directory is given again.
            for entry in (*path.iterdir(), path):
                account.give(entry)

    def _refused(self, reason: str) -> DataDirectoryRefusedError:
        return DataDirectoryRefusedError(data_dir=self.root, reason=reason)
