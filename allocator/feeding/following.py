"""Has the pools of a warehouse follow what a run says, those of which it says anything new.

Most runs say of most pools what the ones before have said. A pool that has followed all of it need
not be asked again: nothing but reconciling changes what is compared (ADR 0019). So it is noted what
a pool has followed, when it has answered; and before it is asked anything, that nobody knows. What
came to it otherwise is known by its rows.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from msgspec.structs import replace

from allocator.actors.messages import Answer, Noted, Outcome
from allocator.domain.queries import ShortQuery
from allocator.domain.reconciling import STATEMENTS_MAX, Reconcile, Statement, TurnUnknown
from allocator.errors import AllocatorError
from allocator.feeding.kit import Kit
from allocator.feeding.lead import FeedOffError
from allocator.feeding.ports import Settled, Settling, Stated
from allocator.feeding.reach import (
    PAUSE_S,
    TRIES,
    GivenUpError,
    all_of,
    one_behind,
    one_by_one,
    persistently,
)
from allocator.feeding.told import Event

_POOLS_AT_ONCE: Final = 256
_QUIET_POOLS_AT_ONCE: Final = 1_024
_FEW: Final = 32
"""So many pools of those that were looked at had to be asked: the next will not be many more."""
_ASKS_AT_ONCE: Final = 32
"""While some are stored, others are decided; and no order waits for more than these are."""
_LOOKS_AT_ONCE: Final = 32


class _Said(NamedTuple):
    """What came of it that something was said to a pool.

    Attributes:
        changed: Whether anything did, or nobody knows.
        settled: If the pool has followed all of it: a row, up to which that takes everything into
            account of which we know.
        is_heard: Whether the pool has answered: it cannot before it is known what attached it.
    """

    changed: bool
    settled: int | None = None
    is_heard: bool = True


class _TurnUnknownError(AllocatorError):
    """It is not known yet by which row a pool was attached, or detached."""


class Run(NamedTuple):
    """What is said.

    Attributes:
        number: Of the run.
        as_of: When that was so, by the WMS's own count.
        applied_through: The last of our pushes that is in its figures.
    """

    number: int
    as_of: int
    applied_through: int


class Following:
    """Asks the pools of one feed.

    Args:
        kit: The feed's.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._feed = kit.feed
        self._store = kit.store
        self._trouble: str | None = None

    async def follow(self, run: Run) -> int:
        """Have all pools follow; return in how many anything changed.

        Raises:
            GivenUpError: Not all of them did.
        """
        self._trouble = None
        settling = Settling(run=run.number, as_of=run.as_of, applied_through=run.applied_through)
        await self._store.begin_settling(self._feed, settling)
        after = differences = 0
        for attempt in range(TRIES):
            changed, unheard = await self._follow(run, after=after)
            differences += changed
            if unheard is None or self._trouble is not None:
                break
            after = unheard - 1
            await asyncio.sleep(PAUSE_S * 2**attempt)
        else:
            self._trouble = (
                f"pool {after + 1} was attached just now, of which too little is known yet"
            )
        if self._trouble is not None:
            raise GivenUpError(self._trouble)
        return differences

    async def _follow(self, run: Run, *, after: int) -> tuple[int, int | None]:
        """Have the pools above one follow.

        Returns:
            In how many anything changed, and the first one that has not heard it.
        """
        differences, unheard, limit = 0, None, _POOLS_AT_ONCE
        async with one_behind() as beside:
            while True:
                async with self._kit.turns.lock:
                    looked_at = await self._store.statements(
                        self._feed,
                        run=run.number,
                        through=run.applied_through,
                        after=after,
                        limit=limit,
                    )
                    if not looked_at:
                        break
                    after = looked_at[-1].actor_id
                    stated = [each for each in looked_at if not each.is_settled]
                    said = await self._ask_all(stated, run) if stated else []
                limit = _QUIET_POOLS_AT_ONCE if len(stated) <= _FEW else _POOLS_AT_ONCE
                differences += sum(each.changed for each in said)
                for each, its in zip(stated, said, strict=True):
                    if not its.is_heard and unheard is None:
                        unheard = each.actor_id
                await beside(partial(self._note, stated, said, run))
        return differences, unheard

    async def look_for_short(self) -> int:
        """Return how many units are missing of all pools."""
        pools = await self._store.short(self._feed)
        short = await self._note_short(pools)
        return sum(short.values())

    async def _ask_all(self, stated: Sequence[Stated], run: Run) -> list[_Said]:
        settled = [each.actor_id for each in stated if each.was_settled]
        if settled:
            await self._store.unsettle(self._feed, settled)
        newer = await self._kit.told.newer(
            self._feed, as_of=run.as_of, actor_ids=[each.actor_id for each in stated]
        )

        async def ask(each: Stated) -> _Said:
            try:
                events = newer.get(each.actor_id, ())
                if not events:
                    return await self._ask(each, run)
                if each.is_attached:
                    return await self._lower(each, events, run)
                said = await self._ask(await self._capped(each, events), run)
                return said._replace(settled=None)
            except _TurnUnknownError:
                return _Said(changed=False, is_heard=False)
            except FeedOffError:
                raise
            except AllocatorError as error:  # the others follow all the same
                self._trouble = f"pool {each.actor_id}: {error}"
                return _Said(changed=False, is_heard=False)

        return await one_by_one(ask, stated, at_once=_ASKS_AT_ONCE)

    async def _ask(self, stated: Stated, run: Run) -> _Said:
        """Have one pool follow."""
        lots, changed = stated.lots, False
        there = [each for each in lots if each.orderable or each.applied]
        if len(there) <= STATEMENTS_MAX:  # what is not named has nothing, if all else is
            some = lots if len(lots) <= STATEMENTS_MAX else there
            return await self._say(stated, some, run, complete=True)
        # Else all of them are: of those that have nothing by now, the pool may still have units.
        if not stated.is_attached:
            raise GivenUpError(
                f"a product has {len(there)} batches, and at first it may have {STATEMENTS_MAX}"
            )
        for lowered in (False, True):
            for begin in range(0, len(lots), STATEMENTS_MAX):
                some = lots[begin : begin + STATEMENTS_MAX]
                changed = (await self._say(stated, some, run, lowered=lowered)).changed or changed
        return _Said(changed)

    async def _capped(self, stated: Stated, newer: Sequence[Event]) -> Stated:
        """Return what is said of a pool that has not followed what is newer: it was not attached.

        No batch has more than that says: those units may have gone since.
        """
        events = {each.code: each for each in newer}
        lots = []
        for lot in stated.lots:
            if (event := events.get(lot.code)) is not None:
                known = await self._kit.told.applied(
                    self._feed, actor_ids=[stated.actor_id], through=event.applied_through
                )
                is_known = stated.actor_id in known
                units = known[stated.actor_id].units if is_known else {lot.code: lot.applied}
                most = event.orderable + units.get(lot.code, 0) - lot.applied
                lots.append(replace(lot, orderable=min(lot.orderable, most)))
            else:
                lots.append(lot)
        return replace(stated, lots=lots)

    async def _lower(self, stated: Stated, newer: Sequence[Event], run: Run) -> _Said:
        """Have a pool follow of which something newer was told: what is older may lower only."""
        codes = {each.code for each in newer}
        lots, changed = [each for each in stated.lots if each.code not in codes], False
        for begin in range(0, len(lots), STATEMENTS_MAX):
            some = lots[begin : begin + STATEMENTS_MAX]
            changed = (await self._say(stated, some, run)).changed or changed
        return _Said(changed)

    async def _say(
        self,
        stated: Stated,
        lots: Sequence[Statement],
        run: Run,
        *,
        complete: bool = False,
        lowered: bool = False,
    ) -> _Said:
        if self._kit.turns.is_in_doubt(stated.actor_id):
            raise GivenUpError("a pool may yet hear what it was asked before")
        asked = 0

        async def ask() -> Answer:
            nonlocal asked
            asked += 1
            with self._kit.turns.asking(stated.actor_id):
                return await self._kit.reach.ask(stated.actor_id, reconcile())

        def reconcile() -> Reconcile:
            return Reconcile(
                process=self._feed,
                step=run.number,
                sent_at_ms=self._kit.clock(),
                as_of=run.as_of,
                turn=stated.turn,
                lots=tuple(lots),
                complete=complete,
                lowered=lowered,
                excludes=self._kit.settings.excludes,
            )

        answer = await persistently(ask)
        match answer:
            case Outcome(seq=seq):
                return _Said(changed=True, settled=seq if complete else None)
            case Noted():
                # What is not known of it yet may have been why nothing was heard.
                known = max(stated.turn, stated.changed)
                return _Said(changed=asked > 1, settled=known if complete else None)
            case TurnUnknown(turn=turn):
                raise _TurnUnknownError(f"its row {turn} is not known yet")
            case _:
                why = f"a pool of {self._kit.warehouse} refuses: {type(answer).__name__}"
                raise GivenUpError(why)

    async def _note(self, stated: Sequence[Stated], said: Sequence[_Said], run: Run) -> None:
        """Note what came of it: first what pools are short of, then what they have followed."""
        pairs = list(zip(stated, said, strict=True))
        await self._note_short([each.actor_id for each, its in pairs if _may_be_short(each, its)])
        settled = [
            Settled(actor_id=each.actor_id, figures=each.figures, seq=its.settled)
            for each, its in pairs
            if its.settled is not None
        ]
        if settled:
            await self._store.settle(self._feed, run=run.number, settled=settled)

    async def _note_short(self, pools: Sequence[int]) -> dict[int, int]:
        """Note how many units are missing of these pools, and return it."""
        short: dict[int, int] = {}
        for begin in range(0, len(pools), _LOOKS_AT_ONCE):
            some = pools[begin : begin + _LOOKS_AT_ONCE]
            seen = await all_of([self._kit.reach.look(each, ShortQuery()) for each in some])
            short |= {each: view.short or 0 for each, view in zip(some, seen, strict=True)}
        if short:
            await self._store.note_short(self._feed, short)
        return short


def _may_be_short(stated: Stated, said: _Said) -> bool:
    """Say whether a pool may be short of anything since it was asked.

    It is not if its whole history is that it was attached and each of its batches appeared: then
    it has one row for that, and one for each of these. What was promised before, and is missing,
    would take three more: a receipt, an order, and the loss.
    """
    if not said.changed:
        # It may have followed when nobody heard of it, or more may have happened there: what a cart
        # held was ordered. Else it is noted what it is short of.
        is_noted = stated.was_settled and stated.changed <= stated.settled_seq
        return said.is_heard and not is_noted
    gross = [each.orderable + each.applied for each in stated.lots]
    rows = 1 + sum(units > 0 for units in gross)
    return bool(stated.turn) or said.settled != rows or min(gross, default=0) < 0
