"""Exchanging the workers one by one: nobody who asks notices, whatever goes wrong with it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from allocator.supervision.place import Patience
from tests.integration.serving import until
from tests.integration.supervision_support import Fleet, Mood, fleet

CONNECTIONS_MAX = 20_000


async def rolled(crew: Fleet, *, times: int = 1) -> None:
    """Wait until so many rolls have come to their end."""
    await crew.until_logged("supervisor.rolled", times=times)


@pytest.mark.parametrize("moods", [("steady",), ("steady", "steady", "steady")])
async def test_no_connection_is_refused_or_reset_while_workers_are_exchanged(
    tmp_path: Path, moods: tuple[Mood, ...]
) -> None:
    async with fleet(tmp_path, *moods) as crew:
        former = await crew.serving(len(moods))
        crew.supervisor.roll()
        answered = set()
        for _ in range(CONNECTIONS_MAX):
            answered.update(await asyncio.gather(*(crew.ask() for _ in range(8))))
            if crew.logged("supervisor.rolled"):
                break
        await rolled(crew)
        answered.add(await crew.ask())
        present = await crew.serving(len(moods))

        assert not set(former) & set(present)
        assert answered & set(former)
        assert answered & set(present)
        assert crew.pids("drained") == former, "in the order of their places"


async def test_a_place_is_exchanged_only_after_the_one_before_has_drained(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.roll()
        await crew.noted("SIGTERM", times=1)
        zero, new, one = crew.supervisor.status()

        assert [(each.place, each.state) for each in (zero, new, one)] == [
            (0, "stopping"),
            (0, "serving"),
            (1, "serving"),
        ]
        assert [zero.pid, one.pid] == former
        assert len(crew.pids("started")) == 3

        crew.set_busy(busy=False)
        await rolled(crew)

        assert crew.pids("SIGTERM") == former
        assert [each.restarts for each in crew.supervisor.status()] == [0, 0]


async def test_a_replacement_that_never_gets_ready_leaves_the_old_one_serving(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, patience=Patience(ready_ms=2_000)) as crew:
        former = await crew.serving(2)
        crew.set_mood("silent", place=0)
        crew.supervisor.roll()
        await crew.until_logged("supervisor.roll_stopped")
        [line] = crew.logged("supervisor.roll_stopped")

        assert (line["place"], line["log_level"]) == (0, "error")
        assert await crew.serving(2) == former
        assert not set(crew.pids("SIGTERM")) & set(former)
        assert await crew.ask() in former

        crew.supervisor.stop()
        await crew.exit_code()

        assert len(crew.pids("started")) == 3, "the roll went on"


@pytest.mark.parametrize("mood", ["exit 1", "exit 3"])
async def test_a_replacement_that_dies_stops_the_roll_where_it_is(
    tmp_path: Path, mood: Mood
) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_mood(mood, place=1)
        crew.supervisor.roll()
        await crew.until_logged("supervisor.roll_stopped")
        present = await crew.serving(2)

        assert present[0] != former[0]
        assert present[1] == former[1]
        assert crew.pids("SIGTERM") == former[:1]


async def test_an_old_one_that_does_not_drain_is_killed_and_the_roll_goes_on(
    tmp_path: Path,
) -> None:
    patience = Patience(drain_ms=300, grace_ms=200)
    async with fleet(tmp_path, "deaf", "steady", patience=patience) as crew:
        former = await crew.serving(2)
        crew.set_mood("steady", place=0)
        crew.supervisor.roll()
        await rolled(crew)
        [line] = crew.logged("supervisor.killing_worker")

        assert (line["pid"], line["after_ms"]) == (former[0], 500)
        assert not set(await crew.serving(2)) & set(former)


async def test_a_roll_that_stopped_can_be_asked_for_again(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_mood("exit 3", place=0)
        crew.supervisor.roll()
        await crew.until_logged("supervisor.roll_stopped")
        crew.set_mood("steady", place=0)
        crew.supervisor.roll()
        await rolled(crew)

        assert not set(await crew.serving(2)) & set(former)


async def test_a_roll_asked_for_during_a_roll_comes_after_it_and_once(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.roll()
        await crew.noted("SIGTERM", times=1)
        for _ in range(3):
            crew.supervisor.roll()
        crew.set_busy(busy=False)
        await rolled(crew, times=2)
        present = await crew.serving(2)
        crew.supervisor.stop()
        await crew.exit_code()

        assert len(crew.logged("supervisor.rolling")) == 2
        assert crew.pids("ready")[-2:] == present
        assert len(crew.pids("started")) == 6


async def test_a_roll_asked_for_at_the_start_waits_for_it(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        crew.supervisor.roll()
        await rolled(crew)

        assert len(crew.pids("started")) == 4


async def test_the_old_one_may_die_while_its_replacement_starts(tmp_path: Path) -> None:
    async with fleet(tmp_path, patience=Patience(ready_ms=2_000)) as crew:
        former = await crew.serving(2)
        crew.set_mood("silent", place=0)
        crew.supervisor.roll()
        await crew.noted("started", times=3)
        os.kill(former[0], signal.SIGKILL)
        crew.set_mood("steady", place=0)
        await crew.until_logged("supervisor.roll_stopped")
        present = await crew.serving(2)

        assert present[1] == former[1]
        assert len(crew.pids("started")) == 4
        assert crew.worker(0).restarts == 1


async def test_the_replacement_may_die_while_the_old_one_drains(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.roll()
        await crew.noted("SIGTERM", times=1)
        replacement = crew.pids("ready")[2]
        os.kill(replacement, signal.SIGKILL)
        await crew.noted("ready", times=4)

        assert crew.pids("drained") == [], "nobody waited for the drain"

        crew.set_busy(busy=False)
        await rolled(crew)

        assert not {*former, replacement} & set(await crew.serving(2))


async def test_another_place_may_lose_its_worker_during_a_roll(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        former = await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.roll()
        await crew.noted("SIGTERM", times=1)
        os.kill(former[1], signal.SIGKILL)
        await crew.noted("ready", times=4)
        crew.set_busy(busy=False)
        await rolled(crew)

        assert not set(former) & set(await crew.serving(2))


async def test_a_stop_during_a_roll_waits_for_all_drains(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.set_busy(busy=True)
        crew.supervisor.roll()
        await crew.noted("SIGTERM", times=1)
        crew.supervisor.stop()
        await crew.noted("SIGTERM", times=3)
        crew.set_busy(busy=False)

        assert await crew.exit_code() == 0
        assert sorted(crew.pids("drained")) == sorted(crew.pids("started"))
        assert sorted(crew.pids("SIGTERM")) == sorted(crew.pids("started"))


async def test_a_stop_while_a_replacement_starts_ends_it_too(tmp_path: Path) -> None:
    async with fleet(tmp_path) as crew:
        await crew.serving(2)
        crew.set_mood("silent", place=0)
        crew.supervisor.roll()
        await crew.noted("started", times=3)
        await until(lambda: len(crew.supervisor.status()) == 3)
        crew.supervisor.stop()

        assert await crew.exit_code() == 0
        assert sorted(crew.pids("drained")) == sorted(crew.pids("started"))
