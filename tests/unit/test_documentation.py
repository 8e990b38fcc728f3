"""What the documentation names exists: links, tests, log events, flags; metrics have their own.

A page that names a thing of the past sends its reader searching in the worst moment.
"""

import re
from functools import cache
from pathlib import Path

import pytest

from allocator.cli import all_commands, commands
from allocator.config import described_fields

CHECKOUT = Path(__file__).parents[2]
OPERATIONS = (CHECKOUT / "docs" / "operations.md").read_text("utf-8")
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
DECISIONS = sorted((CHECKOUT / "docs" / "adr").glob("*.md"))

_LINK = re.compile(r"\]\(([^)#:\s]*)(#[^)\s]*)?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LOGGED = re.compile(r"\blog\.\w+\(\s*\"([a-z]+\.[a-z_]+)\"")
_TEST = re.compile(r"^ *(?:async )?def (test_\w+)", re.MULTILINE)
_NAMED_TEST = re.compile(r"`(?:\w+/)*((?:test|bench)_\w+\.py)?(?:::)?(test_\w+)?`")

SECTIONS = [
    "## Status",
    "## Context",
    "## Decision",
    "## Consequences",
    "## Rejected",
    "## Guarded by",
]


def name_of(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for path, fragment in _LINK.findall(page.read_text("utf-8")):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if fragment:
            headings = _HEADING.findall(target.read_text("utf-8"))
            assert fragment[1:] in {anchor(heading) for heading in headings}, fragment


def anchor(heading: str) -> str:
    """How a heading is linked to: GitHub's rule."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [page.name[:4] for page in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_every_section_in_order(page: Path) -> None:
    text = page.read_text("utf-8")

    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    assert text.startswith(f"# {page.name[:4]}. ")


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_what_guards_a_decision_exists(page: Path) -> None:
    guards = page.read_text("utf-8").partition("## Guarded by")[2]
    named = [found for found in _NAMED_TEST.findall(guards) if any(found)]
    tests = known_tests()

    assert named or "pyproject.toml" in guards
    for file, test in named:
        assert not file or file in tests, file
        assert not test or any(test in known for known in tests.values()), test


@cache
def known_tests() -> dict[str, set[str]]:
    """The names of all tests, and the files of benchmarks, by file name."""
    known: dict[str, set[str]] = {}
    for folder in ("tests", "bench"):
        for file in (CHECKOUT / folder).rglob("*.py"):
            known.setdefault(file.name, set()).update(_TEST.findall(file.read_text("utf-8")))
    return known


def test_every_event_of_the_log_is_explained_and_no_other() -> None:
    sources = [*(CHECKOUT / "allocator").rglob("*.py")]
    logged = {event for source in sources for event in _LOGGED.findall(source.read_text("utf-8"))}
    table = OPERATIONS.partition("\n## The log\n")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    assert {event for row in rows for event in re.findall(r"`([^`]+)`", row)} == logged


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_setting_that_is_named_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    fields = set(described_fields())
    variables = set(re.findall(r"\bALLOCATOR_([A-Z_]+)\b", text))

    assert {variable.lower() for variable in variables} <= fields
    if page.name == "operations.md":
        flags = set(re.findall(r"`(--[a-z-]+)`", text))
        assert flags <= {
            spelling
            for command in all_commands(commands)
            for option in command.params
            for spelling in option.opts
        }
