"""A replay through the real server, and across its sudden death."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from allocator.replay.command import IDENTICAL
from tests.integration.test_replay import HISTORY, Replaying, until_written

CHECKOUT = Path(__file__).parents[2]


class Server:
    """`allocator serve` in a process of its own, on a port that stays the same."""

    def __init__(self, database_url: str, log: Path) -> None:
        self._database_url = database_url
        self._log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.process = self._start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def crash(self) -> None:
        """Die as if the machine had: no handler runs, nothing is flushed."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        assert self.process.returncode is not None, "it still runs"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "allocator", "serve", "--port", str(self._port)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--database-url", self._database_url],
                cwd=CHECKOUT,
                env={name: value for name, value in os.environ.items() if "ALLOCATOR_" not in name},
                stdout=log,
                stderr=log,
            )


@asynccontextmanager
async def serving(database_url: str, directory: Path) -> AsyncIterator[Server]:
    """A server that dies with the test at the latest."""
    server = Server(database_url, directory / "server.log")
    try:
        yield server
    finally:
        server.crash()


def history_in(directory: Path, *, lines: int) -> Path:
    """Write a history of 40 products: some run out, and some come back to be ordered again."""
    file = directory / "history.csv"
    rows = [HISTORY.read_text().splitlines()[0]]
    for n in range(lines):
        turn, product = divmod(n, 40)
        quantity = 1 + product % 3
        # Every other turn half of the products are given back by who ordered them last.
        if turn % 2 and product < 20:
            quantity = -quantity
        customer = turn // 2 % 3
        rows.append(f"{n},code {product},,{quantity},2024-03-01T08:00:00Z,1.00,{customer},France")
    file.write_text("\n".join(rows))
    return file


async def test_the_server_and_the_calculation_agree_on_a_history(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path) as server:
        replaying = Replaying(server.url)

        assert await replaying.exit == IDENTICAL, replaying.text
        assert replaying.row("orders placed") == "11"
        assert replaying.row("orders refused") == "2"


async def test_they_agree_when_the_server_is_killed_in_the_middle(
    database_url: str, tmp_path: Path
) -> None:
    file = history_in(tmp_path, lines=800)
    async with serving(database_url, tmp_path) as server:
        replaying = Replaying(server.url, file=file, clients=16)
        await until_written(replaying, "sending lines: 240 of 800")
        server.crash()
        await until_written(replaying, "no answer yet")
        server.restart()

        assert await replaying.exit == IDENTICAL, replaying.text
        assert int(replaying.row("repeated")) > 0


async def test_two_replays_at_once_do_not_disturb_each_other(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path) as server:
        first, second = Replaying(server.url), Replaying(server.url)

        assert (await first.exit, await second.exit) == (IDENTICAL, IDENTICAL)
