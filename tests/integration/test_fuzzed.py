"""A fuzzer that knows only /openapi.json finds no request that the server does not answer well.

FUZZED_CASES=1000 tries more of each operation than CI does.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.serving import CHECKOUT, serving

CASES_OF_AN_OPERATION = int(os.environ.get("FUZZED_CASES", "48"))
CASES_MIN = 2_000
LIMIT_S = 300 * max(1, CASES_OF_AN_OPERATION / 60)
NOBODY = "http://127.0.0.1:9/charges"
"""Where no payment provider is: charges fail at once."""


@pytest.mark.timeout(LIMIT_S + 60)
async def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(
    database_url: str, tmp_path: Path
) -> None:
    key = made_key(database_url)
    arguments = (f"--database-url={database_url}", f"--payment-url={NOBODY}")
    async with serving(*arguments, log=tmp_path / "server.log") as server:
        ended = await asyncio.to_thread(fuzz, server.url, key, tmp_path)

        assert ended.returncode == 0, ended.stdout
        assert cases_of(ended.stdout) >= CASES_MIN, ended.stdout
        assert server.complaints() == []


def made_key(database_url: str) -> str:
    """Make a key that may do everything, so that the fuzzer also tries without."""
    made = subprocess.run(
        [
            *(sys.executable, "-m", "allocator", "keys", "create"),
            *("--role", "operator", "--name", "fuzzer", "--database-url", database_url),
        ],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.strip()


def fuzz(url: str, key: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Try every operation, from examples, from bounds, at random and one after another."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            f"{url}/openapi.json",
            f"--header=Authorization: Bearer {key}",
            "--exclude-path=/events",  # its answers do not end
            f"--max-examples={CASES_OF_AN_OPERATION}",
            "--workers=1",  # two threads that parse break one another's count in CPython 3.11
            "--seed=1",
            "--continue-on-failure",
        ],
        cwd=directory,  # it leaves what it learned
        env=os.environ
        | {
            "PYTHONPATH": str(CHECKOUT),
            "SCHEMATHESIS_HOOKS": "tests.integration.fuzzing_hooks",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def cases_of(output: str) -> int:
    """Say how many requests were made up."""
    found = re.search(r"(\d+) generated", output)
    assert found, output
    return int(found[1])
