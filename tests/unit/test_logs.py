"""Logs: one JSON object a line, and nothing in it that should not be there."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

# A process of its own: the settings of logs are a whole process's.
SCRIPT = """
import logging
import structlog
from aiohttp.http_exceptions import BadHttpMessage
from aiohttp.web import RequestPayloadError
from allocator.logs import configure_logs

configure_logs("info")
log = structlog.get_logger()

def fail(password, error):
    try:
        raise error
    except Exception as caught:
        return caught

log.debug("not.said")
log.info("said", answer=42, actor=7 << 8 | 200)
log.error("request.failed", exc_info=fail("hunter2", ValueError("a bug")))
server = logging.getLogger("aiohttp.server")
server.info("not said")
for error in (BadHttpMessage("nonsense"), RequestPayloadError("garbage"), ValueError("a bug")):
    server.error("Error handling request from %s", "somebody", exc_info=fail("hunter2", error))
"""


class Line(msgspec.Struct, frozen=True):
    """A line of the log, as far as these tests look."""

    event: str
    level: str
    timestamp: str
    exception: list[msgspec.Raw] | None = None
    answer: int | None = None
    shard: int | None = None


@pytest.fixture(scope="module")
def text() -> str:
    """What the script has logged."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stdout
    return done.stderr


@pytest.fixture(scope="module")
def lines(text: str) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in text.splitlines()]


def test_each_line_is_an_object_with_its_event_level_and_time(lines: list[Line]) -> None:
    said = lines[0]

    assert (said.event, said.level, said.answer) == ("said", "info", 42)
    assert said.timestamp.endswith("Z")
    assert "not.said" not in {line.event for line in lines}


def test_a_line_about_an_actor_says_its_shard(lines: list[Line]) -> None:
    assert [line.shard for line in lines] == [200, None, None, None, None]


def test_a_bug_is_told_with_its_stack(lines: list[Line]) -> None:
    assert (lines[1].event, lines[1].level) == ("request.failed", "error")
    assert lines[1].exception
    assert lines[4].level == "error"
    assert lines[4].exception


def test_no_variable_of_a_failing_function_is_told(text: str) -> None:
    """They hold what customers sent, and the password of the database."""
    assert "a bug" in text
    assert "hunter2" not in text.replace('fail(\\"hunter2\\"', "")


def test_a_client_that_does_not_speak_http_costs_one_short_line(lines: list[Line]) -> None:
    assert len(lines) == 5
    for line in lines[2:4]:
        assert (line.event, line.level) == ("Error handling request from somebody", "warning")
        assert line.exception is None


WORKER_SCRIPT = """
import asyncio, logging, os
import structlog
from allocator.logs import bind_incarnation, bind_worker, configure_logs

configure_logs("info")
log = structlog.get_logger()
log.info("before")
bind_worker(3)

async def serve():
    log.info("in.the.loop")
    await asyncio.create_task(renew())
    log.info("renewed")
    await asyncio.create_task(later())
    await asyncio.to_thread(log.info, "in.a.thread")
    asyncio.get_running_loop().call_soon(logging.getLogger("asyncpg").warning, "of.a.library")
    await asyncio.sleep(0)
    log.info("with.its.own", worker=1)

async def renew():
    bind_incarnation("first")
    bind_incarnation("second")

async def later():
    log.info("in.a.task")

asyncio.run(serve())
print(os.getpid())
"""


def test_every_line_of_a_worker_says_whose_it_is_and_in_which_life() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER_SCRIPT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in done.stderr.splitlines()]
    pid = int(done.stdout)

    whose = ("worker", "pid", "incarnation")

    assert {str(line["event"]): tuple(map(line.get, whose)) for line in lines} == {
        "before": (None, None, None),
        "in.the.loop": (3, pid, None),
        "renewed": (3, pid, "second"),
        "in.a.task": (3, pid, "second"),
        "in.a.thread": (3, pid, "second"),
        "of.a.library": (3, pid, "second"),
        "with.its.own": (1, pid, "second"),
    }


def test_a_line_is_one_write_even_where_nothing_is_buffered() -> None:
    """Several processes share one stream: a line in pieces would end up within another's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stderr=theirs.fileno(),
            check=True,
        )
        ours.settimeout(0)
        writes = [ours.recv(1 << 16) for _ in range(5)]

        assert all(write.startswith(b"{") and write.endswith(b"}\n") for write in writes)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
