"""Proving what may take the place of the rows of processes that have come to their end.

A move, an order of several lines, or a cart, is short, and has no snapshots. What bears witness for
it is what the read model says of it, which PostgreSQL has made: what the rows give, with their
chain of digests checked, has to be that.

The last row stays. It is what shows that the others had been written before some moment.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

import asyncpg
import msgspec

from allocator.domain.carts import Cart
from allocator.domain.chains import Chain
from allocator.domain.kinds import Kind, State, blank, dump, has_ended
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.domain.records import GENESIS, Record
from allocator.domain.replay import replay
from allocator.domain.rows import CartRow, MoveRow, ProcessOrderRow
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.proving import Floor, Terms, UnsoundError, Write, line_of
from allocator.persistence.reader import record_of
from allocator.persistence.statements import statement

_Told: TypeAlias = MoveRow | ProcessOrderRow | CartRow

_TABLES: Final[dict[Kind, str]] = {"move": "moves", "order": "process_orders", "cart": "carts"}


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A process that has come to its end.

    Attributes:
        kind: Of its actor.
        version: With its last row.
        told: All that the read model says of it; None if that makes no sense.
    """

    kind: Kind
    actor_id: int
    version: int
    told: _Told | None


class ProcessesProver:
    """Proves floors for processes of one database.

    Args:
        pool: Of connections.
        terms: What may go.
    """

    def __init__(self, pool: Pool, terms: Terms) -> None:
        self._pool = pool
        self._terms = terms.parameters

    async def prove(
        self, listed: Sequence[Ended], write: Write
    ) -> tuple[list[Floor], list[UnsoundError]]:
        """Prove what may take the place of the rows of processes, and have these archived.

        Args:
            listed: They.
            write: Takes the lines that are to be archived.

        Raises:
            JournalError: The database does not answer.
        """
        ids = [each.actor_id for each in listed]
        async with borrowed(self._pool) as connection:
            found = await connection.fetch(statement("prune_process_rows"), ids, *self._terms)
        rows_of = {key: list(rows) for key, rows in groupby(found, key=itemgetter("actor_id"))}
        floors: list[Floor] = []
        unsound: list[UnsoundError] = []
        for each in listed:
            try:
                floor, lines = _proven(each, rows_of.get(each.actor_id, []))
            except (ValueError, LookupError, msgspec.MsgspecError) as error:
                name = f"{each.kind} {each.actor_id}"
                unsound.append(UnsoundError(name=name, why=str(error)))
            else:
                write(lines)
                floors.append(floor)
        return floors, unsound


def _proven(ended: Ended, rows: Sequence[asyncpg.Record]) -> tuple[Floor, bytes]:
    """Return the floor of a process and the lines of the rows that it takes the place of.

    Raises:
        ValueError: Its rows are not sound, or the read model says something else.
    """
    actor_id = ended.actor_id
    chain, process = Chain(actor_id=actor_id, seq=0, digest=GENESIS), blank(ended.kind)
    lines: list[bytes] = []
    going: Record | None = None
    state = b""
    for row in rows:
        record = record_of(row)
        chain.check(record)
        replay(process, (record,))
        if record.seq < rows[-1]["seq"]:
            going, state = record, dump(process)
            lines.append(line_of(record, row))
    is_known = (process.version, has_ended(process)) == (ended.version, True)
    if going is None or not is_known or _row_of(actor_id, process) != ended.told:
        raise ValueError(f"its row in {_TABLES[ended.kind]} is not what the journal gives")
    floor = Floor(actor_id=actor_id, after=0, seq=going.seq, digest=going.digest, state=state)
    return floor, b"".join(lines)


def _row_of(actor_id: int, process: State) -> _Told | None:
    match process:
        case Move():
            return MoveRow.of(actor_id, process)
        case Order():
            return ProcessOrderRow.of(actor_id, process)
        case Cart():
            return CartRow.of(actor_id, process)
        case _:
            return None
