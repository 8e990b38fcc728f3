"""Workers that die, in every way: the others serve on, and somebody takes the place."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import pytest
import uvloop

from allocator.supervision.backoff import Backoff
from allocator.supervision.child import Program
from allocator.supervision.place import Patience
from allocator.supervision.process import spawn
from tests.integration.embedded_support import children_of, end_all_below, kill
from tests.integration.serving import until
from tests.integration.supervision_support import Mood, fleet

HASTY = Backoff(shortest_ms=1, longest_ms=2, crashes_max=3)
THREE: tuple[Mood, ...] = ("steady", "steady", "steady")
PATIENT = Backoff(shortest_ms=600_000, longest_ms=600_000)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_worker_that_dies_before_it_has_its_settings_is_a_worker_that_died(
    run: Callable[[Coroutine[None, None, None]], None],
) -> None:
    """The loop of uvloop closes the pipes of who has ended, and raises if one is written to."""
    waits = "import time; time.sleep(60)"  # however late it is seen, it lives
    program = Program(command=(sys.executable, "-S", "-c", waits), settings=lambda _: {})

    async def start_and_see() -> None:
        others = set(children_of(os.getpid()))
        starting = asyncio.ensure_future(spawn(program, 0))
        while not (new := set(children_of(os.getpid())) - others):  # noqa: ASYNC110 (no event)
            await asyncio.sleep(0)
        kill(new.pop())  # the loop does not come round before it is dead
        process = await starting
        await process.exited

        assert process.returncode == -signal.SIGKILL

    run(start_and_see())


async def test_the_survivor_serves_while_the_others_are_killed(tmp_path: Path) -> None:
    async with fleet(tmp_path, *THREE) as crew:
        survivor, *others = await crew.serving(3)
        for place in (1, 2):
            crew.set_mood("silent", place=place)  # whoever follows them serves nobody
        for pid in others:
            os.kill(pid, signal.SIGKILL)

        assert {await crew.ask() for _ in range(20)} == {survivor}


async def test_several_killed_at_once_are_all_followed_by_others(tmp_path: Path) -> None:
    async with fleet(tmp_path, *THREE) as crew:
        former = await crew.serving(3)
        for pid in former:
            os.kill(pid, signal.SIGKILL)
        present = await crew.serving(3, without=former)

        assert not set(former) & set(present)
        assert await crew.ask() in present
        assert [worker.restarts for worker in crew.supervisor.status()] == [1, 1, 1]
        assert sorted(
            (line["place"], line["pid"], line["reason"], line["log_level"])
            for line in crew.logged("supervisor.worker_died")
        ) == [(place, pid, "killed by SIGKILL", "warning") for place, pid in enumerate(former)]


async def test_a_worker_that_ends_in_good_order_unasked_is_followed_too(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        os.kill(former[1], signal.SIGTERM)
        present = await crew.serving(2, without=former[1:])
        [died] = crew.logged("supervisor.worker_died")

        assert present[0] == former[0]
        assert (died["place"], died["reason"]) == (1, "exit code 0")


async def test_the_status_tells_of_every_place(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "silent", "exit 3", backoff=PATIENT) as crew:
        states = ["serving", "starting", "down"]
        await until(lambda: [each.state for each in crew.supervisor.status()] == states)
        serving, starting, down = crew.supervisor.status()

        assert [serving.pid, starting.pid] == [
            next(note.pid for note in crew.notes("started") if note.place == place)
            for place in (0, 1)
        ]
        assert (down.pid, down.started_at_ms, down.restarts) == (None, None, 1)
        assert serving.started_at_ms is not None
        assert (tmp_path / "worker.py").stat().st_mtime * 1000 - 1 <= serving.started_at_ms


async def test_the_start_is_over_when_every_place_has_served(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "silent") as crew:
        started = asyncio.create_task(crew.started())
        await crew.noted("started", times=2)
        await until(lambda: crew.worker(0).state == "serving")

        assert not started.done()

        [silent] = [note.pid for note in crew.notes("started") if note.place == 1]
        crew.set_mood("steady", place=1)
        kill(silent)
        await started

        assert crew.worker(1).state == "serving"


@pytest.mark.parametrize(("mood", "code"), [("exit 1", 1), ("exit 2", 2)])
async def test_a_worker_that_cannot_start_as_configured_stops_everything(
    tmp_path: Path, mood: Mood, code: int
) -> None:
    async with fleet(tmp_path, "steady", mood) as crew:
        assert await crew.exit_code() == code
        assert len([note for note in crew.notes("started") if note.place == 1]) == 1
        [line] = crew.logged("supervisor.gave_up")
        assert (line["place"], line["log_level"]) == (1, "error")


async def test_a_command_that_does_not_exist_stops_everything(tmp_path: Path) -> None:
    async with fleet(tmp_path, command=["/no/such/program"]) as crew:
        assert await crew.exit_code() == 1
        assert "No such file" in str(crew.logged("supervisor.gave_up"))


async def test_another_failure_before_a_worker_was_ready_is_tried_again(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "exit 3") as crew:
        await crew.until_logged("supervisor.worker_not_started", times=2)
        crew.set_mood("steady", place=1)
        await crew.serving(2)

        assert crew.worker(1).restarts >= 2


async def test_a_worker_that_once_served_is_tried_again_whatever_its_exit_code(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_mood("exit 1", place=1)
        os.kill(former[1], signal.SIGKILL)
        await crew.until_logged("supervisor.worker_not_started", times=2)
        crew.set_mood("steady", place=1)

        assert (await crew.serving(2))[0] == former[0]


async def test_a_place_in_which_everything_dies_gives_up_and_leaves_nobody(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "exit 3", backoff=HASTY) as crew:
        code = await crew.exit_code()

        assert code == 1
        assert crew.supervisor.status()[0].state == "down"
        assert len([note for note in crew.notes("started") if note.place == 1]) == 4
        assert crew.pids("drained") == [
            note.pid for note in crew.notes("started") if not note.place
        ]
        assert "4 have died within 60 s" in str(crew.logged("supervisor.gave_up"))


async def test_deaths_after_a_good_start_count_as_well(tmp_path: Path) -> None:
    async with fleet(tmp_path, backoff=HASTY) as crew:
        await crew.started()
        while not crew.running.done():
            for worker in crew.supervisor.status():
                if worker.place == 1 and worker.state == "serving" and worker.pid is not None:
                    with suppress(ProcessLookupError):  # already
                        kill(worker.pid)
            await asyncio.sleep(0.01)

        assert crew.running.result() == 1
        assert len([note for note in crew.notes("ready") if note.place == 1]) == 4


async def test_workers_that_die_young_are_waited_with(tmp_path: Path) -> None:
    async with fleet(tmp_path, backoff=PATIENT) as crew:
        [first, other] = await crew.serving(2)
        kill(first)
        [second, _] = await crew.serving(2, without=[first])
        kill(second)
        await until(lambda: crew.worker(0).state == "down")
        kill(other)
        await until(lambda: crew.worker(1).state == "serving" and crew.worker(1).pid != other)

        assert (crew.worker(0).state, crew.worker(0).restarts) == ("down", 1)


async def test_workers_that_die_after_a_long_life_are_followed_at_once(tmp_path: Path) -> None:
    at_once = Backoff(shortest_ms=600_000, longest_ms=600_000, settled_ms=0)
    async with fleet(tmp_path, "steady", backoff=at_once) as crew:
        former: list[int] = []
        for _ in range(3):
            former += await crew.serving(1, without=former)
            kill(former[-1])
        await crew.serving(1, without=former)


async def test_a_worker_that_never_gets_ready_is_ended_and_followed(tmp_path: Path) -> None:
    patience = Patience(ready_ms=2_000)
    async with fleet(tmp_path, "steady", "silent", patience=patience) as crew:
        await until(lambda: [note.place for note in crew.notes("started")].count(1) == 1)
        crew.set_mood("steady", place=1)
        await crew.serving(2)
        [line] = crew.logged("supervisor.worker_not_ready")

        assert line["log_level"] == "error"
        assert line["pid"] in crew.pids("drained")


async def test_a_death_is_noticed_while_a_process_of_the_dead_holds_its_pipes(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "parent", "steady") as crew:
        former, _ = await crew.serving(2)
        [orphan] = children_of(former)
        crew.set_mood("steady", place=0)
        os.kill(former, signal.SIGKILL)
        await crew.serving(2, without=[former])

        os.kill(orphan, signal.SIGKILL)  # it lived until now, or this would fail


async def test_nothing_stays_open_for_those_who_have_ended(tmp_path: Path) -> None:
    async with fleet(tmp_path, "parent", "steady") as crew:
        pids = await crew.serving(2)
        before = descriptors_in_use()
        for _ in range(3):
            os.kill(pids[0], signal.SIGKILL)
            pids = await crew.serving(2, without=pids[:1])
        await until(lambda: descriptors_in_use() <= before)

        crew.supervisor.stop()
        await crew.exit_code()
        end_all_below(tmp_path)  # those that the workers had started


async def test_a_worker_that_prints_much_is_not_held_up(tmp_path: Path) -> None:
    async with fleet(tmp_path, "chatty") as crew:
        await crew.noted("has said it all", times=1)

        assert await crew.ask() == crew.worker(0).pid


async def test_a_paused_worker_is_left_alone_and_killed_at_the_end(tmp_path: Path) -> None:
    async with fleet(tmp_path, patience=Patience(drain_ms=300, grace_ms=200)) as crew:
        pids = await crew.serving(2)
        os.kill(pids[1], signal.SIGSTOP)
        crew.supervisor.stop()

        assert await crew.exit_code() == 0
        assert crew.pids("drained") == pids[:1]


async def test_the_end_of_the_supervising_task_is_the_end_of_the_workers(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        pids = await crew.serving(2)
        crew.running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await crew.exit_code()

        assert sorted(crew.pids("drained")) == sorted(pids)


def descriptors_in_use() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
