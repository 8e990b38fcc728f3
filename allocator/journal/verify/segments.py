"""A window, taken apart by actor."""

from collections import defaultdict
from collections.abc import Iterator

import msgspec

from allocator.persistence.windows import Row, Rows, Window


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """What a window holds of one actor.

    Attributes:
        actor: What is known of it; None if nobody knows it.
        thing: Its row in an ordinary table, if it has one.
        journal, orders, stocks, snapshots: Its rows in this window, by seq.
        floor, below, live: As in `Window`; `live` for an actor that begins in it.
        ends: Whether no row of it stands behind this window.
    """

    actor_id: int
    actor: Row | None
    thing: Row | None
    journal: Rows
    orders: Rows
    stocks: Rows
    snapshots: Rows
    floor: Row | None
    below: Rows
    live: Rows
    ends: bool

    @property
    def version(self) -> int:
        """Up to which its read models had come."""
        return 0 if self.actor is None else int(self.actor["version"])

    def journal_above(self, seq: int) -> Rows:
        """Return the rows of the journal above a seq: what is at or below a floor is no more."""
        rows = self.journal
        if not rows or rows[0]["seq"] > seq:
            return rows
        return [row for row in rows if row["seq"] > seq]


def segments(window: Window) -> Iterator[Segment]:
    """Yield what a window holds, actor by actor, ascending."""
    journal, orders = _by_actor(window.journal), _by_actor(window.orders)
    stocks, snapshots = _by_actor(window.stocks), _by_actor(window.snapshots)
    for actor_id in sorted({*window.actors, *journal, *orders, *stocks, *snapshots}):
        own_stocks = stocks.get(actor_id, ())
        yield Segment(
            actor_id=actor_id,
            actor=window.actors.get(actor_id),
            thing=window.things.get(actor_id),
            journal=journal.get(actor_id, ()),
            orders=orders.get(actor_id, ()),
            stocks=own_stocks,
            snapshots=snapshots.get(actor_id, ()),
            floor=window.floors.get(actor_id),
            below=window.below.get(actor_id, ()),
            live=window.live.get(actor_id, own_stocks),
            ends=actor_id < window.end[0] or window.is_last,
        )


def _by_actor(rows: Rows) -> dict[int, Rows]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["actor_id"]].append(row)
    return dict(found)
