"""What a simulation's loop promises to whatever runs on it."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random

import pytest

from allocator.simulation.bare_loop import NotSimulatedError
from allocator.simulation.loop import (
    EndlessError,
    NothingLeftToHappenError,
    SimulationLoop,
)
from tests.simulation.busy import digest_of_a_busy_day


def new_loop(seed: int = 1, *, steps_max: int = 10_000) -> SimulationLoop:
    return SimulationLoop(Random(seed), steps_max=steps_max)


def test_hours_pass_without_being_waited_for() -> None:
    loop = new_loop()

    async def main() -> float:
        await asyncio.sleep(7200)
        return loop.time()

    assert loop.run(main()) == 7200


def test_timers_due_at_once_fire_in_the_order_of_their_time_and_then_of_their_making() -> None:
    loop, fired = new_loop(), list[str]()

    async def main() -> None:
        loop.call_at(2.0, fired.append, "second, made first")
        loop.call_at(1.0, fired.append, "first")
        loop.call_at(2.0, fired.append, "second, made later")
        await asyncio.sleep(3)

    loop.run(main())

    assert fired == ["first", "second, made first", "second, made later"]


def test_a_cancelled_timer_neither_fires_nor_moves_the_clock() -> None:
    loop, fired = new_loop(), list[str]()

    async def main() -> float:
        for _ in range(500):
            loop.call_later(5, fired.append, "cancelled").cancel()
        assert len(loop._timers) < 200  # noqa: SLF001 (nobody else sees it)
        loop.call_soon(fired.append, "cancelled").cancel()
        async with asyncio.timeout(9):
            await asyncio.sleep(1)
        return loop.time()

    assert loop.run(main()) == 1
    assert not fired
    assert not loop.errors


def test_a_timer_that_is_due_is_not_kept_waiting_by_whoever_is_busy() -> None:
    loop, fired = new_loop(), list[str]()

    async def main() -> None:
        loop.call_later(0, fired.append, "due")
        while not fired:  # noqa: ASYNC110 (to be busy is the point)
            await asyncio.sleep(0)

    loop.run(main())

    assert fired == ["due"]


def test_what_asyncio_offers_works_as_ever() -> None:
    async def main() -> list[object]:
        queue, lock, event = asyncio.Queue[int](1), asyncio.Lock(), asyncio.Event()
        room = asyncio.Semaphore(1)

        async def produce() -> None:
            for number in range(3):
                await queue.put(number)
            event.set()

        async def consume() -> list[int]:
            async with lock, room:
                return [await queue.get() for _ in range(3)]

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            consumed = group.create_task(consume())
        await asyncio.wait_for(event.wait(), 1)
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        failed = await asyncio.gather(asyncio.sleep(0, "slept"), _fail(), return_exceptions=True)
        current = asyncio.current_task()
        assert current is not None
        return [consumed.result(), failed[0], type(failed[1]), current.get_name()]

    expected = [[0, 1, 2], "slept", ValueError, "main"]
    loop = new_loop()
    try:
        assert loop.run_until_complete(loop.outside.spawn(main(), name="main")) == expected
    finally:
        loop.close()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(main())[:3] == expected[:3]


async def _fail() -> None:
    raise ValueError


def test_whoever_waits_for_nothing_under_way_is_named() -> None:
    loop = new_loop()

    async def main() -> None:
        _ = loop.process("worker").spawn(asyncio.Event().wait(), name="listening")
        await asyncio.Event().wait()

    with pytest.raises(NothingLeftToHappenError, match="worker: listening"):
        loop.run(main())


def test_a_circle_is_left_at_some_time() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 (to be busy is the point)
            await asyncio.sleep(0)

    with pytest.raises(EndlessError, match="1000 callbacks"):
        new_loop(steps_max=1000).run(main())


def test_an_error_that_nobody_reads_is_kept_for_the_oracle(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = new_loop()

    async def main() -> None:
        _ = loop.create_task(_fail(), name="forgotten")
        loop.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    loop.run(main())

    assert len(loop.errors) == 2
    assert "ZeroDivisionError" in loop.errors[0]
    assert "never retrieved" in loop.errors[1]
    assert "ValueError" in loop.errors[1]
    assert not caplog.records


def test_an_error_that_somebody_reads_is_none_for_the_oracle() -> None:
    loop = new_loop()

    async def main() -> None:
        task = loop.create_task(_fail())
        await asyncio.sleep(1)
        with suppress(ValueError):
            await task

    loop.run(main())

    assert not loop.errors


def test_there_are_no_threads_and_no_sockets() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(NotSimulatedError, match="no threads"):
            await asyncio.to_thread(int)
        with pytest.raises(NotSimulatedError, match="no threads"):
            loop.call_soon_threadsafe(int)
        with pytest.raises(NotSimulatedError, match="no sockets"):
            await asyncio.open_connection("127.0.0.1", 80)
        with pytest.raises(NotSimulatedError, match="no sockets"):
            await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1")
        with pytest.raises(NotSimulatedError, match="no sockets"):
            await asyncio.open_unix_connection("/nowhere")
        with pytest.raises(NotSimulatedError, match="no subprocesses"):
            await asyncio.create_subprocess_exec("true")

    new_loop().run(main())


def test_what_still_runs_ends_with_the_simulation_and_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop, ended = new_loop(), list[str]()

    async def stubborn(name: str) -> None:
        broken = loop.create_future()
        broken.set_exception(ValueError)  # and nobody will ever read it
        try:
            await asyncio.Event().wait()
        finally:
            assert asyncio.get_running_loop() is loop
            ended.append(name)
            try:
                await asyncio.sleep(1)  # nobody waits for it any more
            finally:
                await asyncio.sleep(1)
            ended.append("never")

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("never, since it is not closed")

    async def read() -> None:
        async for _ in numbers():
            await asyncio.Event().wait()

    async def main() -> None:
        for name in ("first", "second"):
            _ = loop.process(name).spawn(stubborn(name))
        _ = loop.process("reader").spawn(read())
        await asyncio.sleep(1)
        assert not ended

    loop.run(main())
    gc.collect()

    assert ended == ["first", "second"]
    assert not loop.errors
    assert not caplog.records


def test_a_generator_that_is_dropped_is_closed_by_whoever_dropped_it() -> None:
    loop, closed_in = new_loop(), list[float]()

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed_in.append(loop.time())

    async def main() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(1)

    loop.run(main())

    assert closed_in == [0.0]
    assert not loop.errors


def test_the_same_dice_give_the_same_steps_in_every_process() -> None:
    here = [digest_of_a_busy_day(seed) for seed in (1, 1, 2)]
    script = "from tests.simulation.busy import digest_of_a_busy_day as d; print(d(1))"
    there = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]

    assert here[0] == here[1] != here[2]
    assert there == [here[0], here[0]]


def test_many_simulations_need_no_more_memory_than_one() -> None:
    def objects_after(runs: int) -> int:
        for seed in range(runs):
            digest_of_a_busy_day(seed)
        gc.collect()
        return len(gc.get_objects())

    before = objects_after(5)

    assert objects_after(30) - before < 30
