"""The statements, one a file, purpose and parameters on top."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Return the text of `sql/<name>.sql`."""
    return files("allocator.persistence").joinpath("sql", f"{name}.sql").read_text("utf-8")
