"""A range of actors, one after the other, in windows of bounded size."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.catalogue import pool_key
from allocator.domain.feeds import Feed
from allocator.domain.ids import SHARD_MASK, shard_of
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.journal.verify.carts import CARTS
from allocator.journal.verify.faults import Faults, Subject
from allocator.journal.verify.feeds import FEEDS
from allocator.journal.verify.lines import ORDERS
from allocator.journal.verify.moves import MOVES
from allocator.journal.verify.pools import PoolAudit
from allocator.journal.verify.processes import ProcessAudit
from allocator.journal.verify.segments import Segment, segments
from allocator.journal.verify.things import EVENTS_OF, ThingAudit, UnknownAudit
from allocator.persistence.windows import EVERYBODY, NOBODY, Measured, Row, Windows

Audit: TypeAlias = (
    PoolAudit
    | ProcessAudit[Move]
    | ProcessAudit[Order]
    | ProcessAudit[Cart]
    | ProcessAudit[Feed]
    | ThingAudit
    | UnknownAudit
)

_ACTORS_MAX: Final = 5_000
_EVENTS: Final = 100_000
"""Events of one range, unless a single actor has more: some tenths of a second's work."""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Actors from one to another, about so many events."""

    first: int
    last: int
    actors: int
    events: int


async def divided(measured: AsyncIterator[Sequence[Measured]]) -> list[Range]:
    """Return ranges that cover all actors there can be, the largest first.

    A large actor is one of its own, so that whoever has it does nothing else.
    """
    ranges: list[Range] = []
    first, last, actors, events = NOBODY, NOBODY, 0, 0

    def close(up_to: int) -> None:
        nonlocal first, actors, events
        ranges.append(Range(first=first, last=up_to, actors=actors, events=events))
        first, actors, events = up_to + 1, 0, 0

    async for some in measured:
        for one in some:
            if actors and (events + one.events > _EVENTS or actors == _ACTORS_MAX):
                close(last)
            last, actors, events = one.actor_id, actors + 1, events + one.events
    close(EVERYBODY)
    return sorted(ranges, key=lambda each: -each.events)


class RangeAudit:
    """Audits the actors of a range.

    Attributes:
        events: How many have been audited.
        faults: What is wrong.
        subjects: Those of which something is.
        has_moved: Whether anything moved from one place to another, or was to.
        has_held: Whether anything was held for a process, or was to be.
    """

    def __init__(self, windows: Windows, *, advance: Callable[[int], None]) -> None:
        self.events = 0
        self.faults = Faults()
        self.subjects: list[Subject] = []
        self.has_moved = self.has_held = False
        self._windows = windows
        self._advance = advance
        self._under_way: Audit | None = None

    async def run(self, first: int, last: int) -> AsyncIterator[list[PoolAudit]]:
        """Audit all of them; yield pools that have ended, window by window."""
        async for window in self._windows.over(first, last):
            ended: list[PoolAudit] = []
            for segment in segments(window):
                audit = self._audit_of(segment)
                await audit.take(segment)
                if segment.ends:
                    self._end(audit, segment)
                    if isinstance(audit, PoolAudit):
                        ended.append(audit)
                else:
                    self._under_way = audit
            yield ended
            self.events += len(window.journal)
            self._advance(len(window.journal))

    def _audit_of(self, segment: Segment) -> Audit:
        """Return the audit that is under way for an actor, or a new one."""
        audit, self._under_way = self._under_way, None
        goes_on = audit is not None and audit.subject.actor_id == segment.actor_id
        if audit is not None and goes_on and segment.floor is None:
            return audit  # with a floor it was pruned while we read: what is left begins there
        actor = segment.actor
        key = f"actor {segment.actor_id}" if actor is None else actor["key"]
        subject = Subject(segment.actor_id, key, self.faults)
        if actor is None:
            self._is_unknown(subject, segment)
            return UnknownAudit(subject)
        _check_place(subject, actor, segment.thing)
        return self._audit_of_kind(actor["kind"], subject, segment)

    def _audit_of_kind(self, kind: str, subject: Subject, segment: Segment) -> Audit:
        audit: Audit
        match kind:
            case "pool":
                audit = PoolAudit(subject, segment, self._windows)
            case "move":
                audit = ProcessAudit(subject, segment, MOVES)
            case "order":
                audit = ProcessAudit(subject, segment, ORDERS)
            case "cart":
                audit = ProcessAudit(subject, segment, CARTS)
            case "feed":
                audit = ProcessAudit(subject, segment, FEEDS)
            case _ if kind in EVENTS_OF:
                audit = ThingAudit(subject, kind)
            case _:
                message = f"this release knows no actors of kind {kind!r}"
                subject.is_wrong("unknown_actor", message, table="actors")
                audit = UnknownAudit(subject)
        return audit

    def _is_unknown(self, subject: Subject, segment: Segment) -> None:
        for table in ("journal", "orders", "stocks"):
            rows = getattr(segment, table)
            if rows:
                message = f"{table} has rows of it, and there is no such actor"
                subject.is_wrong("unknown_actor", message, table=table, seq=rows[0]["seq"])

    def _end(self, audit: Audit, segment: Segment) -> None:
        audit.end(segment)
        self.has_moved = self.has_moved or audit.has_moved
        self.has_held = self.has_held or audit.has_held
        if audit.subject.wrong or audit.subject.is_damaged:
            self.subjects.append(audit.subject)


def _check_place(subject: Subject, actor: Row, thing: Row | None) -> None:
    """Check that an actor's id, its key and its row in a table belong together."""
    key, shard = actor["key"], actor["id"] & SHARD_MASK
    is_named = thing is not None or actor["warehouse"] is not None
    if not is_named and key == f"{actor['kind']}:{actor['id']}":
        return  # it came into being with its first event, on whatever shard
    if shard != shard_of(key):
        subject.is_wrong(
            "wrong_actor",
            f"its id says shard {shard}, and its key belongs to another",
            table="actors",
            expected=shard_of(key),
            found=shard,
        )
    if actor["is_move"] and actor["kind"] != "move":
        subject.is_wrong("wrong_actor", "moves has a row of it, and it is none", table="moves")
    if actor["order_row"] is not None and actor["kind"] not in {"order", "cart"}:
        message = "process_orders has a row of it, and it is none"
        subject.is_wrong("wrong_actor", message, table="process_orders")
    if actor["cart_row"] is not None and actor["kind"] != "cart":
        subject.is_wrong("wrong_actor", "carts has a row of it, and it is none", table="carts")
    named = None if thing is None else thing["key"]
    if actor["kind"] == "pool":
        has_pool = actor["warehouse"] is not None
        named = pool_key(actor["warehouse"], actor["product"] or "") if has_pool else None
    if named is None and (actor["kind"] == "pool" or thing is not None):
        subject.is_wrong("wrong_actor", "pools has no row of it", table="pools", expected=key)
    elif named is not None and named != key:
        message = "its key is not that of its row"
        subject.is_wrong("wrong_actor", message, table="actors", expected=named, found=key)


def total_events(ranges: Iterable[Range]) -> int:
    """Return about how many events there are in all of them."""
    return sum(each.events for each in ranges)
