"""Feeds without one of their guards: what is old, partial or told twice is believed."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from allocator.domain import feed_rules, pushes, reconcile_rules, stand_ins
from allocator.domain.fed import Batch, Fed
from allocator.domain.feeds import BeginRun, Feed, FeedEvent, FeedRefusal
from allocator.domain.kinds import Event
from allocator.domain.messages import OrderDispatched, OrderPartlyDispatched
from allocator.domain.missing import Missing
from allocator.domain.pool import Lot
from allocator.domain.pushes import Change
from allocator.domain.values import Picks
from allocator.feeding.ports import Made, Stated
from allocator.feeding.pusher import Pusher
from allocator.feeding.reach import GivenUpError
from allocator.feeding.runner import Runner
from allocator.persistence.memory.feed_tables import FeedRow
from allocator.persistence.memory.told import MemoryTold
from allocator.simulation.mutant import Method, Mutant
from allocator.wms.bucket import Bucket
from allocator.wms.interface import InventoryPage, Push
from allocator.wms.sender import Sender

_BETWEEN_S: Final = 0.2


def _count_what_was_acknowledged(guard: Method) -> Method:
    def mutant(row: FeedRow, actor_id: int, run: int) -> Stated:
        stated: Stated = guard(row, actor_id, run)
        applied = row.applied_with(actor_id, row.acknowledged).units
        lots = [replace(each, applied=applied.get(each.code, 0)) for each in stated.lots]
        return replace(stated, lots=lots)

    return mutant


def _forget_what_left(_: Method) -> Method:
    def mutant(lots: list[Lot], batch: Batch) -> int:
        return sum(lot.on_hand for lot in lots) - batch.short

    return mutant


def _tell_what_leaves_twice(guard: Method) -> Method:
    def mutant(event: Event, excludes: tuple[str, ...]) -> Iterator[Change]:
        for change in guard(event, excludes):
            if isinstance(event, OrderDispatched | OrderPartlyDispatched):
                yield change._replace(decrease=change.shipped)
            else:
                yield change

    return mutant


def _begin_what_is_older(guard: Method) -> Method:
    def mutant(
        _feed: Feed, command: BeginRun, *, now_ms: int
    ) -> tuple[FeedEvent, ...] | FeedRefusal:
        answer: tuple[FeedEvent, ...] | FeedRefusal = guard(
            Feed(), replace(command, poll=0, asked_as_of=0, asked_through=0), now_ms=now_ms
        )
        if isinstance(answer, tuple):
            return tuple(replace(each, poll=command.poll) for each in answer)
        return answer

    return mutant


def _conclude_from_a_part(guard: Method) -> Method:
    async def mutant(runner: Runner, run: int, first: InventoryPage) -> int:
        try:
            lots: int = await guard(runner, run, first)
        except GivenUpError:
            return 0
        return lots

    return mutant


def _raise_from_a_part(_: Method) -> Method:
    def mutant(*_: object) -> bool:
        return True

    return mutant


def _overlook_what_is_newer(_: Method) -> Method:
    async def mutant(*_: object, **__: object) -> dict[int, object]:
        return {}

    return mutant


def _go_on_unheard(guard: Method) -> Method:
    async def mutant(sender: Sender, told: Sequence[Push]) -> None:
        failures = sender.progress.failures
        await guard(sender, told)
        if sender.progress.failures > failures:
            sender.progress.acknowledged_through = told[-1].number

    return mutant


def _advance_first(guard: Method) -> Method:
    async def mutant(pusher: Pusher, made: Made) -> None:
        await guard(pusher, Made(pushes=(), accounts=()))
        await asyncio.sleep(_BETWEEN_S)
        await guard(pusher, made)

    return mutant


def _sell_what_is_missing(_: Method) -> Method:
    def mutant(_missing: Missing, _came: object) -> Picks:
        return ()

    return mutant


def _withhold_nothing(guard: Method) -> Method:
    def mutant(code: str | None, batch: Batch, lots: list[Lot], fed: Fed) -> stand_ins.Lack:
        lack: stand_ins.Lack = guard(code, batch, lots, fed)
        return lack._replace(gone=0)

    return mutant


def _keep_no_limit(_: Method) -> Method:
    def mutant(bucket: Bucket, *, now_us: int) -> int:  # noqa: ARG001
        bucket._under_way += 1
        return 0

    return mutant


FEED_MUTANTS: Final[dict[str, Mutant]] = {
    "count what was acknowledged": Mutant(
        rule="a push is in the warehouse's figures when it is applied, and not before",
        owner=FeedRow,
        method="stated",
        make=_count_what_was_acknowledged,
        day="fed",
    ),
    "forget what left": Mutant(
        rule="what has left is counted as long as the pool is fed",
        owner=reconcile_rules,
        method="gross",
        make=_forget_what_left,
        day="fed",
    ),
    "tell what leaves twice": Mutant(
        rule="what is dispatched was told of when it was ordered",
        owner=pushes,
        method="changes_of",
        make=_tell_what_leaves_twice,
        day="fed",
    ),
    "begin what is older": Mutant(
        rule="a run is of a moment after the last one",
        owner=feed_rules,
        method="_begin_run",
        make=_begin_what_is_older,
        day="fed",
    ),
    "conclude from a part": Mutant(
        rule="only a run of which all pages came says what is not there",
        owner=Runner,
        method="_hear",
        make=_conclude_from_a_part,
        day="fed",
    ),
    "raise from a part": Mutant(
        rule="units appear when all batches of the product are stated",
        owner=reconcile_rules,
        method="_may_raise",
        make=_raise_from_a_part,
        day="fed",
    ),
    "overlook what is newer": Mutant(
        rule="a run says nothing of a batch of which something newer was told",
        owner=MemoryTold,
        method="newer",
        make=_overlook_what_is_newer,
        day="fed",
    ),
    "go on unheard": Mutant(
        rule="the next pushes are told when the former are acknowledged",
        owner=Sender,
        method="_send",
        make=_go_on_unheard,
        day="fed",
    ),
    "advance first": Mutant(
        rule="what was read becomes pushes in one with the position",
        owner=Pusher,
        method="_save",
        make=_advance_first,
        day="fed",
    ),
    "sell what is missing": Mutant(
        rule="units that come back to a batch stand for missing ones first",
        owner=Missing,
        method="_found",
        make=_sell_what_is_missing,
        day="fed",
    ),
    "withhold nothing": Mutant(
        rule="for what has left, and is missing, one of another batch is sold to nobody",
        owner=stand_ins,
        method="_lack",
        make=_withhold_nothing,
        day="fed",
    ),
    "keep no limit": Mutant(
        rule="the warehouse's system is asked no more often than it allows",
        owner=Bucket,
        method="take",
        make=_keep_no_limit,
        day="fed",
    ),
}
