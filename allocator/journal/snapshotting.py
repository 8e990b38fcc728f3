"""`allocator snapshot`: fold pools and store their snapshots now."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal

import msgspec
from rich.console import Console

from allocator.domain.catalogue import is_code, pool_key
from allocator.domain.snapshots import SCHEMA_VERSION
from allocator.errors import JournalError, UsageError
from allocator.journal.command import Source
from allocator.journal.progress import progress
from allocator.journal.showing import NotFoundError
from allocator.journal.sources import database
from allocator.persistence.connections import Pool, borrowed, open_pool
from allocator.persistence.folding import fold
from allocator.persistence.installation import find_installation
from allocator.persistence.migrate import refuse_other_schema
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement

DONE: Final = 0
FAILED: Final = 1
_POOLS_AT_ONCE: Final = 500
_CONNECTIONS: Final = 2


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a pool.

    Attributes:
        pool: Its name.
        version: On which its newest snapshot stands now.
        did: Whether one was `stored`, was there `already`, was not needed because the pool was
            `never_used`, or `failed`.
        why: It failed.
    """

    pool: str
    version: int
    did: Literal["stored", "already", "never_used", "failed"]
    why: str | None = None


class _Pool(msgspec.Struct, frozen=True, kw_only=True):
    actor_id: int
    name: str
    snapshot: int
    is_current: bool


def run_snapshot(names: Sequence[str], source: Source, *, all_pools: bool, as_json: bool) -> int:
    """Store snapshots of these pools, or of all; return the exit code.

    Raises:
        UsageError: Neither or both were named, a name is none, or there is no journal.
        NotFoundError: There is no such pool.
        JournalError: The database does not answer.
    """
    if bool(names) == all_pools:
        raise UsageError("say which: either WAREHOUSE/PRODUCT, as often as you like, or --all")
    for name in names:
        if not all(is_code(part) for part in name.split("/", 1)):
            raise UsageError(
                f"{name!r} is neither WAREHOUSE/PRODUCT, like main/tea, nor the code of a location "
                "that holds one product at a time"
            )
    console = Console(stderr=True)
    told = _Told(as_json=as_json, console=console)
    try:
        with database(database_url=source.database_url, data_dir=source.data_dir) as url:
            asyncio.run(_snapshot(url, names, told=told, console=console))
    except KeyboardInterrupt:
        told.say("stopped; the same command goes on from here")
        raise
    told.sum_up()
    return FAILED if told.count["failed"] else DONE


class _Told:
    """Counts what became of pools, and tells it."""

    def __init__(self, *, as_json: bool, console: Console) -> None:
        self.count = dict.fromkeys(("stored", "already", "never_used", "failed"), 0)
        self._as_json = as_json
        self._console = console

    def tell(self, snapshot: Snapshot) -> None:
        """Count one; those that failed are named, and with --json all."""
        self.count[snapshot.did] += 1
        if self._as_json:
            sys.stdout.write(msgspec.json.encode(snapshot).decode() + "\n")
            sys.stdout.flush()
        if snapshot.did == "failed":
            self.say(f"{snapshot.pool} cannot be replayed: {snapshot.why}")

    def sum_up(self) -> None:
        """Tell how many there were."""
        if not self._as_json:
            stored, already = self.count["stored"], self.count["already"]
            text = f"{stored:,} snapshots stored; {already:,} were there already"
            sys.stdout.write(text + "\n")

    def say(self, text: str) -> None:
        """Say something beside the lines."""
        self._console.print(f"allocator: {text}", markup=False, highlight=False, soft_wrap=True)


async def _snapshot(url: str, names: Sequence[str], *, told: _Told, console: Console) -> None:
    pool = await open_pool(url, size=_CONNECTIONS)
    try:
        async with borrowed(pool) as connection:
            await find_installation(connection)
            await refuse_other_schema(connection)
            total = len(names) or await connection.fetchval("SELECT count(*) FROM pools")
        reader = JournalReader(pool)
        wanted = _named(pool, names) if names else _all(pool)
        with progress(console, "snapshots", total=total) as advance:
            async for each in wanted:
                told.tell(await _store(reader, each))
                advance(1)
    finally:
        pool.terminate()


async def _store(reader: JournalReader, pool: _Pool) -> Snapshot:
    if pool.is_current:
        return Snapshot(pool=pool.name, version=pool.snapshot, did="already")
    try:
        version = await fold(reader, pool.actor_id)
    except JournalError:
        raise
    except Exception as error:  # noqa: BLE001 (it cannot be replayed: the others can)
        return Snapshot(pool=pool.name, version=pool.snapshot, did="failed", why=repr(error))
    if not version:
        return Snapshot(pool=pool.name, version=0, did="never_used")
    return Snapshot(
        pool=pool.name, version=version, did="already" if version == pool.snapshot else "stored"
    )


async def _all(pool: Pool) -> AsyncIterator[_Pool]:
    after = 0
    while True:
        async with borrowed(pool) as connection:
            args = (after, _POOLS_AT_ONCE, SCHEMA_VERSION)
            rows = await connection.fetch(statement("list_pools"), *args)
        for row in rows:
            after = row["actor_id"]
            yield _Pool(
                actor_id=after,
                name=row["name"],
                snapshot=row["snapshot"],
                is_current=row["snapshot"] >= row["head"] > 0,
            )
        if len(rows) < _POOLS_AT_ONCE:
            return


async def _named(pool: Pool, names: Sequence[str]) -> AsyncIterator[_Pool]:
    """Yield pools by name; these are folded in any case: a snapshot may be damaged."""
    for name in names:
        async with borrowed(pool) as connection:
            place, _, product = name.partition("/")
            key = pool_key(place, product)  # of such a location the one without a product
            actor_id = await connection.fetchval(statement("actor_of"), key)
            if actor_id is None:
                what = f"to product {product} at {place}" if product else f"at a location {place}"
                raise NotFoundError(f"nothing has ever happened {what}")
            rows = await connection.fetch(statement("list_pools"), actor_id - 1, 1, SCHEMA_VERSION)
        yield _Pool(actor_id=actor_id, name=name, snapshot=rows[0]["snapshot"], is_current=False)
