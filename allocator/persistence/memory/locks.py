"""Locks of rows, and sessions: what transactions of the database in memory meet each other at."""

from typing import Protocol


class Waiting(Protocol):
    """A transaction that waits for another."""

    def go_on(self) -> None:
        """Look again whether it may."""


class Lock:
    """Of one row: many share it, or one holds it.

    Whoever shares it gets past those who wait to hold it, as in PostgreSQL.
    """

    __slots__ = ("holder", "sharers", "waiting")

    def __init__(self) -> None:
        self.holder: Waiting | None = None
        self.sharers: list[Waiting] = []
        self.waiting: list[Waiting] = []

    def free_for(self, one: Waiting) -> bool:
        """Return whether nobody else has it."""
        return self.holder in (None, one) and not self.sharers

    def release(self, one: Waiting) -> None:
        """Let those who wait look again, in the order in which they came."""
        if self.holder is one:
            self.holder = None
        else:
            self.sharers.remove(one)
        if self.waiting:
            waiting, self.waiting = self.waiting, []
            for each in waiting:
                each.go_on()


class Statement(Protocol):
    """What a session is busy with."""

    over: bool

    def terminate(self) -> None:
        """End it, unless its commit has begun: then only its answer is lost."""

    def disconnect(self) -> None:
        """Go on without a caller."""


class Session:
    """The connection under one incarnation: one statement at a time.

    Attributes:
        asked: Whether its client waits for an answer.
        broken: Whether nothing can be asked on it any more.
        statement: The last one.
    """

    __slots__ = ("asked", "broken", "incarnation", "statement")

    def __init__(self, incarnation: int) -> None:
        self.incarnation = incarnation
        self.asked = False
        self.broken = False
        self.statement: Statement | None = None

    @property
    def busy(self) -> bool:
        """Whether a statement is under way on the database's side."""
        return self.statement is not None and not self.statement.over

    def terminate(self) -> None:
        """Do as `pg_terminate_backend`."""
        self.broken = True
        if self.statement is not None:
            self.statement.terminate()

    def close(self) -> None:
        """Do as a client that closes its end: what is under way goes on."""
        self.broken = True
        if self.statement is not None:
            self.statement.disconnect()
