"""What can become of one call of the database: how long each part of it takes, and how it ends."""

from enum import Enum, auto
from typing import Final, Literal, TypeAlias

import msgspec

Operation: TypeAlias = Literal[
    "append",
    "confirm",
    "renew",
    "claim",
    "survey",
    "beat",
    "resign",
    "numbers",
    "origin",
    "records",
    "find_keys",
    "save_snapshot",
    "due_wakes",
    "feeds",
]


class End(Enum):
    """How a call ends. Only `ANSWERED` is good news for its caller; the rest is a `JournalError`.

    Attributes:
        REFUSED: Before anything is done.
        ROLLED_BACK: It was executed, and then undone: nothing happened.
        LOST: It was committed; instead of the answer comes the end of the connection.
        CUT: The connection breaks when all is executed; the commit comes all the same.
        SILENT: It was committed, and no answer ever comes: the caller's time-out.
        STUCK: It was executed and keeps its locks, without commit or answer, until somebody
            terminates its backend or the database crashes. A transaction of several statements
            ends by itself after a second: PostgreSQL does not wait longer for its next one.
    """

    ANSWERED = auto()
    REFUSED = auto()
    ROLLED_BACK = auto()
    LOST = auto()
    CUT = auto()
    SILENT = auto()
    STUCK = auto()


class Call(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Something that is asked of the database.

    Attributes:
        client: Name of the journal that asks.
        incarnation: Under which it asks; None while it has none.
        rows: Of an append.
    """

    operation: Operation
    client: str
    incarnation: int | None
    rows: int = 0


class Trouble(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What becomes of a call.

    Attributes:
        request_s: Until it arrives.
        commit_s: From its execution to its commit: locks are held, rows are not yet visible.
        reply_s: Until its caller hears.
    """

    request_s: float = 0.0
    commit_s: float = 0.0
    reply_s: float = 0.0
    end: End = End.ANSWERED


NO_TROUBLE: Final = Trouble()
"""Done at once. Recognized by identity, which saves most of a call's time."""


def no_trouble(_call: Call) -> Trouble:
    """Let every call be done at once."""
    return NO_TROUBLE
