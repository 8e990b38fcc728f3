"""How the embedded PostgreSQL is tuned, and the file that says so."""

import re
from collections.abc import Mapping
from typing import Final

from allocator.persistence.embedded_errors import SettingRefusedError

# One journal that is appended to in groups, one reader of its tail, a few dozen connections
# and a machine that is shared with the server: that is the load each number is chosen for.
_DEFAULTS: Final[Mapping[str, tuple[str, str]]] = {
    # Durability: a promise leaves when its commit returns, so the commit must mean it.
    "fsync": ("on", "a commit that returned is on the disk"),
    "full_page_writes": ("on", "a page torn by a power cut is repaired from the WAL"),
    "synchronous_commit": ("on", "replies are released by the commit, not before it"),
    # Memory
    "shared_buffers": ("256MB", "the journal's hot end and its key; the rest is the kernel's"),
    "max_connections": ("600", "32 workers hold up to 16 each; room for psql and a backup"),
    # WAL: few checkpoints, spread out, because each one makes every page's first change dear.
    "max_wal_size": ("4GB", "about ten minutes of full load between checkpoints"),
    "checkpoint_timeout": ("15min", "bounds recovery after a crash when there is little load"),
    "checkpoint_completion_target": ("0.9", "writing is spread over the whole interval"),
    "wal_compression": ("off", "pglz costs the appending backend more than the bytes it saves"),
    # Planning
    "jit": ("off", "compiling takes longer than any statement we send"),
    # Housekeeping
    "autovacuum": ("on", "the read models are updated in place; and wraparound"),
    "idle_in_transaction_session_timeout": ("60s", "a forgotten transaction holds the tail back"),
    "timezone": ("UTC", "times read the same everywhere"),
    # The server's own log: a file for each day of the week, overwritten a week later.
    "logging_collector": ("on", "rotates without being told"),
    "log_directory": ("../log", "beside the cluster, next to the start's own messages"),
    "log_filename": ("postgresql-%a.log", "seven names, so at most seven files"),
    "log_truncate_on_rotation": ("on", "Monday's file starts afresh each Monday"),
    "log_rotation_age": ("1d", "one file a day"),
    "log_rotation_size": ("0", "a second file of the same name would only be appended to"),
    "log_line_prefix": ("%m [%p] %a ", "when, which backend, which incarnation"),
    "log_timezone": ("UTC", "as above"),
}

# Where the server listens and what it reads follow from the data directory.
_PINNED: Final = frozenset(
    {
        "config_file",
        "data_directory",
        "hba_file",
        "listen_addresses",
        "port",
        "unix_socket_directories",
        "unix_socket_permissions",
    }
)

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


def render_settings(*, overrides: Mapping[str, str], lz4: bool) -> str:
    """Write the settings down as the file that PostgreSQL is to read.

    Args:
        overrides: What the operator asked for; wins over the defaults.
        lz4: Whether the build can compress WAL with lz4, which is cheap enough to pay.

    Raises:
        SettingRefusedError: A name or value that cannot be, or that is not the operator's.
    """
    settings = dict(_DEFAULTS)
    if lz4:
        settings["wal_compression"] = ("lz4", "whole pages shrink for next to nothing")
    settings |= {name: (_checked(name, value), "asked for") for name, value in overrides.items()}
    lines = [
        "# Rewritten at every start. ALTER SYSTEM wins over it.",
        "include 'cluster/postgresql.conf'",
        *(f"{name} = {_quoted(value)}  # {why}" for name, (value, why) in settings.items()),
    ]
    return "\n".join([*lines, ""])


def _checked(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingRefusedError(name=name, reason="is not a setting's name")
    if name in _PINNED:
        raise SettingRefusedError(name=name, reason="follows from the data directory")
    if not value.isprintable():
        raise SettingRefusedError(name=name, reason="has a value with unprintable characters")
    return value


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
