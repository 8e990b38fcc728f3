"""`allocator journal prune`: archive and remove the oldest rows of pools, moves, orders, carts."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from allocator.domain.kinds import Kind
from allocator.errors import UsageError
from allocator.journal.archive import Archive
from allocator.journal.command import Source
from allocator.journal.progress import Advance, progress
from allocator.journal.sources import database
from allocator.journal.times import parse_duration, parse_time, text_of
from allocator.persistence.connections import Connection, Pool, borrowed, connect, open_pool
from allocator.persistence.installation import find_installation
from allocator.persistence.leadership import Role, try_lead
from allocator.persistence.migrate import refuse_other_schema
from allocator.persistence.proving import Floor, Prover, Terms, UnsoundError
from allocator.persistence.proving_processes import ProcessesProver
from allocator.persistence.pruning import Pruning
from allocator.persistence.statements import statement

DONE: Final = 0
FAILED: Final = 1
_KEPT_MS_MIN: Final = 24 * 3_600_000
"""For so long at least a repeated request gets its first answer, which is made from its row."""
_BATCH_ROWS: Final = 50_000
_BATCH_BYTES: Final = 32_000_000
_CONNECTIONS: Final = 3


class PruneFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What `journal prune` was asked for, as it was typed."""

    older_than: str | None
    before: str | None
    archive: Path | None
    discard: bool
    dry_run: bool
    as_json: bool


class Unsound(msgspec.Struct, frozen=True):
    """A pool or a process that was left alone, and why."""

    pool: str
    why: str


class Report(msgspec.Struct, kw_only=True):
    """What came of it.

    Attributes:
        before: Rows from before this time were wanted.
        slowest: Of the readers of the journal; nothing is pruned that it has not seen.
        rows, pools, moves, orders, carts: That were pruned, or would be; orders of several lines
            alone.
        without_snapshots: Pools with such rows that were left: they have fewer than two snapshots.
        held_back: Likewise: their snapshots, or the read models, have not come so far.
        leftovers: Rows that an interrupted prune had left, and that were removed now.
    """

    before: str
    slowest: str
    dry_run: bool
    archive: str | None
    rows: int = 0
    pools: int = 0
    moves: int = 0
    orders: int = 0
    carts: int = 0
    without_snapshots: int = 0
    held_back: int = 0
    leftovers: int = 0
    unsound: list[Unsound] = []


def run_prune(flags: PruneFlags, source: Source) -> int:
    """Prune, and tell what came of it; return the exit code.

    Raises:
        UsageError: A flag makes no sense, there is no journal, or somebody prunes already.
        ArchiveError: The archive cannot be written; nothing was removed that is not in it.
        JournalError: The database does not answer.
    """
    _check(flags)
    console = Console(stderr=True)
    try:
        with database(database_url=source.database_url, data_dir=source.data_dir) as url:
            report = asyncio.run(prune(url, flags, console=console))
    except KeyboardInterrupt:
        _say(console, "stopped; nothing is lost, and the same command goes on from here")
        raise
    _tell(report, console, as_json=flags.as_json)
    return FAILED if report.unsound else DONE


async def prune(url: str, flags: PruneFlags, *, console: Console) -> Report:
    """Prune a database, showing progress.

    Raises:
        UsageError: The time makes no sense, there is no journal, or somebody prunes already.
        ArchiveError: The archive cannot be written; nothing was removed that is not in it.
        JournalError: The database does not answer.
    """
    async with _alone(url, flags) as (session, pool, terms):
        report = Report(
            before=text_of(terms.before_ms),
            slowest=terms.slowest,
            dry_run=flags.dry_run,
            archive=None if flags.archive is None else str(flags.archive),
        )
        plan = msgspec.structs.replace(report)
        pruning = Pruning(session, pool, terms)
        await _plan(pruning, plan)
        if flags.dry_run:
            return plan
        archive = None if flags.archive is None else Archive(flags.archive)
        with nullcontext() if archive is None else closing(archive):
            async for removed in pruning.remove_left():
                report.leftovers += removed
            with progress(console, "pruning", total=plan.rows) as advance:
                provers = Prover(pool, terms), ProcessesProver(pool, terms)
                await _Run(provers, pruning, archive, report, advance).run()
    return report


@asynccontextmanager
async def _alone(url: str, flags: PruneFlags) -> AsyncIterator[tuple[Connection, Pool, Terms]]:
    """Have a database to prune, while nobody else does, and what may go from it."""
    session = await connect(url, application_name="allocator prune")
    try:
        await find_installation(session)
        await refuse_other_schema(session)
        if not await try_lead(session, Role.PRUNING):
            raise UsageError(
                "another `allocator journal prune` is at work on this database, or something that "
                "needs its whole history: try again when that has ended"
            )
        pool = await open_pool(url, size=_CONNECTIONS)
        try:
            async with borrowed(pool) as connection:
                slowest = await connection.fetchrow(statement("prune_position"))
            assert slowest is not None
            before_ms = _before(flags, now_ms=slowest["now"])
            terms = Terms(
                before_ms=before_ms,
                era=slowest["era"],
                xid=slowest["xid"],
                slowest=slowest["reader"],
            )
            yield session, pool, terms
        finally:
            pool.terminate()
    finally:
        session.terminate()


async def _plan(pruning: Pruning, report: Report) -> None:
    """Count what would go."""
    async for looked in pruning.look():
        report.pools += len(looked.candidates)
        report.rows += sum(candidate.rows for candidate in looked.candidates)
        report.without_snapshots += looked.without_snapshots
        report.held_back += looked.held_back
    async for processes in pruning.ended():
        _count(report, [each.kind for each in processes])
        report.rows += sum(each.version - 1 for each in processes)  # the last one stays


class _Run:
    """One prune, in batches: archive, make durable, raise floors, remove."""

    def __init__(
        self,
        provers: tuple[Prover, ProcessesProver],
        pruning: Pruning,
        archive: Archive | None,
        report: Report,
        advance: Advance,
    ) -> None:
        self._prover, self._processes_prover = provers
        self._pruning = pruning
        self._archive = archive
        self._report = report
        self._advance = advance
        self._floors: list[Floor] = []

    async def run(self) -> None:
        """Prune every pool and every process of which something may go."""
        self._report.pools = await self._prune_pools()
        await self._prune_processes()

    async def _prune_pools(self) -> int:
        """Return of how many something went."""
        report, pools = self._report, 0
        async for looked in self._pruning.look():
            report.without_snapshots += looked.without_snapshots
            report.held_back += looked.held_back
            for candidate in looked.candidates:
                try:
                    self._floors.append(await self._prover.prove(candidate, self._write))
                except UnsoundError as error:
                    report.unsound.append(Unsound(error.name, error.why))
                if self._is_full():
                    pools += await self._settle()
        return pools + await self._settle()

    async def _prune_processes(self) -> None:
        async for processes in self._pruning.ended():
            floors, unsound = await self._processes_prover.prove(processes, self._write)
            kinds = {each.actor_id: each.kind for each in processes}
            _count(self._report, [kinds[floor.actor_id] for floor in floors])
            self._floors += floors
            self._report.unsound += [Unsound(error.name, error.why) for error in unsound]
            if self._is_full():
                await self._settle()
        await self._settle()

    def _write(self, lines: bytes) -> None:
        if self._archive is not None and lines:
            self._archive.write(lines)

    def _is_full(self) -> bool:
        rows = sum(floor.rows for floor in self._floors)
        return rows >= _BATCH_ROWS or sum(len(f.state) for f in self._floors) >= _BATCH_BYTES

    async def _settle(self) -> int:
        """Have floors take the place of what they were proved for; return how many they are."""
        floors, self._floors = self._floors, []
        if not floors:
            return 0
        if self._archive is not None:
            self._archive.seal()
        await self._pruning.raise_floors(floors)
        async for removed in self._pruning.remove(floors):
            self._report.rows += removed
            self._advance(removed)
        return len(floors)


def _count(report: Report, kinds: Sequence[Kind]) -> None:
    report.moves += kinds.count("move")
    report.orders += kinds.count("order")
    report.carts += kinds.count("cart")


def _check(flags: PruneFlags) -> None:
    if (flags.older_than is None) == (flags.before is None):
        raise UsageError("say which rows are to go: either --older-than 30d, or --before TIME")
    if not flags.dry_run and (flags.archive is None) != flags.discard:
        raise UsageError(
            "say where the rows are to go, with --archive FILE, or that they are not wanted any "
            "more, with --discard"
        )
    _asked(flags, now_ms=0)


def _asked(flags: PruneFlags, *, now_ms: int) -> int:
    if flags.older_than is not None:
        return now_ms - parse_duration(flags.older_than)
    return parse_time(flags.before or "", now_ms=now_ms)


def _before(flags: PruneFlags, *, now_ms: int) -> int:
    """Return the time from before which rows are to go, by the database's clock."""
    before_ms = _asked(flags, now_ms=now_ms)
    if before_ms > now_ms - _KEPT_MS_MIN:
        raise UsageError(
            "the rows of the last 24 hours must stay: by them repeated requests are recognised"
        )
    return before_ms


def _tell(report: Report, console: Console, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
        return
    _say(Console(), "\n".join(_sentences(report)))
    for unsound in report.unsound:
        _say(console, str(UnsoundError(name=unsound.pool, why=unsound.why)))


def _sentences(report: Report) -> list[str]:
    what = "would be pruned" if report.dry_run else "pruned"
    where = "" if report.archive is None or report.dry_run else f"; they are in {report.archive}"
    counts = (
        (report.moves, "moves"),
        (report.orders, "orders of several lines"),
        (report.carts, "carts"),
    )
    how_many = f"{report.rows:,} rows of {report.pools:,} pools"
    how_many += "".join(f" and {count:,} {what}" for count, what in counts if count)
    told = [f"{how_many}, from before {report.before}, {what}{where}"]
    if report.leftovers:
        told.append(f"{report.leftovers:,} rows that an interrupted prune had left are removed")
    if report.without_snapshots:
        told.append(
            f"{report.without_snapshots:,} pools with such rows have fewer than two snapshots; "
            "`allocator snapshot --all` makes one of each"
        )
    if report.held_back:
        told.append(
            f"{report.held_back:,} pools with such rows wait: their second-newest snapshot, or "
            f"{report.slowest}, has not come so far"
        )
    return told


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
