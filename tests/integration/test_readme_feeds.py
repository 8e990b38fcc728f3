"""The README's warehouse system does not rot either: both sides are asked what it shows."""

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.serving import CHECKOUT, serving
from tests.integration.test_readme import (
    SHOWN_URL,
    Normal,
    Shell,
    Step,
    curl_has_json,
    section,
    shell_in,
    steps_of,
)
from tests.integration.test_wms_sim import start
from tests.integration.workers import free_port

SHOWN_WMS_URL = "http://127.0.0.1:8091"
TRIES = 60

_CLI = ".venv/bin/allocator"
_CHANGES = re.compile(r"--json|-X |feeds (add|remove)|feeds poll \\w+$")
_AS_OF = re.compile(r'(as of |"as_of":)\d+')


@asynccontextmanager
async def warehouse_system(step: Step) -> AsyncIterator[str]:
    """The one that the README starts, on a port of its own; yields its URL."""
    wanted = shlex.split(step.command.removesuffix(" &"))[2:]
    port = str(free_port())
    process = start(*(port if each == "8091" else each for each in wanted))
    try:
        assert process.stdout is not None
        said = await asyncio.to_thread(process.stdout.readline)
        url = f"http://127.0.0.1:{port}"
        assert said.strip().replace(url, SHOWN_WMS_URL) == step.output.strip()
        yield url
    finally:
        process.kill()
        process.communicate()


async def typed(shell: Shell, command: str, *, url: str, wms_url: str) -> str:
    """What a command prints, as if all were where the README has it."""
    meant = command.replace(_CLI, f"{sys.executable} -m allocator")
    meant = meant.replace(SHOWN_URL, url).replace(SHOWN_WMS_URL, wms_url)
    printed, _ = await shell.run(meant)
    return _AS_OF.sub(r"\g<1>0", printed.replace(url, SHOWN_URL).replace(wms_url, SHOWN_WMS_URL))


@pytest.mark.skipif(not curl_has_json(), reason="the README needs curl 7.82 or newer")
async def test_what_both_sides_say_of_a_fed_warehouse_is_as_it_is_shown(
    database_url: str, tmp_path: Path
) -> None:
    """N2, N5, N10: questions are asked again until both have heard, as somebody who types would."""
    simulator, *steps = steps_of(section("A warehouse with a system of its own"))
    shown, answered = Normal(frozenset()), Normal(frozenset())
    async with (
        serving("--database-url", database_url, log=tmp_path / "log") as server,
        warehouse_system(simulator) as wms_url,
        shell_in(tmp_path) as shell,
    ):
        await shell.run(f"cd {CHECKOUT}; export ALLOCATOR_SERVER={server.url}")
        for step in steps:
            expected = shown.of(_AS_OF.sub(r"\g<1>0", step.output))
            said: list[object] = []
            for _ in range(TRIES):
                printed = await typed(shell, step.command, url=server.url, wms_url=wms_url)
                said = answered.of(printed)
                if said == expected or _CHANGES.search(step.command):
                    break
                await asyncio.sleep(0.5)

            assert said == expected, step.command

    assert len(steps) > 10
