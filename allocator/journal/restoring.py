"""`restore`: an installation as it was, in another database."""

import asyncio
import sys
import time
from contextlib import aclosing
from datetime import datetime
from typing import Final

import msgspec
from rich.console import Console

from allocator.domain.positions import Position, PositionError
from allocator.errors import JournalError, UsageError
from allocator.journal.aftermath import Aftermath, aftermath_of, in_words
from allocator.journal.command import DONE, Source
from allocator.journal.importing import SWITCH_S
from allocator.journal.output import Output
from allocator.journal.pace import Pace, pace_on
from allocator.journal.sources import database
from allocator.journal.times import parse_time, text_of, time_of
from allocator.persistence.behind import behind
from allocator.persistence.connections import FAILURES, Connection, connect
from allocator.persistence.cuts import Cut, cut_for, first_cut
from allocator.persistence.installation import find_installation
from allocator.persistence.statements import statement
from allocator.persistence.transfer.arrival import Arrival, open_arrival
from allocator.persistence.transfer.departure import Departure, open_departure
from allocator.persistence.transfer.format import Reached, advanced

_NAME: Final = "allocator restore"
_PRINCIPAL: Final = "cli:restore"
_TIMEOUT_S: Final = 600.0
_encode: Final = msgspec.json.Encoder().encode


class RestoreFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as it was typed.

    Attributes:
        into: A database; None only to look.
    """

    to: str
    into: str | None
    start_over: bool
    as_json: bool


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        asked: For which moment.
        era: With `xid` the moment that was taken: all of former eras, and of this one what is
            below.
        at: When that was recorded, if it was asked for by its time.
        restored: Whether it was done, and not only looked at.
        aftermath: What lies behind.
    """

    asked: str
    era: int
    xid: int
    at: datetime | None
    restored: bool
    events: int
    tables: dict[str, int]
    seconds: float
    aftermath: Aftermath


class _Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A cut, and what lies behind it."""

    cut: Cut
    asked_ms: int | None
    aftermath: Aftermath


def run_restore(flags: RestoreFlags, source: Source) -> int:
    """Restore an installation into another database; return the exit code.

    Raises:
        UsageError: There is no such moment, or the other database is not empty.
        JournalError: A database does not answer.
    """
    output = Output(sys.stdout, sys.stderr)
    sys.setswitchinterval(SWITCH_S)
    with database(**msgspec.structs.asdict(source)) as url:
        chosen = asyncio.run(_choose(url, flags))
        output.warn(_moment_in_words(chosen))
        began_s, reached = time.monotonic(), Reached()
        if flags.into is not None:
            try:
                with pace_on(Console(stderr=True), "restoring") as pace:
                    reached = asyncio.run(_restore(url, flags, chosen.cut, pace=pace))
            except KeyboardInterrupt:
                output.warn("what is stored stays: the same command goes on from there")
                raise
    restored = Restored(
        asked=flags.to,
        era=chosen.cut.era,
        xid=chosen.cut.xid,
        at=None if chosen.cut.at_ms is None else time_of(chosen.cut.at_ms),
        restored=flags.into is not None,
        events=reached.rows,
        tables=reached.tables,
        seconds=round(time.monotonic() - began_s, 3),
        aftermath=chosen.aftermath,
    )
    _tell(restored, output, as_json=flags.as_json)
    return DONE


def _tell(restored: Restored, output: Output, *, as_json: bool) -> None:
    if as_json:
        output.show([_encode(restored).decode()])
        return
    for line in in_words(restored.aftermath):
        output.warn(line)
    if restored.restored:
        output.warn(
            f"restored {restored.events:,} events and {sum(restored.tables.values()):,} other rows "
            f"in {restored.seconds:,.1f} s; `allocator serve` goes on from there, in era "
            f"{restored.era + 1}"
        )
    else:
        output.warn("nothing was restored: --into names the database to restore into")


async def _choose(url: str, flags: RestoreFlags) -> _Chosen:
    connection = await connect(url, application_name=_NAME, timeout_s=_TIMEOUT_S)
    try:
        installation = await find_installation(connection)
        if flags.into is not None:
            await _refuse_same(connection, flags.into)
        asked_ms = None
        cut = _cut_of(flags.to)
        if cut is None:
            asked_ms = parse_time(flags.to, now_ms=time.time_ns() // 1_000_000)
            cut = await _cut_for(connection, asked_ms)
        found = await behind(connection, cut)
    except FAILURES as error:
        raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error
    finally:
        connection.terminate()
    aftermath = aftermath_of(found, id_secret=installation.id_secret)
    return _Chosen(cut=cut, asked_ms=asked_ms, aftermath=aftermath)


def _cut_of(asked: str) -> Cut | None:
    """Return the cut behind the transaction of a position, None if it is none."""
    try:
        position = Position.of(asked)
    except PositionError:
        return None
    return Cut(era=position.era, xid=position.xid + 1)


async def _cut_for(connection: Connection, at_ms: int) -> Cut:
    cut = await cut_for(connection, at_ms)
    if cut is not None:
        return cut
    first = await first_cut(connection)
    since = "" if first is None else f", the first one is of {text_of(first.at_ms or 0)}"
    raise UsageError(
        f"no moment at or before {text_of(at_ms)} was recorded{since}: name a later one, or a "
        "position as `allocator journal tail --json` shows it"
    )


async def _refuse_same(connection: Connection, into: str) -> None:
    """Insist on another database: nothing is ever restored in place."""
    other = await connect(into, application_name=_NAME)
    try:
        here = await connection.fetchrow(statement("whereabouts"))
        there = await other.fetchrow(statement("whereabouts"))
    finally:
        other.terminate()
    if here == there:
        raise UsageError(
            "--into names the very database that is to be restored: a restore never happens in "
            "place, name an empty one"
        )


async def _restore(url: str, flags: RestoreFlags, cut: Cut, *, pace: Pace) -> Reached:
    assert flags.into is not None
    async with (
        open_departure(url, cut=cut) as departure,
        open_arrival(flags.into, principal=_PRINCIPAL) as arrival,
    ):
        if not await arrival.begin(departure.header, start_over=flags.start_over):
            return arrival.reached
        if arrival.reached.position is None:
            await arrival.start_again()
        await _pump(departure, arrival, pace=pace)
        await arrival.finish(is_copy=True)
        return arrival.reached


async def _pump(departure: Departure, arrival: Arrival, *, pace: Pace) -> None:
    before = reached = arrival.reached
    async with aclosing(departure.pieces(before)) as pieces:
        async for piece in pieces:
            first_line, reached = reached.lines + 1, advanced(reached, piece)
            await arrival.take(piece.content, first_line=first_line, reached=reached)
            pace.show(
                events=reached.rows - before.rows, done=reached.rows, total=departure.rows_about
            )


def _moment_in_words(chosen: _Chosen) -> str:
    cut = chosen.cut
    if chosen.asked_ms is None or cut.at_ms is None:
        return f"to the end of transaction {cut.xid - 1} of era {cut.era}"
    if cut.at_ms > chosen.asked_ms:
        return f"to the present: nothing has happened since {text_of(chosen.asked_ms)}"
    before_ms = chosen.asked_ms - cut.at_ms
    return f"to {text_of(cut.at_ms)}, the newest moment recorded by then, {before_ms:,} ms before"
