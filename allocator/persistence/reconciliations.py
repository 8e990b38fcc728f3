"""What was found different between warehouse systems and us, as the journal has it."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from allocator.domain.codec import decode_event
from allocator.domain.reconciling import LotReconciled
from allocator.feeding.history import ENDLESS, Place, Reconciliation
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

_LAST: Final = Place(253_402_300_800_000, ENDLESS, ENDLESS)
"""After everything: its time is the year 10000."""


class PostgresReconciliations:
    """Lists them from the journal, as far back as that is kept."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def reconciliations(
        self, feed: int, *, before: Place | None, limit: int, pool: int | None
    ) -> Sequence[Reconciliation]:
        """Return those of a feed, or of one of its pools, the newest first."""
        begin = before or _LAST
        async with borrowed(self._pool) as connection:
            if pool is not None:
                rows = await connection.fetch(
                    statement("list_reconciliations_of"), pool, begin.seq, limit
                )
            else:
                place = (begin.at_ms, begin.actor_id, begin.seq)
                rows = await connection.fetch(
                    statement("list_reconciliations"), feed, *place, limit
                )
        return [_reconciliation_of(row) for row in rows]


def _reconciliation_of(row: asyncpg.Record) -> Reconciliation:
    event = decode_event(kind="lot_reconciled", version=row["version"], body=row["body"])
    assert isinstance(event, LotReconciled)
    return Reconciliation(
        place=Place(row["at"], row["actor_id"], row["seq"]), product=row["product"], event=event
    )
