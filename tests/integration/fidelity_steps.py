"""What workers do with a journal: the same steps for each journal that is compared."""

from typing import Final, NamedTuple, TypeAlias

from allocator.domain.ids import SHARDS
from allocator.domain.records import KeyName, WakeUp
from tests.builders import ACTOR

ACTORS: Final = (ACTOR, ACTOR + 256, ACTOR + 513)
WORKERS_MAX: Final = 3


class Row(NamedTuple):
    """A row of the journal; what it says besides follows from its address."""

    actor_id: int
    seq: int
    principal: str = ""
    key: str | None = None


class Append(NamedTuple):
    """Rows, wake-ups and questions, in one."""

    worker: int
    rows: tuple[Row, ...]
    wakes: tuple[tuple[int, int | None], ...] = ()
    names: tuple[KeyName, ...] = ()


class Confirm(NamedTuple):
    """Questions, and whether one may still write."""

    worker: int
    names: tuple[KeyName, ...] = ()


class FindKeys(NamedTuple):
    """Questions alone."""

    worker: int
    names: tuple[KeyName, ...]


class Renew(NamedTuple):
    """A new life.

    Attributes:
        every: Only each so many-eth shard is kept, and none if it is 0; None: all.
    """

    worker: int
    every: int | None = None

    @property
    def keep(self) -> frozenset[int] | None:
        """The shards that are kept."""
        return (
            None
            if self.every is None
            else frozenset(range(0 if self.every else SHARDS, SHARDS, self.every or 1))
        )


class Claim(NamedTuple):
    """Shards; the present or last incarnations of some workers are known to have ended."""

    worker: int
    dead: tuple[int, ...] = ()


class Simple(NamedTuple):
    """What takes no argument: survey, beat or resign."""

    worker: int
    operation: str


class Look(NamedTuple):
    """Where the recovery of an actor starts, and its rows."""

    worker: int
    actor_id: int
    after_seq: int


class Snapshot(NamedTuple):
    """A state of an actor, whether or not it has such a row."""

    worker: int
    actor_id: int
    seq: int
    state: bytes


class DueWakes(NamedTuple):
    """Who is to be woken."""

    worker: int
    now_ms: int
    limit: int
    shards: frozenset[int]
    after: WakeUp | None


class Silence(NamedTuple):
    """The last heartbeat of a worker was long ago."""

    worker: int


class Age(NamedTuple):
    """Every incarnation that is fenced began long ago."""


class Blocked(NamedTuple):
    """Somebody else has a lock while two calls are made, one after the other.

    Attributes:
        by: "row" is about to insert a row; "fence" is about to fence a worker, "share" keeps it
            from being fenced.
        worker: Whom it is about.
        row: That of "row".
        commits: Whether it commits in the end or rolls back.
        late: The lock is let go when both calls have ended, if they do.
    """

    by: str
    worker: int
    row: Row
    calls: "tuple[Step, Step]"
    commits: bool
    late: bool = False


Step: TypeAlias = (
    Append
    | Confirm
    | FindKeys
    | Renew
    | Claim
    | Simple
    | Look
    | Snapshot
    | DueWakes
    | Silence
    | Age
    | Blocked
)


class Sequence(NamedTuple):
    """Who there is, each by the name of its server, and what they do."""

    servers: tuple[str, ...]
    steps: tuple[Step, ...]
