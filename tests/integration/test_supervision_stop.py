"""The end: whoever drains is waited for, whoever does not is killed, and nobody is left."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from allocator.supervision.backoff import Backoff
from allocator.supervision.place import Patience
from tests.integration.supervision_support import fleet

IMPATIENT = Patience(drain_ms=300, grace_ms=200)


async def test_a_stop_waits_until_all_have_drained(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        pids = await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.stop()
        await crew.noted("SIGTERM", times=2)

        assert [worker.state for worker in crew.supervisor.status()] == ["stopping", "stopping"]
        assert not crew.running.done()

        crew.set_busy(busy=False)

        assert await crew.exit_code() == 0
        assert sorted(crew.pids("drained")) == sorted(pids)
        assert sorted(crew.pids("SIGTERM")) == sorted(pids), "each was told exactly once"
        assert {line["reason"] for line in crew.logged("supervisor.worker_ended")} == {
            "exit code 0"
        }
        assert [worker.state for worker in crew.supervisor.status()] == ["down", "down"]


async def test_a_worker_that_ignores_sigterm_is_killed_after_the_bound(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "deaf", patience=IMPATIENT) as crew:
        steady, deaf = await crew.serving(2)
        crew.supervisor.stop()

        assert await crew.exit_code() == 0
        assert crew.pids("drained") == [steady]
        [line] = crew.logged("supervisor.killing_worker")
        assert (line["pid"], line["after_ms"]) == (deaf, 500)
        assert [
            (each["pid"], each["log_level"])
            for each in crew.logged("supervisor.worker_ended")
            if each["reason"] == "killed by SIGKILL"
        ] == [(deaf, "warning")]


async def test_a_second_stop_kills_at_once_and_says_so_in_the_exit_code(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.stop()
        await crew.noted("SIGTERM", times=2)
        crew.supervisor.stop()

        assert await crew.exit_code() == 1
        assert crew.pids("drained") == []


async def test_two_stops_in_one_breath_kill_as_well(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.stop()
        crew.supervisor.stop()

        assert await crew.exit_code() == 1


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 13])
def test_a_stop_in_the_midst_of_starting_processes_leaves_nobody(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    async def scenario() -> None:
        async with fleet(tmp_path) as crew:
            for _ in range(turns):
                await asyncio.sleep(0)
            crew.supervisor.stop()

            assert await crew.exit_code() == 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


async def test_a_stop_while_workers_start_ends_them_in_good_order(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "silent") as crew:
        started = await crew.noted("started", times=2)
        await crew.noted("ready", times=1)
        crew.supervisor.stop()

        assert await crew.exit_code() == 0
        assert sorted(crew.pids("drained")) == sorted(started)


async def test_a_stop_kills_at_once_if_a_place_has_given_up_before(tmp_path: Path) -> None:
    async with fleet(tmp_path, backoff=Backoff(crashes_max=1)) as crew:
        former = await crew.serving(2)
        crew.set_busy(busy=True)
        crew.set_mood("exit 3", place=1)
        os.kill(former[1], signal.SIGKILL)
        await crew.until_logged("supervisor.stopping")
        await crew.noted("SIGTERM", times=1)
        crew.supervisor.stop()

        assert await crew.exit_code() == 1
        assert crew.pids("drained") == []


async def test_nothing_of_ours_hears_signals_any_more_after_the_end(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.supervisor.stop()
        await crew.exit_code()

        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == [
            signal.SIG_DFL,
            signal.SIG_DFL,
        ]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_a_stop_does_not_wait_for_the_next_restart(tmp_path: Path) -> None:
    async with fleet(tmp_path, "steady", "exit 3") as crew:
        await crew.until_logged("supervisor.worker_not_started", times=4)
        crew.supervisor.stop()

        assert await crew.exit_code() == 0
        assert crew.supervisor.status()[1].pid is None


@pytest.mark.parametrize("failing", [True, False])
async def test_the_end_of_a_background_task_is_the_end_of_all(
    tmp_path: Path, *, failing: bool
) -> None:
    ending, staying = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await ending.wait()
        if failing:
            raise ZeroDivisionError

    background = [
        asyncio.create_task(work(), name="the books"),
        asyncio.create_task(_wait_for(staying), name="the rest"),
    ]
    async with fleet(tmp_path, background=background) as crew:
        pids = await crew.serving(2)
        ending.set()

        assert await crew.exit_code() == 1
        assert sorted(crew.pids("drained")) == sorted(pids)
        [line] = crew.logged("supervisor.task_ended")
        assert (line["task"], line["log_level"]) == ("the books", "error")
        assert isinstance(line["exc_info"], ZeroDivisionError) is failing

    assert not background[1].done(), "it belongs to somebody else"
    staying.set()
    await background[1]


async def _wait_for(event: asyncio.Event) -> None:
    await event.wait()
