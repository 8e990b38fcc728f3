"""What is planned from a seed, what it is blamed for, and on which processes it falls."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.chaos_crowd import Tally
from bench.chaos_evidence import Evidence, PoolEvidence
from bench.chaos_faults import Fault, Inflicted, Planned, plan
from bench.chaos_history import Numbers
from bench.chaos_processes import Process, children_of, process_of
from bench.chaos_report import Verdicts, keep, longest_gaps_s, print_course

S = 1_000_000_000
HARMLESS = "import sys; print(); sys.stdout.flush(); sys.stdin.read()"


def faults_of(planned: list[Planned]) -> list[Fault]:
    return [each.fault for each in planned]


def test_equal_seeds_give_equal_plans_and_others_do_not() -> None:
    first = plan(seed="1", seconds=60, workers=4)

    assert plan(seed="1", seconds=60, workers=4) == first
    assert plan(seed="2", seconds=60, workers=4) != first


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_comes_once_before_any_comes_again(seed: int) -> None:
    faults = faults_of(plan(seed=str(seed), seconds=60, workers=4))

    assert set(faults[: len(Fault)]) == set(Fault)


@pytest.mark.parametrize("seed", range(20))
def test_a_server_of_one_worker_is_spared_what_it_cannot_have(seed: int) -> None:
    faults = faults_of(plan(seed=str(seed), seconds=60, workers=1))

    assert set(faults) == {
        Fault.KILL_SERVER,
        Fault.PAUSE_WORKER,
        Fault.END_SESSIONS,
        Fault.KILL_POSTGRES,
    }


@pytest.mark.parametrize("seed", range(20))
def test_moments_ascend_within_the_time_and_no_supervisor_has_to_give_up(seed: int) -> None:
    planned = plan(seed=str(seed), seconds=600, workers=4)

    moments = [each.at_s for each in planned]
    assert moments == sorted(moments)
    assert moments[-1] < 600 - 1
    assert len(moments) > 150
    kills = [each.at_s for each in planned if each.fault in {Fault.KILL_WORKER, Fault.KILL_SEVERAL}]
    windows = [sum(at_s <= each < at_s + 60 for each in kills) for at_s in kills]
    assert max(windows) == 8


def test_a_time_without_answers_counts_from_the_fault_and_until_the_next() -> None:
    inflicted = [
        Inflicted(fault=Fault.KILL_WORKER, at_ns=10 * S),
        Inflicted(fault=Fault.KILL_SERVER, at_ns=20 * S),
        Inflicted(fault=Fault.KILL_WORKER, at_ns=30 * S),
    ]
    gaps = [(1 * S, 9 * S), (9 * S, 12 * S), (19 * S, 24 * S), (31 * S, 32 * S)]

    assert longest_gaps_s(inflicted, gaps) == {Fault.KILL_WORKER: 2.0, Fault.KILL_SERVER: 4.0}


def test_a_fault_that_nobody_noticed_is_blamed_for_nothing() -> None:
    assert longest_gaps_s([Inflicted(fault=Fault.ROLL, at_ns=0)], []) == {Fault.ROLL: 0.0}


def test_the_course_shows_how_long_pools_were_away() -> None:
    tally, console = Tally(), Console(file=StringIO(), width=120)
    tally.attempts["place"] = 3
    away = Inflicted(fault=Fault.KILL_WORKER, at_ns=0, returns_s=[1.0, 2.0, 9.0])

    print_course(tally, [away], console=console)

    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "3 requests: 3 place" in shown
    assert "2.00 s" in shown
    assert "9.00 s" in shown


def evidence(numbers: Numbers) -> Evidence:
    pool = PoolEvidence("tea", operations=[], rows=[], listed=[], numbers=numbers)
    return Evidence(pools=[pool])


def test_a_claim_that_failed_in_one_round_stays_failed() -> None:
    verdicts, console = Verdicts(), Console(file=StringIO(), width=120)

    assert verdicts.judge(evidence(Numbers(0, 0, 0, 0)))
    assert not verdicts.judge(evidence(Numbers(0, 1, 0, 1)))
    assert not verdicts.judge(evidence(Numbers(0, 0, 0, 0)))
    verdicts.print(console)

    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    wrong = [line for line in lines if line.startswith("    NO")]
    assert len(wrong) == 1
    assert "the api shows what the journal holds: tea: the balance is" in wrong[0]
    assert "3 of them searched" in lines[-1]


def test_what_a_failed_round_leaves_can_be_read_again(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("a line\n")

    keep(evidence(Numbers(0, 1, 0, 1)), log=log, directory=tmp_path / "kept")

    assert (tmp_path / "kept" / "server.log").read_text() == "a line\n"
    assert b'"type":"Numbers"' in (tmp_path / "kept" / "tea.json").read_bytes()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that has begun."""
    command = [sys.executable, "-c", HARMLESS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_children_are_found_while_they_live(child: subprocess.Popen[bytes]) -> None:
    assert child.pid in {each.pid for each in children_of(os.getpid())}

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet waited for

    assert process_of(child.pid) is None
    assert child.pid not in {each.pid for each in children_of(os.getpid())}


def test_a_process_is_signalled_and_another_with_its_number_is_not(
    child: subprocess.Popen[bytes],
) -> None:
    process = process_of(child.pid)
    assert process is not None
    former = Process(process.pid, process.started - 1)

    assert not former.signal(signal.SIGKILL)
    assert process.is_alive
    assert process.signal(signal.SIGKILL)
    child.wait()
    assert not process.signal(signal.SIGKILL)
