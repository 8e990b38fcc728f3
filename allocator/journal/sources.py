"""Which database to read: one that is given, or that of a data directory, served or not."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from allocator.config import Config
from allocator.errors import JournalError, UsageError
from allocator.persistence.connections import connect
from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir
from allocator.persistence.embedded_layout import Layout

_LOOKING = "allocator journal"


@contextmanager
def database(
    *,
    database_url: str | None,
    data_dir: Path | None,
    may_start: bool = True,
    may_make: bool = False,
) -> Iterator[str]:
    """Have a database that can be read, while the context is open.

    The PostgreSQL of a data directory that nobody serves is started, and stopped again.

    Args:
        database_url: Of a PostgreSQL of somebody's own, or None.
        data_dir: Of an embedded one; None for the usual one.
        may_start: Whether to do so; not by who stays, for nobody could serve the directory then.
        may_make: Whether to make one where there is none; nothing is in it then.

    Raises:
        UsageError: There is no database to read, or two were named.
        PostgresFailedError: The one of the data directory does not start.
    """
    config = Config(database_url=database_url, data_dir=data_dir)
    if config.database_url is not None:
        yield config.database_url
        return
    directory = config.data_dir or default_data_dir()
    embedded = EmbeddedPostgres(directory)
    if asyncio.run(_answers(embedded.dsn)):
        yield embedded.dsn
        return
    if not may_make and not Layout(Path(os.path.realpath(directory))).cluster.exists():
        raise UsageError(
            f"there is no data in {directory}: name the server's own --data-dir or --database-url"
        )
    if not may_start:
        raise UsageError(
            f"nothing serves the data in {directory}, so there is nothing to wait for: "
            "start `allocator serve` first, or leave --follow out"
        )
    with embedded:
        yield embedded.dsn


async def _answers(url: str) -> bool:
    try:
        connection = await connect(url, application_name=_LOOKING)
    except JournalError:
        return False
    connection.terminate()
    return True
