"""`allocator db`: the embedded PostgreSQL alone, for as long as the command runs."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

TIMEOUT_S = 60


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="allocator-db-") as directory:
        # Run by root, PostgreSQL runs under another account, which must get in.
        Path(directory).chmod(0o755)
        yield Path(directory) / "data"


def db(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "allocator", "db", "--data-dir", str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    with db(data_dir) as process:
        yield process
        process.terminate()
        process.communicate(timeout=TIMEOUT_S)


def url_of(process: subprocess.Popen[str]) -> str:
    """Wait until the server accepts connections and give its URL."""
    assert process.stdout is not None
    assert process.stderr is not None
    url = process.stdout.readline().strip()
    assert url, process.stderr.read()
    return url


async def connected_again(url: str) -> asyncpg.Connection:
    """Connect as soon as there is a server again, for at most `TIMEOUT_S`."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await asyncpg.connect(url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_postgresql_answers_at_the_printed_url_until_the_command_is_told_to_stop(
    running: subprocess.Popen[str], number: signal.Signals
) -> None:
    url = url_of(running)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()

    running.send_signal(number)

    assert running.wait(timeout=TIMEOUT_S) == 0
    with pytest.raises(OSError, match=r"s\.PGSQL|refused|No such file"):
        await asyncpg.connect(url)


def test_a_second_one_on_the_same_directory_is_refused_in_one_sentence(
    running: subprocess.Popen[str], data_dir: Path
) -> None:
    url_of(running)

    with db(data_dir) as second:
        said, complained = second.communicate(timeout=TIMEOUT_S)

    assert second.returncode == 2
    assert said == ""
    assert complained.startswith(f"allocator: the data directory {data_dir} is already served by ")
    assert complained.count("\n") == 1


async def test_it_starts_again_a_postgresql_that_was_killed(
    running: subprocess.Popen[str], data_dir: Path
) -> None:
    url = url_of(running)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 1 AS proof")
    await connection.close()

    postmaster = int((data_dir / "cluster" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)

    connection = await connected_again(url)
    assert await connection.fetchval("SELECT proof FROM kept") == 1
    await connection.close()


def test_a_cluster_that_cannot_start_ends_it_with_what_postgresql_said_last(
    data_dir: Path,
) -> None:
    with db(data_dir) as first:
        url_of(first)
        first.terminate()
        first.communicate(timeout=TIMEOUT_S)
    (data_dir / "cluster" / "global" / "pg_control").write_bytes(b"")

    with db(data_dir) as second:
        said, complained = second.communicate(timeout=TIMEOUT_S)

    assert second.returncode == 1
    assert said == ""
    assert complained.startswith("allocator: PostgreSQL's ")
    assert "pg_control" in complained
    assert complained.count("\n") == 1
