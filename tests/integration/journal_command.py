"""`allocator journal` as its user runs it: a process, lines, and what it says beside them."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

from tests.integration.serving import CHECKOUT, HANG_S, until

_ENVIRONMENT = {name: value for name, value in os.environ.items() if "ALLOCATOR_" not in name} | {
    "PYTHONFAULTHANDLER": "1"  # SIGABRT shows where one hangs
}


class Told(msgspec.Struct, frozen=True):
    """What a command that ended had to say."""

    code: int
    lines: list[str]
    errors: str

    @property
    def objects(self) -> list[dict[str, object]]:
        """The lines of `--json`."""
        return [json.loads(line) for line in self.lines]

    @property
    def goes_on(self) -> str:
        """The position that it gives at its end."""
        return self.errors.split("--after ")[1].split("`")[0]


async def journal(*arguments: str) -> Told:
    """Run `allocator journal` to its end."""
    return await allocator("journal", *arguments)


async def allocator(*arguments: str) -> Told:
    """Run a command to its end."""
    process = await start_allocator(*arguments)
    async with asyncio.timeout(HANG_S):
        said, errors = await process.communicate()
    assert process.returncode is not None
    return Told(process.returncode, said.decode().splitlines(), errors.decode())


class Following:
    """`allocator journal tail --follow`, while it runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        """Wait for its next line."""
        return await self._next(self._process.stdout)

    async def warning(self) -> str:
        """Wait for the next sentence that it says beside its lines."""
        return await self._next(self._process.stderr)

    async def interrupt(self) -> Told:
        """Type Ctrl-C, and return what it still had to say."""
        self._process.send_signal(signal.SIGINT)
        ending = asyncio.create_task(self._process.communicate())
        ended, _ = await asyncio.wait([ending], timeout=HANG_S)
        if not ended:
            self._process.send_signal(signal.SIGABRT)  # has it say where it is
        said, errors = await ending
        assert ended, errors.decode()
        assert self._process.returncode is not None
        return Told(self._process.returncode, said.decode().splitlines(), errors.decode())

    async def _next(self, stream: asyncio.StreamReader | None) -> str:
        assert stream is not None
        async with asyncio.timeout(HANG_S):
            return (await stream.readline()).decode().rstrip("\n")


@asynccontextmanager
async def following(*arguments: str) -> AsyncIterator[Following]:
    """Run `allocator journal tail --follow`, which dies with the test at the latest."""
    process = await start_allocator("journal", "tail", "--follow", *arguments)
    try:
        yield Following(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def start_allocator(*arguments: str) -> asyncio.subprocess.Process:
    """Start a command, which the caller has to see to its end."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "allocator", *arguments),
        cwd=CHECKOUT,
        env=_ENVIRONMENT,
        stdout=PIPE,
        stderr=PIPE,
    )


async def interrupted(when: Callable[[], Awaitable[bool]], *arguments: str) -> Told:
    """Run `allocator journal`, type Ctrl-C as soon as a condition holds, and let it end."""
    process = await start_allocator("journal", *arguments)
    try:
        await until(when)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(HANG_S):
            said, errors = await process.communicate()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    assert process.returncode is not None
    return Told(process.returncode, said.decode().splitlines(), errors.decode())
