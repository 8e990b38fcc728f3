"""The operating-system account that PostgreSQL's programs run under."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

# PostgreSQL refuses to run as root. These have no rights of their own to lose.
_INSTEAD_OF_ROOT: Final = ("postgres", "nobody")
_OVERFLOW_ID: Final = 65534


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of the operating system, who need not have a name."""

    uid: int
    gid: int

    @classmethod
    def for_cluster(cls, cluster: Path) -> Self:
        """Say who runs the cluster at `cluster`, which need not exist yet.

        Returns:
            Ourselves; or for root, whom PostgreSQL refuses, the owner of an existing cluster,
            else the user `postgres`, else `nobody`. No user is ever created.
        """
        if os.geteuid() != 0:
            return cls(uid=os.geteuid(), gid=os.getegid())
        if cluster.exists():
            return cls.owning(cluster)
        for name in _INSTEAD_OF_ROOT:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(uid=entry.pw_uid, gid=entry.pw_gid)
        return cls(uid=_OVERFLOW_ID, gid=_OVERFLOW_ID)

    @classmethod
    def owning(cls, path: Path) -> Self:
        """Say whom `path` belongs to."""
        owner = path.stat()
        return cls(uid=owner.st_uid, gid=owner.st_gid)

    @property
    def name(self) -> str:
        """The account as people know it."""
        try:
            return f"user {pwd.getpwuid(self.uid).pw_name}"
        except KeyError:
            return f"uid {self.uid}"

    @property
    def is_other(self) -> bool:
        """Whether it is not the one that we run under."""
        return self.uid != os.geteuid()

    def give(self, path: Path) -> None:
        """Make the account own what we made at `path`; a symbolic link is not followed."""
        if self.is_other:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
