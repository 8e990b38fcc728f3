"""Processes of a simulation: how they run beside each other, stop, and die."""

import asyncio
import gc
import signal
from collections.abc import Coroutine
from contextlib import suppress
from random import Random

import pytest

from allocator.simulation.loop import NothingLeftToHappenError, SimulationLoop
from allocator.simulation.process import START_MS, Process, current_process


def in_simulation(main: Coroutine[object, object, None], loop: SimulationLoop) -> SimulationLoop:
    loop.run(main)
    return loop


def new_loop(seed: int = 1) -> SimulationLoop:
    return SimulationLoop(Random(seed), steps_max=10_000)


async def note_forever(notes: list[str], note: str) -> None:
    while True:
        notes.append(note)
        await asyncio.sleep(1)


def order_of_two(seed: int) -> str:
    loop, notes = new_loop(seed), list[str]()

    async def main() -> None:
        for name in "ab":
            process = loop.process(name)
            for number in range(4):
                process.call(notes.append, f"{name}{number}")
        await asyncio.sleep(1)

    loop.run(main())
    return " ".join(notes)


def test_callbacks_of_a_process_keep_their_order_and_those_of_two_mix_as_the_dice_fall() -> None:
    orders = {order_of_two(seed) for seed in range(50)}

    assert len(orders) > 20
    for order in orders:
        notes = order.split()
        assert [note for note in notes if note[0] == "a"] == ["a0", "a1", "a2", "a3"]
        assert [note for note in notes if note[0] == "b"] == ["b0", "b1", "b2", "b3"]


def test_whatever_a_process_starts_belongs_to_it() -> None:
    loop, seen = new_loop(), list[Process]()

    def see(*_: object) -> None:
        seen.append(current_process())

    async def start() -> None:
        see()
        loop.call_soon(see)
        loop.call_later(1, see)
        task = asyncio.create_task(asyncio.sleep(1))
        task.add_done_callback(see)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(1)).add_done_callback(see)

    async def main() -> None:
        process.call(see)
        await process.spawn(start())

    process = loop.process("worker")
    loop.run(main())

    assert seen == [process] * 6


def test_a_killed_process_runs_nothing_more_not_even_what_must_always_run() -> None:
    loop, notes = new_loop(), list[str]()

    async def guarded() -> None:
        try:
            await note_forever(notes, "runs")
        finally:
            notes.append("finally")

    async def main() -> None:
        process = loop.process("victim")
        _ = process.spawn(guarded())
        await asyncio.sleep(2.5)
        process.call(notes.append, "ready when it died")
        process.kill()
        process.call(notes.append, "asked of the dead")
        process.call_later(1, notes.append, "asked of the dead for later")
        _ = process.spawn(note_forever(notes, "started in the dead"))
        gc.collect()
        await asyncio.sleep(10)
        assert notes == ["runs"] * 3
        assert process.returncode == -signal.SIGKILL

    in_simulation(main(), loop)

    assert notes == ["runs", "runs", "runs", "finally"]  # the last with the simulation


def test_what_the_dead_would_have_answered_is_waited_for_in_vain() -> None:
    loop = new_loop()

    async def main() -> None:
        answer = loop.create_future()
        process = loop.process("victim")
        process.call_later(1, answer.set_result, None)
        process.kill()
        await answer

    with pytest.raises(NothingLeftToHappenError):
        loop.run(main())

    assert loop.time() == 0


def test_an_error_that_only_the_dead_would_have_read_is_none_for_the_oracle() -> None:
    loop = new_loop()

    async def wait_for(answer: asyncio.Future[None]) -> None:
        await asyncio.shield(answer)

    async def main() -> None:
        for kills_first in (True, False):
            process, answer = loop.process("victim"), loop.create_future()
            _ = process.spawn(wait_for(answer))
            await asyncio.sleep(1)
            if kills_first:
                process.kill()
            answer.set_exception(ValueError)
            process.kill()
            del answer
        await asyncio.sleep(1)

    assert not in_simulation(main(), loop).errors


def test_the_living_hear_of_a_death_and_so_does_the_kernel() -> None:
    loop, notes = new_loop(), list[str]()

    async def end_itself() -> None:
        process = current_process()
        process.on_end(lambda: loop.call_later(1, notes.append, "told outside of it"))
        process.end(3)
        notes.append("runs on to the next await")
        await asyncio.sleep(0)
        notes.append("never")

    async def main() -> None:
        process = loop.process("mortal")
        _ = process.spawn(end_itself())
        assert await process.ended == 3
        process.kill()
        assert process.returncode == 3
        await asyncio.sleep(2)
        process.resume()

    in_simulation(main(), loop)

    assert notes == ["runs on to the next await", "told outside of it"]


def test_a_paused_process_does_later_what_became_ready_and_in_order() -> None:
    loop, notes = new_loop(), list[tuple[str, float]]()

    def note(what: str) -> None:
        notes.append((what, loop.time()))

    async def main() -> None:
        process = loop.process("sleeper")
        process.call_later(1, note, "second")
        process.call_later(2, note, "third")
        process.call(note, "first")
        process.pause()
        process.pause()
        await asyncio.sleep(5)
        process.call(note, "fourth")
        assert not notes
        process.resume()
        process.resume()
        await asyncio.sleep(0.5)
        process.call_later(1, note, "fifth")
        await asyncio.sleep(2)

    in_simulation(main(), loop)

    assert notes == [("first", 5), ("second", 5), ("third", 5), ("fourth", 5), ("fifth", 6.5)]


def test_a_process_that_pauses_and_resumes_itself_loses_nothing() -> None:
    loop, notes = new_loop(), list[str]()

    async def main() -> None:
        process = loop.process("sleeper")
        process.call(process.pause)
        process.call(notes.append, "after")
        loop.call_later(1, process.resume)
        await asyncio.sleep(0.5)
        assert not notes
        await asyncio.sleep(1)
        process.call(process.pause)
        process.call(notes.append, "never")
        await asyncio.sleep(1)
        process.kill()
        process.resume()
        await asyncio.sleep(1)

    in_simulation(main(), loop)

    assert notes == ["after"]


def test_a_signal_is_handled_in_the_process_that_it_is_sent_to() -> None:
    loop, heard = new_loop(), list[str]()

    def hear(what: str) -> None:
        heard.append(f"{current_process().name}: {what}")

    async def listen() -> None:
        loop.add_signal_handler(signal.SIGTERM, hear, "end")
        await asyncio.sleep(100)

    async def main() -> None:
        one, other = loop.process("one"), loop.process("other")
        _ = one.spawn(listen())
        await asyncio.sleep(1)
        one.signal(signal.SIGTERM)
        other.signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert (one.returncode, other.returncode) == (None, -signal.SIGTERM)
        one.signal(signal.SIGSTOP)
        one.signal(signal.SIGTERM)
        one.signal(signal.SIGINT)
        await asyncio.sleep(1)
        assert one.alive
        one.signal(signal.SIGCONT)
        await asyncio.sleep(1)
        assert one.returncode == -signal.SIGINT

    in_simulation(main(), loop)

    assert heard == ["one: end"]


def test_a_signal_handler_can_be_removed() -> None:
    loop = new_loop()

    async def forget() -> None:
        loop.add_signal_handler(signal.SIGTERM, int)
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        await asyncio.sleep(10)

    async def main() -> None:
        process = loop.process("forgetful")
        _ = process.spawn(forget())
        await asyncio.sleep(1)
        process.signal(signal.SIGTERM)
        assert not process.alive

    loop.run(main())


def test_every_process_has_a_clock_of_its_own() -> None:
    loop = new_loop()

    async def main() -> None:
        early, late = loop.process("early"), loop.process("late")
        late.clock_offset_ms = 250
        await asyncio.sleep(1.001)
        assert early.now_ms() == START_MS + 1001
        assert late.now_ms() == START_MS + 1251

    loop.run(main())


def test_the_current_task_is_that_of_the_callback_even_after_a_death() -> None:
    loop, names = new_loop(), list[str]()

    async def note() -> None:
        for _ in range(5):
            task = asyncio.current_task()
            assert task is not None
            names.append(task.get_name())
            await asyncio.sleep(0)

    async def main() -> None:
        one, other = loop.process("one"), loop.process("other")
        _ = one.spawn(note(), name="one's")
        survivor = other.spawn(note(), name="other's")
        await asyncio.sleep(0)
        one.kill()
        assert asyncio.current_task() not in (None, survivor)
        await survivor

    in_simulation(main(), loop)

    assert names.count("other's") == 5


def test_the_dead_keep_a_runner_from_nothing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulationLoop)
        process = loop.process("victim")
        _ = process.spawn(asyncio.Event().wait())
        process.kill()
        _ = process.spawn(asyncio.Event().wait())
        _ = loop.process("survivor").spawn(asyncio.Event().wait())
        await asyncio.sleep(1)

    with asyncio.Runner(loop_factory=new_loop) as runner, suppress(asyncio.CancelledError):
        runner.run(main())
