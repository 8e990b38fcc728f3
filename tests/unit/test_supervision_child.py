"""What a worker's words and its end mean."""

import signal

import pytest

from allocator.supervision.child import in_words
from allocator.supervision.process import says_ready


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-15, "killed by SIGTERM"),
        (-11, "killed by SIGSEGV"),
        (-(signal.SIGRTMIN + 1), f"killed by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_an_end_is_told_in_words(returncode: int, words: str) -> None:
    assert in_words(returncode) == words


@pytest.mark.parametrize("line", [b'{"ready":true}', b' {"ready": true, "port": 8080}\r'])
def test_a_worker_that_says_so_is_ready(line: bytes) -> None:
    assert says_ready(line)


@pytest.mark.parametrize(
    "line",
    [b"", b"ready", b'{"ready":false}', b'{"ready":1}', b'{"port":1}', b"true", b"\xff", b"[]"],
)
def test_nothing_else_means_that_it_is(line: bytes) -> None:
    assert not says_ready(line)
