"""All that is known after a soak: what clients remember beside what the journal says."""

from collections.abc import Sequence

import msgspec

from allocator.simulation.linearizability import Call
from bench.chaos_history import Numbers, Operation, effect_call, sighting_calls
from bench.chaos_ledger import Book, Row
from bench.chaos_pool import Effect, PoolAsk, Sighting
from bench.chaos_witness import Timeline


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An event as GET /journal shows it, as far as it can be compared."""

    seq: int
    kind: str
    idempotency_key: str | None


class ShownOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as GET /orders/{id} shows it."""

    customer: str | None
    quantity: int
    status: str


class PoolEvidence:
    """One pool.

    Args:
        product: Its product.
        operations: What clients wanted of it.
        rows: Its journal in the database, in order.
        listed: Its journal as the API shows it.
        numbers: Its balance in the end; None: it was not shown.

    Attributes:
        book: The journal, added up.
        by_key: The operations.
        effects: The journal as calls, with the times that clients remember.
        sightings: What refusals and readings claimed.
        timeline: The versions that the effects make.
    """

    def __init__(
        self,
        product: str,
        *,
        operations: Sequence[Operation],
        rows: Sequence[Row],
        listed: Sequence[Listed],
        numbers: Numbers | None,
    ) -> None:
        self.product = product
        self.operations = operations
        self.rows = rows
        self.listed = listed
        self.numbers = numbers
        self.book = Book(rows)
        self.by_key = {operation.key: operation for operation in operations}
        self.effects = [self._effect_of(row) for row in rows]
        self.sightings = [call for each in operations for call in sighting_calls(each)]
        self.timeline = Timeline(self.effects)

    @property
    def calls(self) -> list[Call[PoolAsk]]:
        """The history as the clients alone know it, for a search without the journal."""
        known: list[Call[Effect] | Call[Sighting]] = []
        for operation in self.operations:
            effect = effect_call(operation)
            known += [] if effect is None else [effect]
            known += sighting_calls(operation)
        return [
            Call(ask=call.ask, asked_ns=call.asked_ns, answered_ns=call.answered_ns)
            for call in known
        ]

    def _effect_of(self, row: Row) -> Call[Effect]:
        operation = self.by_key.get(row.idempotency_key or "")
        call = None if operation is None else effect_call(operation)
        return Call(
            ask=self.book.effect(row),
            # A row that nobody can have caused is the matter of another claim.
            asked_ns=0 if call is None else call.asked_ns,
            answered_ns=None if call is None else call.answered_ns,
        )


class Evidence(msgspec.Struct, kw_only=True):
    """A soak, or a round of it.

    Attributes:
        shown: What the API shows in the end for each acknowledged order, by id; None: not found.
        repeated: The ids that keys of acknowledged orders were answered with in the end, by key;
            empty: it was no success.
        unexpected: Answers that the contract has no room for.
        unexplained_ends: Ends of the server that nobody had caused.
    """

    pools: Sequence[PoolEvidence]
    shown: dict[str, ShownOrder | None] = {}
    repeated: dict[str, str] = {}
    unexpected: Sequence[str] = ()
    unexplained_ends: Sequence[str] = ()
