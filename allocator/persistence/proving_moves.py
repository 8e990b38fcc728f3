"""Proving what may take the place of the rows of moves that have come to their end.

A move is short, and has no snapshots. What bears witness for it is its row of the read model, which
PostgreSQL has made: what the rows give, with their chain of digests checked, has to be that.

The last row stays. It is what shows that the others had been written before some moment.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import asyncpg
import msgspec

from allocator.domain.chains import Chain
from allocator.domain.moves import Move
from allocator.domain.records import GENESIS, Record
from allocator.domain.replay import replay
from allocator.domain.rows import MoveRow
from allocator.domain.snapshots import dump_move
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.lists import move_of
from allocator.persistence.proving import Floor, Terms, UnsoundError, Write, line_of
from allocator.persistence.reader import record_of
from allocator.persistence.statements import statement


class MovesProver:
    """Proves floors for moves of one database.

    Args:
        pool: Of connections.
        terms: What may go.
    """

    def __init__(self, pool: Pool, terms: Terms) -> None:
        self._pool = pool
        self._terms = terms.parameters

    async def prove(
        self, listed: Sequence[asyncpg.Record], write: Write
    ) -> tuple[list[Floor], list[UnsoundError]]:
        """Prove what may take the place of the rows of moves, and have these archived.

        Args:
            listed: The moves as the read model has them.
            write: Takes the lines that are to be archived.

        Raises:
            JournalError: The database does not answer.
        """
        ids = [row["actor_id"] for row in listed]
        async with borrowed(self._pool) as connection:
            found = await connection.fetch(statement("prune_move_rows"), ids, *self._terms)
        rows_of = {key: list(rows) for key, rows in groupby(found, key=itemgetter("actor_id"))}
        floors: list[Floor] = []
        unsound: list[UnsoundError] = []
        for row in listed:
            try:
                floor, lines = _proven(row, rows_of.get(row["actor_id"], []))
            except (ValueError, LookupError, msgspec.MsgspecError) as error:
                unsound.append(UnsoundError(name=f"move {row['actor_id']}", why=str(error)))
            else:
                write(lines)
                floors.append(floor)
        return floors, unsound


def _proven(listed: asyncpg.Record, rows: Sequence[asyncpg.Record]) -> tuple[Floor, bytes]:
    """Return the floor of a move and the lines of the rows that it takes the place of.

    Raises:
        ValueError: Its rows are not sound, or the read model says something else.
    """
    actor_id = listed["actor_id"]
    chain, move = Chain(actor_id=actor_id, seq=0, digest=GENESIS), Move()
    lines: list[bytes] = []
    going: Record | None = None
    state = b""
    for row in rows:
        record = record_of(row)
        chain.check(record)
        replay(move, (record,))
        if not move.ended:
            going, state = record, dump_move(move)
            lines.append(line_of(record, row))
    is_known = (move.version, move.ended) == (listed["version"], True)
    if going is None or not is_known or MoveRow.of(actor_id, move) != move_of(listed):
        raise ValueError("its row in moves is not what the journal gives")
    floor = Floor(actor_id=actor_id, after=0, seq=going.seq, digest=going.digest, state=state)
    return floor, b"".join(lines)
