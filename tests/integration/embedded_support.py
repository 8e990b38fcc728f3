"""What the tests of the embedded PostgreSQL share: directories, deaths, and looking on."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

CHECKOUT = Path(__file__).parents[2]

# Pieces of programs for other processes, to be added up.
IMPORTS = """
import os
import sys
from pathlib import Path
from allocator.persistence.embedded import EmbeddedPostgres
"""

SERVE = """
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
"""

WAIT = """
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(
    argument: Path | str, *, script: str = IMPORTS + SERVE + WAIT, path: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """Run a script in a process that dies with the test; its servers do not."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(argument)],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints, or if it ends first, its last complaint."""
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdout.readline().strip() or process.stderr.read().strip().splitlines()[-1]


def ask(dsn: str, sql: str) -> str:
    """The first value of the first row, as text."""

    async def fetch() -> str:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return str(await connection.fetchval(sql))
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, fetch()).result()


def children_of(pid: int) -> list[int]:
    """The living processes that a process has started and not yet lost."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            if fields[1] == str(pid) and fields[0] != "Z":
                found.append(int(status.parent.name))
    return found


def postmaster_of(data_dir: Path) -> int:
    """The number that the server has written down."""
    return int((data_dir / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def kill(pid: int) -> None:
    """Kill -9, and wait until it is dead."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def until(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def working_below(directory: Path) -> list[int]:
    """The processes whose working directory is in `directory`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(directory):
                found.append(int(process.name))
    return found


def end_all_below(directory: Path) -> None:
    """Kill what a test left running in its own directory."""
    for pid in working_below(directory):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in working_below(directory)))


def tcp_sockets_of(pid: int) -> set[str]:
    """The TCP sockets that a process has open, by inode."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    tcp = {line.split()[9] for table in tables for line in table.splitlines()[1:]}
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return tcp & {link.removeprefix("socket:[").removesuffix("]") for link in links}
