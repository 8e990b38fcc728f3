"""What is counted, and when: nothing that was not answered, and nothing twice."""

import asyncio
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.actors.messages import KeyReused
from allocator.actors.statistics import (
    REASONS,
    SECONDS_BUCKETS,
    Durations,
    Figures,
    ForwardStatistics,
    HandOverStatistics,
    WriterStatistics,
    merged,
)
from allocator.domain.kinds import Refusal
from allocator.domain.messages import CancelOrder, DispatchOrder
from allocator.domain.pool import Pool
from allocator.domain.records import Batch
from allocator.errors import OutcomeUnknownError
from allocator.http.statistics import HttpStatistics, figures_of
from tests.builders import ACTOR, HOUR_MS, keyed, place, receive
from tests.scene import Scene, serving, soon
from tests.virtual_time import START_MS, settle, virtual_time

OTHER = ACTOR + 256

MAXIMA = {"append_rows_max", "mailbox_messages_max", "oldest_ask_ms", "wake_up_lag_ms"}


def figures(scene: Scene) -> Figures:
    """Everything that the worker has counted."""
    return figures_of(scene.worker, HttpStatistics())


def batch_of(rows: int) -> Batch:
    batch = Batch()
    for seq in range(rows):
        batch.add(
            actor_id=ACTOR,
            seq=seq,
            at_ms=0,
            kind="order_placed",
            version=1,
            body="{}",
            digest=b"",
            principal="",
            idempotency_key=None,
            request_digest=None,
        )
    return batch


@virtual_time
async def test_what_became_of_orders_and_stocks_is_counted() -> None:
    async with serving() as scene:
        await scene.stock(9, expires_at_ms=START_MS + HOUR_MS)
        first = await scene.outcome(place(1))
        second = await scene.outcome(place(2))
        await scene.outcome(place(3))
        await scene.outcome(DispatchOrder(order=first.seq))
        await scene.outcome(CancelOrder(order=second.seq))
        for refused in (
            *(place(10), place(11)),
            DispatchOrder(order=first.seq),
            receive(1, expires_at_ms=START_MS - HOUR_MS),
        ):
            await soon(scene.ask(refused))
        await scene.balance()
        await asyncio.sleep(2 * HOUR_MS / 1000)
        counted = figures(scene)

    assert counted.events == {
        "stock_received": 1,
        "order_placed": 3,
        "order_dispatched": 1,
        "order_cancelled": 1,
        "lot_expired": 1,
    }
    assert {reason: times for reason, times in counted.refusals.items() if times} == {
        "insufficient_stock": 2,
        "order_not_open": 1,
        "already_expired": 1,
    }


@virtual_time
async def test_a_repeat_is_no_second_order() -> None:
    async with serving() as scene:
        await scene.stock(9)
        for _ in range(3):
            await soon(scene.ask_once(keyed("k", place(1))))
        await soon(scene.ask_once(keyed("k", place(2))))
        counted = figures(scene)

    assert counted.events["order_placed"] == 1
    assert counted.refusals["key_reused"] == 1
    assert (counted.key_lookups, counted.key_repeats) == (1, 2)


@virtual_time
async def test_what_was_lost_is_not_counted() -> None:
    async with serving() as scene:
        await scene.stock(9)
        scene.journal.break_next("append")
        scene.journal.break_next("confirm")
        for command in (place(1), place(99)):
            with pytest.raises(OutcomeUnknownError):
                await soon(scene.ask(command))
            await scene.serving_again()
        counted = figures(scene)

    assert counted.events["order_placed"] == 0
    assert counted.refusals["insufficient_stock"] == 0
    assert (counted.append_failures, counted.repairs, counted.fenced_appends) == (2, 2, 0)


@virtual_time
async def test_an_append_that_was_refused_to_a_deposed_worker_is_told_from_a_failure() -> None:
    async with serving() as scene:
        await scene.stock(9)
        for command in (place(1), place(99)):
            assert scene.journal.incarnation is not None
            scene.database.fence(scene.journal.incarnation)
            with pytest.raises(OutcomeUnknownError):
                await soon(scene.ask(command))
            await scene.serving_again()
        counted = figures(scene)

    assert (counted.fenced_appends, counted.append_failures) == (2, 2)


@virtual_time
async def test_the_fullest_mailbox_is_seen_while_a_commit_takes_its_time() -> None:
    async with serving() as scene:
        await scene.stock(9)
        await scene.stock(9, actor_id=OTHER)
        appending = scene.journal.hold("append")
        orders = [scene.ask(place(1))]
        await appending.reached()
        alone = figures(scene)
        orders += [scene.ask(place(1)) for _ in range(2)]
        orders += [scene.ask(place(1), actor_id=OTHER)]
        during = figures(scene)
        appending.release()
        await soon(asyncio.gather(*orders))
        after = figures(scene)

    assert (alone.unanswered_messages, alone.mailbox_messages_max) == (1, 1)
    assert (during.unanswered_messages, during.mailbox_messages_max) == (4, 3)
    assert (after.unanswered_messages, after.mailbox_messages_max) == (0, 0)


@virtual_time
async def test_what_waits_for_a_recovery_is_in_a_mailbox_too() -> None:
    async with serving() as scene:
        reading = scene.journal.hold("origin")
        waiting = [scene.ask(receive(1)) for _ in range(5)]
        await reading.reached()
        during = figures(scene)
        reading.release()
        await soon(asyncio.gather(*waiting))
        await settle()
        after = figures(scene)

    assert (during.mailbox_messages_max, during.recoveries) == (5, 0)
    assert (after.mailbox_messages_max, after.recoveries) == (0, 1)
    assert after.recovery_seconds > 0


@virtual_time
async def test_nothing_that_was_given_up_stays_in_a_mailbox() -> None:
    async with serving() as scene:
        await scene.stock(9)
        scene.journal.break_next("append")
        renewing = scene.journal.hold("renew")
        lost = [scene.ask(place(1)) for _ in range(5)]
        await renewing.reached()
        during = figures(scene)
        renewing.release()
        await asyncio.gather(*lost, return_exceptions=True)
        await scene.serving_again()

    assert (during.unanswered_messages, during.mailbox_messages_max) == (0, 0)


@virtual_time
async def test_how_it_is_now_is_told_beside_what_was_counted() -> None:
    async with serving() as scene:
        await scene.stock(9)
        await soon(scene.worker.read(OTHER, Pool.balance))
        counted = figures(scene)

    assert (counted.shards, counted.actors, counted.quarantined_actors) == (256, 2, 0)
    assert (counted.appends, counted.appended_rows, counted.confirms) == (1, 1, 1)
    assert sum(counted.appends_by_time) == sum(counted.appends_by_rows) == 1
    assert counted.append_seconds > 0


@virtual_time
async def test_what_other_parts_count_is_told_under_its_name() -> None:
    requests, forwards, hand_overs = HttpStatistics(), ForwardStatistics(), HandOverStatistics()
    requests.count(201, 0.5)
    requests.count(201, 1.0)
    requests.count(409, 0.25)
    forwards.sent, forwards.received, forwards.failed, forwards.retried = 1, 2, 3, 4
    hand_overs.given, hand_overs.taken = 5, 6
    async with serving() as scene:
        directory = scene.worker.directory.statistics
        directory.recoveries, directory.replayed, directory.passivations = 7, 8, 9
        told = figures_of(scene.worker, requests, forwards=forwards, hand_overs=hand_overs)

    assert told.requests == {"201": 2, "409": 1}
    assert (sum(told.requests_by_time), told.request_seconds) == (3, 1.75)
    assert (told.forwards_sent, told.forwards_received) == (1, 2)
    assert (told.forwards_failed, told.forwards_retried) == (3, 4)
    assert (told.shards_given, told.shards_taken) == (5, 6)
    assert (told.recoveries, told.replayed_events, told.passivations) == (7, 8, 9)


@pytest.mark.parametrize(
    ("rows", "at_most"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1024, 1024), (1025, 2048)]
)
def test_appends_are_kept_by_the_power_of_two_that_they_fit_in(rows: int, at_most: int) -> None:
    statistics = WriterStatistics()
    statistics.count_append(batch_of(rows), took_s=0.001)

    assert [2**n for n, count in enumerate(statistics.by_rows) if count] == [at_most]
    assert (statistics.rows, statistics.rows_max) == (rows, rows)
    assert statistics.events["order_placed"] == rows


def test_an_append_larger_than_any_bucket_is_in_the_last() -> None:
    statistics = WriterStatistics()
    statistics.count_append(batch_of(40_000), took_s=0.001)

    assert statistics.by_rows[-1] == 1


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_is_below_the_bound_of_its_bucket_and_of_none_before(took_s: float) -> None:
    durations = Durations()
    durations.count(took_s)
    [bucket] = [number for number, count in enumerate(durations.by_bucket) if count]

    # Whole microseconds are counted: what is less than one of them over a bound may be under it.
    assert bucket == SECONDS_BUCKETS - 1 or took_s * 1_000_000 < 2**bucket
    assert bucket == 0 or took_s * 1_000_000 >= 2 ** (bucket - 1)
    assert durations.seconds == took_s


def test_every_refusal_has_a_reason() -> None:
    assert set(REASONS) == {*get_args(Refusal), KeyReused}


def sample(number: int) -> Figures:
    """Figures in which no two fields are the same."""
    fields: dict[str, object] = {}
    for position, (name, value) in enumerate(msgspec.structs.asdict(Figures()).items(), start=1):
        if isinstance(value, dict):
            fields[name] = {"same": position * number, f"own {number}": position}
        elif isinstance(value, list):
            fields[name] = [position * number] * number
        elif isinstance(value, str):
            fields[name] = ""
        else:
            fields[name] = position * number
    return msgspec.convert(fields, Figures)


@pytest.mark.parametrize("name", Figures.__struct_fields__)
def test_figures_of_several_are_sums_and_maxima(name: str) -> None:
    both: object = getattr(merged([sample(1), sample(2)]), name)
    position = Figures.__struct_fields__.index(name) + 1

    if name == "life":
        assert both == ""  # of nobody alone
    elif name in MAXIMA:
        assert both == 2 * position
    elif isinstance(both, dict):
        assert both == {"same": 3 * position, "own 1": position, "own 2": position}
    elif isinstance(both, list):
        assert both == [3 * position, 2 * position]
    else:
        assert both == 3 * position


def test_figures_of_one_are_its_own_and_those_of_nobody_nothing() -> None:
    assert merged([sample(3)]) == sample(3)
    assert merged([]) == Figures()


def test_figures_can_travel() -> None:
    there = msgspec.msgpack.encode(sample(3))

    assert msgspec.msgpack.decode(there, type=Figures) == sample(3)


def test_figures_of_another_release_can_be_read() -> None:
    """While a server is rolled, its workers are of two."""
    there = msgspec.msgpack.encode({"shards": 7, "of_a_newer_release": [1]})

    assert msgspec.msgpack.decode(there, type=Figures) == Figures(shards=7)
