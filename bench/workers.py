"""A server of several workers, seen from outside: its processes, and which of them owns what."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import msgspec

from allocator.domain.ids import SHARDS
from bench.chaos_processes import Process, children_of
from bench.contenders import serve_arguments
from bench.databases import fetch_text
from bench.messages import WAREHOUSE
from bench.processes import ServerError, free_port, serving

WORKERS = 2

_WORKER = b"allocator.worker_process"
_WHOLE_WITHIN_S = 30.0
_GONE_WITHIN_S = 5.0
_DIES_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.1
_POLL_S = 0.001

_SHARES = """
SELECT coalesce(json_object_agg(pid, shards), '{}') FROM (
    SELECT substring(name FROM '[0-9]+$') AS pid, count(*) AS shards
    FROM shards JOIN workers USING (incarnation) GROUP BY 1
) AS shares
"""
_OWNERS = f"""
SELECT coalesce(json_object_agg(product, substring(name FROM '[0-9]+$')::int), '{{}}')
FROM pools JOIN shards ON shards.id = pools.actor_id & {SHARDS - 1} JOIN workers USING (incarnation)
WHERE warehouse = '{WAREHOUSE}'
"""


class Workers:
    """The worker processes of a server, and their shares of a database.

    Attributes:
        port: Where all of them serve.
        url: The database.
        supervisor: The server's own process.
    """

    def __init__(self, supervisor: subprocess.Popen[bytes], *, port: int, url: str) -> None:
        self.port = port
        self.url = url
        self.supervisor = supervisor
        self._known: set[Process] = set()

    def alive(self) -> list[Process]:
        """Return those that live, the oldest first as long as process ids grow."""
        found = [each for each in children_of(self.supervisor.pid) if _is_worker(each.pid)]
        self._known.update(found)
        return found

    def owners(self) -> dict[str, int]:
        """Return the process that owns each product's pool, as the database has it."""
        return msgspec.json.decode(fetch_text(self.url, _OWNERS), type=dict[str, int])

    def shares(self) -> dict[int, int]:
        """Return how many shards each process has that has any, as the database has it."""
        return msgspec.json.decode(fetch_text(self.url, _SHARES), type=dict[int, int])

    def resident_mb(self) -> float:
        """Return the memory of all that live."""
        return sum(_resident_kb(each.pid) for each in self.alive()) / 1024

    def wait_whole(self, *, without: Collection[Process] = ()) -> None:
        """Return once there are as many workers as there should be, with equal shares.

        Args:
            without: Workers that have to be gone by then.

        Raises:
            ServerError: It did not come to that within 30 s.
        """
        _wait(
            lambda: self._is_whole(without),
            within_s=_WHOLE_WITHIN_S,
            every_s=_LOOK_EVERY_S,
            what=f"{WORKERS} workers with equal shares",
        )

    def kill(self, worker: Process) -> int:
        """Kill a worker and return once it is dead: when it was killed, as `perf_counter_ns`.

        Raises:
            ServerError: It is not dead after 5 s.
        """
        killed_ns = time.perf_counter_ns()
        worker.signal(signal.SIGKILL)
        _wait(
            lambda: not worker.is_alive,
            within_s=_DIES_WITHIN_S,
            every_s=_POLL_S,
            what=f"end of worker {worker.pid}",
        )
        return killed_ns

    def end(self) -> None:
        """Kill those that have outlived their supervisor: none, unless something went wrong."""
        with contextlib.suppress(ServerError):
            _wait(
                lambda: not any(each.is_alive for each in self._known),
                within_s=_GONE_WITHIN_S,
                every_s=_LOOK_EVERY_S,
                what="end of all workers",
            )
        for each in self._known:
            each.signal(signal.SIGKILL)

    def _is_whole(self, without: Collection[Process]) -> bool:
        alive = self.alive()
        if len(alive) != WORKERS or any(each in without for each in alive):
            return False
        return self.shares() == {each.pid: SHARDS // WORKERS for each in alive}


@contextlib.contextmanager
def several_serving(url: str, *more: str, log: Path) -> Iterator[Workers]:
    """Run a server of several workers inside the block, whole at first; none is left after it."""
    port = free_port()
    workers: Workers | None = None
    try:
        arguments = serve_arguments(port, url, "--workers", str(WORKERS), *more)
        with serving(arguments, port=port, log=log) as supervisor:
            workers = Workers(supervisor, port=port, url=url)
            try:
                workers.wait_whole()
                yield workers
            finally:
                workers.alive()  # so that none is forgotten when their parent is gone
    finally:
        if workers is not None:
            workers.end()


def _is_worker(pid: int) -> bool:
    try:
        return _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _wait(holds: Callable[[], bool], *, within_s: float, every_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise ServerError(f"no {what} within {within_s:.0f} s")
        time.sleep(every_s)
