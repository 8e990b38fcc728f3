"""What is kept of feeds, in memory: standings, pushes, pages and what pools were told."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from allocator.domain.fed import Code
from allocator.domain.positions import Position
from allocator.domain.pushes import Account, Line
from allocator.domain.reconciling import Statement
from allocator.feeding.ports import Heard, Made, Numbers, Settling, Standing, Stated
from allocator.feeding.told import Applied, Event, Snapshot
from allocator.persistence.memory.locks import Lock
from allocator.wms.interface import Push, PushLine


class PoolRow(msgspec.Struct, kw_only=True):
    """A pool of a feed.

    Attributes:
        applied: By code, what we were committed to in the last push that is applied.
        said: By code, what was said last, and in which run.
    """

    account: Account | None = None
    applied: dict[Code, int] = {}
    short: int = 0
    said: dict[Code, tuple[int, Heard]] = {}


class PushRow(msgspec.Struct, frozen=True, kw_only=True):
    """A push, and whose it is."""

    actor_id: int
    push: Push
    lines: tuple[Line, ...]


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and whether it is yet to be worked off."""

    event: Event
    is_waiting: bool = True


class FeedRow:
    """A feed.

    Attributes:
        lock: Held by whoever numbers pushes, or takes applied ones in.
        pushes: By number, ascending; those that are applied are gone.
        events: The newest of each batch. `parts`: of snapshots, by as of when and number.
    """

    def __init__(self, actor_id: int, warehouse: str, position: Position) -> None:
        self.actor_id = actor_id
        self.warehouse = warehouse
        self.position = position
        self.numbered = self.acknowledged = self.applied = self.last_settling = 0
        self.settling: Settling | None = None
        self.is_on = True
        self.numbers: Numbers = "new"
        self.kept_by: str | None = None
        self.lock = Lock()
        self.pushes: dict[int, PushRow] = {}
        self.pools: defaultdict[int, PoolRow] = defaultdict(PoolRow)
        self.events: dict[tuple[int, Code], EventRow] = {}
        self.parts: dict[tuple[int, int], tuple[Snapshot, bytes]] = {}

    def standing(self) -> Standing:
        """Return how far it has come."""
        waiting = (
            row.push.at_ms for number, row in self.pushes.items() if number > self.acknowledged
        )
        return Standing(
            actor_id=self.actor_id,
            warehouse=self.warehouse,
            position=self.position,
            numbered=self.numbered,
            acknowledged=self.acknowledged,
            applied=self.applied,
            is_on=self.is_on,
            numbers=self.numbers,
            kept_by=self.kept_by,
            waiting_since_ms=next(waiting, None),
            shortfall=sum(max(0, pool.short) for pool in self.pools.values()),
            is_told=any(each.is_waiting for each in self.events.values()) or bool(self.parts),
        )

    def put(self, made: Made, *, after: Position, at_ms: int) -> None:
        """Number pushes and advance the position."""
        self.position = after
        for account in made.accounts:
            self.pools[account.actor_id].account = copy_of(account)
        for actor_id, sku, lines in made.pushes:
            self.numbered += 1
            decoded = msgspec.json.decode(lines, type=tuple[Line, ...])
            push = Push(number=self.numbered, sku=sku, lines=_told(decoded), at_ms=at_ms)
            self.pushes[self.numbered] = PushRow(actor_id=actor_id, push=push, lines=decoded)

    def fold(self, through: int) -> None:
        """Take pushes into the pools that the WMS has applied."""
        for number in [number for number in self.pushes if number <= through]:
            row = self.pushes.pop(number)
            if number > self.applied:
                applied = {line.code: line.after for line in row.lines}
                pool = self.pools[row.actor_id]
                pool.applied = {**pool.applied, **applied}
        self.applied = through
        self.acknowledged = max(self.acknowledged, through)

    def applied_with(self, actor_id: int, through: int) -> Applied:
        """Return what was applied of a pool's decreases with a push."""
        pool = self.pools.get(actor_id) or PoolRow()
        account = pool.account or Account(actor_id=actor_id)
        units = dict(pool.applied)
        for number, row in self.pushes.items():
            if self.applied < number <= through and row.actor_id == actor_id:
                units |= {line.code: line.after for line in row.lines}
        codes = dict.fromkeys((*units, *account.base))
        net = {code: units.get(code, 0) - account.base.get(code, 0) for code in codes}
        return Applied(turn=account.turn, units=net)

    def take(self, events: Sequence[Event]) -> None:
        """Keep events that are news."""
        for each in events:
            place = (each.actor_id, each.code)
            known = self.events.get(place)
            if known is not None:
                wishes = (each.wished_ms, known.event.wished_ms)
                wished_ms = max((wish for wish in wishes if wish is not None), default=None)
                each = msgspec.structs.replace(each, wished_ms=wished_ms)  # noqa: PLW2901
            self.events[place] = EventRow(event=each)

    def forget(self, as_of: int) -> None:
        """Forget what was told that is no newer than a complete run."""
        self.events = {k: row for k, row in self.events.items() if row.event.as_of > as_of}
        self.parts = {key: part for key, part in self.parts.items() if key[0] > as_of}

    def agree(self, through: int) -> None:
        """Go on with its numbers, or above those that its WMS knows."""
        if self.numbers != "new":
            return
        if not self.acknowledged <= through <= self.numbered:
            self._start_over(through)
        self.numbers = "ours"

    def _start_over(self, through: int) -> None:
        """Number pushes above those that its WMS knows; only who detached its pools is known on."""
        self.numbered = self.acknowledged = self.applied = through
        self.pushes.clear()
        for pool in self.pools.values():
            pool.applied, pool.said, pool.short = {}, {}, 0
            if (last := pool.account) is not None:
                pool.account = Account(actor_id=last.actor_id, turn=last.turn, through=last.through)

    def lose(self) -> None:
        """Forget what the WMS was told."""
        self.pushes.clear()
        self.pools.clear()
        self.numbers = "lost"
        self.numbered = self.acknowledged = self.applied = 0

    def close(self) -> None:
        """Have nothing be missing or keep it, and its numbers be asked for when it is put again."""
        self.numbers, self.settling, self.kept_by = "new", None, None
        for pool in self.pools.values():
            pool.short = 0

    def stage(self, run: int, heard: Sequence[Heard]) -> None:
        """Keep what a page says."""
        for each in heard:
            pool = self.pools[each.actor_id]
            if pool.said.get(each.code, (0, each))[0] <= run:
                pool.said = {**pool.said, each.code: (run, each)}

    def named(self, run: int) -> int:
        """Return how many batches a run has named."""
        return sum(said[0] == run for pool in self.pools.values() for said in pool.said.values())

    def stated(self, actor_id: int, run: int) -> Stated:
        """Return what a run says of a pool: of what no page names, nothing is orderable."""
        pool = self.pools.get(actor_id) or PoolRow()
        account = pool.account or Account(actor_id=actor_id)
        codes = dict.fromkeys((*pool.said, *pool.applied, *account.base))
        lots = [_statement(code, pool, account.base, run) for code in codes]
        return Stated(actor_id=actor_id, turn=account.turn, is_attached=account.attached, lots=lots)


class FeedTables:
    """All feeds, and which products a warehouse has.

    Attributes:
        catalogue: By warehouse, the pools by their products.
        rows: By actor.
    """

    def __init__(self) -> None:
        self.catalogue: dict[str, Mapping[str, int]] = {}
        self.rows: dict[int, FeedRow] = {}

    def begin(self, actor_id: int, warehouse: str, *, position: Position) -> None:
        """Have a feed be known, or be on again."""
        if actor_id in self.rows:
            self.rows[actor_id].is_on = True
        else:
            self.rows[actor_id] = FeedRow(actor_id, warehouse, position)

    def unlock(self) -> None:
        """Have nobody hold anything: the database has ended."""
        for row in self.rows.values():
            row.lock = Lock()

    def products(self, warehouse: str) -> Iterator[tuple[str, int]]:
        """Yield (sku, pool), in order of the pools."""
        yield from sorted(self.catalogue.get(warehouse, {}).items(), key=lambda each: each[1])


def copy_of(account: Account) -> Account:
    """Return an account that another may change, as it is kept: all that it counts was told."""
    return msgspec.structs.replace(
        account,
        codes=dict(account.codes),
        committed=dict(account.committed),
        base=dict(account.base),
        untold={},
    )


def _told(lines: Sequence[Line]) -> tuple[PushLine, ...]:
    return tuple(
        PushLine(batch=line.code, decrease=line.decrease, aside=line.aside, shipped=line.shipped)
        for line in lines
    )


def _statement(code: Code, pool: PoolRow, base: Mapping[Code, int], run: int) -> Statement:
    heard_in, heard = pool.said.get(code, (0, None))
    return Statement(
        code=code,
        orderable=heard.orderable if heard is not None and heard_in == run else 0,
        applied=pool.applied.get(code, 0) - base.get(code, 0),
        expires_at_ms=None if heard is None else heard.expires_at_ms,
        received_at_ms=None if heard is None else heard.received_at_ms,
    )
