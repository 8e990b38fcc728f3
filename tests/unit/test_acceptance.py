"""The stories that this project was built for, and that each of them has its proof."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
ROWS = [
    *(f"C{n}" for n in range(1, 18)),
    *(f"N{n}" for n in range(1, 18)),
    *(f"F{n}" for n in range(1, 13) if n != 9),
    *(f"O{n}" for n in range(1, 15)),
    *(f"Q{n}" for n in range(1, 10)),
]
_ROW = re.compile(r"\b[CFNOQ]\d+\b")


def proofs() -> Iterator[str]:
    """The rows that the docstrings of tests name, some of them often."""
    for path in sorted((CHECKOUT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _ROW.findall(ast.get_docstring(node) or "")


def test_every_story_has_a_test() -> None:
    """C15: a test for every story, which `grep -rnw C7 tests/` finds."""
    proven = set(proofs())

    assert [row for row in ROWS if row not in proven] == []


def test_the_rules_know_nothing_of_the_world_outside() -> None:
    """C17, N17: logic separated: rules pure, I/O outside; import-linter holds the contracts."""
    linted = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, linted.stdout
    assert "the domain does no I/O and reads no clock KEPT" in linted.stdout


def diagrams(page: str) -> list[str]:
    """Return the diagrams on a page of the documentation."""
    text = (CHECKOUT / "docs" / page).read_text("utf-8")
    return re.findall(r"^```mermaid\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_what_a_warehouse_system_and_we_keep_of_each_other_is_drawn() -> None:
    """N13: an ERD with Inventory and SKU/Item-Batch, the reservation and the feed."""
    [drawn] = [each for each in diagrams("wms.md") if each.startswith("erDiagram")]

    assert {"INVENTORY", "SKU_BATCH", "RESERVATION", "FEED"} <= set(re.findall(r"[A-Z_]+", drawn))


@pytest.mark.parametrize("flow", ["POST /orders", "receipt"])
def test_what_happens_when_an_order_is_placed_or_something_arrives_is_drawn(flow: str) -> None:
    """N14: a diagram of the flow at order creation, and another for adjustments."""
    drawn = [each for each in diagrams("wms.md") if each.startswith("sequenceDiagram")]

    assert sum(flow in each for each in drawn) == 1


@pytest.mark.parametrize("target", ["db", "run", "test", "image"])
def test_there_is_a_make_target_for_each_part(target: str) -> None:
    """Q8: the database, the server, the tests, the image."""
    makefile = (CHECKOUT / "Makefile").read_text("utf-8")

    assert re.search(rf"^{target}:.*## \w+", makefile, re.MULTILINE)
