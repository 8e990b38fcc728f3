"""The schema that docs/architecture.md draws is the one that the migrations make."""

import re

import asyncpg

from allocator.persistence.migrate import migrate
from tests.integration.serving import CHECKOUT

PAGE = (CHECKOUT / "docs" / "architecture.md").read_text("utf-8")

_DIAGRAM = re.compile(r"^```mermaid\nerDiagram\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ENTITY = re.compile(r"^    (\w+) \{\n(.*?)^    \}$", re.DOTALL | re.MULTILINE)
_FOREIGN_KEY = re.compile(r"^    (\w+) \S*--\S* (\w+) :", re.MULTILINE)

_COLUMNS = """
SELECT table_name, column_name, data_type FROM information_schema.columns
WHERE table_schema = 'public'
"""
_FOREIGN_KEYS = """
SELECT DISTINCT confrelid::regclass::text, conrelid::regclass::text
FROM pg_constraint WHERE contype = 'f'
"""
_TYPES = {"timestamp with time zone": "timestamptz", "integer": "int"}


async def test_every_column_of_the_schema_is_drawn_and_no_other(database_url: str) -> None:
    drawn = {
        (table, column, kind)
        for diagram in _DIAGRAM.findall(PAGE)
        for table, body in _ENTITY.findall(diagram)
        for kind, column, *_ in (line.split() for line in body.splitlines())
    }
    rows = await migrated(database_url, _COLUMNS)

    assert {(table, column, _TYPES.get(kind, kind)) for table, column, kind in rows} == drawn


async def test_every_foreign_key_is_a_solid_line_and_nothing_else_is(database_url: str) -> None:
    drawn = {key for diagram in _DIAGRAM.findall(PAGE) for key in _FOREIGN_KEY.findall(diagram)}
    rows = await migrated(database_url, _FOREIGN_KEYS)

    assert set(rows) == drawn


async def migrated(database_url: str, sql: str) -> list[tuple[str, ...]]:
    """What a query finds in a database that the migrations have made."""
    connection = await asyncpg.connect(database_url)
    try:
        await migrate(connection)
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
