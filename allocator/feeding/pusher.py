"""What happened in the pools of a fed warehouse becomes pushes, in order, each of them once.

Rows are told at least once. They become pushes in the transaction that advances the position, which
compares it first: whoever else does the same work finds out, and nothing is numbered twice. What is
gathered before that is in memory alone, and is read again if this ends.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from allocator.domain.codec import decode_event
from allocator.domain.kinds import Event
from allocator.domain.positions import Position
from allocator.domain.pushes import Account
from allocator.domain.reconciling import FeedAttached
from allocator.domain.records import Record
from allocator.errors import AllocatorError
from allocator.feeding.ports import Made, Rows, Standing, Store

_REST_MIN_S: Final = 0.1
_REST_MAX_S: Final = 0.5
_GATHER_MIN_S: Final = 0.1
_GATHER_MAX_S: Final = 2.0
_REST_SHARE: Final = 10
"""It rests so many times as long as it worked, as orders come first. So long, too, it gathers: a
push costs a commit, a request to the WMS and another commit, however many rows become one."""
_POOLS_AT_ONCE: Final = 2_000
"""Are told of, at most: their numbers are given in one transaction, and the tail waits for that."""
_ROWS_IN_ONE_GO: Final = 100
"""Then orders have their turn."""
_SAVE_EVERY_S: Final = 2.0
_ACCOUNTS_MAX: Final = 20_000
"""In memory; the others are read again."""


class SupersededError(AllocatorError):
    """Somebody else makes these pushes, too; begin again from what is stored."""

    retryable = True


class Pusher:
    """Makes the pushes of one feed.

    Args:
        standing: How far they were made.
        made: Told whenever there are new ones.
        clock: Milliseconds of Unix time.
    """

    def __init__(
        self,
        standing: Standing,
        store: Store,
        rows: Rows,
        *,
        made: Callable[[], None],
        clock: Callable[[], int],
    ) -> None:
        self._feed = standing.actor_id
        self._warehouse = standing.warehouse
        self._store = store
        self._rows = rows
        self._made = made
        self._clock = clock
        self._reached = self._saved = standing.position
        self._saved_s = 0.0
        self._worked_s = 0.0
        self._known: dict[int, tuple[str, Account | None] | None] = {}
        self._untold: dict[int, tuple[str, Account]] = {}
        self._is_urgent = False

    async def run(self) -> None:
        """Make pushes for ever; cancel to stop.

        Raises:
            SupersededError: Somebody else does.
            JournalError: The database does not answer.
        """
        clock_s = asyncio.get_running_loop().time
        worked_s = 0.0
        while True:
            began_s = clock_s()
            found = await self._rows.next(self._reached, warehouse=self._warehouse)
            is_last = found is None or found.is_last
            if found is not None:
                await self._take(found.records, found.reached)
            self._worked_s += clock_s() - began_s
            if self._is_due(is_last=is_last):
                await self._tell()
            worked_s += clock_s() - began_s
            if is_last:
                await asyncio.sleep(_share_of(worked_s, least=_REST_MIN_S, most=_REST_MAX_S))
                worked_s = 0.0

    async def _take(self, records: Sequence[Record], reached: Position) -> None:
        """Take what happened into account; nothing of it is durable, or told, before `_tell`."""
        by_actor: defaultdict[int, list[Record]] = defaultdict(list)
        for record in records:
            by_actor[record.actor_id].append(record)
        await self._learn(list(by_actor))
        in_one_go = 0
        for actor_id, its in by_actor.items():
            in_one_go += len(its)
            if in_one_go > _ROWS_IN_ONE_GO:
                await asyncio.sleep(0)
                in_one_go = len(its)
            rows = [(each.seq, _event_of(each)) for each in its]
            known = self._of(actor_id, rows)
            if known is None:
                continue
            _, account = self._untold[actor_id] = known
            turn = account.turn
            account.take(rows)
            self._is_urgent = self._is_urgent or account.turn != turn
        self._reached = reached

    def _is_due(self, *, is_last: bool) -> bool:
        """Say whether to make pushes now: a run waits for those of pools that were attached."""
        since_s = asyncio.get_running_loop().time() - self._saved_s
        if not self._untold:
            return self._reached != self._saved and since_s >= _SAVE_EVERY_S
        gather_s = _share_of(self._worked_s, least=_GATHER_MIN_S, most=_GATHER_MAX_S)
        is_full = len(self._untold) >= _POOLS_AT_ONCE
        return is_full or since_s >= gather_s or (is_last and self._is_urgent)

    async def _tell(self) -> None:
        """Make pushes of everything that was taken into account."""
        pushes: list[tuple[int, str, str]] = []
        for place, (actor_id, (sku, account)) in enumerate(self._untold.items(), 1):
            if place % _ROWS_IN_ONE_GO == 0:
                await asyncio.sleep(0)
            push = account.push()
            if push is not None:
                pushes.append((actor_id, sku, msgspec.json.encode(push.lines).decode()))
        await self._save(Made(pushes=pushes, accounts=[each for _, each in self._untold.values()]))
        self._untold.clear()
        self._is_urgent, self._worked_s = False, 0.0
        if pushes:
            self._made()

    def _of(self, actor_id: int, rows: Sequence[tuple[int, Event]]) -> tuple[str, Account] | None:
        """Return the product of a pool and what was told of it; None if it was never attached."""
        known = self._known[actor_id]
        if known is None:
            return None
        sku, account = known
        if account is None:
            if not any(isinstance(event, FeedAttached) for _, event in rows):
                return None
            account = Account(actor_id=actor_id)
            self._known[actor_id] = sku, account
        return sku, account

    async def _learn(self, actor_ids: Sequence[int]) -> None:
        """Know of all these actors which product they are of, if any, and what was told of them."""
        if len(self._known) > _ACCOUNTS_MAX:
            self._known = dict(self._untold)
        new = [each for each in actor_ids if each not in self._known]
        if new:
            found = await self._store.accounts(self._feed, warehouse=self._warehouse, actor_ids=new)
            self._known |= {each: found.get(each) for each in new}

    async def _save(self, made: Made) -> None:
        stored = await self._store.make_pushes(
            self._feed, made, before=self._saved, after=self._reached, at_ms=self._clock()
        )
        if not stored:
            raise SupersededError(f"somebody else makes the pushes of {self._warehouse}")
        self._saved, self._saved_s = self._reached, asyncio.get_running_loop().time()


def _share_of(worked_s: float, *, least: float, most: float) -> float:
    return min(max(_REST_SHARE * worked_s, least), most)


def _event_of(record: Record) -> Event:
    return decode_event(kind=record.kind, version=record.version, body=record.body)
