"""Units that pools hold for processes, and orders that they made of them, held to both journals.

Which units are whose is known from journals of several actors, each of which is sound by itself.
They are compared process by process, as they were at one moment, so that what is under way
meanwhile is no fault.
"""

from collections.abc import AsyncIterator
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.codec import UnknownEventError, decoder_of
from allocator.domain.kinds import Event
from allocator.domain.laws_between import Dealings, Keeping
from allocator.domain.laws_of_carts import unlawful_of_cart
from allocator.domain.laws_of_orders import unlawful_of_order
from allocator.domain.orders import Order
from allocator.journal.verify.actors import Decoders
from allocator.journal.verify.faults import Faults, Subject
from allocator.persistence.windows import Row, Windows

_PROCESS: Final = itemgetter("process")

Reads: TypeAlias = list[tuple[Row, Event]]


class HoldsAudit:
    """Compares what processes say of the units that they lead with what pools say.

    Attributes:
        rows: How many have been compared.
        faults: What is wrong.
    """

    def __init__(self, windows: Windows) -> None:
        self.rows = 0
        self.faults = Faults()
        self._windows = windows
        self._decoders: Decoders = {}

    async def run(self, *, part: int, parts: int) -> None:
        """Compare one of so many parts of the processes.

        Raises:
            JournalError: The database does not answer.
        """
        async for rows in self._by_process(part=part, parts=parts):
            self.rows += len(rows)
            for wrong in await self._wrong(rows):
                process, kind = rows[0]["process"], rows[0]["process_kind"]
                Subject(process, f"{kind}:{process}", self.faults).is_wrong("hold", wrong)

    async def _by_process(self, *, part: int, parts: int) -> AsyncIterator[list[Row]]:
        """Yield the rows of one process after the other."""
        begun: list[Row] = []
        async for page in self._windows.holds(part=part, parts=parts):
            for _, rows in groupby(page, key=_PROCESS):
                own = list(rows)
                if begun and _PROCESS(begun[0]) != _PROCESS(own[0]):
                    yield begun
                    begun = []
                begun += own
        if begun:
            yield begun

    async def _wrong(self, rows: list[Row]) -> list[str]:
        """Say what is wrong with a process; nothing if its own journal is, which is told of it."""
        process = _PROCESS(rows[0])
        try:
            reads = [(row, self._event(row)) for row in rows]
        except (UnknownEventError, msgspec.DecodeError):
            return []
        own = [read for read in reads if read[0]["actor_id"] == process]
        others = [read for read in reads if read[0]["actor_id"] != process]
        if not own:
            pools = len({row["actor_id"] for row, _ in others})
            return [f"{pools} pools have been asked for it, and nobody began it"]
        dealings = _dealings_of(own)
        return [] if dealings is None else await self._contradictions(dealings, others)

    async def _contradictions(self, dealings: Dealings, others: Reads) -> list[str]:
        pools = {*dealings.promised, *(row["actor_id"] for row, _ in others)}
        keepings = {pool: Keeping(pool, dealings) for pool in pools}
        for row, event in others:
            keepings[row["actor_id"]].take(event)
        whys = {pool: kept.unasked or kept.contradicts() for pool, kept in keepings.items()}
        found = {pool: why for pool, why in whys.items() if why}
        # Of a pool that was pruned some rows are not there; those that are have to be right.
        doubtful = [pool for pool in found if not keepings[pool].unasked]
        floored = await self._windows.floored(doubtful) if doubtful else frozenset()
        return [why for pool, why in sorted(found.items()) if pool not in floored]

    def _event(self, row: Row) -> Event:
        name = row["kind"], row["version"]
        decode = self._decoders.get(name)
        if decode is None:
            decode = self._decoders[name] = decoder_of(kind=name[0], version=name[1])
        return decode(row["body"])


def _dealings_of(own: Reads) -> Dealings | None:
    """Return what a process says; None if its rows are not sound."""
    state = Order() if own[0][0]["process_kind"] == "order" else Cart()
    dealings = Dealings(state)
    for number, (row, event) in enumerate(own, start=1):
        why = (
            unlawful_of_order(state, event)
            if isinstance(state, Order)
            else unlawful_of_cart(state, event)
        )
        if why or row["seq"] != number:
            return None
        dealings.take(number, row["at"], event)
    return dealings
