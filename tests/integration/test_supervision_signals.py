"""A supervisor as its operator meets it: a process that is sent signals, on either event loop."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.embedded_support import is_alive, kill
from tests.integration.serving import until
from tests.integration.supervision_support import SECRET, SupervisorProcess, supervisor_process


@pytest.fixture(params=["uvloop", "asyncio"])
async def crew(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SupervisorProcess]:
    """Two workers that serve, and the process of their supervisor."""
    async with supervisor_process(tmp_path, loop=str(request.param)) as running:
        yield running


async def test_sigterm_drains_and_leaves_nobody(crew: SupervisorProcess) -> None:
    pids = crew.pids("ready")
    assert await crew.ask() in pids

    crew.signal(signal.SIGTERM)

    assert await crew.exit_code() == 0
    assert sorted(crew.pids("drained")) == sorted(pids)
    assert not any(is_alive(pid) for pid in pids)


async def test_ctrl_c_reaches_the_workers_only_as_the_order_to_drain(
    crew: SupervisorProcess,
) -> None:
    pids = crew.pids("ready")
    crew.press_ctrl_c()

    assert await crew.exit_code() == 0
    assert crew.notes("SIGINT") == []
    assert sorted(crew.pids("SIGTERM")) == sorted(crew.pids("drained")) == sorted(pids)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_and_then_another_signal_kill_at_once(
    crew: SupervisorProcess, second: signal.Signals
) -> None:
    pids = crew.pids("ready")
    crew.set_busy(busy=True)
    crew.press_ctrl_c()
    await crew.noted("SIGTERM", times=2)
    crew.signal(second)

    assert await crew.exit_code() == 1
    assert crew.pids("drained") == []
    assert not any(is_alive(pid) for pid in pids)


async def test_sighup_exchanges_all_workers(crew: SupervisorProcess) -> None:
    former = crew.pids("ready")
    crew.signal(signal.SIGHUP)
    await until(lambda: "supervisor.rolled" in crew.log())

    assert sorted(crew.pids("drained")) == sorted(former)
    assert await crew.ask() in crew.pids("ready")[2:]


async def test_a_killed_worker_is_followed_by_another(crew: SupervisorProcess) -> None:
    former = crew.pids("ready")
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    await crew.noted("ready", times=4)

    assert await crew.ask() in crew.pids("ready")[2:]
    assert crew.log().count("killed by SIGKILL") == 2


async def test_workers_learn_of_the_death_of_their_supervisor_and_serve_on(
    crew: SupervisorProcess,
) -> None:
    pids = crew.pids("ready")
    kill(crew.process.pid)
    told = await crew.noted("end of stdin", times=2)

    assert sorted(told) == sorted(pids)
    assert await crew.ask() in pids

    for pid in pids:
        kill(pid)


async def test_what_workers_are_told_is_on_no_command_line(crew: SupervisorProcess) -> None:
    for pid in crew.pids("ready"):
        assert b"worker.py" in crew.visible(pid)
        assert SECRET.encode() not in crew.visible(pid)
    assert SECRET not in crew.log()
