"""Ticket options: what each was opened with, from the journal, and who bought, from the lists."""

from collections.abc import Sequence

from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.messages import TicketOptionOpened
from allocator.domain.rows import Page, PurchaseRow
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement


class PostgresTickets:
    """What can be asked of the database about ticket options, beside the actors."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reader = JournalReader(pool)

    async def option(self, actor_id: int) -> TicketOptionOpened | None:
        """Return what a ticket option was opened with, or None if the actor is none.

        Raises:
            JournalError: The database does not answer.
        """
        rows = await self._reader.page(actor_id, after_seq=0, limit=1)
        if not rows:
            return None
        first = rows[0]
        try:
            event = decode_event(kind=first.kind, version=first.version, body=first.body)
        except UnknownEventError:  # of a table, or of a newer release
            return None
        return event if isinstance(event, TicketOptionOpened) else None

    async def purchases(self, actor_id: int, page: Page) -> Sequence[PurchaseRow]:
        """List the purchases of a ticket option, oldest first.

        Raises:
            JournalError: The database does not answer.
        """
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(
                statement("list_purchases"), actor_id, page.after[1], page.limit
            )
        return [
            PurchaseRow(
                seq=row["seq"],
                customer=row["customer"] or "",
                quantity=row["quantity"],
                created_at_ms=row["created_at"],
            )
            for row in rows
        ]
