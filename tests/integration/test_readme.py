"""The README does not rot: its tour is typed into a shell, and the answers are compared.

The whole tour runs in one shell against one server, so that variables and ids carry on as they do
for a reader. Ids and times differ from those that are shown; everything else has to be equal.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from allocator.replay.history import COLUMNS
from tests.integration.serving import CHECKOUT, Server, serving, until

README = (CHECKOUT / "README.md").read_text("utf-8")
SHOWN_URL = "http://127.0.0.1:8080"
KILL = "kill -9 "
COMMAND_WITHIN_S = 30.0

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_PASSING_HEADER = re.compile(r"^(Date|Content-Length): .*$", re.MULTILINE)
_END = "==== end of output ===="


class Step(msgspec.Struct, frozen=True):
    """A command of the README, and what is shown under it."""

    command: str
    output: str


def section(title: str) -> str:
    """The text under a heading of the second level."""
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def steps_of(text: str) -> Iterator[Step]:
    """Yield what stands in console blocks: `$ command`, goes on while it is indented."""
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *others = part.splitlines()
            length = 0
            while length < len(others) and others[length].startswith("    "):
                length += 1
            command = "\n".join([first, *others[:length]])
            yield Step(command, "\n".join(others[length:]))


class Normal:
    """One side of the comparison: ids are numbered as they come, new times are all alike."""

    def __init__(self, given: frozenset[str]) -> None:
        self._given = given
        self._ids: dict[str, str] = {}

    def of(self, output: str) -> list[object]:
        """Return the JSON values and other lines of an output."""
        text = _ID.sub(lambda found: self._number(found[0]), output.replace("\r", ""))
        text = _TIME.sub(lambda found: found[0] if found[0] in self._given else "<time>", text)
        return list(_values(_PASSING_HEADER.sub(r"\1: <any>", text)))

    def _number(self, sealed: str) -> str:
        return self._ids.setdefault(sealed, f"<id {len(self._ids) + 1}>")


def _values(text: str) -> Iterator[object]:
    decoder = json.JSONDecoder()
    rest = text.strip()
    while rest:
        if rest[0] == "{":
            value, end = decoder.raw_decode(rest)
            yield list(value.items())  # the order of members is a part of what is shown
        else:
            end = len(rest.split("\n", 1)[0])
            yield rest[:end]
        rest = rest[end:].strip()


def status_shown(output: list[object]) -> int | None:
    """The status of a problem, as its own body says it; None for what succeeds."""
    for value in output:
        if isinstance(value, list) and value and value[0][0] == "type":
            return int(dict(value)["status"])
    return None


class Shell:
    """A shell into which commands are typed one after the other."""

    def __init__(self, process: asyncio.subprocess.Process, statuses: Path) -> None:
        self._process = process
        self._statuses = statuses

    async def run(self, command: str) -> tuple[str, list[int]]:
        """Return what a command printed, and the status of every answer that curl got."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = self._statuses.stat().st_size
        self._process.stdin.write(f"{command}\nprintf '\\n%s\\n' '{_END}'\n".encode())
        async with asyncio.timeout(COMMAND_WITHIN_S):
            printed = await self._process.stdout.readuntil(f"\n{_END}\n".encode())
        said = self._statuses.read_text()[before:].split()
        return printed.decode().removesuffix(f"\n{_END}\n"), [int(status) for status in said]


@asynccontextmanager
async def shell_in(directory: Path) -> AsyncIterator[Shell]:
    """A shell whose curl is as quiet as in a terminal, and notes statuses on the side."""
    (directory / ".curlrc").write_text('silent\nwrite-out = "%{stderr}%{http_code}\\n"\n')
    statuses = directory / "statuses"
    with statuses.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            "sh",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(directory)},
        )
    try:
        yield Shell(process, statuses)
    finally:
        process.kill()
        await process.wait()


def curl_has_json() -> bool:
    """Whether there is a curl that knows --json: 7.82 or newer."""
    if shutil.which("curl") is None:
        return False
    help_text = subprocess.run(["curl", "--help", "all"], capture_output=True, text=True)  # noqa: PLW1510
    return "--json" in help_text.stdout


async def nothing_behind(server: Server) -> bool:
    """Whether the read models have everything, as they have when somebody types."""
    return await server.metric("allocator_projection_lag_events") == 0


@pytest.mark.skipif(not curl_has_json(), reason="the tour needs curl 7.82 or newer")
async def test_the_tour_shows_what_a_server_answers(reachable_dir: Path, tmp_path: Path) -> None:
    """C6, C7, C9, C10, C11, C12, C14, Q7."""
    steps = list(steps_of(section("A tour")))
    given = frozenset(found[0] for step in steps for found in _TIME.finditer(step.command))
    shown, answered = Normal(given), Normal(given)
    deaths = 0
    async with (
        serving("--data-dir", str(reachable_dir / "data"), log=tmp_path / "log") as server,
        shell_in(tmp_path) as shell,
    ):
        for step in steps:
            if step.command.startswith(KILL):
                deaths += 1
                server.crash()
                await server.start_ready()
                continue
            await until(lambda: nothing_behind(server))
            printed, statuses = await shell.run(step.command.replace(SHOWN_URL, server.url))

            expected = shown.of(step.output)
            assert answered.of(printed) == expected, step.command
            problem = status_shown(expected)
            assert statuses, step.command
            assert all(s == problem if problem else s in {200, 201, 204} for s in statuses), (
                statuses
            )

    assert deaths == 1
    assert len(steps) > 15


async def test_the_replay_report_has_the_rows_that_are_shown(
    database_url: str, tmp_path: Path
) -> None:
    text = section("Try it on your own orders")
    [step] = steps_of(text)
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        replay = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "allocator", "replay", "tests/data/shop-history.csv"),
            *("--url", server.url),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
        )
        printed, _ = await replay.communicate()

    report = printed.decode().split("\nhistory ")[1]
    rows, shown = _rows(f"history {report}"), _rows(step.output)
    assert [row for row in rows if row != "skipped"] == shown
    assert all(f"`{column}`" in text for column in COLUMNS)


def _rows(report: str) -> list[str]:
    """What the rows of a report are called, and its verdict."""
    return [re.split(r"\s{2,}", line)[0] for line in report.strip().splitlines()]
