"""What a type of problem is."""

from http import HTTPStatus

import msgspec

from allocator.http.problems import Problem


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of problem, explained.

    Attributes:
        example: One; its type, title and status are those of all.
        instance: The path that the example was answered at.
        meaning: What happened.
        remedy: What a client should do.
        facts: Members that this type adds for programs, by name.
    """

    example: Problem
    instance: str
    meaning: str
    remedy: str
    facts: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The last part of its `type`."""
        return self.example.type

    @property
    def status(self) -> HTTPStatus:
        """The status of its answers."""
        return self.example.status
