"""Examples as they travel, and the parts of a path."""

import re
from typing import Final

import msgspec

from allocator.http.reference.operation import IN_PATH, Answer, Body, Parameter

_PARAMETER: Final = re.compile(r"{\w+}")


def path_parameters(path: str) -> list[Parameter]:
    """Return what a path leaves open, in order."""
    return [IN_PATH[path[: found.end()]] for found in _PARAMETER.finditer(path)]


def example_of(body: Body | Answer) -> object:
    """Return an example as JSON would be decoded; lines are one text."""
    if isinstance(body.example, tuple):
        lines = [msgspec.json.encode(_plain(body, line)).decode() for line in body.example]
        return "".join(f"{line}\n" for line in lines)
    return _plain(body, body.example)


def _plain(body: Body | Answer, value: object) -> object:
    plain: object = msgspec.json.decode(msgspec.json.encode(value))
    if isinstance(body, Body) and isinstance(plain, dict):
        # Clients leave out what they do not want to say.
        return {name: one for name, one in plain.items() if one is not None}
    return plain
