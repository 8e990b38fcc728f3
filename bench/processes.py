"""Servers as child processes: started, awaited, and ended by their own process id."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType

from bench.errors import BenchError

READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 20.0
_POLL_S = 0.01
_LOG_TAIL_BYTES = 2000


class ServerError(BenchError):
    """A server did not start, or ended too early; the message has the end of its log."""


def unwind_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that its children end with it."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(arguments: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Start `python -m …` with all it says going to a log; the caller ends it.

    Settings in our own environment stay here: a benchmark measures what its arguments say.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ALLOCATOR_")}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def wait_ready(child: subprocess.Popen[bytes], *, port: int, log: Path) -> None:
    """Return once `GET /readyz` answers 200.

    Raises:
        ServerError: it ended, or was not ready within `READY_WITHIN_S`.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_ready(port):
        if child.poll() is not None:
            raise ServerError(f"a server ended with {child.returncode}: {_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerError(f"a server was not ready in {READY_WITHIN_S:.0f} s: {_tail(log)}")
        time.sleep(_POLL_S)


def wait_listening(child: subprocess.Popen[bytes], *, port: int, log: Path) -> None:
    """Return once something listens on a port.

    Raises:
        ServerError: It ended, or did not within `READY_WITHIN_S`.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(_POLL_S)
    raise ServerError(f"nobody listens on port {port}: {_tail(log)}")


def is_ready(port: int) -> bool:
    """Say whether a server takes requests on this port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child: politely, and after `_STOP_WITHIN_S` for certain."""
    child.terminate()
    try:
        child.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


@contextlib.contextmanager
def serving(arguments: Sequence[str], *, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server that is ready inside the block and ended after it."""
    child = start(arguments, log=log)
    try:
        wait_ready(child, port=port, log=log)
        yield child
    finally:
        stop(child)


def _tail(log: Path) -> str:
    return log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
