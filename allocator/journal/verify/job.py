"""What one process does with a range of actors: audit it, mend what can be mended, audit that."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import msgspec

from allocator.journal.verify.faults import DERIVED, Fault, Faults, Kind, Subject
from allocator.journal.verify.holds import HoldsAudit
from allocator.journal.verify.pools import PoolAudit
from allocator.journal.verify.ranges import Range, RangeAudit
from allocator.persistence.windows import Windows


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask.

    Attributes:
        url: Without a path.
        key: An API key, or None.
    """

    url: str
    key: str | None


class Mending(Protocol):
    """Makes again what was derived; `Rebuilding` does."""

    async def snapshots(self, actor_id: int, seqs: list[int]) -> None:
        """Drop snapshots that are wrong, and make a new one."""

    async def wake_up(self, actor_id: int) -> None:
        """Store when an actor wants to be woken."""

    async def read_models(self, actor_id: int) -> None:
        """Rebuild the orders, the stocks and the balance of a pool."""

    async def move(self, actor_id: int) -> None:
        """Make the row of a move again."""

    async def order(self, actor_id: int) -> None:
        """Make the rows of an order of several lines again."""

    async def cart(self, actor_id: int) -> None:
        """Make the rows of a cart again, and of the order that it has become."""


class Asking(Protocol):
    """Asks a server for balances; `ServerAudit` does."""

    async def compare(self, pools: Sequence[PoolAudit]) -> None:
        """Compare pools that have been audited to the end of their journals."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of so many parts of the processes for which pools hold units, from 0."""

    part: int
    parts: int


Task: TypeAlias = Range | Part


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a range, or of a part.

    Attributes:
        actors, events: How many there were in a range.
        has_moved: Whether there were units that moved: what several ranges say of them has yet to
            be compared.
        has_held: Whether units were held for processes, likewise.
        told: Faults one by one.
        counts: All of them, by kind; `mended` those of them that are no more.
    """

    actors: int = 0
    events: int = 0
    has_moved: bool = False
    has_held: bool = False
    told: tuple[Fault, ...]
    counts: dict[Kind, int]
    mended: dict[Kind, int]

    @classmethod
    def of(cls, faults: Faults, audit: RangeAudit | None = None, *, actors: int = 0) -> "Report":
        """Return what came of an audit."""
        return cls(
            actors=actors,
            events=0 if audit is None else audit.events,
            has_moved=audit is not None and audit.has_moved,
            has_held=audit is not None and audit.has_held,
            told=tuple(faults.told),
            counts=dict(faults.counts),
            mended=dict(faults.mended),
        )


class Auditor:
    """Audits ranges and parts.

    Args:
        windows: On the database.
        rebuilding: Mends what is derived, if that is asked for.
        server: Is asked for its balances, if that is.
        advance: Is told of events that have been audited.
    """

    def __init__(
        self,
        windows: Windows,
        *,
        rebuilding: Mending | None,
        server: Asking | None,
        advance: Callable[[int], None],
    ) -> None:
        self._windows = windows
        self._rebuilding = rebuilding
        self._server = server
        self._advance = advance

    async def audit(self, task: Task) -> Report:
        """Audit a range, or what lies between the actors of all ranges.

        Raises:
            JournalError: The database does not answer.
            AllocatorError: The server does not.
        """
        if isinstance(task, Range):
            return await self._audit_range(task)
        audit = HoldsAudit(self._windows)
        await audit.run(part=task.part, parts=task.parts)
        return Report.of(audit.faults)

    async def _audit_range(self, range_: Range) -> Report:
        audit = RangeAudit(self._windows, advance=self._advance)
        async for pools in audit.run(range_.first, range_.last):
            if self._server is not None:
                await self._server.compare(pools)
        faults = audit.faults
        for subject in audit.subjects:
            if self._rebuilding is not None and subject.wrong and not subject.is_damaged:
                still_wrong = await self._mend(subject, self._rebuilding)
                faults.mend(subject.actor_id, frozenset(subject.wrong) - still_wrong)
        return Report.of(faults, audit, actors=range_.actors)

    async def _mend(self, subject: Subject, rebuilding: Mending) -> frozenset[Kind]:
        """Make again what is wrong; return the kinds of what still is."""
        actor_id = subject.actor_id
        if seqs := subject.wrong.get("snapshot"):
            await rebuilding.snapshots(actor_id, seqs)
        if "wake_up" in subject.wrong:
            await rebuilding.wake_up(actor_id)
        if subject.wrong.keys() & DERIVED - {"snapshot", "wake_up"}:
            match subject.sort:
                case "move":
                    await rebuilding.move(actor_id)
                case "order":
                    await rebuilding.order(actor_id)
                case "cart":
                    await rebuilding.cart(actor_id)
                case _:
                    await rebuilding.read_models(actor_id)
        again = RangeAudit(self._windows, advance=lambda _events: None)
        async for _ in again.run(actor_id, actor_id):
            pass
        return frozenset(again.faults.counts)
